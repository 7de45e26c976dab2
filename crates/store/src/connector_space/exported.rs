//! What the tenant acknowledged.

use std::collections::BTreeMap;

use portolan_model::SourceAnchor;
use portolan_sync::flow::{TenantKind, TenantObject};
use portolan_sync::plan::Change;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};

use super::{ConnectorSpace, SpaceError, anchor, document};

/// Keys that are read at once.
const KEYS_MAX: i64 = 2_000;

/// Which object of the tenant it is, and of what kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedKey {
    /// Its place in the table, by which the next batch is asked for.
    pub place: i64,
    /// What identifies it.
    pub anchor: SourceAnchor,
    /// What it is.
    pub kind: TenantKind,
}

impl ConnectorSpace {
    /// The keys of what the tenant has acknowledged, a batch behind a place (0 for the first); none
    /// when there are no more.
    ///
    /// # Errors
    /// When a row cannot be read back.
    pub async fn exported_keys(&self, after: i64) -> Result<Vec<ExportedKey>, SpaceError> {
        let rows = sqlx::query(
            "SELECT rowid, anchor, kind FROM exported WHERE rowid > ? ORDER BY rowid LIMIT ?",
        )
        .bind(after)
        .bind(KEYS_MAX)
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(ExportedKey {
                    place: row.try_get("rowid")?,
                    anchor: anchor(row)?,
                    kind: kind(row)?,
                })
            })
            .collect()
    }

    /// What the tenant has acknowledged under these anchors.
    ///
    /// # Errors
    /// When a row cannot be read back.
    pub async fn exported(
        &self,
        anchors: &[SourceAnchor],
    ) -> Result<BTreeMap<SourceAnchor, TenantObject>, SpaceError> {
        let rows = sqlx::query(
            "SELECT anchor, kind, attributes, members FROM exported
             WHERE anchor IN (SELECT value FROM json_each(?))",
        )
        .bind(document::anchors_to_json(anchors))
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter()
            .map(|row| {
                let object = tenant_object(row)?;
                Ok((object.anchor.clone(), object))
            })
            .collect()
    }

    /// How many objects the tenant has acknowledged.
    ///
    /// # Errors
    /// When the space cannot be read.
    pub async fn exported_count(&self) -> Result<u64, SpaceError> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM exported")
            .fetch_one(&mut *self.database.read().await?)
            .await?;
        Ok(count.unsigned_abs())
    }

    /// Forgets what the tenant has acknowledged, but that it has these objects, of which nothing else is
    /// known: the next plan writes each of them anew or deletes it, and credentials are replicated from
    /// the beginning. `batches` is what is remembered of those from now on.
    ///
    /// # Errors
    /// When the space cannot be written; nothing is forgotten then.
    pub async fn begin_anew(
        &self,
        objects: &[(SourceAnchor, TenantKind)],
        batches: &[u8],
    ) -> Result<(), SpaceError> {
        let mut transaction = self.database.write().await?;
        for statement in ["DELETE FROM exported", "DELETE FROM credential"] {
            sqlx::query(statement).execute(&mut *transaction).await?;
        }
        for name in [super::PLANNED, super::REPLICATION_CURSOR] {
            let delete = sqlx::query("DELETE FROM cursor WHERE name = ?").bind(name);
            delete.execute(&mut *transaction).await?;
        }
        for (anchor, kind) in objects {
            let (attributes, members) = (BTreeMap::new(), [].into());
            let object = TenantObject { anchor: anchor.clone(), kind: *kind, attributes, members };
            put_exported(&mut transaction, &object).await?;
        }
        super::put_cursor(&mut transaction, super::BATCHES, batches).await?;
        Ok(transaction.commit().await?)
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
                Change::Delete(object) => forget(&mut transaction, &object.anchor).await?,
            }
        }
        Ok(transaction.commit().await?)
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

fn kind(row: &SqliteRow) -> Result<TenantKind, SpaceError> {
    TenantKind::from_name(row.try_get("kind")?).ok_or(SpaceError::corrupt("kind"))
}

fn tenant_object(row: &SqliteRow) -> Result<TenantObject, SpaceError> {
    Ok(TenantObject {
        anchor: anchor(row)?,
        kind: kind(row)?,
        attributes: document::tenant_attributes_from_json(row.try_get("attributes")?)?,
        members: document::anchors_from_json(row.try_get("members")?)?,
    })
}
