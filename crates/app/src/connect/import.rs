//! The full import: every user, group and organizational unit of a domain into the connector space,
//! over one sealed LDAP connection, entry by entry.

use portolan_ldap::control::{self, ExtendedDn, PagedResults};
use portolan_ldap::{Attribute, Filter, Scope, SearchRequest, SearchResultEntry, ValueRange};
use portolan_model::{DistinguishedName, DnsName};
use portolan_net::ldap::LdapConnection;
use portolan_store::connector_space::{ConnectorSpace, FullImport, ImportCounts};
use portolan_sync::{AttributeValues, ForestObject, ObjectKind, WANTED_ATTRIBUTES};

use crate::report::Failure;

/// Entries of a page. Windows gives at most 1,000 (MaxPageSize), whatever is asked.
const PAGE_ENTRIES: u32 = 1_000;

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
    while let Some(wanted) = page.take() {
        let request = SearchRequest::new(&base, Scope::Subtree, filter.clone())
            .select(WANTED_ATTRIBUTES.iter().copied());
        let controls = vec![wanted.control(), control::extended_dn()];
        let mut unfinished = Vec::new();
        let mut stream = connection.search(request, controls).await?;
        while let Some(entry) = stream.next().await? {
            match missing_members(&entry) {
                // The connection serves one search at a time, so the rest is read after the page.
                Some(range) => unfinished.push((entry, range)),
                None => take(&entry, Vec::new(), &mut import, &mut imported).await?,
            }
        }
        page = next_page(stream.end().map(|end| end.controls.as_slice()))?;
        for (entry, range) in unfinished {
            let members = remaining_members(connection, &entry, range).await?;
            take(&entry, members, &mut import, &mut imported).await?;
        }
    }
    let ImportCounts { removed, .. } = import.finish().await?;
    imported.removed = removed;
    Ok(imported)
}

/// Takes one entry into the space, with member values that were read beside it.
async fn take(
    entry: &SearchResultEntry,
    more_members: AttributeValues,
    import: &mut FullImport,
    imported: &mut Imported,
) -> Result<(), Failure> {
    let Some(object) = object(entry, &more_members)? else { return Ok(()) };
    match object.kind {
        ObjectKind::User | ObjectKind::InetOrgPerson => imported.users += 1,
        ObjectKind::Group => imported.groups += 1,
        ObjectKind::OrganizationalUnit => imported.organizational_units += 1,
    }
    imported.members += object.members.len() as u64;
    Ok(import.put(&object).await?)
}

/// An entry whose names are extended ones as an object of the forest, which holds references by
/// objectGUID; `None` for a class that is not imported.
fn object(
    entry: &SearchResultEntry,
    more_members: &[Vec<u8>],
) -> Result<Option<ForestObject>, Failure> {
    let unusable = |error: &(dyn std::error::Error + 'static)| {
        Failure::because("the directory sent an entry that cannot be taken", error)
    };
    let name = ExtendedDn::parse(entry.dn()).map_err(|error| unusable(&error))?;
    let members = entry
        .named("member")
        .flat_map(Attribute::values)
        .chain(more_members.iter().map(Vec::as_slice))
        .map(|value| {
            let text = std::str::from_utf8(value).map_err(|error| unusable(&error))?;
            Ok(ExtendedDn::parse(text).map_err(|error| unusable(&error))?.guid)
        })
        .collect::<Result<_, Failure>>()?;
    let attributes = entry
        .attributes()
        .filter(|attribute| !attribute.name().eq_ignore_ascii_case("member"))
        .map(|attribute| {
            (attribute.name().to_owned(), attribute.values().map(<[u8]>::to_vec).collect())
        });
    ForestObject::from_entry(name.dn, members, attributes).map_err(|error| unusable(&error))
}

/// The range of members that an entry leaves out; `None` when it has them all.
fn missing_members(entry: &SearchResultEntry) -> Option<ValueRange> {
    entry.named("member").find_map(Attribute::range)?.next()
}

/// Reads the members behind the first range, range by range ([MS-ADTS] 3.1.1.3.1.3.3).
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
async fn remaining_members(
    connection: &mut LdapConnection,
    entry: &SearchResultEntry,
    first: ValueRange,
) -> Result<AttributeValues, Failure> {
    let any: Filter = "(objectClass=*)"
        .parse()
        .map_err(|error| Failure::because("the range's filter is not legal", &error))?;
    let name = ExtendedDn::parse(entry.dn())
        .map_err(|error| Failure::because("the directory sent a name without its GUID", &error))?;
    let base = format!("<GUID={}>", name.guid);
    let mut members = Vec::new();
    let mut wanted = Some(first);
    while let Some(range) = wanted.take() {
        let request =
            SearchRequest::new(&base, Scope::Base, any.clone()).select([format!("member;{range}")]);
        let mut stream = connection.search(request, vec![control::extended_dn()]).await?;
        while let Some(part) = stream.next().await? {
            for attribute in part.named("member") {
                members.extend(attribute.values().map(<[u8]>::to_vec));
                wanted = attribute.range().and_then(ValueRange::next);
            }
        }
    }
    Ok(members)
}

/// The page after the one that ended with these controls.
fn next_page(controls: Option<&[portolan_ldap::Control]>) -> Result<Option<PagedResults>, Failure> {
    let reply: Option<PagedResults> = control::find(controls.unwrap_or_default())
        .map_err(|error| Failure::because("the directory's page control is not legal", &error))?;
    // Without the control in the reply the directory gave everything at once.
    Ok(reply
        .filter(|reply| !reply.cookie.is_empty())
        .map(|reply| PagedResults { size: PAGE_ENTRIES, cookie: reply.cookie }))
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
    fn the_last_page_has_an_empty_cookie() {
        let reply =
            |cookie: &[u8]| vec![PagedResults { size: 0, cookie: cookie.to_vec() }.control()];
        assert!(next_page(Some(&reply(b"more"))).unwrap().is_some());
        assert!(next_page(Some(&reply(b""))).unwrap().is_none());
        assert!(next_page(None).unwrap().is_none());
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

    #[test]
    fn members_are_held_by_guid_those_of_later_ranges_too() {
        let member = "<GUID=6a20fa50-ff39-499c-a70a-5975c0e93995>;<SID=S-1-5-21-1>;CN=b,DC=x";
        let object = object(&group(&[member.as_bytes()]), &[member.into()]).unwrap().unwrap();
        let guid = "6a20fa50-ff39-499c-a70a-5975c0e93995".parse().unwrap();
        assert_eq!(object.members, [guid, guid]);
        assert_eq!(object.dn.as_str(), "CN=Staff,DC=corp,DC=example");
    }

    #[test]
    fn a_member_without_its_guid_is_an_error_and_not_left_out() {
        assert!(object(&group(&[b"CN=without,DC=corp,DC=example"]), &[]).is_err());
    }

    #[test]
    fn the_filter_is_legal() {
        assert_eq!(FILTER.parse::<Filter>().unwrap().to_string(), FILTER);
    }
}
