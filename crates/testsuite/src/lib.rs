//! The whole road as one object: a lab, a tenant, a sync server, and a person at a desk.
//!
//! [`Road`] runs the binary under test on the lab's hosts, as an operator would, and the foreign
//! clients beside it. The demonstration (`cargo xtask demo`) and the lab-driven tests both drive it.

mod conversation;
mod daemon;
mod freshness;
mod latency;
pub mod measure;
mod outcome;
mod road;
mod tools;

pub use daemon::Daemon;
pub use freshness::Freshness;
pub use latency::{Changed, Stopwatch};
pub use outcome::{Outcome, RoadError};
pub use road::{ACCOUNT, ACCOUNT_PASSWORD, FOREST_DOMAIN, Road, TENANT_DOMAIN};
pub use tools::Tools;
