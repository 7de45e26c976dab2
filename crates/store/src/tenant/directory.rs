//! Objects, names, members.

use std::collections::HashSet;

use portolan_model::{Guid, SourceAnchor};
use portolan_tenant::directory::{Kind, Object};
use portolan_tenant::storage::StorageError;
use sqlx::Sqlite;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;

use super::SqliteTransaction;
use super::by_id::MEMBER_BY_ID;
use super::rows::{self, nanos, object_columns};

/// The name under which the index keeps user principal names.
const NAME_INDEX: &str = "userPrincipalName";

/// The name under which the index keeps the unique names of groups.
const UNIQUE_NAME_INDEX: &str = "uniqueName";

/// The name of a group's links.
const MEMBER_LINK: &str = "members";

/// A query whose rows have the columns of [`object_columns`].
type ObjectQuery<'q> = Query<'q, Sqlite, SqliteArguments>;

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
        self.object_in_index(NAME_INDEX, name.to_lowercase()).await
    }

    pub(super) async fn group_where_unique_name(
        &mut self,
        name: &str,
    ) -> Result<Option<Object>, StorageError> {
        self.object_in_index(UNIQUE_NAME_INDEX, name.to_owned()).await
    }

    async fn object_in_index(
        &mut self,
        index: &'static str,
        value: String,
    ) -> Result<Option<Object>, StorageError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            object_columns!(),
            " FROM attr_index i JOIN object o ON o.rid = i.rid WHERE i.attr = ? AND i.value_norm = ?"
        ));
        self.read_object(query.bind(index).bind(value)).await
    }

    pub(super) async fn read_object(
        &mut self,
        query: ObjectQuery<'_>,
    ) -> Result<Option<Object>, StorageError> {
        let row = query.fetch_optional(&mut *self.inner).await.map_err(StorageError::new)?;
        row.as_ref().map(rows::object).transpose()
    }

    async fn read_objects(&mut self, query: ObjectQuery<'_>) -> Result<Vec<Object>, StorageError> {
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
        let name = object.upn().map(|name| (NAME_INDEX, name.to_lowercase()));
        let unique = object.attributes.text(UNIQUE_NAME_INDEX);
        let unique = unique.map(|name| (UNIQUE_NAME_INDEX, name.to_owned()));
        let names = [name, unique].into_iter().flatten();
        for (index, value) in names.filter(|_| object.deleted_at.is_none()) {
            sqlx::query("INSERT INTO attr_index (attr, value_norm, rid) VALUES (?, ?, ?)")
                .bind(index)
                .bind(value)
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

    /// Writes the difference between the members that are there and those that are to be, so that
    /// the change feed has the changed ones only.
    pub(super) async fn write_members(
        &mut self,
        group: Guid,
        members: &[SourceAnchor],
    ) -> Result<(), StorageError> {
        let (rid,): (i64,) = sqlx::query_as("SELECT rid FROM object WHERE id = ?")
            .bind(group.to_string())
            .fetch_one(&mut *self.inner)
            .await
            .map_err(StorageError::new)?;
        // Whoever Graph put into the group while it was the cloud's own is in it no longer.
        self.unlink_all(rid, MEMBER_BY_ID).await?;
        let before: Vec<(String,)> = sqlx::query_as(
            "SELECT dst_anchor FROM link WHERE src_rid = ? AND attr = ? AND deleted = 0",
        )
        .bind(rid)
        .bind(MEMBER_LINK)
        .fetch_all(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        let before: HashSet<&str> = before.iter().map(|(anchor,)| anchor.as_str()).collect();
        let after: HashSet<&str> = members.iter().map(SourceAnchor::as_str).collect();
        let gone: Vec<_> = before.difference(&after).collect();
        let come: Vec<_> = after.difference(&before).collect();
        if gone.is_empty() && come.is_empty() {
            return Ok(());
        }
        let seq = self.next_seq().await?;
        for (anchors, deleted) in [(gone, true), (come, false)] {
            // All in one statement: the largest groups have as many members as the directory users, and
            // nobody else writes meanwhile.
            sqlx::query(
                "INSERT INTO link (src_rid, attr, dst_anchor, seq, deleted)
                 SELECT ?1, ?2, value, ?3, ?4 FROM json_each(?5) WHERE true
                 ON CONFLICT (src_rid, attr, dst_anchor)
                 DO UPDATE SET seq = excluded.seq, deleted = excluded.deleted, deleted_at = NULL",
            )
            .bind(rid)
            .bind(MEMBER_LINK)
            .bind(seq)
            .bind(deleted)
            .bind(serde_json::to_string(&anchors).map_err(StorageError::new)?)
            .execute(&mut *self.inner)
            .await
            .map_err(StorageError::new)?;
        }
        Ok(())
    }

    pub(super) async fn living_members(
        &mut self,
        group: Guid,
        after: Option<Guid>,
        count: u32,
    ) -> Result<Vec<Object>, StorageError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            object_columns!(),
            " FROM object o WHERE o.deleted_at IS NULL AND o.id > ? AND o.rid IN (
                 SELECT m.rid FROM link l JOIN object g ON g.rid = l.src_rid AND g.id = ?
                 JOIN object m ON m.anchor = l.dst_anchor
                 WHERE l.attr = ? AND l.deleted = 0
                 UNION SELECT m.rid FROM link l JOIN object g ON g.rid = l.src_rid AND g.id = ?
                 JOIN object m ON m.id = l.dst_anchor WHERE l.attr = ? AND l.deleted = 0)
             ORDER BY o.id LIMIT ?"
        ))
        .bind(after.map(|id| id.to_string()).unwrap_or_default())
        .bind(group.to_string())
        .bind(MEMBER_LINK)
        .bind(group.to_string())
        .bind(MEMBER_BY_ID)
        .bind(count);
        self.read_objects(query).await
    }
}
