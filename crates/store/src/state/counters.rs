//! How many objects there are. The counters change in the transactions of the objects, by triggers:
//! asking them does not go over the objects.

use portolan_sync::ObjectKind;
use portolan_sync::engine::ConnectorId;
use sqlx::Row as _;

use super::codes::Code as _;
use super::{State, StateError};

const STAGED: i64 = 0;

impl State {
    /// How many objects of a forest are staged, of each kind that has some.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn object_counts(
        &self,
        forest: ConnectorId,
    ) -> Result<Vec<(ObjectKind, u64)>, StateError> {
        let rows = sqlx::query(
            "SELECT kind, there FROM counter WHERE what = ? AND connector = ? AND there > 0
             ORDER BY kind",
        )
        .bind(STAGED)
        .bind(forest.0)
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter()
            .map(|row| {
                let there: i64 = row.try_get("there")?;
                Ok((ObjectKind::of_code(row.try_get("kind")?)?, there.unsigned_abs()))
            })
            .collect()
    }

    /// How many objects a target has.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn exported_count(&self, target: ConnectorId) -> Result<u64, StateError> {
        let count: i64 = sqlx::query_scalar(
            "SELECT coalesce(sum(there), 0) FROM counter WHERE what = 1 AND connector = ?",
        )
        .bind(target.0)
        .fetch_one(&mut *self.database.read().await?)
        .await?;
        Ok(count.unsigned_abs())
    }
}
