//! The subcommand `portolan connect`: the sync server.
//!
//! [`import`] reads the forest into the connector space, `portolan_sync` decides in a [`walk`] over
//! it, [`export`] sends what was decided to the tenant ([`tenant_client`]), and [`passwords`]
//! replicates password hashes.
//! [`cycle`] puts them in order and [`mod@run`] repeats it; [`mod@plan`] and [`status`] show;
//! [`batches`] notices a tenant that was restored from a backup;
//! [`target`] exports to Microsoft Graph;
//! [`init`] makes the configuration ([`config`], [`reach`], [`key`]); [`account`] reads the forest's
//! account and keeps it from being locked.

mod account;
mod batches;
mod config;
mod cycle;
mod export;
mod forest;
mod import;
mod init;
pub(crate) mod key;
mod passwords;
mod plan;
mod progress;
mod reach;
mod read;
mod rights;
mod rotate;
mod run;
pub(crate) mod secrets;
mod status;
mod steps;
mod target;
mod tenant_client;
mod walk;

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
    /// Read the forest into the connector space, and do nothing else
    Import(read::Import),
    /// Show what a run would change in the tenant, and change nothing there
    Plan(Look),
    /// The keys of this server
    #[command(subcommand)]
    Key(rotate::Key),
    /// The credential of the account that reads the forest
    #[command(subcommand)]
    Credential(rotate::Credential),
    /// Export to a Microsoft Graph
    #[command(subcommand)]
    Graph(target::Command),
    /// Show what can be exported to Microsoft Graph, and what cannot
    Capabilities(target::Capabilities),
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
        Command::Import(import) => read::run(import).await,
        Command::Plan(look) => plan::run(look).await,
        Command::Key(command) => rotate::key(command).await,
        Command::Credential(command) => rotate::credential(command).await,
        Command::Graph(command) => target::run(command).await,
        Command::Capabilities(arguments) => target::capabilities(&arguments),
        Command::Status(look) => status::run(look).await,
    }
}

fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::because("cannot write the summary", &error))?;
    println!("{text}");
    Ok(())
}
