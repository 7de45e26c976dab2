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
    /// object goes back to its own objectGUID is no other identity.
    pub(super) fn standing(
        &self,
        outbound: &Outbound<'_>,
        targets: &[TargetObject],
        decision: &mut Decision,
    ) -> Standing {
        let Outbound { metaverse, staged, answer, .. } = *outbound;
        let origin = metaverse.origin(self.source_anchor());
        let by = origin.and_then(|origin| staged.iter().find(|staged| staged.key == origin.object));
        let subject = by.map_or(Subject::Metaverse(metaverse.key), |by| Subject::Staged(by.key));
        let mut refuse = |fault| decision.errors.push(ObjectError { subject, fault });
        let fixed = targets.iter().find(|target| target.metaverse == metaverse.key);
        let fixed = fixed.map(|target| &target.anchor);
        let fixed = fixed.or_else(|| by?.anchor.as_ref());
        let fixed = fixed.or_else(|| staged.iter().find_map(|staged| staged.anchor.as_ref()));
        let Some(text) = metaverse.record.first(self.source_anchor()).map(ValueRef::to_text) else {
            if fixed.is_none() {
                refuse(Fault::AnchorAbsent);
            }
            return fixed.cloned().map_or(Standing::Unsettled, Standing::Settled);
        };
        let Ok(found) = text.parse::<SourceAnchor>() else {
            refuse(Fault::AnchorIllegal { text: text.chars().take(TEXT_CHARS_MAX).collect() });
            return if fixed.is_some() { Standing::Held } else { Standing::Unsettled };
        };
        match (fixed, by, answer) {
            (Some(fixed), _, _) if *fixed == found => Standing::Settled(found),
            (Some(fixed), Some(by), _) if SourceAnchor::from(by.guid) == found => {
                Standing::Settled(fixed.clone())
            }
            (Some(fixed), _, _) => {
                refuse(Fault::AnchorChanged { fixed: fixed.clone(), found });
                Standing::Held
            }
            (None, _, ClaimAnswer::Disputed) => {
                refuse(Fault::AnchorShared { anchor: found });
                Standing::Unsettled
            }
            (None, Some(by), ClaimAnswer::Open) => {
                decision.claim = Some(AnchorClaim { object: by.key, anchor: found });
                Standing::Unsettled
            }
            (None, Some(by), ClaimAnswer::Granted) => {
                decision.anchor = Some(AnchorClaim { object: by.key, anchor: found.clone() });
                Standing::Settled(found)
            }
            // It is as it was when its object was still linked.
            (None, None, _) => Standing::Unsettled,
        }
    }
}

/// Settles claims that came in one run, in the order of the claims. `is_owned` says whether an anchor
/// was set for any object before, and is never asked of claims of the object itself. Of new objects that
/// claim the same anchor, none gets it: nobody knows whose it is.
pub fn settle(
    claims: &[AnchorClaim],
    is_owned: impl Fn(&SourceAnchor) -> bool,
) -> Vec<ClaimAnswer> {
    let mut claimants = HashMap::<&SourceAnchor, _>::new();
    for claim in claims {
        let several = claimants.entry(&claim.anchor).or_insert((claim.object, false));
        several.1 |= several.0 != claim.object;
    }
    let answer = |claim: &AnchorClaim| {
        let several = claimants.get(&claim.anchor).is_some_and(|(_, several)| *several);
        if several || is_owned(&claim.anchor) {
            ClaimAnswer::Disputed
        } else {
            ClaimAnswer::Granted
        }
    };
    claims.iter().map(answer).collect()
}
