//! A plan that was kept in a file: what it is made of, and what an export is held to by it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use aws_lc_rs::digest;
use portolan_model::SourceAnchor;
use portolan_store::state::{Export, ReferenceExport};
use portolan_sync::Dictionary;
use portolan_sync::TenantKind;
use portolan_sync::engine::PendingExport;
use serde::{Deserialize, Serialize};

use crate::files;
use crate::report::Failure;

/// Octets of a kept plan: some millions of changes.
const KEPT_OCTETS_MAX: u64 = 1 << 30;
/// The form of a kept plan.
const VERSION: u32 = 2;

/// A kept plan.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    version: u32,
    /// The rules and what they depend on.
    pub(super) made_of: String,
    /// Each change by what it is about, with its digest.
    pub(super) changes: BTreeMap<String, String>,
}

impl Kept {
    pub(super) const fn new(made_of: String, changes: BTreeMap<String, String>) -> Self {
        Self { version: VERSION, made_of, changes }
    }

    pub(super) fn read(file: &Path) -> Result<Self, Failure> {
        let octets = files::read_at_most(file, KEPT_OCTETS_MAX).map_err(|error| {
            Failure::because(&format!("cannot read {}", file.display()), &error)
        })?;
        let kept: Self = serde_json::from_slice(&octets)
            .map_err(|error| Failure::because(&format!("{} is no plan", file.display()), &error))?;
        if kept.version != VERSION {
            let text = format!("{} is a plan of version {}", file.display(), kept.version);
            return Err(Failure::new(text).with_hint("make it anew with this release"));
        }
        Ok(kept)
    }

    pub(super) fn write(&self, file: &Path) -> Result<(), Failure> {
        let wrong = |error: &dyn std::fmt::Display| {
            Failure::new(format!("cannot keep the plan in {}: {error}", file.display()))
        };
        let octets = serde_json::to_vec_pretty(self).map_err(|error| wrong(&error))?;
        files::write_private(file, &octets).map_err(|error| wrong(&error))?;
        let count = self.changes.len();
        eprintln!("kept {count} changes; `portolan connect apply {}` makes them", file.display());
        Ok(())
    }
}

/// The changes of a kept plan: what an export is held to.
#[derive(Debug)]
pub(in super::super) enum Chosen {
    /// Those of a kept plan.
    Kept(BTreeMap<String, String>),
    /// All of these objects, and references of them and to them.
    Of(BTreeSet<SourceAnchor>),
}

impl Chosen {
    /// Whether a change of an object is among them.
    pub(in super::super) fn has(&self, export: &Export) -> bool {
        match self {
            Self::Kept(changes) => {
                changes.contains_key(&name_of(&export.pending, export.kind, &export.anchor))
            }
            Self::Of(anchors) => anchors.contains(&export.anchor),
        }
    }

    /// Whether a change of references is.
    pub(in super::super) fn has_reference(
        &self,
        export: &ReferenceExport,
        names: &Dictionary,
    ) -> bool {
        match self {
            Self::Kept(changes) => changes.contains_key(&name_of_reference(export, names)),
            Self::Of(anchors) => {
                anchors.contains(&export.anchor) || anchors.contains(&export.target)
            }
        }
    }
}

/// Digests of sets of references, by what they are about.
#[derive(Default)]
pub(super) struct ReferenceDigests(HashMap<String, digest::Context>);

impl ReferenceDigests {
    pub(super) fn add(&mut self, export: &ReferenceExport, names: &Dictionary) {
        let context = self.0.entry(name_of_reference(export, names));
        let context = context.or_insert_with(|| digest::Context::new(&digest::SHA256));
        context.update(if export.is_added { b"+" } else { b"-" });
        context.update(export.target.as_str().as_bytes());
        context.update(b"\0");
    }

    pub(super) fn finish(self) -> impl Iterator<Item = (String, String)> {
        self.0.into_iter().map(|(what, context)| (what, hex::encode(context.finish())))
    }
}

/// What a change of an object is about.
pub(super) fn name_of(pending: &PendingExport, kind: TenantKind, anchor: &SourceAnchor) -> String {
    let word = match pending {
        PendingExport::Add(_) => "add",
        PendingExport::Update(_) => "change",
        PendingExport::Delete => "delete",
    };
    format!("{word} {} {anchor}", kind.as_str())
}

fn name_of_reference(export: &ReferenceExport, names: &Dictionary) -> String {
    let attribute = names.show(export.attribute);
    format!("{attribute} of {} {}", export.kind.as_str(), export.anchor)
}
