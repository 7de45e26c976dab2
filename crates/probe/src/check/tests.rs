//! The engine alone: probes that wait, panic or never end, in place of those of the protocols.

use portolan_chart::Chart;
use portolan_net::{Network, NetworkConfig};
use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::{Limits, Standing};

/// A probe that a test makes up.
#[derive(Clone)]
struct Made<F>(F);

impl<F> Probe for Made<F>
where
    F: for<'a> Fn(&'a Asker<'a>) -> BoxFuture<'a, Outcome> + Clone + Send + Sync + 'static,
{
    fn ask<'a>(&self, asker: &'a Asker<'a>) -> BoxFuture<'a, Outcome> {
        (self.0)(asker)
    }
}

fn made<F>(probe: F) -> Made<F>
where
    F: for<'a> Fn(&'a Asker<'a>) -> BoxFuture<'a, Outcome> + Clone + Send + Sync + 'static,
{
    Made(probe)
}

const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const PROBE_TIME_MAX: Duration = Duration::from_millis(1500);

fn deployment(hosts: &[(Role, usize)]) -> Deployment {
    let chart = Chart::default_edition();
    let config = NetworkConfig::new(chart.clone(), Role::Connect);
    let network = Network::new(NetworkConfig { name_servers: Some(vec![LOOPBACK]), ..config });
    let host = |role, addresses| Host {
        role,
        peer: "host.corp.example".parse().unwrap(),
        addresses: vec![LOOPBACK; addresses],
    };
    Deployment {
        role: Role::Connect,
        chart,
        forest: None,
        hosts: hosts.iter().map(|(role, addresses)| host(*role, *addresses)).collect(),
        network: network.unwrap(),
        trusted: Vec::new(),
        idle: false,
        limits: Limits { probe_time_max: PROBE_TIME_MAX, ..Limits::default() },
    }
}

fn row(report: &Report, speaks: Speaks) -> &RowReport {
    report.rows.iter().find(|row| row.row.speaks == speaks).unwrap()
}

#[tokio::test]
async fn a_check_ends_soon_after_its_slowest_probe() {
    let slowest = Duration::from_millis(600);
    let probe = made(move |asker| {
        let share = u32::from(asker.port() % 7);
        Box::pin(async move {
            tokio::time::sleep(slowest * share / 6).await;
            Verdict::Open.into()
        })
    });
    let check = Check::prepare(deployment(&[(Role::Forest, 2), (Role::Tenant, 1)])).await;
    let report = check.run_with(None, probe).await;
    let most = slowest.mul_f64(1.5) + Duration::from_millis(250);
    assert!(report.elapsed < most, "{:?}", report.elapsed);
    let judged = report.rows.iter().filter(|row| row.standing() == Standing::Open).count();
    let known = |row: &&RowReport| matches!(row.row.to, Role::Forest | Role::Tenant);
    assert_eq!(judged, report.rows.iter().filter(known).count());
}

#[tokio::test]
async fn two_hundred_rows_that_never_answer_end_with_the_time_of_one_probe() {
    let silent = made(|_| Box::pin(std::future::pending()));
    let check = Check::prepare(deployment(&[(Role::Forest, 14), (Role::Tenant, 14)])).await;
    let report = check.run_with(None, silent).await;
    let asked = report.rows.iter().flat_map(|row| &row.findings);
    let filtered = asked.filter(|finding| finding.outcome.verdict == Verdict::Filtered).count();
    assert!(filtered >= 200, "{filtered} questions");
    let most = PROBE_TIME_MAX + Duration::from_secs(1);
    assert!(report.elapsed < most, "{:?}", report.elapsed);
}

/// The name server is dead too, as on a machine whose every row is closed.
#[tokio::test]
#[expect(clippy::disallowed_types, reason = "a name server that never answers is on no chart")]
async fn a_forest_whose_controllers_are_not_found_takes_no_longer() {
    let silent = std::net::UdpSocket::bind((LOOPBACK, 0)).unwrap();
    let port = std::num::NonZeroU16::new(silent.local_addr().unwrap().port()).unwrap();
    let mut deployment = deployment(&[(Role::Tenant, 1)]);
    let chart = deployment.chart.clone();
    let chart = chart.with_port(portolan_chart::flow::CONNECT_AD_DNS, port).unwrap();
    let config = NetworkConfig::new(chart.clone(), Role::Connect);
    let network = Network::new(NetworkConfig { name_servers: Some(vec![LOOPBACK]), ..config });
    (deployment.chart, deployment.network) = (chart, network.unwrap());
    deployment.forest = Some("corp.example".parse().unwrap());
    let never = made(|_| Box::pin(std::future::pending()));
    let report = Check::prepare(deployment).await.run_with(None, never).await;
    assert!(report.elapsed < PROBE_TIME_MAX + Duration::from_secs(1), "{:?}", report.elapsed);
    assert_eq!(row(&report, Speaks::Kerberos).standing(), Standing::Unjudged);
    assert_eq!(row(&report, Speaks::Https).standing(), Standing::Closed);
}

#[tokio::test]
async fn a_probe_that_panics_leaves_its_row_unjudged() {
    let probe = made(|asker| {
        assert!(asker.row().speaks != Speaks::Kerberos, "the test's own panic");
        Box::pin(std::future::ready(Verdict::Open.into()))
    });
    let (tell, mut told) = mpsc::unbounded_channel();
    let check = Check::prepare(deployment(&[(Role::Forest, 1)])).await;
    let report = check.run_with(Some(tell), probe).await;
    let kerberos = row(&report, Speaks::Kerberos);
    assert_eq!(kerberos.standing(), Standing::Unjudged);
    assert_eq!(kerberos.findings.len(), kerberos.row.transports.len());
    assert_eq!(row(&report, Speaks::Ldap).standing(), Standing::Open);
    let mut ended = 0;
    while let Some(event) = told.recv().await {
        ended += usize::from(matches!(event, Event::Row(..)));
    }
    assert_eq!(ended, report.rows.len(), "every row is told of once");
}

#[tokio::test]
async fn an_endless_peer_is_read_up_to_the_limit_and_not_beyond() {
    let listener = tokio::net::TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move { while stream.write_all(&[b'a'; 4096]).await.is_ok() {} });
        }
    });
    let probe = made(move |asker| {
        Box::pin(async move {
            // Two connections, and each of them is below the limit.
            for _ in 0..2 {
                let mut connection = match asker.connect_to(port).await {
                    Ok(connection) => connection,
                    Err(verdict) => return verdict.into(),
                };
                let half = asker.deployment().limits.octets_max / 2;
                let mut read = 0;
                while read <= half {
                    match asker.read(&mut connection.stream).await {
                        Ok(octets) => read += octets.len(),
                        Err(verdict) => return verdict.into(),
                    }
                }
            }
            Verdict::Open.into()
        })
    });
    let report = Check::prepare(deployment(&[(Role::Forest, 1)])).await.run_with(None, probe).await;
    let heard = format!("more than {} octets", Limits::default().octets_max);
    let expected = Verdict::WrongProtocol { heard };
    assert_eq!(row(&report, Speaks::Kerberos).findings[0].outcome.verdict, expected);
}
