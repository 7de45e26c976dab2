//! A batch of queued objects: linked, decided about, and kept.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};

use portolan_model::SourceAnchor;
use portolan_store::state::{Outcome, Queued, QueuedNeighbourhood};
use portolan_sync::AttributeId;
use portolan_sync::engine::{
    AnchorClaim, ClaimAnswer, Decision, JoinCandidate, JoinLookup, Link, LinkDecision, LinkKind,
    MetaverseChange, MetaverseKey, Moment, Neighbourhood, ObjectError, ObjectKey, Staged, Subject,
};
use portolan_sync::record::Record;

use super::{BATCH_OBJECTS, Deferred, Synchronisation};
use crate::report::Failure;

/// What is known of claims to anchors.
#[derive(Debug)]
pub(super) enum Answers {
    /// Nothing: a claim to an anchor that is not the objectGUID's waits for the end of the run.
    Open,
    /// All claims were seen; these objects claim what others claim too.
    Settled(HashSet<ObjectKey>),
}

/// What is kept in one transaction.
#[derive(Default)]
struct Group {
    settled: Vec<Queued>,
    /// What was decided about, and what of it so far.
    decided: Vec<(Neighbourhood, Outcome)>,
    /// Objects that stay without a link.
    unlinked: Vec<Outcome>,
    /// Metaverse objects that it is about.
    touched: HashSet<MetaverseKey>,
    /// The same of the groups before it in the batch: what was found when the batch began may be gone.
    touched_before: HashSet<MetaverseKey>,
    /// Values by which others may join what it makes: of attributes that rules join by.
    made: HashSet<(AttributeId, String)>,
    /// The same of the groups before it in the batch.
    made_before: HashSet<(AttributeId, String)>,
    /// Metaverse objects that were there before, and that an object of the batch joined.
    joined: HashSet<MetaverseKey>,
}

impl Group {
    /// What is to be kept; what the batch has to know of it stays.
    fn full(&mut self) -> Self {
        let mut full = std::mem::take(self);
        self.joined = std::mem::take(&mut full.joined);
        self.made_before = std::mem::take(&mut full.made_before);
        self.made_before.extend(full.made.drain());
        self.touched_before = std::mem::take(&mut full.touched_before);
        self.touched_before.extend(full.touched.drain());
        full
    }
}

/// What an object without a link asks the metaverse for, and what was found when the batch began.
#[derive(Default)]
struct Asked {
    lookups: Vec<JoinLookup>,
    found: Vec<Vec<JoinCandidate>>,
}

/// Numbers for metaverse objects that are made.
struct Numbers(std::ops::Range<i64>);

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
        let mut group = Group::default();
        let mut numbers = Numbers(0..0);
        let mut found = self.state.neighbourhoods_of(queued).await?;
        self.complete(found.iter_mut().map(|one| &mut one.neighbourhood)).await?;
        let mut asked = self.ask(&found).await?;
        for QueuedNeighbourhood { queued, neighbourhood } in found {
            let alone = match neighbourhood.staged.as_slice() {
                [staged] if neighbourhood.metaverse.is_none() && staged.link.is_none() => {
                    Some(staged.clone())
                }
                _ => None,
            };
            match alone {
                Some(staged) => {
                    let asked = asked.remove(&staged.key).unwrap_or_default();
                    let with = (answers, &mut *deferred);
                    changed += self.link(staged, asked, &mut numbers, &mut group, with).await?;
                }
                // An object of this very batch joined it since it was loaded.
                None if neighbourhood.key().is_some_and(|key| group.joined.contains(&key)) => {
                    changed += self.keep(group.full(), answers, deferred).await?;
                    if let Some(there) = self.load_again(&neighbourhood).await? {
                        self.put(there, Vec::new(), &mut group);
                    }
                }
                None => self.put(neighbourhood, Vec::new(), &mut group),
            }
            // An object is settled with what was decided about it, not before.
            group.settled.extend(queued);
        }
        changed += self.keep(group, answers, deferred).await?;
        Ok(changed)
    }

    /// A neighbourhood as it is by now; `None` when its metaverse object is gone, with all links to it.
    async fn load_again(
        &self,
        neighbourhood: &Neighbourhood,
    ) -> Result<Option<Neighbourhood>, Failure> {
        let Some(key) = neighbourhood.key() else { return Ok(None) };
        let mut there = self.state.neighbourhoods(&[key]).await?.pop();
        self.complete(&mut there).await?;
        Ok(there)
    }

    /// Links an object without a link, if a rule does, and puts its neighbourhood into the group. What
    /// the group has is kept first if it could matter to the link.
    async fn link(
        &self,
        mut staged: Staged,
        Asked { lookups, mut found }: Asked,
        numbers: &mut Numbers,
        group: &mut Group,
        (answers, deferred): (&Answers, &mut Deferred),
    ) -> Result<u64, Failure> {
        let mut changed = 0;
        let engine = &self.engine;
        if lookups.iter().any(|lookup| could_find(lookup, &group.made)) {
            changed += self.keep(group.full(), answers, deferred).await?;
        }
        if lookups.iter().any(|lookup| could_find(lookup, &group.made_before)) {
            found = self.candidates(&staged, &lookups).await?;
        }
        let mut decision = engine.link(&staged, &found);
        if let LinkDecision::Join { metaverse, .. } = decision
            && (group.touched.contains(&metaverse) || group.joined.contains(&metaverse))
        {
            // Who joined it in this batch is not in what was found.
            changed += self.keep(group.full(), answers, deferred).await?;
            found = self.candidates(&staged, &lookups).await?;
            decision = engine.link(&staged, &found);
        } else if let LinkDecision::Join { metaverse, .. } = decision
            && group.touched_before.contains(&metaverse)
        {
            found = self.candidates(&staged, &lookups).await?;
            decision = engine.link(&staged, &found);
        }
        if !lookups.is_empty() && deferred.has_orphans {
            let among = self.among_orphans(&staged, decision, deferred).await?;
            let Some(among) = among else { return Ok(changed) };
            decision = among;
        }
        let (link, neighbourhood) = match decision {
            LinkDecision::Stay => {
                let objects = vec![staged.key];
                group.unlinked.push(Outcome { objects, waits: lookups, ..Outcome::default() });
                return Ok(changed);
            }
            LinkDecision::Refused(fault) => {
                let errors = vec![ObjectError { subject: Subject::Staged(staged.key), fault }];
                let objects = vec![staged.key];
                group.unlinked.push(Outcome { objects, errors, ..Outcome::default() });
                return Ok(changed);
            }
            LinkDecision::Project { .. } => {
                let metaverse = self.number(numbers).await?;
                let (staged, targets) = (Vec::new(), Vec::new());
                let link = Link { metaverse, kind: LinkKind::Provisioned };
                (link, Neighbourhood { metaverse: None, staged, targets })
            }
            LinkDecision::Join { metaverse, kind, .. } => {
                let there = self.state.neighbourhoods(&[metaverse]).await?.pop();
                let gone = || Failure::new("a metaverse object is gone that was just found");
                let mut there = there.ok_or_else(gone)?;
                self.complete([&mut there]).await?;
                group.joined.insert(metaverse);
                (Link { metaverse, kind }, there)
            }
        };
        staged.link = Some(link);
        let linked = vec![(staged.key, link)];
        let mut neighbourhood = neighbourhood;
        let at = neighbourhood.staged.partition_point(|other| other.key < staged.key);
        neighbourhood.staged.insert(at, staged);
        self.put(neighbourhood, linked, group);
        Ok(changed)
    }

    /// What becomes of an object without a link that would be a person of its own or join one, where a target has what
    /// is nobody's. Nothing yet of one that nobody knows there, so that it finds those who were persons before.
    async fn among_orphans(
        &self,
        staged: &Staged,
        decision: LinkDecision,
        deferred: &mut Deferred,
    ) -> Result<Option<LinkDecision>, Failure> {
        let alone = self.engine.link(staged, &[]);
        if !matches!(alone, LinkDecision::Project { .. }) {
            return Ok(Some(decision));
        }
        if self.was_person(staged).await? {
            return Ok(Some(alone));
        }
        if deferred.late.insert(staged.key) {
            self.state.queue(&[staged.key]).await?;
            return Ok(None);
        }
        Ok(Some(decision))
    }

    /// Whether a target has an object without a link as a person of its own, which is nobody's: of a state that was
    /// lost, or before it went out of scope. It is that person again, whomever it would join now: nobody is taken away
    /// whom the forest has.
    async fn was_person(&self, staged: &Staged) -> Result<bool, Failure> {
        let mut staged = staged.clone();
        let nobody = MetaverseKey(0);
        staged.link = Some(Link { metaverse: nobody, kind: LinkKind::Provisioned });
        let alone = Neighbourhood { metaverse: None, staged: vec![staged], targets: Vec::new() };
        let claim = self.decide(&alone, ClaimAnswer::Open).claim;
        let Some(claim) = claim else { return Ok(false) };
        Ok(!self.state.orphans(&[claim.anchor]).await?.is_empty())
    }

    /// A number for a metaverse object that is made.
    async fn number(&self, numbers: &mut Numbers) -> Result<MetaverseKey, Failure> {
        if numbers.0.is_empty() {
            let first = self.state.allot(BATCH_OBJECTS).await?.0;
            numbers.0 = first..first + i64::from(BATCH_OBJECTS);
        }
        let number = numbers.0.next();
        let none = || Failure::new("the state has no more numbers for metaverse objects");
        number.map(MetaverseKey).ok_or_else(none)
    }

    /// What the objects without a link ask for, all at once: as a rule nothing of it is there.
    async fn ask(
        &self,
        found: &[QueuedNeighbourhood],
    ) -> Result<HashMap<ObjectKey, Asked>, Failure> {
        let alone = found.iter().map(|one| &one.neighbourhood);
        let alone = alone.filter(|one| one.metaverse.is_none()).flat_map(|one| &one.staged);
        let mut asked = HashMap::new();
        let mut lookups = Vec::new();
        for staged in alone.filter(|staged| staged.link.is_none()) {
            let its = self.engine.lookups(staged);
            lookups.extend(its.iter().map(|lookup| (staged.connector, lookup.clone())));
            asked.insert(staged.key, its);
        }
        let mut answers = self.state.find_join(&lookups).await?.into_iter();
        let alone = found.iter().flat_map(|one| &one.neighbourhood.staged);
        let answered = alone.filter_map(|staged| {
            let lookups = asked.remove(&staged.key)?;
            let found = answers.by_ref().take(lookups.len()).collect();
            Some((staged.key, Asked { lookups, found }))
        });
        Ok(answered.collect())
    }

    /// The answers to an object's lookups, as far as they have to be asked.
    async fn candidates(
        &self,
        staged: &Staged,
        lookups: &[JoinLookup],
    ) -> Result<Vec<Vec<JoinCandidate>>, Failure> {
        let mut answers = Vec::with_capacity(lookups.len());
        for lookup in lookups {
            let asked = [(staged.connector, lookup.clone())];
            let found = self.state.find_join(&asked).await?.pop().unwrap_or_default();
            let is_one = found.len() == 1;
            answers.push(found);
            if is_one {
                break;
            }
        }
        Ok(answers)
    }

    /// Puts a neighbourhood into the group, decided about as far as its claim is not asked.
    fn put(&self, neighbourhood: Neighbourhood, links: Vec<(ObjectKey, Link)>, group: &mut Group) {
        let decision = self.decide(&neighbourhood, ClaimAnswer::Open);
        group.touched.extend(neighbourhood.key());
        if let MetaverseChange::Put(metaverse) = &decision.metaverse {
            group.made.extend(values(&metaverse.record, &self.joined_by));
        }
        let objects = neighbourhood.staged.iter().map(|staged| staged.key).collect();
        let metaverse = neighbourhood.key();
        let outcome = Outcome { metaverse, objects, links, decision, ..Outcome::default() };
        group.decided.push((neighbourhood, outcome));
    }

    /// Answers the claims of a group and keeps all of it.
    async fn keep(
        &self,
        mut group: Group,
        answers: &Answers,
        deferred: &mut Deferred,
    ) -> Result<u64, Failure> {
        let claims: Vec<AnchorClaim> =
            group.decided.iter().filter_map(|(_, one)| one.decision.claim.clone()).collect();
        let mut taken = self.state.are_taken(&claims).await?.into_iter();
        let anchors: Vec<_> = claims.into_iter().map(|claim| claim.anchor).collect();
        let orphans = self.state.orphans(&anchors).await?;
        for (neighbourhood, outcome) in &mut group.decided {
            let Some(claim) = outcome.decision.claim.clone() else { continue };
            let is_taken = taken.next().unwrap_or(true);
            let staged = neighbourhood.staged.iter().find(|staged| staged.key == claim.object);
            let own = staged.is_some_and(|s| SourceAnchor::from(s.guid) == claim.anchor);
            let disputed = match answers {
                Answers::Settled(disputed) => disputed.contains(&claim.object),
                Answers::Open if is_taken || own || claim.is_set => false,
                Answers::Open => {
                    deferred.put(&claim)?;
                    continue;
                }
            };
            let answer = if is_taken || disputed {
                ClaimAnswer::Disputed
            } else {
                // What targets have by this anchor and is nobody's is this object's.
                let own = orphans.iter().filter(|orphan| orphan.anchor == claim.anchor);
                neighbourhood.targets.extend(own.cloned());
                ClaimAnswer::Granted
            };
            outcome.decision = self.decide(neighbourhood, answer);
        }
        let mut outcomes = group.unlinked;
        outcomes.extend(group.decided.into_iter().map(|(_, outcome)| outcome));
        let is_change = |o: &&Outcome| !o.links.is_empty() || !o.decision.is_empty();
        let changed = outcomes.iter().filter(is_change).count() as u64;
        self.state.apply(Some(self.run), &group.settled, &outcomes).await?;
        Ok(changed)
    }

    /// A decision made now.
    pub(super) fn decide(&self, neighbourhood: &Neighbourhood, answer: ClaimAnswer) -> Decision {
        let random = Cell::new(self.origin.random());
        let moment = Moment { now: self.origin.now(), random: &random };
        self.engine.decide(neighbourhood, answer, &moment)
    }
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
