//! A ruleset, whatever listed it: chains of rules, and the hooks at which they stand.

use super::condition::{Borders, Condition};
use super::{CHAINS_MAX, RULES_MAX, ReadError};
use crate::firewall::{Direction, Family};

/// What one or more listings hold.
#[derive(Debug, Clone, Default)]
pub struct Ruleset {
    pub(super) chains: Vec<Chain>,
    pub(super) bases: Vec<Base>,
    /// Remarks of the reader: what it could not take into account.
    pub(super) notes: Vec<String>,
    families: Vec<Family>,
    rules: usize,
}

/// Rules in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Chain {
    pub(super) name: String,
    pub(super) rules: Vec<Rule>,
}

/// One rule.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    /// Where it stands and what it says, for people.
    pub(super) place: String,
    pub(super) when: Condition,
    pub(super) action: Action,
}

/// What a rule does to a packet that it matches.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    Accept,
    Deny,
    /// Goes on with the next rule.
    Pass,
    Return,
    Jump(usize),
    Goto(usize),
    /// The first whose condition holds.
    Choose(Vec<(Condition, Action)>),
    /// What happens cannot be told, in words.
    Unknown(String),
}

/// A place at which the kernel hands packets to a chain, in the order that they are passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hook {
    Ingress,
    Prerouting,
    Input,
    Output,
    Postrouting,
    Egress,
}

impl Hook {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "ingress" => Self::Ingress,
            "prerouting" => Self::Prerouting,
            "input" => Self::Input,
            "output" => Self::Output,
            "postrouting" => Self::Postrouting,
            "egress" => Self::Egress,
            _ => return None,
        })
    }

    pub(super) fn is_passed(self, direction: Direction) -> bool {
        match self {
            Self::Ingress | Self::Prerouting | Self::Input => direction == Direction::In,
            Self::Output | Self::Postrouting | Self::Egress => direction == Direction::Out,
        }
    }
}

/// A chain at a hook.
#[derive(Debug, Clone)]
pub(super) struct Base {
    pub(super) hook: Hook,
    pub(super) priority: i64,
    /// `None` for both.
    pub(super) family: Option<Family>,
    /// Whether only the first packet of a connection passes it.
    pub(super) is_nat: bool,
    /// Whether a packet may miss it: it stands on one interface, or its table may be switched off.
    pub(super) may_be_missed: bool,
    pub(super) accepts: bool,
    pub(super) chain: usize,
}

impl Ruleset {
    /// Adds what another listing holds.
    ///
    /// # Errors
    /// [`ReadError::TooMany`] when it is too much together.
    pub fn append(&mut self, other: Self) -> Result<(), ReadError> {
        let before = self.chains.len();
        for mut chain in other.chains {
            chain.rules.iter_mut().for_each(|rule| rule.action.shift(before));
            self.chains.push(chain);
        }
        self.bases.extend(
            other.bases.into_iter().map(|base| Base { chain: base.chain + before, ..base }),
        );
        self.notes.extend(other.notes);
        self.families.extend(other.families);
        self.rules += other.rules;
        self.check_size("the end of the last listing")
    }

    /// Whether the rules of a family are known.
    #[must_use]
    pub fn lists(&self, family: Family) -> bool {
        self.families.contains(&family)
    }

    pub(super) fn has_family(&mut self, family: Family) {
        self.families.push(family);
    }

    pub(super) fn add_chain(&mut self, name: String, at: &str) -> Result<usize, ReadError> {
        self.chains.push(Chain { name, rules: Vec::new() });
        self.check_size(at)?;
        Ok(self.chains.len() - 1)
    }

    pub(super) fn add_rule(&mut self, chain: usize, rule: Rule, at: &str) -> Result<(), ReadError> {
        if let Some(chain) = self.chains.get_mut(chain) {
            chain.rules.push(rule);
            self.rules += 1;
        }
        self.check_size(at)
    }

    fn check_size(&self, at: &str) -> Result<(), ReadError> {
        for (count, what, max) in
            [(self.rules, "rules", RULES_MAX), (self.chains.len(), "chains", CHAINS_MAX)]
        {
            if count > max {
                return Err(ReadError::TooMany { at: at.to_owned(), what, max });
            }
        }
        Ok(())
    }

    /// The hooks that packets of a direction pass, in their order.
    pub(super) fn passed(&self, direction: Direction, family: Family) -> Vec<usize> {
        let mut passed: Vec<_> = self
            .bases
            .iter()
            .enumerate()
            .filter(|(_, base)| base.hook.is_passed(direction))
            .filter(|(_, base)| base.family.is_none_or(|only| only == family))
            .map(|(at, base)| (base.hook, base.priority, at))
            .collect();
        passed.sort_unstable();
        passed.into_iter().map(|(_, _, at)| at).collect()
    }

    /// Where some rule's answer may change.
    pub(super) fn borders(&self) -> Borders {
        let mut borders = Borders::default();
        for rule in self.chains.iter().flat_map(|chain| &chain.rules) {
            rule.when.borders(None, &mut borders);
            if let Action::Choose(choices) = &rule.action {
                choices.iter().for_each(|(when, _)| when.borders(None, &mut borders));
            }
        }
        borders
    }
}

impl Action {
    fn shift(&mut self, by: usize) {
        match self {
            Self::Jump(chain) | Self::Goto(chain) => *chain += by,
            Self::Choose(choices) => choices.iter_mut().for_each(|(_, action)| action.shift(by)),
            _ => {}
        }
    }
}
