//! The store alone: what a first projection decided, written once more in the same batches.

use std::path::Path;
use std::time::{Duration, Instant};

use portolan_store::state::{Outcome, QueuedNeighbourhood, State};
use portolan_sync::engine::{AnchorClaim, MetaverseChange, TargetChange};

use super::Failed;
use super::directory::FILE;

/// Objects of a batch, and references of one, as the synchronisation has them.
const BATCH_OBJECTS: u32 = 1_000;
const REFERENCES_AT_ONCE: u32 = 20_000;

/// Seconds that the store takes for what `projected` was made of, in a copy of what it was made from.
pub(super) async fn store_alone(projected: &Path, copy: &Path) -> Result<f64, Failed> {
    let projected = State::open(&projected.join(FILE)).await?;
    let copy = State::open(&copy.join(FILE)).await?;
    let mut took = Duration::ZERO;
    loop {
        let queued = copy.next_pending(BATCH_OBJECTS).await?;
        if queued.is_empty() {
            break;
        }
        let decided = projected.neighbourhoods_of(&queued).await?;
        let outcomes: Vec<_> = decided.into_iter().map(outcome).collect();
        let begun = Instant::now();
        copy.apply(None, &queued, &outcomes).await?;
        took += begun.elapsed();
    }
    let begun = Instant::now();
    while !copy.resolve_references(REFERENCES_AT_ONCE).await?.is_done {}
    took += begun.elapsed();
    projected.close().await;
    copy.close().await;
    Ok(took.as_secs_f64())
}

fn outcome(decided: QueuedNeighbourhood) -> Outcome {
    let near = decided.neighbourhood;
    let mut outcome = Outcome { metaverse: near.key(), ..Outcome::default() };
    for staged in &near.staged {
        outcome.objects.push(staged.key);
        outcome.links.extend(staged.link.map(|link| (staged.key, link)));
        let claim = |anchor| AnchorClaim { object: staged.key, anchor, is_set: false };
        outcome.decision.anchor = staged.anchor.clone().map(claim);
    }
    if let Some(metaverse) = near.metaverse {
        outcome.decision.metaverse = MetaverseChange::Put(metaverse);
    }
    outcome.decision.targets = near.targets.into_iter().map(TargetChange::Put).collect();
    outcome
}
