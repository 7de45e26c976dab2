//! What is wrong with rules that compile: what can never happen, what nothing fills, what nothing reads.

mod dependence;
mod names;
mod outbound;
mod reach;

use std::fmt;

use portolan_model::Hint;

use super::error::Place;
use super::model::{Linking, Merge, Origin, Rule};
use super::set::Rules;
use crate::dictionary::Dictionary;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot work.
    Error,
    /// It works, and most likely not as it was meant.
    Warning,
}

/// Something wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The rule's key; `None` of what is wrong with a filter.
    pub key: Option<String>,
    /// Where the rule is written.
    pub place: Option<Place>,
    /// What is wrong.
    pub text: String,
    hint: String,
}

impl Hint for Finding {
    fn hint(&self) -> Option<String> {
        Some(self.hint.clone())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.text)
    }
}

/// The names of the systems that are connected.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemNames<'a> {
    /// Forests.
    pub forests: &'a [String],
    /// Targets.
    pub targets: &'a [String],
}

/// The parameters that a run gives to expressions, and what each is.
pub const PARAMETERS: &[(&str, &str)] = &[
    ("Connector.Name", "the name of the connected system"),
    ("Domain.FQDN", "the DNS name of the object's domain"),
    ("Domain.Netbios", "its NetBIOS name"),
    ("Forest.FQDN", "the DNS name of the forest"),
    ("Forest.LDAP", "the distinguished name of the forest's root domain"),
    ("Forest.Netbios", "the NetBIOS name of the forest's root domain"),
    ("Tenant.InitialDomain", "the tenant's own domain"),
    (
        "Tenant.VerifiedDomains",
        "the domains that the tenant has verified, in lower case, each between semicolons: `;corp.example;cloud.example;`",
    ),
];

/// Everything that is wrong, the worst first.
#[must_use]
pub fn lint(rules: &Rules, names: &Dictionary, systems: &SystemNames<'_>) -> Vec<Finding> {
    let mut linter = Linter { rules, names, systems: *systems, findings: Vec::new() };
    linter.systems();
    linter.linking();
    linter.merging();
    linter.scopes();
    linter.outbound_scopes();
    linter.shadows();
    linter.attributes();
    linter.types();
    linter.cycles();
    let mut findings = linter.findings;
    findings.sort_by(|one, two| (one.severity, &one.place).cmp(&(two.severity, &two.place)));
    findings
}

struct Linter<'l> {
    rules: &'l Rules,
    names: &'l Dictionary,
    systems: SystemNames<'l>,
    findings: Vec<Finding>,
}

impl<'l> Linter<'l> {
    fn find(
        &mut self,
        severity: Severity,
        rule: &Rule,
        text: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.findings.push(Finding {
            severity,
            key: Some(rule.key.clone()),
            place: self.rules.place(rule.id).cloned(),
            text: text.into(),
            hint: hint.into(),
        });
    }

    fn all(&self) -> impl Iterator<Item = &'l Rule> + use<'l> {
        self.rules.all().iter()
    }

    /// Rules that give once, or that only join, where nothing makes the object.
    fn linking(&mut self) {
        for rule in self.all() {
            let makes = |other: &&Rule| {
                other.linking == Linking::Provision
                    && other.direction == rule.direction
                    && other.metaverse == rule.metaverse
            };
            if self.all().any(|other| makes(&other)) || rule.origin == Origin::BuiltIn {
                continue;
            }
            let once = rule.flows.iter().find(|flow| flow.once);
            let text = once.map_or_else(
                || "no rule makes the objects that this one is for".to_owned(),
                |flow| {
                    let target = self.names.show(flow.target);
                    format!("{target} is given when the object is made, and no rule makes one")
                },
            );
            let hint = "add a rule of the same kinds with `linking = \"provision\"`";
            self.find(Severity::Warning, rule, text, hint);
        }
    }

    /// Attributes that one rule merges and another replaces.
    fn merging(&mut self) {
        for rule in self.all() {
            for flow in rule.flows.iter().filter(|flow| flow.merge != Merge::Update) {
                let replaces = |other: &&Rule| {
                    other.direction == rule.direction
                        && other.metaverse == rule.metaverse
                        && other.precedence < rule.precedence
                        && other
                            .flows
                            .iter()
                            .any(|own| own.target == flow.target && own.merge == Merge::Update)
                        && reach::covers(other, rule)
                };
                let Some(other) = self.all().find(replaces) else { continue };
                let target = self.names.show(flow.target);
                let text =
                    format!("{target} is merged here, and {} replaces all values", other.key);
                self.find(Severity::Warning, rule, text, "let both merge, or this one win");
            }
        }
    }
}
