//! A full synchronisation: every rule is evaluated for every object, on all cores.
//!
//! The scan only reads: objects for which something else comes of the rules than is kept are queued, and
//! decided about one batch after the other, as changed ones are. So nothing that depends on order runs
//! side by side.

use std::sync::atomic::{AtomicUsize, Ordering};

use portolan_store::sqlite::readers_at_once;
use portolan_store::state::{KeyRange, Neighbourhoods, StateError};
use portolan_sync::engine::{ClaimAnswer, LinkDecision, Neighbourhood, ObjectKey};
use tokio::runtime::RuntimeFlavor;
use tokio::task::JoinHandle;

use super::{Synchronisation, Synchronised};
use crate::report::Failure;

/// Ranges that the objects are divided into: more than there are cores, so that none waits long.
const RANGES: u32 = 64;
/// Objects without a link that are looked at together.
const UNLINKED_AT_ONCE: u32 = 1_000;

impl Synchronisation<'_> {
    /// Evaluates every rule for every object, and decides about those for which something else comes
    /// of it than before.
    pub(in super::super) async fn everything(&self) -> Result<Synchronised, Failure> {
        let mut done = self.changes().await?;
        let ranges = self.state.key_ranges(RANGES).await?;
        let next = AtomicUsize::new(0);
        let runtime = tokio::runtime::Handle::current();
        if runtime.runtime_flavor() == RuntimeFlavor::CurrentThread {
            done.objects += self.scan(&ranges, &next).await?;
            return self.after_scan(done).await;
        }
        // Each decides on a thread of its own, and reads ahead meanwhile.
        let scanned: Vec<_> = tokio::task::block_in_place(|| {
            std::thread::scope(|scope| {
                let scan = || runtime.block_on(self.scan(&ranges, &next));
                let workers: Vec<_> = (0..readers_at_once()).map(|_| scope.spawn(scan)).collect();
                workers.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
            })
        });
        for worker in scanned {
            done.objects += worker.map_err(|_| broken_off())??;
        }
        self.after_scan(done).await
    }

    /// Decides about what the scan queued.
    async fn after_scan(&self, mut done: Synchronised) -> Result<Synchronised, Failure> {
        done.objects += self.unlinked().await?;
        self.state.check_all_references().await?;
        let again = self.changes().await?;
        done.changed += again.changed;
        done.references += again.references;
        Ok(done)
    }

    /// One reader's ranges. Decisions are made on a thread of their own, while the next batch is read.
    async fn scan(&self, ranges: &[KeyRange], next: &AtomicUsize) -> Result<u64, Failure> {
        let mut looked_at = 0;
        while let Some(range) = ranges.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut reading = ahead(self.state.scan(*range));
            loop {
                let (scan, batch) = reading.await.map_err(|_| broken_off())?;
                let mut batch = batch?;
                if batch.is_empty() {
                    break;
                }
                reading = ahead(scan);
                self.complete(&mut batch).await?;
                looked_at += batch.len() as u64;
                let differing = self.differing(&batch);
                if !differing.is_empty() {
                    self.state.queue(&differing).await?;
                }
            }
        }
        Ok(looked_at)
    }

    /// The objects of neighbourhoods of which something else would come.
    fn differing(&self, batch: &[Neighbourhood]) -> Vec<ObjectKey> {
        let differs = |neighbourhood: &&Neighbourhood| {
            !self.decide(neighbourhood, ClaimAnswer::Open).is_empty()
        };
        let differing = batch.iter().filter(differs);
        differing.filter_map(|n| n.staged.first()).map(|staged| staged.key).collect()
    }

    /// Queues the objects without a link that a rule might link now.
    async fn unlinked(&self) -> Result<u64, Failure> {
        let mut looked_at = 0;
        let mut after = ObjectKey(0);
        loop {
            let mut batch = self.state.unlinked(after, UNLINKED_AT_ONCE).await?;
            let Some(last) = batch.last() else { return Ok(looked_at) };
            after = last.key;
            looked_at += batch.len() as u64;
            let mut staged: Vec<_> = batch.iter_mut().collect();
            self.surroundings.complete(self.state, &mut staged).await?;
            let differing = batch.iter().filter(|staged| {
                !self.engine.lookups(staged).is_empty()
                    || self.engine.link(staged, &[]) != LinkDecision::Stay
            });
            let differing: Vec<_> = differing.map(|staged| staged.key).collect();
            if !differing.is_empty() {
                self.state.queue(&differing).await?;
            }
        }
    }
}

/// A batch being read, and the scan that it is of.
type Reading = JoinHandle<(Neighbourhoods, Result<Vec<Neighbourhood>, StateError>)>;

/// Reads the next batch meanwhile.
fn ahead(mut scan: Neighbourhoods) -> Reading {
    tokio::spawn(async move {
        let batch = scan.next().await;
        (scan, batch)
    })
}

fn broken_off() -> Failure {
    Failure::new("a thread of the synchronisation broke off")
}
