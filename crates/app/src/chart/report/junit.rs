//! A report as JUnit XML: a suite a row, a case a question. What is not judged is skipped, which no reader
//! counts as passed; a row of which any one port is enough and that does its work has no failures.

use std::fmt::Write as _;

use portolan_probe::{Finding, Report, RowReport, Standing, Verdict};

use super::words;

pub(super) fn report(report: &Report) -> String {
    let suites: String = report.rows.iter().map(suite).collect();
    let tests: usize = report.rows.iter().map(|row| row.findings.len()).sum();
    let failures: usize = report.rows.iter().map(failures).sum();
    let name = format!(
        "portolan chart check: {}, edition {}",
        report.deployment.role,
        report.deployment.chart.in_force().id
    );
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites name=\"{}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" time=\"{:.3}\">\n\
         {suites}</testsuites>\n",
        escape(&name),
        report.elapsed.as_secs_f64()
    )
}

fn suite(report: &RowReport) -> String {
    let skipped = report.findings.iter().filter(|finding| is_skipped(report, finding)).count();
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = writeln!(
        out,
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{skipped}\" time=\"{:.3}\">",
        escape(&words::row(&report.row)),
        report.findings.len(),
        failures(report),
        report.latency().as_secs_f64()
    );
    for finding in &report.findings {
        case(report, finding, &mut out);
    }
    out.push_str("  </testsuite>\n");
    out
}

fn case(report: &RowReport, finding: &Finding, out: &mut String) {
    let _ = write!(
        out,
        "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"",
        escape(report.row.flow.name()),
        escape(&words::place(finding)),
        finding.latency.as_secs_f64()
    );
    let detail = words::detail(finding);
    let verdict = finding.outcome.verdict.name();
    if is_skipped(report, finding) {
        let message = escape(if detail.is_empty() { verdict } else { &detail });
        let _ = writeln!(out, ">\n      <skipped message=\"{message}\"/>\n    </testcase>");
    } else if is_failure(report, finding) {
        let message =
            if detail.is_empty() { verdict.to_owned() } else { format!("{verdict}: {detail}") };
        let mut body = words::without(&report.row).to_owned();
        if let Some(hint) = words::hint(finding) {
            let _ = write!(body, "\nhint: {hint}");
        }
        let _ = writeln!(
            out,
            ">\n      <failure type=\"{verdict}\" message=\"{}\">{}</failure>\n    </testcase>",
            escape(&message),
            escape(&body)
        );
    } else {
        out.push_str("/>\n");
    }
}

fn failures(report: &RowReport) -> usize {
    report.findings.iter().filter(|finding| is_failure(report, finding)).count()
}

fn is_failure(report: &RowReport, finding: &Finding) -> bool {
    report.standing() == Standing::Closed
        && !finding.outcome.verdict.is_open()
        && !is_skipped(report, finding)
}

fn is_skipped(report: &RowReport, finding: &Finding) -> bool {
    let open_without = report.standing() == Standing::Open && !finding.outcome.verdict.is_open();
    open_without || matches!(finding.outcome.verdict, Verdict::Unjudged { .. } | Verdict::NoRoute)
}

/// Text as XML 1.0 has it; characters that it cannot have are written out.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            control if control.is_control() || matches!(control, '\u{fffe}' | '\u{ffff}') => {
                out.extend(control.escape_unicode());
            }
            other => out.push(other),
        }
    }
    out
}
