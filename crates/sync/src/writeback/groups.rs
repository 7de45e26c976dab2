//! Groups that a tenant alone has, as groups in one unit of a forest.
//!
//! Each carries the mark `Group_<id>` in `adminDescription`, as Entra Connect writes it: by it a group is
//! known to be the tenant's, whatever it is called, and by it the default rules do not bring it back. What
//! has no mark is nobody's here, and is neither changed nor deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use portolan_model::Guid;

use super::deletions::{self, TooManyDeleted};

/// The attribute of the mark.
pub const MARK_ATTRIBUTE: &str = "adminDescription";
/// What a mark begins with.
pub const MARK_PREFIX: &str = "Group_";
/// Characters that `displayName` may have ([MS-ADA1] 2.175).
///
/// [MS-ADA1]: https://learn.microsoft.com/openspecs/windows_protocols/ms-ada1
const NAME_CHARS_MAX: usize = 256;
/// Characters that `description` may have of a group.
const DESCRIPTION_CHARS_MAX: usize = 1_024;
/// What `groupType` says of a universal group, and of a security group besides ([MS-ADTS] 2.2.12).
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
const UNIVERSAL: i32 = 0x0000_0008;
const SECURITY: i32 = i32::MIN;
/// A group of the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudGroup {
    /// Its id.
    pub id: Guid,
    /// Its name for people.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Whether it guards something.
    pub is_security: bool,
    /// Its members that the forest has, by their names there.
    pub members: BTreeSet<String>,
}

/// A group of the unit that carries a mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForestGroup {
    /// Its objectGUID.
    pub guid: Guid,
    /// Its name.
    pub dn: String,
    /// Its mark.
    pub mark: String,
    /// Its `displayName`.
    pub name: Option<String>,
    /// Its `description`.
    pub description: Option<String>,
    /// Its members.
    pub members: BTreeSet<String>,
}

/// Something that is to be done in the forest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A group is made.
    Add {
        /// Its relative name, and its sAMAccountName.
        cn: String,
        /// What `groupType` is.
        group_type: i32,
        /// What it is to be.
        wanted: CloudGroup,
    },
    /// A group is brought to what the tenant has.
    Update {
        /// Which.
        guid: Guid,
        /// Its name, for people.
        dn: String,
        /// Its mark: without it, it is not changed.
        mark: String,
        /// Another `displayName`: the one that is there, and the one to be.
        name: Option<(Option<String>, String)>,
        /// Another `description`, likewise.
        description: Option<(Option<String>, Option<String>)>,
        /// Members who come.
        come: BTreeSet<String>,
        /// Members who go.
        go: BTreeSet<String>,
    },
    /// A group goes, as the tenant has it no more.
    Delete {
        /// Which.
        guid: Guid,
        /// Its name, for people.
        dn: String,
        /// Its mark: without it, it is not deleted.
        mark: String,
    },
}

/// What is to be done, and how many groups are as they should be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Additions, then changes, then deletions.
    pub changes: Vec<Change>,
    /// Groups of which nothing is to be done.
    pub same: usize,
    /// Groups that are deleted, and marked groups that are there.
    pub deleted: usize,
    /// See [`Self::deleted`].
    pub there: usize,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add { cn, wanted, .. } => {
                write!(f, "add    CN={cn}: {}, {} members", wanted.name, wanted.members.len())
            }
            Self::Update { dn, name, description, come, go, .. } => {
                write!(f, "change {dn}:")?;
                if let Some((_, to)) = name {
                    write!(f, " displayName {to};")?;
                }
                if description.is_some() {
                    f.write_str(" description;")?;
                }
                write!(f, " {} members come, {} go", come.len(), go.len())
            }
            Self::Delete { dn, .. } => write!(f, "delete {dn}"),
        }
    }
}

/// The mark of a group of the tenant.
#[must_use]
pub fn mark(id: Guid) -> String {
    format!("{MARK_PREFIX}{id}")
}

/// Decides what is to be done so that the unit has these groups of the tenant and no other marked ones.
#[must_use]
pub fn plan(cloud: Vec<CloudGroup>, forest: Vec<ForestGroup>) -> Plan {
    let there = forest.len();
    let mut known: BTreeMap<String, Vec<ForestGroup>> = BTreeMap::new();
    for group in forest {
        known.entry(group.mark.to_ascii_lowercase()).or_default().push(group);
    }
    let (mut adds, mut updates, mut deletes, mut same) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for mut group in cloud {
        group.name = shortened(&group.name, NAME_CHARS_MAX);
        group.description = group
            .description
            .map(|text| shortened(&text, DESCRIPTION_CHARS_MAX))
            .filter(|text| !text.is_empty());
        let cn = mark(group.id);
        let found = known.get_mut(&cn.to_ascii_lowercase()).and_then(Vec::pop);
        match found {
            None => {
                let group_type = if group.is_security { SECURITY | UNIVERSAL } else { UNIVERSAL };
                adds.push(Change::Add { cn, group_type, wanted: group });
            }
            Some(before) => match update(group, before) {
                Some(change) => updates.push(change),
                None => same += 1,
            },
        }
    }
    // Of several with one mark, one is kept.
    for ForestGroup { guid, dn, mark, .. } in known.into_values().flatten() {
        deletes.push(Change::Delete { guid, dn, mark });
    }
    let deleted = deletes.len();
    let changes = adds.into_iter().chain(updates).chain(deletes).collect();
    Plan { changes, same, deleted, there }
}

impl Plan {
    /// Whether it may be carried out. So many deletions may be `allowed` besides those of which nobody is
    /// asked.
    ///
    /// # Errors
    /// When it would delete more.
    pub const fn check(&self, allowed: usize) -> Result<(), TooManyDeleted> {
        deletions::check(self.deleted, self.there, allowed, "groups")
    }
}

fn update(group: CloudGroup, before: ForestGroup) -> Option<Change> {
    let name = (before.name.as_deref() != Some(&group.name))
        .then(|| (before.name.clone(), group.name.clone()));
    let description = (before.description != group.description)
        .then(|| (before.description.clone(), group.description.clone()));
    let come = without(&group.members, &before.members);
    let go = without(&before.members, &group.members);
    if name.is_none() && description.is_none() && come.is_empty() && go.is_empty() {
        return None;
    }
    let ForestGroup { guid, dn, mark, .. } = before;
    Some(Change::Update { guid, dn, mark, name, description, come, go })
}

/// Names that are not among others, whatever their case.
fn without(names: &BTreeSet<String>, others: &BTreeSet<String>) -> BTreeSet<String> {
    let others: BTreeSet<String> = others.iter().map(|name| name.to_lowercase()).collect();
    names.iter().filter(|name| !others.contains(&name.to_lowercase())).cloned().collect()
}

fn shortened(text: &str, chars_max: usize) -> String {
    text.trim().chars().take(chars_max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guid(number: u8) -> Guid {
        Guid::from_bytes_le([number; 16])
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn cloud(number: u8, members: &[&str]) -> CloudGroup {
        CloudGroup {
            id: guid(number),
            name: format!("Team {number}"),
            description: None,
            is_security: true,
            members: names(members),
        }
    }

    fn forest(number: u8, members: &[&str]) -> ForestGroup {
        ForestGroup {
            guid: guid(0xA0 + number),
            dn: format!("CN=Group_{number},OU=Cloud,DC=x"),
            mark: mark(guid(number)),
            name: Some(format!("Team {number}")),
            description: None,
            members: names(members),
        }
    }

    #[test]
    fn groups_come_change_and_go_and_a_repeat_does_nothing() {
        let plan_of = |cloud: Vec<_>, forest: Vec<_>| plan(cloud, forest);
        let added = plan_of(vec![cloud(1, &["CN=Zoe"])], vec![]);
        let [Change::Add { cn, group_type, wanted }] = added.changes.as_slice() else {
            panic!("{added:?}")
        };
        assert_eq!((cn, *group_type), (&mark(guid(1)), -2_147_483_640));
        assert_eq!(wanted.members, names(&["CN=Zoe"]));

        let same = plan_of(vec![cloud(1, &["CN=Zoe"])], vec![forest(1, &["cn=zoe"])]);
        assert_eq!((same.changes.len(), same.same), (0, 1), "{same:?}");

        let changed = plan_of(vec![cloud(1, &["CN=Bob"])], vec![forest(1, &["CN=Zoe"])]);
        let [Change::Update { come, go, name, .. }] = changed.changes.as_slice() else {
            panic!("{changed:?}")
        };
        assert_eq!((come, go, name), (&names(&["CN=Bob"]), &names(&["CN=Zoe"]), &None));

        let gone = plan_of(vec![], vec![forest(1, &[])]);
        assert!(matches!(gone.changes.as_slice(), [Change::Delete { .. }]), "{gone:?}");
        let twice = plan_of(vec![cloud(1, &[])], vec![forest(1, &[]), forest(1, &[])]);
        assert_eq!((twice.deleted, twice.same), (1, 1));
    }
}
