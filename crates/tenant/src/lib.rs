//! The tenant's decisions: what is in the directory, who may sign in, what a grant is worth.
//!
//! Nothing here opens a socket or a file, reads a clock or draws randomness: `now` and `rng` are
//! arguments, and what is kept goes through the traits of [`storage`]. The HTTP routes are in
//! `portolan_app::tenant`, the SQLite store in `portolan_store::tenant`. Start with [`sign_in`] for
//! a person, [`ingest`] for what the sync server sends, [`grant`] for an application.

pub mod account;
pub mod application;
pub mod authorize;
pub mod client_key;
pub mod directory;
pub mod feature;
pub mod grant;
pub mod graph;
pub mod held;
mod identity;
pub mod ingest;
pub mod issue;
pub mod lease;
mod opaque;
mod parameters;
pub mod rate;
pub mod read_up_to;
pub mod redirect;
pub mod rule;
pub mod scope;
pub mod sign_in;
pub mod signing;
pub mod storage;
pub mod throttle;
pub mod wire;

pub use identity::Tenant;
pub use opaque::{Digest, Opaque};
pub use parameters::Parameters;
pub use rule::Rule;
