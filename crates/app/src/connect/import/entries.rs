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

    #[test]
    fn members_are_held_by_guid() {
        let object = object(&group(&[MEMBER.as_bytes()])).unwrap().unwrap();
        assert_eq!(object.members, [guid_of_member()]);
        assert_eq!(object.dn.as_str(), "CN=Staff,DC=corp,DC=example");
    }

    #[test]
    fn a_member_without_its_guid_is_an_error_and_not_left_out() {
        assert!(object(&group(&[b"CN=without,DC=corp,DC=example"])).is_err());
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
        let is = |attributes: &[(&str, &[&[u8]])]| told(&entry(attributes)).unwrap();
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
        let expected = Delta {
            guid,
            dn: "CN=Staff,DC=corp,DC=example".parse().unwrap(),
            parent: Some(Guid::from_bytes_le([9; 16])),
            members: MemberChange::Some { added: vec![guid], removed: vec![] },
            attributes: vec![("mail".to_owned(), vec![])],
        };
        assert_eq!(change, Told::Changed(expected));
    }

    #[test]
    fn members_that_are_told_whole_replace_and_a_strange_range_is_refused() {
        let change = |description: &str| {
            member_change(&entry(&[(description, &[MEMBER.as_bytes()])])).map_err(|_| ())
        };
        assert_eq!(change("member"), Ok(MemberChange::All(vec![guid_of_member()])));
        let removed = vec![guid_of_member()];
        assert_eq!(change("member;range=0-0"), Ok(MemberChange::Some { added: vec![], removed }));
        assert_eq!(change("member;range=0-1499"), Err(()));
    }
}
