//! The connector space of one forest in SQLite: its objects as imported, their anchors, what the
//! tenant acknowledged, and the replication cursor.
//!
//! No password hash is ever here: only which objects' credentials the tenant has acknowledged.

mod document;
mod error;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use portolan_model::{Guid, SourceAnchor};
use portolan_sync::ForestObject;
use portolan_sync::flow::{TenantKind, TenantObject};
use portolan_sync::plan::Change;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};

use crate::sqlite::Database;
pub use error::SpaceError;

/// The cursor of password hash replication.
const REPLICATION_CURSOR: &str = "drs";

/// The connector space of one forest.
#[derive(Debug, Clone)]
pub struct ConnectorSpace {
    database: Database,
}

/// A full import under way: one transaction, which replaces what is there when it is finished and
/// leaves it untouched when it is dropped.
#[derive(Debug)]
pub struct FullImport {
    transaction: Transaction<'static, Sqlite>,
    number: i64,
}

/// What a full import changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportCounts {
    /// Objects that the forest has.
    pub present: u64,
    /// Objects that were there before and are gone.
    pub removed: u64,
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

    /// Begins a full import.
    ///
    /// # Errors
    /// When another writer holds the space for longer than the busy time.
    pub async fn begin_full_import(&self) -> Result<FullImport, SpaceError> {
        let mut transaction = self.database.write().await?;
        let number: i64 = sqlx::query_scalar("SELECT coalesce(max(import), 0) + 1 FROM object")
            .fetch_one(&mut *transaction)
            .await?;
        Ok(FullImport { transaction, number })
    }

    /// All objects, in the order of their first import.
    ///
    /// # Errors
    /// When a row cannot be read back.
    pub async fn objects(&self) -> Result<Vec<ForestObject>, SpaceError> {
        let rows = sqlx::query(
            "SELECT guid, kind, dn, parent, members, attributes FROM object ORDER BY rid",
        )
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter().map(forest_object).collect()
    }

    /// The anchors that were set, by objectGUID.
    ///
    /// # Errors
    /// When a row cannot be read back.
    pub async fn anchors(&self) -> Result<BTreeMap<Guid, SourceAnchor>, SpaceError> {
        let rows = sqlx::query("SELECT guid, anchor FROM anchor")
            .fetch_all(&mut *self.database.read().await?)
            .await?;
        rows.iter().map(|row| Ok((document::guid(row.try_get("guid")?)?, anchor(row)?))).collect()
    }

    /// Sets the anchors of objects that have none yet. An anchor that was set stays.
    ///
    /// # Errors
    /// When two objects would share an anchor.
    pub async fn fix_anchors(
        &self,
        anchors: &BTreeMap<Guid, SourceAnchor>,
    ) -> Result<(), SpaceError> {
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

    /// What the tenant has acknowledged, by anchor.
    ///
    /// # Errors
    /// When a row cannot be read back.
    pub async fn exported(&self) -> Result<BTreeMap<SourceAnchor, TenantObject>, SpaceError> {
        let rows = sqlx::query("SELECT anchor, kind, attributes, members FROM exported")
            .fetch_all(&mut *self.database.read().await?)
            .await?;
        rows.iter()
            .map(|row| {
                let object = tenant_object(row)?;
                Ok((object.anchor.clone(), object))
            })
            .collect()
    }

    /// Records changes that the tenant has acknowledged.
    ///
    /// # Errors
    /// When the space cannot be written.
    pub async fn acknowledge(&self, changes: &[&Change]) -> Result<(), SpaceError> {
        let mut transaction = self.database.write().await?;
        for change in changes {
            match change {
                Change::Add(object) | Change::Update(object) => {
                    put_exported(&mut transaction, object).await?;
                }
                Change::Delete { anchor, .. } => forget(&mut transaction, anchor).await?,
            }
        }
        Ok(transaction.commit().await?)
    }

    /// The replication cursor as it was last committed.
    ///
    /// # Errors
    /// When the space cannot be read.
    pub async fn replication_cursor(&self) -> Result<Option<Vec<u8>>, SpaceError> {
        let value = sqlx::query_scalar("SELECT value FROM cursor WHERE name = ?")
            .bind(REPLICATION_CURSOR)
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
        sqlx::query(
            "INSERT INTO cursor (name, value) VALUES (?, ?)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
        .bind(REPLICATION_CURSOR)
        .bind(cursor)
        .execute(&mut *transaction)
        .await?;
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

impl FullImport {
    /// Takes an object in.
    ///
    /// # Errors
    /// When the space cannot be written.
    pub async fn put(&mut self, object: &ForestObject) -> Result<(), SpaceError> {
        sqlx::query(
            "INSERT INTO object (guid, kind, dn, parent, members, attributes, import)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (guid) DO UPDATE SET kind = excluded.kind, dn = excluded.dn,
                 parent = excluded.parent, members = excluded.members,
                 attributes = excluded.attributes, import = excluded.import",
        )
        .bind(&object.guid.to_bytes_le()[..])
        .bind(object.kind.as_str())
        .bind(object.dn.as_str())
        .bind(object.parent.map(|guid| guid.to_bytes_le().to_vec()))
        .bind(document::guids_to_octets(&object.members))
        .bind(document::forest_attributes_to_json(object.attributes()))
        .bind(self.number)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// Ends the import: objects that it did not see are gone.
    ///
    /// # Errors
    /// When the space cannot be written.
    pub async fn finish(mut self) -> Result<ImportCounts, SpaceError> {
        let removed = sqlx::query("DELETE FROM object WHERE import <> ?")
            .bind(self.number)
            .execute(&mut *self.transaction)
            .await?
            .rows_affected();
        let present: i64 = sqlx::query_scalar("SELECT count(*) FROM object")
            .fetch_one(&mut *self.transaction)
            .await?;
        self.transaction.commit().await?;
        Ok(ImportCounts { present: present.unsigned_abs(), removed })
    }
}

async fn put_exported(
    transaction: &mut Transaction<'static, Sqlite>,
    object: &TenantObject,
) -> Result<(), SpaceError> {
    sqlx::query(
        "INSERT INTO exported (anchor, kind, attributes, members) VALUES (?, ?, ?, ?)
         ON CONFLICT (anchor) DO UPDATE SET kind = excluded.kind,
             attributes = excluded.attributes, members = excluded.members",
    )
    .bind(object.anchor.as_str())
    .bind(object.kind.as_str())
    .bind(document::tenant_attributes_to_json(&object.attributes))
    .bind(document::anchors_to_json(&object.members))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// A deleted object's credential is erased in the tenant, so it must be sent again should the object
/// come back.
async fn forget(
    transaction: &mut Transaction<'static, Sqlite>,
    anchor: &SourceAnchor,
) -> Result<(), SpaceError> {
    sqlx::query("DELETE FROM credential WHERE guid IN (SELECT guid FROM anchor WHERE anchor = ?)")
        .bind(anchor.as_str())
        .execute(&mut **transaction)
        .await?;
    sqlx::query("DELETE FROM exported WHERE anchor = ?")
        .bind(anchor.as_str())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

fn anchor(row: &SqliteRow) -> Result<SourceAnchor, SpaceError> {
    let text: String = row.try_get("anchor")?;
    text.parse().map_err(|_| SpaceError::corrupt("anchor"))
}

fn forest_object(row: &SqliteRow) -> Result<ForestObject, SpaceError> {
    let kind: &str = row.try_get("kind")?;
    let dn: &str = row.try_get("dn")?;
    let parent: Option<&[u8]> = row.try_get("parent")?;
    Ok(ForestObject::restore(
        document::guid(row.try_get("guid")?)?,
        portolan_sync::ObjectKind::from_name(kind).ok_or(SpaceError::corrupt("kind"))?,
        dn.parse().map_err(|_| SpaceError::corrupt("dn"))?,
        parent.map(document::guid).transpose()?,
        document::guids_from_octets(row.try_get("members")?)?,
        document::forest_attributes_from_json(row.try_get("attributes")?)?,
    ))
}

fn tenant_object(row: &SqliteRow) -> Result<TenantObject, SpaceError> {
    let kind: &str = row.try_get("kind")?;
    Ok(TenantObject {
        anchor: anchor(row)?,
        kind: TenantKind::from_name(kind).ok_or(SpaceError::corrupt("kind"))?,
        attributes: document::tenant_attributes_from_json(row.try_get("attributes")?)?,
        members: document::anchors_from_json(row.try_get("members")?)?,
    })
}

#[cfg(test)]
mod tests;
