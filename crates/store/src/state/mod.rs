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
mod apply;
mod changes;
mod check;
mod codes;
mod confirm;
mod confirm_references;
mod counters;
mod credentials;
mod error;
mod exports;
mod figures;
mod full;
mod joins;
mod losses;
mod merge;
mod names;
mod neighbourhoods;
mod packed;
mod queue;
mod reference_exports;
mod references;
mod rows;
mod run_steps;
mod runs;
mod staged;
mod standing;

use std::path::Path;

use crate::sqlite::Database;

pub use apply::Outcome;
pub use changes::{Changed, Changes, Found};
pub use confirm::{Confirmed, Held, Known};
pub use confirm_references::KnownReferences;
pub use error::StateError;
pub use exports::{Export, Place, Refusal, TargetKey};
pub use figures::{Figures, Waiting};
pub use full::{FullImport, ImportedObject};
pub use losses::Release;
pub use neighbourhoods::{KeyRange, Neighbourhoods, QueuedNeighbourhood};
pub use queue::Queued;
pub use reference_exports::{ReferenceExport, ReferencePlace};
pub use references::Resolved;
pub use run_steps::{RunStep, StepEnd, StepId};
pub use runs::{ErrorPlace, Run, RunId, StoredError};
pub use staged::{StagedPlace, StagedReference};
pub use standing::Standing;

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

    /// Closes it, after what is under way.
    pub async fn close(&self) {
        self.database.close().await;
    }
}

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;
