//! `portolan chart list`: rows, by edition, table, role, direction and protocol.

use portolan_chart::{Chart, Role, Row, Speaks, markdown};

use super::{csv, edition, json, table};
use crate::report::Failure;

/// What `portolan chart list` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The edition, by its date, or a file in the form of the project's; without it, the one in force by
    /// default.
    #[arg(long, value_name = "DATE|FILE")]
    edition: Option<String>,
    /// Only the rows of this table: `1`, `6a`, `errata`.
    #[arg(long)]
    table: Option<String>,
    /// Only the rows at either end of which this role stands.
    #[arg(long)]
    role: Option<String>,
    /// Only the rows that the role opens (out) or answers (in).
    #[arg(long, value_enum, requires = "role")]
    direction: Option<Direction>,
    /// Only the rows of this protocol, by our name for it or the page's: `kerberos`, `LDAP/SSL`.
    #[arg(long)]
    protocol: Option<String>,
    /// How to print them.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The same as --format json.
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// Seen from a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Direction {
    /// Rows that it answers.
    In,
    /// Rows that it opens.
    Out,
}

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// An aligned table for people.
    Text,
    /// A table in Markdown.
    Markdown,
    /// Comma-separated values (RFC 4180) with a line of names.
    Csv,
    /// One JSON document for programs.
    Json,
}

pub(super) fn render(args: &Args) -> Result<String, Failure> {
    let chart = edition::chart(args.edition.as_deref())?;
    let role = args.role.as_deref().map(str::parse::<Role>).transpose()?;
    let mut rows: Vec<&Row> = chart.all().collect();
    if let Some(role) = role {
        rows.retain(|row| match args.direction {
            None => role.plays(row.from) || role.plays(row.to),
            Some(Direction::Out) => role.plays(row.from),
            Some(Direction::In) => role.plays(row.to),
        });
    }
    if let Some(table) = &args.table {
        is_table(&chart, table)?;
        rows.retain(|row| row.table.is_called(table));
    }
    if let Some(protocol) = &args.protocol {
        is_protocol(&chart, protocol)?;
        rows.retain(|row| speaks(row, protocol));
    }
    Ok(match (args.format, args.json) {
        (Format::Json, _) | (_, true) => json::rows(&chart.in_force().id, &rows),
        (Format::Text, _) => table::rows(&rows),
        (Format::Markdown, _) => markdown::table(rows),
        (Format::Csv, _) => csv::rows(&chart.in_force().id, &rows),
    })
}

fn speaks(row: &Row, protocol: &str) -> bool {
    row.speaks.name().eq_ignore_ascii_case(protocol) || row.protocol.eq_ignore_ascii_case(protocol)
}

fn is_table(chart: &Chart, text: &str) -> Result<(), Failure> {
    if chart.all().any(|row| row.table.is_called(text)) {
        return Ok(());
    }
    let edition = chart.in_force();
    let known: Vec<_> = edition.tables.iter().map(|(id, _)| id.as_str()).collect();
    Err(Failure::new(format!("edition {} has no table {text:?}", edition.id))
        .with_hint(format!("its tables are {}, errata", known.join(", "))))
}

fn is_protocol(chart: &Chart, text: &str) -> Result<(), Failure> {
    let is_ours = Speaks::all().any(|speaks| speaks.name().eq_ignore_ascii_case(text));
    if is_ours || chart.all().any(|row| speaks(row, text)) {
        return Ok(());
    }
    let known: Vec<_> = Speaks::all().map(Speaks::name).collect();
    Err(Failure::new(format!("{text:?} is no protocol of the chart")).with_hint(format!(
        "the protocols are {}; the page's own names are taken too",
        known.join(", ")
    )))
}
