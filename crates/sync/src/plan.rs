//! The plan: which changes bring the tenant to what the forest holds.
//!
//! It is made in two passes over the objects, neither of which holds them: a
//! [`Selector`](crate::Selector) finds out which are in scope, then a [`Planner`] looks at each of them
//! and at what the tenant holds of it.

use portolan_model::SourceAnchor;

use crate::anchor::{self, AnchorError, AnchorShared};
use crate::flow::{self, Domains, TenantKind, TenantObject, Warning};
use crate::forest::{ForestObject, ObjectKind};
use crate::selection::Selection;

/// Notes that are kept word for word; of the others their number.
const NOTES_MAX: usize = 1_000;

/// One change of the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An object that the tenant does not have.
    Add(TenantObject),
    /// An object that the tenant holds otherwise, as it should be.
    Update(TenantObject),
    /// An object that left the forest or the scope, as the tenant holds it.
    Delete(TenantObject),
}

impl Change {
    /// The object that is changed.
    #[must_use]
    pub const fn object(&self) -> &TenantObject {
        match self {
            Self::Add(object) | Self::Update(object) | Self::Delete(object) => object,
        }
    }
}

/// What an administrator should know of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// Objects that are synchronised otherwise than they are in the forest, by name.
    pub warnings: Vec<(String, Warning)>,
    /// Objects without an anchor of their own: they keep their last exported state, or, when they
    /// have none, are left out.
    pub errors: Vec<AnchorError>,
    /// How many more there were than are kept here.
    pub untold: usize,
}

impl Notes {
    fn warn(&mut self, name: &str, warning: Warning) {
        if self.warnings.len() < NOTES_MAX {
            self.warnings.push((name.to_owned(), warning));
        } else {
            self.untold += 1;
        }
    }

    fn err(&mut self, error: AnchorError) {
        if self.errors.len() < NOTES_MAX {
            self.errors.push(error);
        } else {
            self.untold += 1;
        }
    }
}

/// The kinds of object in the forest in the order in which they are sent, each after those that it
/// refers to. Deletions go before all of them: they make room for names that pass to others.
pub const SENT_IN_ORDER: [&[ObjectKind]; 3] =
    [&[ObjectKind::User, ObjectKind::InetOrgPerson], &[ObjectKind::Contact], &[ObjectKind::Group]];

/// The second pass.
#[derive(Debug, Clone, Copy)]
pub struct Planner<'a> {
    /// What the first one found.
    pub selection: &'a Selection,
    /// The forest's and the tenant's domains.
    pub domains: &'a Domains,
}

impl Planner<'_> {
    /// The anchor of an object that is looked at: what the tenant holds is to be found by it. `None`
    /// for an object that stays as it is in the tenant or out of it; why, if it is an error, is noted.
    pub fn anchor(&self, object: &ForestObject, notes: &mut Notes) -> Option<SourceAnchor> {
        if let Some(anchor) = self.selection.disputed(&object.guid) {
            let (dn, anchor) = (object.dn.to_string(), anchor.clone());
            notes.err(AnchorShared { dn, anchor }.into());
            return None;
        }
        let anchor = self.selection.anchor(&object.guid)?;
        if self.selection.is_held(&object.guid) {
            if let Err(error) = anchor::of(object, Some(&anchor)) {
                notes.err(error.into());
            }
            return None;
        }
        Some(anchor)
    }

    /// The change that an object takes, given what the tenant holds under its anchor.
    pub fn change(
        &self,
        object: &ForestObject,
        anchor: SourceAnchor,
        held: Option<&TenantObject>,
        notes: &mut Notes,
    ) -> Option<Change> {
        let (wanted, warning) = flow::project(object, anchor, self.domains, self.selection);
        if let Some(warning) = warning {
            notes.warn(object.dn.as_str(), warning);
        }
        match held {
            None => Some(Change::Add(wanted)),
            Some(held) if *held != wanted => Some(Change::Update(wanted)),
            Some(_) => None,
        }
    }
}

/// How many changes there are of each sort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Objects that the tenant did not have.
    pub added: usize,
    /// Objects that it held otherwise.
    pub updated: usize,
    /// Objects that it should not have.
    pub deleted: usize,
}

impl Counts {
    /// Counts a change.
    pub const fn count(&mut self, change: &Change) {
        match change {
            Change::Add(_) => self.added += 1,
            Change::Update(_) => self.updated += 1,
            Change::Delete(_) => self.deleted += 1,
        }
    }
}

impl TenantKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::User, Self::Contact, Self::Group, Self::Device];
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use portolan_model::Guid;

    use super::*;
    use crate::anchors::Anchors;
    use crate::guard::{Losses, TooManyDeletions};
    use crate::scope::tests::object;
    use crate::selection::Selector;

    type Exported = BTreeMap<SourceAnchor, TenantObject>;

    /// A plan as a driver makes it.
    struct Plan {
        selection: Selection,
        changes: Vec<Change>,
        counts: (usize, usize, usize),
        notes: Notes,
    }

    fn user(name: &str) -> ForestObject {
        let dn = format!("CN={name},DC=corp,DC=example");
        object("user", &dn, &[("sAMAccountName", name), ("sAMAccountType", "805306368")])
    }

    fn compute(objects: &[ForestObject], exported: &Exported) -> Plan {
        compute_with(objects, &BTreeMap::new(), exported)
    }

    fn compute_with(
        objects: &[ForestObject],
        fixed: &BTreeMap<Guid, SourceAnchor>,
        exported: &Exported,
    ) -> Plan {
        let fixed: Anchors = fixed.iter().map(|(guid, anchor)| (*guid, anchor.clone())).collect();
        let mut selector = Selector::new(fixed);
        objects.iter().for_each(|object| selector.offer(object));
        let selection = selector.finish();
        let domains = Domains {
            forest: "corp.example".parse().unwrap(),
            initial: "cloud.example".parse().unwrap(),
            verified: ["corp.example", "cloud.example"].map(|name| name.parse().unwrap()).into(),
        };
        let planner = Planner { selection: &selection, domains: &domains };
        let mut notes = Notes::default();
        let gone = exported.values().filter(|held| !selection.keeps(&held.anchor));
        let mut changes: Vec<_> = gone.cloned().map(Change::Delete).collect();
        for kinds in SENT_IN_ORDER {
            for object in objects.iter().filter(|object| kinds.contains(&object.kind)) {
                let Some(anchor) = planner.anchor(object, &mut notes) else { continue };
                let held = exported.get(&anchor);
                changes.extend(planner.change(object, anchor.clone(), held, &mut notes));
            }
        }
        let mut counts = Counts::default();
        changes.iter().for_each(|change| counts.count(change));
        let counts = (counts.added, counts.updated, counts.deleted);
        Plan { selection, changes, counts, notes }
    }

    fn guard(plan: &Plan, exported: &Exported, allowed: usize) -> Result<(), TooManyDeletions> {
        let mut losses = Losses::default();
        for held in exported.values() {
            losses.count(held.kind, plan.selection.keeps(&held.anchor));
        }
        losses.check_export(allowed)
    }

    fn apply(plan: &Plan, exported: &mut Exported) {
        for change in &plan.changes {
            let object = change.object().clone();
            match change {
                Change::Delete(_) => _ = exported.remove(&object.anchor),
                _ => _ = exported.insert(object.anchor.clone(), object),
            }
        }
    }

    #[test]
    fn a_plan_that_was_applied_leaves_nothing_to_do() {
        let objects = [user("a"), user("b")];
        let mut exported = BTreeMap::new();
        let plan = compute(&objects, &exported);
        assert_eq!(plan.counts, (2, 0, 0));
        apply(&plan, &mut exported);
        assert_eq!(compute(&objects, &exported).counts, (0, 0, 0));
    }

    #[test]
    fn changes_are_sent_deletions_first_and_groups_last() {
        let mut exported = BTreeMap::new();
        apply(&compute(&[user("gone")], &exported), &mut exported);
        let group = object("group", "CN=g,DC=corp,DC=example", &[("sAMAccountName", "g")]);
        let mail =
            [("mail", "c@elsewhere.example"), ("proxyAddresses", "SMTP:c@elsewhere.example")];
        let contact = object("contact", "CN=c,DC=corp,DC=example", &mail);
        let plan = compute(&[group, contact, user("b")], &exported);
        let order: Vec<_> = plan.changes.iter().map(|change| change.object().kind).collect();
        let (user, contact) = (TenantKind::User, TenantKind::Contact);
        assert_eq!(order, [user, user, contact, TenantKind::Group]);
        assert!(matches!(plan.changes[0], Change::Delete(_)));
    }

    #[test]
    fn a_member_out_of_scope_is_no_reference() {
        let (inside, outside) =
            (user("a"), object("user", "CN=x,DC=corp,DC=example", &[("sAMAccountName", "x")]));
        let mut group = object("group", "CN=g,DC=corp,DC=example", &[("sAMAccountName", "g")]);
        group.members = vec![inside.guid, outside.guid, inside.guid];
        let anchor = SourceAnchor::from(inside.guid);
        let plan = compute(&[group, inside, outside], &BTreeMap::new());
        let Some(Change::Add(group)) = plan.changes.last() else { panic!("groups come last") };
        assert_eq!(group.members, [anchor]);
    }

    #[test]
    fn an_empty_forest_does_not_empty_the_tenant() {
        let objects: Vec<_> = (0..40).map(|n| user(&format!("u{n}"))).collect();
        let mut exported = BTreeMap::new();
        apply(&compute(&objects, &exported), &mut exported);
        let plan = compute(&[], &exported);
        let error = guard(&plan, &exported, 0).unwrap_err();
        assert_eq!((error.deletions, error.limit), (40, 10));
        assert!(guard(&plan, &exported, 40).is_ok());
    }

    fn marked(name: &str, guid: &str) -> ForestObject {
        let dn = format!("CN={name},DC=corp,DC=example");
        let kind = ("sAMAccountType", "805306368");
        object("user", &dn, &[("sAMAccountName", name), kind, ("mS-DS-ConsistencyGuid", guid)])
    }

    #[test]
    fn new_objects_with_the_same_anchor_are_left_out_and_named_and_stop_nobody_else() {
        let objects = [marked("a", "0123456789abcdef"), user("b"), marked("c", "0123456789abcdef")];
        let plan = compute(&objects, &BTreeMap::new());
        assert_eq!(plan.counts, (1, 0, 0));
        assert_eq!(
            plan.selection.new_anchors().map(|(guid, _)| guid).collect::<Vec<_>>(),
            [objects[1].guid]
        );
        assert_eq!(plan.selection.password_users().collect::<Vec<_>>(), [objects[1].guid]);
        let errors: Vec<_> = plan.notes.errors.iter().map(ToString::to_string).collect();
        let error = |name| {
            format!(
                "CN={name},DC=corp,DC=example has the anchor MDEyMzQ1Njc4OWFiY2RlZg== of another object; clear or correct its mS-DS-ConsistencyGuid"
            )
        };
        assert_eq!(errors, [error("a"), error("c")]);
    }

    #[test]
    fn a_new_object_cannot_take_the_object_guid_of_another_new_one() {
        let owner = user("owner");
        let octets = owner.guid.to_bytes_le();
        let mut thief = user("thief");
        thief.attributes.insert("ms-ds-consistencyguid".to_owned(), vec![octets.to_vec()]);
        let plan = compute(&[owner.clone(), thief.clone()], &BTreeMap::new());
        assert_eq!((plan.counts, plan.notes.errors.len()), ((0, 0, 0), 2));
        let fixed = [(thief.guid, SourceAnchor::from(owner.guid))].into();
        let plan = compute_with(&[owner, thief], &fixed, &BTreeMap::new());
        assert_eq!((plan.counts, plan.notes.errors.len()), ((1, 0, 0), 1), "it was there first");
    }

    #[test]
    fn an_anchor_that_was_set_is_its_objects_also_when_that_is_gone() {
        let (owner, thief) = (marked("a", "0123456789abcdef"), marked("b", "0123456789abcdef"));
        let anchor: SourceAnchor = "MDEyMzQ1Njc4OWFiY2RlZg==".parse().unwrap();
        let fixed = [(owner.guid, anchor.clone())].into();
        let mut exported = BTreeMap::new();
        apply(&compute_with(std::slice::from_ref(&owner), &fixed, &exported), &mut exported);
        let plan = compute_with(&[thief.clone(), owner.clone()], &fixed, &exported);
        assert_eq!((plan.counts, plan.notes.errors.len()), ((0, 0, 0), 1));
        assert_eq!(plan.selection.anchor(&owner.guid), Some(anchor.clone()));
        assert_eq!(plan.selection.password_anchor(&owner.guid), Some(anchor));
        assert_eq!(plan.selection.len(), 1);
        let plan = compute_with(&[thief], &fixed, &exported);
        assert_eq!((plan.counts, plan.notes.errors.len()), ((0, 0, 1), 1));
    }

    #[test]
    fn an_object_whose_anchor_was_changed_keeps_its_state_and_sends_no_password() {
        let before = user("a");
        let fixed = [(before.guid, SourceAnchor::from(before.guid))].into();
        let mut exported = BTreeMap::new();
        apply(&compute_with(std::slice::from_ref(&before), &fixed, &exported), &mut exported);
        let plan = compute_with(&[marked("a", "0123456789abcdef")], &fixed, &exported);
        assert_eq!((plan.counts, plan.notes.errors.len()), ((0, 0, 0), 1));
        assert_eq!(plan.selection.password_users().count(), 0);
        assert_eq!(plan.selection.password_anchor(&before.guid), None);
        assert!(plan.selection.anchor(&before.guid).is_some());
    }

    #[test]
    fn krbtgt_is_neither_exported_nor_its_password_read() {
        // Its sAMAccountType is that of a normal user.
        let kind = ("sAMAccountType", "805306368");
        let name = ("sAMAccountName", "krbtgt");
        let critical = ("isCriticalSystemObject", "TRUE");
        for attributes in [&[name, kind, critical][..], &[name, kind]] {
            let krbtgt = object("user", "CN=krbtgt,CN=Users,DC=corp,DC=example", attributes);
            let plan = compute(&[krbtgt], &BTreeMap::new());
            assert!(plan.changes.is_empty() && plan.selection.is_empty());
            assert_eq!(plan.selection.password_users().count(), 0);
        }
    }

    #[test]
    fn notes_beyond_their_limit_are_counted() {
        let mut notes = Notes::default();
        for _ in 0..NOTES_MAX + 3 {
            let (found, used) = (String::new(), String::new());
            notes.warn("CN=a", Warning::IllegalUpn { found, used });
        }
        assert_eq!((notes.warnings.len(), notes.untold), (NOTES_MAX, 3));
    }
}
