//! The sync servers: what each sent last, what is theirs, and who succeeds whom.

use portolan_model::Guid;
use portolan_tenant::Digest;
use portolan_tenant::storage::StorageError;
use time::OffsetDateTime;

use super::SqliteTransaction;
use super::rows::{moment, nanos};

impl SqliteTransaction {
    /// Makes everything that is one sync server's another's, its place in a group too, and forgets the
    /// first one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn succeed(&mut self, old: Guid, new: Guid) -> Result<(), StorageError> {
        self.replace_in_group(old, new).await?;
        sqlx::query("UPDATE sync_server SET client_id = ? WHERE client_id = ?")
            .bind(new.to_string())
            .bind(old.to_string())
            .execute(&mut *self.inner)
            .await
            .map_err(StorageError::new)?;
        self.remove_application(old).await.map(|_| ())
    }

    /// Takes note of a sync server's batch.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn note_batch(
        &mut self,
        by: Guid,
        batch: Guid,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        sqlx::query(
            "INSERT INTO sync_server (client_id, last_batch, ingested_at) VALUES (?, ?, ?)
             ON CONFLICT (client_id) DO UPDATE SET last_batch = excluded.last_batch,
             ingested_at = excluded.ingested_at",
        )
        .bind(by.to_string())
        .bind(batch.to_string())
        .bind(nanos(now))
        .execute(&mut *self.inner)
        .await
        .map(|_| ())
        .map_err(StorageError::new)
    }

    /// A sync server's last batch, and when it came.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn last_batch(
        &mut self,
        by: Guid,
    ) -> Result<Option<(Guid, OffsetDateTime)>, StorageError> {
        let row: Option<(String, i64)> =
            sqlx::query_as("SELECT last_batch, ingested_at FROM sync_server WHERE client_id = ?")
                .bind(by.to_string())
                .fetch_optional(&mut *self.inner)
                .await
                .map_err(StorageError::new)?;
        row.map(|(batch, at)| Ok((batch.parse().map_err(StorageError::new)?, moment(at)?)))
            .transpose()
    }

    /// The anchors and kinds of a group's living objects, in the order of their anchors, behind
    /// `after`, at most `count`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn owned_objects(
        &mut self,
        group: Guid,
        after: &str,
        count: u32,
    ) -> Result<Vec<(String, String)>, StorageError> {
        sqlx::query_as(
            "SELECT w.anchor, o.kind FROM object_owner w JOIN object o ON o.anchor = w.anchor
             WHERE w.client_id = ? AND w.anchor > ? AND o.deleted_at IS NULL
             ORDER BY w.anchor LIMIT ?",
        )
        .bind(group.to_string())
        .bind(after)
        .bind(count)
        .fetch_all(&mut *self.inner)
        .await
        .map_err(StorageError::new)
    }

    /// Says whom the server that enrols with a secret succeeds.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn bind_enrolment(
        &mut self,
        secret: &Digest,
        replaces: Guid,
    ) -> Result<(), StorageError> {
        sqlx::query("UPDATE enrolment SET replaces = ? WHERE secret = ?")
            .bind(replaces.to_string())
            .bind(secret.octets().as_slice())
            .execute(&mut *self.inner)
            .await
            .map(|_| ())
            .map_err(StorageError::new)
    }

    /// Whom the server that enrols with a secret succeeds.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn enrolment_replaces(
        &mut self,
        secret: &Digest,
    ) -> Result<Option<Guid>, StorageError> {
        let id: Option<Option<String>> =
            sqlx::query_scalar("SELECT replaces FROM enrolment WHERE secret = ?")
                .bind(secret.octets().as_slice())
                .fetch_optional(&mut *self.inner)
                .await
                .map_err(StorageError::new)?;
        id.flatten().map(|id| id.parse().map_err(StorageError::new)).transpose()
    }
}
