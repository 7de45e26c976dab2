//! Objects that are read alone: those of which a change tells too little, and the places above.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use portolan_ldap::{Scope, SearchRequest, SearchResultEntry, control};
use portolan_model::{DnsName, Guid};
use portolan_store::state::{Changes, ImportedObject};

use super::directory::{Directory, Entries as _};
use super::reading::Reading;
use super::{domain_base, entries, search};
use crate::report::Failure;

/// Objects that one search asks for.
const OBJECTS_MAX: usize = 100;
/// References of others to an object, and the attribute by which it names those others. Nobody is told to
/// have changed when one to whom they refer comes back.
const BACK_LINKS: [(&str, &str); 2] = [("member", "memberOf"), ("manager", "directReports")];
/// Places above one another, from an object to the domain's root.
const DEPTH_MAX: usize = 128;

/// Reads objects whole, and puts them among the changes: also into the groups that they are members
/// of and under those whose manager they are, who are not told to have changed when one comes back. What is not there, not seen,
/// or of a class that is not imported, is left.
pub(super) async fn read(
    directory: &mut impl Directory,
    reading: &Reading,
    domain: &DnsName,
    changes: &mut Changes,
    guids: &[Guid],
) -> Result<(), Failure> {
    for chunk in guids.chunks(OBJECTS_MAX) {
        for entry in entries_of(directory, reading, domain, chunk).await? {
            if let Some(object) = whole(directory, reading, &entry).await? {
                put(changes, &object).await?;
                referring(directory, reading, changes, object.guid, &entry).await?;
            } else if let Some(place) = changes.get(&entries::guid(&entry)?).await? {
                let now = entries::above(&entry)?;
                let place = ImportedObject { kind: place.kind, record: place.record, ..now };
                put(changes, &place).await?;
            }
        }
    }
    Ok(())
}

/// Reads what stands above others and is not there, up to the domain's root: its name is in theirs.
pub(super) async fn read_above(
    directory: &mut impl Directory,
    reading: &Reading,
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
            for entry in entries_of(directory, reading, domain, chunk).await? {
                let object = match whole(directory, reading, &entry).await? {
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
async fn put(changes: &mut Changes, object: &ImportedObject) -> Result<(), Failure> {
    let before = changes.get(&object.guid).await?;
    let renamed = before.is_none_or(|before| before.dn != object.dn);
    Ok(changes.put(object, renamed).await?)
}

/// The entries of some objects, by their objectGUIDs.
async fn entries_of(
    directory: &mut impl Directory,
    reading: &Reading,
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
        .select(
            reading.wanted().iter().map(String::as_str).chain(BACK_LINKS.map(|(_, back)| back)),
        );
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

/// An entry as an object, with references that it leaves out.
async fn whole(
    directory: &mut impl Directory,
    reading: &Reading,
    entry: &SearchResultEntry,
) -> Result<Option<ImportedObject>, Failure> {
    let Some(mut object) = reading.object(entry)? else { return Ok(None) };
    for (name, attribute) in reading.references() {
        let mut all = object.references.iter().find(|(id, _)| *id == attribute);
        let mut all = all.take().map(|(_, guids)| guids.clone()).unwrap_or_default();
        if let Some(range) = entries::missing(entry, name) {
            all.extend(search::remaining_values(directory, object.guid, name, range).await?);
        }
        object.references.retain(|(id, _)| *id != attribute);
        // What it does not refer to any more is gone.
        object.references.push((attribute, all));
    }
    Ok(Some(object))
}

/// Lets others refer to an object that came back.
async fn referring(
    directory: &mut impl Directory,
    reading: &Reading,
    changes: &mut Changes,
    object: Guid,
    entry: &SearchResultEntry,
) -> Result<(), Failure> {
    for (forward, back) in BACK_LINKS {
        let Some((_, attribute)) = reading.references().find(|(name, _)| *name == forward) else {
            continue;
        };
        let mut others = Vec::new();
        for values in entry.named(back) {
            others.extend(entries::guids(values)?);
        }
        if let Some(range) = entries::missing(entry, back) {
            let rest = search::remaining_values(directory, object, back, range).await?;
            others.extend(rest);
        }
        for guid in others {
            if changes.get(&guid).await?.is_some() {
                changes.change_references(&guid, attribute, &[object], &[]).await?;
            }
        }
    }
    Ok(())
}
