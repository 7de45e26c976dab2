//! The ids that a target gives its objects itself, by their anchors.
//!
//! One that was sent and whose answer did not come is in doubt: it may be there. Should it not be wished
//! for any more before that is known, the doubt outlives it, so that nothing is left at the target.

use portolan_model::{Guid, SourceAnchor};
use portolan_sync::TenantKind;
use portolan_sync::engine::ConnectorId;
use sqlx::Row as _;

use super::codes::Code as _;
use super::references::mark_target;
use super::rows::{self, numbers, texts};
use super::{State, StateError, TargetKey};

impl State {
    /// The ids of those of a target's objects that are known.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn identities(
        &self,
        target: ConnectorId,
        anchors: &[SourceAnchor],
    ) -> Result<Vec<(SourceAnchor, Guid)>, StateError> {
        let rows = sqlx::query(
            "SELECT t.anchor, i.id FROM json_each(?2)
                 CROSS JOIN target_object t ON t.connector = ?1 AND t.anchor = value
                 CROSS JOIN target_identity i ON i.key = t.key
             WHERE i.id IS NOT NULL",
        )
        .bind(target.0)
        .bind(texts(anchors.iter().map(SourceAnchor::as_str)))
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter()
            .map(|row| Ok((rows::anchor(row.try_get("anchor")?)?, rows::guid(row.try_get("id")?)?)))
            .collect()
    }

    /// Keeps that objects are about to be sent of which no id is known.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn doubt(&self, keys: &[TargetKey]) -> Result<(), StateError> {
        let mut tx = self.database.write().await?;
        sqlx::query(
            "INSERT OR IGNORE INTO target_identity (key) SELECT value FROM json_each(?)
             WHERE EXISTS (SELECT 1 FROM target_object WHERE target_object.key = value)",
        )
        .bind(numbers(keys.iter().map(|key| key.0)))
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// Keeps that objects are not at a target, whatever was sent.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn clear_doubt(&self, keys: &[TargetKey]) -> Result<(), StateError> {
        let mut tx = self.database.write().await?;
        sqlx::query(
            "DELETE FROM target_identity WHERE id IS NULL AND key IN (SELECT value FROM json_each(?))",
        )
        .bind(numbers(keys.iter().map(|key| key.0)))
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// Keeps the ids of a target's objects; those of anchors that are none of its objects' are not kept.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn identify(
        &self,
        target: ConnectorId,
        ids: &[(SourceAnchor, Guid)],
    ) -> Result<(), StateError> {
        let mut tx = self.database.write().await?;
        for (anchor, id) in ids {
            sqlx::query(
                "INSERT INTO target_identity (key, id)
                 SELECT key, ?3 FROM target_object WHERE connector = ?1 AND anchor = ?2
                 ON CONFLICT (key) DO UPDATE SET id = excluded.id",
            )
            .bind(target.0)
            .bind(anchor.as_str())
            .bind(id.to_bytes_le().as_slice())
            .execute(&mut *tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }

    /// Objects that may be left at a target although they are not wished for.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn doubts(
        &self,
        target: ConnectorId,
        limit: u32,
    ) -> Result<Vec<(SourceAnchor, TenantKind)>, StateError> {
        let rows = sqlx::query(
            "SELECT anchor, kind FROM target_doubt WHERE connector = ? ORDER BY anchor LIMIT ?",
        )
        .bind(target.0)
        .bind(limit)
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter()
            .map(|row| {
                let kind = TenantKind::of_code(row.try_get("kind")?)?;
                Ok((rows::anchor(row.try_get("anchor")?)?, kind))
            })
            .collect()
    }

    /// Keeps that these are not left at a target any more, or are wished for again.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn resolve_doubts(
        &self,
        target: ConnectorId,
        anchors: &[SourceAnchor],
    ) -> Result<(), StateError> {
        let mut tx = self.database.write().await?;
        sqlx::query(
            "DELETE FROM target_doubt
             WHERE connector = ? AND anchor IN (SELECT value FROM json_each(?))",
        )
        .bind(target.0)
        .bind(texts(anchors.iter().map(SourceAnchor::as_str)))
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// Keeps that a target does not have objects any more that it acknowledged, although nobody here
    /// wished for that: they are made anew, with all that refers to them.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn vanished(&self, keys: &[TargetKey]) -> Result<(), StateError> {
        let keys = numbers(keys.iter().map(|key| key.0));
        let mut tx = self.database.write().await?;
        mark_target(&mut tx, &keys).await?;
        for statement in [
            "DELETE FROM target_reference WHERE source IN (SELECT value FROM json_each(?))",
            "DELETE FROM target_reference WHERE target IN (SELECT value FROM json_each(?))",
            "UPDATE target_object SET pending = coalesce(pending, confirmed), confirmed = NULL,
                 credentialed = 0,
                 stage = coalesce(stage, CASE kind WHEN 0 THEN 1 WHEN 1 THEN 2 WHEN 3 THEN 3 ELSE 4 END)
             WHERE confirmed IS NOT NULL AND key IN (SELECT value FROM json_each(?))",
            "DELETE FROM target_object WHERE stage = 0 AND confirmed IS NULL
                 AND key IN (SELECT value FROM json_each(?))",
        ] {
            sqlx::query(statement).bind(&keys).execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }

    /// How many exports a target refused, by the kind of object and of refusal.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn refused_counts(
        &self,
        target: ConnectorId,
    ) -> Result<Vec<(TenantKind, String, u64)>, StateError> {
        let rows = sqlx::query(
            "SELECT kind, code, count(*) AS refused FROM target_object
             WHERE connector = ? AND code IS NOT NULL GROUP BY kind, code ORDER BY kind, code",
        )
        .bind(target.0)
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter()
            .map(|row| {
                let count: i64 = row.try_get("refused")?;
                let kind = TenantKind::of_code(row.try_get("kind")?)?;
                Ok((kind, row.try_get("code")?, count.unsigned_abs()))
            })
            .collect()
    }
}
