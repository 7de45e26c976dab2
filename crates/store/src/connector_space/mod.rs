//! The connector space of one forest in SQLite: its objects as imported, their anchors, what the
//! tenant acknowledged, and the cursors.
//!
//! Objects go in by a [`FullImport`] or by [`Changes`], and come out in [`Objects`], a batch at a time:
//! nothing here holds a forest. No password hash is ever here: only which objects' credentials the
//! tenant has acknowledged.

mod changes;
pub mod document;
mod error;
mod exported;
mod full;
mod objects;

use std::collections::BTreeSet;
use std::path::Path;

use portolan_model::{Guid, SourceAnchor};
use portolan_sync::Anchors;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};

use crate::sqlite::Database;
pub use changes::{Changed, Changes};
pub use error::SpaceError;
pub use exported::ExportedKey;
pub use full::FullImport;
pub use objects::Objects;

/// The cursor of password hash replication.
const REPLICATION_CURSOR: &str = "drs";
/// The cursor of the import.
const FOREST_CURSOR: &str = "forest";
/// Which batches the tenant was sent last.
const BATCHES: &str = "batches";
/// What the last plan that was carried out was made of.
const PLANNED: &str = "planned";

/// The connector space of one forest.
#[derive(Debug, Clone)]
pub struct ConnectorSpace {
    database: Database,
}

impl ConnectorSpace {
    /// Opens the space at a path, creating it when it does not exist and bringing an older schema
    /// up to date.
    ///
    /// # Errors
    /// When the file cannot be opened, or a newer release wrote it.
    pub async fn open(path: &Path) -> Result<Self, SpaceError> {
        let migrations = sqlx::migrate!("migrations/connector_space");
        Ok(Self { database: Database::open(path, &migrations, true).await? })
    }

    /// The anchors that were set.
    ///
    /// # Errors
    /// When a row cannot be read back.
    pub async fn anchors(&self) -> Result<Anchors, SpaceError> {
        let mut pairs = Vec::new();
        let mut after = 0_i64;
        loop {
            let rows = sqlx::query(
                "SELECT rowid, guid, anchor FROM anchor WHERE rowid > ? ORDER BY rowid LIMIT 2000",
            )
            .bind(after)
            .fetch_all(&mut *self.database.read().await?)
            .await?;
            let Some(last) = rows.last() else { return Ok(pairs.into_iter().collect()) };
            after = last.try_get("rowid")?;
            for row in &rows {
                pairs.push((document::guid(row.try_get("guid")?)?, anchor(row)?));
            }
        }
    }

    /// Sets the anchors of objects that have none yet. An anchor that was set stays.
    ///
    /// # Errors
    /// When two objects would share an anchor.
    pub async fn fix_anchors(
        &self,
        anchors: impl IntoIterator<Item = (Guid, SourceAnchor)>,
    ) -> Result<(), SpaceError> {
        let mut anchors = anchors.into_iter().peekable();
        if anchors.peek().is_none() {
            return Ok(());
        }
        let mut transaction = self.database.write().await?;
        for (guid, anchor) in anchors {
            sqlx::query(
                "INSERT INTO anchor (guid, anchor) VALUES (?, ?) ON CONFLICT (guid) DO NOTHING",
            )
            .bind(&guid.to_bytes_le()[..])
            .bind(anchor.as_str())
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// The cursor of the import as it was committed with the objects; `None` when the forest is to be
    /// read in full.
    ///
    /// # Errors
    /// When the space cannot be read.
    pub async fn forest_cursor(&self) -> Result<Option<Vec<u8>>, SpaceError> {
        self.cursor(FOREST_CURSOR).await
    }

    /// Forgets the cursor of the import, so that the next one reads the forest in full.
    ///
    /// # Errors
    /// When the space cannot be written.
    pub async fn forget_forest_cursor(&self) -> Result<(), SpaceError> {
        let mut transaction = self.database.write().await?;
        sqlx::query("DELETE FROM cursor WHERE name = ?")
            .bind(FOREST_CURSOR)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// A number that grows with every change of an object.
    ///
    /// # Errors
    /// When the space cannot be read.
    pub async fn generation(&self) -> Result<i64, SpaceError> {
        let value = sqlx::query_scalar("SELECT value FROM state WHERE name = 'generation'")
            .fetch_one(&mut *self.database.read().await?)
            .await?;
        Ok(value)
    }

    /// What the last plan was made of that was carried out without a refusal.
    ///
    /// # Errors
    /// When the space cannot be read.
    pub async fn planned(&self) -> Result<Option<Vec<u8>>, SpaceError> {
        self.cursor(PLANNED).await
    }

    /// Records what the plan was made of that was carried out.
    ///
    /// # Errors
    /// When the space cannot be written.
    pub async fn commit_planned(&self, planned: &[u8]) -> Result<(), SpaceError> {
        let mut transaction = self.database.write().await?;
        put_cursor(&mut transaction, PLANNED, planned).await?;
        Ok(transaction.commit().await?)
    }

    /// What is remembered of the batches that the tenant was sent last.
    ///
    /// # Errors
    /// When the space cannot be read.
    pub async fn batches(&self) -> Result<Option<Vec<u8>>, SpaceError> {
        self.cursor(BATCHES).await
    }

    /// Remembers which batches the tenant was sent last.
    ///
    /// # Errors
    /// When the space cannot be written.
    pub async fn commit_batches(&self, batches: &[u8]) -> Result<(), SpaceError> {
        let mut transaction = self.database.write().await?;
        put_cursor(&mut transaction, BATCHES, batches).await?;
        Ok(transaction.commit().await?)
    }

    /// The replication cursor as it was last committed.
    ///
    /// # Errors
    /// When the space cannot be read.
    pub async fn replication_cursor(&self) -> Result<Option<Vec<u8>>, SpaceError> {
        self.cursor(REPLICATION_CURSOR).await
    }

    async fn cursor(&self, name: &str) -> Result<Option<Vec<u8>>, SpaceError> {
        let value = sqlx::query_scalar("SELECT value FROM cursor WHERE name = ?")
            .bind(name)
            .fetch_optional(&mut *self.database.read().await?)
            .await?;
        Ok(value)
    }

    /// Commits a replication cursor, together with the objects whose credential it passes although
    /// the tenant does not have it: they are no longer among [`Self::credentialed`], so that they are
    /// read alone until it does.
    ///
    /// # Errors
    /// When the space cannot be written; neither is recorded then.
    pub async fn commit_replication_cursor(
        &self,
        cursor: &[u8],
        passed_by: &BTreeSet<Guid>,
    ) -> Result<(), SpaceError> {
        let mut transaction = self.database.write().await?;
        for guid in passed_by {
            sqlx::query("DELETE FROM credential WHERE guid = ?")
                .bind(&guid.to_bytes_le()[..])
                .execute(&mut *transaction)
                .await?;
        }
        put_cursor(&mut transaction, REPLICATION_CURSOR, cursor).await?;
        Ok(transaction.commit().await?)
    }

    /// The objects whose credential the tenant has acknowledged.
    ///
    /// # Errors
    /// When a row cannot be read back.
    pub async fn credentialed(&self) -> Result<BTreeSet<Guid>, SpaceError> {
        let rows = sqlx::query("SELECT guid FROM credential")
            .fetch_all(&mut *self.database.read().await?)
            .await?;
        rows.iter().map(|row| document::guid(row.try_get("guid")?)).collect()
    }

    /// Records that the tenant has acknowledged the credentials of these objects.
    ///
    /// # Errors
    /// When the space cannot be written.
    pub async fn acknowledge_credentials(&self, guids: &[Guid]) -> Result<(), SpaceError> {
        let mut transaction = self.database.write().await?;
        for guid in guids {
            sqlx::query("INSERT INTO credential (guid) VALUES (?) ON CONFLICT DO NOTHING")
                .bind(&guid.to_bytes_le()[..])
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }
}

/// Writes a cursor, in the transaction of what it covers.
async fn put_cursor(
    transaction: &mut Transaction<'static, Sqlite>,
    name: &str,
    value: &[u8],
) -> Result<(), SpaceError> {
    sqlx::query(
        "INSERT INTO cursor (name, value) VALUES (?, ?)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )
    .bind(name)
    .bind(value)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

fn anchor(row: &SqliteRow) -> Result<SourceAnchor, SpaceError> {
    let text: &str = row.try_get("anchor")?;
    text.parse().map_err(|_| SpaceError::corrupt("anchor"))
}

#[cfg(test)]
mod tests;
