//! A whole check: every question of a role's rows, put at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use portolan_chart::{PortRange, PortsRelation, Role, Row, Speaks, Transport};
use portolan_model::DnsName;
use portolan_net::{clock, dc, entropy};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::{Asker, Deployment, Finding, Host, Outcome, Question, Verdict, probes};

/// A check that is ready to run.
#[derive(Debug)]
pub struct Check {
    deployment: Arc<Deployment>,
    jobs: Vec<Job>,
}

/// A row, a host of its other end, and one port of the row.
#[derive(Debug, Clone)]
struct Job {
    /// Its row's place in the report.
    place: usize,
    row: Row,
    /// Or why none is known.
    host: Result<Host, String>,
    /// None for a row whose ports the endpoint mapper names.
    port: Option<u16>,
    transport: Transport,
}

/// What happens while a check runs.
#[derive(Debug, Clone)]
pub enum Event {
    /// A question was answered; the number is its row's place in the report.
    Found(usize, Finding),
}

/// What a check found.
#[derive(Debug, Clone)]
pub struct Report {
    /// The deployment that was looked at.
    pub deployment: Arc<Deployment>,
    /// Every row of the role, in the chart's order.
    pub rows: Vec<RowReport>,
    /// How long it took.
    pub elapsed: Duration,
}

/// A row and its findings.
#[derive(Debug, Clone)]
pub struct RowReport {
    /// The row.
    pub row: Row,
    /// What was found, in the order of hosts, addresses and ports.
    pub findings: Vec<Finding>,
}

impl RowReport {
    /// Whether the row does its work: at every host each port, or one of them where one is enough, was
    /// open. A row that nobody was asked about does not.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let mut places: BTreeMap<_, Vec<&Finding>> = BTreeMap::new();
        for finding in &self.findings {
            let Question { peer, address, transport, .. } = &finding.question;
            places.entry((peer, address, *transport)).or_default().push(finding);
        }
        let has_no_route =
            |findings: &Vec<&Finding>| findings.iter().all(|finding| finding.has_no_route());
        // A machine without IPv6 does its work by IPv4.
        let peers_with_route: BTreeSet<_> = places
            .iter()
            .filter(|(_, findings)| !has_no_route(findings))
            .map(|((peer, ..), _)| *peer)
            .collect();
        places.retain(|(peer, ..), findings| {
            !(has_no_route(findings) && peers_with_route.contains(peer))
        });
        let is_open = |finding: &&Finding| finding.outcome.verdict.is_open();
        !places.is_empty()
            && places.values().all(|findings| match self.row.ports_relation {
                PortsRelation::All => findings.iter().all(is_open),
                PortsRelation::Any => findings.iter().any(is_open),
            })
    }
}

impl Check {
    /// Works out what is to be asked. The forest's controllers are found here, by DNS.
    pub async fn prepare(deployment: Deployment) -> Self {
        let mut deployment = deployment;
        let mut unfound = None;
        if let (Some(forest), false) =
            (&deployment.forest, deployment.hosts.iter().any(|host| host.role == Role::Forest))
        {
            match controllers(&deployment, forest).await {
                Ok(found) => deployment.hosts.extend(found),
                Err(why) => unfound = Some(why),
            }
        }
        let deployment = Arc::new(deployment);
        let mut jobs = Vec::new();
        for (place, row) in rows(&deployment).enumerate() {
            let hosts = hosts(&deployment, row);
            let ports = ports(row);
            for &transport in &row.transports {
                for port in &ports {
                    let job = |host| Job { place, row: row.clone(), host, port: *port, transport };
                    match (hosts.is_empty(), &unfound) {
                        (true, Some(why)) if row.to == Role::Forest => {
                            jobs.push(job(Err(why.clone())));
                        }
                        (true, _) => {
                            let why = format!("no host of the role {} is known", row.to);
                            jobs.push(job(Err(why)));
                        }
                        (false, _) => jobs.extend(hosts.iter().cloned().map(|host| job(Ok(host)))),
                    }
                }
            }
        }
        Self { deployment, jobs }
    }

    /// Puts every question, and tells of each answer as it comes.
    pub async fn run(self, events: Option<mpsc::UnboundedSender<Event>>) -> Report {
        let begun = clock::monotonic();
        let mut tasks = JoinSet::new();
        for (order, job) in self.jobs.into_iter().enumerate() {
            let deployment = self.deployment.clone();
            let events = events.clone();
            tasks.spawn(async move {
                let findings = ask(&deployment, &job).await;
                for finding in &findings {
                    if let Some(events) = &events {
                        // Nobody listening is no reason to stop.
                        let _ = events.send(Event::Found(job.place, finding.clone()));
                    }
                }
                (job.place, order, findings)
            });
        }
        let mut answers = Vec::new();
        while let Some(joined) = tasks.join_next().await {
            match joined {
                Ok(answer) => answers.push(answer),
                Err(error) => tracing::error!(%error, "A probe did not end"),
            }
        }
        answers.sort_by_key(|(place, order, _)| (*place, *order));
        let row = |row: &Row| RowReport { row: row.clone(), findings: Vec::new() };
        let mut rows: Vec<_> = rows(&self.deployment).map(row).collect();
        for (place, _, findings) in answers {
            if let Some(row) = rows.get_mut(place) {
                row.findings.extend(findings);
            }
        }
        Report { deployment: self.deployment.clone(), rows, elapsed: begun.elapsed() }
    }
}

/// The forest's controllers, by the records that they publish.
async fn controllers(deployment: &Deployment, forest: &DnsName) -> Result<Vec<Host>, String> {
    let limits = deployment.limits;
    let mut rng = entropy::SystemEntropy;
    let found = dc::published(&deployment.network, forest, &mut rng);
    match timeout(limits.probe_time_max, found).await {
        Ok(Ok(mut hosts)) => {
            hosts.truncate(limits.controllers_max);
            let host = |name: DnsName| Host {
                role: Role::Forest,
                peer: name.into(),
                addresses: Vec::new(),
            };
            Ok(hosts.into_iter().map(host).collect())
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("the name servers did not answer for {forest} in time")),
    }
}

/// The rows that the role opens.
fn rows(deployment: &Deployment) -> impl Iterator<Item = &Row> {
    deployment.chart.all().filter(|row| deployment.role.plays(row.from))
}

fn hosts(deployment: &Deployment, row: &Row) -> Vec<Host> {
    deployment.hosts.iter().filter(|host| host.role.plays(row.to)).cloned().collect()
}

/// The ports to be asked about, each alone; one question without a port where the endpoint mapper
/// names them.
fn ports(row: &Row) -> Vec<Option<u16>> {
    match row.speaks {
        Speaks::Rpc => vec![None],
        _ => row.ports.iter().flat_map(|range: &PortRange| range.ports()).map(Some).collect(),
    }
}

/// Asks a job's question at each address of its host.
async fn ask(deployment: &Deployment, job: &Job) -> Vec<Finding> {
    let begun = clock::monotonic();
    let limit = deployment.limits.probe_time_max;
    let host = match &job.host {
        Ok(host) => host,
        Err(why) => {
            let verdict = Verdict::Unjudged { why: why.clone() };
            return vec![finding(job, None, verdict.into(), Duration::ZERO)];
        }
    };
    if deployment.network.is_by_proxy(&job.row) {
        return vec![ask_at(deployment, job, host, None, limit).await];
    }
    let addresses = match host.addresses.is_empty() {
        false => Ok(host.addresses.clone()),
        true => match timeout(limit, deployment.network.addresses_of(&host.peer)).await {
            Ok(addresses) => addresses.map_err(|error| error.to_string()),
            Err(_) => Err(format!("the name {} did not resolve in time", host.peer)),
        },
    };
    let addresses = match addresses {
        Ok(addresses) => addresses,
        Err(why) => {
            return vec![finding(job, None, Verdict::Unjudged { why }.into(), begun.elapsed())];
        }
    };
    let left = limit.saturating_sub(begun.elapsed());
    let mut tasks = Vec::new();
    for address in addresses {
        tasks.push(ask_at(deployment, job, host, Some(address), left));
    }
    futures_util::future::join_all(tasks).await
}

async fn ask_at(
    deployment: &Deployment,
    job: &Job,
    host: &Host,
    address: Option<std::net::IpAddr>,
    limit: Duration,
) -> Finding {
    let begun = clock::monotonic();
    let port = job.port.unwrap_or_else(|| job.row.first_port());
    let asker = Asker::new(deployment, &job.row, &host.peer, address, (port, job.transport));
    let outcome = match timeout(limit, probes::probe(&asker)).await {
        Ok(outcome) => outcome,
        Err(_) => asker.timed_out().into(),
    };
    let latency = begun.elapsed();
    let outcome = match deployment.idle && probes::idle::matters(&asker) {
        true => probes::idle::measure(&asker, outcome).await,
        false => outcome,
    };
    finding(job, address, outcome, latency)
}

fn finding(
    job: &Job,
    address: Option<std::net::IpAddr>,
    outcome: Outcome,
    latency: Duration,
) -> Finding {
    let question = Question {
        row: job.row.clone(),
        peer: job.host.as_ref().ok().map(|host| host.peer.clone()),
        address,
        port: job.port,
        transport: job.transport,
    };
    Finding { question, outcome, latency }
}
