//! Objects that are read alone: those of which a change tells too little, and the places above.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use portolan_ldap::{Scope, SearchRequest, SearchResultEntry, control};
use portolan_model::{DnsName, Guid};
use portolan_store::state::{Changes, ImportedObject};
use portolan_sync::AttributeId;

use super::directory::{Directory, Entries as _};
use super::reading::Reading;
use super::{domain_base, entries, search};
use crate::report::Failure;

/// Objects that one search asks for.
pub(super) const OBJECTS_MAX: usize = 100;
/// References of others to an object, and the attribute by which it names those others. Nobody is told to
/// have changed when one to whom they refer comes back.
const BACK_LINKS: [(&str, &str); 2] = [("member", "memberOf"), ("manager", "directReports")];

/// Objects that were read whole, by their objectGUIDs, before any of them is written.
#[derive(Debug, Default)]
pub(super) struct Alone {
    /// `None` of what is not there, or not seen.
    read: BTreeMap<Guid, Option<Whole>>,
    octets: usize,
}

/// An object as it was read.
#[derive(Debug)]
struct Whole {
    /// All of it; `None` of a class that is not imported.
    object: Option<ImportedObject>,
    /// As a place above others.
    place: ImportedObject,
    /// Who refers to it, by which attribute.
    referring: Vec<(AttributeId, Vec<Guid>)>,
}

impl Alone {
    /// Reads those objects that were not read yet.
    pub(super) async fn read(
        &mut self,
        directory: &mut impl Directory,
        reading: &Reading,
        domain: &DnsName,
        guids: &[Guid],
    ) -> Result<(), Failure> {
        let mut unread = guids.to_vec();
        unread.retain(|guid| !self.has_read(guid));
        for chunk in unread.chunks(OBJECTS_MAX) {
            for entry in entries_of(directory, reading, domain, chunk).await? {
                let whole = whole(directory, reading, &entry).await?;
                self.octets += entry.octets_held() + whole.references() * size_of::<Guid>();
                self.read.insert(whole.place.guid, Some(whole));
            }
            for guid in chunk {
                self.read.entry(*guid).or_default();
            }
        }
        Ok(())
    }

    /// Whether an object was asked for, whatever came of it.
    pub(super) fn has_read(&self, guid: &Guid) -> bool {
        self.read.contains_key(guid)
    }

    /// Objects that were asked for.
    pub(super) fn len(&self) -> usize {
        self.read.len()
    }

    /// Octets that were read, about.
    pub(super) const fn octets(&self) -> usize {
        self.octets
    }

    /// What stands above the objects that were read, and was not read itself.
    pub(super) fn above(&self) -> BTreeSet<Guid> {
        let whole = self.read.values().flatten();
        let above = whole.filter_map(|whole| whole.place.parent);
        above.filter(|guid| !self.has_read(guid)).collect()
    }

    /// Puts an object among the changes: also into the groups that it is a member of and under those whose
    /// manager it is, who are not told to have changed when one comes back. What is not there, not seen, or of
    /// a class that is not imported, is left.
    pub(super) async fn put(&self, changes: &mut Changes, guid: &Guid) -> Result<(), Failure> {
        let Some(whole) = self.read.get(guid).and_then(Option::as_ref) else { return Ok(()) };
        let before = changes.get(guid).await?;
        let is_renamed = |dn| before.as_ref().is_none_or(|before| before.dn != dn);
        let Some(object) = &whole.object else {
            let renamed = is_renamed(whole.place.dn.clone());
            if let Some(before) = before {
                let now = whole.place.clone();
                let place = ImportedObject { kind: before.kind, record: before.record, ..now };
                changes.put(&place, renamed).await?;
            }
            return Ok(());
        };
        changes.put(object, is_renamed(object.dn.clone())).await?;
        for (attribute, others) in &whole.referring {
            for other in others {
                if changes.get(other).await?.is_some() {
                    changes.change_references(other, *attribute, &[*guid], &[]).await?;
                }
            }
        }
        Ok(())
    }

    /// Puts what stands above others among the changes, whatever its class; whether it was there.
    pub(super) async fn put_above(
        &self,
        changes: &mut Changes,
        guid: &Guid,
    ) -> Result<bool, Failure> {
        let Some(whole) = self.read.get(guid).and_then(Option::as_ref) else { return Ok(false) };
        changes.put(whole.object.as_ref().unwrap_or(&whole.place), true).await?;
        Ok(true)
    }
}

impl Whole {
    /// References of the object and to it.
    fn references(&self) -> usize {
        let own = self.object.iter().flat_map(|object| &object.references);
        own.chain(&self.referring).map(|(_, guids)| guids.len()).sum()
    }
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
) -> Result<Whole, Failure> {
    let place = entries::above(entry)?;
    let Some(mut object) = reading.object(entry)? else {
        return Ok(Whole { object: None, place, referring: Vec::new() });
    };
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
    let referring = referring(directory, reading, object.guid, entry).await?;
    Ok(Whole { object: Some(object), place, referring })
}

/// Who refers to an object.
async fn referring(
    directory: &mut impl Directory,
    reading: &Reading,
    object: Guid,
    entry: &SearchResultEntry,
) -> Result<Vec<(AttributeId, Vec<Guid>)>, Failure> {
    let mut referring = Vec::new();
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
        if !others.is_empty() {
            referring.push((attribute, others));
        }
    }
    Ok(referring)
}
