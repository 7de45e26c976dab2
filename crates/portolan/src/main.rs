//! Portolan: hybrid identity in one binary.

use std::process::ExitCode;

use clap::Parser;
use portolan_app::report::Failure;
use portolan_app::{chart, connect, lab, log, tenant};

/// Hybrid identity over exactly the ports of the chart: synchronise Active Directory to a tenant,
/// sign people in there, and prove every row on the wire.
#[derive(Debug, Parser)]
#[command(name = "portolan", version, propagate_version = true, subcommand_required = true)]
struct Portolan {
    /// Tell what happens as lines of a log, for a log's reader
    #[arg(long, value_name = "FORM", global = true, env = "PORTOLAN_LOG_FORM")]
    log: Option<log::Form>,
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, clap::Subcommand)]
enum Role {
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
    let portolan = Portolan::parse();
    log::start(portolan.log);
    match run(portolan.role).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.tell();
            ExitCode::from(failure.status())
        }
    }
}

async fn run(role: Role) -> Result<(), Failure> {
    match role {
        Role::Chart(command) => chart::run(command).await,
        Role::Connect(command) => Box::pin(connect::run(command)).await,
        Role::Tenant(command) => tenant::run(command).await,
        Role::Lab(command) => lab::run(command).await,
    }
}
