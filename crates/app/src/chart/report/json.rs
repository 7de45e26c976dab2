//! A report as JSON. The names here are an interface: programs read them.

use portolan_net::Peer;
use portolan_probe::{Defect, Finding, Report, RowReport, Standing, Verdict};
use serde_json::{Value, json};

use super::words;

/// The version of these names; it grows when one goes or changes its meaning.
const SCHEMA: u32 = 1;

/// One document: the rows with their findings, and how many stand how.
pub(super) fn report(report: &Report) -> String {
    let count = |standing| report.standing(standing).count();
    let document = json!({
        "schema": SCHEMA,
        "edition": report.deployment.chart.in_force().id,
        "role": report.deployment.role.name(),
        "elapsed_ms": milliseconds(report.elapsed),
        "open": count(Standing::Open),
        "closed": count(Standing::Closed),
        "not_judged": count(Standing::Unjudged),
        "summary": words::summary(report),
        "rows": report.rows.iter().map(row).collect::<Vec<_>>(),
    });
    format!("{document:#}\n")
}

fn row(report: &RowReport) -> Value {
    let row = &report.row;
    json!({
        "flow": row.flow.name(),
        "row": words::row(row),
        "table": row.table.to_string(),
        "number": row.number,
        "from": row.from.name(),
        "to": row.to.name(),
        "protocol": row.protocol,
        "speaks": row.speaks.name(),
        "requirement": row.requirement.name(),
        "standing": match report.standing() {
            Standing::Open => "open",
            Standing::Closed => "closed",
            Standing::Unjudged => "not-judged",
        },
        "purpose": row.purpose,
        "without": words::without(row),
        "latency_ms": milliseconds(report.latency()),
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn finding(finding: &Finding) -> Value {
    let (question, outcome) = (&finding.question, &finding.outcome);
    let defects = match &outcome.verdict {
        Verdict::Faulty(defects) => defects.as_slice(),
        _ => &[],
    };
    json!({
        "peer": question.peer.as_ref().map(Peer::to_string),
        "address": question.address,
        "port": question.port,
        "transport": question.transport.name(),
        "verdict": outcome.verdict.name(),
        "latency_ms": milliseconds(finding.latency),
        "heard": match &outcome.verdict {
            Verdict::WrongProtocol { heard } => Some(heard),
            _ => None,
        },
        "why": match &outcome.verdict {
            Verdict::Unjudged { why } => Some(why),
            _ => None,
        },
        "defects": defects.iter().map(defect).collect::<Vec<_>>(),
        "notes": outcome.notes,
        "clock_skew_seconds": outcome.figures.clock_skew_seconds,
        "certificate_days_left": outcome.figures.certificate_days_left,
        "stand_in": outcome.stand_in,
        "hint": words::hint(finding),
    })
}

fn defect(defect: &Defect) -> Value {
    json!({ "kind": defect.kind.name(), "text": defect.text, "hint": defect.hint })
}

fn milliseconds(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
