//! The whole decision about a metaverse object and everything that is linked to it.

use super::decision::{ClaimAnswer, Decision, LinkChange, MetaverseChange, TargetChange};
use super::error::Note;
use super::model::{LinkKind, MetaverseKey, Neighbourhood, PendingExport, Staged, TargetObject};
use super::outbound::Outbound;
use super::systems::{Engine, Moment};
use crate::rules::{Linking, MetaverseKind};

impl Neighbourhood {
    /// The number of its metaverse object, which may have no object yet or any more; `None` of a
    /// neighbourhood of nothing.
    #[must_use]
    pub fn key(&self) -> Option<MetaverseKey> {
        let existing = self.metaverse.as_ref().map(|metaverse| metaverse.key);
        let linked = || self.staged.iter().find_map(|staged| Some(staged.link?.metaverse));
        existing.or_else(linked).or_else(|| self.targets.first().map(|target| target.metaverse))
    }
}

impl Engine<'_> {
    /// What becomes of a neighbourhood. One whose staging objects are linked to a metaverse object that
    /// is not there is new: flows that are given once are given now.
    ///
    /// `answer` is what is known of the claim that an earlier decision of the same neighbourhood made.
    #[must_use]
    pub fn decide(
        &self,
        neighbourhood: &Neighbourhood,
        answer: ClaimAnswer,
        moment: &Moment<'_>,
    ) -> Decision {
        let mut decision = Decision::default();
        let Some(key) = neighbourhood.key() else { return decision };
        let kind = self.kind(neighbourhood);
        let staged =
            kind.map_or_else(Vec::new, |kind| self.keep(neighbourhood, kind, &mut decision));
        let keeps = |(_, kind): &(&Staged, LinkKind)| *kind != LinkKind::Joined;
        let Some(kind) = kind.filter(|_| staged.iter().any(keeps)) else {
            end(neighbourhood, key, &mut decision);
            return decision;
        };
        let staged: Vec<_> = staged.into_iter().map(|(staged, _)| staged).collect();
        let contributors = self.contributors(kind, &staged);
        let former = neighbourhood.metaverse.as_ref();
        let errors = &mut decision.errors;
        let change = self.inbound_flows((key, kind), &contributors, former, moment, errors);
        let metaverse = match &change {
            MetaverseChange::Put(metaverse) => Some(metaverse),
            _ => former,
        };
        if let Some(metaverse) = metaverse {
            let (staged, contributors) = (&staged, &contributors);
            let outbound = Outbound { metaverse, staged, contributors, answer, moment };
            self.outbound_flows(&outbound, &neighbourhood.targets, &mut decision);
        }
        decision.metaverse = change;
        decision
    }

    /// What the metaverse object is, or would be.
    fn kind(&self, neighbourhood: &Neighbourhood) -> Option<MetaverseKind> {
        let provisioned = |staged: &Staged| {
            let mut rules = self.in_scope(staged);
            rules.find(|rule| rule.linking == Linking::Provision).map(|rule| rule.metaverse)
        };
        match &neighbourhood.metaverse {
            Some(metaverse) => Some(metaverse.kind),
            None => neighbourhood.staged.iter().find_map(provisioned),
        }
    }

    /// The objects whose link stays.
    fn keep<'n>(
        &self,
        neighbourhood: &'n Neighbourhood,
        kind: MetaverseKind,
        decision: &mut Decision,
    ) -> Vec<(&'n Staged, LinkKind)> {
        let mut kept = Vec::with_capacity(neighbourhood.staged.len());
        for staged in &neighbourhood.staged {
            let Some(link) = staged.link else { continue };
            let now = self.link_kind(staged, kind, Some(link.kind));
            if now != Some(link.kind) {
                decision.links.push(LinkChange { object: staged.key, kind: now });
            }
            match now {
                Some(now) => kept.push((staged, now)),
                None => decision.notes.push(Note::OutOfScope(staged.key)),
            }
        }
        kept
    }
}

/// Nothing keeps the metaverse object: it ends, and so do the links to it and its objects in targets.
fn end(neighbourhood: &Neighbourhood, key: MetaverseKey, decision: &mut Decision) {
    let linked = neighbourhood.staged.iter().filter(|staged| staged.link.is_some());
    decision.links = linked.map(|staged| LinkChange { object: staged.key, kind: None }).collect();
    if neighbourhood.metaverse.is_some() {
        decision.metaverse = MetaverseChange::Deleted;
        decision.notes.push(Note::Ended(key));
    }
    for target in &neighbourhood.targets {
        decision.targets.extend(delete(target));
    }
}

/// A target's object is not to be.
pub(super) fn delete(target: &TargetObject) -> Option<TargetChange> {
    if target.confirmed.is_none() {
        return Some(TargetChange::Remove(target.connector));
    }
    let deleted = TargetObject {
        pending: Some(PendingExport::Delete),
        feeds: Vec::new(),
        password: false,
        ..target.clone()
    };
    (deleted != *target).then_some(TargetChange::Put(deleted))
}
