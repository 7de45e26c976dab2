//! The subcommand `portolan connect`: the sync server.
//!
//! [`import`] reads the forest into the connector space, `portolan_sync` decides, [`export`] sends
//! what was decided to the tenant ([`tenant_client`]), and [`credentials`] replicates password hashes.
//! [`run`](run::once) puts them in order; [`init`] makes the configuration ([`config`], [`key`]).

mod config;
mod export;
mod import;
mod key;
mod steps;
mod tenant_client;

use crate::report::Failure;

/// What `portolan connect` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {}

/// Runs a command to its end.
///
/// # Errors
/// A [`Failure`] to print.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {}
}
