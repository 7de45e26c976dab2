//! What became of the rows from one edition to another.

use std::fmt;

use crate::{Chart, Flow, PortRange, Row, TableId};

/// The rows that differ between two editions; the errata, which stand beside both, are left out.
#[derive(Debug, Clone, Default)]
pub struct Diff {
    /// The rows of the later that the earlier does not have.
    pub added: Vec<Row>,
    /// The rows of the earlier that the later does not have.
    pub gone: Vec<Row>,
    /// The rows of both that are not the same.
    pub changed: Vec<Changed>,
}

/// A row that stands in both editions.
#[derive(Debug, Clone)]
pub struct Changed {
    /// The link.
    pub flow: Flow,
    /// What is not the same. Never empty.
    pub changes: Vec<Change>,
}

impl Changed {
    /// Whether a firewall has to change with the row: a matter of ports, transports or ends.
    #[must_use]
    pub fn is_on_the_wire(&self) -> bool {
        self.changes
            .iter()
            .any(|change| matches!(change.what, "ports" | "transports" | "direction"))
    }

    /// Whether it is only printed in another way or place.
    #[must_use]
    pub fn is_in_print_only(&self) -> bool {
        self.changes.iter().all(|change| matches!(change.what, "table" | "printed"))
    }
}

/// One property of a row, before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `table`, `direction`, `protocol`, `ports`, `transports`, `requirement` or `printed`.
    pub what: &'static str,
    /// In the earlier edition.
    pub before: String,
    /// In the later edition.
    pub after: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} -> {}", self.what, self.before, self.after)
    }
}

impl Diff {
    /// What became of the rows of `before` in `after`, in the order of each edition.
    #[must_use]
    pub fn between(before: &Chart, after: &Chart) -> Self {
        let rows = |chart: &Chart| -> Vec<Row> {
            chart.all().filter(|row| !row.is_erratum()).cloned().collect()
        };
        let (before, after) = (rows(before), rows(after));
        let stands = |rows: &[Row], row: &Row| rows.iter().any(|other| other.flow == row.flow);
        let changed = before.iter().filter_map(|row| {
            let other = after.iter().find(|other| other.flow == row.flow)?;
            let changes = changes(row, other);
            (!changes.is_empty()).then_some(Changed { flow: row.flow, changes })
        });
        Self {
            changed: changed.collect(),
            added: after.iter().filter(|row| !stands(&before, row)).cloned().collect(),
            gone: before.iter().filter(|row| !stands(&after, row)).cloned().collect(),
        }
    }

    /// Whether the editions have the same rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.gone.is_empty() && self.changed.is_empty()
    }
}

fn changes(before: &Row, after: &Row) -> Vec<Change> {
    let direction = |row: &Row| format!("{} -> {}", row.from, row.to);
    let printed =
        |row: &Row| row.printed.as_ref().map_or_else(String::new, |cell| cell.ports.clone());
    let table = |row: &Row| match &row.table {
        TableId::Page(id) => id.clone(),
        TableId::Errata => "errata".to_owned(),
    };
    // Sets: the order of ports and transports in a row means nothing, except where one is enough.
    let ports = |row: &Row| {
        let ranges: Vec<_> = row.ports.iter().map(PortRange::to_string).collect();
        (ranges, row.ports_relation)
    };
    let mut changes = Vec::new();
    let mut compare = |what, is_same: bool, text: &dyn Fn(&Row) -> String| {
        if !is_same {
            changes.push(Change { what, before: text(before), after: text(after) });
        }
    };
    compare("ports", ports(before) == ports(after), &Row::ports_text);
    compare(
        "transports",
        before.transports.iter().all(|t| after.uses(*t))
            && after.transports.iter().all(|t| before.uses(*t)),
        &Row::transports_text,
    );
    compare("direction", direction(before) == direction(after), &direction);
    compare("requirement", before.requirement == after.requirement, &|row| {
        row.requirement.to_string()
    });
    compare("protocol", before.protocol == after.protocol, &|row| row.protocol.clone());
    compare("table", before.table == after.table, &table);
    compare("printed", printed(before) == printed(after), &printed);
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(before: &str, after: &str) -> Diff {
        Diff::between(&Chart::edition(before).unwrap(), &Chart::edition(after).unwrap())
    }

    fn flows(rows: &[Row]) -> Vec<&str> {
        rows.iter().map(|row| row.flow.name()).collect()
    }

    #[test]
    fn an_edition_does_not_differ_from_itself() {
        for edition in Chart::editions() {
            assert!(diff(&edition.id, &edition.id).is_empty(), "{}", edition.id);
        }
    }

    #[test]
    fn the_newer_seed_adds_its_agents_and_changes_the_dynamic_range() {
        let diff = diff("2016-05-19", "2017-02-15");
        assert_eq!(diff.added.len(), 9);
        assert!(diff.gone.is_empty());
        let on_the_wire: Vec<_> = diff.changed.iter().filter(|row| row.is_on_the_wire()).collect();
        assert_eq!(on_the_wire.len(), 1);
        assert_eq!(on_the_wire[0].flow.name(), "connect.ad.rpc");
        assert_eq!(on_the_wire[0].changes[0].to_string(), "ports 1024-65535 -> 49152-65535");
    }

    #[test]
    fn the_agents_ports_of_2017_are_gone_half_a_year_later() {
        let diff = diff("2017-02-15", "2017-08-02");
        assert_eq!(flows(&diff.added), ["connect.ad.smb", "connect.ad.winrm", "connect.ad.adws"]);
        assert_eq!(diff.gone.len(), 6);
    }

    #[test]
    fn what_comes_one_way_goes_the_other() {
        for before in Chart::editions() {
            for after in Chart::editions() {
                let (there, back) = (diff(&before.id, &after.id), diff(&after.id, &before.id));
                assert_eq!(flows(&there.added), flows(&back.gone));
                assert_eq!(there.changed.len(), back.changed.len());
            }
        }
    }
}
