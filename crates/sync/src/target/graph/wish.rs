//! From what an engine wants exported to the changes that are made at Graph.

use portolan_model::SourceAnchor;

use super::capability;
use super::change::{Change, Desired, Fault, Value};
use crate::dictionary::Dictionary;
use crate::engine::PendingExport;
use crate::record::{Record, ValueRef, Values};
use crate::{AttributeId, TenantKind};

/// The references of an attribute that Graph takes one by one: whoever is in a group.
const MEMBERS: &str = "members";
/// The reference to a user's manager.
const MANAGER: &str = "manager";

/// An object of an engine that is to be written or deleted.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// What identifies it.
    pub anchor: &'a SourceAnchor,
    /// What it is.
    pub kind: TenantKind,
    /// What the target has of it, as far as that is known.
    pub confirmed: Option<&'a Record>,
    /// What is to be done.
    pub pending: &'a PendingExport,
}

/// A reference of an engine that is to be added or removed.
#[derive(Debug, Clone, Copy)]
pub struct ReferenceWish<'a> {
    /// The object that refers.
    pub anchor: &'a SourceAnchor,
    /// By which attribute.
    pub attribute: AttributeId,
    /// The object that it refers to.
    pub target: &'a SourceAnchor,
    /// Whether it is to be added, or removed.
    pub is_added: bool,
}

impl Wish<'_> {
    /// The change that it comes to: all of an object that is new or of which nothing is known, what
    /// differs of any other.
    #[must_use]
    pub fn change(&self, names: &Dictionary) -> Change {
        let (anchor, kind) = (self.anchor.clone(), self.kind);
        let wanted = match self.pending {
            PendingExport::Add(record) | PendingExport::Update(record) => record,
            PendingExport::Delete => return Change::Delete { anchor, kind },
        };
        let none = Record::default();
        let known = self.confirmed.unwrap_or(&none);
        let mut ids: Vec<_> = known.iter().chain(wanted).map(|(id, _)| id).collect();
        ids.sort_unstable();
        ids.dedup();
        let differing = ids.into_iter().filter(|id| !known.values(*id).eq(wanted.values(*id)));
        let attributes = differing.filter_map(|id| {
            let name = capability::spelled(names.name(id)?).to_owned();
            if capability::is_photo(&name, kind) {
                return None;
            }
            let value = value(&name, wanted.values(id));
            Some((name, value))
        });
        Change::Write(Desired { anchor, kind, attributes: attributes.collect() })
    }

    /// Why Graph cannot have the object at all; `None` when it can.
    #[must_use]
    pub fn inability(&self, names: &Dictionary) -> Option<Fault> {
        let PendingExport::Add(record) = self.pending else { return None };
        let security = names.id("securityEnabled").and_then(|id| record.first(id));
        match self.kind {
            TenantKind::Contact => Some(Fault::Unable("contacts")),
            TenantKind::Device => Some(Fault::Unable("devices")),
            TenantKind::Group if security != Some(ValueRef::Boolean(true)) => {
                Some(Fault::Unable("distribution groups"))
            }
            TenantKind::Group | TenantKind::User => None,
        }
    }
}

/// The changes of references of one attribute of one object; more than one when there are several
/// values of an attribute that has one. `None` when Graph has no such references.
#[must_use]
pub fn references(wishes: &[ReferenceWish<'_>], names: &Dictionary) -> Option<Vec<Change>> {
    let first = wishes.first()?;
    let anchors = |is_added| {
        let chosen = wishes.iter().filter(move |wish| wish.is_added == is_added);
        chosen.map(|wish| wish.target.clone()).collect::<Vec<_>>()
    };
    match names.name(first.attribute)? {
        name if name.eq_ignore_ascii_case(MEMBERS) => {
            let (add, remove) = (anchors(true), anchors(false));
            Some(vec![Change::Members { group: first.anchor.clone(), add, remove }])
        }
        // Who gets another manager has the former one no more.
        name if name.eq_ignore_ascii_case(MANAGER) => {
            let manager = anchors(true).pop();
            Some(vec![Change::Manager { user: first.anchor.clone(), manager }])
        }
        _ => None,
    }
}

/// Whether Graph takes an attribute of objects of a kind, or references by it.
#[must_use]
pub fn takes(name: &str, kind: TenantKind) -> bool {
    let refers = match kind {
        TenantKind::Group => name == MEMBERS,
        TenantKind::User => name == MANAGER,
        TenantKind::Contact | TenantKind::Device => false,
    };
    refers
        || capability::is_photo(name, kind)
        || capability::property(name, kind).is_some()
        || kind == TenantKind::User && capability::is_extension(name)
}

/// The values of an attribute as Graph has them; `None` of none.
pub(super) fn value(name: &str, mut values: Values<'_>) -> Option<Value> {
    if capability::is_list(name) {
        let texts: Vec<_> = values.map(|value| value.to_text().into_owned()).collect();
        return (!texts.is_empty()).then_some(Value::Texts(texts));
    }
    match values.next()? {
        ValueRef::Boolean(is) => Some(Value::Boolean(is)),
        value => Some(Value::Text(value.to_text().into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::record::Value as Held;

    struct World {
        names: Dictionary,
        anchor: SourceAnchor,
    }

    impl World {
        fn new() -> Self {
            Self { names: Dictionary::default(), anchor: "one".parse().unwrap() }
        }

        fn record(&mut self, values: &[(&str, Held)]) -> Record {
            let mut each: Vec<_> = values
                .iter()
                .map(|(name, value)| (self.names.intern(name).unwrap(), vec![value.clone()]))
                .collect();
            each.sort_by_key(|(id, _)| *id);
            each.into_iter().collect()
        }

        fn attributes(
            &self,
            confirmed: Option<&Record>,
            pending: &PendingExport,
        ) -> BTreeMap<String, Option<Value>> {
            let wish = Wish { anchor: &self.anchor, kind: TenantKind::User, confirmed, pending };
            let Change::Write(desired) = wish.change(&self.names) else { panic!("no write") };
            desired.attributes
        }
    }

    fn text(text: &str) -> Held {
        Held::Text(text.to_owned())
    }

    #[test]
    fn a_new_object_is_written_whole_and_a_known_one_as_far_as_it_differs() {
        let mut world = World::new();
        let before = world.record(&[
            ("displayName", text("Ann")),
            ("city", text("Ulm")),
            ("jobTitle", text("Baker")),
        ]);
        let after = world.record(&[
            ("displayName", text("Ann")),
            ("jobTitle", text("Chief")),
            ("businessPhones", text("1")),
            ("employeeID", text("7")),
            ("accountEnabled", Held::Boolean(true)),
        ]);
        let added = world.attributes(None, &PendingExport::Add(after.clone()));
        assert_eq!(
            added.keys().map(String::as_str).collect::<Vec<_>>(),
            ["accountEnabled", "businessPhones", "displayName", "employeeId", "jobTitle"]
        );
        assert_eq!(added["businessPhones"], Some(Value::Texts(vec!["1".to_owned()])));
        let changed = world.attributes(Some(&before), &PendingExport::Update(after.clone()));
        assert_eq!(
            changed.keys().map(String::as_str).collect::<Vec<_>>(),
            ["accountEnabled", "businessPhones", "city", "employeeId", "jobTitle"]
        );
        assert_eq!(changed["city"], None, "what is gone is taken away");
        assert_eq!(
            world.attributes(Some(&after), &PendingExport::Update(after.clone())),
            [].into()
        );
    }

    #[test]
    fn what_graph_does_not_make_is_said_of_the_object() {
        let mut world = World::new();
        let secure = world.record(&[("securityEnabled", Held::Boolean(true))]);
        let open = world.record(&[("securityEnabled", Held::Boolean(false))]);
        for (kind, record, expected) in [
            (TenantKind::User, &open, None),
            (TenantKind::Group, &secure, None),
            (TenantKind::Group, &open, Some("distribution groups")),
            (TenantKind::Contact, &open, Some("contacts")),
        ] {
            let pending = &PendingExport::Add(record.clone());
            let wish = Wish { anchor: &world.anchor, kind, confirmed: None, pending };
            assert_eq!(wish.inability(&world.names), expected.map(Fault::Unable), "{kind}");
        }
    }

    #[test]
    fn references_become_members_and_managers() {
        let mut world = World::new();
        let (members, manager) =
            (world.names.intern("members").unwrap(), world.names.intern("manager").unwrap());
        let other = world.names.intern("owners").unwrap();
        let (a, b): (SourceAnchor, SourceAnchor) = ("a".parse().unwrap(), "b".parse().unwrap());
        let wish = |attribute, target, is_added| ReferenceWish {
            anchor: &world.anchor,
            attribute,
            target,
            is_added,
        };
        let check = |wishes: &[ReferenceWish<'_>], expected: Option<Change>| {
            let changes = references(wishes, &world.names);
            assert_eq!(changes, expected.map(|change| vec![change]));
        };
        check(
            &[wish(members, &a, true), wish(members, &b, false)],
            Some(Change::Members {
                group: world.anchor.clone(),
                add: vec![a.clone()],
                remove: vec![b.clone()],
            }),
        );
        let user = world.anchor.clone();
        check(
            &[wish(manager, &a, false), wish(manager, &b, true)],
            Some(Change::Manager { user: user.clone(), manager: Some(b.clone()) }),
        );
        check(&[wish(manager, &a, false)], Some(Change::Manager { user, manager: None }));
        check(&[wish(other, &a, true)], None);
    }
}
