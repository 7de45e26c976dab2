//! `portolan chart show`: all that is known of a row.

use std::fmt::Write as _;

use portolan_chart::{Chart, Flow, Row, TableId};
use portolan_model::Hint as _;

use super::{Format, Output, edition, json};
use crate::report::Failure;

/// What `portolan chart show` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A flow (`connect.ad.ldap`), a place (`6a/3`), a port (`389`, `88/udp`), or words of the page
    /// (`table 6a HTTPS`).
    #[arg(required = true, value_name = "ROW")]
    row: Vec<String>,
    /// The edition, by its date, or a file; without it, the one in force by default, or the newest one
    /// that has the row.
    #[arg(long, value_name = "DATE|FILE")]
    edition: Option<String>,
    #[command(flatten)]
    output: Output,
}

pub(super) fn render(args: &Args) -> Result<String, Failure> {
    let wanted = args.row.join(" ");
    let chart = having(&wanted, args.edition.as_deref())?;
    let rows = chart.find(&wanted);
    Ok(match args.output.format() {
        Format::Json => json::shown(&chart, &rows),
        Format::Text => {
            let texts: Vec<_> = rows.iter().map(|row| text(&chart, row)).collect();
            texts.join("\n")
        }
    })
}

/// The edition asked for, or the first that has the row: the default, then the newest.
fn having(wanted: &str, edition: Option<&str>) -> Result<Chart, Failure> {
    let chart = edition::chart(edition)?;
    if !chart.find(wanted).is_empty() {
        return Ok(chart);
    }
    if edition.is_none() {
        let newest_first = Chart::editions().iter().rev();
        let charts = newest_first.filter_map(|edition| Chart::edition(&edition.id).ok());
        if let Some(chart) = charts.into_iter().find(|chart| !chart.find(wanted).is_empty()) {
            return Ok(chart);
        }
    }
    match wanted.parse::<Flow>() {
        Ok(flow) => {
            Err(chart.row(flow).err().map_or_else(|| Failure::new("no row"), Failure::from))
        }
        Err(error) => {
            let near = wanted.contains('.').then(|| error.hint()).flatten();
            let forms = "name a flow, a place (TABLE/NUMBER), a port or words of the page; \
                         `portolan chart list` shows every row";
            Err(Failure::new(format!(
                "no row of edition {} is called {wanted:?}",
                chart.in_force().id
            ))
            .with_hint(near.unwrap_or_else(|| forms.to_owned())))
        }
    }
}

fn text(chart: &Chart, row: &Row) -> String {
    let facts = row.flow.facts();
    let edition = chart.in_force();
    let title = match &row.table {
        TableId::Page(id) => edition.tables.iter().find(|(table, _)| table == id),
        TableId::Errata => None,
    };
    let title = title.map(|(_, title)| format!(" ({title})")).unwrap_or_default();
    let (table, id, number) = (&row.table, &edition.id, row.number);
    let mut out = format!("{}: {table}{title}, row {number} of edition {id}\n", row.flow);
    let mut put = |name: &str, text: &str| {
        // Writing to a String does not fail.
        let _ = writeln!(out, "  {name:<14} {text}");
    };
    put("for", &row.purpose);
    put("opened by", row.from.name());
    put("answered by", row.to.name());
    match row.is_erratum() {
        true => put("speaks", row.speaks.name()),
        false => put("speaks", &format!("{}, which the page calls {}", row.speaks, row.protocol)),
    }
    put("ports", &format!("{} over {}", row.ports_text(), row.transports_text()));
    match &row.printed {
        Some(printed) => put("printed", &printed.ports),
        None => put("printed", "nowhere"),
    }
    put("needed", row.requirement.name());
    put("without it", &facts.without);
    put("specification", &facts.specification.join("; "));
    put("in tshark", &facts.tshark.join(", "));
    for remark in row.corrected.iter().chain(&row.notes).chain(&row.reason) {
        put("remark", remark);
    }
    for (edition, row) in everywhere(row.flow) {
        let printed = row.printed.as_ref().map_or("", |printed| printed.ports.as_str());
        let (table, ports, over) = (&row.table, row.ports_text(), row.transports_text());
        put("in edition", &format!("{edition}: {table}, {ports} over {over}, printed {printed}"));
    }
    out
}

/// The row in every edition of the page that has it.
pub(super) fn everywhere(flow: Flow) -> Vec<(String, Row)> {
    let charts = Chart::editions().iter().filter_map(|edition| Chart::edition(&edition.id).ok());
    charts
        .filter_map(|chart| {
            let row = chart.row(flow).ok().filter(|row| !row.is_erratum())?.clone();
            Some((chart.in_force().id.clone(), row))
        })
        .collect()
}
