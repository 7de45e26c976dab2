//! The import: the forest into the connector space, in full the first time and by its changes after
//! that, over one sealed LDAP connection, entry by entry.
//!
//! [`full`] reads everything, [`incremental`] what changed since a [`cursor`]. A cursor is taken before
//! the read that it covers and committed with it, so that nothing written meanwhile is missed.

mod alone;
mod awaited;
mod cursor;
mod departed;
pub(super) mod directory;
mod entries;
mod full;
mod incremental;
mod lagging;
mod one;
mod partitions;
mod piece;
mod reading;
pub(super) mod search;
#[cfg(test)]
pub(in crate::connect) mod tests;
mod vector;

use std::collections::BTreeMap;
use std::time::Duration;

use portolan_model::{DistinguishedName, DnsName};
use portolan_store::state::{Changed, Changes, Partition, State};

pub(super) use self::awaited::{Behind, behind, expect};
use self::cursor::{Controller, Cursor};
pub(super) use self::departed::{look_for as look_for_departed, stands_in};
use self::directory::Directory;
use self::incremental::Outcome;
pub(super) use self::lagging::Belief;
pub(super) use self::one::{One, Sought, find, read as read_one};
pub(super) use self::partitions::{Named, domains};
pub(super) use self::reading::Reading;
use crate::report::Failure;

/// What an import read.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Imported {
    /// Whether everything was read, and not what changed alone.
    pub(super) full: bool,
    /// Users that a full import read, inetOrgPersons among them.
    pub(super) users: u64,
    /// Contacts likewise.
    pub(super) contacts: u64,
    /// Groups likewise.
    pub(super) groups: u64,
    /// Organizational units likewise.
    pub(super) organizational_units: u64,
    /// Computers likewise.
    pub(super) computers: u64,
    /// Foreign security principals likewise: accounts of other forests in this one's groups.
    pub(super) foreign_principals: u64,
    /// Member values of all groups likewise.
    pub(super) members: u64,
    /// Objects that changed since the last import, or since this one began.
    pub(super) changed: u64,
    /// Objects of an earlier import that are gone.
    pub(super) removed: u64,
    /// What an administrator should know.
    pub(super) notes: Vec<String>,
    /// Forests that were not read, among several, and keep what they had.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) unread: Vec<Unread>,
    /// How long it took once the account was bound.
    #[serde(skip)]
    pub(super) took: Duration,
}

/// A forest that was not read, and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct Unread {
    /// Its domain.
    pub(super) forest: String,
    /// Why.
    pub(super) why: String,
}

impl Imported {
    /// Whether nothing had changed.
    pub(super) const fn is_quiet(&self) -> bool {
        !self.full && self.changed == 0 && self.removed == 0
    }

    /// Counts what was written.
    const fn count(&mut self, changed: Changed) {
        self.changed += changed.changed;
        self.removed += changed.removed;
    }

    /// One line for the operator.
    pub(super) fn summary(&self) -> String {
        if self.full {
            let Self { users, contacts, groups, members, .. } = self;
            let Self {
                organizational_units: units, computers, foreign_principals: foreign, ..
            } = self;
            return format!(
                "imported {users} users, {contacts} contacts, {groups} groups with {members} members, \
                 {units} organizational units, {computers} computers, {foreign} foreign security principals"
            );
        }
        format!("imported {} changes and {} deletions", self.changed, self.removed)
    }

    /// What was read of several forests, together.
    ///
    /// # Errors
    /// When none was read: the failure of the only one, or those of all.
    pub(super) fn of_all(outcomes: Vec<(DnsName, Result<Self, Failure>)>) -> Result<Self, Failure> {
        let several = outcomes.len() > 1;
        let (mut all, mut failures) = (None::<Self>, Vec::new());
        for (domain, outcome) in outcomes {
            match outcome {
                Ok(one) => match &mut all {
                    Some(all) => all.add(one),
                    none => *none = Some(one),
                },
                Err(failure) if several => failures.push((domain, failure)),
                Err(failure) => return Err(failure),
            }
        }
        let Some(mut all) = all else { return Err(together(&failures)) };
        all.unread =
            failures.iter().map(|(domain, failure)| Unread::new(domain, failure)).collect();
        Ok(all)
    }

    /// Adds what was read of another forest or domain.
    pub(super) fn add(&mut self, other: Self) {
        self.full |= other.full;
        self.users += other.users;
        self.contacts += other.contacts;
        self.groups += other.groups;
        self.organizational_units += other.organizational_units;
        self.computers += other.computers;
        self.foreign_principals += other.foreign_principals;
        self.members += other.members;
        self.changed += other.changed;
        self.removed += other.removed;
        self.notes.extend(other.notes);
        self.took = self.took.max(other.took);
    }
}

impl Unread {
    fn new(domain: &DnsName, failure: &Failure) -> Self {
        Self { forest: domain.to_string(), why: failure.text().to_owned() }
    }
}

/// The failures of all forests as one, which lasts if each of them does.
fn together(failures: &[(DnsName, Failure)]) -> Failure {
    let texts: Vec<_> =
        failures.iter().map(|(domain, failure)| format!("{domain}: {}", failure.text())).collect();
    let failure = Failure::new(texts.join("; "));
    let hint = failures.iter().find_map(|(_, failure)| failure.hint());
    let failure = match hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    };
    if failures.iter().all(|(_, failure)| failure.is_lasting()) {
        failure.lasting()
    } else {
        failure
    }
}

/// Where the objects of a domain go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Staging<'a> {
    /// The domain.
    pub(super) domain: &'a DnsName,
    /// The state.
    pub(super) state: &'a State,
    /// The domain's naming context there.
    pub(super) partition: Partition,
    /// The other domains of its forest that are read. An object that left this one may be in one of them.
    pub(super) others: &'a [DnsName],
    /// What is read of its objects.
    pub(super) reading: &'a Reading,
    /// When it is read, in seconds since 1970: what no controller has is waited for so long.
    pub(super) now: i64,
}

impl Staging<'_> {
    async fn begin_changes(&self) -> Result<Changes, Failure> {
        Ok(self.state.begin_changes(self.partition).await?)
    }
}

/// Brings the connector space to what the domain holds, as far as what is missing is believed to be.
pub(super) async fn read(
    directory: &mut impl Directory,
    staging: &Staging<'_>,
    belief: Belief,
) -> Result<Imported, Failure> {
    let mut imported = Imported::default();
    let controller = Controller::ask(directory, staging.domain).await?;
    let mut lost = awaited::check(staging, (&controller, belief), &mut imported).await?;
    let cursor =
        staging.state.forest_cursor(staging.partition).await?.as_deref().and_then(Cursor::read);
    if let Some(cursor) = cursor {
        let why = match cursor.goes_on_with(&controller, staging.reading.wanted()) {
            Ok(()) => {
                let from = cursor.clone();
                let outcome =
                    incremental::read(directory, staging, &controller, from, &mut imported);
                match outcome.await? {
                    Outcome::Done => {
                        awaited::give_up(staging, lost).await?;
                        return Ok(imported);
                    }
                    Outcome::Everything(why) => why,
                }
            }
            Err(why) => why.to_owned(),
        };
        if !cursor.is_asked() {
            imported.notes.push(format!("the forest is read in full: {why}"));
        }
        let of = (&controller, belief);
        lost.learn(lagging::check(directory, staging, of, cursor, &mut imported).await?);
    }
    imported.full = true;
    let cursor = full::read(directory, staging, &controller, belief, &mut imported).await?;
    // What was written while it was read, and the places above what was read.
    let caught_up = incremental::read(directory, staging, &controller, cursor, &mut imported);
    match caught_up.await? {
        Outcome::Done => {
            awaited::give_up(staging, lost).await?;
            Ok(imported)
        }
        Outcome::Everything(why) => {
            Err(Failure::new(format!("what changed while the forest was read is not read: {why}")))
        }
    }
}

/// How far a domain is read, as the tenant is told of it; nothing of one that never was.
///
/// # Errors
/// When the state fails.
pub(super) async fn read_up_to(
    state: &State,
    of: Partition,
) -> Result<BTreeMap<String, u64>, Failure> {
    let cursor = state.forest_cursor(of).await?.as_deref().and_then(Cursor::read);
    Ok(cursor.map(|cursor| cursor.known().tell()).unwrap_or_default())
}

/// Lets the next import of a domain read everything.
///
/// # Errors
/// When the state fails.
pub(super) async fn read_in_full_next(state: &State, of: Partition) -> Result<(), Failure> {
    let Some(octets) = state.forest_cursor(of).await? else { return Ok(()) };
    let Some(cursor) = Cursor::read(&octets) else { return Ok(()) };
    let _ = state.begin_changes(of).await?.finish(&cursor.asked().write()?).await?;
    Ok(())
}

/// The number of the controller's last change, whatever it was of.
pub(super) async fn last_change(directory: &mut impl Directory) -> Result<i64, Failure> {
    cursor::last_change(directory).await
}

/// The name of the domain's root.
fn domain_base(domain: &DnsName) -> String {
    DistinguishedName::of_domain(domain).to_string()
}
