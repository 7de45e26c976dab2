//! A piece of changes: it is read while nobody waits for it, and then written at once, together with the
//! cursor behind it.
//!
//! A directory may be slow, and the state has one writer. So what a piece needs is read before the
//! transaction begins: what is told, the objects of which too little is told, the places above. What the
//! state has by then is only seen inside the transaction; should something be missing there, nothing of it is
//! kept, what is missing is read, and it begins anew.

use std::collections::BTreeSet;

use portolan_model::Guid;
use portolan_store::state::{Changed, Changes};

use super::alone::Alone;
use super::directory::Directory;
use super::entries::{Change, ReferenceChange, Told};
use super::{Staging, departed};
use crate::report::Failure;

/// Octets of entries that a piece may have.
pub(super) const OCTETS_MAX: usize = 128 * 1024 * 1024;
/// Entries that a piece may have: what one answer of DirSync tells goes together.
pub(super) const ENTRIES_MAX: usize = 200_000;
/// Places above one another, from an object to the domain's root.
const DEPTH_MAX: usize = 128;
/// Beginnings of a transaction: another domain of the forest may be written meanwhile.
const BEGINNINGS_MAX: usize = 16;

/// What is to be written together.
#[derive(Debug, Default)]
pub(super) struct Piece {
    told: Vec<Told>,
    /// Objects that are read alone, behind what is told.
    objects: Vec<Guid>,
    alone: Alone,
    octets: usize,
}

/// A piece that is above the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMuch;

impl Piece {
    /// Adds what is told of an object, by an entry of so many octets.
    pub(super) fn tell(&mut self, told: Told, octets: usize) {
        self.told.push(told);
        self.octets += octets;
    }

    /// Whether it is above a number of entries, or above the octets.
    pub(super) fn is_above(&self, entries_max: usize) -> bool {
        self.told.len() + self.alone.len() > entries_max
            || self.octets + self.alone.octets() > OCTETS_MAX
    }

    /// Adds objects, and reads them alone.
    pub(super) async fn add(
        &mut self,
        directory: &mut impl Directory,
        staging: &Staging<'_>,
        objects: &[Guid],
    ) -> Result<(), Failure> {
        self.objects.extend_from_slice(objects);
        self.alone.read(directory, staging.reading, staging.domain, objects).await
    }

    /// Reads what is needed besides what is told, as far as it can be known without a transaction.
    ///
    /// # Errors
    /// When the directory or the state fails. The value is [`TooMuch`] when it comes to more than a piece may
    /// have.
    pub(super) async fn complete(
        &mut self,
        directory: &mut impl Directory,
        staging: &Staging<'_>,
        places: bool,
    ) -> Result<Result<(), TooMuch>, Failure> {
        let forest = staging.partition.forest;
        let named: Vec<_> = self.told.iter().filter_map(needs_the_state).collect();
        let staged = staging.state.staged_among(forest, &named).await?;
        let unknown = self.told.iter().filter_map(|told| match told {
            Told::Restored(guid) => Some(*guid),
            Told::Changed(change) => (!staged.contains(&change.guid)).then_some(change.guid),
            Told::New(guid, None) => staged.contains(guid).then_some(*guid),
            Told::Deleted(_) | Told::Moved(..) | Told::New(_, Some(_)) => None,
        });
        let unknown: Vec<_> = unknown.collect();
        for unknown in unknown.chunks(super::alone::OBJECTS_MAX) {
            self.alone.read(directory, staging.reading, staging.domain, unknown).await?;
            if self.is_above(ENTRIES_MAX) {
                return Ok(Err(TooMuch));
            }
        }
        if places {
            self.read_above(directory, staging).await?;
        }
        Ok(if self.is_above(ENTRIES_MAX) { Err(TooMuch) } else { Ok(()) })
    }

    /// Reads what stands above others and is not there, up to the domain's root: its name is in theirs.
    pub(super) async fn read_above(
        &mut self,
        directory: &mut impl Directory,
        staging: &Staging<'_>,
    ) -> Result<(), Failure> {
        let (state, of) = (staging.state, staging.partition);
        let told: BTreeSet<Guid> = self.told.iter().filter_map(is_new).collect();
        let mut above: BTreeSet<Guid> = state.orphaned_by(of).await?.into_iter().collect();
        above.extend(self.told.iter().filter_map(parent));
        for _ in 0..DEPTH_MAX {
            above.extend(self.alone.above());
            above.retain(|guid| !told.contains(guid) && !self.alone.has_read(guid));
            let wanted: Vec<_> = above.iter().copied().collect();
            let staged = state.staged_among(of.forest, &wanted).await?;
            let wanted: Vec<_> = wanted.into_iter().filter(|guid| !staged.contains(guid)).collect();
            if wanted.is_empty() {
                break;
            }
            self.alone.read(directory, staging.reading, staging.domain, &wanted).await?;
        }
        Ok(())
    }

    /// Writes it, and the cursor behind it. With `places`, what stands above others and is missing is put
    /// there.
    ///
    /// # Errors
    /// When the directory or the state fails, or others do not cease to change what it is about.
    pub(super) async fn write(
        mut self,
        directory: &mut impl Directory,
        staging: &Staging<'_>,
        cursor: &[u8],
        places: bool,
    ) -> Result<Changed, Failure> {
        for _ in 0..BEGINNINGS_MAX {
            let mut changes = staging.begin_changes().await?;
            let missing = self.apply(staging, &mut changes, places).await?;
            if missing.is_empty() {
                return Ok(changes.finish(cursor).await?);
            }
            // Given back before the directory is asked.
            drop(changes);
            self.alone.read(directory, staging.reading, staging.domain, &missing).await?;
        }
        Err(Failure::new("the forest's objects change while their changes are written")
            .with_hint("the next import goes on from where this one was"))
    }

    /// Applies it; what has to be read first, if something has.
    async fn apply(
        &self,
        staging: &Staging<'_>,
        changes: &mut Changes,
        places: bool,
    ) -> Result<Vec<Guid>, Failure> {
        let mut unknown = Vec::new();
        for told in &self.told {
            apply(staging, told, changes, &mut unknown).await?;
        }
        unknown.extend_from_slice(&self.objects);
        let missing: Vec<_> =
            unknown.iter().copied().filter(|guid| !self.alone.has_read(guid)).collect();
        if !missing.is_empty() {
            return Ok(missing);
        }
        for guid in &unknown {
            self.alone.put(changes, guid).await?;
        }
        if places { self.put_above(changes).await } else { Ok(Vec::new()) }
    }

    /// Puts what stands above others and is not there; what has to be read first.
    async fn put_above(&self, changes: &mut Changes) -> Result<Vec<Guid>, Failure> {
        let mut tried = BTreeSet::new();
        for _ in 0..DEPTH_MAX {
            let orphaned_by = changes.orphaned_by().await?;
            let missing: Vec<_> =
                orphaned_by.iter().copied().filter(|guid| !self.alone.has_read(guid)).collect();
            if !missing.is_empty() {
                return Ok(missing);
            }
            let mut put = false;
            for guid in orphaned_by.iter().filter(|guid| tried.insert(**guid)) {
                put |= self.alone.put_above(changes, guid).await?;
            }
            if !put {
                break;
            }
        }
        Ok(Vec::new())
    }
}

/// The object whose being there decides what is done with what is told.
fn needs_the_state(told: &Told) -> Option<Guid> {
    match told {
        Told::Changed(change) => Some(change.guid),
        Told::New(guid, None) => Some(*guid),
        Told::Deleted(_) | Told::Restored(_) | Told::Moved(..) | Told::New(_, Some(_)) => None,
    }
}

/// The object that is there once it was told.
fn is_new(told: &Told) -> Option<Guid> {
    match told {
        Told::New(guid, Some(_)) => Some(*guid),
        _ => None,
    }
}

/// The object above the one of which is told.
fn parent(told: &Told) -> Option<Guid> {
    match told {
        Told::New(_, Some(object)) => object.parent,
        Told::Changed(change) => change.parent,
        _ => None,
    }
}

/// Applies what is told of one object; one that has to be read alone is put among `unknown`.
async fn apply(
    staging: &Staging<'_>,
    told: &Told,
    changes: &mut Changes,
    unknown: &mut Vec<Guid>,
) -> Result<(), Failure> {
    match told {
        Told::Moved(guid, dn) => departed::left(staging, guid, dn, changes).await?,
        // Of before it moved: what it is now, its new domain tells.
        Told::Changed(change) if departed::is_elsewhere(staging, &change.guid, changes).await? => {}
        Told::Deleted(guid) => changes.remove(guid).await?,
        Told::Restored(guid) => {
            // It may not be a member any more of the groups that it was in.
            changes.remove(guid).await?;
            unknown.push(*guid);
        }
        Told::New(guid, None) => {
            // It is of another class now, or stands above others.
            if changes.get(guid).await?.is_some() {
                unknown.push(*guid);
            }
        }
        Told::New(_, Some(object)) => changes.put(object, true).await?,
        Told::Changed(change) => changed(change, changes, unknown).await?,
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
