//! What people do to a forest, by chance.

use portolan_model::Guid;

use super::database::{Change, Class, Object, Values};
use super::{Forest, Rights};
use crate::chance::Chance;
use crate::expected;

/// Objects of a domain, so that a run stays small.
pub(super) const OBJECTS_MAX: usize = 40;

const WORDS: [&str; 6] = ["Ann", "Bo", "Café", "dew", "ELM", "Fjord"];

pub(super) fn text(text: impl Into<String>) -> Values {
    vec![text.into().into_bytes()]
}

/// A security identifier of the domain.
fn sid(root: Guid, serial: u32) -> Vec<u8> {
    let domain = root.to_bytes_le();
    let mut sid = vec![1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0];
    sid.extend(&domain[..12]);
    sid.extend((1_000 + serial).to_le_bytes());
    sid
}

impl Forest {
    /// The first objects of a domain.
    pub(super) fn found(&mut self, users: usize, chance: &mut Chance) {
        let root = self.root;
        self.create(Class::Container, root, chance);
        self.create(Class::OrganizationalUnit, root, chance);
        for _ in 0..users {
            self.create_somewhere(Class::User, chance);
        }
        self.create_somewhere(Class::Group, chance);
        self.create_somewhere(Class::Contact, chance);
        self.replicate_all();
    }

    /// Does something, and says what.
    pub fn anything(&mut self, chance: &mut Chance) -> String {
        let many = self.truth.all_living().count() > OBJECTS_MAX;
        match chance.below(20) {
            0 | 1 if !many => {
                let class = [
                    Class::User,
                    Class::User,
                    Class::InetOrgPerson,
                    Class::Group,
                    Class::Group,
                    Class::Contact,
                    Class::Computer,
                    Class::OrganizationalUnit,
                ];
                let class = class[chance.below(class.len())];
                self.create_somewhere(class, chance)
            }
            2 | 3 => self.describe(chance),
            4 => self.rename(chance),
            5 | 6 => self.relocate(chance),
            7 => self.delete(chance),
            8 | 9 => self.restore_object(chance),
            10 => self.scope(chance),
            11..=14 => self.member(chance),
            15 | 16 => self.manager(chance),
            17 => self.address(chance),
            18 => self.principal(chance),
            _ if self.has_joins => self.of_person(chance),
            _ => self.anchor(chance),
        }
    }

    /// Makes somebody, and says so.
    pub fn newcomer(&mut self, chance: &mut Chance) -> String {
        self.create_somewhere(Class::User, chance)
    }

    fn create_somewhere(&mut self, class: Class, chance: &mut Chance) -> String {
        let is_place = |object: &&Object| {
            matches!(object.class, Class::OrganizationalUnit | Class::Container | Class::Domain)
        };
        let places: Vec<_> = self.truth.all_living().filter(is_place).map(|one| one.guid).collect();
        let Some(parent) = chance.one(&places).copied() else { return String::new() };
        self.create(class, parent, chance)
    }

    fn create(&mut self, class: Class, parent: Guid, chance: &mut Chance) -> String {
        let beside = self.beside(class, chance);
        self.create_with(class, parent, beside, chance)
    }

    /// Makes an object that has these attributes besides those of its class.
    pub(super) fn create_with(
        &mut self,
        class: Class,
        parent: Guid,
        beside: Vec<(&'static str, Values)>,
        chance: &mut Chance,
    ) -> String {
        self.serials += 1;
        let (serial, guid) = (self.serials, chance.guid());
        let mut attributes = vec![("displayName", self.display(serial, chance))];
        match class {
            Class::User | Class::InetOrgPerson => {
                let own = self.domain.to_string();
                let own = own.split_once('.').map(|(first, rest)| (first.to_uppercase(), rest));
                let own = own.map(|(first, rest)| format!("{first}.{rest}")).unwrap_or_default();
                let domain = if chance.once_in(4) { "other.example".to_owned() } else { own };
                attributes.push(("sAMAccountName", text(format!("u{serial}"))));
                attributes.push(("sAMAccountType", text("805306368")));
                attributes.push(("userAccountControl", text("512")));
                attributes.push(("objectSid", vec![sid(self.root, serial)]));
                if !chance.once_in(5) {
                    let name = format!("u{serial}@{domain}");
                    attributes.push(("userPrincipalName", text(name)));
                }
            }
            Class::Group => {
                attributes.push(("sAMAccountName", text(format!("g{serial}"))));
                attributes.push(("groupType", text("-2147483646")));
                attributes.push(("objectSid", vec![sid(self.root, serial)]));
            }
            Class::Contact => {
                attributes.push(("mail", text(format!("c{serial}@mail.example"))));
                let address = format!("SMTP:c{serial}@mail.example");
                attributes.push(("proxyAddresses", text(address)));
            }
            Class::Foreign => attributes.clear(),
            Class::Computer => {
                attributes.push(("sAMAccountName", text(format!("pc{serial}$"))));
                attributes.push(("sAMAccountType", text("805306369")));
                attributes.push(("objectSid", vec![sid(self.root, serial)]));
            }
            Class::OrganizationalUnit | Class::Container | Class::Domain => attributes.clear(),
        }
        attributes.extend(beside);
        let name = format!("o{serial}");
        self.change(Change::Create { guid, serial, class, parent, name, attributes });
        format!("{class:?} {serial} is made")
    }

    /// What people see, with the number by which the checkers know an object.
    fn display(&self, serial: u32, chance: &mut Chance) -> Values {
        let word = WORDS[chance.below(WORDS.len())];
        text(format!("{word} {}#{serial}", self.domain))
    }

    /// A living object of these classes.
    pub(super) fn some(
        &self,
        chance: &mut Chance,
        is: impl Fn(&Object) -> bool,
    ) -> Option<(Guid, u32)> {
        let all: Vec<_> = self
            .truth
            .all_living()
            .filter(|object| object.class != Class::Domain && is(object))
            .map(|object| (object.guid, object.serial))
            .collect();
        chance.one(&all).copied()
    }

    fn describe(&mut self, chance: &mut Chance) -> String {
        let Some((guid, serial)) = self.some(chance, is_exported) else { return String::new() };
        let word = WORDS[chance.below(WORDS.len())];
        let (attribute, values) = match chance.below(5) {
            0 => ("displayName", self.display(serial, chance)),
            1 => ("department", text(word)),
            2 => ("department", Vec::new()),
            3 => ("mail", text(format!("{serial}@{}.example", word.to_lowercase()))),
            _ => {
                let is_off = chance.once_in(2);
                let is_user = |object: &Object| is_user(object.class) && object.guid == guid;
                match self.some(chance, is_user) {
                    Some(_) if is_off => ("userAccountControl", text("514")),
                    Some(_) => ("userAccountControl", text("512")),
                    None => ("description", text(word)),
                }
            }
        };
        self.change(Change::Set(guid, attribute, values));
        format!("{attribute} of {serial} changes")
    }

    fn rename(&mut self, chance: &mut Chance) -> String {
        let Some((guid, serial)) = self.some(chance, |_| true) else { return String::new() };
        let Some(parent) = self.truth.living(guid).map(|object| object.parent) else {
            return String::new();
        };
        let name = format!("o{serial}{}", WORDS[chance.below(WORDS.len())]);
        self.change(Change::Move(guid, parent, name));
        format!("{serial} has another name")
    }

    fn relocate(&mut self, chance: &mut Chance) -> String {
        let Some((guid, serial)) = self.some(chance, |_| true) else { return String::new() };
        let is_place =
            |object: &Object| matches!(object.class, Class::OrganizationalUnit | Class::Container);
        let Some((to, place)) = self.some(chance, is_place) else { return String::new() };
        let Some(object) = self.truth.living(guid) else { return String::new() };
        if self.truth.is_below(to, guid) {
            return String::new();
        }
        let name = object.name.clone();
        self.change(Change::Move(guid, to, name));
        format!("{serial} moves below {place}")
    }

    fn delete(&mut self, chance: &mut Chance) -> String {
        let has_below =
            |guid: Guid| self.truth.all_living().any(|one| one.parent == guid && one.guid != guid);
        let Some((guid, serial)) = self.some(chance, |object| !has_below(object.guid)) else {
            return String::new();
        };
        // A directory without any user is not believed.
        let is_other = |one: &Object| is_user(one.class) && one.guid != guid;
        if !self.truth.all_living().any(is_other) {
            return String::new();
        }
        self.change(Change::Delete(guid));
        format!("{serial} is deleted")
    }

    fn restore_object(&mut self, chance: &mut Chance) -> String {
        let gone = self.truth.objects.values().filter(|object| object.is_deleted);
        let gone: Vec<_> = gone.map(|object| (object.guid, object.serial, object.parent)).collect();
        let Some(&(guid, serial, parent)) = chance.one(&gone) else { return String::new() };
        let parent = self.truth.living(parent).map_or(self.root, |parent| parent.guid);
        self.change(Change::Restore(guid, parent));
        format!("{serial} is back")
    }

    fn scope(&mut self, chance: &mut Chance) -> String {
        let Some((guid, serial)) = self.some(chance, is_exported) else { return String::new() };
        let Some(object) = self.truth.living(guid) else { return String::new() };
        let is_in = !object.attributes.contains_key("isCriticalSystemObject");
        let values = if is_in { text("TRUE") } else { Vec::new() };
        self.change(Change::Set(guid, "isCriticalSystemObject", values));
        format!("{serial} goes {} scope", if is_in { "out of" } else { "into" })
    }

    fn member(&mut self, chance: &mut Chance) -> String {
        let Some((group, of)) = self.some(chance, |object| object.class == Class::Group) else {
            return String::new();
        };
        let may = |object: &Object| {
            is_exported(object) || object.class == Class::Computer || object.class == Class::Group
        };
        let Some((to, serial)) = self.some(chance, may) else { return String::new() };
        let link = ("member", to);
        let object = self.truth.living(group);
        let is_there = object.and_then(|object| object.links.get(&link)).is_some_and(|(is, _)| *is);
        self.change(Change::Refer(group, link, !is_there));
        format!("{serial} is {} member of {of}", if is_there { "no" } else { "a" })
    }

    fn manager(&mut self, chance: &mut Chance) -> String {
        let Some((user, of)) = self.some(chance, |object| is_user(object.class)) else {
            return String::new();
        };
        let Some((to, serial)) = self.some(chance, |object| is_user(object.class)) else {
            return String::new();
        };
        let Some(object) = self.truth.living(user) else { return String::new() };
        let managers = object.links.iter().filter(|((name, _), (is, _))| *name == "manager" && *is);
        let before: Vec<_> = managers.map(|(link, _)| *link).collect();
        for link in &before {
            self.change(Change::Refer(user, *link, false));
        }
        if before.contains(&("manager", to)) || user == to {
            return format!("{of} has no manager");
        }
        self.change(Change::Refer(user, ("manager", to), true));
        format!("{serial} is the manager of {of}")
    }

    fn address(&mut self, chance: &mut Chance) -> String {
        let Some((guid, serial)) = self.some(chance, is_exported) else { return String::new() };
        let other = self.some(chance, is_exported).map_or(serial, |(_, serial)| serial);
        // Another one's now and then.
        let mut values = vec![format!("SMTP:a{serial}@mail.example").into_bytes()];
        match chance.below(3) {
            0 => values.push(format!("smtp:A{other}@mail.example").into_bytes()),
            1 => values.push(format!("smtp:b{serial}@mail.example").into_bytes()),
            _ => {}
        }
        self.change(Change::Set(guid, "proxyAddresses", values));
        format!("{serial} has other addresses, of {other} too")
    }

    fn principal(&mut self, chance: &mut Chance) -> String {
        let Some((guid, serial)) = self.some(chance, |one| is_user(one.class)) else {
            return String::new();
        };
        let other =
            self.some(chance, |one| is_user(one.class)).map_or(serial, |(_, serial)| serial);
        let values = match chance.below(4) {
            0 => Vec::new(),
            1 => text(format!("u{serial}@other.example")),
            2 => text(format!("u{other}@{}", self.domain)),
            _ => text(format!("u{serial}@{}", self.domain)),
        };
        self.change(Change::Set(guid, "userPrincipalName", values));
        format!("{serial} has another user principal name, perhaps that of {other}")
    }

    /// Somebody writes the attribute of which anchors are made.
    fn anchor(&mut self, chance: &mut Chance) -> String {
        let Some((guid, serial)) = self.some(chance, |one| is_user(one.class)) else {
            return String::new();
        };
        let attribute = "mS-DS-ConsistencyGuid";
        let others: Vec<_> = self
            .truth
            .all_living()
            .filter_map(|one| one.attributes.get(attribute).cloned())
            .collect();
        let values = match chance.below(4) {
            0 => Vec::new(),
            1 => chance.one(&others).cloned().unwrap_or_default(),
            2 => vec![guid.to_bytes_le().to_vec()],
            _ => vec![chance.guid().to_bytes_le().to_vec()],
        };
        self.change(Change::Set(guid, attribute, values));
        format!("{serial} has another {attribute}")
    }

    /// An administrator takes away what nobody can decide: values that two objects have, anchors that
    /// changed.
    pub fn heal(&mut self) {
        let users: Vec<_> = self
            .truth
            .all_living()
            .filter(|object| object.attributes.contains_key("mS-DS-ConsistencyGuid"))
            .map(|object| object.guid)
            .collect();
        for guid in users {
            self.change(Change::Set(guid, "mS-DS-ConsistencyGuid", Vec::new()));
        }
        let all: Vec<_> = self
            .truth
            .all_living()
            .map(|object| (object.guid, object.serial, object.class))
            .collect();
        for (guid, serial, class) in all {
            let Some(object) = self.truth.living(guid) else { continue };
            let own = |address: &Vec<u8>| {
                let address = String::from_utf8_lossy(address).to_lowercase();
                ["a", "b", "c"]
                    .iter()
                    .any(|kind| address == format!("smtp:{kind}{serial}@mail.example"))
            };
            let addresses = object.attributes.get("proxyAddresses").cloned().unwrap_or_default();
            let mut kept: Values = addresses.iter().filter(|one| own(one)).cloned().collect();
            kept.dedup_by_key(|address| address.to_ascii_lowercase());
            let name = object.attributes.get("userPrincipalName").cloned();
            if kept.len() != addresses.len() {
                self.change(Change::Set(guid, "proxyAddresses", kept));
            }
            let own = format!("u{serial}@");
            let is_own = name.as_ref().is_none_or(|values| {
                values.iter().all(|name| String::from_utf8_lossy(name).starts_with(&own))
            });
            if is_user(class) && !is_own {
                let name = text(format!("u{serial}@{}", self.domain));
                self.change(Change::Set(guid, "userPrincipalName", name));
            }
        }
    }

    /// The security identifiers of accounts and groups, for those who stand for them elsewhere.
    #[must_use]
    pub fn sids(&self) -> Vec<Vec<u8>> {
        let of = |object: &Object| is_user(object.class) || object.class == Class::Group;
        let all = self.truth.all_living().filter(|object| of(object));
        all.filter_map(|object| object.attributes.get("objectSid")?.first().cloned()).collect()
    }

    /// Lets an account or a group of another forest be a member of a group of this one, or no more: another
    /// object stands for it here.
    pub fn foreign(&mut self, others: &[Vec<u8>], chance: &mut Chance) -> String {
        let Some(sid) = chance.one(others) else { return String::new() };
        let is_group = |object: &Object| object.class == Class::Group;
        let Some((group, of)) = self.some(chance, is_group) else { return String::new() };
        let is_it = |object: &&Object| object.class == Class::Foreign;
        let known = self.truth.with_sid(sid).find(is_it).map(|object| (object.guid, object.serial));
        let (guid, serial) = known.unwrap_or_else(|| {
            self.serials += 1;
            let (guid, serial) = (chance.guid(), self.serials);
            let attributes = vec![("objectSid", vec![sid.clone()])];
            let (class, parent, name) = (Class::Foreign, self.root, format!("S-1-5-21-{serial}"));
            self.change(Change::Create { guid, serial, class, parent, name, attributes });
            (guid, serial)
        });
        let link = ("member", guid);
        let object = self.truth.living(group);
        let is_there = object.and_then(|object| object.links.get(&link)).is_some_and(|(is, _)| *is);
        self.change(Change::Refer(group, link, !is_there));
        let is = if is_there { "no" } else { "a" };
        format!("{serial}, who is of another forest, is {is} member of {of}")
    }

    /// Takes all users away at once, or undoes that: by a filter, or by deletion.
    pub fn mass(&mut self, chance: &mut Chance) -> String {
        let filter = "isCriticalSystemObject";
        if !self.massed.is_empty() && chance.once_in(2) {
            for guid in std::mem::take(&mut self.massed) {
                if self.truth.living(guid).is_none() {
                    self.change(Change::Restore(guid, self.root));
                }
                self.change(Change::Set(guid, filter, Vec::new()));
            }
            return "what was taken away at once is undone".to_owned();
        }
        let is_deletion = chance.once_in(3);
        let users = self.truth.all_living().filter(|object| is_user(object.class));
        let users: Vec<_> = users.map(|object| object.guid).collect();
        for guid in &users {
            let change = if is_deletion {
                Change::Delete(*guid)
            } else {
                Change::Set(*guid, filter, text("TRUE"))
            };
            self.change(change);
        }
        let count = users.len();
        self.massed.extend(users);
        self.massed.sort_unstable();
        self.massed.dedup();
        // Somebody is always there, or nobody believes a directory.
        let stays = self.create_somewhere(Class::User, chance);
        let how = if is_deletion { "are deleted" } else { "go out of scope" };
        format!("{count} users {how} at once, and {stays}")
    }

    /// Remembers what a controller that is read in full does not know: to a server that forgot what it read
    /// before it cannot be told from what is gone.
    pub fn read_in_full(&mut self, controller: usize) {
        if !self.is_forgotten {
            return;
        }
        let Some(controller) = self.controllers.get(controller) else { return };
        let database = &controller.database;
        let missing: Vec<_> = self
            .truth
            .all_living()
            .filter(|object| {
                let there = database.living(object.guid);
                there.is_none_or(|there| !expected::is_in_scope(database, there))
            })
            .map(|object| object.serial)
            .collect();
        self.may_go.extend(missing);
    }

    /// Whether deletions are only seen by reading everything.
    #[must_use]
    pub fn is_always_read_in_full(&self) -> bool {
        self.rights == Rights::Least
    }
}

pub(crate) const fn is_user(class: Class) -> bool {
    matches!(class, Class::User | Class::InetOrgPerson)
}

/// Whether an object is of a class that a tenant takes.
fn is_exported(object: &Object) -> bool {
    is_user(object.class) || matches!(object.class, Class::Group | Class::Contact)
}
