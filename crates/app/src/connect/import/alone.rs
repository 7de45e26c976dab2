//! Objects that are read alone: those of which a change tells too little, and the places above.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use portolan_ldap::{Scope, SearchRequest, SearchResultEntry, control};
use portolan_model::{DnsName, Guid};
use portolan_store::connector_space::Changes;
use portolan_sync::{ForestObject, WANTED_ATTRIBUTES};

use super::directory::{Directory, Entries as _};
use super::{domain_base, entries, search};
use crate::report::Failure;

/// Objects that one search asks for.
const OBJECTS_MAX: usize = 100;
/// Places above one another, from an object to the domain's root.
const DEPTH_MAX: usize = 128;

/// Reads objects whole, and puts them among the changes: also into the groups that they are members
/// of, for a group is not told to have changed when a member comes back. What is not there, not seen,
/// or of a class that is not imported, is left.
pub(super) async fn read(
    directory: &mut impl Directory,
    domain: &DnsName,
    changes: &mut Changes,
    guids: &[Guid],
) -> Result<(), Failure> {
    for chunk in guids.chunks(OBJECTS_MAX) {
        for entry in entries_of(directory, domain, chunk).await? {
            if let Some(object) = whole(directory, &entry).await? {
                put(changes, &object).await?;
                member_of(directory, changes, &object, &entry).await?;
            } else if let Some(mut place) = changes.get(&entries::guid(&entry)?).await? {
                let now = entries::above(&entry)?;
                (place.dn, place.parent) = (now.dn, now.parent);
                put(changes, &place).await?;
            }
        }
    }
    Ok(())
}

/// Reads what stands above others and is not there, up to the domain's root: its name is in theirs.
pub(super) async fn read_above(
    directory: &mut impl Directory,
    domain: &DnsName,
    changes: &mut Changes,
) -> Result<(), Failure> {
    let mut tried = BTreeSet::new();
    for _ in 0..DEPTH_MAX {
        let missing = changes.orphaned_by().await?;
        let missing: Vec<_> = missing.into_iter().filter(|guid| tried.insert(*guid)).collect();
        if missing.is_empty() {
            break;
        }
        for chunk in missing.chunks(OBJECTS_MAX) {
            for entry in entries_of(directory, domain, chunk).await? {
                let object = match whole(directory, &entry).await? {
                    Some(object) => object,
                    None => entries::above(&entry)?,
                };
                changes.put(&object, true).await?;
            }
        }
    }
    Ok(())
}

/// Puts an object among the changes if it is other than before.
async fn put(changes: &mut Changes, object: &ForestObject) -> Result<(), Failure> {
    let before = changes.get(&object.guid).await?;
    if before.as_ref() == Some(object) {
        return Ok(());
    }
    let renamed = before.is_none_or(|before| before.dn != object.dn);
    Ok(changes.put(object, renamed).await?)
}

/// The entries of some objects, by their objectGUIDs.
async fn entries_of(
    directory: &mut impl Directory,
    domain: &DnsName,
    guids: &[Guid],
) -> Result<Vec<SearchResultEntry>, Failure> {
    let mut filter = String::from("(|");
    for guid in guids {
        filter.push_str("(objectGUID=");
        for octet in guid.to_bytes_le() {
            // Writing to a String does not fail.
            let _ = write!(filter, "\\{octet:02x}");
        }
        filter.push(')');
    }
    filter.push(')');
    let request = SearchRequest::new(domain_base(domain), Scope::Subtree, search::filter(&filter)?)
        .select(WANTED_ATTRIBUTES.iter().copied().chain(["memberOf"]));
    let mut found = directory.search(request, vec![control::extended_dn()]).await?;
    let mut entries = Vec::new();
    while let Some(entry) = found.next().await? {
        if entries.len() == guids.len() {
            return Err(Failure::new("the directory sends more objects than were asked for"));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// An entry as an object, with members that it leaves out.
async fn whole(
    directory: &mut impl Directory,
    entry: &SearchResultEntry,
) -> Result<Option<ForestObject>, Failure> {
    let Some(mut object) = entries::object(entry)? else { return Ok(None) };
    if let Some(range) = entries::missing(entry, "member") {
        let rest = search::remaining_values(directory, object.guid, "member", range).await?;
        object.members.extend(rest);
        object.members.sort_unstable();
        object.members.dedup();
    }
    Ok(Some(object))
}

async fn member_of(
    directory: &mut impl Directory,
    changes: &mut Changes,
    object: &ForestObject,
    entry: &SearchResultEntry,
) -> Result<(), Failure> {
    let mut groups = Vec::new();
    for attribute in entry.named("memberOf") {
        groups.extend(entries::guids(attribute)?);
    }
    if let Some(range) = entries::missing(entry, "memberOf") {
        let rest = search::remaining_values(directory, object.guid, "memberOf", range).await?;
        groups.extend(rest);
    }
    for guid in groups {
        let Some(mut group) = changes.get(&guid).await? else { continue };
        if !group.members.contains(&object.guid) {
            group.members.push(object.guid);
            group.members.sort_unstable();
            changes.put(&group, false).await?;
        }
    }
    Ok(())
}
