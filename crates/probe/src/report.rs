//! What a check found, row by row.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use portolan_chart::{PortsRelation, Row};

use crate::{Deployment, Finding, Question, Verdict};

/// What a check found.
#[derive(Debug, Clone)]
pub struct Report {
    /// The deployment that was looked at.
    pub deployment: Arc<Deployment>,
    /// Every row of the role, in the chart's order.
    pub rows: Vec<RowReport>,
    /// How long it took.
    pub elapsed: Duration,
}

/// A row and its findings.
#[derive(Debug, Clone)]
pub struct RowReport {
    /// The row.
    pub row: Row,
    /// What was found, in the order of hosts, addresses and ports.
    pub findings: Vec<Finding>,
}

/// What a row comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// It does its work.
    Open,
    /// Something is closed or wrong.
    Closed,
    /// It could not be found out, or nobody was asked; this never counts as open.
    Unjudged,
}

impl Standing {
    /// As reports write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Unjudged => "not judged",
        }
    }
}

impl Report {
    /// The rows that stand so.
    pub fn standing(&self, standing: Standing) -> impl Iterator<Item = &RowReport> {
        self.rows.iter().filter(move |row| row.standing() == standing)
    }
}

impl RowReport {
    /// What it comes to.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let is_bad = |finding: &Finding| {
            !matches!(
                finding.outcome.verdict,
                Verdict::Open | Verdict::NoRoute | Verdict::Unjudged { .. }
            )
        };
        match self.is_open() {
            true => Standing::Open,
            false if self.findings.iter().any(is_bad) => Standing::Closed,
            false => Standing::Unjudged,
        }
    }

    /// The findings that are not open: what there is to be done.
    pub fn faults(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| !finding.outcome.verdict.is_open())
    }

    /// The longest that one of its answers took.
    #[must_use]
    pub fn latency(&self) -> Duration {
        self.findings.iter().map(|finding| finding.latency).max().unwrap_or_default()
    }

    /// Whether the row does its work: at every host each port, or one of them where one is enough, was
    /// open. A row that nobody was asked about does not.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let mut places: BTreeMap<_, Vec<&Finding>> = BTreeMap::new();
        for finding in &self.findings {
            let Question { peer, address, transport, .. } = &finding.question;
            places.entry((peer, address, *transport)).or_default().push(finding);
        }
        let has_no_route =
            |findings: &Vec<&Finding>| findings.iter().all(|finding| finding.has_no_route());
        // A machine without IPv6 does its work by IPv4.
        let peers_with_route: BTreeSet<_> = places
            .iter()
            .filter(|(_, findings)| !has_no_route(findings))
            .map(|((peer, ..), _)| *peer)
            .collect();
        places.retain(|(peer, ..), findings| {
            !(has_no_route(findings) && peers_with_route.contains(peer))
        });
        let is_open = |finding: &&Finding| finding.outcome.verdict.is_open();
        !places.is_empty()
            && places.values().all(|findings| match self.row.ports_relation {
                PortsRelation::All => findings.iter().all(is_open),
                PortsRelation::Any => findings.iter().any(is_open),
            })
    }
}
