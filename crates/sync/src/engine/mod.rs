//! The engine: what becomes of objects of the forests, by the rules.
//!
//! An object without a link is asked for by its [`lookups`](Engine::lookups) and linked by
//! [`link`](Engine::link). What is linked is decided about by [`decide`](Engine::decide), a
//! [`Neighbourhood`] at a time. All of it is pure: the state finds the answers and keeps what is decided.

mod anchoring;
mod contribution;
mod decide;
mod decision;
mod error;
pub mod explain;
mod inbound;
mod join;
mod model;
mod outbound;
pub mod plan;
mod references;
mod systems;
#[cfg(test)]
mod tests;

pub use anchoring::settle;
pub use decision::{
    AnchorClaim, ClaimAnswer, Decision, JoinCandidate, JoinCondition, JoinLookup, LinkChange,
    LinkDecision, MetaverseChange, TargetChange,
};
pub use error::{Fault, Note, ObjectError, Subject};
pub use model::*;
pub use systems::{DomainParameters, Engine, Moment, Side, System, is_in};
