//! The state of the synchronisation engine in SQLite: connector spaces, the metaverse, targets.
//!
//! What a forest has goes in by a [`FullImport`] or by [`Changes`]; every object that is other than
//! before is queued. The engine is given [`Neighbourhood`](portolan_sync::engine::Neighbourhood)s and
//! gives back decisions, which [`State::apply`] keeps. What is to be exported comes out in batches, and
//! what a target acknowledged is kept. No decision is made here.
//!
//! Nothing here holds a table: every read and every statement has a limit. A transaction is a batch.
//! What is kept packed ends with a checksum; what does not pass it is never used. No password hash is
//! ever here: only which objects' credentials a target has acknowledged.

mod anchors;
mod anew;
mod apply;
mod bulk;
mod changes;
mod check;
mod codes;
mod confirm;
mod confirm_references;
mod counters;
mod credentials;
mod departures;
mod dependence;
mod error;
mod exports;
mod figures;
mod full;
mod identities;
mod joins;
mod losses;
mod merge;
mod names;
mod neighbourhoods;
mod packed;
mod partitions;
mod planned;
mod queue;
mod recognise;
mod reference_check;
mod reference_exports;
mod references;
mod remarks;
mod rows;
mod run_steps;
mod runs;
mod scan;
mod staged;
mod standing;
mod unanswered;
mod wished;

use std::path::Path;

use crate::sqlite::Database;

pub use apply::Outcome;
pub use changes::{Changed, Changes, Found};
pub use confirm::{Confirmed, Held, Known};
pub use confirm_references::KnownReferences;
pub use error::StateError;
pub use exports::{Answer, Export, Place, Refusal, TargetKey};
pub use figures::{Figures, Waiting};
pub use full::{FullImport, ImportedObject};
pub use identities::RefusedObject;
pub use losses::Release;
pub use neighbourhoods::QueuedNeighbourhood;
pub use partitions::Partition;
pub use planned::PlannedReference;
pub use queue::Queued;
pub use reference_exports::{ReferenceExport, ReferencePlace};
pub use references::Resolved;
pub use remarks::{Remark, StoredRemark};
pub use run_steps::{RunStep, StepEnd, StepId};
pub use runs::{ErrorPlace, Run, RunId, StoredError};
pub use scan::{KeyRange, Neighbourhoods};
pub use staged::{StagedPlace, StagedReference};
pub use standing::Standing;
pub use unanswered::Unanswered;

/// The state of one connect server. Clones are the same state.
#[derive(Debug, Clone)]
pub struct State {
    database: Database,
}

impl State {
    /// Opens the state at a path, creating it when it does not exist and bringing an older schema
    /// up to date. An import that was whole when it was broken off is merged to its end.
    ///
    /// # Errors
    /// When the file cannot be opened, or a newer release wrote it.
    pub async fn open(path: &Path) -> Result<Self, StateError> {
        let migrations = sqlx::migrate!("migrations/connector_space");
        let state = Self { database: Database::open(path, &migrations, true).await? };
        state.merge_what_is_whole(None).await?;
        Ok(state)
    }

    /// Keeps so many transactions more and none after them, as a host that loses its power: for
    /// simulations. Opened again, it works on.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn lose_power_after(&self, commits: u32) -> Result<(), StateError> {
        Ok(self.database.lose_power_after(commits).await?)
    }

    /// Closes it, after what is under way.
    pub async fn close(&self) {
        self.database.close().await;
    }
}

#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;
