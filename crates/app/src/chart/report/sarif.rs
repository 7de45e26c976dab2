//! A report as SARIF ([version 2.1.0]): a rule a row, a result a question.
//!
//! [version 2.1.0]: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html

use portolan_probe::{Finding, Report, RowReport, Standing, Verdict};
use serde_json::{Value, json};

use super::words;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

pub(super) fn report(report: &Report) -> String {
    let results = report.rows.iter().enumerate().flat_map(|(index, row)| {
        row.findings.iter().map(move |finding| result(index, row, finding))
    });
    let document = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "portolan chart check",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": report.rows.iter().map(rule).collect::<Vec<_>>(),
            } },
            "invocations": [{ "executionSuccessful": true }],
            "properties": {
                "edition": report.deployment.chart.in_force().id,
                "role": report.deployment.role.name(),
            },
            "results": results.collect::<Vec<_>>(),
        }],
    });
    format!("{document:#}\n")
}

fn rule(report: &RowReport) -> Value {
    let row = &report.row;
    json!({
        "id": row.flow.name(),
        "shortDescription": { "text": words::row(row) },
        "fullDescription": { "text": row.purpose },
        "help": { "text": words::without(row) },
        "defaultConfiguration": { "level": "error" },
    })
}

fn result(index: usize, report: &RowReport, finding: &Finding) -> Value {
    let verdict = &finding.outcome.verdict;
    // Section 3.27.10: a level other than none is a failure's alone.
    let (kind, level) = match verdict {
        Verdict::Open => ("pass", "none"),
        _ if report.standing() == Standing::Open => ("informational", "none"),
        Verdict::Unjudged { .. } | Verdict::NoRoute => ("open", "none"),
        _ => ("fail", "error"),
    };
    let place = words::place(finding);
    let detail = words::detail(finding);
    let mut text = format!("{} at {place}: {}", words::row(&report.row), verdict.name());
    for part in [Some(detail), words::hint(finding).map(|hint| format!("hint: {hint}"))] {
        if let Some(part) = part.filter(|part| !part.is_empty()) {
            text.push_str("; ");
            text.push_str(&part);
        }
    }
    json!({
        "ruleId": report.row.flow.name(),
        "ruleIndex": index,
        "kind": kind,
        "level": level,
        "message": { "text": text },
        "locations": [{ "logicalLocations": [{ "fullyQualifiedName": place, "kind": "resource" }] }],
        "properties": {
            "verdict": verdict.name(),
            "latencyMilliseconds": u64::try_from(finding.latency.as_millis()).unwrap_or(u64::MAX),
        },
    })
}
