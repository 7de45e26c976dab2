//! The rules in force, and how they are found.

use std::collections::HashMap;

use super::error::Place;
use super::filter::Filters;
use super::model::{Connected, ConnectedKind, Direction, Given, Rule, RuleId};
use super::raw::{RawFilter, RawRule};
use super::write;
use crate::dictionary::{AttributeId, Dictionary};
use crate::forest::{ObjectKind, WANTED_ATTRIBUTES};
use crate::kind::TenantKind;
use crate::syntax::Syntaxes;

/// Rules that a state can know: those in force and those that once were.
pub const RULES_MAX: usize = 16_384;

/// The numbers that rules have in a state, by their keys. A key that was given a number keeps it.
#[derive(Debug, Clone, Default)]
pub struct RuleNumbers {
    keys: Vec<String>,
    numbers: HashMap<String, RuleId>,
}

impl RuleNumbers {
    /// The number of a key, if it has one.
    #[must_use]
    pub fn id(&self, key: &str) -> Option<RuleId> {
        self.numbers.get(key).copied()
    }

    /// The number of a key, which gets one if it has none; `None` when there are [`RULES_MAX`].
    pub fn intern(&mut self, key: &str) -> Option<RuleId> {
        if let Some(id) = self.id(key) {
            return Some(id);
        }
        let number = u16::try_from(self.keys.len()).ok().filter(|n| usize::from(*n) < RULES_MAX)?;
        self.keys.push(key.to_owned());
        self.numbers.insert(key.to_owned(), RuleId(number));
        Some(RuleId(number))
    }

    /// The key of a number.
    #[must_use]
    pub fn key(&self, id: RuleId) -> Option<&str> {
        self.keys.get(usize::from(id.0)).map(String::as_str)
    }

    /// All keys in the order of their numbers, which begin at zero and have no gaps.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.keys.iter().map(String::as_str)
    }
}

/// The rules in force.
#[derive(Debug, Clone)]
pub struct Rules {
    /// INVARIANT: by direction, then by precedence.
    pub(super) rules: Vec<Rule>,
    /// Each of them as it is written, with what it takes from those that it clones.
    pub(super) written: HashMap<RuleId, RawRule>,
    /// The filters as they are written.
    pub(super) written_filters: Vec<RawFilter>,
    /// Keys of rules that are known but off.
    pub(super) disabled: Vec<String>,
    pub(super) filters: Filters,
    pub(super) syntaxes: Syntaxes,
}

impl Rules {
    /// All rules in force: those inbound, then those outbound, each in the order of precedence.
    #[must_use]
    pub fn all(&self) -> &[Rule] {
        &self.rules
    }

    /// The rules for an object of a forest, in the order of precedence: that which wins comes first.
    pub fn inbound<'a>(
        &'a self,
        kind: ObjectKind,
        connector: &'a str,
    ) -> impl Iterator<Item = &'a Rule> {
        let is_of = move |rule: &&Rule| {
            rule.objects.contains(&ConnectedKind::Forest(kind)) && rule.connected.is(connector)
        };
        self.of(Direction::Inbound).filter(is_of)
    }

    /// The rules for a target's object of a kind, in the order of precedence.
    pub fn outbound<'a>(
        &'a self,
        kind: TenantKind,
        target: &'a str,
    ) -> impl Iterator<Item = &'a Rule> {
        let is_of = move |rule: &&Rule| {
            rule.objects.contains(&ConnectedKind::Target(kind)) && rule.connected.is(target)
        };
        self.of(Direction::Outbound).filter(is_of)
    }

    /// The rules of a direction, in the order of precedence.
    pub fn of(&self, direction: Direction) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(move |rule| rule.direction == direction)
    }

    /// The rule with this number, if it is in force.
    #[must_use]
    pub fn rule(&self, id: RuleId) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == id)
    }

    /// Where a rule in force is written.
    #[must_use]
    pub fn place(&self, id: RuleId) -> Option<&Place> {
        self.written.get(&id).map(|raw| &raw.place)
    }

    /// The keys of rules that are known but off.
    pub fn disabled(&self) -> impl Iterator<Item = &str> {
        self.disabled.iter().map(String::as_str)
    }

    /// The filters.
    #[must_use]
    pub const fn filters(&self) -> &Filters {
        &self.filters
    }

    /// The syntaxes of the forests' attributes.
    #[must_use]
    pub const fn syntaxes(&self) -> &Syntaxes {
        &self.syntaxes
    }

    /// The rules in force as a TOML file: every one whole, also those of the default set. It is for
    /// people and programs to read and compare; an overlay has only what differs.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let rules =
            self.rules.iter().filter_map(|rule| self.written.get(&rule.id)).map(write::rule);
        let filters = self.written_filters.iter().map(write::filter);
        let mut declared: Vec<_> = self.syntaxes.declared().collect();
        declared.sort_unstable_by_key(|(name, _)| *name);
        let attributes = declared.into_iter().map(|(name, known)| write::attribute(name, known));
        attributes.chain(filters).chain(rules).collect::<Vec<_>>().join("\n")
    }

    /// Likewise as JSON.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        // What was written as TOML is TOML.
        toml::from_str(&self.to_toml()).unwrap_or_default()
    }

    /// Attributes of the metaverse by which inbound rules join: those that have to be found by value.
    #[must_use]
    pub fn joined_by(&self) -> Vec<AttributeId> {
        let joins = self.of(Direction::Inbound).flat_map(|rule| &rule.joins);
        sorted(joins.flat_map(|group| &group.clauses).map(|clause| clause.target))
    }

    /// The names of what is asked of a forest: what every import needs, and what these rules read.
    #[must_use]
    pub fn wanted(&self, names: &Dictionary) -> Vec<String> {
        let mut wanted: Vec<_> = WANTED_ATTRIBUTES.iter().map(|name| (*name).to_owned()).collect();
        for name in self.imported().into_iter().filter_map(|id| names.name(id)) {
            if !wanted.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                wanted.push(name.to_owned());
            }
        }
        wanted
    }

    /// Attributes that inbound rules and filters read: what an import has to ask a forest for.
    #[must_use]
    pub fn imported(&self) -> Vec<AttributeId> {
        let rules = self.of(Direction::Inbound).flat_map(Rule::reads);
        sorted(rules.chain(self.filters.reads()))
    }
}

impl Connected {
    /// Whether a system with this name is meant.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        match self {
            Self::Every => true,
            Self::Named(own) => own.eq_ignore_ascii_case(name),
        }
    }
}

impl Rule {
    /// Every attribute of its object that it reads, some more than once.
    pub fn reads(&self) -> impl Iterator<Item = AttributeId> {
        let scope = self.scope.clauses().map(|clause| clause.attribute);
        let joins = self.joins.iter().flat_map(|group| &group.clauses).map(|clause| clause.source);
        let flows = self.flows.iter().flat_map(|flow| flow.given.reads()).copied();
        scope.chain(joins).chain(flows).chain(self.references.iter().map(|flow| flow.source))
    }

    /// Every attribute that it gives.
    pub fn gives(&self) -> impl Iterator<Item = AttributeId> {
        let references = self.references.iter().map(|flow| flow.target);
        self.flows.iter().map(|flow| flow.target).chain(references)
    }
}

impl Given {
    /// The attributes that it is made of.
    #[must_use]
    pub fn reads(&self) -> &[AttributeId] {
        match self {
            Self::Direct(attribute) => std::slice::from_ref(attribute),
            Self::Constant(_) => &[],
            Self::Expression(expression) => expression.attributes(),
        }
    }
}

fn sorted(attributes: impl Iterator<Item = AttributeId>) -> Vec<AttributeId> {
    let mut all: Vec<_> = attributes.collect();
    all.sort_unstable();
    all.dedup();
    all
}
