//! Plans: what an export would do, object by object and in groups, why, and whether it is still the same.

mod cause;

use std::collections::BTreeMap;

use portolan_model::SourceAnchor;
use sha2::{Digest as _, Sha256};

use super::explain::{Explanation, FlowOutcome, RuleTrace, TargetTrace};
use super::model::{
    ConnectorId, LinkKind, MetaverseKey, Neighbourhood, PendingExport, TargetObject,
};
use super::systems::{Engine, Moment};
use crate::dictionary::AttributeId;
use crate::kind::TenantKind;
use crate::record::{Record, Value, ValueRef};
use crate::rules::{Linking, RuleId};

pub use cause::Cause;

/// Objects that a group names; of the others their number.
pub const EXAMPLES_MAX: usize = 20;

/// What an export does to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Makes it.
    Add,
    /// Changes it.
    Update,
    /// Deletes it.
    Delete,
}

/// Why an object is made, changed or deleted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Rules give it these attributes.
    Flows,
    /// Its object of a forest is new.
    New,
    /// Its object of a forest was there before, and no rule brought it into the target.
    EnteredScope,
    /// It was to be made before, and was not yet.
    Waiting,
    /// No object of a forest is left that it is of.
    Gone,
    /// The target has it, and no object of a forest was ever known to be the one that it is of.
    Unclaimed,
    /// A filter leaves its object of a forest out, for this reason.
    Filtered(String),
    /// Objects of forests are there, and no inbound rule that provisions has one in scope.
    LeftScope,
    /// Its metaverse object is there, and no outbound rule that provisions has it in scope.
    LeftOutboundScope,
    /// It is to be of another kind, and is made again after it was deleted.
    KindChanged,
}

/// What happens to an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeChange {
    /// Which.
    pub attribute: AttributeId,
    /// Its values in the target.
    pub before: Vec<Value>,
    /// Its values to be.
    pub after: Vec<Value>,
    /// The outbound rules that give them; none when nothing does any more.
    pub rules: Vec<RuleId>,
    /// What it comes from; of a new object, nothing.
    pub causes: Vec<Cause>,
}

/// What depends on what: 32 octets that differ when anything differs that an entry was made of.
pub type Digest = [u8; 32];

/// What a plan does to an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanEntry {
    /// In which target.
    pub target: ConnectorId,
    /// Of which metaverse object.
    pub metaverse: MetaverseKey,
    /// What it is there.
    pub kind: TenantKind,
    /// What identifies it there.
    pub anchor: SourceAnchor,
    /// What is done.
    pub operation: Operation,
    /// Why.
    pub reason: Reason,
    /// Each attribute that changes, in ascending order; none of a deletion.
    pub changes: Vec<AttributeChange>,
    /// Of what left a scope, the rules that could provision it, and what keeps it out of each.
    pub kept_out: Vec<RuleTrace>,
    /// Of all that it was made of. It is not applied when that differs.
    pub digest: Digest,
}

/// Entries that do the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanGroup {
    /// In which target.
    pub target: ConnectorId,
    /// What is done.
    pub operation: Operation,
    /// To what.
    pub kind: TenantKind,
    /// Why.
    pub reason: Reason,
    /// The attributes that change, each with the rules that give it; of updates alone.
    pub attributes: Vec<(AttributeId, Vec<RuleId>)>,
    /// How many entries.
    pub count: usize,
    /// The first of them, [`EXAMPLES_MAX`] at most.
    pub examples: Vec<SourceAnchor>,
}

/// Gathers entries into groups, those of deletions first and in each target the largest first.
#[derive(Debug, Clone, Default)]
pub struct PlanGroups {
    groups: BTreeMap<Sort, (usize, Vec<SourceAnchor>)>,
}

type Sort = (ConnectorId, Operation, TenantKind, Reason, Vec<(AttributeId, Vec<RuleId>)>);

impl PlanGroups {
    /// Counts an entry.
    pub fn add(&mut self, entry: &PlanEntry) {
        let is_update = entry.operation == Operation::Update;
        let changes = entry.changes.iter().filter(|_| is_update);
        let attributes = changes.map(|change| (change.attribute, change.rules.clone()));
        let sort =
            (entry.target, entry.operation, entry.kind, entry.reason.clone(), attributes.collect());
        let (count, examples) = self.groups.entry(sort).or_default();
        *count += 1;
        if examples.len() < EXAMPLES_MAX {
            examples.push(entry.anchor.clone());
        }
    }

    /// The groups.
    #[must_use]
    pub fn finish(self) -> Vec<PlanGroup> {
        let group = |((target, operation, kind, reason, attributes), (count, examples))| {
            PlanGroup { target, operation, kind, reason, attributes, count, examples }
        };
        let mut groups: Vec<_> = self.groups.into_iter().map(group).collect();
        groups.sort_by_key(|group| {
            let deletes = group.operation == Operation::Delete;
            (group.target, !deletes, std::cmp::Reverse(group.count))
        });
        groups
    }
}

impl Engine<'_> {
    /// What an export does to the targets' objects of a neighbourhood that was decided about. `before`
    /// is what there was of its staging objects before that, and `rules` the digest of the rules in
    /// force.
    #[must_use]
    pub fn plan(
        &self,
        neighbourhood: &Neighbourhood,
        before: &[Neighbourhood],
        rules: &Digest,
        moment: &Moment<'_>,
    ) -> Vec<PlanEntry> {
        let key = neighbourhood.key();
        let own = neighbourhood.targets.iter().filter(|object| Some(object.metaverse) == key);
        let pending: Vec<_> = own.filter_map(|object| Some((object, operation(object)?))).collect();
        if pending.is_empty() {
            return Vec::new();
        }
        let explanation = self.explain(neighbourhood, moment);
        let seen = Seen { neighbourhood, before, explanation: &explanation };
        let entry = |(object, operation): (&TargetObject, Operation)| PlanEntry {
            target: object.connector,
            metaverse: object.metaverse,
            kind: object.kind,
            anchor: object.anchor.clone(),
            operation,
            reason: seen.reason(operation, object),
            changes: seen.changes(operation, object),
            kept_out: seen.kept_out(operation, object),
            digest: digest(neighbourhood, object, rules),
        };
        pending.into_iter().map(entry).collect()
    }
}

/// What is to be done to a target's object, if something is.
fn operation(object: &TargetObject) -> Option<Operation> {
    Some(match object.pending.as_ref()? {
        PendingExport::Add(_) => Operation::Add,
        PendingExport::Update(_) => Operation::Update,
        PendingExport::Delete => Operation::Delete,
    })
}

/// What reasons are found in.
struct Seen<'a> {
    neighbourhood: &'a Neighbourhood,
    before: &'a [Neighbourhood],
    explanation: &'a Explanation,
}

impl Seen<'_> {
    fn trace(&self, object: &TargetObject) -> Option<&TargetTrace> {
        let mut traces = self.explanation.targets.iter();
        traces.find(|trace| trace.connector == object.connector)
    }

    fn reason(&self, operation: Operation, object: &TargetObject) -> Reason {
        match (operation, self.trace(object)) {
            (Operation::Update, _) => Reason::Flows,
            (Operation::Add, _) => {
                let waited = self.before.iter().flat_map(|before| &before.targets);
                let mut waited = waited.filter(|before| before.connector == object.connector);
                let mut staged = self.before.iter().flat_map(|before| &before.staged);
                if waited.any(|one| one.anchor == object.anchor && one.pending.is_some()) {
                    Reason::Waiting
                } else if staged.next().is_some() {
                    Reason::EnteredScope
                } else {
                    Reason::New
                }
            }
            (Operation::Delete, None) if self.neighbourhood.staged.is_empty() => Reason::Gone,
            (Operation::Delete, None) => Reason::LeftScope,
            (Operation::Delete, Some(trace)) if trace.provisioned.is_some() => Reason::KindChanged,
            (Operation::Delete, Some(_)) => Reason::LeftOutboundScope,
        }
    }

    /// The rules that could provision what is deleted, on the side of the metaverse where it left.
    fn kept_out(&self, operation: Operation, object: &TargetObject) -> Vec<RuleTrace> {
        if operation != Operation::Delete {
            return Vec::new();
        }
        let rules: Vec<&RuleTrace> = match self.trace(object) {
            Some(trace) => trace.rules.iter().collect(),
            None => self.explanation.staged.iter().flat_map(|staged| &staged.rules).collect(),
        };
        let provisioning =
            rules.into_iter().filter(|rule| rule.linking == Linking::Provision && !rule.holds);
        provisioning.cloned().collect()
    }

    fn changes(&self, operation: Operation, object: &TargetObject) -> Vec<AttributeChange> {
        let Some(after) = object.desired().filter(|_| operation != Operation::Delete) else {
            return Vec::new();
        };
        let nothing = Record::default();
        let before = object.confirmed.as_ref().unwrap_or(&nothing);
        let traces: &[_] = self.trace(object).map_or(&[], |trace| &trace.attributes);
        let mut attributes: Vec<_> = before.iter().chain(after.iter()).map(|(id, _)| id).collect();
        attributes.sort_unstable();
        attributes.dedup();
        attributes.retain(|id| !before.values(*id).eq(after.values(*id)));
        let owned = |record: &Record, id| record.values(id).map(ValueRef::to_value).collect();
        let change = |attribute| {
            let trace = traces.iter().find(|trace| trace.attribute == attribute);
            let flows = trace.into_iter().flat_map(|trace| &trace.flows);
            let given = flows.filter(|flow| matches!(flow.outcome, FlowOutcome::Given(_)));
            let is_update = operation == Operation::Update;
            AttributeChange {
                attribute,
                before: owned(before, attribute),
                after: owned(after, attribute),
                rules: given.map(|flow| flow.rule).collect(),
                causes: if is_update { self.causes(object, trace, attribute) } else { Vec::new() },
            }
        };
        attributes.into_iter().map(change).collect()
    }
}

/// The digest of all that an entry is made of: what is staged and linked, what the targets confirmed, the
/// rules, and what comes of them. Numbers that a state gives are none of it: another state, or a copy, gives
/// others.
#[must_use]
pub fn digest(neighbourhood: &Neighbourhood, object: &TargetObject, rules: &Digest) -> Digest {
    let mut hash = Sha256::new();
    let mut put = |octets: &[u8]| {
        hash.update((octets.len() as u64).to_le_bytes());
        hash.update(octets);
    };
    put(rules);
    put(&neighbourhood.staged.len().to_le_bytes());
    for staged in &neighbourhood.staged {
        put(&staged.connector.0.to_le_bytes());
        put(&staged.guid.to_bytes_le());
        put(staged.dn.as_bytes());
        put(staged.record.as_octets());
        put(staged.anchor.as_ref().map_or("", SourceAnchor::as_str).as_bytes());
        put(&[staged.link.map_or(0, |link| match link.kind {
            LinkKind::Provisioned => 1,
            LinkKind::Joined => 2,
            LinkKind::StickyJoined => 3,
        })]);
    }
    for target in &neighbourhood.targets {
        put(&target.connector.0.to_le_bytes());
        put(target.kind.as_str().as_bytes());
        put(target.anchor.as_str().as_bytes());
        put(&[u8::from(target.confirmed.is_some())]);
        put(target.confirmed.as_ref().map_or(&[], Record::as_octets));
    }
    let (operation, desired) = match &object.pending {
        None => (0, None),
        Some(PendingExport::Add(record)) => (1, Some(record)),
        Some(PendingExport::Update(record)) => (2, Some(record)),
        Some(PendingExport::Delete) => (3, None),
    };
    put(&object.connector.0.to_le_bytes());
    put(&[operation, u8::from(object.password)]);
    put(desired.map_or(&[], Record::as_octets));
    for feed in &object.feeds {
        put(&feed.attribute.0.to_le_bytes());
        let from = neighbourhood.staged.iter().find(|staged| staged.key == feed.object);
        put(&from.map_or([0; 16], |staged| staged.guid.to_bytes_le()));
        put(&feed.source.0.to_le_bytes());
    }
    hash.finalize().into()
}
