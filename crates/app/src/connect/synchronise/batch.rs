//! A batch of queued objects: linked, decided about, and kept.

use std::cell::Cell;
use std::collections::HashSet;

use portolan_model::{Entropy as _, SourceAnchor};
use portolan_net::entropy::SystemEntropy;
use portolan_store::state::{Effects, JoinQuery, Queued, QueuedNeighbourhood};
use portolan_sync::AttributeId;
use portolan_sync::engine::{
    AnchorClaim, ClaimAnswer, Decision, Engine, JoinCandidate, JoinLookup, Link, LinkDecision,
    LinkKind, MetaverseChange, MetaverseKey, Moment, Neighbourhood, ObjectError, ObjectKey, Staged,
    Subject,
};
use portolan_sync::record::Record;

use super::{Deferred, Synchronisation};
use crate::report::Failure;

/// What is known of claims to anchors.
#[derive(Debug)]
pub(super) enum Answers {
    /// Nothing: a claim to an anchor that is not the objectGUID's waits for the end of the run.
    Open,
    /// All claims were seen; these objects claim what others claim too.
    Settled(HashSet<ObjectKey>),
}

/// Decisions that are kept in one transaction.
struct Group {
    settled: Vec<Queued>,
    /// What was decided about, with the links that are new, and the decisions.
    decided: Vec<(Neighbourhood, Vec<(ObjectKey, LinkKind)>, Decision)>,
    refused: Vec<Effects>,
    /// Metaverse objects that it is about.
    touched: HashSet<MetaverseKey>,
    /// Values by which others may join what it makes: of attributes that rules join by.
    made: HashSet<(AttributeId, String)>,
    next_key: i64,
}

impl Group {
    fn new() -> Self {
        let (settled, decided, refused) = (Vec::new(), Vec::new(), Vec::new());
        let (touched, made) = (HashSet::new(), HashSet::new());
        Self { settled, decided, refused, touched, made, next_key: -1 }
    }
}

impl Synchronisation<'_> {
    /// Decides about queued objects and keeps what was decided. Gives how many neighbourhoods are other
    /// than they were.
    pub(super) async fn batch(
        &self,
        queued: &[Queued],
        answers: &Answers,
        deferred: &mut Deferred,
    ) -> Result<u64, Failure> {
        let mut changed = 0;
        let mut group = Group::new();
        for QueuedNeighbourhood { queued, neighbourhood } in
            self.state.neighbourhoods_of(queued).await?
        {
            let alone = match neighbourhood.staged.as_slice() {
                [staged] if neighbourhood.metaverse.is_none() && staged.link.is_none() => {
                    Some(staged.clone())
                }
                _ => None,
            };
            match alone {
                Some(staged) => changed += self.link(staged, &mut group, answers, deferred).await?,
                None => self.put(neighbourhood, Vec::new(), &mut group),
            }
            // An object is settled with what was decided about it, not before.
            group.settled.extend(queued);
        }
        changed += self.keep(group, answers, deferred).await?;
        Ok(changed)
    }

    /// Links an object without a link, if a rule does, and puts its neighbourhood into the group. What
    /// the group has is kept first if it could matter to the link.
    async fn link(
        &self,
        mut staged: Staged,
        group: &mut Group,
        answers: &Answers,
        deferred: &mut Deferred,
    ) -> Result<u64, Failure> {
        let mut changed = 0;
        let engine = &self.engine;
        let lookups = engine.lookups(&staged);
        if lookups.iter().any(|lookup| could_find(lookup, &group.made)) {
            changed += self.keep(std::mem::replace(group, Group::new()), answers, deferred).await?;
        }
        let found = self.candidates(&staged, &lookups).await?;
        let (link, neighbourhood) = match engine.link(&staged, &found) {
            LinkDecision::Stay => {
                group.refused.push(Effects::refused(staged.key, &[]));
                return Ok(changed);
            }
            LinkDecision::Refused(fault) => {
                let error = ObjectError { subject: Subject::Staged(staged.key), fault };
                group.refused.push(Effects::refused(staged.key, &[error]));
                return Ok(changed);
            }
            LinkDecision::Project { .. } => {
                let metaverse = MetaverseKey(group.next_key);
                group.next_key -= 1;
                let (staged, targets) = (Vec::new(), Vec::new());
                let link = Link { metaverse, kind: LinkKind::Provisioned };
                (link, Neighbourhood { metaverse: None, staged, targets })
            }
            LinkDecision::Join { metaverse, kind, .. } => {
                if group.touched.contains(&metaverse) {
                    let full = std::mem::replace(group, Group::new());
                    changed += self.keep(full, answers, deferred).await?;
                }
                let there = self.state.neighbourhoods(&[metaverse]).await?.pop();
                let gone = || Failure::new("a metaverse object is gone that was just found");
                (Link { metaverse, kind }, there.ok_or_else(gone)?)
            }
        };
        staged.link = Some(link);
        let linked = vec![(staged.key, link.kind)];
        let mut neighbourhood = neighbourhood;
        let at = neighbourhood.staged.partition_point(|other| other.key < staged.key);
        neighbourhood.staged.insert(at, staged);
        self.put(neighbourhood, linked, group);
        Ok(changed)
    }

    /// The answers to an object's lookups, as far as they have to be asked.
    async fn candidates(
        &self,
        staged: &Staged,
        lookups: &[JoinLookup],
    ) -> Result<Vec<Vec<JoinCandidate>>, Failure> {
        let mut answers = Vec::with_capacity(lookups.len());
        for lookup in lookups {
            let found = self.state.find_join(&[query(lookup)]).await?.pop().unwrap_or_default();
            let mut candidates = Vec::with_capacity(found.len());
            let is_one = found.len() == 1;
            for metaverse in found {
                let mut occupied = None;
                if is_one {
                    let there = self.state.neighbourhoods(&[metaverse]).await?.pop();
                    let staged_there = there.into_iter().flat_map(|there| there.staged);
                    let mut same = staged_there.filter(|s| s.connector == staged.connector);
                    occupied = same.next().map(|other| other.key);
                }
                candidates.push(JoinCandidate { metaverse, occupied });
            }
            answers.push(candidates);
            if is_one {
                break;
            }
        }
        Ok(answers)
    }

    /// Puts a neighbourhood into the group, decided about as far as its claim is not asked.
    fn put(
        &self,
        neighbourhood: Neighbourhood,
        linked: Vec<(ObjectKey, LinkKind)>,
        group: &mut Group,
    ) {
        let decision = decide(&self.engine, &neighbourhood, ClaimAnswer::Open);
        group.touched.extend(neighbourhood.key());
        if let MetaverseChange::Put(metaverse) = &decision.metaverse {
            group.made.extend(values(&metaverse.record, &self.joined_by));
        }
        group.decided.push((neighbourhood, linked, decision));
    }

    /// Answers the claims of a group and keeps all of it.
    async fn keep(
        &self,
        group: Group,
        answers: &Answers,
        deferred: &mut Deferred,
    ) -> Result<u64, Failure> {
        let claims: Vec<AnchorClaim> =
            group.decided.iter().filter_map(|(_, _, decision)| decision.claim.clone()).collect();
        let mut taken = self.state.are_taken(&claims).await?.into_iter();
        let mut effects = group.refused;
        let mut changed = 0;
        for (neighbourhood, linked, mut decision) in group.decided {
            if let Some(claim) = &decision.claim {
                let is_taken = taken.next().unwrap_or(true);
                let staged = neighbourhood.staged.iter().find(|staged| staged.key == claim.object);
                let own = staged.is_some_and(|s| SourceAnchor::from(s.guid) == claim.anchor);
                let disputed = match answers {
                    Answers::Open => false,
                    Answers::Settled(disputed) => disputed.contains(&claim.object),
                };
                let waits = !is_taken && !own && !claim.is_set && matches!(answers, Answers::Open);
                if waits {
                    deferred.put(claim)?;
                } else {
                    let answer = if is_taken || disputed {
                        ClaimAnswer::Disputed
                    } else {
                        ClaimAnswer::Granted
                    };
                    decision = decide(&self.engine, &neighbourhood, answer);
                }
            }
            changed += u64::from(!linked.is_empty() || !decision.is_empty());
            effects.push(Effects::of(&neighbourhood, &linked, decision));
        }
        self.state.apply(Some(self.run), &group.settled, &effects).await?;
        Ok(changed)
    }
}

/// A decision made now.
pub(super) fn decide(
    engine: &Engine<'_>,
    neighbourhood: &Neighbourhood,
    answer: ClaimAnswer,
) -> Decision {
    let random = Cell::new(u64::from_le_bytes(SystemEntropy.array()));
    let moment = Moment { now: portolan_net::clock::now(), random: &random };
    engine.decide(neighbourhood, answer, &moment)
}

/// The values of a record by which others may find it.
fn values<'a>(
    record: &'a Record,
    attributes: &'a [AttributeId],
) -> impl Iterator<Item = (AttributeId, String)> + 'a {
    attributes.iter().flat_map(move |attribute| {
        record.values(*attribute).map(|value| (*attribute, value.to_text().to_lowercase()))
    })
}

/// Whether a lookup could find what has these values.
fn could_find(lookup: &JoinLookup, made: &HashSet<(AttributeId, String)>) -> bool {
    lookup.conditions.iter().all(|condition| {
        let mut values = condition.values.iter();
        values.any(|value| {
            made.contains(&(condition.attribute, value.borrow().to_text().to_lowercase()))
        })
    })
}

fn query(lookup: &JoinLookup) -> JoinQuery {
    let clauses = lookup.conditions.iter().flat_map(|condition| {
        let first = condition.values.first().cloned();
        first.map(|value| (condition.attribute, value, condition.case_sensitive))
    });
    JoinQuery { kind: lookup.kind, clauses: clauses.collect() }
}
