//! A check's figures in Prometheus' text format ([version 0.0.4]).
//!
//! [version 0.0.4]: https://prometheus.io/docs/instrumenting/exposition_formats/

use std::fmt::Write as _;

use portolan_net::Peer;
use portolan_probe::{DefectKind, Finding, Report, Standing, Verdict};
use time::OffsetDateTime;

use super::super::report::words;

pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The page of a check that ended at `now`, the so-manieth since the start.
pub(super) fn page(report: &Report, checks: u64, now: OffsetDateTime) -> String {
    let mut out = String::new();
    let each = || report.rows.iter().flat_map(|row| &row.findings);
    let edition = report.deployment.chart.in_force().id.as_str();
    let samples = |value: &dyn Fn(&Finding) -> Option<f64>| -> Vec<(String, f64)> {
        each().filter_map(|finding| Some((labels(edition, finding), value(finding)?))).collect()
    };
    let verdicts: Vec<_> = each()
        .map(|finding| {
            let verdict = finding.outcome.verdict.name();
            (format!("{},verdict=\"{verdict}\"", labels(edition, finding)), 1.0)
        })
        .collect();
    family(
        &mut out,
        "portolan_chart_verdict",
        "What the last check found, by question.",
        &verdicts,
    );
    let open = |finding: &Finding| Some(f64::from(u8::from(finding.outcome.verdict.is_open())));
    let help = "Whether the question was answered as it should be.";
    family(&mut out, "portolan_chart_open", help, &samples(&open));
    let latency = |finding: &Finding| Some(finding.latency.as_secs_f64());
    let help = "From the first packet to the verdict.";
    family(&mut out, "portolan_chart_latency_seconds", help, &samples(&latency));
    family(
        &mut out,
        "portolan_chart_clock_skew_seconds",
        "The peer's clock less this host's.",
        &samples(&clock_skew),
    );
    family(
        &mut out,
        "portolan_chart_certificate_expiry_days",
        "Whole days until the peer's certificate expires.",
        &samples(&expiry),
    );
    let rows: Vec<_> = [Standing::Open, Standing::Closed, Standing::Unjudged]
        .into_iter()
        .map(|standing| {
            let name = standing.name().replace(' ', "-");
            let count = u32::try_from(report.standing(standing).count()).unwrap_or(u32::MAX);
            (format!("edition=\"{}\",standing=\"{name}\"", escape(edition)), f64::from(count))
        })
        .collect();
    family(&mut out, "portolan_chart_rows", "Rows of the role, by how they stand.", &rows);
    let one = |value| [(format!("edition=\"{}\"", escape(edition)), value)];
    // Below 2^53, where a double holds every integer.
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 and a count of checks")]
    let (ended, checks) = (now.unix_timestamp() as f64, checks as f64);
    family(
        &mut out,
        "portolan_chart_check_duration_seconds",
        "What the last check took.",
        &one(report.elapsed.as_secs_f64()),
    );
    family(
        &mut out,
        "portolan_chart_check_timestamp_seconds",
        "When the last check ended, since 1970.",
        &one(ended),
    );
    counter(&mut out, "portolan_chart_checks_total", "Checks since the start.", &one(checks));
    out
}

fn family(out: &mut String, name: &str, help: &str, samples: &[(String, f64)]) {
    typed(out, name, help, "gauge", samples);
}

fn counter(out: &mut String, name: &str, help: &str, samples: &[(String, f64)]) {
    typed(out, name, help, "counter", samples);
}

fn typed(out: &mut String, name: &str, help: &str, kind: &str, samples: &[(String, f64)]) {
    if samples.is_empty() {
        return;
    }
    // Writing to a String does not fail.
    let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    for (labels, value) in samples {
        let _ = writeln!(out, "{name}{{{labels}}} {value}");
    }
}

fn labels(edition: &str, finding: &Finding) -> String {
    let question = &finding.question;
    let peer = question.peer.as_ref().map(Peer::to_string).unwrap_or_default();
    let address = question.address.map(|address| address.to_string()).unwrap_or_default();
    let port = question.port.map_or_else(|| question.row.ports_text(), |port| port.to_string());
    format!(
        "edition=\"{}\",row=\"{}\",flow=\"{}\",peer=\"{}\",address=\"{}\",port=\"{}\",transport=\"{}\"",
        escape(edition),
        escape(&words::row(&question.row)),
        question.row.flow,
        escape(&peer),
        escape(&address),
        escape(&port),
        question.transport
    )
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Seconds, where a probe saw the peer's clock: it notes `its clock is +3 s from here`, and a defect of the
/// clock ends in `: -301 s, and Kerberos allows 300 s`.
fn clock_skew(finding: &Finding) -> Option<f64> {
    let noted = finding
        .outcome
        .notes
        .iter()
        .filter_map(|note| note.split_once("its clock is ")?.1.strip_suffix(" s from here"));
    let said = of_kind(finding, DefectKind::ClockSkew)
        .flat_map(|text| text.split_whitespace())
        .filter(|word| word.starts_with(['+', '-']));
    noted.chain(said).find_map(|number| number.parse().ok())
}

/// Days, where a probe saw the peer's certificate: it notes `its certificate expires in 30 days`, and a defect
/// says `its certificate expired 3 days ago`.
fn expiry(finding: &Finding) -> Option<f64> {
    let days = |text: &str, before: &str| {
        text.split_once(before)?.1.split_whitespace().next()?.parse::<f64>().ok()
    };
    let noted =
        finding.outcome.notes.iter().find_map(|note| days(note, "its certificate expires in "));
    noted.or_else(|| {
        let mut said = of_kind(finding, DefectKind::Certificate);
        said.find_map(|text| days(text, "its certificate expired ")).map(|days| -days)
    })
}

fn of_kind(finding: &Finding, kind: DefectKind) -> impl Iterator<Item = &str> {
    let defects = match &finding.outcome.verdict {
        Verdict::Faulty(defects) => defects.as_slice(),
        _ => &[],
    };
    defects.iter().filter(move |defect| defect.kind == kind).map(|defect| defect.text.as_str())
}
