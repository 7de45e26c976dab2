//! What must hold of people who have objects in two forests, which rules join: naively, by what the forests have
//! and had.
//!
//! Who is joined is not worked out, because it follows from the order in which a server saw things, and a join stays.
//! The tenant shows of each person the marks of all objects that the person is made of; whether those may be one,
//! whether others would have to be, and what the person is to have then, is worked out from the forests.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::{Law, Violation};
use crate::expected::{self, Shown, is_in_scope, number_of, own_anchor, shown};
use crate::forest::{EMPLOYEE, Forest, MARK, MASTER, Object, is_user};
use crate::tenant::{Found, Log};

/// What rules join people by, besides the accounts of mailboxes: those that come first are asked first.
const JOINED_BY: [&str; 2] = ["mail", EMPLOYEE];

/// A user object of a forest.
#[derive(Clone, Copy)]
struct Member<'f> {
    forest: &'f Forest,
    /// The forest's place: of two values the earlier forest's is taken.
    place: usize,
    object: &'f Object,
}

impl Member<'_> {
    fn number(&self) -> String {
        number_of(self.forest, self.object)
    }

    /// Whether it makes a person; a mailbox of somebody elsewhere does not.
    fn is_account(&self) -> bool {
        is_in_scope(&self.forest.truth, self.object)
    }

    fn is_mailbox(&self) -> bool {
        self.object.attributes.contains_key(MASTER) && !self.object.is_deleted
    }

    /// The value of an attribute now, without case.
    fn value(&self, attribute: &str) -> Option<Vec<u8>> {
        let values = self.object.attributes.get(attribute)?;
        Some(values.first()?.to_ascii_lowercase())
    }

    fn ever(&self, attribute: &str) -> BTreeSet<Option<Vec<u8>>> {
        self.forest.ever(self.object.guid, attribute)
    }

    /// Whether the rules would have joined these two at some time, each as it was at some time.
    fn ever_matched(&self, other: &Self) -> bool {
        if self.place == other.place {
            return false;
        }
        let share = |one: &str, another: &str| {
            let (one, another) = (self.ever(one), other.ever(another));
            one.intersection(&another).any(Option::is_some)
        };
        JOINED_BY.iter().any(|attribute| share(attribute, attribute))
            || share(MASTER, "objectSid")
            || share("objectSid", MASTER)
    }
}

/// A person as the tenant shows them.
struct Person<'f> {
    anchor: &'f str,
    /// Their objects, those of the earlier forest first.
    members: Vec<Member<'f>>,
}

impl Person<'_> {
    fn accounts(&self) -> impl Iterator<Item = &Member<'_>> {
        self.members.iter().filter(|member| member.is_account())
    }

    /// What the person has of an attribute that rules join by.
    fn value(&self, attribute: &str) -> Option<Vec<u8>> {
        let mailbox = self.members.iter().filter(|one| one.is_mailbox() && attribute == "mail");
        self.accounts().chain(mailbox).find_map(|one| one.value(attribute))
    }

    fn has_of(&self, place: usize) -> bool {
        self.members.iter().any(|member| member.place == place)
    }
}

/// All users that forests have and had.
pub struct People<'f> {
    forests: &'f [&'f Forest],
    all: Vec<Member<'f>>,
}

impl<'f> People<'f> {
    /// Those of forests, in their order.
    #[must_use]
    pub fn of(forests: &'f [&'f Forest]) -> Self {
        let of_one = |(place, forest): (usize, &&'f Forest)| {
            let forest: &'f Forest = forest;
            let users = forest.truth.objects.values().filter(|object| is_user(object.class));
            users.map(move |object| Member { forest, place, object }).collect::<Vec<_>>()
        };
        Self { forests, all: forests.iter().enumerate().flat_map(of_one).collect() }
    }

    fn numbered(&self, number: &str) -> Option<Member<'f>> {
        self.all.iter().find(|member| member.number() == number).copied()
    }

    /// Whether a user may have gone from the tenant at some time, or have become part of another person: it was
    /// away, or a server forgot whom it had joined with whom.
    fn may_go(&self, member: &Member<'_>) -> bool {
        member.forest.may_go.contains(&member.object.serial)
            || (member.forest.is_forgotten && self.all.iter().any(|one| one.ever_matched(member)))
    }

    /// The same of a number: of one that is no user's, what its forest says.
    fn number_may_go(&self, number: &str) -> bool {
        if let Some(member) = self.numbered(number) {
            return self.may_go(&member);
        }
        let (domain, serial) = number.rsplit_once('#').unwrap_or_default();
        let forest = self.forests.iter().find(|forest| forest.domain.to_string() == domain);
        let serial: Option<u32> = serial.parse().ok();
        forest.zip(serial).is_some_and(|(forest, serial)| forest.may_go.contains(&serial))
    }

    /// What holds at any time, whatever went wrong.
    ///
    /// # Errors
    /// The first law that was broken.
    pub fn always(&self, log: &Log, found: &[Found]) -> Result<(), Violation> {
        for anchor in &log.ended {
            // A person ends when nobody is left of whoever they were.
            let names = log.names.get(anchor).into_iter().flatten();
            if let Some(there) = names.into_iter().find(|number| !self.number_may_go(number)) {
                let how = format!("{there} was deleted in the tenant, and is in the forest");
                return Err(Violation::of(Law::NoDeletionWithoutACause, how));
            }
        }
        for (number, anchors) in &log.anchors {
            if anchors.len() > 1 && !self.number_may_go(number) {
                let how = format!("{number} was written under the anchors {anchors:?}");
                return Err(Violation::of(Law::AnchorsStay, how));
            }
        }
        let mut seen = BTreeMap::new();
        for object in found {
            if let Some(other) = seen.insert(&object.number, &object.anchor)
                && !self.number_may_go(&object.number)
            {
                let how = format!("{} is there as {other} and as {}", object.number, object.anchor);
                return Err(Violation::of(Law::NothingDoubled, how));
            }
            let written = log.names.get(&object.anchor);
            if written.is_some_and(|numbers| !numbers.contains(&object.number)) {
                let how = format!("{} was never written as {}", object.number, object.anchor);
                return Err(Violation::of(Law::AnchorsStay, how));
            }
        }
        Ok(())
    }

    /// What the tenant is to have, where it shows who is joined with whom, at the end.
    ///
    /// # Errors
    /// The law that is broken by who is joined, or not, and who is not there at all.
    pub fn expected(&self, found: &'f [Found]) -> Result<BTreeMap<String, Shown>, Violation> {
        let persons = self.persons(found)?;
        self.nobody_is_absent(&persons)?;
        self.all_that_match(&persons)?;
        let mut as_whom = BTreeMap::new();
        for person in &persons {
            let Some(first) = person.accounts().next() else { continue };
            let each = person.members.iter().map(|member| (member.number(), first.number()));
            as_whom.extend(each);
        }
        let as_whom = |number: String| match self.numbered(&number) {
            Some(_) => as_whom.get(&number).cloned(),
            None => Some(number),
        };
        let mut all = expected::of(self.forests);
        all.retain(|number, _| self.numbered(number).is_none());
        for group in all.values_mut() {
            group.members = group.members.iter().cloned().filter_map(as_whom).collect();
        }
        all.extend(persons.iter().filter_map(|person| {
            let number = person.accounts().next()?.number();
            Some((number, self.shown(person, &as_whom)))
        }));
        Ok(all)
    }

    /// The persons that the tenant shows, each of those whose marks it shows.
    fn persons(&self, found: &'f [Found]) -> Result<Vec<Person<'f>>, Violation> {
        let mut persons = Vec::new();
        let mut taken = BTreeSet::new();
        for one in found.iter().filter(|one| one.shown.kind == "user") {
            let marks = one.shown.attributes.get("businessPhones").map_or("", String::as_str);
            let mut members = Vec::new();
            for mark in marks.split('|') {
                let member = self.numbered(mark);
                let member = member.filter(|member| member.is_account() || member.is_mailbox());
                let Some(member) = member else {
                    let how = format!("{} still has what {mark} gave it", one.number);
                    return Err(Violation::of(Law::NothingDoubled, how));
                };
                if !taken.insert(mark) {
                    let how = format!("{mark} is part of two persons");
                    return Err(Violation::of(Law::NothingDoubled, how));
                }
                members.push(member);
            }
            members.sort_by_key(|member| member.place);
            persons.push(Person { anchor: &one.anchor, members });
        }
        for person in &persons {
            self.may_be_one(person)?;
        }
        Ok(persons)
    }

    /// Whether a person's objects may be one, and may have that anchor.
    fn may_be_one(&self, person: &Person<'_>) -> Result<(), Violation> {
        let numbers: Vec<_> = person.members.iter().map(Member::number).collect();
        let wrong =
            |how: &str| Err(Violation::of(Law::JoinsWhatMatches, format!("{numbers:?} {how}")));
        if person.accounts().next().is_none() {
            return wrong("are a person without an account");
        }
        for (at, one) in person.members.iter().enumerate() {
            for other in &person.members[at + 1..] {
                if one.place == other.place {
                    return wrong("are one person, and of one forest");
                }
                if !one.ever_matched(other) {
                    return wrong("are one person, and never had anything in common");
                }
            }
        }
        let founder = self.all.iter().find(|one| own_anchor(one.object.guid) == *person.anchor);
        let is_own = founder
            .is_some_and(|founder| numbers.contains(&founder.number()) || self.may_go(founder));
        if is_own { Ok(()) } else { wrong("have the anchor of somebody else, who is there") }
    }

    /// Who makes a person and is part of none has a reason: whom the rules find for them cannot be decided, or is
    /// taken, or somebody else has the anchor.
    fn nobody_is_absent(&self, persons: &[Person<'_>]) -> Result<(), Violation> {
        let is_part = |member: &Member<'_>| {
            let number = member.number();
            persons.iter().any(|person| person.members.iter().any(|one| one.number() == number))
        };
        let absent: Vec<_> = self.all.iter().filter(|member| !is_part(member)).collect();
        let lost_anchor = |member: &Member<'_>| {
            let own = own_anchor(member.object.guid);
            persons.iter().any(|person| person.anchor == own)
        };
        for member in absent.iter().filter(|member| member.is_account()) {
            // Whoever lost the anchor has nobody in the tenant, and is found by others all the same.
            let is_found = |other: &&&Member<'_>| lost_anchor(other) && other.ever_matched(member);
            if lost_anchor(member) || absent.iter().any(|other| is_found(&other)) {
                continue;
            }
            if let Some(how) = undecidable(member, persons) {
                return Err(Violation::of(Law::NothingLost, format!("{}: {how}", member.number())));
            }
        }
        for mailbox in absent.iter().filter(|member| member.is_mailbox()) {
            let master = mailbox.value(MASTER);
            let is_account = |one: &Member<'_>| {
                one.is_account() && one.place != mailbox.place && one.value("objectSid") == master
            };
            let of = persons.iter().find(|person| person.members.iter().any(is_account));
            if of.is_some_and(|person| !person.has_of(mailbox.place)) {
                let how = format!("{} is not part of the person of its account", mailbox.number());
                return Err(Violation::of(Law::JoinsAllThatMatch, how));
            }
        }
        Ok(())
    }

    /// Two who always had the same, which nobody else ever had, are one.
    fn all_that_match(&self, persons: &[Person<'_>]) -> Result<(), Violation> {
        let constant = |member: &Member<'_>| {
            let mail = member.ever("mail");
            let is_plain = member.ever(EMPLOYEE).iter().all(Option::is_none);
            let mail = mail.iter().next().filter(|_| mail.len() == 1 && is_plain).cloned();
            mail.flatten().filter(|_| member.is_account())
        };
        for (at, one) in self.all.iter().enumerate() {
            let Some(mail) = constant(one) else { continue };
            for other in self.all[at + 1..].iter().filter(|other| other.place != one.place) {
                if constant(other).as_ref() != Some(&mail) {
                    continue;
                }
                let both = [one.number(), other.number()];
                let is_other = |third: &&Member<'_>| !both.contains(&third.number());
                let comes_between = |third: &Member<'_>| {
                    third.ever("mail").contains(&Some(mail.clone()))
                        || third.ever(MASTER).iter().flatten().any(|sid| {
                            let of =
                                |one: &Member<'_>| one.value("objectSid").as_ref() == Some(sid);
                            of(one) || of(other)
                        })
                };
                if self.all.iter().filter(is_other).any(comes_between) {
                    continue;
                }
                let is_one = |person: &Person<'_>| {
                    both.iter().all(|number| person.members.iter().any(|m| m.number() == *number))
                };
                if !persons.iter().any(is_one) {
                    let how =
                        format!("{both:?} always had the same address, and are not one person");
                    return Err(Violation::of(Law::JoinsAllThatMatch, how));
                }
            }
        }
        Ok(())
    }

    /// What the tenant is to show of a person.
    fn shown(&self, person: &Person<'_>, as_whom: &dyn Fn(String) -> Option<String>) -> Shown {
        let of = |member: &Member<'_>| shown(self.forests, member.forest, member.object, as_whom);
        let mut all = Shown {
            kind: "user",
            attributes: BTreeMap::new(),
            members: BTreeSet::new(),
            // Of two who could have one, the one of the earlier forest says whether there is one.
            manager: person.members.first().and_then(|first| of(first).manager),
        };
        for account in person.accounts() {
            for (name, value) in of(account).attributes {
                all.attributes.entry(name).or_insert(value);
            }
        }
        for mailbox in person.members.iter().filter(|one| !one.is_account()) {
            let given = of(mailbox).attributes;
            if let Some(mail) = given.get("mail") {
                all.attributes.entry("mail").or_insert_with(|| mail.clone());
            }
            // It has the person's addresses where the account has none.
            if let Some(addresses) = given.get("proxyAddresses") {
                let addresses = without_other_cases(addresses);
                all.attributes.entry("proxyAddresses").or_insert(addresses);
            }
        }
        let marks: BTreeSet<_> = person
            .members
            .iter()
            .filter_map(|one| {
                let mark = one.object.attributes.get(MARK)?.first()?;
                Some(String::from_utf8_lossy(mark).into_owned())
            })
            .collect();
        let marks: Vec<_> = marks.into_iter().collect();
        all.attributes.insert("businessPhones", marks.join("|"));
        all
    }
}

/// Who is one person with whom, to be held against a later moment: the numbers of those who are several.
#[must_use]
pub fn joins(found: &[Found]) -> BTreeSet<String> {
    let marks = found.iter().filter_map(|one| one.shown.attributes.get("businessPhones"));
    marks.filter(|marks| marks.contains('|')).cloned().collect()
}

/// Nothing if the rules cannot decide with whom an account is one; else what they decide.
fn undecidable(member: &Member<'_>, persons: &[Person<'_>]) -> Option<&'static str> {
    let mut is_ambiguous = false;
    for attribute in JOINED_BY {
        let Some(value) = member.value(attribute) else { continue };
        let found =
            persons.iter().filter(|person| person.value(attribute).as_ref() == Some(&value));
        let found: Vec<_> = found.collect();
        match found.as_slice() {
            [] => {}
            [one] if one.has_of(member.place) => return None,
            [_] => return Some("is part of nobody, though the rules find one"),
            _ => is_ambiguous = true,
        }
    }
    (!is_ambiguous).then_some("is nobody, though the rules find nobody")
}

/// Addresses, of which those that differ in case alone are one.
fn without_other_cases(addresses: &str) -> String {
    let mut all = BTreeSet::<&str>::new();
    for address in addresses.split('|') {
        if !all.iter().any(|there| there.eq_ignore_ascii_case(address)) {
            all.insert(address);
        }
    }
    all.into_iter().collect::<Vec<_>>().join("|")
}
