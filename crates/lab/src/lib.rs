//! The lab: a whole company in network namespaces, with a real Active Directory forest.
//!
//! [`Lab::up`] builds it, [`Lab::command`] runs a program on one of its hosts, [`Lab::close`] shuts
//! one row of the chart on every firewall, [`Lab::capture`] reads what crossed both networks and
//! says of each packet which row it belongs to.
//!
//! What is planned is apart from what is done: [`plan`] is the company as values (hosts, addresses,
//! files), `state` what is written down about a running lab, [`capture`] the parsing of recordings;
//! none of them runs anything. `keeper`, `network`, `forest` and `firewall` run programs, each by
//! an argument vector. Nothing is ever created in the machine's own network namespace, and nothing
//! outside a lab's own state directory but the archive of the forest.

mod authority;
pub mod capture;
mod controller;
mod error;
mod firewall;
mod forest;
mod guard;
mod keeper;
mod lab;
mod network;
pub mod plan;
mod process;
mod recording;
mod requirements;
mod state;
mod status;

pub use authority::Certificate;
pub use controller::End;
pub use error::LabError;
pub use firewall::{How, Stopped};
pub use forest::ForestRight;
pub use guard::Guard;
pub use lab::{Lab, Options, Started, Step};
pub use plan::{Controllers, LabName};
pub use process::end_inside;
pub use status::{HostStatus, Status};
