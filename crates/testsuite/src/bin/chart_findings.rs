//! Checks the chart from the host that it runs on, and prints what it found, one line of JSON a finding:
//! for tests, which start it inside a lab's host.
//!
//! `chart_findings EDITION FOREST [FLOW=PORT ...]`

use std::num::NonZeroU16;

use portolan_chart::{Chart, Role};
use portolan_net::{Network, NetworkConfig};
use portolan_probe::{Check, Deployment, Finding, Limits, Verdict};
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("usage: EDITION FOREST [FLOW=PORT ...]");
    let mut chart = Chart::edition(&next()?)?;
    let forest = next()?.parse()?;
    for configured in arguments {
        let (flow, port) = configured.split_once('=').ok_or("FLOW=PORT")?;
        chart = chart.with_port(flow.parse()?, port.parse::<NonZeroU16>()?)?;
    }
    let network = Network::new(NetworkConfig::new(chart.clone(), Role::Connect))?;
    let deployment = Deployment {
        role: Role::Connect,
        chart,
        forest: Some(forest),
        hosts: Vec::new(),
        network,
        trusted: Vec::new(),
        idle: false,
        limits: Limits::default(),
    };
    let report = Check::prepare(deployment).await.run(None).await;
    for finding in report.rows.iter().flat_map(|row| &row.findings) {
        println!("{}", line(finding));
    }
    Ok(())
}

fn line(finding: &Finding) -> Value {
    let Finding { question, outcome, latency } = finding;
    let defects: Vec<_> = match &outcome.verdict {
        Verdict::Faulty(defects) => {
            let defects = defects.iter();
            defects.map(|it| json!({ "kind": it.kind.name(), "text": it.text })).collect()
        }
        _ => Vec::new(),
    };
    json!({
        "flow": question.row.flow.name(),
        "address": question.address,
        "transport": question.transport.name(),
        "verdict": outcome.verdict.name(),
        "said": format!("{:?}", outcome.verdict),
        "defects": defects,
        "notes": outcome.notes,
        "stand_in": outcome.stand_in,
        "latency_ms": u64::try_from(latency.as_millis()).unwrap_or(u64::MAX),
    })
}
