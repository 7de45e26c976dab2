//! The roles: what each subcommand of the binary does, with its files, routes and sockets.
//!
//! One module a role. Decisions live in the engines below (`portolan_sync`, `portolan_tenant`);
//! here they meet the store, the network and the terminal.

pub mod chart;
pub mod connect;
pub mod dumps;
mod exposition;
pub mod files;
pub mod lab;
pub mod log;
mod master_key;
pub mod report;
pub mod signal;
pub mod tenant;
pub mod terminal;
