//! What several flows make of one attribute.

use std::collections::HashSet;

use super::model::{ConnectorId, ObjectKey};
use super::systems::{Moment, PlacedFlow};
use crate::dictionary::AttributeId;
use crate::expression::{Context, Datum, Outcome, Parameters};
use crate::record::{RecordWriter, Value, ValueRef, Values};
use crate::rules::{Flow, Given, Merge, Rule};
use crate::source::Source;

/// A rule in scope, and the object that it reads.
#[derive(Clone, Copy)]
pub(super) struct Contributor<'a> {
    pub(super) rule: &'a Rule,
    /// Its place among the rules of its precedence.
    pub(super) place: usize,
    pub(super) record: &'a dyn Source,
    /// Whose record it is, when it is a staging object's.
    pub(super) object: Option<(ConnectorId, ObjectKey)>,
    /// What expressions may know of the system.
    pub(super) parameters: &'a Parameters,
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

/// Likewise, of contributors in ascending order of their places.
pub(super) fn offers_in<'a>(
    order: &[PlacedFlow<'a>],
    contributors: &[Contributor<'a>],
) -> Vec<Offer<'a>> {
    let places = contributors.last().map_or(0, |last| last.place + 1);
    let mut ranks = vec![None; places];
    for (rank, contributor) in contributors.iter().enumerate() {
        ranks[contributor.place] = Some(rank);
    }
    let offer = |placed: &PlacedFlow<'a>| {
        let rank = ranks.get(placed.place).copied().flatten()?;
        Some(Offer { rank, flow: placed.flow })
    };
    let mut offers = Vec::with_capacity(order.len());
    offers.extend(order.iter().filter_map(offer));
    offers
}

/// What a flow comes to.
#[derive(Debug, Clone)]
pub(super) enum Contribution<'a> {
    /// Values that stand in a record or a rule; none is NULL, and the next flow has its turn.
    Values(Values<'a>),
    /// What an expression came to, likewise.
    Computed(Outcome<'a>),
    /// Several rules' values, likewise.
    Merged(Vec<Value>),
    /// AuthoritativeNull: no value, and no other flow has its turn.
    AuthoritativeNull,
    /// IgnoreThisFlow, or a flow that was given once.
    Ignored,
}

impl Contribution<'_> {
    fn is_null(&self) -> bool {
        match self {
            Self::Values(values) => values.is_empty(),
            Self::Computed(outcome) => matches!(outcome, Outcome::Null),
            Self::Merged(values) => values.is_empty(),
            Self::AuthoritativeNull | Self::Ignored => false,
        }
    }

    pub(super) fn into_values(self) -> Vec<Value> {
        match self {
            Self::Values(values) => values.map(ValueRef::to_value).collect(),
            Self::Computed(Outcome::One(datum)) => vec![datum.into()],
            Self::Computed(Outcome::Many(data)) => data.into_iter().map(Value::from).collect(),
            Self::Computed(_) => Vec::new(),
            Self::Merged(values) => values,
            Self::AuthoritativeNull | Self::Ignored => Vec::new(),
        }
    }

    /// Gives the values to an attribute.
    pub(super) fn put(&self, attribute: AttributeId, writer: &mut RecordWriter) {
        match self {
            Self::Values(values) => writer.put_values(attribute, *values),
            Self::Computed(outcome) => writer.put(attribute, outcome.values().map(Datum::value)),
            Self::Merged(values) => writer.put(attribute, values.iter().map(Value::borrow)),
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
}

/// A flow that failed, by its rank, and what the expression says.
pub(super) type Failure = (usize, String);

/// What flows are evaluated with.
#[derive(Clone, Copy)]
pub(super) struct Circumstances<'a> {
    /// In the order in which they win.
    pub(super) contributors: &'a [Contributor<'a>],
    /// What the target has, for ImportedValue.
    pub(super) imported: Option<&'a dyn Source>,
    /// Whether the object is made now.
    pub(super) born: bool,
    pub(super) moment: &'a Moment<'a>,
}

impl<'a> Circumstances<'a> {
    /// What becomes of the attribute that these flows are for, and that has these values. `owns` says
    /// whether they are what a rank gave.
    ///
    /// When a flow fails, the attribute stays as it is. The first flow that gives values wins. When it
    /// merges, further flows that merge add theirs. Of merged values nobody knows whose each is: when one
    /// that merges is ignored, all stay. Of an attribute that nothing stays of, because its object is made
    /// now, it is then as if what is given once had been given before, so that it comes to the same ever
    /// after.
    pub(super) fn settle<'s>(
        &self,
        offers: &[Offer<'a>],
        present: Values<'s>,
        owns: impl Fn(usize) -> bool,
        failures: &mut Vec<Failure>,
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
                Err(text) => {
                    failures.push((*rank, text));
                    if !flow.once && self.born {
                        let later = Circumstances { born: false, ..*self };
                        return later.settle(offers, present, owns, &mut Vec::new());
                    }
                    if !flow.once {
                        return Settled::Former;
                    }
                }
                // What is given once leaves the others their turn, as it does ever after.
                Ok(Contribution::AuthoritativeNull) if flow.once => {}
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
                Settled::Given(rank, Contribution::Merged(values))
            }
        }
    }

    pub(super) fn give(&self, rank: usize, flow: &'a Flow) -> Result<Contribution<'a>, String> {
        if flow.once && !self.born {
            return Ok(Contribution::Ignored);
        }
        let Contributor { record, parameters, .. } = self.contributors[rank];
        let expression = match &flow.given {
            Given::Direct(source) => return Ok(Contribution::Values(record.values(*source))),
            Given::Constant(value) => {
                return Ok(Contribution::Values(Values::one(value.borrow())));
            }
            Given::Expression(expression) => expression,
        };
        let Moment { now, random } = *self.moment;
        let imported = self.imported;
        let context = Context { source: record, imported, parameters, now, random };
        match expression.evaluate(&context) {
            Ok(Outcome::AuthoritativeNull) => Ok(Contribution::AuthoritativeNull),
            Ok(Outcome::IgnoreThisFlow) => Ok(Contribution::Ignored),
            Ok(outcome) => Ok(Contribution::Computed(outcome)),
            Err(error) => Err(error.to_string()),
        }
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
