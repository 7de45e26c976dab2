//! Objects that changed since they were synchronised.

use portolan_sync::engine::ObjectKey;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::rows::{Tx, numbers};
use super::{State, StateError};

/// An object that waits to be synchronised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queued {
    /// Which.
    pub key: ObjectKey,
    /// Its turn: it gets another one if it changes again.
    pub ticket: i64,
}

impl State {
    /// How many objects wait.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn pending(&self) -> Result<u64, StateError> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM pending_object")
            .fetch_one(&mut *self.database.read().await?)
            .await?;
        Ok(count.unsigned_abs())
    }

    /// The first of those that wait. They wait until [`State::apply`] settles them.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn next_pending(&self, limit: u32) -> Result<Vec<Queued>, StateError> {
        let rows = sqlx::query("SELECT ticket, key FROM pending_object ORDER BY ticket LIMIT ?")
            .bind(limit)
            .fetch_all(&mut *self.database.read().await?)
            .await?;
        rows.iter().map(queued).collect()
    }

    /// Those of some objects that wait.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn pending_of(&self, objects: &[ObjectKey]) -> Result<Vec<Queued>, StateError> {
        let rows = sqlx::query(
            "SELECT ticket, key FROM pending_object WHERE key IN (SELECT value FROM json_each(?))
             ORDER BY ticket",
        )
        .bind(numbers(objects.iter().map(|key| key.0)))
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter().map(queued).collect()
    }

    /// Queues objects whether they changed or not, such as all that a changed rule is about.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn queue(&self, objects: &[ObjectKey]) -> Result<(), StateError> {
        let mut tx = self.database.write().await?;
        queue(&mut tx, objects.iter().map(|key| key.0)).await?;
        Ok(tx.commit().await?)
    }
}

fn queued(row: &SqliteRow) -> Result<Queued, StateError> {
    Ok(Queued { key: ObjectKey(row.try_get("key")?), ticket: row.try_get("ticket")? })
}

/// Queues objects in the transaction of what changed of them.
pub(super) async fn queue(
    tx: &mut Tx,
    keys: impl IntoIterator<Item = i64>,
) -> Result<(), StateError> {
    sqlx::query("REPLACE INTO pending_object (key) SELECT value FROM json_each(?)")
        .bind(numbers(keys))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Takes objects off the queue, unless they have changed again since.
pub(super) async fn settle(tx: &mut Tx, settled: &[Queued]) -> Result<(), StateError> {
    let tickets = numbers(settled.iter().map(|queued| queued.ticket));
    sqlx::query("DELETE FROM pending_object WHERE ticket IN (SELECT value FROM json_each(?))")
        .bind(tickets)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
