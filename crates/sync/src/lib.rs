//! The synchronisation engine: what the tenant should hold, given what the forest holds.
//!
//! Pure decisions. [`ForestObject`] is an object of the connector space; [`scope`] says whether it is
//! synchronised at all, [`anchor`] what identifies it for ever, [`flow`] which attributes it gets in
//! the tenant. A [`Selector`] goes over all objects and finds out which are in scope, a
//! [`plan::Planner`] goes over them again and says which changes bring the tenant there; [`guard`]
//! stops what would take too much away. Neither holds the objects. A [`Delta`] is what a directory
//! says of an object that changed. Reading the forest, storing the spaces and sending the changes happen in the
//! IO tier, with these values in between.

pub mod anchor;
mod anchors;
pub mod attributes;
mod delta;
mod filetime;
pub mod flow;
mod forest;
pub mod guard;
pub mod plan;
pub mod scope;
mod selection;
pub mod target;

pub use anchors::Anchors;
pub use delta::{Delta, MemberChange};
pub use filetime::from_filetime;
pub use forest::{AttributeValues, ForestObject, ForestObjectError, ObjectKind, WANTED_ATTRIBUTES};
pub use selection::{Selection, Selector};
