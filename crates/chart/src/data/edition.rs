//! An edition as a file, and the one schema that all of them keep.
//!
//! Files are read strictly: an unknown key, role, flow, transport or port is refused with its line and
//! column, and so is a row that breaks one of the rules below.

use std::collections::HashSet;
use std::ops::Range;
use std::str::FromStr;

use portolan_model::Hint;
use serde::Deserialize;
use toml::Spanned;

use super::{InvalidFile, SCHEMA};
use crate::chart::Edition;
use crate::{Flow, PortRange, PortsRelation, Printed, Requirement, Role, Row, Speaks, TableId};
use crate::{Transport, UnknownProtocol};

/// An edition's file in octets. The longest of the page's own has a fiftieth of it.
pub const FILE_SIZE_MAX: usize = 1024 * 1024;

/// The table that rows outside of the page are in.
const ERRATA: &str = "errata";

/// The errata have their table and no other; a page has no such table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Page,
    Errata,
}

/// Reads an edition.
pub(crate) fn read(source: &str, kind: Kind) -> Result<Edition, InvalidFile> {
    if source.len() > FILE_SIZE_MAX {
        return Err(InvalidFile::at(source, 0..0, "no edition is so large"));
    }
    let file: File = toml::from_str(source).map_err(|error| InvalidFile::unread(source, &error))?;
    let broken = |place: Range<usize>, rule: &str| Err(InvalidFile::at(source, place, rule));
    if *file.schema.get_ref() != SCHEMA {
        return broken(file.schema.span(), "the schema is not the one that this build reads");
    }
    texts_are_printable(source, [&file.id, &file.label])?;
    for table in &file.table {
        texts_are_printable(source, [&table.id, &table.title].into_iter().chain(&table.printed))?;
        if (kind == Kind::Errata) != (table.id.get_ref() == ERRATA) {
            return broken(
                table.id.span(),
                "errata stand in a file of their own, in their one table",
            );
        }
    }
    let mut rows: Vec<Row> = Vec::new();
    let mut flows = HashSet::new();
    for raw in &file.row {
        if usize::from(*raw.number.get_ref()) != rows.len() + 1 {
            return broken(raw.number.span(), "rows are numbered from 1 in their order");
        }
        if !file.table.iter().any(|table| table.id.get_ref() == raw.table.get_ref()) {
            return broken(raw.table.span(), "the table of this row is not declared");
        }
        let row = read_row(source, raw)?;
        if !flows.insert(row.flow) {
            return broken(raw.flow.span(), "a flow stands once in an edition");
        }
        rows.push(row);
    }
    let (mut tables, mut printed_titles) = (Vec::new(), Vec::new());
    for table in file.table {
        tables.push((table.id.into_inner(), table.title.into_inner()));
        printed_titles.push(table.printed.map(Spanned::into_inner));
    }
    let (id, label) = (file.id.into_inner(), file.label.into_inner());
    Ok(Edition { id, label, tables, printed_titles, rows })
}

fn read_row(source: &str, raw: &RawRow) -> Result<Row, InvalidFile> {
    let texts = [&raw.protocol, &raw.purpose].into_iter().chain(&raw.corrected).chain(&raw.notes);
    texts_are_printable(source, texts.chain(&raw.reason))?;
    let row = Row {
        flow: parse::<Flow>(source, &raw.flow)?,
        table: match raw.table.get_ref().as_str() {
            ERRATA => TableId::Errata,
            table => TableId::Page(table.to_owned()),
        },
        number: *raw.number.get_ref(),
        from: parse::<Role>(source, &raw.from)?,
        to: parse::<Role>(source, &raw.to)?,
        protocol: raw.protocol.get_ref().clone(),
        speaks: parse::<Speaks>(source, &raw.speaks)?,
        purpose: raw.purpose.get_ref().clone(),
        ports: ports(source, raw.ports.get_ref())?,
        ports_relation: match raw.ports_relation {
            None | Some(RawRelation::All) => PortsRelation::All,
            Some(RawRelation::Any) => PortsRelation::Any,
        },
        transports: transports(raw.transports.get_ref()),
        printed: raw.printed.as_ref().map(|printed| Printed {
            ports: printed.get_ref().ports.get_ref().clone(),
            transports: transports(&printed.get_ref().transports),
        }),
        corrected: raw.corrected.as_ref().map(|text| text.get_ref().clone()),
        requirement: raw.requirement.into(),
        notes: raw.notes.iter().map(|note| note.get_ref().clone()).collect(),
        reason: raw.reason.as_ref().map(|text| text.get_ref().clone()),
        configured: false,
    };
    match broken_rule(&row, raw) {
        None => Ok(row),
        Some((place, rule)) => Err(InvalidFile::at(source, place, rule)),
    }
}

/// The first rule that a row breaks of those that types alone do not hold, and where.
fn broken_rule(row: &Row, raw: &RawRow) -> Option<(Range<usize>, &'static str)> {
    let parts: Vec<_> = row.flow.name().split('.').collect();
    let names = |at: usize, role: Role| {
        parts.get(at).and_then(|part| part.parse::<Role>().ok()).is_some_and(|r| r.plays(role))
    };
    let is_one = |range: &PortRange| range.single().is_some();
    let has_several = row.ports.len() > 1 || !row.ports.iter().all(is_one);
    let rules = [
        (!names(0, row.from), raw.from.span(), "a flow's name begins with its two roles"),
        (!names(1, row.to), raw.to.span(), "a flow's name begins with its two roles"),
        (row.ports.is_empty(), raw.ports.span(), "a row has ports"),
        (
            has_several != raw.ports_relation.is_some(),
            raw.ports.span(),
            "a row of several ports says in ports_relation whether all or any is needed, and no other row",
        ),
        (row.transports.is_empty(), raw.transports.span(), "a row has transports"),
        (!row.purpose.ends_with('.'), raw.purpose.span(), "a purpose is a sentence"),
        (
            row.is_erratum() != row.reason.is_some(),
            raw.flow.span(),
            "errata have a reason, and no other row",
        ),
    ];
    if let Some((_, place, rule)) = rules.into_iter().find(|(is_broken, ..)| *is_broken) {
        return Some((place, rule));
    }
    match (&row.printed, &raw.printed) {
        (Some(printed), Some(raw)) => {
            broken_cell(row, printed).map(|rule| (raw.get_ref().ports.span(), rule))
        }
        _ if row.is_erratum() => None,
        _ => Some((raw.flow.span(), "a row of the page has its printed cell")),
    }
}

/// The rule of a printed cell that a row breaks.
fn broken_cell(row: &Row, printed: &Printed) -> Option<&'static str> {
    if row.is_erratum() {
        return Some("the page prints no cell of an erratum");
    }
    let effective: Vec<u16> = row
        .ports
        .iter()
        .flat_map(|range| match range.single() {
            Some(port) => vec![port],
            None => vec![range.start(), range.end()],
        })
        .collect();
    if (numbers(&printed.ports) == effective) == row.corrected.is_some() {
        return Some(
            "ports differ from the printed ones with a reason in `corrected`, and only then",
        );
    }
    let kept = |transport| printed.transports.is_empty() || printed.transports.contains(transport);
    (!row.transports.iter().all(kept))
        .then_some("a transport that the page prints not is an erratum")
}

/// The numbers in a printed cell, in their order.
fn numbers(cell: &str) -> Vec<u16> {
    cell.split(|character: char| !character.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

fn ports(source: &str, raw: &[Spanned<String>]) -> Result<Vec<PortRange>, InvalidFile> {
    raw.iter()
        .map(|text| {
            let parsed = text.get_ref().parse::<PortRange>();
            parsed.map_err(|error| InvalidFile::at(source, text.span(), error.to_string()))
        })
        .collect()
}

fn transports(raw: &[RawTransport]) -> Vec<Transport> {
    raw.iter()
        .map(|transport| match transport {
            RawTransport::Tcp => Transport::Tcp,
            RawTransport::Udp => Transport::Udp,
        })
        .collect()
}

/// A word of the chart's own; where it is none, the error says which there are.
pub(crate) fn parse<T>(source: &str, raw: &Spanned<String>) -> Result<T, InvalidFile>
where
    T: FromStr,
    T::Err: Hint + ToString,
{
    let parsed = raw.get_ref().parse::<T>();
    parsed.map_err(|error| {
        InvalidFile::at(source, raw.span(), error.to_string()).with_hint(error.hint())
    })
}

/// Texts are shown on terminals, in tables and in comments of rules: each is one line, and not empty.
pub(crate) fn texts_are_printable<'text>(
    source: &str,
    texts: impl IntoIterator<Item = &'text Spanned<String>>,
) -> Result<(), InvalidFile> {
    let is_bad = |text: &&Spanned<String>| {
        text.get_ref().trim().is_empty() || text.get_ref().contains(char::is_control)
    };
    match texts.into_iter().find(is_bad) {
        None => Ok(()),
        Some(text) => Err(InvalidFile::at(
            source,
            text.span(),
            "a text is one line without control characters",
        )),
    }
}

impl Hint for UnknownProtocol {
    fn hint(&self) -> Option<String> {
        let names: Vec<_> = Speaks::all().map(Speaks::name).collect();
        Some(format!("the protocols are {}", names.join(", ")))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: Spanned<u32>,
    id: Spanned<String>,
    label: Spanned<String>,
    table: Vec<RawTable>,
    row: Vec<RawRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    id: Spanned<String>,
    title: Spanned<String>,
    printed: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRow {
    flow: Spanned<String>,
    table: Spanned<String>,
    number: Spanned<u16>,
    from: Spanned<String>,
    to: Spanned<String>,
    protocol: Spanned<String>,
    speaks: Spanned<String>,
    ports: Spanned<Vec<Spanned<String>>>,
    ports_relation: Option<RawRelation>,
    transports: Spanned<Vec<RawTransport>>,
    printed: Option<Spanned<RawPrinted>>,
    corrected: Option<Spanned<String>>,
    requirement: RawRequirement,
    purpose: Spanned<String>,
    #[serde(default)]
    notes: Vec<Spanned<String>>,
    reason: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPrinted {
    ports: Spanned<String>,
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

/// [`Requirement`] as files write it.
#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RawRequirement {
    Required,
    Conditional,
    Optional,
    RegistrationOnly,
}

impl From<RawRequirement> for Requirement {
    fn from(raw: RawRequirement) -> Self {
        match raw {
            RawRequirement::Required => Self::Required,
            RawRequirement::Conditional => Self::Conditional,
            RawRequirement::Optional => Self::Optional,
            RawRequirement::RegistrationOnly => Self::RegistrationOnly,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAWFUL: &str = r#"
schema = 1
id = "2000-01-01"
label = "A test"
[[table]]
id = "1"
title = "One"
printed = "The page's own title"
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

    /// A lawful edition of one row, `change` made to it, is refused at `place` with `expected`.
    fn check_refused(change: (&str, &str), place: (usize, usize), expected: &str) {
        let broken = LAWFUL.replace(change.0, change.1);
        assert_ne!(broken, LAWFUL, "the case {change:?} changes nothing");
        let error = read(&broken, Kind::Page).unwrap_err();
        assert!(error.to_string().contains(expected), "{change:?}: {error}");
        assert_eq!((error.line, error.column), place, "{change:?}: {error}");
    }

    #[test]
    fn an_edition_that_breaks_a_rule_is_refused_with_line_and_column() {
        assert!(read(LAWFUL, Kind::Page).is_ok());
        for (change, place, expected) in [
            (("schema = 1", "schema = 2"), (2, 10), "schema is not the one"),
            (("speaks = ", "colour = 1\nspeaks = "), (16, 1), "unknown field `colour`"),
            (("label = ", "lable = "), (4, 1), "unknown field `lable`"),
            (("A test", "A\\u0007test"), (4, 9), "control characters"),
            (("number = 1", "number = 2"), (12, 10), "numbered from 1"),
            (("number = 1", "number = -1"), (12, 10), "invalid value"),
            (("table = \"1\"", "table = \"2\""), (11, 9), "not declared"),
            (("id = \"1\"", "id = \"errata\""), (6, 6), "a file of their own"),
            (("connect.ad.ldap", "connect.ad.ladp"), (10, 8), "is no flow of the chart"),
            (("connect.ad.ldap", "agent.tenant.https"), (13, 8), "begins with its two roles"),
            (("\"connect\"", "\"conect\""), (13, 8), "is no role of the chart"),
            (("to = \"forest\"", "to = \"tenant\""), (14, 6), "begins with its two roles"),
            (("\"ldap\"", "\"ladp\""), (16, 10), "is no protocol of the chart"),
            (("[\"389\"]", "[\"70000\"]"), (17, 10), "neither a port from 1 to 65535"),
            (("[\"389\"]", "[]"), (17, 9), "a row has ports"),
            (("[\"389\"]", "[\"389\", \"390\"]"), (17, 9), "whether all or any"),
            (("[\"389\"]", "[\"389-390\"]"), (17, 9), "whether all or any"),
            (("[\"389\"]", "[\"390\"]"), (19, 21), "differ from the printed ones"),
            (("\"389 (TCP)\"", "\"398 (TCP)\""), (19, 21), "differ from the printed ones"),
            (("\"tcp\"]\np", "\"sctp\"]\np"), (18, 15), "unknown variant `sctp`"),
            (("\"tcp\"]\np", "\"udp\"]\np"), (19, 21), "prints not"),
            (("transports = [\"tcp\"]\n", "transports = []\n"), (18, 14), "has transports"),
            (("\"required\"", "\"maybe\""), (20, 15), "unknown variant `maybe`"),
            (("\"Reads.\"", "\"Reads\""), (21, 11), "a purpose is a sentence"),
            (("purpose", "reason = \"None.\"\npurpose"), (10, 8), "errata have a reason"),
            (("printed = {", "#"), (10, 8), "has its printed cell"),
            (("[[row]]", "[[row"), (9, 6), "unclosed"),
        ] {
            check_refused(change, place, expected);
        }
    }

    #[test]
    fn an_error_says_which_words_there_are() {
        let error = read(&LAWFUL.replace("\"forest\"", "\"wood\""), Kind::Page).unwrap_err();
        assert!(error.hint().unwrap().contains("the roles are connect, forest, tenant"));
        let error = read(&LAWFUL.replace("\"ldap\"", "\"ladp\""), Kind::Page).unwrap_err();
        assert!(error.hint().unwrap().contains("the protocols are dns, kerberos"));
    }

    #[test]
    fn a_flow_that_stands_twice_is_refused() {
        let (_, row) = LAWFUL.split_once("[[row]]").unwrap();
        let second = row.replace("number = 1", "number = 2");
        let error = read(&format!("{LAWFUL}[[row]]{second}"), Kind::Page).unwrap_err();
        assert_eq!(error.to_string(), "line 23, column 8: a flow stands once in an edition");
    }

    #[test]
    fn a_file_past_the_limit_is_refused_before_it_is_read() {
        let long = format!("{LAWFUL}#{}", "a".repeat(FILE_SIZE_MAX));
        assert!(read(&long, Kind::Page).unwrap_err().to_string().contains("so large"));
    }

    proptest::proptest! {
        #[test]
        fn a_damaged_file_is_read_or_refused_inside_itself(at in 0..LAWFUL.len(), with in "\\PC{0,6}") {
            let mut damaged = LAWFUL.to_owned();
            damaged.replace_range(at..at + 1, &with);
            if let Err(error) = read(&damaged, Kind::Page) {
                proptest::prop_assert!(error.line >= 1 && error.line <= damaged.lines().count() + 1);
                proptest::prop_assert!(!error.to_string().contains('\n'), "{error}");
            }
        }
    }
}
