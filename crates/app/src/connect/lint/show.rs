//! Findings as people and programs read them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use portolan_sync::lint::{Attribute, Finding, Rule};
use serde::Serialize;
use serde_json::json;

use crate::report::Failure;
use crate::terminal::plain;

/// Findings of one rule that are shown.
const EXAMPLES_MAX: usize = 5;

/// How many there are, and some of each rule.
#[derive(Debug, Default)]
pub(super) struct Summary {
    rules: BTreeMap<Rule, OfRule>,
    /// Objects with a finding.
    pub(super) objects: u64,
    /// Findings with a proposal.
    proposals: u64,
}

#[derive(Debug, Default)]
struct OfRule {
    count: u64,
    examples: Vec<Finding>,
}

/// A finding as a program reads it.
#[derive(Serialize)]
struct Shown<'a> {
    rule: &'static str,
    severity: String,
    dn: &'a str,
    object_guid: String,
    kind: &'static str,
    attribute: Option<&'static str>,
    value: &'a str,
    proposal: Option<&'a str>,
    why: &'a str,
}

impl Summary {
    /// Counts the findings of one object.
    pub(super) fn add(&mut self, findings: &[Finding]) {
        self.objects += 1;
        for finding in findings {
            self.proposals += u64::from(finding.proposal.is_some());
            let of_rule = self.rules.entry(finding.rule).or_default();
            of_rule.count += 1;
            if of_rule.examples.len() < EXAMPLES_MAX {
                of_rule.examples.push(finding.clone());
            }
        }
    }

    /// All findings.
    pub(super) fn count(&self) -> u64 {
        self.rules.values().map(|of_rule| of_rule.count).sum()
    }

    /// The summary for a person.
    pub(super) fn text(&self, seen: u64) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        for (rule, OfRule { count, examples }) in &self.rules {
            let _ = writeln!(text, "{rule} ({}): {}: {count}", rule.severity(), rule.meaning());
            for finding in examples {
                let _ = writeln!(text, "  {}", example(finding));
            }
            let more = *count - examples.len() as u64;
            if more > 0 {
                let _ = writeln!(text, "  and {more} more");
            }
        }
        let (count, objects, proposals) = (self.count(), self.objects, self.proposals);
        let _ = writeln!(
            text,
            "{seen} objects looked at: {count} findings in {objects} of them, {proposals} with a proposal"
        );
        text
    }

    /// The counts by rule for a program.
    pub(super) fn counts(&self, seen: u64) -> serde_json::Value {
        let rules = self.rules.iter().map(|(rule, of_rule)| (rule.name(), of_rule.count));
        json!({
            "objects": seen,
            "objects_with_findings": self.objects,
            "findings": self.count(),
            "rules": rules.collect::<BTreeMap<_, _>>(),
        })
    }
}

fn example(finding: &Finding) -> String {
    let mut line = match finding.attribute {
        Some(attribute) => {
            format!("{} {:?} of {}", attribute.name(), finding.value, plain(&finding.dn))
        }
        None => plain(&finding.dn).into_owned(),
    };
    let _ = write!(line, ": {}", plain(&finding.why));
    if let Some(proposal) = &finding.proposal {
        let _ = write!(line, "; proposed: {proposal:?}");
    }
    line
}

/// One finding as JSON, on one line.
pub(super) fn json(finding: &Finding) -> Result<String, Failure> {
    let shown = Shown {
        rule: finding.rule.name(),
        severity: finding.rule.severity().to_string(),
        dn: &finding.dn,
        object_guid: finding.guid.to_string(),
        kind: finding.kind.as_str(),
        attribute: finding.attribute.map(Attribute::name),
        value: &finding.value,
        proposal: finding.proposal.as_deref(),
        why: &finding.why,
    };
    serde_json::to_string(&shown)
        .map_err(|error| Failure::because("cannot write the findings", &error))
}
