//! What an export sends to Microsoft Graph, and what became of it: records as changes, outcomes as
//! verdicts, and the ids by which Graph knows its objects.
//!
//! An id is kept before an object counts as exported. One that is made is in doubt from before it is sent
//! until its answer came: the run behind one that is broken off between the two asks for it by its anchor,
//! twenty in a request, and deletes it as any other if it is not wished for any more. Of what is written over, deleted
//! or referred to, that it was sent is kept in the same way: what is taken back before it was answered is undone.

use std::collections::{BTreeMap, BTreeSet};

use portolan_model::{Guid, SourceAnchor};
use portolan_store::state::{Export, ReferenceExport, Unanswered};
use portolan_sync::engine::PendingExport;
use portolan_sync::target::graph::{
    Fault, Known, Outcome, ReferenceWish, Wish, references as changes_of,
};

use super::graph::Graph;
use super::settled::{BATCH, Settled, answered, is_open, text};
use super::wire::Wire;
use super::{Sending, Taken, Verdict, photo, survey};
use crate::connect::batches::Batches;
use crate::report::Failure;

/// Objects that are sent at once: what a run that is broken off has to look up again.
const OBJECTS_AT_ONCE: usize = 400;
/// References that are sent at once, if those of one attribute of one object are no more.
const REFERENCES_AT_ONCE: usize = 4_000;
/// What remembers that it was asked for everything that was there before the first export.
const LOOKED_AT: &str = "graph-known";

/// Finds what Graph has already of the objects that are to be exported: once of all, and of those whose
/// answer did not come. What an earlier run made and nobody wishes for any more is among what is to be deleted
/// by then, and was held against the guard with all of it ([`gate`](crate::connect::gate)).
pub(super) async fn begin(
    graph: &mut Graph<impl Wire>,
    sending: Sending<'_>,
) -> Result<(), Failure> {
    let Sending { state, target, .. } = sending;
    if state.remembered(target, LOOKED_AT).await?.is_none() {
        survey::confirm(graph, sending).await?;
        state.remember(target, LOOKED_AT, b"done").await?;
    }
    survey::settle_doubts(graph, sending).await
}

/// Writes and deletes the first of these objects.
pub(super) async fn objects(
    graph: &mut Graph<impl Wire>,
    sending: Sending<'_>,
    exports: &[Export],
) -> Result<Taken, Failure> {
    let Sending { state, target, names, .. } = sending;
    let exports = &exports[..exports.len().min(OBJECTS_AT_ONCE)];
    let is_sent = |export: &&Export| wish(export).inability(names).is_none();
    let sent: Vec<_> = exports.iter().filter(is_sent).collect();
    let known = known(sending, exports.iter().map(|export| &export.anchor)).await?;
    let is_unknown = |export: &&&Export| {
        !known.contains_key(&export.anchor) && export.pending != PendingExport::Delete
    };
    let doubtful: Vec<_> = sent.iter().filter(is_unknown).map(|export| export.key).collect();
    state.doubt(&doubtful).await?;
    // Nobody knows what they have who were written over without an answer: they are written whole.
    let unknown = Batches::in_doubt(state, target).await?;
    let change = |export: &&Export| {
        let wish = wish(export);
        let is_whole = unknown.contains(export.anchor.as_str());
        Wish { confirmed: wish.confirmed.filter(|_| !is_whole), ..wish }.change(names)
    };
    let mut changes: Vec<_> = sent.iter().map(change).collect();
    // A photo goes beside its user, and refuses nobody.
    let mut with_photo = Vec::new();
    for export in &sent {
        if let Some(change) = photo::change(export, names, &unknown) {
            with_photo.push(export.key);
            changes.push(change);
        }
    }
    // Those that are made are in doubt already.
    let there = sent.iter().copied().filter(|export| !export.pending.is_add());
    let begun = Batches::begin(state, target, BATCH, Unanswered::written(there)).await?;
    let (mut outcomes, _) = graph.export(changes, known).await?;
    let of_photos = outcomes.split_off(sent.len().min(outcomes.len()));
    let of_photos: BTreeMap<_, _> = with_photo.into_iter().zip(of_photos).collect();
    let outcomes: BTreeMap<_, _> =
        sent.into_iter().map(|export| export.key).zip(outcomes).collect();

    let mut settled = Settled::default();
    for export in exports {
        match outcomes.get(&export.key) {
            Some(outcome) => settled.sent((export, names), outcome, of_photos.get(&export.key)),
            None => settled.not_sent(wish(export).inability(names)),
        }
    }
    settled.keep(sending, begun).await
}

/// Adds and removes the first of these references.
pub(super) async fn references(
    graph: &mut Graph<impl Wire>,
    sending: Sending<'_>,
    exports: &[ReferenceExport],
) -> Result<Taken, Failure> {
    let groups = exports.chunk_by(|a, b| (a.source, a.attribute) == (b.source, b.attribute));
    let (mut changes, mut pieces, mut count) = (Vec::new(), Vec::new(), 0);
    for group in groups {
        if count > 0 && count + group.len() > REFERENCES_AT_ONCE {
            break;
        }
        count += group.len();
        let wishes: Vec<_> = group.iter().map(reference_wish).collect();
        let of_group = changes_of(&wishes, sending.names).unwrap_or_default();
        pieces.push((group, changes.len(), of_group.len()));
        changes.extend(of_group);
    }
    let sent = exports.iter().take(count);
    let named = sent.clone().flat_map(|export| [&export.anchor, &export.target]);
    let known = known(sending, named).await?;
    let Sending { state, target, .. } = sending;
    let begun = Batches::begin(state, target, BATCH, Unanswered::references(sent)).await?;
    let (outcomes, _) = graph.export(changes, known).await?;
    let (mut taken, mut open) = (Taken::default(), Vec::new());
    for (group, begin, length) in pieces {
        let outcomes = outcomes.get(begin..begin + length).unwrap_or_default();
        taken.verdicts.extend(group.iter().map(|export| verdict_of(export, outcomes)));
        let fails = |export: &&ReferenceExport| {
            outcomes.iter().any(|outcome| is_open(outcome) && outcome.fails(&export.target))
        };
        open.extend(group.iter().filter(fails));
    }
    let open = Unanswered::references(open.into_iter());
    taken.answered = Some(answered(begun.leaving(&open)));
    Ok(taken)
}

/// What is known of the ids of these objects.
async fn known(
    sending: Sending<'_>,
    anchors: impl Iterator<Item = &SourceAnchor>,
) -> Result<Known, Failure> {
    let anchors: BTreeSet<_> = anchors.collect();
    let anchors: Vec<_> = anchors.into_iter().cloned().collect();
    let ids: Vec<(SourceAnchor, Guid)> = sending.state.identities(sending.target, &anchors).await?;
    Ok(ids.into_iter().collect())
}

pub(super) fn wish(export: &Export) -> Wish<'_> {
    Wish {
        anchor: &export.anchor,
        kind: export.kind,
        confirmed: export.confirmed.as_ref(),
        pending: &export.pending,
    }
}

fn reference_wish(export: &ReferenceExport) -> ReferenceWish<'_> {
    ReferenceWish {
        anchor: &export.anchor,
        attribute: export.attribute,
        target: &export.target,
        is_added: export.is_added,
    }
}

/// What became of a reference: a member of whom nothing was refused has come or gone, whatever became of others.
fn verdict_of(export: &ReferenceExport, outcomes: &[Outcome]) -> Verdict {
    if outcomes.is_empty() {
        return Verdict::Unable("Graph has no such references".to_owned());
    }
    let Some(outcome) = outcomes.iter().find(|outcome| outcome.fails(&export.target)) else {
        return Verdict::Done;
    };
    let code = outcome.faults.first().map_or("refused", Fault::code);
    Verdict::Refused { code: code.to_owned(), text: text(outcome) }
}
