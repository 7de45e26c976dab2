//! What changed between two checks.

use std::collections::BTreeMap;

use portolan_probe::{Finding, Report};

use super::super::report::words;

/// The verdicts of the check before, by question.
#[derive(Debug, Default)]
pub(super) struct States(BTreeMap<String, &'static str>);

impl States {
    /// Takes a check's verdicts in; gives a line for each that is another one than before. At the first
    /// check that is everything that is not open.
    pub(super) fn changes(&mut self, report: &Report) -> Vec<String> {
        let mut lines = Vec::new();
        let mut states = BTreeMap::new();
        let first = self.0.is_empty();
        for row in &report.rows {
            for finding in &row.findings {
                let key = format!("{} at {}", words::row(&row.row), words::place(finding));
                let verdict = finding.outcome.verdict.name();
                match self.0.get(&key) {
                    Some(before) if *before == verdict => {}
                    Some(before) => {
                        lines.push(line(&key, &format!("{before} -> {verdict}"), finding));
                    }
                    None if first && finding.outcome.verdict.is_open() => {}
                    None => lines.push(line(&key, verdict, finding)),
                }
                states.insert(key, verdict);
            }
        }
        let gone = self.0.keys().filter(|key| !states.contains_key(*key));
        lines.extend(gone.map(|key| format!("{key}: no longer asked")));
        self.0 = states;
        lines
    }
}

fn line(key: &str, change: &str, finding: &Finding) -> String {
    match words::detail(finding) {
        detail if detail.is_empty() || finding.outcome.verdict.is_open() => {
            format!("{key}: {change}")
        }
        detail => format!("{key}: {change} ({detail})"),
    }
}
