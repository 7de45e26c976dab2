//! The synchronisation engine: what the tenant should hold, given what the forest holds.
//!
//! Pure decisions. [`ForestObject`] is an object of the connector space; [`scope`] says whether it is
//! synchronised at all, [`anchor`] what identifies it for ever, [`flow`] which attributes it gets in
//! the tenant, and [`plan`] which changes bring the tenant there; [`guard`] stops a plan that would
//! take too much away. Reading the forest, storing the spaces and sending the changes happen in the
//! IO tier, with these values in between.

pub mod anchor;
mod filetime;
pub mod flow;
mod forest;
pub mod guard;
pub mod plan;
pub mod scope;

pub use forest::{AttributeValues, ForestObject, ForestObjectError, ObjectKind, WANTED_ATTRIBUTES};
