//! What several flows make of one attribute.

use std::collections::HashSet;

use super::model::{ConnectorId, ObjectKey};
use super::systems::Moment;
use crate::dictionary::AttributeId;
use crate::expression::Expression;
use crate::record::{Record, RecordWriter, Value, ValueRef, Values};
use crate::rules::{Flow, Given, Merge, Rule};

/// A rule in scope, and the object that it reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Contributor<'a> {
    pub(super) rule: &'a Rule,
    pub(super) record: &'a Record,
    /// Whose record it is, when it is a staging object's.
    pub(super) object: Option<(ConnectorId, ObjectKey)>,
}

/// A flow of a contributor, by its place among them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offer<'a> {
    pub(super) rank: usize,
    pub(super) flow: &'a Flow,
}

/// All flows, those of an attribute together, and those that win first.
pub(super) fn offers<'a>(contributors: &[Contributor<'a>]) -> Vec<Offer<'a>> {
    let flows = contributors.iter().map(|contributor| contributor.rule.flows.len()).sum();
    let mut offers = Vec::with_capacity(flows);
    for (rank, contributor) in contributors.iter().enumerate() {
        offers.extend(contributor.rule.flows.iter().map(|flow| Offer { rank, flow }));
    }
    offers.sort_by_key(|offer| (offer.flow.target, offer.rank));
    offers
}

/// What a flow comes to.
#[derive(Debug, Clone)]
pub(super) enum Contribution<'a> {
    /// Values that stand in a record or a rule; none is NULL, and the next flow has its turn.
    Values(Values<'a>),
    /// Values that were made, likewise.
    Made(Vec<Value>),
    /// AuthoritativeNull: no value, and no other flow has its turn.
    AuthoritativeNull,
    /// IgnoreThisFlow, or a flow that was given once.
    Ignored,
}

impl Contribution<'_> {
    fn is_null(&self) -> bool {
        match self {
            Self::Values(values) => values.is_empty(),
            Self::Made(values) => values.is_empty(),
            Self::AuthoritativeNull | Self::Ignored => false,
        }
    }

    fn into_values(self) -> Vec<Value> {
        match self {
            Self::Values(values) => values.map(ValueRef::to_value).collect(),
            Self::Made(values) => values,
            Self::AuthoritativeNull | Self::Ignored => Vec::new(),
        }
    }

    /// Gives the values to an attribute.
    pub(super) fn put(&self, attribute: AttributeId, writer: &mut RecordWriter) {
        match self {
            Self::Values(values) => writer.put_values(attribute, *values),
            Self::Made(values) => writer.put(attribute, values.iter().map(Value::borrow)),
            Self::AuthoritativeNull | Self::Ignored => {}
        }
    }
}

/// What becomes of an attribute.
#[derive(Debug)]
pub(super) enum Settled<'a> {
    /// It has no value.
    Absent,
    /// It has these; the flow of this rank wins.
    Given(usize, Contribution<'a>),
    /// It stays as it is.
    Former,
    /// Likewise, because the flow of this rank failed.
    Failed(usize, String),
}

/// What flows are evaluated with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circumstances<'a> {
    /// In the order in which they win.
    pub(super) contributors: &'a [Contributor<'a>],
    /// What the target has, for ImportedValue.
    pub(super) imported: Option<&'a Record>,
    /// Whether the object is made now.
    pub(super) born: bool,
    pub(super) moment: &'a Moment<'a>,
}

impl<'a> Circumstances<'a> {
    /// What becomes of the attribute that these flows are for, and that has these values. `owns` says
    /// whether they are what a rank gave.
    ///
    /// The first flow that gives values wins. When it merges, further flows that merge add theirs. Of
    /// merged values nobody knows whose each is: when one that merges is ignored, all stay.
    pub(super) fn settle<'s>(
        &self,
        offers: &[Offer<'a>],
        present: Values<'s>,
        owns: impl Fn(usize) -> bool,
    ) -> Settled<'s>
    where
        'a: 's,
    {
        let mut winner = None;
        let mut further = Vec::new();
        let mut ignored = false;
        for Offer { rank, flow } in offers {
            let merges = flow.merge != Merge::Update;
            if winner.is_some() && !merges {
                continue;
            }
            match self.give(*rank, flow) {
                Err(text) => return Settled::Failed(*rank, text),
                Ok(Contribution::AuthoritativeNull) if winner.is_none() => return Settled::Absent,
                Ok(Contribution::AuthoritativeNull) => break,
                Ok(Contribution::Ignored) if winner.is_none() && owns(*rank) => {
                    if !merges {
                        return Settled::Former;
                    }
                    winner = Some((*rank, flow.merge, Contribution::Values(present)));
                }
                Ok(Contribution::Ignored) => ignored |= merges,
                Ok(contribution) if contribution.is_null() => {}
                Ok(contribution) if winner.is_some() => further.extend(contribution.into_values()),
                Ok(contribution) if !merges => return Settled::Given(*rank, contribution),
                Ok(contribution) => winner = Some((*rank, flow.merge, contribution)),
            }
        }
        let merging = |offer: &Offer<'_>| offer.flow.merge != Merge::Update && owns(offer.rank);
        if ignored && offers.iter().any(merging) {
            if winner.is_none() {
                return Settled::Former;
            }
            further.extend(present.map(ValueRef::to_value));
        }
        match winner {
            None => Settled::Absent,
            Some((rank, Merge::Merge, contribution)) if further.is_empty() => {
                Settled::Given(rank, contribution)
            }
            Some((rank, merge, contribution)) => {
                let mut values = contribution.into_values();
                values.extend(further);
                if merge == Merge::MergeCaseInsensitive {
                    drop_other_cases(&mut values);
                }
                Settled::Given(rank, Contribution::Made(values))
            }
        }
    }

    fn give(&self, rank: usize, flow: &'a Flow) -> Result<Contribution<'a>, String> {
        if flow.once && !self.born {
            return Ok(Contribution::Ignored);
        }
        let record = self.contributors[rank].record;
        match &flow.given {
            Given::Direct(source) => Ok(Contribution::Values(record.values(*source))),
            Given::Constant(value) => Ok(Contribution::Values(Values::one(value.borrow()))),
            Given::Expression(expression) => self.evaluate(expression, record),
        }
    }

    fn evaluate(
        &self,
        _expression: &Expression,
        _record: &'a Record,
    ) -> Result<Contribution<'a>, String> {
        Ok(Contribution::Made(Vec::new()))
    }
}

/// Of texts that differ in case alone, the first stays.
fn drop_other_cases(values: &mut Vec<Value>) {
    let mut seen = HashSet::new();
    values.retain(|value| match value {
        Value::Text(text) => seen.insert(text.to_lowercase()),
        _ => true,
    });
}
