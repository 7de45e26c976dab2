//! The rules of style that a machine can check.
//!
//! Each rule is a function from what it reads to its findings, with a failing example among its tests:
//! a check that cannot fail is a defect. What a rule has to bear for now is data in [`exempt`], and an
//! exemption that nothing needs any more is a finding itself, so that the lists only shrink.

mod exempt;
mod functions;
mod manifests;
mod papers;
mod ports;
mod source;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use crate::run::{Failed, on_file};
use crate::workspace::root;

/// One place where a rule is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The file, from the root of the workspace.
    path: String,
    /// The line, from 1; 0 stands for the whole file.
    line: usize,
    /// What is wrong, as a clause.
    what: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// What the rules found in a workspace.
struct Report {
    /// Broken rules.
    findings: Vec<Finding>,
    /// What is not broken yet.
    warnings: Vec<Finding>,
}

/// Checks this workspace and prints what is wrong with it.
pub(crate) fn run() -> Result<(), Failed> {
    let report = check(root())?;
    for warning in &report.warnings {
        println!("warning: {warning}");
    }
    for finding in &report.findings {
        println!("{finding}");
    }
    match report.findings.len() {
        0 => Ok(()),
        1 => Err(Failed::new("tidy found 1 broken rule")),
        count => Err(Failed::new(format!("tidy found {count} broken rules"))),
    }
}

fn check(root: &Path) -> Result<Report, Failed> {
    let mut findings = Vec::new();
    let mut warnings = Vec::new();
    let mut used = BTreeSet::new();
    let ports = ports::of_every_edition();
    for path in source::files(root)? {
        let text = on_file("read", &root.join(&path), std::fs::read_to_string(root.join(&path)))?;
        let lengths = functions::file_length(&path, text.lines().count(), exempt::LONG_FILES);
        findings.extend(lengths.broken);
        warnings.extend(lengths.near);
        used.extend(lengths.used);
        if !path.ends_with(".rs") {
            continue;
        }
        let source = match source::Source::parse(&path, &text) {
            Ok(source) => source,
            Err(finding) => {
                findings.push(finding);
                continue;
            }
        };
        findings.extend(functions::module_opening(&path, &text));
        let functions = functions::lengths(&source, exempt::LONG_FUNCTIONS);
        findings.extend(functions.broken);
        used.extend(functions.used);
        findings.extend(functions::test_names(&source));
        findings.extend(functions::bare_allows(&source));
        findings.extend(manifests::sockets(&source));
        findings.extend(manifests::names(&path));
        let literals = ports::literals(&source, &ports, exempt::PORT_LITERALS);
        findings.extend(literals.broken);
        used.extend(literals.used);
    }
    findings.extend(exempt::unused(&used));
    findings.extend(manifests::all(root)?);
    findings.extend(papers::all(root));
    Ok(Report { findings, warnings })
}

/// What a rule with exemptions gives.
#[derive(Default)]
struct Outcome {
    broken: Vec<Finding>,
    near: Vec<Finding>,
    /// The exemptions that were needed, by their keys.
    used: BTreeSet<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_workspace_is_tidy() {
        let report = check(root()).unwrap();
        let findings: Vec<_> = report.findings.iter().map(Finding::to_string).collect();
        assert!(findings.is_empty(), "{}", findings.join("\n"));
    }
}
