//! The incremental import: what changed since the cursor, applied to the objects that are there.
//!
//! By DirSync ([MS-ADTS] 3.1.1.3.4.1.3) a controller tells each changed object's changed attributes,
//! deletions among them. Where the account lacks that right, the objects that the controller changed
//! last are read whole ([`by_usn`]). Either says nothing of what follows from a change elsewhere: the
//! names below a renamed object, the groups of a deleted member. The space works those out.
//!
//! [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts

use std::collections::BTreeMap;

use portolan_ldap::control::{self, DirSync, DirSyncFlags, DirSyncReply};
use portolan_ldap::{Control, ResultCode, Scope, SearchRequest};
use portolan_model::Guid;

use super::cursor::{Controller, Cursor, From, deleted_objects};
use super::directory::{Directory, Entries as _, SearchError};
use super::entries::{self, Told};
use super::full::pace;
use super::piece::{self, Piece, TooMuch};
use super::search::{self, Pace};
use super::vector::Vector;
use super::{Imported, Staging, alone, departed, domain_base};
use crate::report::Failure;

/// How DirSync is asked: of a group the members that came and went.
pub(super) const FLAGS: DirSyncFlags = DirSyncFlags::INCREMENTAL_VALUES;
/// What is asked for besides what objects have: whether they are there, and where they moved to.
const BESIDES: [&str; 2] = ["isDeleted", entries::PROXIED];
/// Answers of one import: Windows gives a thousand objects in each, or a minute.
const ANSWERS_MAX: usize = 100_000;
/// Entries behind which a piece of what is found by uSNChanged is written.
const PIECE_ENTRIES: usize = if cfg!(test) { 150 } else { 10_000 };

/// What an import by DirSync came to.
pub(super) enum Outcome {
    /// It is complete.
    Done,
    /// It does not go on from the cursor, for this reason: everything is to be read.
    Everything(String),
}

impl Outcome {
    fn too_much() -> Self {
        Self::Everything("more changed at once than is held before it is written".to_owned())
    }
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
        From::Everything | From::Asked => {
            // What was read in full is all that this account can see; only the places are missing.
            let (mut piece, mut cursor) = (Piece::default(), cursor);
            piece.read_above(directory, staging).await?;
            cursor.cover(controller.told.vector.clone());
            let _ = piece.write(directory, staging, &cursor.write()?, true).await?;
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

/// Each answer is written in a transaction of its own, with the cookie behind it.
async fn by_cookie(
    directory: &mut impl Directory,
    staging: &Staging<'_>,
    controller: &Controller,
    mut cursor: Cursor,
    imported: &mut Imported,
) -> Result<Outcome, Failure> {
    for _ in 0..ANSWERS_MAX {
        let From::DirSync(cookie) = &cursor.from else { return Ok(Outcome::Done) };
        let octets_max = u32::try_from(piece::OCTETS_MAX).unwrap_or(u32::MAX);
        let asked = DirSync { flags: FLAGS, octets_max, cookie: cookie.clone() };
        let (mut piece, reply, is_news) = match answer(directory, staging, asked).await {
            Err(SearchError::Refused(code, failure)) if refuses_cookie(code) => {
                let why = format!("the directory does not take the cookie: {}", failure.text());
                return Ok(Outcome::Everything(why));
            }
            answered => match answered? {
                Ok(answered) => answered,
                Err(TooMuch) => return Ok(Outcome::too_much()),
            },
        };
        if reply.more && reply.cookie == *cookie {
            return Err(Failure::new("the directory names the same changes again and again"));
        }
        let is_last = !reply.more;
        if piece.complete(directory, staging, is_last).await? == Err(TooMuch) {
            return Ok(Outcome::too_much());
        }
        cursor = cursor.followed_by(From::DirSync(reply.cookie), controller);
        if is_news || cursor.known().is_empty() {
            cursor.learn(Vector::of(directory, staging.domain, controller).await?.vector);
        }
        if is_last {
            cursor.cover(controller.told.vector.clone());
        }
        let changed = piece.write(directory, staging, &cursor.write()?, is_last).await?;
        imported.count(changed);
        if is_last {
            return Ok(Outcome::Done);
        }
    }
    Err(Failure::new("the directory does not come to an end of its changes"))
}

/// Asks once, and reads what the answer tells: that, where the next changes begin, and whether there were any.
async fn answer(
    directory: &mut impl Directory,
    staging: &Staging<'_>,
    asked: DirSync,
) -> Result<Result<(Piece, DirSyncReply, bool), TooMuch>, SearchError> {
    let everything = search::filter("(objectClass=*)")?;
    let request = SearchRequest::new(domain_base(staging.domain), Scope::Subtree, everything)
        .select(staging.reading.wanted().iter().map(String::as_str).chain(BESIDES));
    let controls = vec![asked.control(), control::extended_dn(), control::show_deleted()];
    let mut found = directory.search(request, controls).await?;
    let (mut piece, mut is_news) = (Piece::default(), false);
    while let Some(entry) = found.next().await? {
        is_news = true;
        piece.tell(staging.reading.told(&entry)?, entry.octets_held());
        if piece.is_above(piece::ENTRIES_MAX) {
            return Ok(Err(TooMuch));
        }
    }
    let reply = reply(found.controls())?;
    Ok(Ok((piece, reply, is_news)))
}

/// Reads the objects that this controller changed after a number, and the deleted ones among them, in the
/// order of their changes: piece by piece, each with the number of its last change behind it. A group's
/// members are among what is read of it; that it lost a deleted one is not.
async fn by_usn(
    directory: &mut impl Directory,
    staging: &Staging<'_>,
    controller: &Controller,
    cursor: &Cursor,
    after: i64,
    imported: &mut Imported,
) -> Result<(), Failure> {
    let changed = changed_since(directory, staging, controller, after).await?;
    let mut rest = changed.as_slice();
    loop {
        let mut piece = Piece::default();
        while !rest.is_empty() && !piece.is_above(PIECE_ENTRIES) {
            let (few, later) = rest.split_at(alone::OBJECTS_MAX.min(rest.len()));
            // What was read is never cut between changes of one number.
            let last = few.last().map(|(usn, ..)| *usn);
            let same = later.iter().take_while(|(usn, ..)| Some(*usn) == last).count();
            let (few, later) = rest.split_at(few.len() + same);
            rest = later;
            let mut touched = Vec::new();
            for (_, guid, what) in few {
                match what {
                    What::Touched => touched.push(*guid),
                    What::Gone => piece.tell(Told::Deleted(*guid), 0),
                    What::Moved(dn) => piece.tell(Told::Moved(*guid, dn.clone()), dn.len()),
                }
            }
            piece.add(directory, staging, &touched).await?;
        }
        // What changed behind the number that was asked for at first is told again.
        let next = rest.first().map_or(controller.usn, |(usn, ..)| controller.usn.min(usn - 1));
        let from = From::Usn { service: controller.service.clone(), usn: next };
        let mut cursor = cursor.followed_by(from, controller);
        if !changed.is_empty() || cursor.known().is_empty() {
            cursor.learn(Vector::of(directory, staging.domain, controller).await?.vector);
        }
        let is_last = rest.is_empty();
        if is_last {
            cursor.cover(controller.told.vector.clone());
        }
        let written = cursor.write()?;
        if is_last {
            piece.read_above(directory, staging).await?;
        }
        imported.count(piece.write(directory, staging, &written, is_last).await?);
        if is_last {
            return Ok(());
        }
    }
}

/// What became of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Touched,
    Gone,
    /// It moved to another domain of the forest, where this is its name.
    Moved(String),
}

/// What changed after a number, in the order of the numbers.
async fn changed_since(
    directory: &mut impl Directory,
    staging: &Staging<'_>,
    controller: &Controller,
    after: i64,
) -> Result<Vec<(i64, Guid, What)>, Failure> {
    let since = format!("(uSNChanged>={})", after + 1);
    let pace = pace(controller);
    let touched = guids(directory, pace, &domain_base(staging.domain), &since, &[]).await?;
    let deleted = format!("(&(isDeleted=TRUE){since})");
    let show = [control::show_deleted()];
    let gone = guids(directory, pace, &deleted_objects(staging.domain), &deleted, &show).await?;
    let moved = departed::moved(directory, pace, staging, &since).await?;

    let touched = touched.into_iter().filter(|(guid, _)| !gone.contains_key(guid));
    let mut changed: Vec<_> = touched.map(|(guid, usn)| (usn, guid, What::Touched)).collect();
    changed.extend(gone.iter().map(|(guid, usn)| (*usn, *guid, What::Gone)));
    changed.extend(moved.into_iter().map(|(usn, guid, dn)| (usn, guid, What::Moved(dn))));
    changed.sort_by_key(|(usn, ..)| *usn);
    Ok(changed)
}

/// The objectGUIDs of the objects that match, and the numbers of their last changes.
async fn guids(
    directory: &mut impl Directory,
    pace: Pace,
    base: &str,
    filter: &str,
    controls: &[Control],
) -> Result<BTreeMap<Guid, i64>, Failure> {
    let request = SearchRequest::new(base, Scope::Subtree, search::filter(filter)?)
        .select(["objectGUID", entries::CHANGE]);
    let controls: Vec<_> = controls.iter().cloned().chain([control::extended_dn()]).collect();
    let mut found = BTreeMap::new();
    search::all(directory, pace, &request, &controls, async |entry| {
        found.insert(entries::guid(&entry)?, entries::change(&entry)?);
        Ok(())
    })
    .await?;
    Ok(found)
}
