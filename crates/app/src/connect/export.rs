//! From what is to be exported to the target: what it took goes into the state, piece by piece.

use std::collections::BTreeSet;

use portolan_model::{Entropy as _, Guid};
use portolan_net::entropy::SystemEntropy;
use portolan_store::state::{
    Answer, Export, Place, ReferenceExport, ReferencePlace, Refusal, Remark, TargetKey,
};
use portolan_sync::engine::PendingExport;
use portolan_sync::guard::Quarantine;
use portolan_tenant::lease::Claim;
use portolan_tenant::wire::{IngestRequest, IngestResponse};

use super::batches::Answered;
use super::gate::Closed;
use super::plan::Chosen;
use super::target::{Receiver, Sending, Taken, Verdict};
use crate::report::Failure;

/// Objects and references that are read from the state at once.
const EXPORTS_AT_ONCE: u32 = 2_000;
const REFERENCES_AT_ONCE: u32 = 20_000;
/// Who takes batches: the tenant, or a simulated one.
#[expect(async_fn_in_trait, reason = "one task exports, and moves to no other thread")]
pub trait Ingest {
    /// Sends one batch. The same batch may be sent again: the tenant applies it once.
    async fn ingest(&mut self, batch: &IngestRequest) -> Result<IngestResponse, Failure>;

    /// The lease that a batch carries; none where no lease is used.
    ///
    /// # Errors
    /// When another server is the one that writes, or may be by now: nothing is sent then.
    fn claim(&self) -> Result<Option<Claim>, Failure> {
        Ok(None)
    }

    /// A name for a batch, which no other one has.
    fn name(&mut self) -> Guid {
        Guid::from_random(SystemEntropy.array())
    }
}

/// The code of what targets of a kind do not have.
pub(super) const UNABLE: &str = "unable";

/// An object that the target refused.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct Refused {
    /// Its anchor.
    pub(super) anchor: String,
    /// What the target says.
    pub(super) why: String,
}

/// What an export did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Exported {
    pub(super) added: usize,
    pub(super) updated: usize,
    pub(super) deleted: usize,
    /// References that were added or removed.
    pub(super) references: usize,
    pub(super) refused: Vec<Refused>,
    /// What was not exported because it would take too much away.
    pub(super) held: Vec<String>,
    /// Why nothing was exported.
    pub(super) closed: Option<Closed>,
    /// Objects that the target has no kind for; which is told of each once.
    pub(super) unable: usize,
    pub(super) warnings: Vec<String>,
}

/// An export under way.
pub(super) struct Exporter<'a, T> {
    pub(super) target: &'a mut T,
    pub(super) sending: Sending<'a>,
    /// What is sent of what is pending; without it, all.
    pub(super) chosen: Option<&'a Chosen>,
    /// What is not sent because it would take too much away.
    pub(super) quarantine: &'a Quarantine,
}

impl<T: Receiver> Exporter<'_, T> {
    /// Sends everything that is pending, in its order, and keeps what the target acknowledged after each
    /// piece, so that a run that is broken off goes on where it was.
    pub(super) async fn run(&mut self) -> Result<Exported, Failure> {
        let mut exported = Exported::default();
        self.target.begin(self.sending).await?;
        let mut later = BTreeSet::new();
        self.objects(None, &mut later, &mut exported).await?;
        if !later.is_empty() {
            self.objects(Some(&later), &mut BTreeSet::new(), &mut exported).await?;
        }
        self.references(&mut exported).await?;
        Ok(exported)
    }

    /// Sends the objects that are pending. In the first round, what has to wait for others is put off; in
    /// the second, `only` that is sent.
    async fn objects(
        &mut self,
        only: Option<&BTreeSet<TargetKey>>,
        later: &mut BTreeSet<TargetKey>,
        exported: &mut Exported,
    ) -> Result<(), Failure> {
        let Sending { state, target, .. } = self.sending;
        let mut after = Place::default();
        loop {
            let mut pending = state.pending_exports(target, after, EXPORTS_AT_ONCE).await?;
            let Some(last) = pending.last() else { return Ok(()) };
            after = last.place;
            let waits = |export: &Export| {
                export.pending == PendingExport::Delete
                    && self.quarantine.holds_objects(export.kind)
            };
            pending.retain(|export| !waits(export));
            if let Some(chosen) = self.chosen {
                pending.retain(|export| chosen.has(export));
            }
            if let Some(only) = only {
                pending.retain(|export| only.contains(&export.key));
            }
            let mut waiting = pending.as_slice();
            while !waiting.is_empty() {
                let taken = self.target.objects(self.sending, waiting).await?;
                let (sent, rest) = split(waiting, &taken)?;
                waiting = rest;
                let later = only.is_none().then_some(&mut *later);
                self.keep(sent, taken, later, exported).await?;
            }
        }
    }

    /// Keeps what became of objects.
    async fn keep(
        &self,
        sent: &[Export],
        taken: Taken,
        mut later: Option<&mut BTreeSet<TargetKey>>,
        exported: &mut Exported,
    ) -> Result<(), Failure> {
        exported.warnings.extend(taken.notes);
        for Remark { key, refusal, .. } in &taken.remarks {
            let (Some((_, text)), Some(export)) = (refusal, of(sent, *key)) else { continue };
            exported.warnings.push(format!("{}: {text}", self.name(export)));
        }
        // In front of the acknowledgement: whoever is asked again says it again.
        self.sending.state.remark(&taken.remarks).await?;
        let (mut acknowledged, mut refusals) = (Vec::new(), Vec::new());
        for (export, verdict) in sent.iter().zip(taken.verdicts) {
            match (verdict, later.as_deref_mut()) {
                (Verdict::Done, _) => {
                    match export.pending {
                        PendingExport::Add(_) => exported.added += 1,
                        PendingExport::Update(_) => exported.updated += 1,
                        PendingExport::Delete => exported.deleted += 1,
                    }
                    acknowledged.push(export.clone());
                }
                (Verdict::Later { .. }, Some(later)) => {
                    later.insert(export.key);
                }
                (Verdict::Refused { code, text } | Verdict::Later { code, text }, _) => {
                    let (anchor, why) = (export.anchor.to_string(), text.clone());
                    exported.refused.push(Refused { anchor, why });
                    refusals.push(Refusal { key: export.key, code, text });
                }
                (Verdict::Unable(text), _) => {
                    exported.unable += 1;
                    // It was told and kept the first time.
                    if export.attempts == 0 {
                        exported.warnings.push(format!("{}: {text}", self.name(export)));
                        let code = UNABLE.to_owned();
                        refusals.push(Refusal { key: export.key, code, text });
                    }
                }
            }
        }
        let Sending { state, target, origin, .. } = self.sending;
        let batches = taken.answered.map(Answered::octets).transpose()?;
        let batches = batches.as_deref().map(|batches| (target, batches));
        let answer = Answer { at: origin.now(), batches };
        Ok(state.acknowledge(&acknowledged, &refusals, answer).await?)
    }

    async fn references(&mut self, exported: &mut Exported) -> Result<(), Failure> {
        let Sending { state, target, names, origin, .. } = self.sending;
        let mut after = ReferencePlace::default();
        loop {
            let pending = state.pending_references(target, after, REFERENCES_AT_ONCE).await?;
            let mut pending = whole(pending, REFERENCES_AT_ONCE);
            let Some(last) = pending.last() else { return Ok(()) };
            after = last.place;
            pending.retain(|export| {
                export.is_added || !self.quarantine.holds_references(&export.anchor)
            });
            if let Some(chosen) = self.chosen {
                pending.retain(|export| chosen.has_reference(export, names));
            }
            let mut waiting = pending.as_slice();
            while !waiting.is_empty() {
                let taken = self.target.references(self.sending, waiting).await?;
                let (sent, rest) = split(waiting, &taken)?;
                waiting = rest;
                exported.warnings.extend(taken.notes);
                let mut acknowledged = Vec::new();
                for (export, verdict) in sent.iter().zip(taken.verdicts) {
                    let why = match verdict {
                        Verdict::Done => {
                            acknowledged.push(export.clone());
                            continue;
                        }
                        Verdict::Refused { text, .. }
                        | Verdict::Later { text, .. }
                        | Verdict::Unable(text) => text,
                    };
                    let refused = Refused { anchor: export.anchor.to_string(), why };
                    if exported.refused.last() != Some(&refused) {
                        exported.refused.push(refused);
                    }
                }
                exported.references += acknowledged.len();
                let batches = taken.answered.map(Answered::octets).transpose()?;
                let batches = batches.as_deref().map(|batches| (target, batches));
                let answer = Answer { at: origin.now(), batches };
                state.acknowledge_references(&acknowledged, answer).await?;
            }
        }
    }

    /// The name of an object for people.
    fn name(&self, export: &Export) -> String {
        let record = match &export.pending {
            PendingExport::Add(record) | PendingExport::Update(record) => Some(record),
            PendingExport::Delete => export.confirmed.as_ref(),
        };
        let id = self.sending.names.id("displayName");
        let shown = record.zip(id).and_then(|(record, id)| record.first(id)?.as_text());
        shown.unwrap_or(export.anchor.as_str()).to_owned()
    }
}

/// The one of these that is about an object.
fn of(sent: &[Export], key: TargetKey) -> Option<&Export> {
    sent.iter().find(|export| export.key == key)
}

/// What a target took of a list, and what is left of it.
fn split<'e, T>(waiting: &'e [T], taken: &Taken) -> Result<(&'e [T], &'e [T]), Failure> {
    let count = taken.verdicts.len();
    let halves = (count > 0).then(|| waiting.split_at_checked(count)).flatten();
    halves.ok_or_else(|| Failure::new("the target gave no verdict on what was sent to it"))
}

/// The references of a page, without those at its end that may be a part of an attribute's, unless they
/// are all there is.
fn whole(mut page: Vec<ReferenceExport>, limit: u32) -> Vec<ReferenceExport> {
    let is_full = u32::try_from(page.len()).is_ok_and(|count| count >= limit);
    if let Some(last) = page.last().filter(|_| is_full) {
        let (source, attribute) = (last.source, last.attribute);
        let of_last =
            |export: &ReferenceExport| (export.source, export.attribute) == (source, attribute);
        let begin = page.partition_point(|export| !of_last(export));
        if begin > 0 {
            page.truncate(begin);
        }
    }
    page
}
