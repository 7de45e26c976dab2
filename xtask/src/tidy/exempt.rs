//! What the rules have to bear for now, as data. The lists only shrink.

use std::collections::BTreeSet;

use super::Finding;

/// A function over the limit: it may shrink (then its entry shrinks with it) and never grow.
pub(super) struct LongFunction {
    pub(super) path: &'static str,
    pub(super) name: &'static str,
    pub(super) lines: usize,
    pub(super) reason: &'static str,
}

impl LongFunction {
    /// What names the entry.
    pub(super) fn key(&self) -> String {
        format!("{} {}", self.path, self.name)
    }
}

/// A table or a golden over the limit for files.
pub(super) struct LongFile {
    pub(super) path: &'static str,
    pub(super) reason: &'static str,
}

/// A file in which a number that is also a port may stand.
pub(super) struct PortLiteral {
    pub(super) path: &'static str,
    /// Whether only the file's tests may.
    pub(super) tests_only: bool,
    pub(super) reason: &'static str,
}

/// Functions over the limit. None so far.
pub(super) const LONG_FUNCTIONS: &[LongFunction] = &[];

/// Files over the limit. None so far.
pub(super) const LONG_FILES: &[LongFile] = &[];

/// Files with numbers that are ports.
pub(super) const PORT_LITERALS: &[PortLiteral] = &[
    PortLiteral {
        path: "crates/chart/src/chart.rs",
        tests_only: true,
        reason: "holds the chart against known numbers",
    },
    PortLiteral {
        path: "crates/chart/src/firewall/classify.rs",
        tests_only: true,
        reason: "packets as a capture shows them",
    },
    PortLiteral {
        path: "crates/chart/src/port.rs",
        tests_only: true,
        reason: "parses ports as texts",
    },
    PortLiteral {
        path: "xtask/src/tidy/ports.rs",
        tests_only: true,
        reason: "the examples that the rule finds",
    },
];

/// Entries that nothing needs any more.
pub(super) fn unused(used: &BTreeSet<String>) -> Vec<Finding> {
    let entries = LONG_FUNCTIONS
        .iter()
        .map(|entry| (entry.key(), entry.reason))
        .chain(LONG_FILES.iter().map(|entry| (entry.path.to_owned(), entry.reason)))
        .chain(PORT_LITERALS.iter().map(|entry| (format!("port {}", entry.path), entry.reason)));
    stale(entries, used)
}

fn stale(
    entries: impl Iterator<Item = (String, &'static str)>,
    used: &BTreeSet<String>,
) -> Vec<Finding> {
    entries
        .filter(|(key, _)| !used.contains(key))
        .map(|(key, reason)| {
            let what = format!("nothing needs the entry {key:?} ({reason}) any more");
            Finding::new("xtask/src/tidy/exempt.rs", 0, what)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_nothing_needs_is_found() {
        let entries = || [("a.rs a".to_owned(), "x"), ("b.rs".to_owned(), "y")].into_iter();
        let used = BTreeSet::from(["a.rs a".to_owned(), "b.rs".to_owned()]);
        assert!(stale(entries(), &used).is_empty());
        assert_eq!(stale(entries(), &BTreeSet::new()).len(), 2);
    }
}
