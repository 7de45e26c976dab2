//! A target that lost what it acknowledged: everything that is known of it is forgotten, but what it says
//! that it has.
//!
//! In pieces. What tells that it is to be done is what is remembered of batches, and that is replaced at the
//! very end: one that is broken off is begun again, and comes to the same.

use std::collections::HashSet;

use portolan_model::SourceAnchor;
use portolan_sync::TenantKind;
use portolan_sync::engine::ConnectorId;
use sqlx::{QueryBuilder, Sqlite};
use time::OffsetDateTime;

use super::codes::{Code as _, DELETION};
use super::confirm::last_key;
use super::departures::{Departure, depart};
use super::names::{BATCHES, REPLICATION_CURSOR, forget, remember};
use super::rows::numbers;
use super::{State, StateError};

/// Objects of one statement.
const STATEMENT_OBJECTS: usize = 64;
/// Objects of one transaction.
const OBJECTS_AT_ONCE: usize = if cfg!(test) { 2 } else { 5_000 };
/// References of one transaction.
const REFERENCES_AT_ONCE: i64 = if cfg!(test) { 2 } else { 20_000 };

impl State {
    /// Forgets what a target has acknowledged, but that it has these objects, of which nothing else is
    /// known: each is to be written anew, or is deleted when a full synchronisation does not claim it;
    /// and credentials are replicated from the beginning. What was to be deleted and is not among them counts
    /// as lost `now`. `batches` is what is remembered of those from now on.
    ///
    /// # Errors
    /// When the state cannot be written. What is remembered of batches is as before then, and it is to be
    /// called again before anything is exported.
    pub async fn begin_anew(
        &self,
        target: ConnectorId,
        objects: &[(SourceAnchor, TenantKind)],
        batches: &[u8],
        now: OffsetDateTime,
    ) -> Result<(), StateError> {
        self.forget_replication().await?;
        self.forget_deleted(target, objects, now).await?;
        self.forget_references(target).await?;
        self.forget_confirmed(target).await?;
        for piece in objects.chunks(OBJECTS_AT_ONCE) {
            self.put_there(target, piece).await?;
        }
        let mut tx = self.database.write().await?;
        remember(&mut tx, target, BATCHES, batches).await?;
        Ok(tx.commit().await?)
    }

    async fn forget_replication(&self) -> Result<(), StateError> {
        let mut tx = self.database.write().await?;
        // That of each naming context of each forest.
        let cursors: Vec<(u16, String)> = sqlx::query_as(
            "SELECT connector, name FROM remembered WHERE name = ?1 OR name GLOB ?1 || ':*'",
        )
        .bind(REPLICATION_CURSOR)
        .fetch_all(&mut *tx)
        .await?;
        for (forest, name) in cursors {
            forget(&mut tx, ConnectorId(forest), &name).await?;
        }
        Ok(tx.commit().await?)
    }

    /// What was to be deleted, and is not there.
    async fn forget_deleted(
        &self,
        target: ConnectorId,
        there: &[(SourceAnchor, TenantKind)],
        now: OffsetDateTime,
    ) -> Result<(), StateError> {
        let there: HashSet<&str> = there.iter().map(|(anchor, _)| anchor.as_str()).collect();
        let mut after = i64::MIN;
        loop {
            let mut tx = self.database.write().await?;
            let dying: Vec<(i64, String)> = sqlx::query_as(
                "SELECT key, anchor FROM target_object WHERE connector = ? AND stage = ? AND key > ?
                 ORDER BY key LIMIT ?",
            )
            .bind(target.0)
            .bind(DELETION)
            .bind(after)
            .bind(OBJECTS_AT_ONCE as i64)
            .fetch_all(&mut *tx)
            .await?;
            let Some((last, _)) = dying.last() else { return Ok(()) };
            after = *last;
            let gone = dying.iter().filter(|(_, anchor)| !there.contains(anchor.as_str()));
            let gone: Vec<_> = gone.map(|(key, _)| *key).collect();
            depart(&mut tx, &gone, Departure::Missing, now).await?;
            tx.commit().await?;
        }
    }

    /// Those of the target, and those that were to be added or removed: they are worked out anew.
    async fn forget_references(&self, target: ConnectorId) -> Result<(), StateError> {
        for statement in [
            "DELETE FROM target_reference WHERE (source, attribute, target) IN (
                 SELECT r.source, r.attribute, r.target FROM target_reference r
                 CROSS JOIN target_object t ON t.key = r.source WHERE t.connector = ? LIMIT ?)",
            "DELETE FROM pending_reference WHERE (source, attribute, target) IN (
                 SELECT r.source, r.attribute, r.target FROM pending_reference r
                 CROSS JOIN target_object t ON t.key = r.source WHERE t.connector = ? LIMIT ?)",
            "DELETE FROM target_object WHERE key IN (SELECT key FROM target_object
                 WHERE connector = ? AND metaverse < 0 LIMIT ?)",
        ] {
            self.repeat(statement, target).await?;
        }
        Ok(())
    }

    /// Repeats a statement, a transaction each, until it changes nothing.
    async fn repeat(&self, statement: &'static str, target: ConnectorId) -> Result<(), StateError> {
        loop {
            let mut tx = self.database.write().await?;
            let query = sqlx::query(statement).bind(target.0).bind(REFERENCES_AT_ONCE);
            let changed = query.execute(&mut *tx).await?.rows_affected();
            tx.commit().await?;
            if changed == 0 {
                return Ok(());
            }
        }
    }

    /// What the target had of each object is to be written again, and its references with it.
    async fn forget_confirmed(&self, target: ConnectorId) -> Result<(), StateError> {
        let mut after = i64::MIN;
        loop {
            let mut tx = self.database.write().await?;
            let keys: Vec<i64> = sqlx::query_scalar(
                "SELECT key FROM target_object WHERE connector = ? AND key > ? ORDER BY key LIMIT ?",
            )
            .bind(target.0)
            .bind(after)
            .bind(OBJECTS_AT_ONCE as i64)
            .fetch_all(&mut *tx)
            .await?;
            let Some(last) = keys.last() else { return Ok(()) };
            after = *last;
            let list = numbers(keys);
            for statement in [
                // Of what was there and not known, there is nothing to write until it is decided about; what is
                // to be deleted is there.
                "UPDATE target_object SET confirmed = iif(stage IS 0, x'', NULL)
                 WHERE key IN (SELECT value FROM json_each(?)) AND (confirmed = x'' OR stage = 0)",
                "UPDATE target_object SET pending = coalesce(pending, confirmed), confirmed = NULL,
                     credentialed = 0, attempts = 0, code = NULL, error = NULL,
                     stage = iif(pending IS NULL AND confirmed IS NULL, stage, coalesce(stage,
                         CASE kind WHEN 0 THEN 1 WHEN 1 THEN 2 WHEN 3 THEN 3 ELSE 4 END))
                 WHERE key IN (SELECT value FROM json_each(?)) AND stage IS NOT 0",
                "INSERT OR IGNORE INTO dirty_reference (kind, object)
                 SELECT DISTINCT 3, feed.target FROM json_each(?) CROSS JOIN feed ON feed.target = value",
            ] {
                sqlx::query(statement).bind(&list).execute(&mut *tx).await?;
            }
            tx.commit().await?;
        }
    }

    /// The target has these objects, and more is not known of them.
    async fn put_there(
        &self,
        target: ConnectorId,
        objects: &[(SourceAnchor, TenantKind)],
    ) -> Result<(), StateError> {
        let mut tx = self.database.write().await?;
        let mut last = last_key(&mut tx).await?;
        for chunk in objects.chunks(STATEMENT_OBJECTS) {
            let mut query = QueryBuilder::<Sqlite>::new(
                "INSERT INTO target_object (key, connector, metaverse, kind, anchor, confirmed) ",
            );
            query.push_values(chunk, |mut values, (anchor, kind)| {
                last += 1;
                values.push_bind(last).push_bind(target.0).push_bind(-last);
                values.push_bind(kind.code()).push_bind(anchor.as_str()).push("x''");
            });
            query.push(
                " ON CONFLICT (connector, anchor) DO UPDATE SET confirmed = excluded.confirmed",
            );
            query.build().execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }
}
