//! The whole decision about a metaverse object and everything that is linked to it.

use super::contribution::{offers, offers_in};
use super::decision::{ClaimAnswer, Decision, LinkChange, MetaverseChange, TargetChange};
use super::error::Note;
use super::join::{Scoped, is_foreign, link_kind, still_matches};
use super::model::{LinkKind, MetaverseKey, Neighbourhood, PendingExport, TargetObject};
use super::outbound::Outbound;
use super::systems::{Engine, Moment};
use crate::record::Record;
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
        let indexes: Vec<_> = neighbourhood.staged.iter().map(|one| one.record.index()).collect();
        let scoped = neighbourhood.staged.iter().zip(&indexes);
        let scoped: Vec<_> = scoped.map(|(staged, index)| self.scoped(staged, index)).collect();
        let kind = kind(neighbourhood, &scoped);
        let kept = kind.map_or_else(Vec::new, |kind| keep(scoped, kind, &mut decision));
        let keeps = |(_, kind): &(Scoped<'_>, LinkKind)| *kind != LinkKind::Joined;
        let Some(kind) = kind.filter(|_| kept.iter().any(keeps)) else {
            end(neighbourhood, key, &mut decision);
            return decision;
        };
        let kept = self.without_strays((key, kind), kept, (neighbourhood, moment), &mut decision);
        let contributors = self.contributors(kind, &kept);
        let offers = match kept.as_slice() {
            [one] => {
                let order = self.inbound_order(one.staged.connector, one.staged.kind);
                offers_in(order, &contributors)
            }
            _ => offers(&contributors),
        };
        let former = neighbourhood.metaverse.as_ref();
        let nothing = Record::default();
        let had = former.map_or(&nothing, |former| &former.record).index();
        let (from, was) = ((contributors.as_slice(), offers.as_slice()), (former, &had as _));
        let errors = &mut decision.errors;
        let change = self.inbound_flows((key, kind), from, was, moment, errors);
        let made = match &change {
            MetaverseChange::Put(metaverse) => Some((metaverse, metaverse.record.index())),
            _ => former.map(|former| (former, had)),
        };
        if let Some((metaverse, index)) = &made {
            let staged: Vec<_> = kept.iter().map(|scoped| scoped.staged).collect();
            let outbound = Outbound {
                engine: self,
                metaverse,
                attributes: index,
                staged: &staged,
                contributors: &contributors,
                answer,
                moment,
            };
            self.outbound_flows(&outbound, &neighbourhood.targets, &mut decision);
        }
        drop(made);
        decision.metaverse = change;
        decision
    }

    /// Those whose link stays, without those who stand for somebody of another forest who is not part of the
    /// metaverse object any more: that they stand for somebody else would give away what is that one's. Anybody
    /// else who was joined stays so, whatever becomes of the values that they were joined by.
    fn without_strays<'n>(
        &'n self,
        made: (MetaverseKey, MetaverseKind),
        kept: Vec<(Scoped<'n>, LinkKind)>,
        (neighbourhood, moment): (&Neighbourhood, &Moment<'_>),
        decision: &mut Decision,
    ) -> Vec<Scoped<'n>> {
        let may_stray = |(scoped, kind): &(Scoped<'_>, LinkKind)| {
            *kind == LinkKind::Joined && is_foreign(scoped.staged)
        };
        if !kept.iter().any(may_stray) {
            return kept.into_iter().map(|(scoped, _)| scoped).collect();
        }
        let all: Vec<_> = kept.iter().map(|(scoped, _)| scoped.clone()).collect();
        let contributors = self.contributors(made.1, &all);
        let offers = offers(&contributors);
        let former = neighbourhood.metaverse.as_ref();
        let nothing = Record::default();
        let had = former.map_or(&nothing, |former| &former.record);
        let (from, was) = ((contributors.as_slice(), offers.as_slice()), (former, had as _));
        let change = self.inbound_flows(made, from, was, moment, &mut Vec::new());
        let record = match &change {
            MetaverseChange::Put(metaverse) => &metaverse.record,
            _ => had,
        };
        let (stray, stay): (Vec<_>, Vec<_>) =
            kept.into_iter().partition(|one| may_stray(one) && !still_matches(&one.0, record));
        for (scoped, _) in stray {
            let object = scoped.staged.key;
            // What became of its link before is over.
            decision.links.retain(|change| change.object != object);
            decision.links.push(LinkChange { object, kind: None });
        }
        stay.into_iter().map(|(scoped, _)| scoped).collect()
    }
}

/// What the metaverse object is, or would be.
fn kind(neighbourhood: &Neighbourhood, scoped: &[Scoped<'_>]) -> Option<MetaverseKind> {
    let provisioned = |scoped: &Scoped<'_>| {
        let mut rules = scoped.rules.iter();
        let found = rules.find(|(_, rule)| rule.linking == Linking::Provision);
        found.map(|(_, rule)| rule.metaverse)
    };
    match &neighbourhood.metaverse {
        Some(metaverse) => Some(metaverse.kind),
        None => scoped.iter().find_map(provisioned),
    }
}

/// The objects whose link stays.
fn keep<'n>(
    all: Vec<Scoped<'n>>,
    kind: MetaverseKind,
    decision: &mut Decision,
) -> Vec<(Scoped<'n>, LinkKind)> {
    let mut kept = Vec::with_capacity(all.len());
    for scoped in all {
        let Some(link) = scoped.staged.link else { continue };
        let rules = scoped.rules.iter().map(|(_, rule)| *rule);
        let now = link_kind(rules, kind, Some(link.kind));
        let object = scoped.staged.key;
        if now != Some(link.kind) {
            decision.links.push(LinkChange { object, kind: now });
        }
        match now {
            Some(now) => kept.push((scoped, now)),
            None => decision.notes.push(Note::OutOfScope(object)),
        }
    }
    kept
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
