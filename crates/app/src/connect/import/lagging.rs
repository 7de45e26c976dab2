//! Controllers that have not seen yet what was read of another one.
//!
//! What such a controller lacks is not gone, and what it has may be older than what is staged: read in full, it
//! would take objects away and values back. So before a full read, and before an object is read alone, what the
//! controller has ([`Vector`]) is held against what was read so far. One that lags behind is not read: another
//! controller of the domain is, or else none in this run, until replication caught up. What no controller has
//! for long, or what somebody says is gone, is believed to be.
//!
//! Changes by a cookie need none of this: the cookie names what is known of each database, and a controller
//! tells what is beyond it alone.

use super::cursor::{Controller, Cursor};
use super::directory::Directory;
use super::vector::Vector;
use super::{Imported, Staging};
use crate::report::Failure;

/// For how long a domain waits for what its controllers lack: more than the three hours that replication
/// between sites takes at most, unless somebody changed it.
pub(super) const WAIT_SECONDS_MAX: i64 = 4 * 60 * 60;
/// What is told of a controller that cannot be judged.
pub(super) const UNTOLD: &str = "the domain controller does not say what it has of others' changes \
     (replUpToDateVector): whether it lags behind is not known";
/// What a controller lacks that this server read before.
const READ_HERE: &str = "that were read from another one";

/// What is believed of a read that does not show all that was there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) struct Belief {
    /// Objects of a kind that may be missing, above what goes without a word.
    pub(in super::super) missing: usize,
    /// Whether a controller that lags behind is believed.
    pub(in super::super) lagging: bool,
    /// Whether there is no other controller: what this one lost of its own changes, nobody has.
    pub(in super::super) alone: bool,
}

impl Belief {
    /// What somebody says who lets so many objects go, because they are gone.
    pub(in super::super) const fn allowing(missing: usize) -> Self {
        Self { missing, lagging: missing > 0, alone: false }
    }
}

/// Refuses a full read from a controller that lags behind what was read before. What is believed to be gone is given.
///
/// # Errors
/// When it does, by a failure that another controller may not have; when the directory or the state fails.
pub(super) async fn check(
    directory: &mut impl Directory,
    staging: &Staging<'_>,
    (controller, belief): (&Controller, Belief),
    cursor: Cursor,
    imported: &mut Imported,
) -> Result<Vector, Failure> {
    let told = Vector::of(directory, staging.domain, controller).await?;
    let lacking = cursor.known().without(&told.vector);
    let is_own = |database: &str| cursor.is_database_of(controller, database);
    let is_lost = belief.alone && lacking.databases().all(is_own);
    if lacking.is_empty() || belief.lagging || is_lost {
        return Ok(lacking);
    }
    if !told.of_others {
        imported.notes.push(UNTOLD.to_owned());
        return Ok(Vector::default());
    }
    let now = staging.now;
    let since = cursor.waits_since().unwrap_or(now);
    let failure = behind(controller, READ_HERE);
    if now.saturating_sub(since) >= WAIT_SECONDS_MAX {
        imported.notes.push(given_up(&failure));
        return Ok(lacking);
    }
    if cursor.waits_since().is_none() {
        let written = cursor.waiting_since(now).write()?;
        let _ = staging.begin_changes().await?.finish(&written).await?;
    }
    Err(failure)
}

/// Refuses to read one object from a controller that lags behind what was read before: it may not be there
/// yet, or be older than it is staged.
///
/// # Errors
/// When it does; when the directory fails.
pub(super) async fn check_one(
    directory: &mut impl Directory,
    staging: &Staging<'_>,
    cursor: &Cursor,
) -> Result<(), Failure> {
    let controller = Controller::ask(directory, staging.domain).await?;
    let told = Vector::of(directory, staging.domain, &controller).await?;
    let is_behind = cursor.known().beyond(&told.vector).next().is_some();
    if is_behind && told.of_others { Err(behind(&controller, READ_HERE)) } else { Ok(()) }
}

/// What is told of what no controller has for so long.
pub(super) fn given_up(failure: &Failure) -> String {
    let hours = WAIT_SECONDS_MAX / 3_600;
    format!("{}, for {hours} hours: they are believed to be gone", failure.text())
}

/// The failure of a controller that lags behind, by what it lacks.
pub(super) fn behind(controller: &Controller, what: &str) -> Failure {
    // Its settings stand below its own object: CN=NTDS Settings,CN=DC1,...
    let name = controller.service.split(',').nth(1).unwrap_or(&controller.service);
    let name = name.split_once('=').map_or(name, |(_, name)| name);
    let text = format!("domain controller {name} lacks changes {what}");
    Failure::new(text).elsewhere().with_hint(
        "nothing is read from it until replication brings them, for four hours at most \
         (`repadmin /showrepl` or `samba-tool drs showrepl` says what is wrong); if they are lost for good, \
         `portolan connect run --allow-deletions NUMBER` believes it now",
    )
}
