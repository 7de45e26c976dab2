//! The chart as aligned text.

use portolan_chart::{DEFAULT_EDITION, Edition, Row, TableId};

/// One line a row; `no row` where there is none.
pub(super) fn rows(rows: &[&Row]) -> String {
    if rows.is_empty() {
        return "no row\n".to_owned();
    }
    let head = ["TABLE", "FLOW", "FROM", "", "TO", "PROTOCOL", "PORTS", "OVER", "NEEDED"]
        .map(str::to_owned);
    let cells = rows.iter().map(|row| {
        [
            match &row.table {
                TableId::Page(id) => id.clone(),
                TableId::Errata => "errata".to_owned(),
            },
            row.flow.to_string(),
            row.from.to_string(),
            "->".to_owned(),
            row.to.to_string(),
            row.protocol.clone(),
            row.ports_text(),
            row.transports_text(),
            row.requirement.to_string(),
        ]
    });
    align(&std::iter::once(head).chain(cells).collect::<Vec<_>>())
}

/// One line an edition.
pub(super) fn editions(editions: &[Edition]) -> String {
    let head = ["EDITION", "ROWS", "", "WHAT SETS IT APART"].map(str::to_owned);
    let cells = editions.iter().map(|edition| {
        let mark = if edition.id == DEFAULT_EDITION { "default" } else { "" };
        [
            edition.id.clone(),
            edition.row_count().to_string(),
            mark.to_owned(),
            edition.label.clone(),
        ]
    });
    align(&std::iter::once(head).chain(cells).collect::<Vec<_>>())
}

/// Columns as wide as their widest cell, two spaces between, none at the end of a line.
pub(super) fn align<const COLUMNS: usize>(lines: &[[String; COLUMNS]]) -> String {
    let mut widths = [0; COLUMNS];
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for line in lines {
        let padded: Vec<_> =
            line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    text
}
