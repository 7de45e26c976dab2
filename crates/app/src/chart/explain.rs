//! `portolan chart explain`: the rows of all editions that use a port, for who sees one in a firewall's log.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use portolan_chart::{Chart, Flow, Row, Transport, port};

use super::{Format, Output, json};
use crate::report::Failure;

/// What `portolan chart explain` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The port, and the transport where it is known: `389`, `389/udp`.
    #[arg(value_name = "PORT[/tcp|udp]")]
    port: String,
    #[command(flatten)]
    output: Output,
}

/// A row as the newest edition that covers the port has it, and every edition in which it does.
pub(super) struct Use {
    pub(super) row: Row,
    /// The editions by date; none for an erratum, which stands beside each.
    pub(super) editions: Vec<String>,
}

pub(super) fn render(args: &Args) -> Result<String, Failure> {
    let (port, transport) = port(&args.port).ok_or_else(|| {
        Failure::new(format!("{:?} is no port", args.port))
            .with_hint("write a number from 1 to 65535, and /tcp or /udp behind it if you like")
    })?;
    let uses = uses(port, transport);
    Ok(match args.output.format() {
        Format::Json => json::explained(port, transport, &uses),
        Format::Text => text(port, transport, &uses),
    })
}

/// The rows in the order of the chart, those of the page first.
fn uses(port: u16, transport: Option<Transport>) -> Vec<Use> {
    let mut found: BTreeMap<Flow, Use> = BTreeMap::new();
    for edition in Chart::editions() {
        let Ok(chart) = Chart::edition(&edition.id) else { continue };
        for row in chart.all().filter(|row| row.covers(port, transport)) {
            let entry = found
                .entry(row.flow)
                .or_insert_with(|| Use { row: row.clone(), editions: Vec::new() });
            entry.row = row.clone();
            if !row.is_erratum() {
                entry.editions.push(edition.id.clone());
            }
        }
    }
    let mut uses: Vec<_> = found.into_values().collect();
    // A port of its own says more than one in a range.
    uses.sort_by_key(|found| {
        let order = portolan_chart::flow::ALL.iter().position(|flow| *flow == found.row.flow);
        (found.row.is_dynamic(), found.row.is_erratum(), order)
    });
    uses
}

fn text(port: u16, transport: Option<Transport>, uses: &[Use]) -> String {
    let called = name(port, transport);
    let mut out = match uses.is_empty() {
        true => format!("no row of any edition uses {called}\n"),
        false => format!("{called} is used by\n"),
    };
    // Writing to a String does not fail.
    for Use { row, editions } in uses {
        let (ports, over) = (row.ports_text(), row.transports_text());
        let known = Chart::editions().len();
        let where_it_is = match editions.len() {
            0 => "errata: the page leaves it out".to_owned(),
            count if count == known => "every edition".to_owned(),
            _ => editions.join(", "),
        };
        let Row { flow, from, to, protocol, requirement, .. } = row;
        let _ =
            writeln!(out, "{flow}: {from} -> {to}, {protocol} {ports} over {over}, {requirement}");
        let _ = writeln!(out, "  in          {where_it_is}");
        let _ = writeln!(out, "  for         {}", row.purpose);
        let _ = writeln!(out, "  without it  {}", flow.facts().without);
    }
    if uses.iter().all(|found| found.row.is_dynamic()) {
        for row in mentions(port) {
            for note in row.notes.iter().filter(|note| names(note, port)) {
                let _ = writeln!(out, "a remark of {} names it: {note}", row.flow);
            }
        }
        out.push_str(
            "Clients pick the ports that they send from as well: in the source of a packet the number \
             says nothing.\n",
        );
    }
    out
}

pub(super) fn name(port: u16, transport: Option<Transport>) -> String {
    transport.map_or_else(|| port.to_string(), |transport| format!("{port}/{transport}"))
}

/// The rows of the newest edition whose remarks name a port that no row uses.
fn mentions(port: u16) -> Vec<Row> {
    let newest = Chart::editions().last().and_then(|edition| Chart::edition(&edition.id).ok());
    let rows = newest.iter().flat_map(Chart::all);
    rows.filter(|row| row.notes.iter().any(|note| names(note, port))).cloned().collect()
}

fn names(note: &str, port: u16) -> bool {
    note.split(|character: char| !character.is_ascii_digit()).any(|word| word == port.to_string())
}
