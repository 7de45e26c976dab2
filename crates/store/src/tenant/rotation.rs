//! Sealed rows, and how they come under a new master key.
//!
//! Which key seals is written in the store itself, so that every process that writes agrees on it. A
//! rotation names the new key there first; from that transaction on nothing is sealed with the old one,
//! by whichever process. Then the rows move in small transactions. The old key may go when no row is
//! left under it, and not before.

use portolan_tenant::storage::StorageError;
use sqlx::AssertSqlSafe;
use zeroize::Zeroizing;

use super::{SqliteStore, SqliteTransaction};

/// Rows that one transaction moves: other writers wait for so many at most.
pub const ROWS_MOVED_MAX: u32 = 100;

/// The tables with sealed rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sealed {
    /// People's passwords.
    Credential,
    /// The tenant's own keys and salts.
    Vault,
}

impl Sealed {
    const ALL: [Self; 2] = [Self::Credential, Self::Vault];

    /// The table and the column that names a row in it.
    const fn table(self) -> (&'static str, &'static str) {
        match self {
            Self::Credential => ("credential", "user_id"),
            Self::Vault => ("vault", "name"),
        }
    }

    /// What the row of a name is bound to.
    pub(super) fn context(self, name: &str) -> String {
        format!("{} {name}", self.table().0)
    }
}

impl SqliteTransaction {
    /// Seals a record with the key that seals now.
    pub(super) async fn sealed(
        &mut self,
        context: &str,
        plain: &[u8],
    ) -> Result<(String, Vec<u8>), StorageError> {
        if self.sealing.is_none() {
            self.sealing = self.sealing_key().await?;
        }
        let sealed = match &self.sealing {
            Some(name) => {
                self.keys.with(|keys| Ok((name.clone(), keys.seal_with(name, context, plain)?)))
            }
            None => self.keys.with(|keys| keys.seal(context, plain)),
        };
        sealed.map_err(StorageError::new)
    }

    /// Opens a record.
    pub(super) fn opened(
        &self,
        key_id: &str,
        context: &str,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StorageError> {
        self.keys.with(|keys| keys.open(key_id, context, sealed)).map_err(StorageError::new)
    }

    /// The name of the key that seals; `None` until it was ever said.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn sealing_key(&mut self) -> Result<Option<String>, StorageError> {
        sqlx::query_scalar("SELECT name FROM sealing_key")
            .fetch_optional(&mut *self.inner)
            .await
            .map_err(StorageError::new)
    }

    /// Names the key that seals from here on.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn seal_from_now_on_with(&mut self, name: &str) -> Result<(), StorageError> {
        sqlx::query(
            "INSERT INTO sealing_key (only, name) VALUES (1, ?)
             ON CONFLICT (only) DO UPDATE SET name = excluded.name",
        )
        .bind(name)
        .execute(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        self.sealing = Some(name.to_owned());
        Ok(())
    }

    /// Moves some rows of other keys under the one that seals; how many it were.
    ///
    /// # Errors
    /// When the store fails, or a row does not open.
    pub async fn move_to_sealing_key(&mut self) -> Result<u32, StorageError> {
        let Some(name) = self.sealing_key().await? else { return Ok(0) };
        let mut moved = 0;
        for sealed in Sealed::ALL {
            moved += self.move_rows(sealed, &name, ROWS_MOVED_MAX - moved).await?;
        }
        Ok(moved)
    }

    async fn move_rows(
        &mut self,
        table: Sealed,
        to: &str,
        count: u32,
    ) -> Result<u32, StorageError> {
        let (name, key) = table.table();
        let select = format!("SELECT {key}, key_id, sealed FROM {name} WHERE key_id <> ? LIMIT ?");
        let rows: Vec<(String, String, Vec<u8>)> = sqlx::query_as(AssertSqlSafe(select))
            .bind(to)
            .bind(count)
            .fetch_all(&mut *self.inner)
            .await
            .map_err(StorageError::new)?;
        let mut moved = 0;
        for (row, key_id, old) in rows {
            let context = table.context(&row);
            let plain = self.opened(&key_id, &context, &old)?;
            let (key_id, sealed) = self.sealed(&context, &plain).await?;
            let update = format!("UPDATE {name} SET key_id = ?, sealed = ? WHERE {key} = ?");
            sqlx::query(AssertSqlSafe(update))
                .bind(key_id)
                .bind(sealed)
                .bind(row)
                .execute(&mut *self.inner)
                .await
                .map_err(StorageError::new)?;
            moved += 1;
        }
        Ok(moved)
    }
}

impl SqliteStore {
    /// Writes what was moved into the database file itself and empties the log beside it, so that
    /// nothing that the old key opens is left in either.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forget_what_was_overwritten(&self) -> Result<(), StorageError> {
        self.database.checkpoint().await.map_err(StorageError::new)
    }
}
