//! What the rules find, and what is proposed.

use std::collections::BTreeSet;

use portolan_model::Guid;

use super::domains::Domains;
use super::rule::Rule;
use super::subject::{Attribute, Subject};
use crate::forest::ObjectKind;

/// An object breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub rule: Rule,
    /// The object's name.
    pub dn: String,
    /// Its objectGUID.
    pub guid: Guid,
    /// What it is.
    pub kind: ObjectKind,
    /// The attribute, where the rule is about one.
    pub attribute: Option<Attribute>,
    /// The value that breaks the rule; empty where there is none.
    pub value: String,
    /// What to put in its place, if that can be said.
    pub proposal: Option<String>,
    /// What is wrong, in a clause.
    pub why: String,
}

/// The findings of one object on their way out.
#[derive(Debug)]
pub(super) struct Report<'a, 's> {
    pub(super) subject: &'s Subject<'a>,
    pub(super) domains: Option<&'s Domains>,
    pub(super) rules: &'s BTreeSet<Rule>,
    pub(super) findings: Vec<Finding>,
}

impl Report<'_, '_> {
    /// Puts a finding down, unless its rule is not asked for.
    pub(super) fn find(
        &mut self,
        rule: Rule,
        attribute: Attribute,
        value: &str,
        why: impl Into<String>,
    ) {
        self.put(rule, Some(attribute), value, None, why.into());
    }

    /// The same with what to put in the value's place.
    pub(super) fn propose(
        &mut self,
        rule: Rule,
        attribute: Attribute,
        value: &str,
        proposal: Option<String>,
        why: impl Into<String>,
    ) {
        self.put(rule, Some(attribute), value, proposal, why.into());
    }

    /// The same of the object itself.
    pub(super) fn find_of_object(&mut self, rule: Rule, why: String) {
        self.put(rule, None, "", None, why);
    }

    fn put(
        &mut self,
        rule: Rule,
        attribute: Option<Attribute>,
        value: &str,
        proposal: Option<String>,
        why: String,
    ) {
        if !self.rules.contains(&rule) {
            return;
        }
        self.findings.push(Finding {
            rule,
            dn: self.subject.dn.to_owned(),
            guid: self.subject.guid,
            kind: self.subject.kind,
            attribute,
            value: value.to_owned(),
            proposal,
            why,
        });
    }
}
