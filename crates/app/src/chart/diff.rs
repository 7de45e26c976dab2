//! `portolan chart diff`: what became of the rows from one edition to another.

use std::fmt::Write as _;

use portolan_chart::{Changed, Chart, Diff, Row, markdown};

use super::{edition, json};
use crate::report::Failure;

/// What `portolan chart diff` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The earlier edition, by its date, or a file.
    #[arg(value_name = "EDITION")]
    before: String,
    /// The later one.
    #[arg(value_name = "EDITION")]
    after: String,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Lines for people.
    Text,
    /// Sections and tables in Markdown.
    Markdown,
    /// One JSON document for programs.
    Json,
}

pub(super) fn render(args: &Args) -> Result<String, Failure> {
    let before = edition::chart(Some(&args.before))?;
    let after = edition::chart(Some(&args.after))?;
    let diff = Diff::between(&before, &after);
    Ok(match args.format {
        Format::Text => text(&before, &after, &diff),
        Format::Markdown => in_markdown(&before, &after, &diff),
        Format::Json => json::diff(&before, &after, &diff),
    })
}

/// The changes of rows by what they ask of a reader: to change a firewall, to read again, or nothing.
fn kinds(diff: &Diff) -> [(&'static str, Vec<&Changed>); 3] {
    let pick = |is: &dyn Fn(&Changed) -> bool| diff.changed.iter().filter(|row| is(row)).collect();
    [
        ("changed on the wire", pick(&Changed::is_on_the_wire)),
        ("changed otherwise", pick(&|row| !row.is_on_the_wire() && !row.is_in_print_only())),
        ("changed in print only", pick(&Changed::is_in_print_only)),
    ]
}

fn text(before: &Chart, after: &Chart, diff: &Diff) -> String {
    let (before, after) = (&before.in_force().id, &after.in_force().id);
    if diff.is_empty() {
        return format!("{before} and {after} have the same rows\n");
    }
    let mut out = format!("from {before} to {after}\n");
    // Writing to a String does not fail.
    for (sign, what, rows) in [('+', "added", &diff.added), ('-', "gone", &diff.gone)] {
        if !rows.is_empty() {
            let _ = writeln!(out, "{what}:");
        }
        for row in rows {
            let _ = writeln!(out, "  {sign} {}", line(row));
        }
    }
    for (kind, rows) in kinds(diff) {
        if !rows.is_empty() {
            let _ = writeln!(out, "{kind}:");
        }
        for row in rows {
            let changes: Vec<_> = row.changes.iter().map(ToString::to_string).collect();
            let _ = writeln!(out, "  ~ {}: {}", row.flow, changes.join("; "));
        }
    }
    out
}

fn line(row: &Row) -> String {
    let (ports, over) = (row.ports_text(), row.transports_text());
    let Row { flow, table, protocol, requirement, .. } = row;
    format!("{flow}: {table}, {protocol} {ports} over {over}, {requirement}")
}

fn in_markdown(before: &Chart, after: &Chart, diff: &Diff) -> String {
    let (before, after) = (&before.in_force().id, &after.in_force().id);
    let mut out = format!("# From edition {before} to {after}\n");
    for (what, rows) in [("Added", &diff.added), ("Gone", &diff.gone)] {
        if !rows.is_empty() {
            let _ = write!(out, "\n## {what}\n\n{}", markdown::table(rows));
        }
    }
    for (kind, rows) in kinds(diff) {
        if rows.is_empty() {
            continue;
        }
        let mut letters = kind.chars();
        let capital = letters.next().map(|first| first.to_ascii_uppercase()).unwrap_or_default();
        let _ = write!(out, "\n## {capital}{}\n\n", letters.as_str());
        out.push_str("| Flow | What | Before | After |\n|---|---|---|---|\n");
        for row in rows {
            for change in &row.changes {
                let (what, before, after) = (change.what, &change.before, &change.after);
                let _ = writeln!(out, "| `{}` | {what} | {before} | {after} |", row.flow);
            }
        }
    }
    if diff.is_empty() {
        out.push_str("\nThe rows are the same.\n");
    }
    out
}
