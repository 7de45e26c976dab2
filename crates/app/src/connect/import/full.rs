//! The full import: every user, contact, group and organizational unit of a domain, entry by entry.

use portolan_ldap::control::{self, DirSync, DirSyncReply};
use portolan_ldap::{Scope, SearchRequest};
use portolan_model::DnsName;
use portolan_store::state::{FullImport, ImportedObject};
use portolan_sync::{AttributeId, ObjectKind};

use super::cursor::{self, Controller, Cursor, From};
use super::directory::{Directory, Entries as _, SearchError};
use super::search::{self, Pace};
use super::vector::Vector;
use super::{Belief, Imported, Staging, domain_base, entries, incremental};
use crate::report::Failure;

/// What is imported.
const FILTER: &str = "(|(objectCategory=person)(objectCategory=group)\
    (objectCategory=organizationalUnit)(objectCategory=computer)\
    (objectCategory=foreignSecurityPrincipal))";
/// A filter that no object matches, which an index tells at once: no object has the GUID of zeros.
const NOTHING: &str = r"(objectGUID=\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00)";
/// Answers that a DirSync search without a match may have: each passes a thousand objects or a minute.
const ANSWERS_MAX: usize = 10_000;

/// Reads a domain in full. Nothing of the space changes unless all of it was read, and not too much
/// of what was there is missing.
pub(super) async fn read(
    directory: &mut impl Directory,
    staging: &Staging<'_>,
    controller: &Controller,
    belief: Belief,
    imported: &mut Imported,
) -> Result<Cursor, Failure> {
    let from = position(directory, staging.domain, controller, imported).await?;
    let mut cursor = Cursor::new(from, controller, staging.reading.wanted());
    let mut import = staging.state.begin_full_import(staging.partition).await?;
    let request =
        SearchRequest::new(domain_base(staging.domain), Scope::Subtree, search::filter(FILTER)?)
            .select(staging.reading.wanted().iter().map(String::as_str));
    let pace = pace(controller);
    let mut unfinished = Vec::new();
    search::all(directory, pace, &request, &[control::extended_dn()], async |entry| {
        let Some(object) = staging.reading.object(&entry)? else { return Ok(()) };
        // The connection serves one search at a time, so the rest is read after this one.
        for (name, attribute) in staging.reading.references() {
            if let Some(range) = entries::missing(&entry, name) {
                unfinished.push((object.guid, name.to_owned(), attribute, range));
            }
        }
        take(object, &mut import, imported).await
    })
    .await?;
    for (guid, name, attribute, range) in unfinished {
        let references = search::remaining_values(directory, guid, &name, range).await?;
        imported.members += references.len() as u64;
        import.add_references(&guid, attribute, &references).await?;
    }
    if imported.users == 0 {
        // A domain has users from its first day.
        return Err(Failure::new("the directory shows no user at all")
            .with_hint("let the service account read the domain's users"));
    }
    let losses = import.losses().await?;
    losses.check_read(belief.missing).map_err(|error| Failure::from(error).lasting())?;
    // Behind the read: what was written meanwhile may be among it.
    cursor.learn(Vector::of(directory, staging.domain, controller).await?.vector);
    let written = cursor.write()?;
    let changed = if staging.others.is_empty() {
        import.finish(&written).await?
    } else {
        import.finish_among_others(&written, staging.now).await?
    };
    (imported.changed, imported.removed) = (changed.changed, changed.removed);
    Ok(cursor)
}

/// How this controller is read fastest.
pub(super) const fn pace(controller: &Controller) -> Pace {
    if controller.is_samba { Pace::Whole } else { Pace::Paged }
}

/// Where the changes begin that the read may miss: taken before it.
async fn position(
    directory: &mut impl Directory,
    domain: &DnsName,
    controller: &Controller,
    imported: &mut Imported,
) -> Result<From, Failure> {
    if !cursor::sees_deletions(directory, domain).await? {
        imported.notes.push(
            "the account does not see deleted objects: each run reads the forest in full"
                .to_owned(),
        );
        return Ok(From::Everything);
    }
    match cookie(directory, domain).await {
        Ok(cookie) => Ok(From::DirSync(cookie)),
        Err(SearchError::Refused(code, _)) if incremental::lacks_right(code) => {
            imported.notes.push(
                "the account may not ask for directory changes (DS-Replication-Get-Changes): they are found by uSNChanged".to_owned(),
            );
            Ok(From::Usn { service: controller.service.clone(), usn: controller.usn })
        }
        Err(error) => Err(error.into()),
    }
}

/// The cookie of all that there is, without any of it.
async fn cookie(directory: &mut impl Directory, domain: &DnsName) -> Result<Vec<u8>, SearchError> {
    let mut cookie = Vec::new();
    for _ in 0..ANSWERS_MAX {
        let request =
            SearchRequest::new(domain_base(domain), Scope::Subtree, search::filter(NOTHING)?)
                .select(["objectGUID"]);
        let asked = DirSync { flags: incremental::FLAGS, octets_max: u32::MAX, cookie };
        let mut entries = directory.search(request, vec![asked.control()]).await?;
        while entries.next().await?.is_some() {}
        let DirSyncReply { more, cookie: next } = incremental::reply(entries.controls())?;
        if !more {
            return Ok(next);
        }
        cookie = next;
    }
    Err(Failure::new("the directory does not come to an end of its changes").into())
}

/// Takes one object into the space.
async fn take(
    object: ImportedObject,
    import: &mut FullImport,
    imported: &mut Imported,
) -> Result<(), Failure> {
    match object.kind {
        ObjectKind::User | ObjectKind::InetOrgPerson => imported.users += 1,
        ObjectKind::Group => imported.groups += 1,
        ObjectKind::Contact => imported.contacts += 1,
        ObjectKind::Computer => imported.computers += 1,
        ObjectKind::ForeignSecurityPrincipal => imported.foreign_principals += 1,
        ObjectKind::OrganizationalUnit | ObjectKind::Container => {
            imported.organizational_units += 1;
        }
    }
    let references = object.references.iter().map(|(_, to): &(AttributeId, _)| to.len() as u64);
    imported.members += references.sum::<u64>();
    Ok(import.put(object).await?)
}

#[cfg(test)]
mod tests {
    use portolan_ldap::Filter;

    use super::*;

    #[test]
    fn the_filters_are_legal() {
        for filter in [FILTER, NOTHING] {
            assert_eq!(filter.parse::<Filter>().unwrap().to_string(), filter);
        }
    }
}
