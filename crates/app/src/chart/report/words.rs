//! What is said of a row and of a finding, in every format alike.

use portolan_chart::{Row, Transport};
use portolan_net::Peer;
use portolan_probe::{Finding, Report, RowReport, Standing, Verdict};

/// The row with all of its ports: `Table 1, DNS 53/tcp+udp`.
pub(in crate::chart) fn row(row: &Row) -> String {
    let configured = if row.configured { " (configured)" } else { "" };
    let (ports, transports) = (row.ports_text(), row.transports_text());
    format!("{}, {} {ports}/{transports}{configured}", row.table, row.protocol)
}

/// Where was asked: `dc1.corp.example (10.77.0.10) 88/udp`.
pub(in crate::chart) fn place(finding: &Finding) -> String {
    let question = &finding.question;
    let peer = question.peer.as_ref().map(Peer::to_string);
    let at = match (&peer, question.address) {
        (Some(peer), Some(address)) if *peer != address.to_string() => {
            format!("{peer} ({address}) ")
        }
        (Some(peer), _) => format!("{peer} "),
        (None, _) => String::new(),
    };
    format!("{at}{}", port(&question.row, question.port, question.transport))
}

fn port(row: &Row, port: Option<u16>, transport: Transport) -> String {
    match port {
        Some(port) => format!("{port}/{transport}"),
        None => format!("{}/{transport}", row.ports_text()),
    }
}

/// What exactly was found, beyond the verdict's name; empty where there is nothing to add.
pub(in crate::chart) fn detail(finding: &Finding) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let heard;
    match &finding.outcome.verdict {
        Verdict::Unjudged { why } => parts.push(why),
        Verdict::WrongProtocol { heard: what } => {
            heard = format!("heard {what}");
            parts.push(&heard);
        }
        Verdict::Faulty(defects) => parts.extend(defects.iter().map(|defect| defect.text.as_str())),
        _ => {}
    }
    if finding.outcome.stand_in {
        parts.push("a stand-in answers (`portolan chart respond`), and no server");
    }
    parts.extend(finding.outcome.notes.iter().map(String::as_str));
    parts.join("; ")
}

/// The next step; none where nothing is to be done.
pub(super) fn hint(finding: &Finding) -> Option<String> {
    let question = &finding.question;
    let row = &question.row;
    let place = place(finding);
    let open = || {
        let described = match question.port {
            Some(port) => row.describe(port, question.transport),
            None => self::row(row),
        };
        let to = question.peer.as_ref().map_or_else(|| row.to.to_string(), Peer::to_string);
        format!("open {described} from {} to {to}", row.from)
    };
    Some(match &finding.outcome.verdict {
        Verdict::Open => return None,
        Verdict::Refused => format!("look whether the service runs there, and {}", open()),
        Verdict::Rejected | Verdict::Filtered => open(),
        Verdict::Reset => {
            format!("look for a middlebox on the way that breaks it off, and {}", open())
        }
        Verdict::WrongProtocol { .. } => {
            format!("look what answers at {place}, or stands before it: {} is expected", row.speaks)
        }
        Verdict::Faulty(defects) => {
            let hints: Vec<_> = defects.iter().map(|defect| defect.hint.as_str()).collect();
            hints.join("; ")
        }
        Verdict::NoRoute => format!("give this machine an address and a route to {place}"),
        Verdict::Unjudged { .. } if question.peer.is_none() => {
            format!("name it by --host {0}=HOST, or say --without {0} if there is none", row.to)
        }
        Verdict::Unjudged { .. } => return None,
    })
}

/// What fails without the row.
pub(super) fn without(row: &Row) -> &'static str {
    &row.flow.facts().without
}

/// The figures of a report in one line.
pub(in crate::chart) fn figures(report: &Report) -> String {
    let count = |standing| report.standing(standing).count();
    format!(
        "{} rows of {} in {}: {} open, {} closed, {} not judged ({:.2} s)",
        report.rows.len(),
        report.deployment.role,
        report.deployment.chart.in_force().id,
        count(Standing::Open),
        count(Standing::Closed),
        count(Standing::Unjudged),
        report.elapsed.as_secs_f64()
    )
}

/// What is to be done, in one clause: `2 of 14 rows are closed: …`; none when all is open.
pub(in crate::chart) fn summary(report: &Report) -> Option<String> {
    let named = |standing| {
        let rows: Vec<_> = report.standing(standing).collect();
        let names: Vec<_> = rows.iter().take(NAMED_ROWS_MAX).map(|row| short(row)).collect();
        let more = rows.len().saturating_sub(NAMED_ROWS_MAX);
        let more = if more == 0 { String::new() } else { format!("; and {more} more") };
        (rows.len(), format!("{}{more}", names.join("; ")))
    };
    let all = report.rows.len();
    match (named(Standing::Closed), named(Standing::Unjudged)) {
        ((0, _), (0, _)) => None,
        ((0, _), (count, rows)) => {
            Some(format!("{count} of {all} rows could not be judged: {rows}"))
        }
        ((1, rows), _) => Some(format!("1 of {all} rows is closed: {rows}")),
        ((count, rows), _) => Some(format!("{count} of {all} rows are closed: {rows}")),
    }
}

/// Rows that one line names.
const NAMED_ROWS_MAX: usize = 12;

/// A row and in which ways it fails: `Table 1, Kerberos 88/tcp+udp (filtered)`.
fn short(report: &RowReport) -> String {
    let mut verdicts: Vec<_> =
        report.faults().map(|finding| finding.outcome.verdict.name()).collect();
    verdicts.sort_unstable();
    verdicts.dedup();
    format!("{} ({})", row(&report.row), verdicts.join(", "))
}
