//! A report as one page of HTML with the picture of the edition, red where it fails. It needs no script
//! and no other file; everything that a peer said is escaped by the template.

use askama::Template;
use portolan_chart::diagram::{self, Mark};
use portolan_probe::{Report, RowReport, Standing};

use super::words;
use crate::terminal::plain;

#[derive(Template)]
#[template(path = "chart/report.html")]
struct Page {
    edition: String,
    role: String,
    figures: String,
    summary: String,
    all_open: bool,
    picture: String,
    rows: Vec<Row>,
}

struct Row {
    class: &'static str,
    standing: &'static str,
    name: String,
    flow: &'static str,
    latency: u128,
    without: &'static str,
    closed: bool,
    findings: Vec<Line>,
}

struct Line {
    place: String,
    verdict: &'static str,
    latency: u128,
    detail: String,
    hint: String,
}

pub(super) fn report(report: &Report) -> askama::Result<String> {
    let chart = &report.deployment.chart;
    let mark = |row: &portolan_chart::Row| {
        let found = report.rows.iter().find(|other| other.row.flow == row.flow);
        match found.map(RowReport::standing) {
            None => Mark::Plain,
            Some(Standing::Open) => Mark::Open,
            Some(Standing::Closed) => Mark::Closed,
            Some(Standing::Unjudged) => Mark::Unjudged,
        }
    };
    let page = Page {
        edition: chart.in_force().id.clone(),
        role: report.deployment.role.to_string(),
        figures: words::figures(report),
        summary: words::summary(report).unwrap_or_else(|| "Every row is open.".to_owned()),
        all_open: report.standing(Standing::Open).count() == report.rows.len(),
        picture: diagram::svg(chart, mark),
        rows: report.rows.iter().map(row).collect(),
    };
    page.render()
}

fn row(report: &RowReport) -> Row {
    let standing = report.standing();
    let line = |finding: &portolan_probe::Finding| Line {
        place: words::place(finding),
        verdict: finding.outcome.verdict.name(),
        latency: finding.latency.as_millis(),
        detail: plain(&words::detail(finding)).into_owned(),
        hint: words::hint(finding).unwrap_or_default(),
    };
    Row {
        class: match standing {
            Standing::Open => "open",
            Standing::Closed => "closed",
            Standing::Unjudged => "unjudged",
        },
        standing: standing.name(),
        name: words::row(&report.row),
        flow: report.row.flow.name(),
        latency: report.latency().as_millis(),
        without: words::without(&report.row),
        closed: standing == Standing::Closed,
        findings: report.findings.iter().map(line).collect(),
    }
}
