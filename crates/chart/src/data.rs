//! The editions as files, and the one schema they all keep.
//!
//! The files are part of the binary. They are parsed once, strictly: an unknown key, role, flow,
//! transport or port is refused, and so is a row that breaks a rule of [`check_row`].

use std::collections::HashSet;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::chart::Edition;
use crate::{Flow, PortsRelation, Printed, Requirement, Role, Row, Speaks, TableId, Transport};

/// The one schema this build reads.
pub(crate) const SCHEMA: u32 = 1;

const EDITIONS: [&str; 9] = [
    include_str!("../editions/2016-01-11.toml"),
    include_str!("../editions/2016-05-19.toml"),
    include_str!("../editions/2017-02-15-early.toml"),
    include_str!("../editions/2017-02-15.toml"),
    include_str!("../editions/2017-08-02.toml"),
    include_str!("../editions/2020-03-04-early.toml"),
    include_str!("../editions/2020-03-04.toml"),
    include_str!("../editions/2023-01-19.toml"),
    include_str!("../editions/2025-04-09.toml"),
];
const ERRATA: &str = include_str!("../editions/errata.toml");

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

fn read_book() -> Result<Book, InvalidData> {
    let editions = EDITIONS.into_iter().map(read_edition).collect::<Result<_, _>>()?;
    Ok(Book { editions, errata: read_edition(ERRATA)? })
}

/// A data file that breaks the schema.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidData {
    #[error("not the schema's keys and types: {0}")]
    Shape(#[from] toml::de::Error),
    #[error("{0} breaks a rule: {1}")]
    Rule(String, &'static str),
}

fn read_edition(text: &str) -> Result<Edition, InvalidData> {
    let file: File = toml::from_str(text)?;
    let rule = |what: &str, rule| Err(InvalidData::Rule(what.to_owned(), rule));
    if file.schema != SCHEMA {
        return rule(&file.id, "its schema is the one that this build reads");
    }
    let printed_titles = file.table.iter().map(|table| table.printed.clone()).collect();
    let tables: Vec<_> = file.table.into_iter().map(|table| (table.id, table.title)).collect();
    let mut rows: Vec<Row> = Vec::new();
    for raw in file.row {
        let (name, number) = (raw.flow.clone(), raw.number);
        if usize::from(number) != rows.len() + 1 {
            return rule(&name, "rows are numbered from 1 in their order");
        }
        if !tables.iter().any(|(id, _)| *id == raw.table) {
            return rule(&name, "its table is declared");
        }
        let row = read_row(raw)?;
        if let Err(broken) = check_row(&row) {
            return rule(&name, broken);
        }
        rows.push(row);
    }
    let mut flows = HashSet::new();
    if let Some(row) = rows.iter().find(|row| !flows.insert(row.flow)) {
        return rule(row.flow.name(), "a flow stands once in an edition");
    }
    Ok(Edition { id: file.id, label: file.label, tables, printed_titles, rows })
}

fn read_row(raw: RawRow) -> Result<Row, InvalidData> {
    let RawRow { flow, table, number, from, to, .. } = raw;
    let broken = |rule| InvalidData::Rule(flow.clone(), rule);
    Ok(Row {
        flow: flow.parse::<Flow>().map_err(|_| broken("its flow is a constant of `flow`"))?,
        table: if table == "errata" { TableId::Errata } else { TableId::Page(table) },
        number,
        from: from.parse::<Role>().map_err(|_| broken("`from` is a role"))?,
        to: to.parse::<Role>().map_err(|_| broken("`to` is a role"))?,
        protocol: raw.protocol,
        speaks: raw.speaks.parse::<Speaks>().map_err(|_| broken("it speaks a known protocol"))?,
        purpose: raw.purpose,
        ports: raw
            .ports
            .iter()
            .map(|text| text.parse())
            .collect::<Result<_, _>>()
            .map_err(|_| broken("its ports are legal"))?,
        ports_relation: match raw.ports_relation {
            None | Some(RawRelation::All) => PortsRelation::All,
            Some(RawRelation::Any) => PortsRelation::Any,
        },
        transports: transports(&raw.transports),
        printed: raw.printed.map(|printed| Printed {
            ports: printed.ports,
            transports: transports(&printed.transports),
        }),
        corrected: raw.corrected,
        requirement: match raw.requirement {
            RawRequirement::Required => Requirement::Required,
            RawRequirement::Conditional => Requirement::Conditional,
            RawRequirement::Optional => Requirement::Optional,
            RawRequirement::RegistrationOnly => Requirement::RegistrationOnly,
        },
        notes: raw.notes,
        reason: raw.reason,
        configured: false,
    })
}

fn transports(raw: &[RawTransport]) -> Vec<Transport> {
    raw.iter()
        .map(|transport| match transport {
            RawTransport::Tcp => Transport::Tcp,
            RawTransport::Udp => Transport::Udp,
        })
        .collect()
}

/// The rules that types alone do not hold.
fn check_row(row: &Row) -> Result<(), &'static str> {
    let [from, to, _] = row.flow.name().split('.').collect::<Vec<_>>()[..] else {
        return Err("a flow's name has three parts");
    };
    let names = |part: &str, role: Role| part.parse::<Role>().is_ok_and(|named| named.plays(role));
    if !names(from, row.from) || !names(to, row.to) {
        return Err("a flow's name begins with its two roles");
    }
    if row.ports.is_empty() || row.transports.is_empty() {
        return Err("a row has ports and transports");
    }
    if row.purpose.is_empty() || !row.purpose.ends_with('.') {
        return Err("a purpose is a sentence");
    }
    if row.is_erratum() != row.reason.is_some() || row.is_erratum() == row.printed.is_some() {
        return Err("errata have a reason, rows of the page a printed cell");
    }
    let Some(printed) = &row.printed else { return Ok(()) };
    let effective: Vec<u16> = row
        .ports
        .iter()
        .flat_map(|range| match range.single() {
            Some(port) => vec![port],
            None => vec![range.start(), range.end()],
        })
        .collect();
    if (numbers(&printed.ports) == effective) == row.corrected.is_some() {
        return Err("ports differ from the printed ones with a reason, and only then");
    }
    let kept = |transport| printed.transports.is_empty() || printed.transports.contains(transport);
    if !row.transports.iter().all(kept) {
        return Err("a transport that the page prints not is an erratum");
    }
    Ok(())
}

/// The numbers in a printed cell, in their order.
fn numbers(cell: &str) -> Vec<u16> {
    cell.split(|character: char| !character.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: u32,
    id: String,
    label: String,
    table: Vec<RawTable>,
    row: Vec<RawRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    id: String,
    title: String,
    printed: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRow {
    flow: String,
    table: String,
    number: u16,
    from: String,
    to: String,
    protocol: String,
    speaks: String,
    ports: Vec<String>,
    ports_relation: Option<RawRelation>,
    transports: Vec<RawTransport>,
    printed: Option<RawPrinted>,
    corrected: Option<String>,
    requirement: RawRequirement,
    purpose: String,
    #[serde(default)]
    notes: Vec<String>,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPrinted {
    ports: String,
    transports: Vec<RawTransport>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawTransport {
    Tcp,
    Udp,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawRelation {
    All,
    Any,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawRequirement {
    Required,
    Conditional,
    Optional,
    RegistrationOnly,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::flow;

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

    /// A lawful edition of one row, `change` made to it, is refused with `expected` in the message.
    fn check_refused(change: (&str, &str), expected: &str) {
        let lawful = r#"
            schema = 1
            id = "2000-01-01"
            label = "A test"
            [[table]]
            id = "1"
            title = "One"
            [[row]]
            flow = "connect.ad.ldap"
            table = "1"
            number = 1
            from = "connect"
            to = "forest"
            protocol = "LDAP"
            speaks = "ldap"
            ports = ["389"]
            transports = ["tcp"]
            printed = { ports = "389 (TCP)", transports = ["tcp"] }
            requirement = "required"
            purpose = "Reads."
        "#;
        assert!(read_edition(lawful).is_ok());
        let broken = lawful.replace(change.0, change.1);
        assert_ne!(broken, lawful, "the case {change:?} changes nothing");
        let error = read_edition(&broken).unwrap_err().to_string();
        assert!(error.contains(expected), "{change:?}: {error}");
    }

    #[test]
    fn an_edition_that_breaks_a_rule_is_refused() {
        for (change, expected) in [
            (("schema = 1", "schema = 2"), "schema is the one"),
            (("speaks = \"ldap\"", "speaks = \"ldap\"\ncolour = 1"), "unknown field `colour`"),
            (("label = ", "lable = "), "unknown field `lable`"),
            (("number = 1", "number = 2"), "numbered from 1"),
            (("table = \"1\"", "table = \"2\""), "its table is declared"),
            (("connect.ad.ldap", "connect.ad.ladp"), "a constant of `flow`"),
            (("connect.ad.ldap", "agent.tenant.https"), "begins with its two roles"),
            (("from = \"connect\"", "from = \"conect\""), "`from` is a role"),
            (("to = \"forest\"", "to = \"wood\""), "`to` is a role"),
            (("[\"389\"]", "[\"70000\"]"), "ports are legal"),
            (("[\"389\"]", "[]"), "has ports and transports"),
            (("[\"389\"]", "[\"390\"]"), "differ from the printed ones"),
            (("\"389 (TCP)\"", "\"398 (TCP)\""), "differ from the printed ones"),
            (("transports = [\"tcp\"]\n", "transports = [\"sctp\"]\n"), "unknown variant `sctp`"),
            (("transports = [\"tcp\"]\n", "transports = [\"udp\"]\n"), "prints not"),
            (("\"required\"", "\"maybe\""), "unknown variant `maybe`"),
            (("\"Reads.\"", "\"Reads\""), "a purpose is a sentence"),
            (("purpose = ", "reason = \"None.\"\npurpose = "), "errata have a reason"),
        ] {
            check_refused(change, expected);
        }
    }

    #[test]
    fn a_flow_that_stands_twice_is_refused() {
        let (head, row) = ERRATA.split_once("[[row]]").unwrap();
        let row = row.split("[[row]]").next().unwrap();
        let second = row.replace("number = 1", "number = 2");
        let error = read_edition(&format!("{head}[[row]]{row}[[row]]{second}")).unwrap_err();
        assert!(error.to_string().contains("stands once"));
    }
}
