//! `portolan chart impact`: which functions need a row, as the lab observed it.
//!
//! A run of connect is observed whole: what it does after a step that fails, it does not do.

use std::fmt::Write as _;

use portolan_chart::Row;
use portolan_chart::impact::{Function, Observation, observations};
use serde_json::{Value, json};

use super::{edition, table};
use crate::report::Failure;

/// What `portolan chart impact` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The edition, by its date, or a file in the form of the project's; without it, the one in force by
    /// default.
    #[arg(long, value_name = "DATE|FILE")]
    edition: Option<String>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The same as --format json.
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// An aligned table for people.
    Text,
    /// One JSON document for programs.
    Json,
    /// A table in Markdown.
    Markdown,
}

pub(super) fn render(args: &Args) -> Result<String, Failure> {
    let chart = edition::chart(args.edition.as_deref())?;
    let rows: Vec<_> = chart.all().collect();
    Ok(match (args.format, args.json) {
        (Format::Json, _) | (_, true) => document(&chart.in_force().id, &rows),
        (Format::Text, _) => table::align(&lines(&rows)),
        (Format::Markdown, _) => in_markdown(&rows),
    })
}

/// Flow, row, how the forest was read, and a column for each function.
const COLUMNS: usize = 3 + Function::ALL.len();

/// What stands where nobody looked.
const NOT_OBSERVED: &str = "not observed";

/// A head and one line for each observation; one for a row without any.
fn lines(rows: &[&Row]) -> Vec<[String; COLUMNS]> {
    let mut head = ["FLOW", "ROW", "FOREST READ"].map(str::to_owned).to_vec();
    head.extend(Function::ALL.map(|function| function.name().to_uppercase()));
    let mut lines = vec![head];
    for row in rows {
        let of_row = |reading: &str, cells: Vec<String>| {
            let name = format!("{}, {} {}", row.table, row.protocol, row.ports_text());
            let mut line = vec![row.flow.to_string(), name, reading.to_owned()];
            line.extend(cells);
            line
        };
        let mut found = observations(row.flow).peekable();
        if found.peek().is_none() {
            let blank = vec![String::new(); Function::ALL.len()];
            lines.push(of_row(NOT_OBSERVED, blank));
        }
        lines.extend(found.map(|it| of_row(it.reading.name(), cells(it))));
    }
    lines.into_iter().filter_map(|line| line.try_into().ok()).collect()
}

/// `needs it`, `-` where it works without, `?` where that was not tried.
fn cells(observation: &Observation) -> Vec<String> {
    let cell = |function| match observation.is_needed_by(function) {
        Some(true) => "needs it",
        Some(false) => "-",
        None => "?",
    };
    Function::ALL.map(|function| cell(function).to_owned()).to_vec()
}

fn in_markdown(rows: &[&Row]) -> String {
    let mut text = String::new();
    for (at, line) in lines(rows).iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {} |", line.join(" | "));
        if at == 0 {
            let _ = writeln!(text, "|{}", "---|".repeat(COLUMNS));
        }
    }
    text
}

fn document(edition: &str, rows: &[&Row]) -> String {
    let names = |functions: &[Function]| -> Vec<_> {
        functions.iter().map(|function| function.name()).collect()
    };
    let observed = |it: &Observation| {
        json!({
            "reading": it.reading.name(),
            "needed_by": names(&it.needed_by),
            "spared": names(&it.spared),
        })
    };
    let row = |row: &&Row| {
        json!({
            "flow": row.flow.name(),
            "table": row.table.to_string(),
            "protocol": row.protocol,
            "observed": observations(row.flow).map(observed).collect::<Vec<Value>>(),
        })
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    let functions = names(&Function::ALL);
    let document = json!({ "edition": edition, "functions": functions, "rows": rows });
    format!("{document:#}\n")
}

#[cfg(test)]
mod tests {
    use portolan_chart::{Chart, Role, flow};

    use super::*;

    fn printed(format: Format) -> String {
        render(&Args { edition: None, format, json: false }).unwrap()
    }

    #[test]
    fn rows_of_roles_that_are_not_built_are_not_observed() {
        let text = printed(Format::Text);
        for row in Chart::default_edition().all() {
            let line = text.lines().find(|line| line.starts_with(&format!("{} ", row.flow)));
            let line = line.unwrap_or_else(|| panic!("{} is not in {text}", row.flow));
            let built = [Role::Connect, Role::Workstation, Role::Forest, Role::Tenant];
            let is_observed = !line.ends_with(NOT_OBSERVED);
            assert!(built.contains(&row.from) || !is_observed, "{line}");
        }
    }

    #[test]
    fn a_row_says_what_needs_it_in_every_format() {
        let line = |text: &str, parts: &str| {
            let flow = flow::CONNECT_AD_EPM.name();
            let found = text.lines().find(|line| line.contains(flow) && line.contains(parts));
            assert!(found.is_some(), "{parts}: {text}");
        };
        line(&printed(Format::Text), "needs it");
        line(&printed(Format::Markdown), "| needs it |");
        let document: Value = serde_json::from_str(&printed(Format::Json)).unwrap();
        let rows = document["rows"].as_array().unwrap();
        let row = rows.iter().find(|row| row["flow"] == flow::CONNECT_AD_EPM.name()).unwrap();
        let needed = row["observed"][0]["needed_by"].as_array().unwrap();
        assert!(needed.contains(&json!(Function::PasswordHashSync.name())), "{row:#}");
    }
}
