//! What one domain controller holds of a domain, and what it knows of when each part came.

use std::collections::BTreeMap;

use portolan_model::Guid;

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A person with an account.
    User,
    /// A person likewise, of the other class.
    InetOrgPerson,
    /// A group.
    Group,
    /// Somebody outside.
    Contact,
    /// An account or a group of another forest, for which it stands here.
    Foreign,
    /// A computer.
    Computer,
    /// A unit.
    OrganizationalUnit,
    /// A place of another class.
    Container,
    /// The root of the domain.
    Domain,
}

/// The values of an attribute.
pub type Values = Vec<Vec<u8>>;

/// An attribute by which an object refers to another one, and the other one.
pub type Link = (&'static str, Guid);

/// A change of a domain. Controllers take them in one order, each in its own time.
#[derive(Debug, Clone)]
pub enum Change {
    /// A new object.
    Create {
        /// Its objectGUID.
        guid: Guid,
        /// Its number, by which people know it.
        serial: u32,
        /// What it is.
        class: Class,
        /// What it stands below.
        parent: Guid,
        /// Its name there.
        name: String,
        /// Its attributes.
        attributes: Vec<(&'static str, Values)>,
    },
    /// The values of an attribute; none takes it away.
    Set(Guid, &'static str, Values),
    /// Another place or name.
    Move(Guid, Guid, String),
    /// A reference comes or goes.
    Refer(Guid, Link, bool),
    /// It is deleted, and kept as what can be restored.
    Delete(Guid),
    /// It is back, below this one.
    Restore(Guid, Guid),
}

/// An object, with the number of the change that each part of it is from.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its objectGUID.
    pub guid: Guid,
    /// Its number, by which people know it.
    pub serial: u32,
    /// What it is.
    pub class: Class,
    /// What it stands below.
    pub parent: Guid,
    /// Its name there.
    pub name: String,
    /// Its attributes.
    pub attributes: BTreeMap<&'static str, Values>,
    /// Whom it refers to, or did, and since when.
    pub links: BTreeMap<Link, (bool, u64)>,
    /// Whether it is deleted.
    pub is_deleted: bool,
    /// When it was made.
    pub created: u64,
    /// When anything of it changed last.
    pub changed: u64,
    /// The controller's own number for that.
    pub usn: i64,
    /// When attributes changed, `name`, `parentGUID` and `isDeleted` among them.
    pub changed_at: BTreeMap<&'static str, u64>,
}

/// What a controller holds.
#[derive(Debug, Clone, Default)]
pub struct Database {
    /// All objects, deleted ones too.
    pub objects: BTreeMap<Guid, Object>,
    /// How many changes it took.
    pub taken: u64,
    /// Its own number for the last one.
    pub usn: i64,
}

impl Database {
    /// Takes the next change.
    pub fn take(&mut self, change: &Change) {
        self.taken += 1;
        self.usn += 1;
        let (at, usn) = (self.taken, self.usn);
        let guid = match change {
            Change::Create { guid, serial, class, parent, name, attributes } => {
                let object = Object {
                    guid: *guid,
                    serial: *serial,
                    class: *class,
                    parent: *parent,
                    name: name.clone(),
                    attributes: attributes.iter().cloned().collect(),
                    links: BTreeMap::new(),
                    is_deleted: false,
                    created: at,
                    changed: at,
                    usn,
                    changed_at: BTreeMap::new(),
                };
                self.objects.insert(*guid, object);
                return;
            }
            Change::Set(guid, ..)
            | Change::Move(guid, ..)
            | Change::Refer(guid, ..)
            | Change::Delete(guid)
            | Change::Restore(guid, _) => guid,
        };
        let Some(object) = self.objects.get_mut(guid) else { return };
        (object.changed, object.usn) = (at, usn);
        match change {
            Change::Create { .. } => {}
            Change::Set(_, attribute, values) => {
                object.changed_at.insert(attribute, at);
                if values.is_empty() {
                    object.attributes.remove(attribute);
                } else {
                    object.attributes.insert(attribute, values.clone());
                }
            }
            Change::Move(_, parent, name) => {
                if object.parent != *parent {
                    object.changed_at.insert("parentGUID", at);
                }
                object.changed_at.insert("name", at);
                object.parent = *parent;
                object.name.clone_from(name);
            }
            Change::Refer(_, link, is_there) => {
                object.links.insert(*link, (*is_there, at));
            }
            Change::Delete(_) => {
                object.is_deleted = true;
                object.changed_at.insert("isDeleted", at);
            }
            Change::Restore(_, parent) => {
                object.is_deleted = false;
                object.parent = *parent;
                object.changed_at.insert("isDeleted", at);
                object.changed_at.insert("parentGUID", at);
                object.changed_at.insert("name", at);
            }
        }
    }

    /// A living object.
    #[must_use]
    pub fn living(&self, guid: Guid) -> Option<&Object> {
        self.objects.get(&guid).filter(|object| !object.is_deleted)
    }

    /// Objects that have a security identifier.
    pub fn with_sid<'a>(&'a self, sid: &'a [u8]) -> impl Iterator<Item = &'a Object> {
        self.all_living().filter(move |object| {
            object.attributes.get("objectSid").is_some_and(|values| values.iter().any(|v| v == sid))
        })
    }

    /// All living objects.
    pub fn all_living(&self) -> impl Iterator<Item = &Object> {
        self.objects.values().filter(|object| !object.is_deleted)
    }

    /// The distinguished name of an object.
    #[must_use]
    pub fn name_of(&self, guid: Guid) -> String {
        let mut name = String::new();
        let mut next = Some(guid);
        while let Some(object) = next.and_then(|guid| self.objects.get(&guid)) {
            if object.class == Class::Domain {
                name.push_str(&object.name);
                break;
            }
            let kind = if object.class == Class::OrganizationalUnit { "OU" } else { "CN" };
            name.push_str(&format!("{kind}={},", object.name));
            next = Some(object.parent);
        }
        name
    }

    /// Whom a living object refers to by an attribute, as far as they live.
    pub fn referred<'a>(
        &'a self,
        object: &'a Object,
        attribute: &'a str,
    ) -> impl Iterator<Item = &'a Object> {
        let there =
            object.links.iter().filter(move |((name, _), (is, _))| *name == attribute && *is);
        there.filter_map(|((_, to), _)| self.living(*to))
    }

    /// Who lives and refers to an object by an attribute.
    pub fn referring<'a>(
        &'a self,
        to: Guid,
        attribute: &'static str,
    ) -> impl Iterator<Item = &'a Object> {
        self.all_living()
            .filter(move |object| object.links.get(&(attribute, to)).is_some_and(|(is, _)| *is))
    }

    /// Whether an object stands below another one, or is it.
    #[must_use]
    pub fn is_below(&self, guid: Guid, above: Guid) -> bool {
        let mut next = Some(guid);
        for _ in 0..=self.objects.len() {
            match next {
                Some(guid) if guid == above => return true,
                Some(guid) => {
                    let object = self.objects.get(&guid);
                    next = object.filter(|one| one.class != Class::Domain).map(|one| one.parent);
                }
                None => return false,
            }
        }
        true
    }
}
