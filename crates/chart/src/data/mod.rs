//! The data files: embedded in the binary and parsed once, or handed in by a user and read the same way.

mod edition;
mod invalid;

use std::sync::LazyLock;

use crate::chart::Edition;

pub use edition::FILE_SIZE_MAX;
pub use invalid::InvalidFile;

pub(crate) use edition::{Kind, RawRequirement, parse, read, texts_are_printable};

/// The one schema this build reads.
pub(crate) const SCHEMA: u32 = 1;

const EDITIONS: [&str; 9] = [
    include_str!("../../editions/2016-01-11.toml"),
    include_str!("../../editions/2016-05-19.toml"),
    include_str!("../../editions/2017-02-15-early.toml"),
    include_str!("../../editions/2017-02-15.toml"),
    include_str!("../../editions/2017-08-02.toml"),
    include_str!("../../editions/2020-03-04-early.toml"),
    include_str!("../../editions/2020-03-04.toml"),
    include_str!("../../editions/2023-01-19.toml"),
    include_str!("../../editions/2025-04-09.toml"),
];
const ERRATA: &str = include_str!("../../editions/errata.toml");

/// Every edition, oldest first, and the errata.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) editions: Vec<Edition>,
    pub(crate) errata: Edition,
}

/// The embedded data, parsed at the first call.
#[expect(clippy::expect_used, reason = "the data is embedded, and a test parses all of it")]
pub(crate) fn book() -> &'static Book {
    static BOOK: LazyLock<Book> =
        LazyLock::new(|| read_book().expect("INVARIANT: the embedded editions keep the schema"));
    &BOOK
}

fn read_book() -> Result<Book, InvalidFile> {
    let page = |source: &&str| read(source, Kind::Page);
    let editions = EDITIONS.iter().map(page).collect::<Result<_, _>>()?;
    Ok(Book { editions, errata: read(ERRATA, Kind::Errata)? })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{Row, flow};

    #[test]
    fn every_edition_keeps_the_schema_and_has_its_rows() {
        let book = read_book().unwrap();
        let counts: Vec<_> =
            book.editions.iter().map(|edition| (edition.id.as_str(), edition.rows.len())).collect();
        assert_eq!(
            counts,
            [
                ("2016-01-11", 14),
                ("2016-05-19", 16),
                ("2017-02-15-early", 25),
                ("2017-02-15", 25),
                ("2017-08-02", 22),
                ("2020-03-04-early", 22),
                ("2020-03-04", 23),
                ("2023-01-19", 23),
                ("2025-04-09", 23),
            ]
        );
        assert!(book.errata.rows.iter().all(Row::is_erratum));
        assert!(book.editions.iter().flat_map(|e| &e.rows).all(|row| !row.is_erratum()));
    }

    #[test]
    fn flow_constants_and_data_name_the_same_flows() {
        let book = read_book().unwrap();
        let rows = book.editions.iter().chain([&book.errata]).flat_map(|edition| &edition.rows);
        let in_data: BTreeSet<_> = rows.map(|row| row.flow).collect();
        let constants: BTreeSet<_> = flow::ALL.iter().copied().collect();
        assert_eq!(in_data, constants);
        assert_eq!(constants.len(), flow::ALL.len());
    }

    #[test]
    fn no_erratum_repeats_a_row_of_the_page() {
        let book = read_book().unwrap();
        for row in &book.errata.rows {
            for edition in &book.editions {
                assert!(edition.rows.iter().all(|page| page.flow != row.flow), "{}", row.flow);
            }
        }
    }

    #[test]
    fn the_slip_of_2016_is_printed_as_is_and_put_right() {
        let book = read_book().unwrap();
        let edition = book.editions.iter().find(|edition| edition.id == "2016-05-19").unwrap();
        let row = edition.rows.iter().find(|row| row.flow == flow::CONNECT_AD_RPC).unwrap();
        assert!(row.printed.as_ref().unwrap().ports.starts_with("1024-65353 "));
        assert_eq!(row.ports_text(), "1024-65535");
        assert!(row.corrected.is_some());
    }
}
