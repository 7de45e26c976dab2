//! Portolan: hybrid identity in one binary.

use std::process::ExitCode;

use clap::Parser;
use portolan_app::report::Failure;
use portolan_app::{chart, connect, lab, tenant};

/// Hybrid identity over exactly the ports of the chart: synchronise Active Directory to a tenant,
/// sign people in there, and prove every row on the wire.
#[derive(Debug, Parser)]
#[command(name = "portolan", version, propagate_version = true, subcommand_required = true)]
enum Portolan {
    /// The ports page as data: editions, rows, roles.
    #[command(subcommand)]
    Chart(chart::Command),
    /// The sync server: from the forest to the tenant.
    #[command(subcommand)]
    Connect(connect::Command),
    /// The cloud directory: ingest, sign-in, Graph.
    #[command(subcommand)]
    Tenant(tenant::Command),
    /// A whole company in network namespaces, with a real forest.
    #[command(subcommand)]
    Lab(lab::Command),
}

#[tokio::main]
async fn main() -> ExitCode {
    portolan_app::log::start();
    match run(Portolan::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprint!("{}", failure.render());
            ExitCode::from(failure.status())
        }
    }
}

async fn run(command: Portolan) -> Result<(), Failure> {
    match command {
        Portolan::Chart(command) => chart::run(command).await,
        Portolan::Connect(command) => connect::run(command).await,
        Portolan::Tenant(command) => tenant::run(command).await,
        Portolan::Lab(command) => lab::run(command).await,
    }
}
