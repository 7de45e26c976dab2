//! The incremental import: what changed since the cursor, applied to the objects that are there.
//!
//! By DirSync ([MS-ADTS] 3.1.1.3.4.1.3) a controller tells each changed object's changed attributes,
//! deletions among them. Where the account lacks that right, the objects that the controller changed
//! last are read whole ([`by_usn`]). Either says nothing of what follows from a change elsewhere: the
//! names below a renamed object, the groups of a deleted member. The space works those out.
//!
//! [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts

use std::collections::BTreeSet;

use portolan_ldap::control::{self, DirSync, DirSyncFlags, DirSyncReply};
use portolan_ldap::{Control, ResultCode, Scope, SearchRequest};
use portolan_model::Guid;
use portolan_store::state::Changes;

use super::cursor::{Controller, Cursor, From, deleted_objects};
use super::directory::{Directory, Entries as _, SearchError};
use super::entries::{self, Change, ReferenceChange, Told};
use super::full::pace;
use super::search::{self, Pace};
use super::{Imported, Staging, alone, departed, domain_base};
use crate::report::Failure;

/// How DirSync is asked: of a group the members that came and went.
pub(super) const FLAGS: DirSyncFlags = DirSyncFlags::INCREMENTAL_VALUES;
/// What is asked for besides what objects have: whether they are there, and where they moved to.
const BESIDES: [&str; 2] = ["isDeleted", entries::PROXIED];
/// Answers of one import: Windows gives a thousand objects in each, or a minute.
const ANSWERS_MAX: usize = 100_000;

/// What an import by DirSync came to.
pub(super) enum Outcome {
    /// It is complete.
    Done,
    /// The directory does not take the cursor, for this reason: everything is to be read.
    CursorRefused(String),
}

/// Applies what changed since a cursor.
pub(super) async fn read(
    directory: &mut impl Directory,
    staging: &Staging<'_>,
    controller: &Controller,
    cursor: Cursor,
    imported: &mut Imported,
) -> Result<Outcome, Failure> {
    match &cursor.from {
        From::DirSync(_) => by_cookie(directory, staging, controller, cursor, imported).await,
        From::Usn { usn, .. } => {
            let after = *usn;
            by_usn(directory, staging, controller, &cursor, after, imported).await?;
            Ok(Outcome::Done)
        }
        From::Everything => {
            // What was read in full is all that this account can see; only the places are missing.
            let mut changes = staging.begin_changes().await?;
            alone::read_above(directory, staging.reading, staging.domain, &mut changes).await?;
            let _ = changes.finish(&cursor.write()?).await?;
            Ok(Outcome::Done)
        }
    }
}

/// Whether a refusal of DirSync means that the account lacks its right.
pub(super) fn lacks_right(code: ResultCode) -> bool {
    code == ResultCode::InsufficientAccessRights
}

/// Whether a refusal of a search with a cookie speaks of the cookie, and not of the server's state.
fn refuses_cookie(code: ResultCode) -> bool {
    !matches!(
        code,
        ResultCode::Busy
            | ResultCode::Unavailable
            | ResultCode::TimeLimitExceeded
            | ResultCode::AdminLimitExceeded
            | ResultCode::SizeLimitExceeded
    )
}

/// The reply to a DirSync search.
pub(super) fn reply(controls: &[Control]) -> Result<DirSyncReply, Failure> {
    let reply = control::find(controls).map_err(|error| {
        Failure::because("the directory's DirSync control is not legal", &error)
    })?;
    reply.ok_or_else(|| Failure::new("the directory sends no cookie for its changes"))
}

/// Each answer is applied in a transaction of its own, with the cookie behind it.
async fn by_cookie(
    directory: &mut impl Directory,
    staging: &Staging<'_>,
    controller: &Controller,
    mut cursor: Cursor,
    imported: &mut Imported,
) -> Result<Outcome, Failure> {
    for _ in 0..ANSWERS_MAX {
        let From::DirSync(cookie) = &cursor.from else { return Ok(Outcome::Done) };
        let asked = DirSync { flags: FLAGS, octets_max: u32::MAX, cookie: cookie.clone() };
        let applied = answer(directory, staging, asked).await;
        let (mut changes, reply) = match applied {
            Err(SearchError::Refused(code, failure)) if refuses_cookie(code) => {
                return Ok(Outcome::CursorRefused(failure.text().to_owned()));
            }
            applied => applied?,
        };
        if reply.more && reply.cookie == *cookie {
            return Err(Failure::new("the directory names the same changes again and again"));
        }
        if !reply.more {
            alone::read_above(directory, staging.reading, staging.domain, &mut changes).await?;
        }
        cursor = cursor.followed_by(From::DirSync(reply.cookie), controller);
        let changed = changes.finish(&cursor.write()?).await?;
        imported.changed += changed.changed;
        imported.removed += changed.removed;
        if !reply.more {
            return Ok(Outcome::Done);
        }
    }
    Err(Failure::new("the directory does not come to an end of its changes"))
}

/// Asks once, and applies the answer.
async fn answer(
    directory: &mut impl Directory,
    staging: &Staging<'_>,
    asked: DirSync,
) -> Result<(Changes, DirSyncReply), SearchError> {
    let everything = search::filter("(objectClass=*)")?;
    let request = SearchRequest::new(domain_base(staging.domain), Scope::Subtree, everything)
        .select(staging.reading.wanted().iter().map(String::as_str).chain(BESIDES));
    let controls = vec![asked.control(), control::extended_dn(), control::show_deleted()];
    let mut found = directory.search(request, controls).await?;
    // The space is not held while the directory thinks.
    let mut entry = found.next().await?;
    let mut changes = staging.begin_changes().await?;
    let mut unknown = Vec::new();
    while let Some(told) = entry {
        apply(staging, staging.reading.told(&told)?, &mut changes, &mut unknown).await?;
        entry = found.next().await?;
    }
    let reply = reply(found.controls())?;
    drop(found);
    alone::read(directory, staging.reading, staging.domain, &mut changes, &unknown).await?;
    Ok((changes, reply))
}

/// Applies what a reply says of one object; one that has to be read alone is put among `unknown`.
async fn apply(
    staging: &Staging<'_>,
    told: Told,
    changes: &mut Changes,
    unknown: &mut Vec<Guid>,
) -> Result<(), Failure> {
    match told {
        Told::Moved(guid, dn) => departed::left(staging, &guid, &dn, changes).await?,
        // Of before it moved: what it is now, its new domain tells.
        Told::Changed(change) if departed::is_elsewhere(staging, &change.guid, changes).await? => {}
        Told::Deleted(guid) => changes.remove(&guid).await?,
        Told::Restored(guid) => {
            // It may not be a member any more of the groups that it was in.
            changes.remove(&guid).await?;
            unknown.push(guid);
        }
        Told::New(guid, object) => {
            let before = changes.get(&guid).await?;
            match object {
                Some(object) => changes.put(&object, true).await?,
                // It is of another class now, or stands above others.
                None if before.is_some() => unknown.push(guid),
                None => {}
            }
        }
        Told::Changed(change) => changed(&change, changes, unknown).await?,
    }
    Ok(())
}

async fn changed(
    change: &Change,
    changes: &mut Changes,
    unknown: &mut Vec<Guid>,
) -> Result<(), Failure> {
    let Some(before) = changes.get(&change.guid).await? else {
        unknown.push(change.guid);
        return Ok(());
    };
    let (object, renamed) = change.apply(before);
    changes.put(&object, renamed).await?;
    for (attribute, references) in &change.references {
        if let ReferenceChange::Some { added, removed } = references {
            changes.change_references(&change.guid, *attribute, added, removed).await?;
        }
    }
    Ok(())
}

/// Reads the objects that this controller changed after a number, and the deleted ones among them. A
/// group's members are among what is read of it; that it lost a deleted one is not.
async fn by_usn(
    directory: &mut impl Directory,
    staging: &Staging<'_>,
    controller: &Controller,
    cursor: &Cursor,
    after: i64,
    imported: &mut Imported,
) -> Result<(), Failure> {
    let since = format!("(uSNChanged>={})", after + 1);
    let pace = pace(controller);
    let touched = guids(directory, pace, &domain_base(staging.domain), &since, &[]).await?;
    let deleted = format!("(&(isDeleted=TRUE){since})");
    let show = [control::show_deleted()];
    let gone = guids(directory, pace, &deleted_objects(staging.domain), &deleted, &show).await?;

    let moved = departed::moved(directory, pace, staging, &since).await?;

    let mut changes = staging.begin_changes().await?;
    for guid in &gone {
        changes.remove(guid).await?;
    }
    for (guid, dn) in &moved {
        departed::left(staging, guid, dn, &mut changes).await?;
    }
    let touched: Vec<_> = touched.difference(&gone).copied().collect();
    alone::read(directory, staging.reading, staging.domain, &mut changes, &touched).await?;
    alone::read_above(directory, staging.reading, staging.domain, &mut changes).await?;
    let from = From::Usn { service: controller.service.clone(), usn: controller.usn };
    let changed = changes.finish(&cursor.followed_by(from, controller).write()?).await?;
    imported.changed += changed.changed;
    imported.removed += changed.removed;
    Ok(())
}

/// The objectGUIDs of the objects that match.
async fn guids(
    directory: &mut impl Directory,
    pace: Pace,
    base: &str,
    filter: &str,
    controls: &[Control],
) -> Result<BTreeSet<Guid>, Failure> {
    let request =
        SearchRequest::new(base, Scope::Subtree, search::filter(filter)?).select(["objectGUID"]);
    let controls: Vec<_> = controls.iter().cloned().chain([control::extended_dn()]).collect();
    let mut found = BTreeSet::new();
    search::all(directory, pace, &request, &controls, async |entry| {
        found.insert(entries::guid(&entry)?);
        Ok(())
    })
    .await?;
    Ok(found)
}
