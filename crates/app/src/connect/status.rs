//! `portolan connect status`: what is configured and what was done, without the network.

use portolan_chart::{Chart, Role};
use portolan_store::state::State;
use portolan_sync::engine::ConnectorId;
use portolan_sync::target::TargetSystem;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::config::Config;
use super::cycle::FILE;
use super::domains::{self, Standing};
use super::export::UNABLE;
use super::import::Behind;
use super::outage::Down;
use super::passwords::NO_PASSWORDS;
use super::synchronise::{Connected, ConnectedForest};
use super::{Look, guard, lease, predecessor, print_json};
use crate::report::Failure;
use crate::terminal::plain;

/// The state of this server.
#[derive(Serialize)]
struct Status {
    edition: String,
    proxy: Option<String>,
    forests: Vec<OfForest>,
    tenant: String,
    client_id: String,
    objects: u64,
    exported: u64,
    credentials: u64,
    /// Whether nothing is written to the tenant.
    staging: bool,
    /// What it is among the sync servers of its group.
    role: lease::Standing,
    /// Domains that were read further when the tenant was written last: nothing is exported for that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    behind: Vec<Behind>,
    /// What is not exported because it would take too much away.
    held: Vec<String>,
    /// What the target is.
    system: &'static str,
    /// Exports that the target refused, or has no kind for.
    refused: Vec<Refused>,
    rows: Vec<String>,
}

/// What is configured of a forest, and what was read of it.
#[derive(Serialize)]
struct OfForest {
    forest: String,
    account: String,
    ldap: &'static str,
    objects: u64,
    /// Since when it does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    down: Option<Down>,
    domains: Vec<Standing>,
}

/// Exports that the target refused, of one kind and for one reason.
#[derive(Serialize)]
struct Refused {
    kind: &'static str,
    code: String,
    count: u64,
}

/// Runs `connect status`: from the state directory alone, without the network.
pub(super) async fn run(look: Look) -> Result<(), Failure> {
    let config = Config::read(&look.state)?;
    let state = State::open(&look.state.join(FILE)).await?;
    let connected = Connected::of(&state, &config).await?;
    let mut forests = Vec::new();
    for (forest, known) in config.forests.iter().zip(&connected.forests) {
        let staged = state.object_counts(known.connector).await?;
        forests.push(OfForest {
            forest: forest.domain.to_string(),
            account: forest.account.clone(),
            ldap: if forest.is_ldaps() { "inside TLS" } else { "sealed by Kerberos" },
            objects: staged.iter().map(|(_, count)| count).sum(),
            down: down(&state, known).await?,
            domains: domains::standing(&state, forest, known.connector).await?,
        });
    }
    let now = portolan_net::clock::now();
    let quarantine = guard::quarantine(&state, connected.target, &config.guard, 0, now).await?;
    let status = Status {
        staging: config.staging,
        role: role(lease::standing(&state, connected.target).await?),
        behind: predecessor::behind(&state, &connected).await?,
        held: quarantine.iter().map(ToString::to_string).collect(),
        system: match config.system.kind() {
            TargetSystem::Tenant => "tenant",
            TargetSystem::Graph => "graph",
        },
        refused: refused(&state, connected.target).await?,
        rows: rows(config.reach.chart()),
        proxy: config.reach.proxy(),
        edition: config.edition,
        tenant: config.tenant_id.to_string(),
        client_id: config.client_id.to_string(),
        objects: forests.iter().map(|forest| forest.objects).sum(),
        forests,
        exported: state.exported_count(connected.target).await?,
        credentials: state.credentialed_count(connected.target).await?,
    };
    if look.json {
        return print_json(&status);
    }
    show(&status, config.system.kind());
    Ok(())
}

/// The first of a forest's domains that does not answer.
async fn down(state: &State, forest: &ConnectedForest) -> Result<Option<Down>, Failure> {
    for (_, partition) in &forest.domains {
        if let Some(down) = Down::of(state, *partition).await? {
            return Ok(Some(down));
        }
    }
    Ok(None)
}

fn show(status: &Status, system: TargetSystem) {
    for forest in &status.forests {
        println!("forest       {} as {}", forest.forest, forest.account);
        println!("read         {}", forest.ldap);
        if let Some(Down { since, why, again }) = &forest.down {
            let at = |seconds| moment(seconds).unwrap_or_default();
            println!(
                "DOWN         since {}, asked again at {}: {}",
                at(*since),
                at(*again),
                plain(why)
            );
        }
        if status.forests.len() > 1 {
            println!("  objects    {} imported", forest.objects);
        }
        for domain in forest.domains.iter().filter(|_| forest.domains.len() > 1) {
            println!("  domain     {}", domain.line());
        }
    }
    println!("{:<12} {} as application {}", status.system, status.tenant, status.client_id);
    if let Some(proxy) = &status.proxy {
        println!("by           {proxy}");
    }
    println!("objects      {} imported, {} exported", status.objects, status.exported);
    match system {
        TargetSystem::Tenant => {
            println!("credentials  {} up to date in the tenant", status.credentials);
        }
        TargetSystem::Graph => println!("credentials  none: {NO_PASSWORDS}"),
    }
    for Refused { kind, code, count } in &status.refused {
        match code.as_str() {
            UNABLE => println!("not exported {count} of kind {kind}: Graph has no such objects"),
            _ => println!("refused      {count} of kind {kind}: {code}"),
        }
    }
    println!("role         {}", spoken(&status.role));
    if status.staging {
        println!("STAGING      nothing is exported, and no password is replicated");
    }
    for behind in &status.behind {
        let since = behind.since.and_then(moment);
        let since =
            since.map_or_else(String::new, |since| format!(", no domain controller since {since}"));
        println!("BEHIND       {}{since}: nothing is exported until it is", behind.clause());
    }
    for held in &status.held {
        println!("HELD         {held}");
    }
    println!("edition      {}", status.edition);
    for row in &status.rows {
        println!("  {row}");
    }
}

/// What is remembered of the lease, as it is now.
fn role(standing: Option<lease::Standing>) -> lease::Standing {
    let mut standing = standing.unwrap_or_else(lease::Standing::alone);
    let now = portolan_net::clock::now().unix_timestamp();
    if standing.until.is_some_and(|until| until < now) {
        standing.role = "warm".to_owned();
        standing.why = Some("its lease ended, and no process of this server renews it".to_owned());
    }
    standing
}

fn spoken(standing: &lease::Standing) -> String {
    let epoch = standing.epoch.map(|epoch| format!(", epoch {epoch}")).unwrap_or_default();
    let until = standing.until.and_then(moment);
    let until = until.map(|until| format!(", until {until}")).unwrap_or_default();
    let why = standing.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    format!("{}{epoch}{until}{why}", standing.role)
}

/// A moment in seconds since 1970, as it is shown.
fn moment(seconds: i64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(seconds).ok()?.format(&Rfc3339).ok()
}

async fn refused(state: &State, target: ConnectorId) -> Result<Vec<Refused>, Failure> {
    let counts = state.refused_counts(target).await?.into_iter();
    let shown = counts.map(|(kind, code, count)| Refused { kind: kind.as_str(), code, count });
    Ok(shown.collect())
}

/// The rows that connect opens, each with its port, and whether the configuration put it there.
fn rows(chart: &Chart) -> Vec<String> {
    let of_connect = chart.rows_of(Role::Connect).filter(|row| row.from == Role::Connect);
    of_connect
        .map(|row| {
            let configured = if row.configured { " (configured)" } else { "" };
            let (ports, transports) = (row.ports_text(), row.transports_text());
            format!("{} {} {ports} {transports}{configured}", row.flow, row.table)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use portolan_chart::flow;

    use super::*;

    #[test]
    fn a_port_that_is_not_the_chart_s_is_shown_as_configured() {
        let port = std::num::NonZeroU16::new(1389).unwrap();
        let chart = Chart::default_edition().with_port(flow::CONNECT_AD_LDAP, port).unwrap();
        let shown: Vec<_> =
            rows(&chart).into_iter().filter(|row| row.ends_with("(configured)")).collect();
        assert_eq!(shown, ["connect.ad.ldap Table 1 1389 tcp+udp (configured)"]);
    }
}
