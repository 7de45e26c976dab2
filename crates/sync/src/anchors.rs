//! Anchors by objectGUID, small enough to be held for every object of a forest at once.

use std::collections::{BTreeMap, BTreeSet};

use portolan_model::{Guid, SourceAnchor};

/// Anchors of objects. Most anchors are the text of their object's own objectGUID, and take no more
/// room than that.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Anchors {
    /// INVARIANT: sorted, each once.
    by_guid: Vec<Guid>,
    others: BTreeMap<Guid, SourceAnchor>,
    /// The anchors of `others`.
    owned: BTreeSet<SourceAnchor>,
}

impl Anchors {
    /// The anchor of an object.
    #[must_use]
    pub fn of(&self, guid: &Guid) -> Option<SourceAnchor> {
        if self.by_guid.binary_search(guid).is_ok() {
            return Some((*guid).into());
        }
        self.others.get(guid).cloned()
    }

    /// Whether an object has an anchor.
    #[must_use]
    pub fn has(&self, guid: &Guid) -> bool {
        self.by_guid.binary_search(guid).is_ok() || self.others.contains_key(guid)
    }

    /// Whether the anchor is that of an object.
    #[must_use]
    pub fn owns(&self, anchor: &SourceAnchor) -> bool {
        anchor.guid().is_some_and(|guid| self.by_guid.binary_search(&guid).is_ok())
            || self.owned.contains(anchor)
    }

    /// All objects with their anchors.
    pub fn iter(&self) -> impl Iterator<Item = (Guid, SourceAnchor)> {
        let by_guid = self.by_guid.iter().map(|guid| (*guid, SourceAnchor::from(*guid)));
        by_guid.chain(self.others.iter().map(|(guid, anchor)| (*guid, anchor.clone())))
    }

    /// How many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_guid.len() + self.others.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl FromIterator<(Guid, SourceAnchor)> for Anchors {
    fn from_iter<I: IntoIterator<Item = (Guid, SourceAnchor)>>(pairs: I) -> Self {
        let mut anchors = Self::default();
        for (guid, anchor) in pairs {
            if anchor.guid() == Some(guid) {
                anchors.by_guid.push(guid);
            } else {
                anchors.owned.insert(anchor.clone());
                anchors.others.insert(guid, anchor);
            }
        }
        anchors.by_guid.sort_unstable();
        anchors.by_guid.dedup();
        anchors.by_guid.shrink_to_fit();
        anchors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_of_both_kinds_are_found_from_either_side() {
        let [own, other, absent] = [1, 2, 3].map(|number| Guid::from_bytes_le([number; 16]));
        let odd: SourceAnchor = "odd".parse().unwrap();
        let anchors: Anchors = [(own, own.into()), (other, odd.clone())].into_iter().collect();
        assert_eq!(anchors.of(&own), Some(own.into()));
        assert_eq!(anchors.of(&other), Some(odd.clone()));
        assert_eq!(anchors.of(&absent), None);
        assert!(anchors.owns(&own.into()) && anchors.owns(&odd));
        assert!(!anchors.owns(&other.into()) && !anchors.owns(&absent.into()));
        assert_eq!((anchors.len(), anchors.iter().count()), (2, 2));
    }
}
