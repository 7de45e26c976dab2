//! The checks of the chart's forest rows against servers that nobody here wrote, good ones and wrong ones.

mod dns;
mod hostile;
mod kerberos;
mod others;

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use portolan_chart::{Chart, Flow, Role, Transport};
use portolan_net::{Network, NetworkConfig};
use portolan_probe::{Check, DefectKind, Deployment, Host, Limits, Outcome, Report, Verdict};

use crate::directory::HOST;
use crate::process::LOOPBACK;

/// The forest that is looked for.
const FOREST: &str = "corp.example";
/// An edition that has every row of the forest.
const EDITION: &str = "2025-04-09";

/// Checks a controller whose rows have these ports.
async fn check(forest: &str, ports: &[(Flow, u16)], limits: Limits) -> Report {
    let chart = ports.iter().fold(Chart::edition(EDITION).unwrap(), |chart, (flow, port)| {
        chart.with_port(*flow, NonZeroU16::new(*port).unwrap()).unwrap()
    });
    let config = NetworkConfig {
        hosts: BTreeMap::from([(HOST.parse().unwrap(), vec![LOOPBACK])]),
        name_servers: Some(vec![LOOPBACK]),
        ..NetworkConfig::new(chart.clone(), Role::Connect)
    };
    let peer = HOST.parse().unwrap();
    let deployment = Deployment {
        role: Role::Connect,
        chart,
        forest: Some(forest.parse().unwrap()),
        hosts: vec![Host { role: Role::Forest, peer, addresses: vec![LOOPBACK] }],
        network: Network::new(config).unwrap(),
        trusted: Vec::new(),
        idle: false,
        limits,
    };
    Check::prepare(deployment).await.run(None).await
}

/// What was found on one row.
fn found(report: &Report, flow: Flow, transport: Transport) -> &Outcome {
    let row = report.rows.iter().find(|row| row.row.flow == flow).unwrap();
    let mut findings =
        row.findings.iter().filter(|finding| finding.question.transport == transport);
    let finding = findings.next().unwrap();
    assert!(findings.next().is_none(), "one host, one port");
    &finding.outcome
}

/// What was found at one port.
async fn look(flow: Flow, transport: Transport, port: u16) -> Outcome {
    let report = check(FOREST, &[(flow, port)], Limits::default()).await;
    found(&report, flow, transport).clone()
}

/// The defects of an outcome; none of an open one.
fn defects(outcome: &Outcome) -> Vec<(DefectKind, &str)> {
    match &outcome.verdict {
        Verdict::Open => Vec::new(),
        Verdict::Faulty(defects) => {
            defects.iter().map(|defect| (defect.kind, defect.text.as_str())).collect()
        }
        other => panic!("{other:?}, {:?}", outcome.notes),
    }
}

/// The one defect of an outcome.
fn defect(outcome: &Outcome) -> (DefectKind, &str) {
    let defects = defects(outcome);
    assert_eq!(defects.len(), 1, "{outcome:?}");
    defects[0]
}
