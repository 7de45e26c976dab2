//! A whole check: every question of a role's rows, put at once.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, join_all};
use portolan_chart::{Flow, PortRange, Requirement, Role, Row, Speaks, Transport};
use portolan_model::DnsName;
use portolan_net::{clock, dc, entropy};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::report::{Report, RowReport};
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
    host: Known,
    /// None for a row whose ports the endpoint mapper names.
    port: Option<u16>,
    transport: Transport,
}

/// What is known of the other end of a row.
#[derive(Debug, Clone)]
enum Known {
    /// This host.
    Host(Host),
    /// The forest's controllers, which DNS is asked for.
    Controllers,
    /// Nobody, and why.
    Nobody(String),
}

/// The deployment with the forest's controllers in it, or why they were not found.
type Found = Shared<BoxFuture<'static, Result<Arc<Deployment>, String>>>;

/// What a probe is to a check.
trait Probe: Clone + Send + Sync + 'static {
    fn ask<'a>(&self, asker: &'a Asker<'a>) -> BoxFuture<'a, Outcome>;
}

/// The probes of every protocol.
#[derive(Debug, Clone, Copy)]
struct BySpeaks;

impl Probe for BySpeaks {
    fn ask<'a>(&self, asker: &'a Asker<'a>) -> BoxFuture<'a, Outcome> {
        Box::pin(probes::probe(asker))
    }
}

/// What happens while a check runs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A question was answered; the number is its row's place in the report.
    Found(usize, Finding),
    /// The last question of a row was answered.
    Row(usize, RowReport),
}

impl Check {
    /// Works out what is to be asked. Nothing is sent yet: the forest's controllers are looked for while
    /// the other rows are asked.
    #[expect(
        clippy::unused_async,
        reason = "callers need not change when it has something to wait for"
    )]
    pub async fn prepare(deployment: Deployment) -> Self {
        Self::of(deployment, &BTreeMap::new())
    }

    /// As [`Check::prepare`], with hosts that stand at the other end of one link and of no other one of
    /// their role: a tenant's revocation lists have a host of their own.
    #[must_use]
    pub fn of(deployment: Deployment, by_flow: &BTreeMap<Flow, Vec<Host>>) -> Self {
        let mut jobs = Vec::new();
        for (place, row) in deployment.rows().enumerate() {
            let hosts: Vec<_> = match by_flow.get(&row.flow) {
                Some(hosts) => hosts.iter().cloned().map(Known::Host).collect(),
                None => deployment.hosts_of(row).cloned().map(Known::Host).collect(),
            };
            let known = match (hosts.is_empty(), row.to, &deployment.forest) {
                (false, ..) => hosts,
                (true, Role::Forest, Some(_)) => vec![Known::Controllers],
                (true, ..) => vec![Known::Nobody(nobody(row))],
            };
            for &transport in &row.transports {
                for port in ports(row) {
                    let row = || row.clone();
                    let job = |host: &Known| Job {
                        place,
                        row: row(),
                        host: host.clone(),
                        port,
                        transport,
                    };
                    jobs.extend(known.iter().map(job));
                }
            }
        }
        Self { deployment: Arc::new(deployment), jobs }
    }

    /// How many questions it has, as far as the hosts are known.
    #[must_use]
    pub fn questions(&self) -> usize {
        self.jobs.len()
    }

    /// How many rows it has.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.deployment.rows().count()
    }

    /// Puts every question, and tells of each answer as it comes.
    pub async fn run(self, events: Option<mpsc::UnboundedSender<Event>>) -> Report {
        self.run_with(events, BySpeaks).await
    }

    async fn run_with(
        self,
        events: Option<mpsc::UnboundedSender<Event>>,
        probe: impl Probe,
    ) -> Report {
        let begun = clock::monotonic();
        let found = controllers_of(self.deployment.clone());
        let tell = |event| {
            if let Some(events) = &events {
                // Nobody listening is no reason to stop.
                let _ = events.send(event);
            }
        };
        let mut rows: Vec<_> = self.deployment.rows().cloned().map(Pending::of).collect();
        let mut tasks = JoinSet::new();
        let mut running = BTreeMap::new();
        for (order, job) in self.jobs.into_iter().enumerate() {
            if let Some(row) = rows.get_mut(job.place) {
                row.left += 1;
            }
            let (found, deployment) = (found.clone(), self.deployment.clone());
            let (probe, at_work) = (probe.clone(), job.clone());
            let task = async move { ask(deployment, found, &at_work, begun, &probe).await };
            running.insert(tasks.spawn(task).id(), (order, job));
        }
        while let Some(joined) = tasks.join_next_with_id().await {
            let (id, findings) = match joined {
                Ok((id, findings)) => (id, Some(findings)),
                Err(error) => (error.id(), None),
            };
            let Some((order, job)) = running.remove(&id) else { continue };
            // A probe that panics is a defect of ours, and its row must not look as if it had none.
            let findings = findings.unwrap_or_else(|| vec![broken(&job, begun.elapsed())]);
            for finding in &findings {
                tell(Event::Found(job.place, finding.clone()));
            }
            let Some(row) = rows.get_mut(job.place) else { continue };
            if let Some(report) = row.answered(order, findings) {
                tell(Event::Row(job.place, report));
            }
        }
        let deployment = match found.now_or_never() {
            Some(Ok(deployment)) => deployment,
            _ => self.deployment,
        };
        let rows = rows.into_iter().map(|row| row.report()).collect();
        Report { deployment, rows, elapsed: begun.elapsed() }
    }
}

/// A row some of whose questions are not answered yet.
struct Pending {
    row: Row,
    left: usize,
    findings: BTreeMap<usize, Vec<Finding>>,
}

impl Pending {
    const fn of(row: Row) -> Self {
        Self { row, left: 0, findings: BTreeMap::new() }
    }

    /// Takes a job's findings; gives the row when they were the last.
    fn answered(&mut self, order: usize, findings: Vec<Finding>) -> Option<RowReport> {
        self.findings.insert(order, findings);
        self.left = self.left.saturating_sub(1);
        (self.left == 0).then(|| self.report())
    }

    fn report(&self) -> RowReport {
        let findings = self.findings.values().flatten().cloned().collect();
        RowReport { row: self.row.clone(), findings }
    }
}

/// Looks for the controllers once, for all rows that need them.
fn controllers_of(deployment: Arc<Deployment>) -> Found {
    async move {
        let Some(forest) = &deployment.forest else { return Ok(deployment) };
        if deployment.hosts.iter().any(|host| host.role == Role::Forest) {
            return Ok(deployment);
        }
        let found = controllers(&deployment, forest).await?;
        let mut deployment = Deployment::clone(&deployment);
        deployment.hosts.extend(found);
        Ok(Arc::new(deployment))
    }
    .boxed()
    .shared()
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

/// Why nobody is asked about a row.
fn nobody(row: &Row) -> String {
    match row.requirement {
        Requirement::Required => format!("no host of the role {} is known", row.to),
        other => format!("{other}, and no host of the role {} is known", row.to),
    }
}

/// The ports to be asked about, each alone; one question without a port where the endpoint mapper
/// names them.
fn ports(row: &Row) -> Vec<Option<u16>> {
    match row.speaks {
        Speaks::Rpc => vec![None],
        _ => row.ports.iter().flat_map(|range: &PortRange| range.ports()).map(Some).collect(),
    }
}

/// Asks a job's question at each address of its host, or of each controller that was found.
async fn ask(
    deployment: Arc<Deployment>,
    found: Found,
    job: &Job,
    begun: Instant,
    probe: &impl Probe,
) -> Vec<Finding> {
    let unjudged = |why: String| {
        let outcome = Verdict::Unjudged { why }.into();
        vec![finding(job, None, None, outcome, begun.elapsed())]
    };
    match &job.host {
        Known::Nobody(why) => unjudged(why.clone()),
        Known::Host(host) => ask_host(&deployment, job, host, begun, probe).await,
        Known::Controllers if job.row.speaks == Speaks::Dns => {
            // What is wrong with the name servers is what keeps the controllers from being found.
            let soon = timeout(deployment.limits.probe_time_max / 4, found.clone()).await;
            let (servers, why) = match soon {
                Ok(Ok(deployment)) => {
                    let hosts: Vec<_> = deployment.hosts_of(&job.row).cloned().collect();
                    (hosts, "the forest publishes no controller".to_owned())
                }
                Ok(Err(why)) => (name_servers(&deployment), why),
                Err(_) => (name_servers(&deployment), "this host has no name server".to_owned()),
            };
            let asked = servers.iter().map(|host| ask_host(&deployment, job, host, begun, probe));
            let findings: Vec<_> = join_all(asked).await.into_iter().flatten().collect();
            if findings.is_empty() { unjudged(why) } else { findings }
        }
        Known::Controllers => match found.await {
            Err(why) => unjudged(why),
            Ok(deployment) => {
                let hosts = deployment.hosts_of(&job.row);
                let asked = hosts.map(|host| ask_host(&deployment, job, host, begun, probe));
                let findings: Vec<_> = join_all(asked).await.into_iter().flatten().collect();
                match findings.is_empty() {
                    true => unjudged("the forest publishes no controller".to_owned()),
                    false => findings,
                }
            }
        },
    }
}

/// This host's name servers, as those that the forest's DNS row leads to.
fn name_servers(deployment: &Deployment) -> Vec<Host> {
    let servers = deployment.network.name_servers().iter().take(deployment.limits.controllers_max);
    let host = |address: &IpAddr| Host {
        role: Role::Forest,
        peer: (*address).into(),
        addresses: vec![*address],
    };
    servers.map(host).collect()
}

async fn ask_host(
    deployment: &Deployment,
    job: &Job,
    host: &Host,
    begun: Instant,
    probe: &impl Probe,
) -> Vec<Finding> {
    let limit = deployment.limits.probe_time_max;
    let end = limit + FINDING_TIME_MAX;
    if deployment.network.is_by_proxy(&job.row) {
        return vec![ask_at(deployment, job, host, None, limit, probe).await];
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
            let outcome = Verdict::Unjudged { why }.into();
            return vec![finding(job, Some(host), None, outcome, begun.elapsed())];
        }
    };
    // What finding the peer took is taken from what its probe has, beyond the grace for it.
    let left = end.saturating_sub(begun.elapsed()).min(limit);
    let asked =
        addresses.into_iter().map(|at| ask_at(deployment, job, host, Some(at), left, probe));
    join_all(asked).await
}

async fn ask_at(
    deployment: &Deployment,
    job: &Job,
    host: &Host,
    address: Option<IpAddr>,
    limit: Duration,
    probe: &impl Probe,
) -> Finding {
    let begun = clock::monotonic();
    let port = job.port.unwrap_or_else(|| job.row.first_port());
    let asker = Asker::new(deployment, &job.row, &host.peer, address, (port, job.transport));
    let outcome = match timeout(limit, probe.ask(&asker)).await {
        Ok(outcome) => outcome,
        // Silence means something only after a fair wait.
        Err(_) if limit * 2 < deployment.limits.probe_time_max => {
            let why = format!("finding {} left too little time to ask it", host.peer);
            Verdict::Unjudged { why }.into()
        }
        Err(_) => asker.timed_out().into(),
    };
    let latency = begun.elapsed();
    let outcome = match deployment.idle && probes::idle::matters(&asker) {
        true => probes::idle::measure(&asker, outcome).await,
        false => outcome,
    };
    finding(job, Some(host), address, outcome, latency)
}

fn finding(
    job: &Job,
    host: Option<&Host>,
    address: Option<IpAddr>,
    outcome: Outcome,
    latency: Duration,
) -> Finding {
    let question = Question {
        row: job.row.clone(),
        peer: host.map(|host| host.peer.clone()),
        address,
        port: job.port,
        transport: job.transport,
    };
    Finding { question, outcome, latency }
}

/// For a probe that did not end as one does.
fn broken(job: &Job, elapsed: Duration) -> Finding {
    let host = match &job.host {
        Known::Host(host) => Some(host),
        _ => None,
    };
    let why = "its probe failed, which is a defect of portolan: see the log".to_owned();
    finding(job, host, None, Verdict::Unjudged { why }.into(), elapsed)
}

/// What the names of peers may take without shortening the probes: with it, a whole check ends within the
/// time of one probe and a second.
const FINDING_TIME_MAX: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests;
