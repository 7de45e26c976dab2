//! Which object of the cloud an object of the forest is, when the directory does not have its anchor.
//!
//! By its `onPremisesImmutableId` (hard), or by its name, its primary address or, of a device, its `deviceId`
//! (soft). Nobody who has a role in the directory is ever matched: whoever writes the forest would write an
//! administrator.

use super::Fault;
use super::Upsert;
use super::draft::Draft;
use crate::directory::{Kind, Name, Object, Value};
use crate::feature::Feature;

/// How an object of the cloud was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// By its `onPremisesImmutableId`.
    Hard,
    /// By its user principal name, its primary address or its `deviceId`.
    Soft,
}

impl Match {
    /// The word for it: `hard`, `soft`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
        }
    }
}

/// The object that an upsert is about, as it is by now, and how it was found if it was the cloud's own.
pub(super) fn counterpart(
    draft: &Draft,
    upsert: &Upsert,
) -> Result<(Option<Object>, Option<Match>), Fault> {
    if let Some(object) = draft.object(&upsert.anchor) {
        if !object.is_clouds_own() {
            return Ok((Some(object.clone()), None));
        }
        let blocked = draft.has(Feature::BlockCloudObjectTakeoverThroughHardMatch);
        return if blocked || draft.is_administrator(object.id) {
            Err(Fault::MatchBlocked)
        } else {
            Ok((Some(object.clone()), Some(Match::Hard)))
        };
    }
    if draft.has(Feature::BlockSoftMatch) {
        return Ok((None, None));
    }
    // One that has an immutable id is somebody else's already.
    let may = |object: &&Object| {
        object.kind == upsert.kind && object.anchor.is_none() && !draft.is_administrator(object.id)
    };
    let found = names(upsert).into_iter().find_map(|name| draft.stranger(&name).filter(may));
    Ok((found.cloned(), found.map(|_| Match::Soft)))
}

/// The names by which an object of the cloud is found: the user's own, then the primary address; of a device
/// its id, under which it may have registered before it was synchronised.
fn names(upsert: &Upsert) -> Vec<Name> {
    let principal = upsert.attributes.text("userPrincipalName");
    let principal = principal.filter(|_| upsert.kind == Kind::User).map(Name::principal);
    let primary = match upsert.attributes.value("proxyAddresses") {
        Some(Value::Texts(all)) => all.iter().find(|address| address.starts_with("SMTP:")),
        _ => None,
    };
    let device = upsert.attributes.text("deviceId").filter(|_| upsert.kind == Kind::Device);
    let primary = primary.map(|address| Name::proxy(address));
    principal.into_iter().chain(primary).chain(device.map(Name::device)).collect()
}
