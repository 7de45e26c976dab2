//! A report as lines for people: a line a row, and below it what is not open.

use std::fmt::Write as _;

use portolan_chart::{Requirement, Row};
use portolan_probe::{Finding, Report, RowReport, Standing};

use super::words;
use crate::terminal::plain;

/// The whole report, for a file.
pub(super) fn report(report: &Report) -> String {
    let mut out = lines(report);
    if let Some(summary) = words::summary(report) {
        let _ = writeln!(out, "{summary}");
    }
    out
}

/// The rows and the figures. On a terminal the summary is the error that the check ends with.
pub(in crate::chart) fn lines(report: &Report) -> String {
    let mut out: String = report.rows.iter().map(row).collect();
    out.push_str(&end(report));
    out
}

/// What stands below the rows.
pub(in crate::chart) fn end(report: &Report) -> String {
    format!("\n{}\n", words::figures(report))
}

/// A row, and what of it is not open.
pub(in crate::chart) fn row(report: &RowReport) -> String {
    let standing = report.standing();
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = writeln!(
        out,
        "{:10}  {:44} {:>6} ms  {}{}",
        standing.name(),
        words::row(&report.row),
        report.latency().as_millis(),
        report.row.flow,
        needed(&report.row),
    );
    if standing == Standing::Open {
        // With two families or any of several ports, some may fail while the row does its work.
        for finding in report.faults() {
            let _ = writeln!(out, "            {}", plain(&line(finding)));
        }
        let learnt = report.findings.iter().filter(|finding| finding.outcome.stand_in).take(1);
        for finding in learnt {
            let _ = writeln!(out, "            {}", plain(&line(finding)));
        }
        return out;
    }
    let mut hints: Vec<String> = Vec::new();
    for finding in report.faults() {
        let _ = writeln!(out, "            {}", plain(&line(finding)));
        hints.extend(words::hint(finding).filter(|hint| !hints.contains(hint)));
    }
    if standing == Standing::Closed {
        let _ = writeln!(out, "            breaks: {}", words::without(&report.row));
    }
    for hint in hints {
        let _ = writeln!(out, "            hint: {}", plain(&hint));
    }
    out
}

/// When the row must be open, unless always.
fn needed(row: &Row) -> String {
    match row.requirement {
        Requirement::Required => String::new(),
        other => format!(", {other}"),
    }
}

fn line(finding: &Finding) -> String {
    let detail = words::detail(finding);
    let detail = if detail.is_empty() { detail } else { format!(": {detail}") };
    let latency = finding.latency.as_millis();
    format!("{} {} ({latency} ms){detail}", words::place(finding), finding.outcome.verdict.name())
}
