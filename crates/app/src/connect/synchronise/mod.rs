//! Synchronisation: from the connector spaces through the metaverse to what is to be exported.
//!
//! Objects that changed are queued; [`Synchronisation::changes`] decides about their neighbourhoods until
//! none is left. A full synchronisation ([`mod@full`]) evaluates every rule for every object, on all cores,
//! and queues those for which something else comes of it. All decisions are `portolan_sync`'s.

mod batch;
mod full;
mod origin;
mod ruleset;
mod run;
mod standing;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use portolan_model::SourceAnchor;
use portolan_store::state::{Queued, RunId, State};
use portolan_sync::AttributeId;
use portolan_sync::engine::{AnchorClaim, Engine, Neighbourhood, ObjectKey};
use serde::Serialize;

pub(super) use origin::Host;
pub use origin::Origin;
pub(super) use ruleset::{Connected, ConnectedForest, Domains, Overlay, Ruleset};
pub(super) use run::{Scope, run, run_in_full_next};
pub(super) use standing::{Surroundings, pins};

use self::batch::Answers;
use crate::report::Failure;

/// Queued objects that are looked at together.
const BATCH_OBJECTS: u32 = 1_000;
/// References that are worked out in one transaction.
const REFERENCES_AT_ONCE: u32 = 20_000;
/// Objects whose anchor is settled at the end of a run.
const DEFERRED_MAX: usize = 2_000_000;
/// Rounds of a run: links that end make objects that are looked at again.
const ROUNDS_MAX: usize = 1_000_000;

/// Rounds of a run about one object: its link ends, and it is linked anew.
const ROUNDS_OF_ONE_MAX: usize = 16;

/// What a synchronisation did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Synchronised {
    /// Objects that were looked at.
    pub(super) objects: u64,
    /// Neighbourhoods of which something else came than before.
    pub(super) changed: u64,
    /// References that are to be added or removed.
    pub(super) references: u64,
}

/// One synchronisation.
pub(super) struct Synchronisation<'a> {
    state: &'a State,
    engine: Engine<'a>,
    /// The metaverse's attributes that rules join by.
    joined_by: Vec<AttributeId>,
    surroundings: Surroundings,
    run: RunId,
    origin: &'a dyn Origin,
}

/// What is decided about behind everything else.
#[derive(Debug, Default)]
pub(super) struct Deferred {
    /// Objects whose anchor is not their own objectGUID's: nobody gets one that two of them claim.
    claims: HashMap<ObjectKey, SourceAnchor>,
    /// Whether a target has what is nobody's. Then whoever was a person there comes first, and those who may join
    /// them behind.
    has_orphans: bool,
    /// Objects that were put behind for that.
    late: HashSet<ObjectKey>,
}

impl<'a> Synchronisation<'a> {
    /// Begins a synchronisation by these rules.
    pub(super) async fn begin(
        state: &'a State,
        rules: &'a Ruleset,
        connected: &Connected,
        domains: &Domains,
        run: RunId,
    ) -> Result<Self, Failure> {
        let joined_by = rules.rules.joined_by();
        state.index_joins(&joined_by).await?;
        let surroundings = Surroundings::by(state, rules, connected).await?;
        let engine = rules.engine(connected, domains);
        let counted = surroundings.counts_members().then(|| surroundings.member());
        let counted: Vec<_> = counted.into_iter().collect();
        state.depend_on(&counted, connected.target, engine.reads_confirmed()).await?;
        Ok(Self { state, engine, joined_by, surroundings, run, origin: &Host })
    }

    /// With another clock and other randomness than the host's.
    pub(super) fn with(self, origin: &'a dyn Origin) -> Self {
        Self { origin, ..self }
    }
}

impl Synchronisation<'_> {
    /// Decides about everything that is queued.
    pub(super) async fn changes(&self) -> Result<Synchronised, Failure> {
        // What was wrong may be right by now, without a change of the object itself.
        self.state.queue_errors().await?;
        let mut done = Synchronised::default();
        let has_orphans = self.state.has_orphans().await?;
        let mut deferred = Deferred { has_orphans, ..Deferred::default() };
        for _ in 0..ROUNDS_MAX {
            let queued = self.state.next_pending(BATCH_OBJECTS).await?;
            if queued.is_empty() {
                break;
            }
            done.objects += queued.len() as u64;
            done.changed += self.batch(&queued, &Answers::Open, &mut deferred).await?;
        }
        done.changed += self.settle(deferred).await?;
        done.references = self.references().await?;
        self.state.settle_confirmed().await?;
        Ok(done)
    }

    /// Decides about these objects and what is joined to them, and leaves alone what waits besides. One
    /// that claims an anchor which others may claim too is settled among all that wait.
    pub(super) async fn only(&self, objects: &[ObjectKey]) -> Result<Synchronised, Failure> {
        self.state.queue(objects).await?;
        let mut done = Synchronised { objects: objects.len() as u64, ..Synchronised::default() };
        let has_orphans = self.state.has_orphans().await?;
        let mut deferred = Deferred { has_orphans, ..Deferred::default() };
        for _ in 0..ROUNDS_OF_ONE_MAX {
            let queued = self.state.pending_of(objects).await?;
            if queued.is_empty() {
                break;
            }
            done.changed += self.batch(&queued, &Answers::Open, &mut deferred).await?;
        }
        if !deferred.claims.is_empty() {
            self.state.queue(objects).await?;
            return self.changes().await;
        }
        done.references = self.references().await?;
        Ok(done)
    }

    /// Adds to the objects of neighbourhoods what rules may ask for besides their attributes.
    async fn complete<'n>(
        &self,
        neighbourhoods: impl IntoIterator<Item = &'n mut Neighbourhood>,
    ) -> Result<(), Failure> {
        let staged = neighbourhoods.into_iter().flat_map(|one| &mut one.staged);
        let mut staged: Vec<_> = staged.collect();
        self.surroundings.complete(self.state, &mut staged).await
    }

    /// Answers the claims that were left for the end.
    async fn settle(&self, deferred: Deferred) -> Result<u64, Failure> {
        let mut claimants = HashMap::<&SourceAnchor, usize>::new();
        for anchor in deferred.claims.values() {
            *claimants.entry(anchor).or_default() += 1;
        }
        let disputed = |anchor: &SourceAnchor| claimants.get(anchor).is_some_and(|n| *n > 1);
        let disputed: HashSet<_> =
            deferred.claims.iter().filter(|(_, a)| disputed(a)).map(|(key, _)| *key).collect();
        let mut keys: Vec<_> = deferred.claims.keys().copied().collect();
        keys.sort_unstable();
        let answers = Answers::Settled(disputed);
        let mut changed = 0;
        for chunk in keys.chunks(BATCH_OBJECTS as usize) {
            let again: Vec<_> = chunk.iter().map(|key| Queued { key: *key, ticket: 0 }).collect();
            changed += self.batch(&again, &answers, &mut Deferred::default()).await?;
        }
        Ok(changed)
    }

    /// Works out which references are to be added and removed.
    async fn references(&self) -> Result<u64, Failure> {
        let mut differing = 0;
        loop {
            let resolved = self.state.resolve_references(REFERENCES_AT_ONCE).await?;
            differing += resolved.differing;
            if resolved.is_done {
                return Ok(differing);
            }
        }
    }
}

impl Deferred {
    fn put(&mut self, claim: &AnchorClaim) -> Result<(), Failure> {
        if self.claims.len() >= DEFERRED_MAX {
            return Err(Failure::new(format!(
                "more than {DEFERRED_MAX} new objects have a sourceAnchor that is not their objectGUID"
            )));
        }
        self.claims.insert(claim.object, claim.anchor.clone());
        Ok(())
    }
}
