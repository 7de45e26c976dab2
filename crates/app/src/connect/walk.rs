//! The plan as it is carried out: changes in the order in which they are sent, a batch at a time.
//!
//! A first pass over the objects selects, a second one compares; neither holds them.

use std::collections::BTreeMap;

use portolan_model::SourceAnchor;
use portolan_store::connector_space::{ConnectorSpace, Objects};
use portolan_sync::flow::TenantObject;
use portolan_sync::guard::Losses;
use portolan_sync::plan::{Change, Counts, Notes, Planner, SENT_IN_ORDER};
use portolan_sync::{ObjectKind, Selection, Selector};

use crate::report::Failure;

/// Deletions that are looked up at once.
const DELETIONS_AT_ONCE: usize = 500;

/// The objects in scope.
pub(super) async fn select(space: &ConnectorSpace) -> Result<Selection, Failure> {
    let mut selector = Selector::new(space.anchors().await?);
    let mut objects = space.objects(&ObjectKind::ALL);
    loop {
        let batch = objects.next().await?;
        if batch.is_empty() {
            return Ok(selector.finish());
        }
        batch.iter().for_each(|object| selector.offer(object));
    }
}

/// A plan on its way.
pub(super) struct Walk<'a> {
    space: &'a ConnectorSpace,
    planner: Planner<'a>,
    /// What the tenant holds and should not.
    gone: Vec<SourceAnchor>,
    kinds: std::slice::Iter<'static, &'static [ObjectKind]>,
    objects: Option<Objects>,
    losses: Losses,
    /// What came so far.
    pub(super) counts: Counts,
    /// What was noticed so far.
    pub(super) notes: Notes,
}

impl<'a> Walk<'a> {
    /// Begins a plan: its deletions are known then.
    pub(super) async fn begin(
        space: &'a ConnectorSpace,
        planner: Planner<'a>,
    ) -> Result<Self, Failure> {
        let mut walk = Self {
            space,
            planner,
            gone: Vec::new(),
            kinds: SENT_IN_ORDER.iter(),
            objects: None,
            losses: Losses::default(),
            counts: Counts::default(),
            notes: Notes::default(),
        };
        let mut after = 0;
        loop {
            let keys = space.exported_keys(after).await?;
            let Some(last) = keys.last() else { return Ok(walk) };
            after = last.place;
            for key in keys {
                let kept = planner.selection.keeps(&key.anchor);
                walk.losses.count(key.kind, kept);
                if !kept {
                    walk.gone.push(key.anchor);
                }
            }
        }
    }

    /// What the plan takes away.
    pub(super) const fn losses(&self) -> &Losses {
        &self.losses
    }

    /// The next changes, deletions first; none when there are no more.
    pub(super) async fn next(&mut self) -> Result<Vec<Change>, Failure> {
        loop {
            let changes = if !self.gone.is_empty() {
                self.deletions().await?
            } else if let Some(objects) = &mut self.objects {
                let batch = objects.next().await?;
                if batch.is_empty() {
                    self.objects = None;
                }
                self.compare(&batch).await?
            } else if let Some(kinds) = self.kinds.next() {
                self.objects = Some(self.space.objects(kinds));
                continue;
            } else {
                return Ok(Vec::new());
            };
            if !changes.is_empty() {
                changes.iter().for_each(|change| self.counts.count(change));
                return Ok(changes);
            }
        }
    }

    async fn deletions(&mut self) -> Result<Vec<Change>, Failure> {
        let left = self.gone.len().saturating_sub(DELETIONS_AT_ONCE);
        let held = self.space.exported(&self.gone.split_off(left)).await?;
        Ok(held.into_values().map(Change::Delete).collect())
    }

    async fn compare(
        &mut self,
        objects: &[portolan_sync::ForestObject],
    ) -> Result<Vec<Change>, Failure> {
        let mut wanted = Vec::with_capacity(objects.len());
        for object in objects {
            if let Some(anchor) = self.planner.anchor(object, &mut self.notes) {
                wanted.push((object, anchor));
            }
        }
        let anchors: Vec<_> = wanted.iter().map(|(_, anchor)| anchor.clone()).collect();
        let held: BTreeMap<_, TenantObject> = self.space.exported(&anchors).await?;
        let mut changes = Vec::new();
        for (object, anchor) in wanted {
            let held = held.get(&anchor);
            changes.extend(self.planner.change(object, anchor, held, &mut self.notes));
        }
        Ok(changes)
    }
}
