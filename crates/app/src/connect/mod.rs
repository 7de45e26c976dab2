//! The subcommand `portolan connect`: the sync server.
//!
//! [`import`] reads the forest into the connector space, [`synchronise`] brings it through the metaverse
//! to what is to be exported, [`export`] sends what was decided to the tenant ([`tenant_client`]), and [`passwords`]
//! replicates password hashes.
//! [`perform`] puts them in the order of a [`profile`], each as a step of what is [`running`], and [`mod@run`]
//! repeats it ([`daemon`]); [`single`] does one of them, and [`object`] all of them to one object; [`mod@plan`] and [`status`] show;
//! [`reload`] takes a changed configuration, [`metrics`] are a daemon's figures, and a [`turn`] is whose it is to work;
//! [`batches`] notices a tenant that was restored from a backup, [`confirm`] whatever else it has lost;
//! [`gate`] decides whether anything may be written, [`guard`] what of it waits;
//! [`mod@lint`] finds what will not synchronise and mends it in the forest;
//! [`mod@writeback`] writes anchors to it, both as a [`writer`] whose missing rights [`grant`] names;
//! [`target`] is what is exported to, a tenant of ours or Microsoft Graph ([`target_config`]);
//! [`simulated`] is all of it without sockets and the host's clock, for the simulator;
//! [`init`] makes the configuration by [`joining`] the target ([`config`], [`forest_config`], [`reach`], [`key`]), and [`forests`] adds
//! further forests to it, each of them a [`source`]; [`account`] reads a forest's account and keeps it from
//! being locked.

mod account;
mod batches;
mod config;
mod confirm;
mod cycle;
mod daemon;
mod domains;
mod explain;
mod export;
mod filters;
mod forest;
mod forest_config;
mod forests;
mod gate;
mod grant;
mod guard;
mod history;
mod import;
mod init;
mod joining;
pub(crate) mod key;
mod lease;
mod lint;
mod metrics;
mod notice;
mod object;
mod outage;
mod passwords;
mod perform;
mod plan;
mod predecessor;
mod profile;
mod progress;
mod reach;
mod reload;
mod rights;
mod rotate;
mod rules;
mod run;
mod running;
mod scratch;
pub(crate) mod secrets;
pub mod simulated;
mod single;
mod source;
mod staging;
mod status;
mod steps;
mod suffixes;
mod synchronise;
mod target;
mod target_config;
mod tenant_client;
mod turn;
mod wall_clock;
mod writeback;
mod writer;
mod writing;

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
    Import(single::Import),
    /// Synchronise: bring what was imported through the rules to what is to be exported; or one object all
    /// the way from its forest to the target
    Sync(single::Sync),
    /// Send what waits to be exported, and do nothing else
    Export(single::Export),
    /// Hold what the tenant has against what this server believes, so that the next export repairs it
    Confirm(Look),
    /// Show what a run would change in the tenant, and change nothing there
    Plan(plan::Plan),
    /// Make the changes of a plan that was kept, and no others, if all of them still hold
    Apply(plan::Apply),
    /// The forests that this server reads
    #[command(subcommand)]
    Forest(forests::Forests),
    /// The keys of this server
    #[command(subcommand)]
    Key(rotate::Key),
    /// The credential of the account that reads the forest
    #[command(subcommand)]
    Credential(rotate::Credential),
    /// Say where each value of an object comes from, or why it is not synchronised
    Explain(explain::Which),
    /// Objects of the forest as they were imported
    #[command(subcommand)]
    Object(Object),
    /// The rules: what is wrong with them, which are in force, those of Entra Connect
    #[command(subcommand)]
    Rules(rules::Rules),
    /// What waits because it would take too much away, and letting it through
    #[command(subcommand)]
    Guard(guard::Guard),
    /// Whether this server writes anything to the tenant
    #[command(subcommand)]
    Staging(staging::Staging),
    /// Show the runs of this server, or the steps of one
    History(history::History),
    /// Find what of the forest will not synchronise, propose what to put in its place, and mend it
    Lint(lint::Lint),
    /// Write to the forest under which anchor a person is synchronised
    Writeback(writeback::Writeback),
    /// Export to a Microsoft Graph
    #[command(subcommand)]
    Graph(target::Command),
    /// Show what can be exported to Microsoft Graph, and what cannot
    Capabilities(target::Capabilities),
    /// Show what is configured, what was synchronised, and the rows of the chart in use
    Status(Look),
}

/// What `connect object` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Object {
    /// Find objects by part of their names, or by a value
    Search(explain::Which),
    /// Show what is wrong with single objects, and what to do
    Errors(Look),
}

/// What the commands are told that only look.
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
        Command::Import(told) => single::import(told).await,
        Command::Sync(told) => single::sync(told).await,
        Command::Export(told) => single::export(told).await,
        Command::Confirm(look) => single::confirm(look).await,
        Command::Plan(plan) => plan::run(plan).await,
        Command::Apply(apply) => plan::apply(apply).await,
        Command::Forest(command) => forests::run(command).await,
        Command::Key(command) => rotate::key(command).await,
        Command::Credential(command) => rotate::credential(command).await,
        Command::Explain(which) => explain::run(which).await,
        Command::Object(Object::Search(which)) => explain::search(which).await,
        Command::Object(Object::Errors(look)) => history::errors(look).await,
        Command::Rules(command) => rules::run(command).await,
        Command::Guard(command) => guard::run(command).await,
        Command::Staging(command) => staging::run(&command),
        Command::History(look) => history::runs(look).await,
        Command::Lint(lint) => lint::run(lint).await,
        Command::Writeback(writeback) => Box::pin(writeback::run(writeback)).await,
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
