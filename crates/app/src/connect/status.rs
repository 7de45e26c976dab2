//! `portolan connect status`: what is configured and what was done, without the network.

use portolan_store::connector_space::ConnectorSpace;
use serde::Serialize;

use super::config::Config;
use super::{Look, forest, print_json};
use crate::report::Failure;

/// The state of this server.
#[derive(Serialize)]
struct Status {
    edition: String,
    forest: String,
    account: String,
    tenant: String,
    client_id: String,
    objects: u64,
    exported: u64,
    credentials: usize,
    rows: Vec<String>,
}

/// Runs `connect status`: from the state directory alone, without the network.
pub(super) async fn run(look: Look) -> Result<(), Failure> {
    let config = Config::read(&look.state)?;
    let network = forest::network(&config.edition)?;
    let space = ConnectorSpace::open(&look.state.join("connector-space.db")).await?;
    let status = Status {
        rows: network
            .chart()
            .rows_of(network.role())
            .filter(|row| row.from == network.role())
            .map(|row| {
                format!("{} {} {} {}", row.flow, row.table, row.ports_text(), row.transports_text())
            })
            .collect(),
        edition: config.edition,
        forest: config.forest_domain.to_string(),
        account: config.account,
        tenant: config.tenant_id.to_string(),
        client_id: config.client_id.to_string(),
        objects: space.object_counts().await?.iter().map(|(_, count)| count).sum(),
        exported: space.exported_count().await?,
        credentials: space.credentialed().await?.len(),
    };
    if look.json {
        return print_json(&status);
    }
    println!("forest       {} as {}", status.forest, status.account);
    println!("tenant       {} as application {}", status.tenant, status.client_id);
    println!("objects      {} imported, {} exported", status.objects, status.exported);
    println!("credentials  {} up to date in the tenant", status.credentials);
    println!("edition      {}", status.edition);
    for row in &status.rows {
        println!("  {row}");
    }
    Ok(())
}
