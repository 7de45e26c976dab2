//! What identifies an object in targets, for ever.

use std::collections::HashMap;

use portolan_model::SourceAnchor;

use super::decision::{AnchorClaim, ClaimAnswer, Decision};
use super::error::{Fault, ObjectError, Subject};
use super::model::TargetObject;
use super::outbound::Outbound;
use super::systems::Engine;
use crate::record::ValueRef;

/// Characters of a text that is no anchor which are reported.
const TEXT_CHARS_MAX: usize = 64;

/// What is known of an object's anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is this one.
    Settled(SourceAnchor),
    /// It has none, or none yet: it is made in no target.
    Unsettled,
    /// Its attributes give another one now than the one that was set.
    Held,
}

impl Standing {
    /// Whether it is settled, and this one.
    pub(super) fn is(&self, anchor: &SourceAnchor) -> bool {
        matches!(self, Self::Settled(settled) if settled == anchor)
    }
}

impl Engine<'_> {
    /// The anchor of a metaverse object. One that was set stays: that of its objects in targets, or of
    /// the staging object that gives the sourceAnchor, or of another that is linked. That a staging
    /// object goes back to its own objectGUID is no other identity. Of an object that is in no target
    /// yet, the claim is answered first.
    pub(super) fn standing(
        &self,
        outbound: &Outbound<'_>,
        targets: &[TargetObject],
        decision: &mut Decision,
    ) -> Standing {
        let Outbound { metaverse, staged, .. } = *outbound;
        let origin = metaverse.origin(self.source_anchor());
        let by = origin.and_then(|origin| staged.iter().find(|staged| staged.key == origin.object));
        let subject = by.map_or(Subject::Metaverse(metaverse.key), |by| Subject::Staged(by.key));
        let own = targets.iter().find(|target| target.metaverse == metaverse.key);
        let mut anchored =
            by.into_iter().chain(staged).filter_map(|s| Some((s.key, s.anchor.as_ref()?)));
        let holder = anchored.next();
        let fixed = own.map(|own| &own.anchor).or(holder.map(|(_, anchor)| anchor));
        let own_guid = by.map(|by| SourceAnchor::from(by.guid));
        let text = metaverse.record.first(self.source_anchor()).map(ValueRef::to_text);
        let found = text.as_deref().map(str::parse::<SourceAnchor>);
        let fault = match (fixed, found) {
            (None, None) => Fault::AnchorAbsent,
            (_, Some(Err(_))) => {
                let text = text.unwrap_or_default().chars().take(TEXT_CHARS_MAX).collect();
                Fault::AnchorIllegal { text }
            }
            (Some(fixed), Some(Ok(found)))
                if found != *fixed && Some(&found) != own_guid.as_ref() =>
            {
                Fault::AnchorChanged { fixed: fixed.clone(), found }
            }
            (Some(fixed), _) if own.is_some() => return Standing::Settled(fixed.clone()),
            (fixed, found) => {
                let object = holder.map(|(key, _)| key).or(by.map(|by| by.key));
                let anchor = fixed.cloned().or(found.and_then(Result::ok));
                let (Some(object), Some(anchor)) = (object, anchor) else {
                    // The sourceAnchor is of an object that is not linked any more.
                    return Standing::Unsettled;
                };
                let claim = AnchorClaim { object, anchor, is_set: fixed.is_some() };
                return answered(claim, outbound.answer, decision);
            }
        };
        decision.errors.push(ObjectError { subject, fault });
        if fixed.is_some() { Standing::Held } else { Standing::Unsettled }
    }
}

/// What becomes of a claim.
fn answered(claim: AnchorClaim, answer: ClaimAnswer, decision: &mut Decision) -> Standing {
    match answer {
        ClaimAnswer::Open => {
            decision.claim = Some(claim);
            Standing::Unsettled
        }
        ClaimAnswer::Granted => {
            let anchor = claim.anchor.clone();
            decision.anchor = Some(claim).filter(|claim| !claim.is_set);
            Standing::Settled(anchor)
        }
        ClaimAnswer::Disputed => {
            let fault = Fault::AnchorShared { anchor: claim.anchor };
            decision.errors.push(ObjectError { subject: Subject::Staged(claim.object), fault });
            Standing::Unsettled
        }
    }
}

/// Settles the claims that came in one run, each of another metaverse object, in their order.
/// `is_taken` says whether the claim's anchor is set for another staging object, or is that of an object
/// in a target whose metaverse object is there and another.
///
/// An anchor that was set is its object's, also after that was gone. Of new objects that claim the same
/// anchor none gets it: nobody knows whose it is.
pub fn settle(claims: &[AnchorClaim], is_taken: impl Fn(&AnchorClaim) -> bool) -> Vec<ClaimAnswer> {
    let mut claimants = HashMap::<&SourceAnchor, u32>::new();
    for claim in claims.iter().filter(|claim| !claim.is_set) {
        *claimants.entry(&claim.anchor).or_default() += 1;
    }
    let answer = |claim: &AnchorClaim| {
        let several = !claim.is_set && claimants.get(&claim.anchor).is_some_and(|count| *count > 1);
        if several || is_taken(claim) { ClaimAnswer::Disputed } else { ClaimAnswer::Granted }
    };
    claims.iter().map(answer).collect()
}
