//! The commands about Microsoft Graph: changes of a file, what is there, what it can do.

use std::path::{Path, PathBuf};

use portolan_chart::{Chart, Role};
use portolan_model::{DnsName, Guid};
use portolan_net::tls::Roots;
use portolan_net::{Network, NetworkConfig};
use portolan_sync::target::graph::Outcome;
use portolan_sync::target::graph::capability::{CAPABILITIES, PROPERTIES};
use serde_json::{Value as Json, json};

use super::file;
use super::graph::{self, Address, Graph};
use super::proof::Proof;
use super::record::Record;
use crate::connect::print_json;
use crate::report::Failure;

/// What `portolan connect graph` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make the changes of a file at a Graph, to try it with a tenant that is for trying.
    Export(Export),
    /// List the objects of a Graph that carry an anchor.
    Known(Known),
}

/// Where a Graph is, and who asks.
#[derive(Debug, clap::Args)]
struct Place {
    /// The host of Graph, as in graph.cloud.example
    #[arg(long, value_name = "HOST")]
    graph: DnsName,
    /// The host of the token endpoint, as in login.cloud.example
    #[arg(long, value_name = "HOST")]
    login: DnsName,
    /// The tenant's id
    #[arg(long, value_name = "ID")]
    tenant_id: Guid,
    /// The application's id
    #[arg(long, value_name = "ID")]
    client_id: Guid,
    /// The application's private key as PEM (PKCS#8; RSA or P-256); its owner alone may read it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The certificate of the key as PEM, where the endpoint knows the key by it, as Entra ID does
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The certification authorities of both hosts, as PEM [default: those that this system believes]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Print as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// The arguments of `export`.
#[derive(Debug, clap::Args)]
pub struct Export {
    #[command(flatten)]
    place: Place,
    /// The changes, one JSON object a line
    #[arg(long, value_name = "FILE")]
    changes: PathBuf,
    /// Write what is asked of Graph and what it answers to a new file, one exchange a line, without tokens and
    /// passwords
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// The arguments of `known`.
#[derive(Debug, clap::Args)]
pub struct Known {
    #[command(flatten)]
    place: Place,
}

/// The arguments of `capabilities`.
#[derive(Debug, clap::Args)]
pub struct Capabilities {
    /// Print as JSON on standard output
    #[arg(long)]
    json: bool,
}

pub(in crate::connect) fn capabilities(arguments: &Capabilities) -> Result<(), Failure> {
    if arguments.json {
        let row = |row: &portolan_sync::target::graph::capability::Capability| json!({"what": row.what, "exported": row.support.as_str(), "how": row.how});
        let rows: Vec<_> = CAPABILITIES.iter().map(row).collect();
        let names: Vec<_> = PROPERTIES.iter().map(|row| row.name).collect();
        return print_json(&json!({"target": "graph", "capabilities": rows, "properties": names}));
    }
    println!("Microsoft Graph as a target:");
    for row in CAPABILITIES {
        println!("  {:6} {}: {}", row.support.as_str(), row.what, row.how);
    }
    Ok(())
}

pub(in crate::connect) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Export(arguments) => export(arguments).await,
        Command::Known(Known { place }) => known(place).await,
    }
}

fn open(place: &Place) -> Result<Graph, Failure> {
    let chart = Chart::default_edition();
    let network = Network::new(NetworkConfig::new(chart, Role::Connect))?;
    let roots = place.ca.as_deref().map_or_else(|| Ok(Roots::of_system()), authorities)?;
    let client = graph::client(&network, roots);
    let address = Address {
        graph: place.graph.clone(),
        login: place.login.clone(),
        tenant: place.tenant_id.to_string(),
        client_id: place.client_id.to_string(),
        restores_deleted: true,
    };
    let proof = Proof::read(&place.key, place.certificate.as_deref())?;
    Ok(Graph::new(client, address, proof))
}

fn authorities(path: &Path) -> Result<Roots, Failure> {
    let doing = format!("cannot read {}", path.display());
    let pem = crate::files::read_at_most(path, crate::files::AUTHORITIES_OCTETS_MAX)
        .map_err(|error| Failure::because(&doing, &error))?;
    Roots::from_pem(&pem).map_err(|error| Failure::because(&doing, &error))
}

async fn known(place: Place) -> Result<(), Failure> {
    let known = open(&place)?.known().await?;
    if place.json {
        let known: serde_json::Map<_, _> =
            known.iter().map(|(anchor, id)| (anchor.to_string(), json!(id.to_string()))).collect();
        return print_json(&known);
    }
    for (anchor, id) in known {
        println!("{id} {anchor}");
    }
    Ok(())
}

async fn export(arguments: Export) -> Result<(), Failure> {
    let Export { place, changes, record } = arguments;
    let changes = file::read(&changes)?;
    let mut graph = open(&place)?;
    if let Some(path) = record {
        graph.keep_record(Record::begin(&path)?);
    }
    let known = graph.known().await?;
    let (outcomes, _) = graph.export(changes, known).await?;
    let done = outcomes.iter().filter(|outcome| outcome.is_done()).count();
    if place.json {
        print_json(&json!({"changes": outcomes.len(), "done": done,
            "outcomes": outcomes.iter().map(shown).collect::<Vec<_>>()}))?;
    } else {
        println!("{done} of {} changes are made", outcomes.len());
        for (at, outcome) in outcomes.iter().enumerate() {
            let faults = outcome.faults.iter().map(ToString::to_string);
            for told in faults.chain(outcome.unable.iter().map(ToString::to_string)) {
                println!("  change {}: {told}", at + 1);
            }
        }
    }
    if done == outcomes.len() {
        return Ok(());
    }
    Err(Failure::new(format!("{} changes were not made", outcomes.len() - done)))
}

fn shown(outcome: &Outcome) -> Json {
    let texts = |texts: Vec<String>| Json::from(texts);
    json!({
        "id": outcome.id.map(|id| id.to_string()),
        "faults": texts(outcome.faults.iter().map(ToString::to_string).collect()),
        "more_faults": outcome.more_faults,
        "exported_without": texts(outcome.unable.iter().map(ToString::to_string).collect()),
    })
}
