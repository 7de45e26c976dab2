//! Objects and names, read and written by the batch: a sync server sends them by the hundred, and a
//! statement for each would cost more than what it does.

use portolan_model::{Guid, SourceAnchor};
use portolan_tenant::directory::{Kind, Name, Naming, Object};
use portolan_tenant::storage::StorageError;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{QueryBuilder, Sqlite};
use std::collections::{BTreeMap, BTreeSet};

use super::SqliteTransaction;
use super::rows::{self, nanos, object_columns};

/// Rows of one statement: eight values each stay far below SQLite's 32,766.
const ROWS_MAX: usize = 100;

/// A row of the index of names: the attribute, the folded value, the object's row.
type IndexRow = (String, String, i64);

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
        name: Name,
    ) -> Result<Option<Object>, StorageError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            object_columns!(),
            " FROM attr_index i JOIN object o ON o.rid = i.rid WHERE i.attr = ? AND i.value_norm = ?"
        ));
        self.read_object(query.bind(name.naming.as_str()).bind(name.folded)).await
    }

    pub(super) async fn objects_where_anchors(
        &mut self,
        anchors: &[&SourceAnchor],
    ) -> Result<Vec<Object>, StorageError> {
        let anchors: Vec<_> = anchors.iter().map(|anchor| anchor.as_str()).collect();
        let query = sqlx::query(concat!(
            "SELECT ",
            object_columns!(),
            " FROM object o WHERE o.anchor IN (SELECT value FROM json_each(?))"
        ));
        let anchors = serde_json::to_string(&anchors).map_err(StorageError::new)?;
        self.read_objects(query.bind(anchors)).await
    }

    pub(super) async fn read_holders(
        &mut self,
        names: &[Name],
    ) -> Result<Vec<(Name, Guid)>, StorageError> {
        let wanted: Vec<_> =
            names.iter().map(|name| (name.naming.as_str(), name.folded.as_str())).collect();
        let rows: Vec<(String, String, String)> = sqlx::query_as(
            "SELECT i.attr, i.value_norm, o.id FROM json_each(?) j CROSS JOIN attr_index i
             ON i.attr = json_extract(j.value, '$[0]')
             AND i.value_norm = json_extract(j.value, '$[1]') CROSS JOIN object o ON o.rid = i.rid",
        )
        .bind(serde_json::to_string(&wanted).map_err(StorageError::new)?)
        .fetch_all(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        let holder = |(attribute, folded, id): (String, String, String)| {
            let naming = Naming::from_word(&attribute)?;
            Some(id.parse().map(|id| (Name { naming, folded }, id)).map_err(StorageError::new))
        };
        rows.into_iter().filter_map(holder).collect()
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

    /// The next numbers of the change feed: the first of so many.
    pub(super) async fn next_seqs(&mut self, count: usize) -> Result<i64, StorageError> {
        let count = i64::try_from(count).map_err(StorageError::new)?;
        let (first,): (i64,) = sqlx::query_as(
            "UPDATE seq_alloc SET next = next + ?1 WHERE partition = 'directory'
             RETURNING next - ?1",
        )
        .bind(count)
        .fetch_one(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        Ok(first)
    }

    /// Writes objects with their numbers in the change feed, and of their names those that are others
    /// than before.
    pub(super) async fn write_objects(&mut self, objects: &[&Object]) -> Result<(), StorageError> {
        if objects.is_empty() {
            return Ok(());
        }
        let first = self.next_seqs(objects.len()).await?;
        let mut rows = (first..).zip(objects.iter().copied());
        for chunk in objects.chunks(ROWS_MAX) {
            let mut insert = QueryBuilder::<Sqlite>::new(
                "INSERT INTO object (id, kind, anchor, seq, created_at, synchronised_at, deleted_at,
                 doc) ",
            );
            let mut documents = Vec::with_capacity(chunk.len());
            for object in chunk {
                documents.push(rows::document(&object.attributes)?);
            }
            let numbered = rows.by_ref().take(chunk.len()).zip(documents);
            insert.push_values(numbered, |mut row, ((seq, object), document)| {
                row.push_bind(object.id.to_string())
                    .push_bind(object.kind.as_str())
                    .push_bind(object.anchor.as_ref().map(SourceAnchor::as_str))
                    .push_bind(seq)
                    .push_bind(nanos(object.created_at))
                    .push_bind(object.synchronised_at.map(nanos))
                    .push_bind(object.deleted_at.map(nanos))
                    .push_bind(document);
            });
            insert.push(
                " ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, anchor = excluded.anchor,
                 seq = excluded.seq, created_at = excluded.created_at,
                 synchronised_at = excluded.synchronised_at, deleted_at = excluded.deleted_at,
                 doc = excluded.doc",
            );
            insert.build().execute(&mut *self.inner).await.map_err(StorageError::new)?;
        }
        self.write_names(objects).await
    }

    /// Writes the names that objects have now. All that go, go first: names change hands.
    async fn write_names(&mut self, objects: &[&Object]) -> Result<(), StorageError> {
        let ids: Vec<_> = objects.iter().map(|object| object.id.to_string()).collect();
        let kept: Vec<(String, i64, Option<String>, Option<String>)> = sqlx::query_as(
            "SELECT o.id, o.rid, i.attr, i.value_norm FROM json_each(?) j
             CROSS JOIN object o ON o.id = j.value LEFT JOIN attr_index i ON i.rid = o.rid",
        )
        .bind(serde_json::to_string(&ids).map_err(StorageError::new)?)
        .fetch_all(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        let rids: BTreeMap<&str, i64> =
            kept.iter().map(|(id, rid, ..)| (id.as_str(), *rid)).collect();
        let before: BTreeSet<IndexRow> = kept
            .iter()
            .filter_map(|(_, rid, attribute, value)| {
                Some((attribute.clone()?, value.clone()?, *rid))
            })
            .collect();
        let mut after = BTreeSet::new();
        for (id, object) in ids.iter().zip(objects) {
            let Some(&rid) = rids.get(id.as_str()) else { continue };
            let row = |name: Name| (name.naming.as_str().to_owned(), name.folded, rid);
            after.extend(object.names().into_iter().map(row));
        }
        let gone: Vec<_> = before.difference(&after).collect();
        let come: Vec<_> = after.difference(&before).collect();
        let remove = "DELETE FROM attr_index WHERE rowid IN (SELECT i.rowid FROM json_each(?) j
             CROSS JOIN attr_index i ON i.attr = json_extract(j.value, '$[0]')
             AND i.value_norm = json_extract(j.value, '$[1]')
             AND i.rid = json_extract(j.value, '$[2]'))";
        // Whoever has an address in common with others from before they were one's alone, keeps it.
        let add = "INSERT INTO attr_index (attr, value_norm, rid) SELECT
             json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
             FROM json_each(?1) j WHERE json_extract(value, '$[0]') = 'userPrincipalName'
             OR NOT EXISTS (SELECT 1 FROM attr_index i WHERE i.attr = json_extract(j.value, '$[0]')
             AND i.value_norm = json_extract(j.value, '$[1]'))";
        for (statement, rows) in [(remove, gone), (add, come)] {
            if !rows.is_empty() {
                sqlx::query(statement)
                    .bind(serde_json::to_string(&rows).map_err(StorageError::new)?)
                    .execute(&mut *self.inner)
                    .await
                    .map_err(StorageError::new)?;
            }
        }
        Ok(())
    }

    /// Deleted objects of a kind in the order of their ids, behind `after`, at most `count`.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn deleted(
        &mut self,
        kind: Kind,
        after: Option<Guid>,
        count: u32,
    ) -> Result<Vec<Object>, StorageError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            object_columns!(),
            " FROM object o INDEXED BY object_recycled
             WHERE o.kind = ? AND o.deleted_at IS NOT NULL AND o.id > ? ORDER BY o.id LIMIT ?"
        ))
        .bind(kind.as_str())
        .bind(after.map(|id| id.to_string()).unwrap_or_default())
        .bind(count);
        self.read_objects(query).await
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
