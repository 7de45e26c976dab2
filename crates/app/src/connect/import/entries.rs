//! Entries of the directory as objects of the connector space, and as changes of objects.

use portolan_ldap::control::ExtendedDn;
use portolan_ldap::{Attribute, SearchResultEntry, ValueRange};
use portolan_model::{DistinguishedName, Guid};
use portolan_store::state::{Found, ImportedObject};
use portolan_sync::record::{Record, Value, ValueRef};
use portolan_sync::{AttributeId, ObjectKind};

use super::reading::Reading;
use crate::report::Failure;

/// The values of a linked attribute that came or went, in a DirSync reply with incremental values
/// ([MS-ADTS] 3.1.1.3.4.1.3).
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
const REMOVED: ValueRange = ValueRange { low: 0, high: Some(0) };
const ADDED: ValueRange = ValueRange { low: 1, high: Some(1) };
/// Which object an entry stands for that was left where the object was.
pub(super) const PROXIED: &str = "proxiedObjectName";
/// The number of an object's last change at the controller that answers.
pub(super) const CHANGE: &str = "uSNChanged";
/// PROXY_TYPE_MOVED_OBJECT ([MS-DRSR] 5.157), in hexadecimal.
///
/// [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr
const MOVED: &str = "00000000";

/// What a DirSync reply says of an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It was deleted.
    Deleted(Guid),
    /// It was deleted once and is back: what it has now is not all in the reply.
    Restored(Guid),
    /// It moved to another domain of the forest, where this is its name.
    Moved(Guid, String),
    /// It is new, and this is all of it; `None` of a class that is not imported.
    New(Guid, Option<Box<ImportedObject>>),
    /// It is other than before.
    Changed(Change),
}

/// What changed of an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) guid: Guid,
    pub(super) dn: DistinguishedName,
    /// The object above it; `None` when it did not move.
    pub(super) parent: Option<Guid>,
    /// Attributes with all their values; none of one that was taken away.
    attributes: Vec<(AttributeId, Vec<Value>)>,
    /// References that came and went.
    pub(super) references: Vec<(AttributeId, ReferenceChange)>,
}

/// What changed of the references of an attribute.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReferenceChange {
    /// These came and went.
    Some {
        /// Those that came.
        added: Vec<Guid>,
        /// Those that went.
        removed: Vec<Guid>,
    },
    /// These are all that there are.
    All(Vec<Guid>),
}

impl Change {
    /// The object after the change, and whether it has another name.
    pub(super) fn apply(&self, before: Found) -> (ImportedObject, bool) {
        let kept = |(id, _): &(AttributeId, _)| !self.attributes.iter().any(|(new, _)| new == id);
        let kept = before.record.iter().filter(kept);
        let kept = kept.map(|(id, values)| (id, values.map(ValueRef::to_value).collect()));
        // Of a place only its name is kept.
        let record: Record = match before.kind {
            ObjectKind::Container => before.record.clone(),
            _ => kept.chain(self.attributes.iter().cloned()).collect(),
        };
        let all = |(attribute, change): &(AttributeId, ReferenceChange)| match change {
            ReferenceChange::All(guids) => Some((*attribute, guids.clone())),
            ReferenceChange::Some { .. } => None,
        };
        let renamed = before.dn != self.dn;
        let object = ImportedObject {
            guid: self.guid,
            kind: before.kind,
            parent: self.parent.or(before.parent),
            dn: self.dn.clone(),
            record,
            references: self.references.iter().filter_map(all).collect(),
        };
        (object, renamed)
    }
}

impl Reading {
    /// An entry of a DirSync reply, whose names are extended ones.
    pub(super) fn told(&self, entry: &SearchResultEntry) -> Result<Told, Failure> {
        let name = ExtendedDn::parse(entry.dn()).map_err(|error| unusable(&error))?;
        let guid = name.guid;
        // Told by an object that stands for it, and is deleted itself.
        if let Some((guid, dn)) = moved(entry)? {
            return Ok(Told::Moved(guid, dn));
        }
        if let Some(deleted) = entry.attribute("isDeleted") {
            let is_deleted = deleted.values().next() == Some(b"TRUE");
            return Ok(if is_deleted { Told::Deleted(guid) } else { Told::Restored(guid) });
        }
        let changes = self.reference_changes(entry)?;
        // An object keeps its classes for life: they are told when all of it is new.
        if entry.attribute("objectClass").is_some_and(|classes| classes.values().len() > 0) {
            let there = |(attribute, change)| match change {
                ReferenceChange::Some { added, .. } => (attribute, added),
                ReferenceChange::All(guids) => (attribute, guids),
            };
            let object = self.staged(entry, changes.into_iter().map(there).collect())?;
            return Ok(Told::New(guid, object.map(Box::new)));
        }
        let dn = name.dn.parse().map_err(|error| unusable(&error))?;
        let attributes = entry.attributes().filter_map(|attribute| self.values(attribute));
        let (attributes, references) = (attributes.collect(), changes);
        Ok(Told::Changed(Change { guid, dn, parent: parent(entry), attributes, references }))
    }

    /// An entry of a search, whose names are extended ones, as an object of the forest, which holds
    /// references by objectGUID; `None` for a class that is not imported.
    pub(super) fn object(
        &self,
        entry: &SearchResultEntry,
    ) -> Result<Option<ImportedObject>, Failure> {
        let mut references = Vec::new();
        for (name, attribute) in self.references() {
            let mut found = Vec::new();
            for values in entry.named(name) {
                found.extend(guids(values)?);
            }
            if !found.is_empty() {
                references.push((attribute, found));
            }
        }
        self.staged(entry, references)
    }

    fn staged(
        &self,
        entry: &SearchResultEntry,
        references: Vec<(AttributeId, Vec<Guid>)>,
    ) -> Result<Option<ImportedObject>, Failure> {
        let name = ExtendedDn::parse(entry.dn()).map_err(|error| unusable(&error))?;
        let classes = entry.attribute("objectClass").into_iter().flat_map(Attribute::values);
        let Some(kind) = ObjectKind::of_classes(classes) else { return Ok(None) };
        let no_guid =
            || Failure::new(format!("the entry {} has no objectGUID of sixteen octets", name.dn));
        let own = entry.octets("objectGUID").and_then(|octets| octets.try_into().ok());
        Ok(Some(ImportedObject {
            guid: own.map(Guid::from_bytes_le).ok_or_else(no_guid)?,
            kind,
            parent: parent(entry),
            dn: name.dn.parse().map_err(|error| unusable(&error))?,
            record: entry.attributes().filter_map(|attribute| self.values(attribute)).collect(),
            references,
        }))
    }

    /// The values of an attribute that is one of an object; `None` of one that is in it otherwise.
    fn values(&self, attribute: Attribute<'_>) -> Option<(AttributeId, Vec<Value>)> {
        let id = self.attribute(attribute.name())?;
        Some((id, attribute.values().filter_map(|octets| self.decode(id, octets)).collect()))
    }

    fn reference_changes(
        &self,
        entry: &SearchResultEntry,
    ) -> Result<Vec<(AttributeId, ReferenceChange)>, Failure> {
        let mut changes = Vec::new();
        for (name, attribute) in self.references() {
            if let Some(change) = reference_change(entry, name)? {
                changes.push((attribute, change));
            }
        }
        Ok(changes)
    }
}

/// The object that moved to another domain, and its name there, of an entry that was left in its place
/// ([MS-ADTS] 3.1.1.5.4.2.3): the value is octets in hexadecimal and a name ([MS-DRSR] 5.157), of which those
/// count that say so of a move.
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
/// [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr
pub(super) fn moved(entry: &SearchResultEntry) -> Result<Option<(Guid, String)>, Failure> {
    let Some(value) = entry.text(PROXIED) else { return Ok(None) };
    let parts: Vec<_> = value.splitn(4, ':').collect();
    let [kind, _, octets, name] = parts.as_slice() else { return Ok(None) };
    if !kind.eq_ignore_ascii_case("B") || !octets.starts_with(MOVED) {
        return Ok(None);
    }
    let name = ExtendedDn::parse(name).map_err(|error| unusable(&error))?;
    Ok(Some((name.guid, name.dn.to_owned())))
}

fn reference_change(
    entry: &SearchResultEntry,
    name: &str,
) -> Result<Option<ReferenceChange>, Failure> {
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    let mut told = false;
    for attribute in entry.named(name) {
        told = true;
        match attribute.range() {
            Some(ADDED) => added.extend(guids(attribute)?),
            Some(REMOVED) => removed.extend(guids(attribute)?),
            // Links of the time before they were replicated one by one.
            None => return Ok(Some(ReferenceChange::All(guids(attribute)?))),
            Some(_) => {
                return Err(Failure::new(
                    "the directory sent references in a range that means nothing",
                ));
            }
        }
    }
    Ok(told.then_some(ReferenceChange::Some { added, removed }))
}

/// An entry of whatever class that stands above imported objects.
pub(super) fn above(entry: &SearchResultEntry) -> Result<ImportedObject, Failure> {
    let name = ExtendedDn::parse(entry.dn()).map_err(|error| unusable(&error))?;
    Ok(ImportedObject {
        guid: name.guid,
        kind: ObjectKind::Container,
        parent: parent(entry),
        dn: name.dn.parse().map_err(|error| unusable(&error))?,
        record: Record::default(),
        references: Vec::new(),
    })
}

/// The objectGUID behind an entry's extended name.
pub(super) fn guid(entry: &SearchResultEntry) -> Result<Guid, Failure> {
    Ok(ExtendedDn::parse(entry.dn()).map_err(|error| unusable(&error))?.guid)
}

/// The number of an entry's last change, which was asked for.
pub(super) fn change(entry: &SearchResultEntry) -> Result<i64, Failure> {
    let number = entry.text(CHANGE).and_then(|text| text.parse().ok());
    number.ok_or_else(|| Failure::new(format!("the entry {} has no {CHANGE}", entry.dn())))
}

/// The objectGUIDs in the extended names of an attribute.
pub(super) fn guids(attribute: Attribute<'_>) -> Result<Vec<Guid>, Failure> {
    let guid = |value: &[u8]| {
        let text = std::str::from_utf8(value).map_err(|error| unusable(&error))?;
        Ok(ExtendedDn::parse(text).map_err(|error| unusable(&error))?.guid)
    };
    attribute.values().map(guid).collect()
}

/// The range of values that an entry leaves out of an attribute; `None` when it has them all.
pub(super) fn missing(entry: &SearchResultEntry, attribute: &str) -> Option<ValueRange> {
    entry.named(attribute).find_map(Attribute::range)?.next()
}

/// The values of a range that was asked for, and the range behind it. `None` when the entry has
/// another one, so that values would be left out or read for ever.
pub(super) fn range_of(
    part: &SearchResultEntry,
    attribute: &str,
    asked: ValueRange,
) -> Result<Option<(Vec<Guid>, Option<ValueRange>)>, Failure> {
    let found = part.named(attribute).find_map(|found| Some((found, found.range()?)));
    let Some((attribute, range)) = found.filter(|(_, range)| range.low == asked.low) else {
        return Ok(None);
    };
    Ok(Some((guids(attribute)?, range.next())))
}

fn parent(entry: &SearchResultEntry) -> Option<Guid> {
    let octets = entry.octets("parentGUID")?;
    Some(Guid::from_bytes_le(octets.try_into().ok()?))
}

fn unusable(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::because("the directory sent an entry that cannot be taken", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBER: &str = "<GUID=6a20fa50-ff39-499c-a70a-5975c0e93995>;<SID=S-1-5-21-1>;CN=b,DC=x";

    fn entry(attributes: &[(&str, &[&[u8]])]) -> SearchResultEntry {
        let dn = "<GUID=6a20fa50-ff39-499c-a70a-5975c0e93995>;CN=Staff,DC=corp,DC=example";
        SearchResultEntry::new(dn, attributes).unwrap()
    }

    fn group(members: &[&[u8]]) -> SearchResultEntry {
        entry(&[
            ("objectClass", &[b"top", b"group"]),
            ("objectGUID", &[&[7; 16]]),
            ("member", members),
        ])
    }

    fn guid_of_member() -> Guid {
        "6a20fa50-ff39-499c-a70a-5975c0e93995".parse().unwrap()
    }

    /// A reading of the members and the mail of objects.
    fn reading() -> Reading {
        Reading::of(&["mail", "member"])
    }

    fn member() -> AttributeId {
        reading().attribute_of("member")
    }

    #[test]
    fn members_are_held_by_guid() {
        let object = reading().object(&group(&[MEMBER.as_bytes()])).unwrap().unwrap();
        assert_eq!(object.references, [(member(), vec![guid_of_member()])]);
        assert_eq!(object.dn.as_str(), "CN=Staff,DC=corp,DC=example");
    }

    #[test]
    fn a_member_without_its_guid_is_an_error_and_not_left_out() {
        assert!(reading().object(&group(&[b"CN=without,DC=corp,DC=example"])).is_err());
    }

    #[test]
    fn a_range_is_the_one_that_was_asked_for() {
        let asked = ValueRange { low: 1_500, high: None };
        let check = |description: &str| {
            let part = entry(&[(description, &[MEMBER.as_bytes()])]);
            let found = range_of(&part, "member", asked).unwrap();
            found.map(|(members, next)| (members.len(), next.map(|range| range.to_string())))
        };
        assert_eq!(check("member;range=1500-*"), Some((1, None)));
        let more = Some("range=3000-*".to_owned());
        assert_eq!(check("member;range=1500-2999"), Some((1, more)));
        assert_eq!(check("member;range=0-1499"), None);
        assert_eq!(check("member;range=1501-*"), None);
        assert_eq!(check("member"), None);
        assert_eq!(check("description"), None);
    }

    #[test]
    fn a_reply_tells_what_became_of_an_object() {
        let guid = guid_of_member();
        let is = |attributes: &[(&str, &[&[u8]])]| reading().told(&entry(attributes)).unwrap();
        assert_eq!(is(&[("isDeleted", &[b"TRUE"])]), Told::Deleted(guid));
        assert_eq!(is(&[("isDeleted", &[])]), Told::Restored(guid));
        let classes: &[&[u8]] = &[b"top", b"dnsNode"];
        assert_eq!(
            is(&[("objectClass", classes), ("objectGUID", &[&[7; 16]])]),
            Told::New(guid, None)
        );
        let change = is(&[
            ("parentGUID", &[&[9; 16]]),
            ("mail", &[]),
            ("instanceType", &[b"4"]),
            ("member;range=1-1", &[MEMBER.as_bytes()]),
        ]);
        let added = ReferenceChange::Some { added: vec![guid], removed: vec![] };
        let expected = Change {
            guid,
            dn: "CN=Staff,DC=corp,DC=example".parse().unwrap(),
            parent: Some(Guid::from_bytes_le([9; 16])),
            references: vec![(member(), added)],
            attributes: vec![(reading().attribute_of("mail"), vec![])],
        };
        assert_eq!(change, Told::Changed(expected));
    }

    #[test]
    fn members_that_are_told_whole_replace_and_a_strange_range_is_refused() {
        let change = |description: &str| {
            let entry = entry(&[(description, &[MEMBER.as_bytes()])]);
            reference_change(&entry, "member").map_err(|_| ())
        };
        assert_eq!(change("member"), Ok(Some(ReferenceChange::All(vec![guid_of_member()]))));
        let removed = vec![guid_of_member()];
        assert_eq!(
            change("member;range=0-0"),
            Ok(Some(ReferenceChange::Some { added: vec![], removed }))
        );
        assert_eq!(change("member;range=0-1499"), Err(()));
    }
}
