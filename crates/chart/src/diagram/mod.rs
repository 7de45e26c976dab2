//! Pictures of an edition: who opens which connection to whom, as [SVG](svg()) and as
//! [Mermaid](mermaid()).
//!
//! Hosts are boxes in three zones, links are arrows with their table, protocol and ports; what the page
//! leaves out is dashed. [`layout`] places everything so that no two texts can meet, whatever rows an
//! edition has; a test holds that for each. A check's result is drawn in by [`Mark`]s.

mod layout;
mod mermaid;
mod svg;
#[cfg(test)]
mod tests;

pub use mermaid::mermaid;
pub use svg::svg;

use crate::{Chart, Role, Row};

/// How a row is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// As the page has it.
    Plain,
    /// A check found it open.
    Open,
    /// A check found it closed or faulty.
    Closed,
    /// A check could not judge it.
    Unjudged,
}

impl Mark {
    /// What stands before the row, so that nothing is told by colour alone.
    const fn sign(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Open => "✓ ",
            Self::Closed => "✗ ",
            Self::Unjudged => "? ",
        }
    }

    const fn class(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Unjudged => "unjudged",
        }
    }

    /// What a link with rows of both is drawn as.
    fn worse(self, other: Self) -> Self {
        let weight = |mark| match mark {
            Self::Plain => 0,
            Self::Open => 1,
            Self::Unjudged => 2,
            Self::Closed => 3,
        };
        if weight(other) > weight(self) { other } else { self }
    }
}

/// Where a host stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Zone {
    OnPremises,
    Perimeter,
    Outside,
}

impl Zone {
    const ALL: [Self; 3] = [Self::OnPremises, Self::Perimeter, Self::Outside];

    const fn title(self) -> &'static str {
        match self {
            Self::OnPremises => "On premises",
            Self::Perimeter => "Perimeter",
            Self::Outside => "Cloud and people",
        }
    }

    /// Of the host of a role.
    const fn of(role: Role) -> Self {
        layout::zone(role)
    }
}

/// What a box is called, and what the host does there.
const fn title(role: Role) -> (&'static str, &'static str) {
    match role {
        Role::Connect => ("connect", "sync server"),
        Role::Forest => ("forest", "controllers"),
        Role::Tenant => ("tenant", "cloud directory"),
        Role::Federation | Role::FederationAndProxy => ("federation", "sign-in farm"),
        Role::Proxy => ("proxy", "of the farm"),
        Role::Agent => ("agent", "sign-in agent"),
        Role::Health => ("health", "health agent"),
        Role::User => ("user", "people outside"),
        Role::Workstation => ("workstation", "people at a desk"),
        Role::Resolver => ("resolver", "foreign names"),
        Role::TimeSource => ("time source", "the clock"),
        Role::WebProxy => ("web proxy", "to the outside"),
        Role::Database => ("database", "SQL server"),
        Role::Balancer => ("balancer", "of the farm"),
        Role::Router => ("router", "between networks"),
    }
}

/// The rows of one table between two roles: one arrow.
#[derive(Debug)]
struct Link<'c> {
    from: Role,
    to: Role,
    rows: Vec<&'c Row>,
}

impl Link<'_> {
    /// What stands above the arrow.
    fn title(&self) -> String {
        let table = self.rows.first().map(|row| row.table.to_string()).unwrap_or_default();
        match self.to {
            Role::FederationAndProxy => format!("{table}, proxy too"),
            _ => table,
        }
    }

    fn is_erratum(&self) -> bool {
        self.rows.iter().all(|row| row.is_erratum())
    }
}

/// What stands at an arrow for a row.
fn label(row: &Row) -> String {
    format!("{} {} {}", row.protocol, row.ports_text(), row.transports_text())
}

/// Every link of a chart, in the order of the chart.
fn links(chart: &Chart) -> Vec<Link<'_>> {
    let mut links: Vec<Link<'_>> = Vec::new();
    for row in chart.all() {
        let is_its = |link: &&mut Link<'_>| {
            let (from, to) = (link.from, link.to);
            (from, to) == (row.from, row.to)
                && link.rows.iter().all(|other| other.table == row.table)
        };
        match links.iter_mut().find(is_its) {
            Some(link) => link.rows.push(row),
            None => links.push(Link { from: row.from, to: row.to, rows: vec![row] }),
        }
    }
    links
}
