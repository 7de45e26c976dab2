//! Microsoft Graph as a target: users, groups and memberships as requests, and what becomes of them.
//!
//! An engine gives [`Change`]s and the ids that are [`Known`] of the target; an [`Exporter`] makes
//! `$batch` bodies of them in an order that works, takes the replies, decides what is sent again, and
//! gives one [`Outcome`] a change. It sends nothing itself: a driver performs what [`Exporter::next`]
//! says. What Graph cannot do is a table ([`capability`]), and is said of each object that it concerns.
//!
//! Nothing is doubled when an answer is lost: a user is looked up by `onPremisesImmutableId` before it is
//! made again, a group is made by its `uniqueName`, and all other requests may come twice.

pub mod capability;
mod change;
mod confirm;
mod exporter;
mod lookups;
pub mod organization;
mod reply;
mod request;
pub mod seen;
#[cfg(test)]
mod tests;
mod wish;
mod work;

pub use change::{Change, Desired, Fault, Inability, Known, Outcome, Picture, Value};
pub use confirm::{InvalidPage, List, Page, first_pages, read_page};
pub use exporter::{Action, Alone, Batch, Conversation, Exporter, Settings};
pub use lookups::{Looked, Lookups};
pub use reply::Reply;
pub use seen::Seen;
pub use wish::{ReferenceWish, Wish, references, takes};
