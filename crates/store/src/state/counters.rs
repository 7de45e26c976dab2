//! How many objects there are. The counters change in the transactions of the objects, by triggers:
//! asking them does not go over the objects.

use portolan_sync::ObjectKind;
use portolan_sync::TenantKind;
use portolan_sync::engine::ConnectorId;
use portolan_sync::guard::Losses;
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

    /// What a target has, and what of that is to be deleted.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn losses(&self, target: ConnectorId) -> Result<Losses, StateError> {
        let rows = sqlx::query(
            "SELECT kind, sum(there) FILTER (WHERE what = 1) AS exported,
                 sum(there) FILTER (WHERE what = 2) AS deleted
             FROM counter WHERE what IN (1, 2) AND connector = ? GROUP BY kind",
        )
        .bind(target.0)
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        let mut losses = Losses::default();
        for row in &rows {
            let number = |name| {
                let number: Option<i64> = row.try_get(name)?;
                Ok::<_, StateError>(usize::try_from(number.unwrap_or_default()).unwrap_or(0))
            };
            let kind = TenantKind::of_code(row.try_get("kind")?)?;
            losses.add(kind, number("deleted")?, number("exported")?);
        }
        Ok(losses)
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
