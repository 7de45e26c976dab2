//! Which objects of the forest are synchronised, under which anchor: the first of two passes.
//!
//! A [`Selector`] is offered every object once, in any order, and keeps some twenty octets of each
//! that is in scope. What it finds out, the [`Selection`], is what a member, a deletion and a password
//! are decided by.

use std::collections::{BTreeMap, BTreeSet};

use portolan_model::{Guid, SourceAnchor};

use crate::anchor;
use crate::anchors::Anchors;
use crate::forest::{ForestObject, ObjectKind};
use crate::scope::{self, OutOfScope};

/// What is known of an object in scope, besides its anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is synchronised.
    Synchronised,
    /// It is synchronised and signs in with its password hash.
    WithPassword,
    /// Its anchor was tampered with: the tenant keeps what it has.
    Held,
}

/// The first pass, under way.
#[derive(Debug)]
pub struct Selector {
    fixed: Anchors,
    seen: Vec<(Guid, Standing)>,
    /// Anchors of new objects that are not the text of their objectGUID.
    claimed: BTreeMap<Guid, SourceAnchor>,
    left_out: BTreeMap<OutOfScope, usize>,
}

/// The objects in scope.
#[derive(Debug, Default)]
pub struct Selection {
    anchors: Anchors,
    /// INVARIANT: sorted, each once.
    password_users: Vec<Guid>,
    held: BTreeSet<Guid>,
    disputed: BTreeMap<Guid, SourceAnchor>,
    unfixed: Vec<Guid>,
    left_out: BTreeMap<OutOfScope, usize>,
}

impl Selector {
    /// Begins with the anchors that earlier runs set.
    #[must_use]
    pub const fn new(fixed: Anchors) -> Self {
        Self { fixed, seen: Vec::new(), claimed: BTreeMap::new(), left_out: BTreeMap::new() }
    }

    /// Looks at an object.
    pub fn offer(&mut self, object: &ForestObject) {
        if let Err(rule) = scope::check(object) {
            *self.left_out.entry(rule).or_default() += 1;
            return;
        }
        let fixed = self.fixed.of(&object.guid);
        let standing = match anchor::of(object, fixed.as_ref()) {
            Err(_) => Standing::Held,
            Ok(anchor) => {
                if fixed.is_none() && anchor.guid() != Some(object.guid) {
                    self.claimed.insert(object.guid, anchor);
                }
                match object.kind {
                    ObjectKind::User => Standing::WithPassword,
                    _ => Standing::Synchronised,
                }
            }
        };
        self.seen.push((object.guid, standing));
    }

    /// Ends the pass: every object was offered. An anchor that was set belongs to its object; of new
    /// objects that would share one, none gets it.
    #[must_use]
    pub fn finish(mut self) -> Selection {
        self.seen.sort_unstable_by_key(|(guid, _)| *guid);
        self.seen.dedup_by_key(|(guid, _)| *guid);
        let disputed = self.disputed();
        let mut selection = Selection { left_out: self.left_out, ..Selection::default() };
        let mut anchors = Vec::with_capacity(self.seen.len());
        for (guid, standing) in &self.seen {
            if disputed.contains_key(guid) {
                continue;
            }
            let fixed = self.fixed.of(guid);
            if fixed.is_none() {
                selection.unfixed.push(*guid);
            }
            let anchor = fixed.or_else(|| self.claimed.remove(guid));
            anchors.push((*guid, anchor.unwrap_or_else(|| (*guid).into())));
            match standing {
                Standing::WithPassword => selection.password_users.push(*guid),
                Standing::Held => _ = selection.held.insert(*guid),
                Standing::Synchronised => {}
            }
        }
        selection.anchors = anchors.into_iter().collect();
        selection.disputed = disputed;
        selection
    }

    /// New objects that claim an anchor which is another's, or which another new one claims too.
    fn disputed(&self) -> BTreeMap<Guid, SourceAnchor> {
        let is_new = |guid: &Guid| !self.fixed.has(guid);
        let in_scope =
            |guid: &Guid| self.seen.binary_search_by_key(guid, |(guid, _)| *guid).is_ok();
        let mut claimants: BTreeMap<&SourceAnchor, Vec<Guid>> = BTreeMap::new();
        for (guid, anchor) in &self.claimed {
            claimants.entry(anchor).or_default().push(*guid);
        }
        // An object that has no anchor yet claims its own objectGUID's, which another may claim too.
        for (anchor, guids) in &mut claimants {
            let own = anchor.guid().filter(|own| is_new(own) && in_scope(own));
            guids.extend(own.filter(|own| !self.claimed.contains_key(own)));
        }
        let mut disputed = BTreeMap::new();
        for (anchor, guids) in claimants {
            if guids.len() > 1 || self.fixed.owns(anchor) {
                disputed.extend(guids.into_iter().map(|guid| (guid, anchor.clone())));
            }
        }
        // The anchor of its objectGUID may have been given to another before this one came.
        for (guid, _) in &self.seen {
            let new = is_new(guid) && !self.claimed.contains_key(guid);
            if new && self.fixed.owns(&SourceAnchor::from(*guid)) {
                disputed.insert(*guid, (*guid).into());
            }
        }
        disputed
    }
}

impl Selection {
    /// The anchor of an object in scope.
    #[must_use]
    pub fn anchor(&self, guid: &Guid) -> Option<SourceAnchor> {
        self.anchors.of(guid)
    }

    /// The anchor of an object in scope that signs in with its password hash.
    #[must_use]
    pub fn password_anchor(&self, guid: &Guid) -> Option<SourceAnchor> {
        self.password_users.binary_search(guid).ok()?;
        self.anchors.of(guid)
    }

    /// The objects in scope that sign in with their password hash.
    pub fn password_users(&self) -> impl Iterator<Item = Guid> + '_ {
        self.password_users.iter().copied()
    }

    /// Whether an object in scope has this anchor, so that the tenant keeps its object.
    #[must_use]
    pub fn keeps(&self, anchor: &SourceAnchor) -> bool {
        self.anchors.owns(anchor)
    }

    /// Whether the tenant keeps what it has of this object, because its anchor was tampered with.
    #[must_use]
    pub fn is_held(&self, guid: &Guid) -> bool {
        self.held.contains(guid)
    }

    /// The anchor that an object cannot have, because it is or may be another's.
    #[must_use]
    pub fn disputed(&self, guid: &Guid) -> Option<&SourceAnchor> {
        self.disputed.get(guid)
    }

    /// Objects that have their anchor from now on.
    pub fn new_anchors(&self) -> impl Iterator<Item = (Guid, SourceAnchor)> + '_ {
        self.unfixed.iter().filter_map(|guid| Some((*guid, self.anchors.of(guid)?)))
    }

    /// How many objects are in scope.
    #[must_use]
    pub fn len(&self) -> usize {
        self.anchors.len()
    }

    /// Whether no object is in scope.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    /// How many objects each rule left out.
    #[must_use]
    pub const fn left_out(&self) -> &BTreeMap<OutOfScope, usize> {
        &self.left_out
    }
}
