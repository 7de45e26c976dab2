//! Why an object is as it is: where each attribute comes from, what lost and why, and what keeps an
//! object out. It decides nothing: it looks at the same rules again, and keeps what deciding forgets.

use super::contribution::{Circumstances, Contribution, Contributor, Offer, Settled, offers};
use super::decision::{
    ClaimAnswer, Decision, JoinCandidate, JoinLookup, LinkDecision, MetaverseChange, TargetChange,
};
use super::model::{ConnectorId, MetaverseObject, Neighbourhood, ObjectKey, Staged, TargetObject};
use super::outbound::provisioned;
use super::systems::{Engine, Moment};
use crate::dictionary::AttributeId;
use crate::kind::TenantKind;
use crate::record::{Record, Value, ValueRef};
use crate::rules::{Clause, ConnectedKind, Linking, Merge, Rule, RuleId, Verdict};
use crate::source::Source;

/// Why a metaverse object and its objects in targets are as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The staging objects.
    pub staged: Vec<StagedTrace>,
    /// The metaverse object, if it is to be there.
    pub metaverse: Option<MetaverseObject>,
    /// Each of its attributes that a rule in scope gives, or could.
    pub attributes: Vec<AttributeTrace>,
    /// Its object in each target.
    pub targets: Vec<TargetTrace>,
    /// What was decided, with errors.
    pub decision: Decision,
}

/// Why a staging object is linked as it is, or is not.
#[derive(Debug, Clone, PartialEq)]
pub struct StagedTrace {
    /// Which.
    pub object: ObjectKey,
    /// The rules for objects of its kind and forest, those that win first.
    pub rules: Vec<RuleTrace>,
    /// Of an object without a link, what its joins found.
    pub joins: Vec<(JoinLookup, Vec<JoinCandidate>)>,
    /// Of an object without a link, what becomes of it.
    pub link: Option<LinkDecision>,
}

/// Whether a rule's scope holds an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleTrace {
    /// The rule.
    pub rule: RuleId,
    /// What it does about links.
    pub linking: Linking,
    /// Whether the object is in scope.
    pub holds: bool,
    /// The reason that an exception gives which leaves the object out.
    pub exception: Option<String>,
    /// The clauses that keep it out: of each group the first that does not hold, or all of an exception.
    pub clauses: Vec<ClauseTrace>,
}

/// A clause, and the values that it met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClauseTrace {
    /// The clause.
    pub clause: Clause,
    /// The object's values of its attribute.
    pub met: Vec<Value>,
}

/// Where an attribute comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeTrace {
    /// The attribute.
    pub attribute: AttributeId,
    /// Its values.
    pub values: Vec<Value>,
    /// Whether they are those that it had, because a flow was ignored or failed.
    pub kept: bool,
    /// Every flow that could give them, those that win first.
    pub flows: Vec<FlowTrace>,
}

/// What a flow came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowTrace {
    /// The rule.
    pub rule: RuleId,
    /// The staging object that it reads; `None` of an outbound rule, which reads the metaverse object.
    pub object: Option<ObjectKey>,
    /// The attributes that it reads.
    pub reads: Vec<AttributeId>,
    /// What it came to.
    pub outcome: FlowOutcome,
}

/// What a flow came to, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlowOutcome {
    /// Its values are the attribute's, alone or with others'.
    Given(Vec<Value>),
    /// Another rule's values are.
    Lost(Vec<Value>),
    /// It has no value.
    Null,
    /// It says that there is to be no value.
    AuthoritativeNull,
    /// It is ignored this time, or was given once.
    Ignored,
    /// It failed.
    Failed(String),
}

/// Why a target has an object, or has it not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetTrace {
    /// The target.
    pub connector: ConnectorId,
    /// Its object as it is to be, if it is there or to be there.
    pub object: Option<TargetObject>,
    /// The rules that could provision it.
    pub rules: Vec<RuleTrace>,
    /// The kind that it is provisioned as.
    pub provisioned: Option<TenantKind>,
    /// Its attributes, if it is provisioned.
    pub attributes: Vec<AttributeTrace>,
}

impl Engine<'_> {
    /// Explains a neighbourhood.
    #[must_use]
    pub fn explain(&self, neighbourhood: &Neighbourhood, moment: &Moment<'_>) -> Explanation {
        let decision = self.decide(neighbourhood, ClaimAnswer::Open, moment);
        let metaverse = match &decision.metaverse {
            MetaverseChange::Same => neighbourhood.metaverse.clone(),
            MetaverseChange::Put(metaverse) => Some(metaverse.clone()),
            MetaverseChange::Deleted => None,
        };
        let ended = |staged: &&Staged| {
            let change = decision.links.iter().find(|change| change.object == staged.key);
            change.is_some_and(|change| change.kind.is_none())
        };
        let linked: Vec<_> = neighbourhood.staged.iter().filter(|staged| !ended(staged)).collect();
        let staged = neighbourhood.staged.iter().map(|staged| self.rules_met(staged)).collect();
        let (mut attributes, mut targets) = (Vec::new(), Vec::new());
        if let Some(metaverse) = &metaverse {
            let scoped = linked.iter().map(|staged| self.scoped(staged, &staged.record));
            let contributors = self.contributors(metaverse.kind, &scoped.collect::<Vec<_>>());
            let former = neighbourhood.metaverse.as_ref().map(|former| &former.record);
            let circumstances = Circumstances {
                contributors: &contributors,
                imported: None,
                born: former.is_none(),
                moment,
            };
            let owns = |attribute, rank: usize| {
                let former = neighbourhood.metaverse.as_ref();
                let origin = former.and_then(|former| former.origin(attribute));
                let Contributor { rule, object, .. } = contributors[rank];
                let own = object.map(|(_, object)| (object, rule.id));
                origin.is_some_and(|origin| Some((origin.object, origin.rule)) == own)
            };
            attributes = traces(&circumstances, &metaverse.record, former, &owns);
            let trace = |target: &ConnectorId| {
                self.target_trace(*target, metaverse, neighbourhood, &decision, moment)
            };
            targets = self.targets().iter().map(trace).collect();
        }
        Explanation { staged, metaverse, attributes, targets, decision }
    }

    /// Explains why an object without a link is none's, given the answers to its lookups.
    #[must_use]
    pub fn explain_unlinked(&self, staged: &Staged, answers: &[Vec<JoinCandidate>]) -> StagedTrace {
        let joins = self.lookups(staged).into_iter().zip(answers.iter().cloned()).collect();
        let link = Some(self.link(staged, answers));
        StagedTrace { joins, link, ..self.rules_met(staged) }
    }

    fn rules_met(&self, staged: &Staged) -> StagedTrace {
        let rules = self.inbound(staged.connector, staged.kind).iter();
        let rules = rules.map(|rule| rule_trace(rule, &staged.record)).collect();
        StagedTrace { object: staged.key, rules, joins: Vec::new(), link: None }
    }

    fn target_trace(
        &self,
        connector: ConnectorId,
        metaverse: &MetaverseObject,
        neighbourhood: &Neighbourhood,
        decision: &Decision,
        moment: &Moment<'_>,
    ) -> TargetTrace {
        let rules = self.outbound(connector, metaverse.kind);
        let places = rules.iter().copied().enumerate();
        let holding: Vec<_> =
            places.filter(|(_, rule)| rule.scope.holds(&metaverse.record)).collect();
        let provisioned = provisioned(holding.iter().map(|(_, rule)| *rule));
        let own = |target: &&TargetObject| {
            target.connector == connector && target.metaverse == metaverse.key
        };
        let former = neighbourhood.targets.iter().find(own);
        let object = target_after(connector, former, decision).cloned();
        let mut attributes = Vec::new();
        if let Some(kind) = provisioned {
            let (record, parameters) = (&metaverse.record, self.parameters(connector));
            let of_kind =
                |(_, rule): &&(usize, &Rule)| rule.objects.contains(&ConnectedKind::Target(kind));
            let rules = holding.iter().filter(of_kind);
            let contributor =
                |&(place, rule)| Contributor { rule, place, record, object: None, parameters };
            let contributors: Vec<_> = rules.map(contributor).collect();
            let imported = former.and_then(|former| former.confirmed.as_ref());
            let circumstances = Circumstances {
                contributors: &contributors,
                imported: imported.map(|record| record as &dyn Source),
                born: imported.is_none(),
                moment,
            };
            let desired = object.as_ref().and_then(TargetObject::desired);
            let owns = |attribute, _| imported.is_some_and(|p| !p.values(attribute).is_empty());
            let nothing = Record::default();
            attributes = traces(&circumstances, desired.unwrap_or(&nothing), imported, &owns);
        }
        let rules = rules.iter().map(|rule| rule_trace(rule, &metaverse.record)).collect();
        TargetTrace { connector, object, rules, provisioned, attributes }
    }
}

/// A target's object as it is after a decision.
fn target_after<'a>(
    connector: ConnectorId,
    former: Option<&'a TargetObject>,
    decision: &'a Decision,
) -> Option<&'a TargetObject> {
    let of_target = |change: &&TargetChange| match change {
        TargetChange::Put(target) => target.connector == connector,
        TargetChange::Remove(target) => *target == connector,
    };
    match decision.targets.iter().find(of_target) {
        Some(TargetChange::Put(target)) => Some(target),
        Some(TargetChange::Remove(_)) => None,
        None => former,
    }
}

fn rule_trace(rule: &Rule, record: &Record) -> RuleTrace {
    let met = |clause: &Clause| ClauseTrace {
        clause: clause.clone(),
        met: owned(record, clause.attribute),
    };
    let (holds, exception, clauses) = match rule.scope.verdict(record) {
        Verdict::Within => (true, None, Vec::new()),
        Verdict::Excepted { reason, clauses } => {
            (false, Some(reason.to_owned()), clauses.iter().map(met).collect())
        }
        Verdict::NoGroup => {
            (false, None, rule.scope.failing(record).into_iter().map(met).collect())
        }
    };
    RuleTrace { rule: rule.id, linking: rule.linking, holds, exception, clauses }
}

/// What each attribute is made of. `now` is what came of it, `former` what was there before, and `owns`
/// says whether that is what a rank gave.
fn traces(
    circumstances: &Circumstances<'_>,
    now: &Record,
    former: Option<&Record>,
    owns: &dyn Fn(AttributeId, usize) -> bool,
) -> Vec<AttributeTrace> {
    let offers = offers(circumstances.contributors);
    let groups = offers.chunk_by(|one, other| one.flow.target == other.flow.target);
    groups.map(|offers| trace(circumstances, offers, now, former, owns)).collect()
}

fn trace(
    circumstances: &Circumstances<'_>,
    offers: &[Offer<'_>],
    now: &Record,
    former: Option<&Record>,
    owns: &dyn Fn(AttributeId, usize) -> bool,
) -> AttributeTrace {
    let attribute = offers[0].flow.target;
    let present = former.map(|former| former.values(attribute)).unwrap_or_default();
    let settled =
        circumstances.settle(offers, present, |rank| owns(attribute, rank), &mut Vec::new());
    let winner = match settled {
        Settled::Given(rank, _) => Some(rank),
        Settled::Absent | Settled::Former => None,
    };
    let merging = |offer: &Offer<'_>| offer.flow.merge != Merge::Update;
    let merged = offers.iter().any(|offer| Some(offer.rank) == winner && merging(offer));
    let flow = |offer: &Offer<'_>| {
        let from = &circumstances.contributors[offer.rank];
        let gives = Some(offer.rank) == winner
            || merged && merging(offer) && winner.is_some_and(|winner| winner < offer.rank);
        FlowTrace {
            rule: from.rule.id,
            object: from.object.map(|(_, object)| object),
            reads: offer.flow.given.reads().to_vec(),
            outcome: match circumstances.give(offer.rank, offer.flow) {
                Err(text) => FlowOutcome::Failed(text),
                Ok(Contribution::Ignored) => FlowOutcome::Ignored,
                Ok(Contribution::AuthoritativeNull) => FlowOutcome::AuthoritativeNull,
                Ok(contribution) => match contribution.into_values() {
                    values if values.is_empty() => FlowOutcome::Null,
                    values if gives => FlowOutcome::Given(values),
                    values => FlowOutcome::Lost(values),
                },
            },
        }
    };
    AttributeTrace {
        attribute,
        values: owned(now, attribute),
        kept: matches!(settled, Settled::Former),
        flows: offers.iter().map(flow).collect(),
    }
}

fn owned(record: &Record, attribute: AttributeId) -> Vec<Value> {
    record.values(attribute).map(ValueRef::to_value).collect()
}
