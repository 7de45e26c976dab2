//! What became of objects that were sent to Microsoft Graph, and what is kept of that.

use portolan_model::{Guid, SourceAnchor};
use portolan_store::state::{Export, Remark, TargetKey, Unanswered};
use portolan_sync::Dictionary;
use portolan_sync::engine::PendingExport;
use portolan_sync::target::graph::{Fault, Outcome};

use super::{Sending, Taken, Verdict, photo};
use crate::connect::batches::{Answered, Begun};
use crate::connect::gate;
use crate::report::Failure;

/// What stands for a batch: Graph knows none by its name.
pub(super) const BATCH: &str = "graph";
/// Characters of a refusal that are kept.
const TEXT_CHARS_MAX: usize = 1_000;

/// What became of objects, in their order.
#[derive(Default)]
pub(super) struct Settled<'e> {
    taken: Taken,
    /// The ids of those that are there.
    ids: Vec<(SourceAnchor, Guid)>,
    /// Those that were to be made and are not there.
    absent: Vec<TargetKey>,
    /// Those that were there and are not any more.
    vanished: Vec<TargetKey>,
    /// Those that were there, of which nobody knows how much was written.
    open: Vec<&'e Export>,
    /// Whether one was taken out of the recycle bin.
    is_restored: bool,
}

impl<'e> Settled<'e> {
    /// Graph can have no such object, and why.
    pub(super) fn not_sent(&mut self, why: Option<Fault>) {
        let text = why.as_ref().map(ToString::to_string).unwrap_or_default();
        self.taken.verdicts.push(Verdict::Unable(text));
    }

    /// What came of an object, and of the photo beside it if one was sent.
    pub(super) fn sent(
        &mut self,
        (export, names): (&'e Export, &Dictionary),
        outcome: &Outcome,
        of_photo: Option<&Outcome>,
    ) {
        self.identify(export, outcome);
        if outcome.is_restored {
            self.is_restored = true;
            let note = format!("{}: taken out of the recycle bin of Graph", export.anchor);
            self.taken.notes.push(note);
        }
        let without = outcome.unable.iter().map(|unable| format!("{}: {unable}", export.anchor));
        self.taken.notes.extend(without);
        let of_photo = of_photo.filter(|_| outcome.is_done());
        self.taken.remarks.extend(photo_remark(export, names, of_photo));
        // Nobody knows whether such a photo came: it is sent again with its user.
        let open_photo = of_photo.filter(|photo| is_open(photo));
        if (is_open(outcome) || open_photo.is_some()) && !export.pending.is_add() {
            self.open.push(export);
        }
        self.taken.verdicts.push(verdict(open_photo.unwrap_or(outcome)));
    }

    /// Whether it is there, and under which id.
    fn identify(&mut self, export: &Export, outcome: &Outcome) {
        let is_delete = export.pending == PendingExport::Delete;
        match outcome.id {
            Some(id) if !is_delete => self.ids.push((export.anchor.clone(), id)),
            Some(_) => {}
            None if outcome.faults.contains(&Fault::Vanished) => self.vanished.push(export.key),
            None if !is_open(outcome) => self.absent.push(export.key),
            None => {}
        }
    }

    /// Keeps it in the state; gives what the run is told.
    pub(super) async fn keep(
        mut self,
        Sending { state, target, origin, .. }: Sending<'_>,
        begun: Begun,
    ) -> Result<Taken, Failure> {
        state.identify(target, &self.ids).await?;
        state.clear_doubt(&self.absent).await?;
        state.vanished(&self.vanished, origin.now()).await?;
        if self.is_restored {
            // They are in the groups again that they were in: what they are to be in is seen when Graph is read.
            gate::leave(state, target).await?;
        }
        let open = Unanswered::written(self.open.into_iter());
        self.taken.answered = Some(answered(begun.leaving(&open)));
        Ok(self.taken)
    }
}

/// What was sent is answered, as far as it is.
pub(super) fn answered(begun: Begun) -> Answered {
    Answered { begun, batch: BATCH.to_owned(), previous: None }
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

/// The faults of an outcome as one text.
pub(super) fn text(outcome: &Outcome) -> String {
    let faults: Vec<_> = outcome.faults.iter().map(ToString::to_string).collect();
    faults.join("; ").chars().take(TEXT_CHARS_MAX).collect()
}

/// Whether something may have been done of it although it went wrong.
pub(super) fn is_open(outcome: &Outcome) -> bool {
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
