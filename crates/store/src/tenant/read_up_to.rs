//! How far groups of sync servers had read their forests when they last wrote.

use portolan_model::Guid;
use portolan_tenant::read_up_to::ReadUpTo;
use portolan_tenant::storage::StorageError;

use super::SqliteTransaction;

impl SqliteTransaction {
    /// How far a group had read when it last wrote; nothing of one that never said.
    ///
    /// # Errors
    /// When the store fails, or does not read back.
    pub async fn read_up_to(&mut self, group: Guid) -> Result<ReadUpTo, StorageError> {
        let rows: Vec<(String, String, i64)> =
            sqlx::query_as("SELECT domain, invocation_id, usn FROM read_up_to WHERE group_id = ?")
                .bind(group.to_string())
                .fetch_all(&mut *self.inner)
                .await
                .map_err(StorageError::new)?;
        let mut read = ReadUpTo::default();
        for (domain, database, usn) in rows {
            let domain = domain.parse().map_err(StorageError::new)?;
            let database = database.parse().map_err(StorageError::new)?;
            read.note(domain, database, u64::try_from(usn).map_err(StorageError::new)?);
        }
        Ok(read)
    }

    /// Keeps how far a group has read, in place of what is kept.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_read_up_to(
        &mut self,
        group: Guid,
        read: &ReadUpTo,
    ) -> Result<(), StorageError> {
        let row = |(domain, database, usn): (&_, Guid, u64)| {
            (ToString::to_string(domain), database.to_string(), usn)
        };
        let rows: Vec<_> = read.all().map(row).collect();
        let rows = serde_json::to_string(&rows).map_err(StorageError::new)?;
        sqlx::query("DELETE FROM read_up_to WHERE group_id = ?")
            .bind(group.to_string())
            .execute(&mut *self.inner)
            .await
            .map_err(StorageError::new)?;
        sqlx::query(
            "INSERT INTO read_up_to (group_id, domain, invocation_id, usn)
             SELECT ?, value ->> 0, value ->> 1, value ->> 2 FROM json_each(?)",
        )
        .bind(group.to_string())
        .bind(rows)
        .execute(&mut *self.inner)
        .await
        .map(|_| ())
        .map_err(StorageError::new)
    }
}
