//! A forest of one domain: what is true, the controllers that learn of it in their own time, and what people
//! do to it.

mod database;
mod directory;
mod operations;
mod persons;
mod search;

use std::collections::{BTreeMap, BTreeSet};

use portolan_model::{DnsName, Guid};

pub use database::{Change, Class, Database, Link, Object, Values};
pub use directory::Connection;
pub(crate) use operations::is_user;
pub use persons::{EMPLOYEE, MARK, MASTER};

use crate::chance::Chance;
use crate::expected;

/// Controllers of a domain.
pub const CONTROLLERS: usize = 2;

/// What the account that reads may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// It may ask for changes.
    Changes,
    /// It sees deletions, and may not ask for changes.
    Deletions,
    /// It does not even see those.
    Least,
}

/// A controller.
#[derive(Debug, Clone)]
pub struct Controller {
    /// What it holds.
    pub database: Database,
    /// Which database that is.
    pub invocation: Guid,
    /// A copy that its administrator made.
    pub backup: Option<Database>,
}

/// A domain.
#[derive(Debug)]
pub struct Forest {
    /// Its name.
    pub domain: DnsName,
    /// All changes, in their order.
    log: Vec<Change>,
    /// What is true.
    pub truth: Database,
    /// Those who answer.
    pub controllers: Vec<Controller>,
    /// What the account that reads may do.
    pub rights: Rights,
    /// Values that an entry has of an attribute at most.
    pub values_max: usize,
    /// Entries of a page, and objects of an answer with changes, at most.
    pub entries_max: usize,
    /// Whether it ends a search without pages at its limit, as Windows does.
    pub has_limit: bool,
    /// The domain's root.
    root: Guid,
    serials: u32,
    /// Objects that may rightly go from the tenant: deleted once, or out of scope, or not known to the
    /// controller that was read in full.
    pub may_go: BTreeSet<u32>,
    /// What was done while it was read, for people.
    pub meanwhile: Vec<String>,
    /// Whether a server forgot under which anchors it wrote objects: one whose attribute changed since may go
    /// and come back under another.
    pub is_forgotten: bool,
    /// Whether people have objects in another forest, too.
    has_joins: bool,
    /// Those that many were taken away of at once, and how.
    massed: Vec<Guid>,
    /// The last number that each database of a controller gave to a change, those of before a backup was
    /// restored too.
    numbers: BTreeMap<Guid, i64>,
}

/// What a domain begins with.
#[derive(Debug, Clone, Copy)]
pub struct Beginning {
    /// Users.
    pub users: usize,
    /// The number of the first object is behind this one, so that no other domain has the same.
    pub serials: u32,
    /// Whether people have objects in another forest, too.
    pub has_joins: bool,
}

impl Forest {
    /// A new domain with a few objects.
    #[must_use]
    pub fn new(domain: DnsName, beginning: Beginning, chance: &mut Chance) -> Self {
        let root = chance.guid();
        let controller = |chance: &mut Chance| Controller {
            database: Database { usn: 1_000, ..Database::default() },
            invocation: chance.guid(),
            backup: None,
        };
        let rights = match chance.below(10) {
            0 => Rights::Least,
            1 | 2 => Rights::Deletions,
            _ => Rights::Changes,
        };
        let mut forest = Self {
            domain,
            log: Vec::new(),
            truth: Database::default(),
            controllers: (0..CONTROLLERS).map(|_| controller(chance)).collect(),
            rights,
            values_max: 2 + chance.below(6),
            entries_max: 1 + chance.below(8),
            has_limit: chance.once_in(2),
            root,
            serials: beginning.serials,
            may_go: BTreeSet::new(),
            meanwhile: Vec::new(),
            is_forgotten: false,
            has_joins: beginning.has_joins,
            massed: Vec::new(),
            numbers: BTreeMap::new(),
        };
        let labels: Vec<_> =
            forest.domain.to_string().split('.').map(|label| format!("DC={label}")).collect();
        forest.change(Change::Create {
            guid: root,
            serial: 0,
            class: Class::Domain,
            parent: root,
            name: labels.join(","),
            attributes: Vec::new(),
        });
        forest.found(beginning.users, chance);
        forest
    }

    /// Makes a change.
    pub fn change(&mut self, change: Change) {
        self.truth.take(&change);
        self.log.push(change);
        self.judge();
    }

    /// Remembers what may go.
    fn judge(&mut self) {
        let gone: Vec<_> = self
            .truth
            .objects
            .values()
            .filter(|object| {
                !expected::is_in_scope(&self.truth, object) || self.may_be_other(object)
            })
            .map(|object| object.serial)
            .collect();
        self.may_go.extend(gone);
    }

    /// Whether nobody knows under which anchor an object was written.
    fn may_be_other(&self, object: &Object) -> bool {
        self.is_forgotten && object.changed_at.contains_key("mS-DS-ConsistencyGuid")
    }

    /// The object with a number; none of a number of another domain.
    fn numbered(&self, number: &str) -> Option<&Object> {
        let (domain, serial) = number.rsplit_once('#')?;
        let serial: u32 = serial.parse().ok().filter(|_| domain == self.domain.to_string())?;
        self.truth.objects.values().find(|object| object.serial == serial)
    }

    /// Whether the object with a number may be written under another anchor than before.
    #[must_use]
    pub fn may_have_other_anchor(&self, number: &str) -> bool {
        self.numbered(number).is_some_and(|object| self.may_be_other(object))
    }

    /// A server lost what it knew of objects.
    pub fn forget(&mut self) {
        self.is_forgotten = true;
        self.judge();
    }

    /// Whether a tenant is to have the object with a number; nothing of a number of another domain.
    #[must_use]
    pub fn wants(&self, number: &str) -> Option<bool> {
        let object = self.numbered(number)?;
        Some(expected::is_in_scope(&self.truth, object))
    }

    /// Lets a controller learn of so many changes more.
    pub fn replicate(&mut self, controller: usize, changes: usize) {
        let Some(controller) = self.controllers.get_mut(controller) else { return };
        let from = usize::try_from(controller.database.taken).unwrap_or(usize::MAX);
        for change in self.log.iter().skip(from).take(changes) {
            controller.database.take(change);
        }
        let last = self.numbers.entry(controller.invocation).or_default();
        *last = controller.database.usn.max(*last);
    }

    /// What a controller has, by the database of each controller: up to which of its numbers. All databases
    /// number the changes of the one log alike, so one that took as many has all that another one has.
    fn vector(&self, controller: &Controller) -> BTreeMap<Guid, i64> {
        let own = controller.database.usn;
        let of = |(database, last): (&Guid, &i64)| (*database, own.min(*last));
        let mut vector: BTreeMap<_, _> = self.numbers.iter().map(of).collect();
        vector.insert(controller.invocation, own);
        vector
    }

    /// Lets every controller learn of everything.
    pub fn replicate_all(&mut self) {
        for controller in 0..self.controllers.len() {
            self.replicate(controller, usize::MAX);
        }
    }

    /// Copies a controller's database, as a backup does.
    pub fn back_up(&mut self, controller: usize) {
        if let Some(controller) = self.controllers.get_mut(controller) {
            controller.backup = Some(controller.database.clone());
        }
    }

    /// Restores a controller from its backup: as it is done, with a new name for the database, or as it must
    /// not be done, without. Says whether there was one.
    pub fn restore(&mut self, controller: usize, invocation: Option<Guid>) -> bool {
        let Some(controller) = self.controllers.get_mut(controller) else { return false };
        let Some(backup) = controller.backup.clone() else { return false };
        controller.database = backup;
        if let Some(invocation) = invocation {
            controller.invocation = invocation;
        }
        true
    }
}
