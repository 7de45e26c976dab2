//! A driver of the engine with a state in memory, that looks at what changed alone.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use portolan_model::SourceAnchor;
use time::OffsetDateTime;

use super::worlds::{Event, Step, connector, guid, kind};
use crate::dictionary::AttributeId;
use crate::engine::{
    AnchorClaim, ClaimAnswer, ConnectorId, Decision, Engine, Feed, JoinCandidate, JoinCondition,
    JoinLookup, Link, LinkDecision, LinkKind, MetaverseChange, MetaverseKey, MetaverseObject,
    Moment, Neighbourhood, ObjectKey, PendingExport, Staged, Subject, TargetChange, TargetObject,
    references, settle,
};
use crate::kind::TenantKind;
use crate::record::{Record, Value, ValueRef};
use crate::rules::{MetaverseKind, RuleId};

/// Attributes as the model has them.
pub(super) type Attributes = BTreeMap<AttributeId, BTreeSet<Value>>;
/// A metaverse object as the model has it.
pub(super) type Person =
    (MetaverseKind, BTreeMap<AttributeId, (BTreeSet<Value>, ObjectKey, RuleId)>);
/// A target's object as the model has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exported {
    pub(super) kind: TenantKind,
    pub(super) anchor: SourceAnchor,
    pub(super) confirmed: Option<Attributes>,
    pub(super) pending: Option<Pending>,
    pub(super) password: bool,
    pub(super) feeds: Vec<Feed>,
}
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pending {
    Add(Attributes),
    Update(Attributes),
    Delete,
}
pub(super) type Place = (ConnectorId, MetaverseKey);
pub(super) type Edge = (ConnectorId, MetaverseKey, AttributeId, MetaverseKey);

pub(super) struct Driver<'r> {
    engine: Engine<'r>,
    staged: BTreeMap<ObjectKey, Staged>,
    anchors: BTreeMap<ObjectKey, SourceAnchor>,
    references: BTreeMap<(ObjectKey, AttributeId), BTreeSet<ObjectKey>>,
    metaverse: BTreeMap<MetaverseKey, MetaverseObject>,
    targets: BTreeMap<Place, TargetObject>,
    next: i64,
    /// To be looked at again, though nothing happened to them.
    refused: BTreeSet<ObjectKey>,
    again: BTreeSet<MetaverseKey>,
    claims: BTreeMap<MetaverseKey, AnchorClaim>,
    unlinked: BTreeSet<ObjectKey>,
}

impl<'r> Driver<'r> {
    pub(super) fn new(engine: Engine<'r>) -> Self {
        Self {
            engine,
            staged: BTreeMap::new(),
            anchors: BTreeMap::new(),
            references: BTreeMap::new(),
            metaverse: BTreeMap::new(),
            targets: BTreeMap::new(),
            next: 0,
            refused: BTreeSet::new(),
            again: BTreeSet::new(),
            claims: BTreeMap::new(),
            unlinked: BTreeSet::new(),
        }
    }

    pub(super) fn step(&mut self, step: &Step) {
        let mut queue = std::mem::take(&mut self.again);
        self.unlinked = std::mem::take(&mut self.refused);
        for event in &step.events {
            self.import(event, &mut queue);
        }
        self.unlinked.retain(|key| self.staged.contains_key(key));
        for key in queue {
            self.decide(key, ClaimAnswer::Open);
        }
        while let Some(key) = self.unlinked.pop_first() {
            self.link(key);
        }
        let claims: Vec<_> = std::mem::take(&mut self.claims).into_iter().collect();
        let wanted: Vec<_> = claims.iter().map(|(_, claim)| claim.clone()).collect();
        let is_taken = |claim: &AnchorClaim| {
            let set = |(key, anchor): (&ObjectKey, &SourceAnchor)| {
                *key != claim.object && *anchor == claim.anchor
            };
            let used = |target: &TargetObject| {
                self.metaverse.contains_key(&target.metaverse) && target.anchor == claim.anchor
            };
            self.anchors.iter().any(set) || self.targets.values().any(used)
        };
        let answers = settle(&wanted, is_taken);
        for ((key, _), answer) in claims.into_iter().zip(answers) {
            self.decide(key, answer);
            if answer == ClaimAnswer::Disputed {
                self.again.insert(key);
            }
        }
    }

    fn import(&mut self, event: &Event, queue: &mut BTreeSet<MetaverseKey>) {
        match event {
            Event::Refers(key, attribute, to) => {
                self.references.insert((*key, *attribute), to.clone());
            }
            Event::Gone(key) => {
                let gone = self.staged.remove(key);
                queue.extend(gone.and_then(|gone| gone.link).map(|link| link.metaverse));
            }
            Event::Set(key, attributes) => {
                let record: Record = attributes.iter().cloned().collect();
                let staged = self.staged.entry(*key).or_insert_with(|| Staged {
                    key: *key,
                    connector: connector(*key),
                    guid: guid(*key),
                    kind: kind(*key),
                    dn: String::new(),
                    record: Record::default(),
                    link: None,
                    anchor: self.anchors.get(key).cloned(),
                });
                staged.record = record;
                match staged.link {
                    Some(link) => _ = queue.insert(link.metaverse),
                    None => _ = self.unlinked.insert(*key),
                }
            }
        }
    }

    fn neighbourhood(&self, key: MetaverseKey) -> Neighbourhood {
        let linked = |staged: &&Staged| staged.link.is_some_and(|link| link.metaverse == key);
        let staged: Vec<_> = self.staged.values().filter(linked).cloned().collect();
        let orphan = |target: &TargetObject| {
            let anchored = |staged: &Staged| staged.anchor.as_ref() == Some(&target.anchor);
            !self.metaverse.contains_key(&target.metaverse) && staged.iter().any(anchored)
        };
        let near = |target: &&TargetObject| target.metaverse == key || orphan(target);
        let targets = self.targets.values().filter(near).cloned().collect();
        Neighbourhood { metaverse: self.metaverse.get(&key).cloned(), staged, targets }
    }

    fn decision(&self, key: MetaverseKey, answer: ClaimAnswer) -> Decision {
        let random = Cell::new(0);
        let moment = Moment { now: OffsetDateTime::UNIX_EPOCH, random: &random };
        self.engine.decide(&self.neighbourhood(key), answer, &moment)
    }

    fn decide(&mut self, key: MetaverseKey, answer: ClaimAnswer) {
        let decision = self.decision(key, answer);
        match decision.metaverse {
            MetaverseChange::Same => {}
            MetaverseChange::Put(object) => _ = self.metaverse.insert(key, object),
            MetaverseChange::Deleted => _ = self.metaverse.remove(&key),
        }
        for change in decision.links {
            let staged = self.staged.get_mut(&change.object).expect("it is in the neighbourhood");
            staged.link = change.kind.map(|kind| Link { metaverse: key, kind });
            if change.kind.is_none() {
                self.unlinked.insert(change.object);
            }
        }
        if let Some(AnchorClaim { object, anchor, .. }) = decision.anchor {
            assert_eq!(self.anchors.insert(object, anchor.clone()), None, "an anchor is set once");
            self.staged.get_mut(&object).expect("it is there").anchor = Some(anchor);
        }
        for change in decision.targets {
            match change {
                TargetChange::Remove(target) => _ = self.targets.remove(&(target, key)),
                TargetChange::Put(target) => {
                    let adopted = |_: &Place, other: &mut TargetObject| {
                        other.connector != target.connector || other.anchor != target.anchor
                    };
                    self.targets.retain(adopted);
                    self.targets.insert((target.connector, key), target);
                }
            }
        }
        self.claims.remove(&key);
        self.claims.extend(decision.claim.map(|claim| (key, claim)));
        for error in decision.errors {
            assert!(matches!(error.subject, Subject::Staged(_) | Subject::Metaverse(_)));
        }
    }

    fn link(&mut self, key: ObjectKey) {
        let staged = &self.staged[&key];
        let lookups = self.engine.lookups(staged);
        let answers: Vec<_> = lookups.iter().map(|lookup| self.answer(staged, lookup)).collect();
        let link = match self.engine.link(staged, &answers) {
            LinkDecision::Stay => return,
            LinkDecision::Refused(_) => {
                self.refused.insert(key);
                return;
            }
            LinkDecision::Join { metaverse, kind, .. } => Link { metaverse, kind },
            LinkDecision::Project { .. } => {
                self.next += 1;
                Link { metaverse: MetaverseKey(self.next), kind: LinkKind::Provisioned }
            }
        };
        self.staged.get_mut(&key).expect("it is there").link = Some(link);
        self.decide(link.metaverse, ClaimAnswer::Open);
    }

    fn answer(&self, staged: &Staged, lookup: &JoinLookup) -> Vec<JoinCandidate> {
        let of_kind = self.metaverse.values().filter(|object| object.kind == lookup.kind);
        let found = of_kind.filter(|object| lookup.conditions.iter().all(|c| meets(object, c)));
        let candidate = |object: &MetaverseObject| {
            let same = |other: &&Staged| {
                other.connector == staged.connector
                    && other.link.is_some_and(|link| link.metaverse == object.key)
            };
            let occupied = self.staged.values().find(same).map(|other| other.key);
            JoinCandidate { metaverse: object.key, occupied }
        };
        found.map(candidate).take(2).collect()
    }

    /// What was decided already comes to nothing when it is decided again.
    pub(super) fn decide_all_again(&self) {
        let linked = self.staged.values().filter_map(|staged| Some(staged.link?.metaverse));
        for key in linked.collect::<BTreeSet<_>>() {
            let mut decision = self.decision(key, ClaimAnswer::Open);
            decision.claim = None;
            decision.errors.clear();
            assert!(decision.is_empty(), "{decision:?}");
        }
    }

    /// The targets take all that is pending.
    pub(super) fn export(&mut self) {
        for (place, mut target) in std::mem::take(&mut self.targets) {
            target.confirmed = match target.pending.take() {
                Some(PendingExport::Delete) => {
                    self.again.extend(self.metaverse.get(&place.1).map(|object| object.key));
                    continue;
                }
                Some(PendingExport::Add(record) | PendingExport::Update(record)) => {
                    let read = self.engine.reads_confirmed();
                    self.again.extend(Some(place.1).filter(|_| read));
                    Some(record)
                }
                None => target.confirmed,
            };
            self.targets.insert(place, target);
        }
    }

    pub(super) fn links(&self) -> BTreeMap<ObjectKey, (MetaverseKey, LinkKind)> {
        let link = |staged: &Staged| {
            let link = staged.link?;
            Some((staged.key, (link.metaverse, link.kind)))
        };
        self.staged.values().filter_map(link).collect()
    }

    pub(super) fn metaverse(&self) -> BTreeMap<MetaverseKey, Person> {
        let person = |object: &MetaverseObject| {
            let origins: Vec<_> = object.lineage.iter().map(|origin| origin.attribute).collect();
            let present: Vec<_> = object.record.iter().map(|(attribute, _)| attribute).collect();
            assert_eq!(origins, present, "lineage has what the record has, in its order");
            let both = attributes(&object.record).into_iter().zip(&object.lineage);
            let values = both.map(|((id, values), from)| (id, (values, from.object, from.rule)));
            (object.key, (object.kind, values.collect()))
        };
        self.metaverse.values().map(person).collect()
    }

    pub(super) fn targets(&self) -> BTreeMap<Place, Exported> {
        let exported = |target: &TargetObject| Exported {
            kind: target.kind,
            anchor: target.anchor.clone(),
            confirmed: target.confirmed.as_ref().map(attributes),
            pending: target.pending.as_ref().map(|pending| match pending {
                PendingExport::Add(record) => Pending::Add(attributes(record)),
                PendingExport::Update(record) => Pending::Update(attributes(record)),
                PendingExport::Delete => Pending::Delete,
            }),
            password: target.password,
            feeds: target.feeds.clone(),
        };
        self.targets.iter().map(|(place, target)| (*place, exported(target))).collect()
    }

    /// The references that the targets' objects are to have.
    pub(super) fn edges(&self) -> BTreeSet<Edge> {
        let mut edges = BTreeSet::new();
        for ((connector, metaverse), target) in &self.targets {
            for feed in &target.feeds {
                for to in self.references.get(&(feed.object, feed.source)).into_iter().flatten() {
                    let link = self.staged.get(to).and_then(|staged| staged.link);
                    let other =
                        link.and_then(|link| self.targets.get(&(*connector, link.metaverse)));
                    if let Some(link) = link
                        && references::is_desired(other)
                    {
                        edges.insert((*connector, *metaverse, feed.attribute, link.metaverse));
                    }
                }
            }
        }
        edges
    }

    pub(super) const fn anchors(&self) -> &BTreeMap<ObjectKey, SourceAnchor> {
        &self.anchors
    }
}

fn attributes(record: &Record) -> Attributes {
    record.iter().map(|(id, values)| (id, values.map(ValueRef::to_value).collect())).collect()
}

fn meets(object: &MetaverseObject, condition: &JoinCondition) -> bool {
    let folded = |value: &Value| match value {
        Value::Text(text) if !condition.case_sensitive => Value::Text(text.to_lowercase()),
        value => value.clone(),
    };
    let wanted: Vec<_> = condition.values.iter().map(folded).collect();
    object
        .record
        .values(condition.attribute)
        .any(|value| wanted.contains(&folded(&value.to_value())))
}
