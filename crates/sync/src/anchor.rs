//! What identifies an object for ever.

use portolan_model::{Guid, SourceAnchor};

use crate::forest::ForestObject;

/// An object without an anchor of its own. It is left as it is in the tenant, or out of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    /// It was synchronised under another one.
    #[error(transparent)]
    Changed(#[from] AnchorChanged),
    /// It would have the anchor of another object.
    #[error(transparent)]
    Shared(#[from] AnchorShared),
}

/// An object has the anchor of another one. An anchor that was set belongs to its object, also after
/// that is gone; of objects that are new, nobody knows whose it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{dn} has the anchor {anchor} of another object; clear or correct its mS-DS-ConsistencyGuid"
)]
pub struct AnchorShared {
    /// The object's name.
    pub dn: String,
    /// The anchor that its attributes give.
    pub anchor: SourceAnchor,
}

/// The directory's value of `mS-DS-ConsistencyGuid` no longer agrees with the anchor that was set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{dn} now has the mS-DS-ConsistencyGuid of anchor {found}, but was synchronised as {fixed}"
)]
pub struct AnchorChanged {
    /// The object's name.
    pub dn: String,
    /// The anchor that was set when the object was first imported.
    pub fixed: SourceAnchor,
    /// The anchor that its attributes would give now.
    pub found: SourceAnchor,
}

/// The anchor of an object: for a person `mS-DS-ConsistencyGuid` when it is present at the first
/// import, otherwise the objectGUID. `fixed` is what an earlier import set, and is kept.
///
/// # Errors
/// [`AnchorChanged`] when the attribute was changed to name another identity since. That an object
/// *gains* the value its anchor has already is no change.
pub fn of(
    object: &ForestObject,
    fixed: Option<&SourceAnchor>,
) -> Result<SourceAnchor, AnchorChanged> {
    let consistency = consistency_guid(object).map(SourceAnchor::from);
    let Some(fixed) = fixed else {
        return Ok(consistency.unwrap_or_else(|| object.guid.into()));
    };
    match consistency {
        Some(found) if found != *fixed => {
            Err(AnchorChanged { dn: object.dn.to_string(), fixed: fixed.clone(), found })
        }
        _ => Ok(fixed.clone()),
    }
}

fn consistency_guid(object: &ForestObject) -> Option<Guid> {
    if !object.kind.is_person() {
        return None;
    }
    let octets = object.values("mS-DS-ConsistencyGuid").first()?;
    Some(Guid::from_bytes_le(octets.as_slice().try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::tests::object;

    #[test]
    fn the_consistency_guid_counts_only_at_the_first_import() {
        let plain = object("user", "CN=a,DC=x", &[]);
        let marked = object("user", "CN=a,DC=x", &[("mS-DS-ConsistencyGuid", "0123456789abcdef")]);
        let by_guid = SourceAnchor::from(plain.guid);
        let by_attribute: SourceAnchor = "MDEyMzQ1Njc4OWFiY2RlZg==".parse().unwrap();
        assert_eq!(of(&plain, None), Ok(by_guid.clone()));
        assert_eq!(of(&marked, None), Ok(by_attribute.clone()));
        assert_eq!(of(&plain, Some(&by_attribute)), Ok(by_attribute.clone()));
        assert_eq!(of(&marked, Some(&by_guid)).unwrap_err().found, by_attribute);
    }

    #[test]
    fn a_group_is_anchored_by_its_guid_alone() {
        let group = object("group", "CN=g,DC=x", &[("mS-DS-ConsistencyGuid", "0123456789abcdef")]);
        assert_eq!(of(&group, None), Ok(group.guid.into()));
    }
}
