//! Rows as comma-separated values, [RFC 4180](https://www.rfc-editor.org/rfc/rfc4180). The names of the
//! columns are an interface: programs read them.

use portolan_chart::{Row, TableId};

const COLUMNS: [&str; 15] = [
    "edition",
    "table",
    "number",
    "flow",
    "from",
    "to",
    "protocol",
    "speaks",
    "ports",
    "transports",
    "printed",
    "requirement",
    "purpose",
    "without",
    "specification",
];

/// A line of names, and one for each row.
pub(super) fn rows(edition: &str, rows: &[&Row]) -> String {
    let mut text = line(COLUMNS.map(str::to_owned));
    for row in rows {
        let facts = row.flow.facts();
        text.push_str(&line([
            edition.to_owned(),
            match &row.table {
                TableId::Page(id) => id.clone(),
                TableId::Errata => "errata".to_owned(),
            },
            row.number.to_string(),
            row.flow.to_string(),
            row.from.to_string(),
            row.to.to_string(),
            row.protocol.clone(),
            row.speaks.to_string(),
            row.ports_text(),
            row.transports_text(),
            row.printed.as_ref().map_or_else(String::new, |printed| printed.ports.clone()),
            row.requirement.to_string(),
            row.purpose.clone(),
            facts.without.clone(),
            facts.specification.join("; "),
        ]));
    }
    text
}

fn line(cells: [String; COLUMNS.len()]) -> String {
    let quoted = cells.map(|cell| match cell.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell,
    });
    quoted.join(",") + "\r\n"
}
