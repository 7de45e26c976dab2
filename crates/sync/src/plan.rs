//! The plan: which changes bring the tenant to what the forest holds.

use std::collections::{BTreeMap, BTreeSet};

use portolan_model::{DnsName, Guid, SourceAnchor};

use crate::anchor::{self, AnchorError, AnchorShared};
use crate::flow::{self, Surroundings, TenantKind, TenantObject, Warning};
use crate::forest::{ForestObject, ObjectKind};
use crate::guard::{self, TooManyDeletions};
use crate::scope::{self, OutOfScope};

/// What a synchronisation is computed from.
#[derive(Debug)]
pub struct Input<'a> {
    /// All objects of the forest, as the last import left them.
    pub objects: &'a [ForestObject],
    /// The anchors that earlier imports set.
    pub fixed_anchors: &'a BTreeMap<Guid, SourceAnchor>,
    /// What the tenant has acknowledged, by anchor.
    pub exported: &'a BTreeMap<SourceAnchor, TenantObject>,
    /// The forest's domain.
    pub forest_domain: &'a DnsName,
    /// The tenant's own domain.
    pub initial_domain: &'a DnsName,
    /// The domains that the tenant has verified.
    pub verified_domains: &'a [DnsName],
}

/// One change of the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An object that the tenant does not have.
    Add(TenantObject),
    /// An object that the tenant holds otherwise, as it should be.
    Update(TenantObject),
    /// An object that left the forest or the scope.
    Delete {
        /// What identifies it.
        anchor: SourceAnchor,
        /// What it is.
        kind: TenantKind,
    },
}

/// The changes, and what was noticed on the way.
#[derive(Debug, Default)]
pub struct Plan {
    /// Changes in the order in which they are sent: users, then groups, then deletions.
    pub changes: Vec<Change>,
    /// The anchors of all objects in scope.
    pub anchors: BTreeMap<Guid, SourceAnchor>,
    /// Objects in scope that sign in with their password hash, by objectGUID.
    pub with_password_hash: BTreeSet<Guid>,
    /// How many objects each rule left out.
    pub left_out: BTreeMap<OutOfScope, usize>,
    /// Warnings by the object's name.
    pub warnings: Vec<(String, Warning)>,
    /// Objects whose anchor was tampered with: they keep their last exported state, or, when they
    /// have none, are left out.
    pub errors: Vec<AnchorError>,
}

impl Plan {
    /// Computes the plan.
    #[must_use]
    pub fn compute(input: &Input<'_>) -> Self {
        let mut plan = Self::default();
        let in_scope = plan.select(input);
        let surroundings = Surroundings {
            forest_domain: input.forest_domain,
            initial_domain: input.initial_domain,
            verified_domains: input.verified_domains,
            anchors: &plan.anchors,
        };
        let mut changes = Vec::new();
        for (object, anchor) in in_scope {
            let (wanted, warnings) = flow::project(object, anchor, &surroundings);
            plan.warnings.extend(warnings.into_iter().map(|w| (object.dn.to_string(), w)));
            match input.exported.get(&wanted.anchor) {
                None => changes.push(Change::Add(wanted)),
                Some(held) if *held != wanted => changes.push(Change::Update(wanted)),
                Some(_) => {}
            }
        }
        changes.sort_by_key(|change| match change {
            Change::Add(object) | Change::Update(object) => object.kind,
            Change::Delete { kind, .. } => *kind,
        });
        changes.extend(plan.deletions(input));
        plan.changes = changes;
        plan
    }

    /// Fills in the anchors and the counts, and returns the objects that are synchronised.
    fn select<'a>(&mut self, input: &Input<'a>) -> Vec<(&'a ForestObject, SourceAnchor)> {
        let mut candidates = Vec::new();
        for object in input.objects {
            if let Err(rule) = scope::check(object) {
                *self.left_out.entry(rule).or_default() += 1;
                continue;
            }
            match anchor::of(object, input.fixed_anchors.get(&object.guid)) {
                Ok(anchor) => candidates.push((object, anchor)),
                Err(error) => {
                    self.anchors.insert(object.guid, error.fixed.clone());
                    self.errors.push(error.into());
                }
            }
        }
        let shared = shared_anchors(input, &candidates);
        candidates.retain(|(object, anchor)| {
            let owned = input.fixed_anchors.contains_key(&object.guid);
            if !owned && shared.contains(anchor) {
                let (dn, anchor) = (object.dn.to_string(), anchor.clone());
                self.errors.push(AnchorShared { dn, anchor }.into());
                return false;
            }
            self.anchors.insert(object.guid, anchor.clone());
            if object.kind == ObjectKind::User {
                self.with_password_hash.insert(object.guid);
            }
            true
        });
        candidates
    }

    fn deletions(&self, input: &Input<'_>) -> Vec<Change> {
        let kept: BTreeSet<_> = self.anchors.values().collect();
        input
            .exported
            .values()
            .filter(|held| !kept.contains(&held.anchor))
            .map(|held| Change::Delete { anchor: held.anchor.clone(), kind: held.kind })
            .collect()
    }

    /// The anchor of an object, if it is in scope and signs in with its password hash.
    #[must_use]
    pub fn password_anchor(&self, guid: &Guid) -> Option<SourceAnchor> {
        self.with_password_hash.get(guid).and_then(|guid| self.anchors.get(guid)).cloned()
    }

    /// The objects in scope that sign in with their password hash.
    pub fn password_users(&self) -> impl Iterator<Item = Guid> {
        self.with_password_hash.iter().copied()
    }

    /// How many changes add, update and delete.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        self.changes.iter().fold((0, 0, 0), |(add, update, delete), change| match change {
            Change::Add(_) => (add + 1, update, delete),
            Change::Update(_) => (add, update + 1, delete),
            Change::Delete { .. } => (add, update, delete + 1),
        })
    }

    /// Lets the plan through if it does not take too much away. `allowed` is the number of deletions
    /// of a kind that the operator let through for this run.
    ///
    /// # Errors
    /// [`TooManyDeletions`] for the first kind above its limit.
    pub fn check_deletions(
        &self,
        exported: &BTreeMap<SourceAnchor, TenantObject>,
        allowed: usize,
    ) -> Result<(), TooManyDeletions> {
        for kind in [TenantKind::User, TenantKind::Group] {
            let deletions = self
                .changes
                .iter()
                .filter(|change| matches!(change, Change::Delete { kind: k, .. } if *k == kind))
                .count();
            if deletions > allowed {
                let held = exported.values().filter(|object| object.kind == kind).count();
                guard::check(kind, deletions, held)?;
            }
        }
        Ok(())
    }
}

/// Anchors that an object which has none yet cannot have: those set for others, and those that
/// several new ones would have.
fn shared_anchors(
    input: &Input<'_>,
    candidates: &[(&ForestObject, SourceAnchor)],
) -> BTreeSet<SourceAnchor> {
    let mut seen: BTreeSet<_> = input.fixed_anchors.values().collect();
    let new =
        candidates.iter().filter(|(object, _)| !input.fixed_anchors.contains_key(&object.guid));
    new.filter(|(_, anchor)| !seen.insert(anchor)).map(|(_, anchor)| anchor.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::tests::object;

    fn user(name: &str) -> ForestObject {
        let dn = format!("CN={name},DC=corp,DC=example");
        object("user", &dn, &[("sAMAccountName", name), ("sAMAccountType", "805306368")])
    }

    fn compute(objects: &[ForestObject], exported: &BTreeMap<SourceAnchor, TenantObject>) -> Plan {
        compute_with(objects, &BTreeMap::new(), exported)
    }

    fn compute_with(
        objects: &[ForestObject],
        fixed_anchors: &BTreeMap<Guid, SourceAnchor>,
        exported: &BTreeMap<SourceAnchor, TenantObject>,
    ) -> Plan {
        let [corp, cloud]: [DnsName; 2] =
            ["corp.example", "cloud.example"].map(|n| n.parse().unwrap());
        Plan::compute(&Input {
            objects,
            fixed_anchors,
            exported,
            forest_domain: &corp,
            initial_domain: &cloud,
            verified_domains: std::slice::from_ref(&corp),
        })
    }

    fn apply(plan: &Plan, exported: &mut BTreeMap<SourceAnchor, TenantObject>) {
        for change in &plan.changes {
            match change {
                Change::Add(object) | Change::Update(object) => {
                    exported.insert(object.anchor.clone(), object.clone());
                }
                Change::Delete { anchor, .. } => {
                    exported.remove(anchor);
                }
            }
        }
    }

    #[test]
    fn a_plan_that_was_applied_leaves_nothing_to_do() {
        let objects = [user("a"), user("b")];
        let mut exported = BTreeMap::new();
        let first = compute(&objects, &exported);
        assert_eq!(first.counts(), (2, 0, 0));
        apply(&first, &mut exported);
        assert_eq!(compute(&objects, &exported).counts(), (0, 0, 0));
    }

    #[test]
    fn what_left_the_forest_is_deleted_last() {
        let mut exported = BTreeMap::new();
        apply(&compute(&[user("a"), user("b")], &exported), &mut exported);
        let plan = compute(&[user("a"), user("c")], &exported);
        assert_eq!(plan.counts(), (1, 0, 1));
        assert!(matches!(plan.changes.last(), Some(Change::Delete { .. })));
    }

    #[test]
    fn a_member_out_of_scope_is_no_member_in_the_tenant() {
        let inside = user("a");
        let outside = object("user", "CN=MSOL_x,DC=x", &[("sAMAccountName", "MSOL_x")]);
        let mut group = object("group", "CN=g,DC=x", &[("sAMAccountName", "g")]);
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
        let error = plan.check_deletions(&exported, 0).unwrap_err();
        assert_eq!((error.deletions, error.limit), (40, 10));
        assert!(plan.check_deletions(&exported, 40).is_ok());
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
        assert_eq!(plan.counts(), (1, 0, 0));
        assert_eq!(plan.anchors.keys().collect::<Vec<_>>(), [&objects[1].guid]);
        assert_eq!(plan.with_password_hash, [objects[1].guid].into());
        let errors: Vec<_> = plan.errors.iter().map(ToString::to_string).collect();
        let error = |name| {
            format!(
                "CN={name},DC=corp,DC=example has the anchor MDEyMzQ1Njc4OWFiY2RlZg== of another object; clear or correct its mS-DS-ConsistencyGuid"
            )
        };
        assert_eq!(errors, [error("a"), error("c")]);
    }

    #[test]
    fn an_anchor_that_was_set_is_its_objects_also_when_that_is_gone() {
        let (owner, thief) = (marked("a", "0123456789abcdef"), marked("b", "0123456789abcdef"));
        let anchor: SourceAnchor = "MDEyMzQ1Njc4OWFiY2RlZg==".parse().unwrap();
        let fixed = [(owner.guid, anchor.clone())].into();
        let mut exported = BTreeMap::new();
        apply(&compute_with(std::slice::from_ref(&owner), &fixed, &exported), &mut exported);
        let plan = compute_with(&[thief.clone(), owner.clone()], &fixed, &exported);
        assert_eq!((plan.counts(), plan.errors.len()), ((0, 0, 0), 1));
        assert_eq!(plan.anchors, [(owner.guid, anchor)].into());
        let plan = compute_with(&[thief], &fixed, &exported);
        assert_eq!((plan.counts(), plan.errors.len()), ((0, 0, 1), 1));
    }

    #[test]
    fn an_object_whose_anchor_was_changed_keeps_its_state_and_sends_no_password() {
        let before = user("a");
        let fixed = [(before.guid, SourceAnchor::from(before.guid))].into();
        let mut exported = BTreeMap::new();
        apply(&compute_with(&[before], &fixed, &exported), &mut exported);
        let plan = compute_with(&[marked("a", "0123456789abcdef")], &fixed, &exported);
        assert_eq!((plan.counts(), plan.errors.len()), ((0, 0, 0), 1));
        assert!(plan.with_password_hash.is_empty());
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
            assert!(plan.changes.is_empty() && plan.anchors.is_empty());
            assert!(plan.with_password_hash.is_empty());
        }
    }
}
