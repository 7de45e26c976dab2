//! What an export sends to Microsoft Graph, and what became of it: records as changes, outcomes as
//! verdicts, and the ids by which Graph knows its objects.
//!
//! An id is kept before an object counts as exported. One that is made is in doubt from before it is sent
//! until its answer came: the run behind one that is broken off between the two asks for it by its anchor,
//! twenty in a request, and deletes it as any other if it is not wished for any more. Of what is written over, deleted
//! or referred to, that it was sent is kept in the same way: what is taken back before it was answered is undone.

use std::collections::{BTreeMap, BTreeSet};

use portolan_model::{Guid, SourceAnchor};
use portolan_store::state::{Export, ReferenceExport, Remark, Unanswered};
use portolan_sync::Dictionary;
use portolan_sync::engine::PendingExport;
use portolan_sync::target::graph::{
    Fault, Known, Outcome, ReferenceWish, Wish, references as changes_of,
};

use super::graph::Graph;
use super::wire::Wire;
use super::{Sending, Taken, Verdict, photo, survey};
use crate::connect::batches::{Answered, Batches, Begun};
use crate::connect::gate;
use crate::report::Failure;

/// Objects that are sent at once: what a run that is broken off has to look up again.
const OBJECTS_AT_ONCE: usize = 400;
/// References that are sent at once, if those of one attribute of one object are no more.
const REFERENCES_AT_ONCE: usize = 4_000;
/// What remembers that it was asked for everything that was there before the first export.
const LOOKED_AT: &str = "graph-known";
/// What stands for a batch: Graph knows none by its name.
const BATCH: &str = "graph";
/// Characters of a refusal that are kept.
const TEXT_CHARS_MAX: usize = 1_000;

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
    let Sending { state, target, names, origin, .. } = sending;
    let exports = &exports[..exports.len().min(OBJECTS_AT_ONCE)];
    let wishes: Vec<_> = exports.iter().map(wish).collect();
    let unable: Vec<_> = wishes.iter().map(|wish| wish.inability(names)).collect();
    let is_sent = |at: &usize| unable.get(*at).is_some_and(Option::is_none);
    let sent: Vec<_> = (0..exports.len()).filter(is_sent).collect();
    let known = known(sending, exports.iter().map(|export| &export.anchor)).await?;
    let is_unknown = |export: &&Export| {
        !known.contains_key(&export.anchor) && export.pending != PendingExport::Delete
    };
    let of_sent = sent.iter().filter_map(|at| exports.get(*at));
    let doubtful: Vec<_> = of_sent.filter(is_unknown).map(|export| export.key).collect();
    state.doubt(&doubtful).await?;
    // Nobody knows what they have who were written over without an answer: they are written whole.
    let unknown = Batches::in_doubt(state, target).await?;
    let whole = |wish: &Wish<'_>| match unknown.contains(wish.anchor.as_str()) {
        true => Wish { confirmed: None, ..*wish }.change(names),
        false => wish.change(names),
    };
    let mut changes: Vec<_> = sent.iter().filter_map(|at| wishes.get(*at)).map(whole).collect();
    // A photo goes beside its user, and refuses nobody.
    let photos: Vec<_> = sent
        .iter()
        .filter_map(|at| Some((*at, photo::change(exports.get(*at)?, names, &unknown)?)))
        .collect();
    let with_photo: Vec<_> = photos.iter().map(|(at, _)| *at).collect();
    changes.extend(photos.into_iter().map(|(_, change)| change));
    // Those that are made are in doubt already.
    let is_there = |at: &&usize| {
        exports.get(**at).is_some_and(|one| !matches!(one.pending, PendingExport::Add(_)))
    };
    let there = sent.iter().filter(is_there).filter_map(|at| exports.get(*at));
    let begun = Batches::begin(state, target, BATCH, Unanswered::written(there)).await?;
    let (mut outcomes, _) = graph.export(changes, known).await?;
    let of_photos = outcomes.split_off(sent.len().min(outcomes.len()));
    let of_photos: BTreeMap<_, _> = with_photo.into_iter().zip(of_photos).collect();
    let outcomes: BTreeMap<_, _> = sent.into_iter().zip(outcomes).collect();

    let (mut ids, mut absent, mut vanished) = (Vec::new(), Vec::new(), Vec::new());
    let (mut taken, mut open, mut restored) = (Taken::default(), Vec::new(), 0);
    for (at, export) in exports.iter().enumerate() {
        let Some(outcome) = outcomes.get(&at) else {
            let text = unable.get(at).and_then(Option::as_ref).map(ToString::to_string);
            taken.verdicts.push(Verdict::Unable(text.unwrap_or_default()));
            continue;
        };
        let is_delete = export.pending == PendingExport::Delete;
        if is_open(outcome) && !matches!(export.pending, PendingExport::Add(_)) {
            open.push(export);
        }
        match outcome.id {
            Some(id) if !is_delete => ids.push((export.anchor.clone(), id)),
            Some(_) => {}
            None if outcome.faults.contains(&Fault::Vanished) => {
                vanished.push(export.key);
            }
            None if !is_open(outcome) => absent.push(export.key),
            None => {}
        }
        if outcome.is_restored {
            restored += 1;
            taken.notes.push(format!("{}: taken out of the recycle bin of Graph", export.anchor));
        }
        let without = outcome.unable.iter().map(|unable| format!("{}: {unable}", export.anchor));
        taken.notes.extend(without);
        let of_photo = of_photos.get(&at).filter(|_| outcome.is_done());
        taken.remarks.extend(photo_remark(export, names, of_photo));
        taken.verdicts.push(match of_photo.filter(|photo| is_open(photo)) {
            // Nobody knows whether it came: it is sent again with its user.
            Some(photo) => {
                if !matches!(export.pending, PendingExport::Add(_)) {
                    open.push(export);
                }
                verdict(photo)
            }
            None => verdict(outcome),
        });
    }
    state.identify(target, &ids).await?;
    state.clear_doubt(&absent).await?;
    state.vanished(&vanished, origin.now()).await?;
    if restored > 0 {
        // They are in the groups again that they were in: what they are to be in is seen when Graph is read.
        gate::leave(state, target).await?;
    }
    taken.answered = Some(answered(begun.leaving(&Unanswered::written(open.into_iter()))));
    Ok(taken)
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

/// What was sent is answered, as far as it is.
fn answered(begun: Begun) -> Answered {
    Answered { begun, batch: BATCH.to_owned(), previous: None }
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

/// What is to be kept of the photo of a user who was taken; `outcome` is what came of it, if it was sent.
fn photo_remark(export: &Export, names: &Dictionary, outcome: Option<&Outcome>) -> Option<Remark> {
    let refused = outcome.and_then(|outcome| {
        let code = outcome.faults.first()?.code();
        Some((code.to_owned(), text(outcome)))
    });
    photo::remark_of(export, names, outcome.is_some(), refused)
}

/// What became of an object.
fn verdict(outcome: &Outcome) -> Verdict {
    let Some(fault) = outcome.faults.first() else { return Verdict::Done };
    let (code, text) = (fault.code().to_owned(), text(outcome));
    match fault {
        Fault::Unable(_) => Verdict::Unable(text),
        // It may be given free by one that is still to be written, and what is gone is made anew.
        Fault::Taken(_) | Fault::Vanished => Verdict::Later { code, text },
        _ => Verdict::Refused { code, text },
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

/// The faults of an outcome as one text.
fn text(outcome: &Outcome) -> String {
    let faults: Vec<_> = outcome.faults.iter().map(ToString::to_string).collect();
    faults.join("; ").chars().take(TEXT_CHARS_MAX).collect()
}

/// Whether something may have been done of it although it went wrong.
fn is_open(outcome: &Outcome) -> bool {
    let is_lost = |fault: &Fault| matches!(fault, Fault::Unavailable { .. });
    outcome.more_faults > 0 || outcome.faults.iter().any(is_lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(faults: Vec<Fault>) -> Outcome {
        Outcome { faults, ..Outcome::default() }
    }

    #[test]
    fn a_value_that_is_taken_and_an_object_that_is_gone_are_tried_once_more() {
        let taken = Fault::Taken("userPrincipalName".to_owned());
        assert!(matches!(verdict(&outcome(vec![taken])), Verdict::Later { .. }));
        assert!(matches!(verdict(&outcome(vec![Fault::Vanished])), Verdict::Later { .. }));
        let denied = Fault::Denied("no".to_owned());
        assert!(matches!(verdict(&outcome(vec![denied])), Verdict::Refused { .. }));
        assert_eq!(verdict(&outcome(vec![])), Verdict::Done);
        let unable = outcome(vec![Fault::Unable("contacts")]);
        assert_eq!(verdict(&unable), Verdict::Unable("Graph makes no contacts".to_owned()));
    }
}
