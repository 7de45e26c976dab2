//! One row of the chart checked against a server on loopback.

use std::num::NonZeroU16;
use std::time::Duration;

use portolan_chart::{Chart, Flow, Role};
use portolan_net::{Network, NetworkConfig};
use portolan_probe::{Check, Deployment, Host, Limits, Outcome, Verdict};

use crate::authority::CRL_HOST;
use crate::process::LOOPBACK;

/// What is checked: a row of a role, at the other end of which a host of this name stands.
pub(crate) struct Checked<'a> {
    pub(crate) edition: &'a str,
    pub(crate) flow: Flow,
    pub(crate) to: Role,
    pub(crate) host: &'a str,
    /// Where the rows lead to here.
    pub(crate) ports: &'a [(Flow, u16)],
    pub(crate) trusted: Vec<Vec<u8>>,
    pub(crate) limits: Limits,
    pub(crate) idle: bool,
}

/// Short, so that a peer who says nothing does not hold the tests up.
pub(crate) fn limits() -> Limits {
    Limits { probe_time_max: Duration::from_secs(4), ..Limits::default() }
}

impl Checked<'_> {
    /// What is found on the row; every other row of the role is asked beside it.
    pub(crate) async fn outcome(&self) -> Outcome {
        let chart = Chart::edition(self.edition).unwrap();
        let role = chart.row(self.flow).unwrap().from;
        let chart = self.ports.iter().fold(chart, |chart, (flow, port)| {
            chart.with_port(*flow, NonZeroU16::new(*port).unwrap()).unwrap()
        });
        let names = [self.host, CRL_HOST].into_iter().filter_map(|name| name.parse().ok());
        let hosts = names.map(|name| (name, vec![LOOPBACK])).collect();
        let config = NetworkConfig { hosts, ..NetworkConfig::new(chart.clone(), role) };
        let config = NetworkConfig { name_servers: Some(Vec::new()), ..config };
        let host =
            Host { role: self.to, peer: self.host.parse().unwrap(), addresses: vec![LOOPBACK] };
        let deployment = Deployment {
            role,
            chart,
            forest: None,
            hosts: vec![host],
            network: Network::new(config).unwrap(),
            trusted: self.trusted.clone(),
            idle: self.idle,
            limits: self.limits,
        };
        let mut report = Check::prepare(deployment).await.run(None).await;
        let place = report.rows.iter().position(|row| row.row.flow == self.flow).unwrap();
        report.rows.remove(place).findings.remove(0).outcome
    }
}

/// The verdict's name, what is wrong in words, and the notes: `faulty: certificate: …; [TLS 1.3; …]`.
pub(crate) fn said(outcome: &Outcome) -> String {
    let verdict = &outcome.verdict;
    let details = match verdict {
        Verdict::Faulty(defects) => defects
            .iter()
            .map(|defect| {
                assert!(!defect.hint.is_empty(), "{defect:?} has no hint");
                format!("{}: {}", defect.kind.name(), defect.text)
            })
            .collect::<Vec<_>>()
            .join("; "),
        Verdict::WrongProtocol { heard } => heard.clone(),
        Verdict::Unjudged { why } => why.clone(),
        _ => String::new(),
    };
    format!("{}: {details} [{}]", verdict.name(), outcome.notes.join("; "))
}
