//! A check's figures, as Prometheus reads them.

use portolan_net::Peer;
use portolan_probe::{Finding, Report, Standing};
use time::OffsetDateTime;

use super::super::report::words;
use crate::exposition::{self, Kind};

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
        &samples(&|finding| finding.outcome.figures.clock_skew_seconds.map(figure)),
    );
    family(
        &mut out,
        "portolan_chart_certificate_expiry_days",
        "Whole days until the peer's certificate expires; negative once it has.",
        &samples(&|finding| finding.outcome.figures.certificate_days_left.map(figure)),
    );
    let rows: Vec<_> = [Standing::Open, Standing::Closed, Standing::Unjudged]
        .into_iter()
        .map(|standing| {
            let name = standing.name().replace(' ', "-");
            let count = u32::try_from(report.standing(standing).count()).unwrap_or(u32::MAX);
            (exposition::labels(&[("edition", edition), ("standing", &name)]), f64::from(count))
        })
        .collect();
    family(&mut out, "portolan_chart_rows", "Rows of the role, by how they stand.", &rows);
    let one = |value| [(exposition::labels(&[("edition", edition)]), value)];
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
    exposition::family(out, name, help, Kind::Gauge, samples);
}

fn counter(out: &mut String, name: &str, help: &str, samples: &[(String, f64)]) {
    exposition::family(out, name, help, Kind::Counter, samples);
}

fn labels(edition: &str, finding: &Finding) -> String {
    let question = &finding.question;
    let peer = question.peer.as_ref().map(Peer::to_string).unwrap_or_default();
    let address = question.address.map(|address| address.to_string()).unwrap_or_default();
    let port = question.port.map_or_else(|| question.row.ports_text(), |port| port.to_string());
    exposition::labels(&[
        ("edition", edition),
        ("row", &words::row(&question.row)),
        ("flow", question.row.flow.name()),
        ("peer", &peer),
        ("address", &address),
        ("port", &port),
        ("transport", &question.transport.to_string()),
    ])
}

/// Exact below 2^53, which no clock and no certificate comes near.
#[expect(clippy::cast_precision_loss, reason = "a skew in seconds, or an age in days")]
const fn figure(number: i64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::report::tests::report;

    #[test]
    fn clocks_and_certificates_are_exported_where_a_probe_measured_them() {
        let page = page(&report(), 1, OffsetDateTime::UNIX_EPOCH);
        let values = |name: &str| -> Vec<_> {
            let samples = page.lines().filter(|line| line.starts_with(&format!("{name}{{")));
            samples.filter_map(|line| line.rsplit(' ').next()).collect()
        };
        assert_eq!(values("portolan_chart_clock_skew_seconds"), ["3", "-360"]);
        assert_eq!(values("portolan_chart_certificate_expiry_days"), ["-4", "30"]);
    }
}
