//! The subcommand `portolan connect`: the sync server.
//!
//! [`import`] reads the forest into the connector space, `portolan_sync` decides, [`export`] sends
//! what was decided to the tenant ([`tenant_client`]), and [`passwords`] replicates password hashes.
//! [`cycle`] puts them in order and [`mod@run`] repeats it; [`mod@plan`] and [`status`] show;
//! [`init`] makes the configuration ([`config`], [`key`]).

mod config;
mod cycle;
mod export;
mod forest;
mod import;
mod init;
mod key;
mod passwords;
mod plan;
mod progress;
mod rights;
mod run;
mod status;
mod steps;
mod tenant_client;

use std::path::PathBuf;

use serde::Serialize;

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
    Plan(Look),
    /// Show what is configured, what was synchronised, and the rows of the chart in use
    Status(Look),
}

/// What `connect plan` and `connect status` are told.
#[derive(Debug, clap::Args)]
pub struct Look {
    /// The state directory that `connect init` wrote
    #[arg(long, default_value = STATE)]
    state: PathBuf,
    /// Print as JSON on standard output
    #[arg(long)]
    json: bool,
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
        Command::Plan(look) => plan::run(look).await,
        Command::Status(look) => status::run(look).await,
    }
}

fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::because("cannot write the summary", &error))?;
    println!("{text}");
    Ok(())
}
