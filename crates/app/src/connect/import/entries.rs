//! Entries of the directory as the engine's objects and changes of objects.

use portolan_ldap::control::ExtendedDn;
use portolan_ldap::{Attribute, SearchResultEntry, ValueRange};
use portolan_model::Guid;
use portolan_sync::{AttributeValues, Delta, ForestObject, MemberChange};

use crate::report::Failure;

/// Attributes of an entry that are no attributes of an object: they are in it otherwise.
const BESIDE: [&str; 6] =
    ["member", "memberof", "objectguid", "parentguid", "instancetype", "isdeleted"];

/// The values of a linked attribute that came or went, in a DirSync reply with incremental values
/// ([MS-ADTS] 3.1.1.3.4.1.3).
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
const REMOVED: ValueRange = ValueRange { low: 0, high: Some(0) };
const ADDED: ValueRange = ValueRange { low: 1, high: Some(1) };

/// What a DirSync reply says of an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It was deleted.
    Deleted(Guid),
    /// It was deleted once and is back: what it has now is not all in the reply.
    Restored(Guid),
    /// It is new, and this is all of it; `None` of a class that is not imported.
    New(Guid, Option<Box<ForestObject>>),
    /// It is other than before.
    Changed(Delta),
}

/// An entry of a DirSync reply, whose names are extended ones.
pub(super) fn told(entry: &SearchResultEntry) -> Result<Told, Failure> {
    let name = ExtendedDn::parse(entry.dn()).map_err(|error| unusable(&error))?;
    let guid = name.guid;
    if let Some(deleted) = entry.attribute("isDeleted") {
        let is_deleted = deleted.values().next() == Some(b"TRUE");
        return Ok(if is_deleted { Told::Deleted(guid) } else { Told::Restored(guid) });
    }
    // An object keeps its classes for life: they are told when all of it is new.
    if entry.attribute("objectClass").is_some_and(|classes| classes.values().len() > 0) {
        let members = match member_change(entry)? {
            MemberChange::Some { added, .. } => added,
            MemberChange::All(members) => members,
        };
        return Ok(Told::New(guid, from_entry(entry, members)?.map(Box::new)));
    }
    let lower =
        |attribute: Attribute<'_>| (attribute.name().to_ascii_lowercase(), values(attribute));
    Ok(Told::Changed(Delta {
        guid,
        dn: name.dn.parse().map_err(|error| unusable(&error))?,
        parent: parent(entry),
        members: member_change(entry)?,
        attributes: entry
            .attributes()
            .map(lower)
            .filter(|(name, _)| !BESIDE.contains(&name.as_str()) && name != "objectclass")
            .collect(),
    }))
}

fn member_change(entry: &SearchResultEntry) -> Result<MemberChange, Failure> {
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    for attribute in entry.named("member") {
        match attribute.range() {
            Some(ADDED) => added.extend(guids(attribute)?),
            Some(REMOVED) => removed.extend(guids(attribute)?),
            // Links of the time before they were replicated one by one.
            None => return Ok(MemberChange::All(guids(attribute)?)),
            Some(_) => {
                return Err(Failure::new(
                    "the directory sent members in a range that means nothing",
                ));
            }
        }
    }
    Ok(MemberChange::Some { added, removed })
}

/// An entry of a search, whose names are extended ones, as an object of the forest, which holds
/// references by objectGUID; `None` for a class that is not imported.
pub(super) fn object(entry: &SearchResultEntry) -> Result<Option<ForestObject>, Failure> {
    let mut members = Vec::new();
    for attribute in entry.named("member") {
        members.extend(guids(attribute)?);
    }
    // So that the same object read another way is the same.
    members.sort_unstable();
    members.dedup();
    from_entry(entry, members)
}

fn from_entry(
    entry: &SearchResultEntry,
    members: Vec<Guid>,
) -> Result<Option<ForestObject>, Failure> {
    let name = ExtendedDn::parse(entry.dn()).map_err(|error| unusable(&error))?;
    let beside = |attribute: &Attribute<'_>| {
        // objectGUID and parentGUID are taken out by the object itself.
        let name = attribute.name();
        !["member", "memberOf", "instanceType"].iter().any(|b| b.eq_ignore_ascii_case(name))
    };
    let attributes = entry
        .attributes()
        .filter(beside)
        .map(|attribute| (attribute.name().to_owned(), values(attribute)))
        .filter(|(_, values)| !values.is_empty());
    ForestObject::from_entry(name.dn, members, attributes).map_err(|error| unusable(&error))
}

/// An entry of whatever class that stands above imported objects.
pub(super) fn above(entry: &SearchResultEntry) -> Result<ForestObject, Failure> {
    let name = ExtendedDn::parse(entry.dn()).map_err(|error| unusable(&error))?;
    ForestObject::above(name.dn, Some(name.guid), parent(entry)).map_err(|error| unusable(&error))
}

/// The objectGUID behind an entry's extended name.
pub(super) fn guid(entry: &SearchResultEntry) -> Result<Guid, Failure> {
    Ok(ExtendedDn::parse(entry.dn()).map_err(|error| unusable(&error))?.guid)
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

fn values(attribute: Attribute<'_>) -> AttributeValues {
    attribute.values().map(<[u8]>::to_vec).collect()
}

fn unusable(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::because("the directory sent an entry that cannot be taken", error)
}
