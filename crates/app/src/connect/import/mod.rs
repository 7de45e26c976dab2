//! The import: the forest into the connector space, in full the first time and by its changes after
//! that, over one sealed LDAP connection, entry by entry.
//!
//! [`full`] reads everything, [`incremental`] what changed since a [`cursor`]. A cursor is taken before
//! the read that it covers and committed with it, so that nothing written meanwhile is missed.

mod alone;
mod cursor;
mod directory;
mod entries;
mod full;
mod incremental;
mod search;

use portolan_model::{DistinguishedName, DnsName};
use portolan_store::connector_space::ConnectorSpace;

use self::cursor::{Controller, Cursor};
use self::directory::Directory;
use self::incremental::Outcome;
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
    /// Member values of all groups likewise.
    pub(super) members: u64,
    /// Objects that changed since the last import, or since this one began.
    pub(super) changed: u64,
    /// Objects of an earlier import that are gone.
    pub(super) removed: u64,
    /// What an administrator should know.
    pub(super) notes: Vec<String>,
}

impl Imported {
    /// One line for the operator.
    pub(super) fn summary(&self) -> String {
        if self.full {
            return format!(
                "imported {} users, {} contacts, {} groups with {} members, {} organizational units",
                self.users, self.contacts, self.groups, self.members, self.organizational_units
            );
        }
        format!("imported {} changes and {} deletions", self.changed, self.removed)
    }
}

/// Brings the space to what the domain holds. `allowed` is the number of objects of a kind that may
/// be missing, above what goes without a word.
pub(super) async fn read(
    directory: &mut impl Directory,
    domain: &DnsName,
    space: &ConnectorSpace,
    allowed: usize,
) -> Result<Imported, Failure> {
    let mut imported = Imported::default();
    let controller = Controller::ask(directory).await?;
    let cursor = space.forest_cursor().await?.as_deref().and_then(Cursor::read);
    if let Some(cursor) = cursor {
        let why = match cursor.goes_on_with(&controller) {
            Ok(()) => {
                let outcome =
                    incremental::read(directory, domain, &controller, space, cursor, &mut imported);
                match outcome.await? {
                    Outcome::Done => return Ok(imported),
                    Outcome::CursorRefused(why) => why,
                }
            }
            Err(why) => why.to_owned(),
        };
        imported.notes.push(format!("the forest is read in full: {why}"));
    }
    imported.full = true;
    let cursor = full::read(directory, domain, &controller, space, allowed, &mut imported).await?;
    // What was written while it was read, and the places above what was read.
    let caught_up = incremental::read(directory, domain, &controller, space, cursor, &mut imported);
    match caught_up.await? {
        Outcome::Done => Ok(imported),
        Outcome::CursorRefused(why) => {
            Err(Failure::new(format!("the directory does not take its own new cookie: {why}")))
        }
    }
}

/// The name of the domain's root.
fn domain_base(domain: &DnsName) -> String {
    DistinguishedName::of_domain(domain).to_string()
}
