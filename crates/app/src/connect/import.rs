//! The full import: every user, group and organizational unit of a domain into the connector space,
//! over one sealed LDAP connection, entry by entry.

use portolan_ldap::control::{self, ExtendedDn, PagedResults};
use portolan_ldap::{Attribute, Filter, Scope, SearchRequest, SearchResultEntry, ValueRange};
use portolan_model::{DistinguishedName, DnsName, Guid};
use portolan_net::ldap::LdapConnection;
use portolan_store::connector_space::{ConnectorSpace, FullImport, ImportCounts};
use portolan_sync::scope::GROUP_MEMBERS_MAX;
use portolan_sync::{ForestObject, ObjectKind, WANTED_ATTRIBUTES};

use crate::report::Failure;

/// Entries of a page. Windows gives at most 1,000 (MaxPageSize), whatever is asked.
const PAGE_ENTRIES: u32 = 1_000;

/// Pages of an import: ten million objects.
const PAGES_MAX: usize = 10_000;
/// Ranges of one group's members. Windows gives at least 1,500 members a range.
const RANGES_MAX: usize = 10_000;

/// What is imported. A computer is a user to the directory; the kind of an object tells them apart.
const FILTER: &str = "(|(&(objectCategory=person)(objectClass=user))(objectCategory=group)(objectCategory=organizationalUnit))";

/// What an import read.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Imported {
    /// Users, inetOrgPersons among them.
    pub(super) users: u64,
    /// Groups.
    pub(super) groups: u64,
    /// Organizational units.
    pub(super) organizational_units: u64,
    /// Member values of all groups.
    pub(super) members: u64,
    /// Objects of an earlier import that are gone.
    pub(super) removed: u64,
}

/// Reads a domain in full. Nothing of the space changes unless all of it was read.
pub(super) async fn full(
    connection: &mut LdapConnection,
    domain: &DnsName,
    space: &ConnectorSpace,
) -> Result<Imported, Failure> {
    let base = DistinguishedName::of_domain(domain).to_string();
    let filter: Filter = FILTER
        .parse()
        .map_err(|error| Failure::because("the import's filter is not legal", &error))?;
    let mut import = space.begin_full_import().await?;
    let mut imported = Imported::default();
    let mut page = Some(PagedResults::first(PAGE_ENTRIES));
    let mut pages = 0;
    while let Some(wanted) = page.take() {
        pages += 1;
        if pages > PAGES_MAX {
            return Err(Failure::new(format!("the directory sends more than {PAGES_MAX} pages")));
        }
        let request = SearchRequest::new(&base, Scope::Subtree, filter.clone())
            .select(WANTED_ATTRIBUTES.iter().copied());
        let controls = vec![wanted.control(), control::extended_dn()];
        let mut unfinished = Vec::new();
        let mut entries = 0;
        let mut stream = connection.search(request, controls).await?;
        while let Some(entry) = stream.next().await? {
            entries += 1;
            if entries > PAGE_ENTRIES {
                return Err(Failure::new("the directory sends longer pages than were asked for"));
            }
            let Some(object) = object(&entry)? else { continue };
            match missing_members(&entry) {
                // The connection serves one search at a time, so the rest is read after the page.
                Some(range) => unfinished.push((object, range)),
                None => take(&object, &mut import, &mut imported).await?,
            }
        }
        page = next_page(&wanted, entries, stream.end().map(|end| end.controls.as_slice()))?;
        for (mut object, range) in unfinished {
            remaining_members(connection, &mut object, range).await?;
            take(&object, &mut import, &mut imported).await?;
        }
    }
    if imported.users == 0 {
        // A domain has users from its first day.
        return Err(Failure::new("the directory shows no user at all")
            .with_hint("let the service account read the domain's users"));
    }
    let ImportCounts { removed, .. } = import.finish().await?;
    imported.removed = removed;
    Ok(imported)
}

/// Takes one object into the space.
async fn take(
    object: &ForestObject,
    import: &mut FullImport,
    imported: &mut Imported,
) -> Result<(), Failure> {
    match object.kind {
        ObjectKind::User | ObjectKind::InetOrgPerson => imported.users += 1,
        ObjectKind::Group => imported.groups += 1,
        ObjectKind::OrganizationalUnit => imported.organizational_units += 1,
    }
    imported.members += object.members.len() as u64;
    Ok(import.put(object).await?)
}

/// An entry whose names are extended ones as an object of the forest, which holds references by
/// objectGUID; `None` for a class that is not imported.
fn object(entry: &SearchResultEntry) -> Result<Option<ForestObject>, Failure> {
    let name = ExtendedDn::parse(entry.dn()).map_err(|error| unusable(&error))?;
    let mut members = Vec::new();
    for attribute in entry.named("member") {
        members.extend(guids(attribute)?);
    }
    let attributes = entry
        .attributes()
        .filter(|attribute| !attribute.name().eq_ignore_ascii_case("member"))
        .map(|attribute| {
            (attribute.name().to_owned(), attribute.values().map(<[u8]>::to_vec).collect())
        });
    ForestObject::from_entry(name.dn, members, attributes).map_err(|error| unusable(&error))
}

/// The objectGUIDs in the extended names of an attribute.
fn guids(attribute: Attribute<'_>) -> Result<Vec<Guid>, Failure> {
    let guid = |value: &[u8]| {
        let text = std::str::from_utf8(value).map_err(|error| unusable(&error))?;
        Ok(ExtendedDn::parse(text).map_err(|error| unusable(&error))?.guid)
    };
    attribute.values().map(guid).collect()
}

fn unusable(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::because("the directory sent an entry that cannot be taken", error)
}

/// The range of members that an entry leaves out; `None` when it has them all.
fn missing_members(entry: &SearchResultEntry) -> Option<ValueRange> {
    entry.named("member").find_map(Attribute::range)?.next()
}

/// Reads the members behind the first range, range by range ([MS-ADTS] 3.1.1.3.1.3.3), until the
/// group is too large to be synchronised anyway.
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
async fn remaining_members(
    connection: &mut LdapConnection,
    object: &mut ForestObject,
    first: ValueRange,
) -> Result<(), Failure> {
    let any: Filter = "(objectClass=*)"
        .parse()
        .map_err(|error| Failure::because("the range's filter is not legal", &error))?;
    let base = format!("<GUID={}>", object.guid);
    let mut wanted = Some(first);
    let mut ranges = 0;
    while let Some(range) = wanted.take().filter(|_| object.members.len() <= GROUP_MEMBERS_MAX) {
        let request =
            SearchRequest::new(&base, Scope::Base, any.clone()).select([format!("member;{range}")]);
        let mut stream = connection.search(request, vec![control::extended_dn()]).await?;
        let part = stream.next().await?;
        let rest = stream.next().await?;
        ranges += 1;
        if rest.is_some() || ranges > RANGES_MAX {
            return Err(out_of_range(object));
        }
        let part = part.ok_or_else(|| out_of_range(object))?;
        let (members, next) = range_of(&part, range)?.ok_or_else(|| out_of_range(object))?;
        object.members.extend(members);
        wanted = next;
    }
    Ok(())
}

fn out_of_range(object: &ForestObject) -> Failure {
    Failure::new(format!(
        "the directory does not send the members of {} in the ranges asked for",
        object.dn
    ))
    .with_hint("it may have changed while it was read: try again")
}

/// The members of a range that was asked for, and the range behind it. `None` when the entry has
/// another one, so that members would be left out or read for ever.
fn range_of(
    part: &SearchResultEntry,
    asked: ValueRange,
) -> Result<Option<(Vec<Guid>, Option<ValueRange>)>, Failure> {
    let found = part.named("member").find_map(|attribute| Some((attribute, attribute.range()?)));
    let Some((attribute, range)) = found.filter(|(_, range)| range.low == asked.low) else {
        return Ok(None);
    };
    Ok(Some((guids(attribute)?, range.next())))
}

/// The page after one that was asked for, had so many entries, and ended with these controls. A
/// cookie may come again (Samba's names the search, not the page), but not without an entry.
fn next_page(
    asked: &PagedResults,
    entries: u32,
    controls: Option<&[portolan_ldap::Control]>,
) -> Result<Option<PagedResults>, Failure> {
    let reply: Option<PagedResults> = control::find(controls.unwrap_or_default())
        .map_err(|error| Failure::because("the directory's page control is not legal", &error))?;
    let cookie = reply
        .ok_or_else(|| Failure::new("the directory does not say whether a page is the last"))?
        .cookie;
    if entries == 0 && !cookie.is_empty() && cookie == asked.cookie {
        return Err(Failure::new("the directory names the same empty page again and again"));
    }
    Ok((!cookie.is_empty()).then_some(PagedResults { size: PAGE_ENTRIES, cookie }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_that_is_not_the_last_has_more_behind_it() {
        let entry = |description: &str| {
            SearchResultEntry::new("CN=g,DC=x", &[(description, &[b"CN=a,DC=x"])]).unwrap()
        };
        let next =
            |description| missing_members(&entry(description)).map(|range| range.to_string());
        assert_eq!(next("member"), None);
        assert_eq!(next("member;range=0-*"), None);
        assert_eq!(next("member;range=0-1499").as_deref(), Some("range=1500-*"));
    }

    #[test]
    fn the_last_page_has_an_empty_cookie_and_no_empty_one_comes_twice() {
        let asked = |cookie: &[u8]| PagedResults { size: 0, cookie: cookie.to_vec() };
        let check = |asked_for: &[u8], entries, replied: &[u8]| {
            let controls = [asked(replied).control()];
            let page = next_page(&asked(asked_for), entries, Some(&controls));
            page.map(|page| page.map(|page| page.cookie))
        };
        assert_eq!(check(b"", 0, b"more").unwrap().as_deref(), Some(&b"more"[..]));
        assert_eq!(check(b"more", 1, b"").unwrap(), None);
        assert_eq!(check(b"", 1, b"").unwrap(), None);
        assert_eq!(check(b"more", 1, b"more").unwrap().as_deref(), Some(&b"more"[..]));
        assert!(check(b"more", 0, b"more").is_err());
    }

    #[test]
    fn a_page_that_does_not_say_whether_it_is_the_last_is_not_taken_for_it() {
        let first = PagedResults::first(1);
        assert!(next_page(&first, 1, None).is_err());
        assert!(next_page(&first, 1, Some(&[])).is_err());
    }

    fn group(members: &[&[u8]]) -> SearchResultEntry {
        SearchResultEntry::new(
            "<GUID=6a20fa50-ff39-499c-a70a-5975c0e93995>;CN=Staff,DC=corp,DC=example",
            &[
                ("objectClass", &[b"top", b"group"]),
                ("objectGUID", &[&[7; 16]]),
                ("member", members),
            ],
        )
        .unwrap()
    }

    const MEMBER: &str = "<GUID=6a20fa50-ff39-499c-a70a-5975c0e93995>;<SID=S-1-5-21-1>;CN=b,DC=x";

    #[test]
    fn members_are_held_by_guid() {
        let object = object(&group(&[MEMBER.as_bytes()])).unwrap().unwrap();
        assert_eq!(object.members, ["6a20fa50-ff39-499c-a70a-5975c0e93995".parse().unwrap()]);
        assert_eq!(object.dn.as_str(), "CN=Staff,DC=corp,DC=example");
    }

    #[test]
    fn a_range_is_the_one_that_was_asked_for() {
        let asked = ValueRange { low: 1_500, high: None };
        let check = |description: &str| {
            let part = SearchResultEntry::new("CN=g,DC=x", &[(description, &[MEMBER.as_bytes()])]);
            let found = range_of(&part.unwrap(), asked).unwrap();
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
    fn a_member_without_its_guid_is_an_error_and_not_left_out() {
        assert!(object(&group(&[b"CN=without,DC=corp,DC=example"])).is_err());
    }

    #[test]
    fn the_filter_is_legal() {
        assert_eq!(FILTER.parse::<Filter>().unwrap().to_string(), FILTER);
    }
}
