//! What the flows of an attribute have to come to.

use std::collections::BTreeSet;

use super::driver::Attributes;
use super::worlds::{Meaning, Meanings};
use crate::dictionary::AttributeId;
use crate::record::Value;
use crate::rules::{Clause, Flow, Given, Merge, Operator, Rule, Scope};

/// What one flow comes to.
enum Contribution {
    Values(Vec<Value>),
    Ignore,
    NoneAtAll,
    Fails,
}

/// What all flows of an attribute come to.
pub(super) enum Attribute {
    Is(BTreeSet<Value>, usize),
    Absent,
    Stays,
}

/// What an attribute is made of.
pub(super) struct Sources<'a> {
    /// Rules in the order in which they win, and what they read.
    pub(super) rules: Vec<(&'a Rule, &'a Attributes)>,
    pub(super) meanings: &'a Meanings,
    /// What a target has.
    pub(super) imported: Option<&'a Attributes>,
    /// Whether the object is made now.
    pub(super) born: bool,
}

impl Sources<'_> {
    pub(super) fn targets(&self) -> BTreeSet<AttributeId> {
        self.rules.iter().flat_map(|(rule, _)| &rule.flows).map(|flow| flow.target).collect()
    }

    /// What becomes of an attribute that has these values. `owns` says whether they are those that a
    /// rule gave.
    pub(super) fn attribute(
        &self,
        id: AttributeId,
        present: &BTreeSet<Value>,
        owns: impl Fn(usize) -> bool,
    ) -> Attribute {
        let mut winner = None;
        let mut values = Vec::new();
        let mut ignored = false;
        for (at, (rule, record)) in self.rules.iter().enumerate() {
            for flow in rule.flows.iter().filter(|flow| flow.target == id) {
                let merges = flow.merge != Merge::Update;
                if winner.is_some() && !merges {
                    continue;
                }
                match self.given(rule, flow, record) {
                    Contribution::Fails | Contribution::NoneAtAll if flow.once => {}
                    Contribution::Fails if self.born => {
                        let later = Sources { born: false, rules: self.rules.clone(), ..*self };
                        return later.attribute(id, present, owns);
                    }
                    Contribution::Fails => return Attribute::Stays,
                    Contribution::NoneAtAll if winner.is_none() => return Attribute::Absent,
                    Contribution::NoneAtAll => return self.merged(winner, values),
                    Contribution::Ignore if winner.is_none() && owns(at) => {
                        if !merges {
                            return Attribute::Stays;
                        }
                        winner = Some((at, flow.merge));
                        values.extend(present.iter().cloned());
                    }
                    Contribution::Ignore => ignored |= merges,
                    Contribution::Values(given) if given.is_empty() => {}
                    Contribution::Values(given) if !merges => {
                        return Attribute::Is(given.into_iter().collect(), at);
                    }
                    Contribution::Values(given) => {
                        winner = winner.or(Some((at, flow.merge)));
                        values.extend(given);
                    }
                }
            }
        }
        let merges = |(at, (rule, _)): (usize, &(&Rule, &Attributes))| {
            let mut flows = rule.flows.iter();
            flows.any(|flow| flow.target == id && flow.merge != Merge::Update) && owns(at)
        };
        if ignored && self.rules.iter().enumerate().any(merges) {
            if winner.is_none() {
                return Attribute::Stays;
            }
            values.extend(present.iter().cloned());
        }
        self.merged(winner, values)
    }

    fn merged(&self, winner: Option<(usize, Merge)>, values: Vec<Value>) -> Attribute {
        let Some((at, merge)) = winner else { return Attribute::Absent };
        let mut kept: Vec<Value> = Vec::new();
        for value in values {
            let same = |other: &Value| match merge {
                Merge::MergeCaseInsensitive => folded(other) == folded(&value),
                _ => *other == value,
            };
            if !kept.iter().any(same) {
                kept.push(value);
            }
        }
        Attribute::Is(kept.into_iter().collect(), at)
    }

    fn given(&self, rule: &Rule, flow: &Flow, record: &Attributes) -> Contribution {
        let read = |record: &Attributes, id: AttributeId| -> Vec<Value> {
            record.get(&id).into_iter().flatten().cloned().collect()
        };
        let unless = |first: AttributeId, then: Contribution, otherwise: AttributeId| {
            if record.contains_key(&first) {
                then
            } else {
                Contribution::Values(read(record, otherwise))
            }
        };
        if flow.once && !self.born {
            return Contribution::Ignore;
        }
        match &flow.given {
            Given::Direct(source) => Contribution::Values(read(record, *source)),
            Given::Constant(value) => Contribution::Values(vec![value.clone()]),
            Given::Expression(_) => match self.meanings[&(rule.id, flow.target)] {
                Meaning::Trimmed(one) => {
                    Contribution::Values(read(record, one).iter().map(trimmed).collect())
                }
                Meaning::Either(one, two) => {
                    unless(one, Contribution::Values(read(record, one)), two)
                }
                Meaning::IgnoredWith(one, two) => unless(one, Contribution::Ignore, two),
                Meaning::NoneWith(one, two) => unless(one, Contribution::NoneAtAll, two),
                Meaning::FailsWith(one, two) => unless(one, Contribution::Fails, two),
                Meaning::OrImported(one, target) => match self.imported {
                    _ if record.contains_key(&one) => Contribution::Values(read(record, one)),
                    Some(imported) => Contribution::Values(read(imported, target)),
                    None => Contribution::Values(Vec::new()),
                },
            },
        }
    }
}

fn trimmed(value: &Value) -> Value {
    match value {
        Value::Text(text) => Value::Text(text.trim().to_owned()),
        other => panic!("{other:?} is no text"),
    }
}

pub(super) fn holds(scope: &Scope, record: &Attributes) -> bool {
    let none = BTreeSet::new();
    let clause = |clause: &Clause| {
        let values = record.get(&clause.attribute).unwrap_or(&none);
        let holds = match clause.operator {
            Operator::IsNull => values.is_empty(),
            Operator::Equal => {
                values.iter().any(|value| folded(value) == folded(&clause.values[0]))
            }
            other => panic!("{other:?} is not generated"),
        };
        if clause.negated { !holds } else { holds }
    };
    scope.groups.is_empty() || scope.groups.iter().any(|group| group.iter().all(clause))
}

pub(super) fn folded(value: &Value) -> Value {
    match value {
        Value::Text(text) => Value::Text(text.to_lowercase()),
        other => other.clone(),
    }
}
