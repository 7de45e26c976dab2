//! A change of one object, as a directory tells it, and what becomes of the object.

use portolan_model::{DistinguishedName, Guid};

use crate::forest::{AttributeValues, ForestObject};

/// What happened to the members of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberChange {
    /// Some came and some went.
    Some {
        /// Members that are new.
        added: Vec<Guid>,
        /// Members that are gone.
        removed: Vec<Guid>,
    },
    /// These are all that there are.
    All(Vec<Guid>),
}

impl Default for MemberChange {
    fn default() -> Self {
        Self::Some { added: Vec::new(), removed: Vec::new() }
    }
}

/// A change of one object that is known already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// Which object.
    pub guid: Guid,
    /// Its name now.
    pub dn: DistinguishedName,
    /// The object above it, where the directory told it.
    pub parent: Option<Guid>,
    /// Its members.
    pub members: MemberChange,
    /// Its changed attributes by name in lower case; one without a value was removed.
    pub attributes: Vec<(String, AttributeValues)>,
}

impl ForestObject {
    /// Applies a change, and says whether anything is other than before. A change that was applied
    /// once changes nothing when it is applied again.
    pub fn apply(&mut self, delta: Delta) -> bool {
        let mut changed = self.dn != delta.dn;
        self.dn = delta.dn;
        if let Some(parent) = delta.parent {
            changed |= self.parent.replace(parent) != Some(parent);
        }
        changed |= self.apply_members(delta.members);
        for (name, values) in delta.attributes {
            let before = if values.is_empty() {
                self.attributes.remove(&name)
            } else {
                self.attributes.insert(name.clone(), values)
            };
            changed |= before.as_ref() != self.attributes.get(&name);
        }
        changed
    }

    fn apply_members(&mut self, change: MemberChange) -> bool {
        let sorted = |mut members: Vec<Guid>| {
            members.sort_unstable();
            members.dedup();
            members
        };
        match change {
            MemberChange::Some { added, removed } if added.is_empty() && removed.is_empty() => {
                false
            }
            MemberChange::Some { added, removed } => {
                let before = sorted(std::mem::take(&mut self.members));
                let removed = sorted(removed);
                let kept = before.iter().filter(|guid| removed.binary_search(guid).is_err());
                self.members = sorted(kept.copied().chain(added).collect());
                self.members != before
            }
            MemberChange::All(members) => {
                let before = sorted(std::mem::take(&mut self.members));
                self.members = sorted(members);
                self.members != before
            }
        }
    }

    /// Takes members out, and says whether one was there.
    pub fn forget_members(&mut self, gone: impl Fn(&Guid) -> bool) -> bool {
        let before = self.members.len();
        self.members.retain(|member| !gone(member));
        self.members.len() != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::tests::object;

    fn delta(object: &ForestObject) -> Delta {
        Delta {
            guid: object.guid,
            dn: object.dn.clone(),
            parent: None,
            members: MemberChange::default(),
            attributes: Vec::new(),
        }
    }

    fn guids(numbers: &[u8]) -> Vec<Guid> {
        numbers.iter().map(|number| Guid::from_bytes_le([*number; 16])).collect()
    }

    #[test]
    fn members_come_and_go_and_a_change_that_is_told_twice_is_one() {
        let mut group = object("group", "CN=g,DC=x", &[]);
        group.members = guids(&[3, 1]);
        let change = || Delta {
            members: MemberChange::Some { added: guids(&[2]), removed: guids(&[3]) },
            ..delta(&object("group", "CN=g,DC=x", &[]))
        };
        assert!(group.apply(change()));
        assert_eq!(group.members, guids(&[1, 2]));
        assert!(!group.apply(change()));
        let all = Delta { members: MemberChange::All(guids(&[2, 1, 2])), ..delta(&group) };
        assert!(!group.apply(all));
        assert_eq!(group.members, guids(&[1, 2]));
        assert!(group.forget_members(|guid| *guid == Guid::from_bytes_le([1; 16])));
        assert_eq!(group.members, guids(&[2]));
    }

    #[test]
    fn an_attribute_without_a_value_is_removed() {
        let mut user = object("user", "CN=a,DC=x", &[("mail", "a@x"), ("title", "A")]);
        let attributes =
            vec![("mail".to_owned(), Vec::new()), ("title".to_owned(), vec![b"B".to_vec()])];
        let change = Delta { attributes, ..delta(&user) };
        assert!(user.apply(change.clone()));
        assert_eq!((user.text("mail"), user.text("title")), (None, Some("B")));
        assert!(!user.apply(change));
    }

    #[test]
    fn a_move_takes_the_name_and_the_parent() {
        let mut user = object("user", "CN=a,DC=x", &[]);
        let parent = Some(Guid::from_bytes_le([9; 16]));
        let dn: DistinguishedName = "CN=b,OU=o,DC=x".parse().unwrap();
        assert!(user.apply(Delta { parent, dn: dn.clone(), ..delta(&user) }));
        assert_eq!((user.parent, user.dn), (parent, dn));
    }
}
