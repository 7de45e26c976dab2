//! Objects and names.

use portolan_model::{Guid, SourceAnchor};
use portolan_tenant::directory::{Kind, Object};
use portolan_tenant::storage::StorageError;
use sqlx::Sqlite;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;

use super::SqliteTransaction;
use super::rows::{self, nanos, object_columns};

/// The name under which the index keeps user principal names.
const NAME_INDEX: &str = "userPrincipalName";

/// A query whose rows have the columns of [`object_columns`].
pub(super) type ObjectQuery<'q> = Query<'q, Sqlite, SqliteArguments>;

impl SqliteTransaction {
    pub(super) async fn object_where_id(
        &mut self,
        id: Guid,
    ) -> Result<Option<Object>, StorageError> {
        let query =
            sqlx::query(concat!("SELECT ", object_columns!(), " FROM object o WHERE o.id = ?"));
        self.read_object(query.bind(id.to_string())).await
    }

    pub(super) async fn object_where_anchor(
        &mut self,
        anchor: &SourceAnchor,
    ) -> Result<Option<Object>, StorageError> {
        let query =
            sqlx::query(concat!("SELECT ", object_columns!(), " FROM object o WHERE o.anchor = ?"));
        self.read_object(query.bind(anchor.as_str())).await
    }

    pub(super) async fn object_where_name(
        &mut self,
        name: &str,
    ) -> Result<Option<Object>, StorageError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            object_columns!(),
            " FROM attr_index i JOIN object o ON o.rid = i.rid WHERE i.attr = ? AND i.value_norm = ?"
        ));
        self.read_object(query.bind(NAME_INDEX).bind(name.to_lowercase())).await
    }

    pub(super) async fn read_object(
        &mut self,
        query: ObjectQuery<'_>,
    ) -> Result<Option<Object>, StorageError> {
        let row = query.fetch_optional(&mut *self.inner).await.map_err(StorageError::new)?;
        row.as_ref().map(rows::object).transpose()
    }

    pub(super) async fn read_objects(
        &mut self,
        query: ObjectQuery<'_>,
    ) -> Result<Vec<Object>, StorageError> {
        let rows = query.fetch_all(&mut *self.inner).await.map_err(StorageError::new)?;
        rows.iter().map(rows::object).collect()
    }

    /// The next number of the change feed.
    pub(super) async fn next_seq(&mut self) -> Result<i64, StorageError> {
        let (next,): (i64,) = sqlx::query_as(
            "UPDATE seq_alloc SET next = next + 1 WHERE partition = 'directory' RETURNING next - 1",
        )
        .fetch_one(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        Ok(next)
    }

    pub(super) async fn write_object(&mut self, object: &Object) -> Result<(), StorageError> {
        let seq = self.next_seq().await?;
        let (rid,): (i64,) = sqlx::query_as(
            "INSERT INTO object (id, kind, anchor, seq, created_at, synchronised_at, deleted_at, doc)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, anchor = excluded.anchor,
             seq = excluded.seq, created_at = excluded.created_at,
             synchronised_at = excluded.synchronised_at, deleted_at = excluded.deleted_at,
             doc = excluded.doc RETURNING rid",
        )
        .bind(object.id.to_string())
        .bind(object.kind.as_str())
        .bind(object.anchor.as_ref().map(SourceAnchor::as_str))
        .bind(seq)
        .bind(nanos(object.created_at))
        .bind(object.synchronised_at.map(nanos))
        .bind(object.deleted_at.map(nanos))
        .bind(rows::document(&object.attributes)?)
        .fetch_one(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        sqlx::query("DELETE FROM attr_index WHERE rid = ?")
            .bind(rid)
            .execute(&mut *self.inner)
            .await
            .map_err(StorageError::new)?;
        let name = object.upn().filter(|_| object.deleted_at.is_none());
        if let Some(name) = name {
            sqlx::query("INSERT INTO attr_index (attr, value_norm, rid) VALUES (?, ?, ?)")
                .bind(NAME_INDEX)
                .bind(name.to_lowercase())
                .bind(rid)
                .execute(&mut *self.inner)
                .await
                .map_err(StorageError::new)?;
        }
        Ok(())
    }

    pub(super) async fn living(
        &mut self,
        kind: Kind,
        after: Option<Guid>,
        count: u32,
    ) -> Result<Vec<Object>, StorageError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            object_columns!(),
            " FROM object o WHERE o.kind = ? AND o.deleted_at IS NULL AND o.id > ?
             ORDER BY o.id LIMIT ?"
        ))
        .bind(kind.as_str())
        .bind(after.map(|id| id.to_string()).unwrap_or_default())
        .bind(count);
        self.read_objects(query).await
    }
}
