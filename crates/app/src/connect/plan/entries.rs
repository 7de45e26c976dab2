//! What is pending in a state, as the engine's plan has it: a batch at a time.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};

use portolan_model::SourceAnchor;
use portolan_store::state::{Export, Place, PlannedReference, Queued, ReferencePlace, State};
use portolan_sync::engine::plan::{self, Digest, PlanEntry, Reason};
use portolan_sync::engine::{
    ConnectorId, Engine, MetaverseKey, Moment, Neighbourhood, ObjectKey, PendingExport,
    TargetObject,
};
use portolan_sync::target::TargetSystem;

use super::kept::{ReferenceDigests, name_of};
use crate::connect::synchronise::{Ruleset, Surroundings};
use crate::connect::target;
use crate::report::Failure;

/// Changes that are read from the state at once.
const EXPORTS_AT_ONCE: u32 = 500;
const REFERENCES_AT_ONCE: u32 = 20_000;

/// A state in which everything was decided, and what it was decided by.
pub(super) struct Planning<'a> {
    pub(super) state: &'a State,
    pub(super) engine: &'a Engine<'a>,
    pub(super) rules: &'a Ruleset,
    pub(super) surroundings: &'a Surroundings,
    pub(super) target: ConnectorId,
    /// What the target is.
    pub(super) system: TargetSystem,
    /// Of the rules in force and what they depend on.
    pub(super) digest: Digest,
}

/// An object that an export is about, and what it was decided from.
pub(super) struct Pending {
    pub(super) export: Export,
    pub(super) neighbourhood: Neighbourhood,
    /// Why a filter leaves its object of a forest out.
    left_out: Option<String>,
    /// Whether an object of a forest was ever known to be its.
    is_claimed: bool,
    /// Why the target cannot have the object at all: nothing comes of it.
    pub(super) inability: Option<String>,
}

impl Planning<'_> {
    /// What is pending behind a place; none when nothing more is.
    pub(super) async fn next(&self, after: &mut Place) -> Result<Vec<Pending>, Failure> {
        let exports = self.state.pending_exports(self.target, *after, EXPORTS_AT_ONCE).await?;
        *after = exports.last().map_or(*after, |last| last.place);
        let keys: Vec<_> =
            exports.iter().map(|export| export.metaverse).filter(|key| key.0 >= 0).collect();
        let mut found: HashMap<MetaverseKey, Neighbourhood> = HashMap::new();
        for mut neighbourhood in self.state.neighbourhoods(&keys).await? {
            let mut staged: Vec<_> = neighbourhood.staged.iter_mut().collect();
            self.surroundings.complete(self.state, &mut staged).await?;
            found.extend(neighbourhood.key().map(|key| (key, neighbourhood)));
        }
        let orphans = exports.iter().filter(|export| export.metaverse.0 < 0);
        let anchors: Vec<_> = orphans.map(|export| export.anchor.clone()).collect();
        let claimants = self.state.claimants(&anchors).await?;
        let mut all = Vec::with_capacity(exports.len());
        for export in exports {
            let inability = target::inability(self.system, &export, &self.rules.names);
            let mut pending = match found.remove(&export.metaverse) {
                Some(neighbourhood) => Pending {
                    export,
                    neighbourhood,
                    left_out: None,
                    is_claimed: true,
                    inability: None,
                },
                None => self.orphan(export, &claimants).await?,
            };
            pending.inability = inability;
            all.push(pending);
        }
        Ok(all)
    }

    /// An object without a metaverse object, with the object of a forest that it was of, if that is there.
    async fn orphan(
        &self,
        export: Export,
        claimants: &HashMap<SourceAnchor, ObjectKey>,
    ) -> Result<Pending, Failure> {
        let claimant = claimants.get(&export.anchor);
        let mut left_out = None;
        let mut staged = Vec::new();
        if let Some(key) = claimant
            && let Some(mut object) = self.state.object(*key).await?
        {
            left_out = self.surroundings.left_out(self.state, &object).await?;
            self.surroundings.complete(self.state, &mut [&mut object]).await?;
            // What it was linked to is gone; what it may be linked to by now is another's.
            object.link = None;
            staged.push(object);
        }
        let target = TargetObject {
            connector: export.connector,
            metaverse: export.metaverse,
            kind: export.kind,
            anchor: export.anchor.clone(),
            confirmed: export.confirmed.clone(),
            pending: Some(export.pending.clone()),
            feeds: Vec::new(),
            password: false,
        };
        let neighbourhood = Neighbourhood { metaverse: None, staged, targets: vec![target] };
        let is_claimed = claimant.is_some();
        Ok(Pending { export, neighbourhood, left_out, is_claimed, inability: None })
    }

    /// The entries of some of what is pending. `before` is the state before anything was read or decided.
    pub(super) async fn entries(
        &self,
        pending: &[Pending],
        before: &State,
    ) -> Result<Vec<PlanEntry>, Failure> {
        let staged = pending.iter().flat_map(|one| &one.neighbourhood.staged);
        let queued: Vec<_> = staged.map(|one| Queued { key: one.key, ticket: 0 }).collect();
        let mut former = HashMap::new();
        for mut found in before.neighbourhoods_of(&queued).await? {
            let mut staged: Vec<_> = found.neighbourhood.staged.iter_mut().collect();
            self.surroundings.complete(before, &mut staged).await?;
            for queued in found.queued {
                former.insert(queued.key, found.neighbourhood.clone());
            }
        }
        let random = Cell::new(0);
        let moment = Moment { now: portolan_net::clock::now(), random: &random };
        let mut all = Vec::with_capacity(pending.len());
        for one in pending {
            let keys = one.neighbourhood.staged.iter().map(|staged| staged.key);
            let mut its: Vec<_> = keys.filter_map(|key| former.get(&key).cloned()).collect();
            its.dedup();
            let entries = self.engine.plan(&one.neighbourhood, &its, &self.digest, &moment);
            let Some(mut entry) = entries.into_iter().find(|entry| entry.target == self.target)
            else {
                continue;
            };
            if entry.reason == Reason::LeftScope
                && let Some(why) = &one.left_out
            {
                entry.reason = Reason::Filtered(why.clone());
            }
            if entry.reason == Reason::Gone && !one.is_claimed {
                entry.reason = Reason::Unclaimed;
            }
            all.push(entry);
        }
        Ok(all)
    }

    /// References that are to change behind a place; none when no more are.
    pub(super) async fn references(
        &self,
        after: &mut ReferencePlace,
    ) -> Result<Vec<PlannedReference>, Failure> {
        let (target, limit) = (self.target, REFERENCES_AT_ONCE);
        let pending = self.state.planned_references(target, *after, limit).await?;
        *after = pending.last().map_or(*after, |last| last.reference.place);
        Ok(pending)
    }

    /// Every pending change that the target can take by what it is about, with a digest of all that it is made of.
    pub(super) async fn changes(&self) -> Result<BTreeMap<String, String>, Failure> {
        let mut all = BTreeMap::new();
        let mut after = Place::default();
        loop {
            let pending = self.next(&mut after).await?;
            if pending.is_empty() {
                break;
            }
            let possible = pending.iter().filter(|one| one.inability.is_none());
            all.extend(possible.filter_map(|one| self.change(one)));
        }
        let mut after = ReferencePlace::default();
        let mut digests = ReferenceDigests::default();
        loop {
            let references = self.references(&mut after).await?;
            if references.is_empty() {
                break;
            }
            for planned in &references {
                digests.add(&planned.reference, &self.rules.names);
            }
        }
        all.extend(digests.finish());
        Ok(all)
    }

    fn change(&self, pending: &Pending) -> Option<(String, String)> {
        let Pending { export, neighbourhood, .. } = pending;
        let own = |object: &&TargetObject| object.connector == self.target;
        let object = neighbourhood.targets.iter().find(own)?;
        let name = name_of(&export.pending, export.kind, &export.anchor);
        Some((name, hex::encode(plan::digest(neighbourhood, object, &self.digest))))
    }
}

impl Pending {
    /// What the object is called, as it is to be, or as it was.
    pub(super) fn name(&self, names: &portolan_sync::Dictionary) -> Option<String> {
        let record = match &self.export.pending {
            PendingExport::Add(record) | PendingExport::Update(record) => Some(record),
            PendingExport::Delete => self.export.confirmed.as_ref(),
        };
        let value = record?.first(names.id("displayName")?)?;
        value.as_text().map(str::to_owned)
    }
}
