//! What a decision depends on besides the objects that it is about, as far as rules ask for it: how many an
//! object refers to, and what a target confirmed. What changes there queues the object.

use portolan_sync::AttributeId;
use portolan_sync::engine::ConnectorId;

use super::names::{forget, remember};
use super::rows::Tx;
use super::{State, StateError};

/// Remembered of no connector: the attributes whose references rules count.
const COUNTED: &str = "counted";
const NOBODY: ConnectorId = ConnectorId(0);
/// Remembered of a target: that rules read what it confirmed.
const READ: &str = "confirmed-read";

impl State {
    /// Says what rules ask for from now on: of which attributes they count the references, and whether
    /// they read what a target confirmed.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn depend_on(
        &self,
        counted: &[AttributeId],
        target: ConnectorId,
        confirmed: bool,
    ) -> Result<(), StateError> {
        let mut tx = self.database.write().await?;
        let list = super::rows::numbers(counted.iter().map(|id| i64::from(id.0)));
        remember(&mut tx, NOBODY, COUNTED, list.as_bytes()).await?;
        if confirmed {
            remember(&mut tx, target, READ, b"").await?;
        } else {
            forget(&mut tx, target, READ).await?;
            let none = sqlx::query(
                // From the few to the many.
                "DELETE FROM settling WHERE EXISTS (SELECT 1 FROM target_object t
                     WHERE t.key = settling.target AND t.connector = ?)",
            );
            none.bind(target.0).execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Once everything is decided: what a confirmation changed nothing of is settled, and its next one is
    /// looked at again.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn settle_confirmed(&self) -> Result<(), StateError> {
        let mut tx = self.database.write().await?;
        sqlx::query(
            "DELETE FROM settling WHERE NOT EXISTS (SELECT 1 FROM target_object t
                 WHERE t.key = settling.target AND t.stage IS NOT NULL)",
        )
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }
}

/// Queues the objects of references (triples as JSON) that rules count.
pub(super) const QUEUE_COUNTING: &str = "REPLACE INTO pending_object (key)
    SELECT DISTINCT value ->> 0 FROM json_each(?)
    WHERE value ->> 1 IN (SELECT c.value FROM remembered r, json_each(CAST(r.value AS TEXT)) c
            WHERE r.connector = 0 AND r.name = 'counted')
        AND EXISTS (SELECT 1 FROM identity i WHERE i.key = value ->> 0 AND i.state = 1)";

/// Of which targets rules read what was confirmed.
pub(super) async fn read_of(tx: &mut Tx) -> Result<Vec<ConnectorId>, StateError> {
    let targets: Vec<i64> = sqlx::query_scalar("SELECT connector FROM remembered WHERE name = ?")
        .bind(READ)
        .fetch_all(&mut **tx)
        .await?;
    targets.into_iter().map(super::names::connector).collect()
}

/// A target has something else of an object than before, and rules read that: its object of a forest is
/// looked at again, once. What is exported for the sake of that is not looked at again, for rules that never
/// come to an end would never let it.
pub(super) async fn confirmed(tx: &mut Tx, target: i64) -> Result<(), StateError> {
    let ended = sqlx::query("DELETE FROM settling WHERE target = ?").bind(target);
    if ended.execute(&mut **tx).await?.rows_affected() > 0 {
        return Ok(());
    }
    for statement in [
        "INSERT INTO settling (target) SELECT key FROM target_object WHERE key = ? AND metaverse >= 0",
        "REPLACE INTO pending_object (key) SELECT link.key FROM target_object t
         CROSS JOIN link ON link.metaverse = t.metaverse WHERE t.key = ? ORDER BY link.key LIMIT 1",
    ] {
        sqlx::query(statement).bind(target).execute(&mut **tx).await?;
    }
    Ok(())
}
