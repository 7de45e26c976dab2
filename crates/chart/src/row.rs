//! One row of the chart.

use std::fmt;

use crate::{Flow, PortRange, Role, Speaks, Transport};

/// The table of the page in which a row stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TableId {
    /// A numbered table, `1` to `7a`.
    Page(String),
    /// The rows that the page leaves out.
    Errata,
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Page(id) => write!(f, "Table {id}"),
            Self::Errata => f.write_str("Errata"),
        }
    }
}

/// Whether every port of a row must be open, or one is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PortsRelation {
    /// Every listed port is needed; of a range that the endpoint mapper gives out, every port that it may
    /// name.
    #[default]
    All,
    /// One is enough; they are tried in order.
    Any,
}

/// When a row must be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    /// Always.
    Required,
    /// When the configuration uses it.
    Conditional,
    /// It only makes something better.
    Optional,
    /// While something registers, and not afterwards.
    RegistrationOnly,
}

impl Requirement {
    /// As data files and commands write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Conditional => "conditional",
            Self::Optional => "optional",
            Self::RegistrationOnly => "registration-only",
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What the page itself says in a row's cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printed {
    /// The cell, letter by letter, slips included.
    pub ports: String,
    /// The transports it names; empty where it names none.
    pub transports: Vec<Transport>,
}

/// One link as one edition (or the errata) has it. [`crate::Chart`] hands rows out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// The link's name, the same in every edition.
    pub flow: Flow,
    /// The table of the page.
    pub table: TableId,
    /// The row's place in its edition, counted through all tables from 1; errata count on their own.
    pub number: u16,
    /// The side that opens the connection.
    pub from: Role,
    /// The side that answers.
    pub to: Role,
    /// The protocol, as the page calls it.
    pub protocol: String,
    /// What is really spoken.
    pub speaks: Speaks,
    /// What the link is for, in one sentence.
    pub purpose: String,
    /// The effective ports: the page's with its slips put right, or the configured one. Never empty.
    pub ports: Vec<PortRange>,
    /// Whether all of [`Row::ports`] are needed.
    pub ports_relation: PortsRelation,
    /// The effective transports. Never empty.
    pub transports: Vec<Transport>,
    /// What the page prints; `None` for errata.
    pub printed: Option<Printed>,
    /// Why [`Row::ports`] differ from the printed ones in the data; `None` when they do not.
    pub corrected: Option<String>,
    /// When the row must be open.
    pub requirement: Requirement,
    /// Remarks on what the page prints.
    pub notes: Vec<String>,
    /// Why an erratum is needed; `None` for rows of the page.
    pub reason: Option<String>,
    /// Whether the configuration has put another port in place of the chart's.
    pub configured: bool,
}

impl Row {
    /// Names the row as errors do: `Table 1, LDAP 389/tcp`, and ` (configured)` after a port that is
    /// not the chart's.
    #[must_use]
    pub fn describe(&self, port: u16, transport: Transport) -> String {
        let configured = if self.configured { " (configured)" } else { "" };
        format!("{}, {} {port}/{transport}{configured}", self.table, self.protocol)
    }

    /// The port to dial or to listen on where one is wanted: the first of [`Row::ports`].
    ///
    /// A range gives its lowest end, which is right for listening and means nothing for dialling: who
    /// dials a dynamic port learnt it from the peer and asks [`Row::contains`].
    #[must_use]
    pub fn first_port(&self) -> u16 {
        // INVARIANT: `ports` is never empty, `data` refuses such a row.
        self.ports.first().map_or(0, |range| range.start())
    }

    /// Whether `port` is one of the row's.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        self.ports.iter().any(|range| range.contains(port))
    }

    /// Whether the row is a range, one port of which the peer picks.
    #[must_use]
    pub fn is_dynamic(&self) -> bool {
        self.ports.iter().any(|range| range.single().is_none())
    }

    /// Whether the row runs over `transport`.
    #[must_use]
    pub fn uses(&self, transport: Transport) -> bool {
        self.transports.contains(&transport)
    }

    /// Whether the page lacks the row.
    #[must_use]
    pub fn is_erratum(&self) -> bool {
        self.table == TableId::Errata
    }

    /// The effective ports as text: `389`, `49152-65535`, `9352, 5671`, `8080 or 443`.
    #[must_use]
    pub fn ports_text(&self) -> String {
        let separator = match self.ports_relation {
            PortsRelation::All => ", ",
            PortsRelation::Any => " or ",
        };
        self.ports.iter().map(PortRange::to_string).collect::<Vec<_>>().join(separator)
    }

    /// The effective transports as text: `tcp+udp`.
    #[must_use]
    pub fn transports_text(&self) -> String {
        self.transports.iter().map(|transport| transport.name()).collect::<Vec<_>>().join("+")
    }
}
