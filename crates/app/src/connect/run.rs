//! `portolan connect run`, `plan` and `status`: one synchronisation after the other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portolan_chart::flow;
use portolan_model::{DnsName, SecretString, SourceAnchor};
use portolan_net::Network;
use portolan_net::tls::Fingerprint;
use portolan_store::connector_space::ConnectorSpace;
use portolan_sync::flow::{TenantObject, Value};
use portolan_sync::plan::{Change, Input, Plan};
use portolan_tenant::wire::TenantResponse;
use serde::Serialize;

use super::config::Config;
use super::credentials::{self, Replicated};
use super::export::{self, Refused};
use super::forest::{self, Forest};
use super::import::{self, Imported};
use super::steps::Steps;
use super::tenant_client::{self, Tenant};
use crate::report::Failure;
use crate::terminal::plain;

/// What `connect run` is told.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// The state directory that `connect init` wrote
    #[arg(long, default_value = super::STATE)]
    state: PathBuf,
    /// Synchronise once and end; without it, again and again until it is told to stop
    #[arg(long)]
    once: bool,
    /// Seconds between two synchronisations
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    interval: u64,
    /// Let this many deletions of a kind through, above what goes without a word
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    allow_deletions: usize,
    /// Print the summary as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// What `connect plan` is told.
#[derive(Debug, clap::Args)]
pub struct Look {
    /// The state directory that `connect init` wrote
    #[arg(long, default_value = super::STATE)]
    state: PathBuf,
    /// Print as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// What a synchronisation did.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    imported: Imported,
    added: usize,
    updated: usize,
    deleted: usize,
    left_out: usize,
    refused: Vec<Refused>,
    warnings: Vec<String>,
    errors: Vec<String>,
    credentials: Replicated,
}

/// Everything that a run works with.
struct Server {
    config: Config,
    network: Network,
    space: ConnectorSpace,
    tenant: Tenant,
}

impl Server {
    async fn open(state: &Path) -> Result<Self, Failure> {
        let config = Config::read(state)?;
        let network = forest::network(&config.edition)?;
        let space = ConnectorSpace::open(&state.join("connector-space.db")).await?;
        let client = tenant_client::client(&network, Fingerprint::new(config.ca_sha256));
        let key = super::key::read(&config.key_file)?;
        let tenant = Tenant::new(client, &config, key)?;
        Ok(Self { config, network, space, tenant })
    }

    /// The password as the run's own copy, wiped with it.
    fn password(&self) -> SecretString {
        self.config.password.clone()
    }

    /// Reads the forest, and plans what the tenant lacks.
    async fn prepare(&mut self, steps: &Steps) -> Result<(Forest, Imported, Planned), Failure> {
        let domain = self.config.forest_domain.clone();
        let account = &self.config.account;
        let forest = Forest::find(&self.network, &domain, account, self.password(), steps).await?;
        let mut connection = forest.ldap(steps).await?;
        let imported = import::full(&mut connection, &domain, &self.space).await?;
        // The import is whole: how the controller takes the goodbye changes nothing.
        let _ = connection.close().await;
        let chart = self.network.chart();
        let read = format!(
            "imported {} users, {} groups with {} members, {} organizational units",
            imported.users, imported.groups, imported.members, imported.organizational_units
        );
        steps.over(chart, flow::CONNECT_AD_LDAP, &read);

        let domains = self.tenant.domains().await?;
        let chart = self.network.chart();
        let reached = format!("signed in to tenant {} by its own key", domains.tenant_id);
        steps.over(chart, flow::CONNECT_TENANT_CRL, "the tenant's certificate is not revoked");
        steps.over(chart, flow::CONNECT_TENANT_SYNC, &reached);
        let planned = self.plan(&domains).await?;
        Ok((forest, imported, planned))
    }

    async fn plan(&self, domains: &TenantResponse) -> Result<Planned, Failure> {
        let objects = self.space.objects().await?;
        let fixed_anchors = self.space.anchors().await?;
        let exported = self.space.exported().await?;
        let initial_domain = domain(&domains.initial_domain)?;
        let mut verified = vec![initial_domain.clone()];
        for name in &domains.verified_domains {
            verified.push(domain(name)?);
        }
        let plan = Plan::compute(&Input {
            objects: &objects,
            fixed_anchors: &fixed_anchors,
            exported: &exported,
            forest_domain: &self.config.forest_domain,
            initial_domain: &initial_domain,
            verified_domains: &verified,
        });
        Ok(Planned { plan, exported })
    }

    /// One whole synchronisation.
    async fn synchronise(&mut self, allowed: usize, steps: &Steps) -> Result<Summary, Failure> {
        let (forest, imported, Planned { plan, exported }) = self.prepare(steps).await?;
        plan.check_deletions(&exported, allowed).map_err(|error| Failure::from(error).lasting())?;
        self.space.fix_anchors(&plan.anchors).await?;
        let refused = export::changes(&mut self.tenant, &self.space, &plan.changes).await?;
        let (added, updated, deleted) = plan.counts();
        let sent = format!(
            "exported {added} new, {updated} changed, {deleted} deleted; {} refused",
            refused.len()
        );
        steps.over(self.network.chart(), flow::CONNECT_TENANT_SYNC, &sent);

        let replica = forest.replica(steps).await?;
        let domain = &self.config.forest_domain;
        let credentials =
            credentials::replicate(replica, domain, &plan, &self.space, &mut self.tenant).await?;
        let read = format!(
            "replicated {} objects, {} of them with a password in scope",
            credentials.objects, credentials.hashes
        );
        steps.over(self.network.chart(), flow::CONNECT_AD_RPC, &read);
        let sent = format!("sent {} credentials (PPH1_MD4)", credentials.sent);
        steps.over(self.network.chart(), flow::CONNECT_TENANT_SYNC, &sent);
        Ok(Summary {
            imported,
            added,
            updated,
            deleted,
            left_out: plan.left_out.values().sum(),
            refused,
            warnings: plan
                .warnings
                .iter()
                .map(|(dn, warning)| format!("{dn}: {warning}"))
                .collect(),
            errors: plan.errors.iter().map(ToString::to_string).collect(),
            credentials,
        })
    }
}

/// What the tenant acknowledged, by anchor.
type Exported = BTreeMap<SourceAnchor, TenantObject>;

/// A plan, and what it was held against.
struct Planned {
    plan: Plan,
    exported: Exported,
}

fn domain(name: &str) -> Result<DnsName, Failure> {
    name.parse().map_err(|error| Failure::because("the tenant names a domain that is none", &error))
}

/// Runs `connect run`.
pub(super) async fn run(run: Run) -> Result<(), Failure> {
    let mut server = Server::open(&run.state).await?;
    if run.once {
        let steps = Steps::begin();
        let summary = server.synchronise(run.allow_deletions, &steps).await?;
        return report(&summary, run.json, &steps);
    }
    // A run that is broken off loses nothing: what the tenant acknowledged is in the space.
    tokio::select! {
        failure = keep_running(&mut server, &run) => Err(failure),
        stopped = crate::signal::stop() => stopped,
    }
}

/// Synchronises again and again, until something fails that another attempt cannot mend.
async fn keep_running(server: &mut Server, run: &Run) -> Failure {
    loop {
        let steps = Steps::begin();
        let outcome = server.synchronise(run.allow_deletions, &steps).await;
        match outcome.and_then(|summary| report(&summary, run.json, &steps)) {
            Ok(()) => {}
            Err(failure) if failure.is_lasting() => return failure,
            Err(failure) => eprint!("{}", failure.render()),
        }
        tokio::time::sleep(Duration::from_secs(run.interval)).await;
    }
}

fn report(summary: &Summary, json: bool, steps: &Steps) -> Result<(), Failure> {
    for line in summary.warnings.iter().chain(&summary.errors) {
        steps.say(None, &format!("note: {line}"));
    }
    for refused in summary.refused.iter().chain(&summary.credentials.refused) {
        steps.say(None, &format!("refused: {}: {}", refused.anchor, refused.why));
    }
    if json {
        print_json(summary)?;
    }
    Ok(())
}

fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::because("cannot write the summary", &error))?;
    println!("{text}");
    Ok(())
}

/// One change, as `connect plan` shows it.
#[derive(Serialize)]
struct Shown {
    change: &'static str,
    kind: &'static str,
    anchor: String,
    name: Option<String>,
}

/// Runs `connect plan`: reads the forest and shows what would be exported; the tenant is only asked
/// for its domains.
pub(super) async fn plan(look: Look) -> Result<(), Failure> {
    let mut server = Server::open(&look.state).await?;
    let steps = Steps::begin();
    let (_, _, Planned { plan, exported }) = server.prepare(&steps).await?;
    let shown: Vec<_> = plan.changes.iter().map(|change| show(change, &exported)).collect();
    if look.json {
        return print_json(&shown);
    }
    for line in &shown {
        println!(
            "{:<7} {:<6} {}  {}",
            line.change,
            line.kind,
            line.anchor,
            plain(line.name.as_deref().unwrap_or("-"))
        );
    }
    let (added, updated, deleted) = plan.counts();
    println!("{added} to add, {updated} to change, {deleted} to delete");
    for (rule, count) in &plan.left_out {
        println!("{count} left out: {rule}");
    }
    Ok(())
}

fn show(change: &Change, exported: &Exported) -> Shown {
    let (word, anchor, kind, object) = match change {
        Change::Add(object) => ("add", &object.anchor, object.kind, Some(object)),
        Change::Update(object) => ("change", &object.anchor, object.kind, Some(object)),
        Change::Delete { anchor, kind } => ("delete", anchor, *kind, exported.get(anchor)),
    };
    let name = match object.and_then(|object| object.attributes.get("displayName")) {
        Some(Value::Text(name)) => Some(name.clone()),
        _ => None,
    };
    Shown { change: word, kind: kind.as_str(), anchor: anchor.to_string(), name }
}

/// The state of this server.
#[derive(Serialize)]
struct Status {
    edition: String,
    forest: String,
    account: String,
    tenant: String,
    client_id: String,
    objects: usize,
    exported: usize,
    credentials: usize,
    rows: Vec<String>,
}

/// Runs `connect status`: from the state directory alone, without the network.
pub(super) async fn status(look: Look) -> Result<(), Failure> {
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
        objects: space.objects().await?.len(),
        exported: space.exported().await?.len(),
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
