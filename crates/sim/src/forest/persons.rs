//! What people do who have an object in each of two forests: the attributes by which rules join those.

use std::collections::BTreeSet;

use portolan_model::Guid;

use super::Forest;
use super::database::{Change, Class, Object, Values};
use super::operations::{OBJECTS_MAX, is_user, text};
use crate::chance::Chance;

/// The account of another forest whose mailbox a user is.
pub const MASTER: &str = "msExchMasterAccountSID";
/// An attribute that rules join by, besides the mail address.
pub const EMPLOYEE: &str = "employeeID";
/// What every user has of its own, and keeps: who is one person in a tenant has it of each.
pub const MARK: &str = "otherTelephone";

/// People who may have objects in both forests: few, so that several objects claim to be one.
const PEOPLE: usize = 5;

impl Forest {
    /// The attributes of a new object besides those of its class, where people have objects in several forests.
    pub(super) fn beside(&self, class: Class, chance: &mut Chance) -> Vec<(&'static str, Values)> {
        if !self.has_joins || !is_user(class) {
            return Vec::new();
        }
        let mut beside = vec![self.mark()];
        if !chance.once_in(3) {
            beside.push(("mail", mail(chance)));
        }
        if chance.once_in(4) {
            beside.push((EMPLOYEE, employee(chance)));
        }
        beside
    }

    /// What the next object is known by.
    fn mark(&self) -> (&'static str, Values) {
        (MARK, text(format!("{}#{}", self.domain, self.serials + 1)))
    }

    /// Something of what a user is joined by changes.
    pub(super) fn of_person(&mut self, chance: &mut Chance) -> String {
        let Some((guid, serial)) = self.some(chance, |one| is_user(one.class)) else {
            return String::new();
        };
        let (attribute, values) = match chance.below(5) {
            0 | 1 => ("mail", mail(chance)),
            2 => ("mail", Vec::new()),
            3 => (EMPLOYEE, employee(chance)),
            _ => (EMPLOYEE, Vec::new()),
        };
        let said: Vec<_> = values.iter().map(|value| String::from_utf8_lossy(value)).collect();
        let said = format!("{attribute} of {serial} is {:?}", said.join(" "));
        self.change(Change::Set(guid, attribute, values));
        said
    }

    /// Somebody gets an object here, perhaps as a mailbox of an account that another forest has, or is joined by
    /// something else.
    pub fn person(&mut self, others: &[Vec<u8>], chance: &mut Chance) -> String {
        let is_full = self.truth.all_living().count() > OBJECTS_MAX;
        match chance.below(8) {
            0 | 1 if !is_full => self.newcomer(chance),
            2 | 3 if !is_full => self.mailbox(others, chance),
            4 => self.relink(others, chance),
            _ => self.of_person(chance),
        }
    }

    /// Makes a mailbox of an account of another forest.
    fn mailbox(&mut self, others: &[Vec<u8>], chance: &mut Chance) -> String {
        let Some(sid) = chance.one(others).cloned() else { return String::new() };
        let serial = self.serials + 1;
        let mut beside = vec![self.mark(), (MASTER, vec![sid])];
        if !chance.once_in(3) {
            beside.push(("mail", text(format!("p{}@mail.example", chance.below(PEOPLE)))));
            let address = format!("SMTP:b{serial}@mail.example");
            beside.push(("proxyAddresses", text(address)));
        }
        let made = self.create_with(Class::User, self.root, beside, chance);
        format!("{made}, a mailbox of an account elsewhere")
    }

    /// Lets a mailbox be that of another account.
    fn relink(&mut self, others: &[Vec<u8>], chance: &mut Chance) -> String {
        let is_mailbox = |one: &Object| one.attributes.contains_key(MASTER);
        let found = self.some(chance, is_mailbox);
        let (Some((guid, serial)), Some(sid)) = (found, chance.one(others)) else {
            return String::new();
        };
        self.change(Change::Set(guid, MASTER, vec![sid.clone()]));
        format!("the mailbox {serial} is that of another account")
    }

    /// Every user gets a mail address of their own: whoever is joined stays so.
    pub fn part(&mut self) {
        let users = self.truth.all_living().filter(|object| is_user(object.class));
        let users: Vec<_> = users.map(|object| (object.guid, object.serial)).collect();
        for (guid, serial) in users {
            self.change(Change::Set(guid, "mail", text(format!("own{serial}@mail.example"))));
            self.change(Change::Set(guid, EMPLOYEE, Vec::new()));
        }
    }

    /// All values that an attribute of an object ever had, without case; `None` among them if it ever had none.
    #[must_use]
    pub fn ever(&self, guid: Guid, attribute: &str) -> BTreeSet<Option<Vec<u8>>> {
        let first = |values: &Values| values.first().map(|value| value.to_ascii_lowercase());
        let of = |change: &Change| match change {
            Change::Create { guid: made, attributes, .. } if *made == guid => {
                let found = attributes.iter().find(|(name, _)| *name == attribute);
                Some(found.and_then(|(_, values)| first(values)))
            }
            Change::Set(of, name, values) if *of == guid && *name == attribute => {
                Some(first(values))
            }
            _ => None,
        };
        self.log.iter().filter_map(of).collect()
    }
}

/// The mail address of one of few people, in some case.
fn mail(chance: &mut Chance) -> Values {
    let person = chance.below(PEOPLE);
    let domain = if chance.once_in(3) { "Mail.Example" } else { "mail.example" };
    text(format!("p{person}@{domain}"))
}

fn employee(chance: &mut Chance) -> Values {
    text(format!("E{}", chance.below(PEOPLE)))
}
