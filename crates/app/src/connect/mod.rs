//! The subcommand `portolan connect`: the sync server.
//!
//! [`import`] reads the forest into the connector space, `portolan_sync` decides, [`export`] sends
//! what was decided to the tenant ([`tenant_client`]), and [`credentials`] replicates password hashes.
//! [`mod@run`] puts them in order; [`init`] makes the configuration ([`config`], [`key`]).

mod config;
mod credentials;
mod cursor;
mod export;
mod forest;
mod import;
mod init;
mod key;
mod run;
mod steps;
mod tenant_client;

use crate::report::Failure;

/// Where connect keeps its state unless it is told otherwise.
const STATE: &str = "/var/lib/portolan/connect";

/// What `portolan connect` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Check every connection by its chart row, enrol at the tenant, write the configuration
    Init(init::Init),
    /// Synchronise: import the forest, export to the tenant, replicate password hashes
    Run(run::Run),
    /// Show what a run would change in the tenant, and change nothing there
    Plan(run::Look),
    /// Show what is configured, what was synchronised, and the rows of the chart in use
    Status(run::Look),
}

/// Runs a command to its end.
///
/// # Errors
/// A [`Failure`] to print.
pub async fn run(command: Command) -> Result<(), Failure> {
    crate::dumps::forbid()?;
    match command {
        Command::Init(init) => init::run(init).await,
        Command::Run(run) => run::run(run).await,
        Command::Plan(look) => run::plan(look).await,
        Command::Status(look) => run::status(look).await,
    }
}
