//! The synchronisation engine: what targets should hold, given what forests hold.
//!
//! Pure decisions. [`rules`] are read from files, with flows in the language of [`expression`]; [`syntax`]
//! makes of a directory's octets the values of a [`record`]. An [`engine::Engine`] is given an object of a
//! forest with all that is joined to it, and says what becomes of it in the metaverse and in each target.
//! [`guard`] stops what would take too much away. Reading the forests, keeping the state and sending the
//! changes happen in the IO tier, with these values in between.
//! [`lint`] finds what of a forest will not synchronise, [`writeback`] says what goes back to it.

pub mod attributes;
mod dictionary;
pub mod engine;
pub mod expression;
mod filetime;
mod forest;
pub mod guard;
mod kind;
pub mod lint;
pub mod record;
pub mod rules;
mod source;
pub mod syntax;
pub mod target;
pub mod writeback;

pub use dictionary::{AttributeId, Dictionary, NAME_OCTETS_MAX, NAMES_MAX, NameRefused};
pub use filetime::from_filetime;
pub use forest::{ObjectKind, WANTED_ATTRIBUTES};
pub use kind::TenantKind;
pub use source::Source;
