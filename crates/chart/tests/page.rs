//! The editions against the pages: `printed.tsv` holds edition, table, protocol and port cell of every row
//! as a reader finds them on the page, taken from there and not from the project's files.

use std::collections::BTreeSet;

use portolan_chart::{Chart, Row, TableId};

const PRINTED: &str = include_str!("printed.tsv");

/// The rows of one page: table, protocol, cell.
fn page(edition: &str) -> Vec<(&'static str, &'static str, &'static str)> {
    let rows = PRINTED.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    rows.filter(|cells| cells[0] == edition).map(|cells| (cells[1], cells[2], cells[3])).collect()
}

#[test]
fn every_edition_has_the_rows_of_its_page_in_their_order() {
    let mut counts = Vec::new();
    for edition in Chart::editions() {
        let chart = Chart::edition(&edition.id).unwrap();
        let rows: Vec<_> = chart.all().filter(|row| !row.is_erratum()).collect();
        let page = page(&edition.id);
        assert_eq!(rows.len(), page.len(), "{}", edition.id);
        for (row, (table, protocol, cell)) in rows.iter().zip(&page) {
            assert_eq!(
                row.table,
                TableId::Page((*table).to_owned()),
                "{} {}",
                edition.id,
                row.flow
            );
            assert_eq!(row.protocol, *protocol, "{} {}", edition.id, row.flow);
            assert_eq!(row.printed.as_ref().unwrap().ports, *cell, "{} {}", edition.id, row.flow);
        }
        let flows: BTreeSet<_> = rows.iter().map(|row| row.flow).collect();
        assert_eq!(flows.len(), rows.len(), "{}: a flow stands twice", edition.id);
        counts.push(rows.len());
    }
    assert_eq!(counts, [14, 16, 25, 25, 22, 22, 23, 23, 23]);
}

/// What the printed words in brackets say of transports.
#[test]
fn the_printed_transports_are_what_the_cell_says() {
    for edition in Chart::editions() {
        for row in Chart::edition(&edition.id).unwrap().all() {
            let Some(printed) = &row.printed else { continue };
            let named: Vec<_> =
                printed.transports.iter().map(|t| t.name().to_uppercase()).collect();
            let expected = match printed.ports.rsplit_once('(') {
                Some((_, words)) if words.contains("TCP") => words.trim_end_matches(')').to_owned(),
                _ => String::new(),
            };
            assert_eq!(named.join("/"), expected, "{} {}", edition.id, row.flow);
        }
    }
}

#[test]
fn a_reader_of_any_page_finds_each_row_by_its_table_and_words() {
    for edition in Chart::editions() {
        let chart = Chart::edition(&edition.id).unwrap();
        for (table, protocol, cell) in page(&edition.id) {
            let text = format!("table {table} {protocol} {cell}");
            let found: Vec<&Row> = chart.find(&text);
            let is_it = |row: &&Row| {
                row.protocol == protocol
                    && row.printed.as_ref().is_some_and(|printed| printed.ports == cell)
            };
            assert!(
                found.len() == 1 && found.iter().all(is_it),
                "{}: {text}: {found:#?}",
                edition.id
            );
        }
    }
}

#[test]
fn tables_are_found_by_their_printed_titles() {
    for edition in Chart::editions() {
        let chart = Chart::edition(&edition.id).unwrap();
        for (id, _) in &edition.tables {
            let title = edition.printed_title(id).expect("the page prints a title");
            let of_table = |row: &&Row| row.table.is_called(id);
            let expected: Vec<_> = chart.all().filter(of_table).map(|row| row.flow).collect();
            let found: Vec<_> =
                chart.find(title).into_iter().filter(of_table).map(|row| row.flow).collect();
            assert!(!expected.is_empty());
            assert_eq!(found, expected, "{} {title}", edition.id);
        }
    }
}
