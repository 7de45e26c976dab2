//! Whom objects refer to: members, managers. What the forest says is by anchor, what Graph writes is by id
//! ([`by_id`](mod@super::by_id)); what is read is of both.
//!
//! A change is written by what changes: what it costs does not grow with a group, and the change feed
//! has the changed ones only.

use std::collections::{BTreeMap, BTreeSet};

use portolan_model::{Guid, SourceAnchor};
use portolan_tenant::directory::{Object, Reference};
use portolan_tenant::storage::{ReferenceChange, StorageError};

use super::SqliteTransaction;
use super::by_id::by_id;
use super::rows::object_columns;

/// The anchors that an object refers to by one attribute, as changes leave them.
#[derive(Debug, Default)]
struct Outcome<'a> {
    /// Whether everybody goes who is not said to be there.
    is_whole: bool,
    /// Who is there, and who is not.
    is_there: BTreeMap<&'a str, bool>,
}

/// Where references are: the row of the object that refers, and the attribute.
type Place = (i64, &'static str);

/// A reference: its place, and the anchor.
type Link<'a> = (i64, &'static str, &'a str);

impl SqliteTransaction {
    pub(super) async fn write_references(
        &mut self,
        changes: &[ReferenceChange],
    ) -> Result<(), StorageError> {
        let outcomes = outcomes(changes);
        if outcomes.is_empty() {
            return Ok(());
        }
        let rows = self.rows_of(outcomes.keys().map(|(from, _)| *from)).await?;
        let place = |(from, reference): &(Guid, Reference)| {
            rows.get(&from.to_string()).map(|rid| (*rid, reference.as_str()))
        };
        let wholes = outcomes.iter().filter(|(_, outcome)| outcome.is_whole);
        // Whoever Graph put there while the object was the cloud's own goes with everybody else.
        let wholes: Vec<Place> = wholes
            .filter_map(|(key, _)| place(key).map(|(rid, name)| [(rid, name), (rid, by_id(key.1))]))
            .flatten()
            .collect();
        let present = self.present(&wholes).await?;
        let (mut come, mut gone): (Vec<Link<'_>>, Vec<Link<'_>>) = (Vec::new(), Vec::new());
        for (key, outcome) in &outcomes {
            let Some((rid, attribute)) = place(key) else { continue };
            let before = present.get(&(rid, attribute.to_owned()));
            let others = before.into_iter().flatten().map(String::as_str);
            let others = others.filter(|anchor| !outcome.is_there.contains_key(anchor));
            gone.extend(others.map(|anchor| (rid, attribute, anchor)));
            let graphs = present.get(&(rid, by_id(key.1).to_owned()));
            let graphs = graphs.into_iter().flatten().map(String::as_str);
            gone.extend(graphs.map(|id| (rid, by_id(key.1), id)));
            for (&anchor, &is_there) in &outcome.is_there {
                match is_there {
                    true if before.is_some_and(|before| before.contains(anchor)) => {}
                    true => come.push((rid, attribute, anchor)),
                    false => gone.push((rid, attribute, anchor)),
                }
            }
        }
        self.write_links(&come, &gone).await
    }

    pub(super) async fn end_links_to(
        &mut self,
        anchors: &[&SourceAnchor],
    ) -> Result<(), StorageError> {
        let anchors: Vec<_> = anchors.iter().map(|anchor| anchor.as_str()).collect();
        let anchors = serde_json::to_string(&anchors).map_err(StorageError::new)?;
        let seq = self.next_seqs(1).await?;
        for reference in Reference::ALL {
            sqlx::query(
                "UPDATE link SET deleted = 1, seq = ?1, deleted_at = NULL WHERE rowid IN
                 (SELECT l.rowid FROM json_each(?2) j CROSS JOIN link l
                  ON l.attr = ?3 AND l.dst_anchor = j.value AND l.deleted = 0)",
            )
            .bind(seq)
            .bind(&anchors)
            .bind(reference.as_str())
            .execute(&mut *self.inner)
            .await
            .map_err(StorageError::new)?;
        }
        Ok(())
    }

    /// The rows of objects, by their ids.
    async fn rows_of(
        &mut self,
        ids: impl Iterator<Item = Guid>,
    ) -> Result<BTreeMap<String, i64>, StorageError> {
        let ids: BTreeSet<_> = ids.map(|id| id.to_string()).collect();
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT id, rid FROM object WHERE id IN (SELECT value FROM json_each(?))",
        )
        .bind(serde_json::to_string(&ids).map_err(StorageError::new)?)
        .fetch_all(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        Ok(rows.into_iter().collect())
    }

    /// Everybody who is referred to from these places.
    async fn present(
        &mut self,
        places: &[Place],
    ) -> Result<BTreeMap<(i64, String), BTreeSet<String>>, StorageError> {
        let mut present = BTreeMap::<_, BTreeSet<_>>::new();
        if places.is_empty() {
            return Ok(present);
        }
        let rows: Vec<(i64, String, String)> = sqlx::query_as(
            "SELECT l.src_rid, l.attr, l.dst_anchor FROM json_each(?) j CROSS JOIN link l
             ON l.src_rid = json_extract(j.value, '$[0]')
             AND l.attr = json_extract(j.value, '$[1]') AND l.deleted = 0",
        )
        .bind(serde_json::to_string(places).map_err(StorageError::new)?)
        .fetch_all(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        for (rid, attribute, anchor) in rows {
            present.entry((rid, attribute)).or_default().insert(anchor);
        }
        Ok(present)
    }

    /// Two statements, however many there are: nobody else writes meanwhile. What is as it is to be
    /// is not touched.
    async fn write_links(
        &mut self,
        come: &[Link<'_>],
        gone: &[Link<'_>],
    ) -> Result<(), StorageError> {
        if come.is_empty() && gone.is_empty() {
            return Ok(());
        }
        let seq = self.next_seqs(1).await?;
        let remove = "UPDATE link SET deleted = 1, seq = ?1, deleted_at = NULL WHERE rowid IN
             (SELECT l.rowid FROM json_each(?2) j CROSS JOIN link l
              ON l.src_rid = json_extract(j.value, '$[0]')
              AND l.attr = json_extract(j.value, '$[1]')
              AND l.dst_anchor = json_extract(j.value, '$[2]') AND l.deleted = 0)";
        let add = "INSERT INTO link (src_rid, attr, dst_anchor, seq, deleted)
             SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'),
             json_extract(value, '$[2]'), ?1, 0 FROM json_each(?2) WHERE true
             ON CONFLICT (src_rid, attr, dst_anchor) DO UPDATE SET seq = excluded.seq, deleted = 0,
             deleted_at = NULL WHERE link.deleted = 1";
        for (statement, links) in [(remove, gone), (add, come)] {
            if links.is_empty() {
                continue;
            }
            sqlx::query(statement)
                .bind(seq)
                .bind(serde_json::to_string(links).map_err(StorageError::new)?)
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
        self.living_referred((group, Reference::Members), after, count).await
    }

    pub(super) async fn living_manager(
        &mut self,
        user: Guid,
    ) -> Result<Option<Object>, StorageError> {
        let found = self.living_referred((user, Reference::Manager), None, 1).await?;
        Ok(found.into_iter().next())
    }

    /// Whom an object refers to, by anchor or by id.
    pub(super) async fn living_referred(
        &mut self,
        (from, reference): (Guid, Reference),
        after: Option<Guid>,
        count: u32,
    ) -> Result<Vec<Object>, StorageError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            object_columns!(),
            " FROM object o WHERE o.deleted_at IS NULL AND o.id > ?1 AND o.rid IN (
                 SELECT m.rid FROM link l JOIN object f ON f.rid = l.src_rid AND f.id = ?2
                 JOIN object m ON m.anchor = l.dst_anchor
                 WHERE l.attr = ?3 AND l.deleted = 0
                 UNION SELECT m.rid FROM link l JOIN object f ON f.rid = l.src_rid AND f.id = ?2
                 JOIN object m ON m.id = l.dst_anchor WHERE l.attr = ?4 AND l.deleted = 0)
             ORDER BY o.id LIMIT ?5"
        ))
        .bind(after.map(|id| id.to_string()).unwrap_or_default())
        .bind(from.to_string())
        .bind(reference.as_str())
        .bind(by_id(reference))
        .bind(count);
        self.read_objects(query).await
    }

    pub(super) async fn living_reports(
        &mut self,
        user: Guid,
        after: Option<Guid>,
        count: u32,
    ) -> Result<Vec<Object>, StorageError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            object_columns!(),
            " FROM object o WHERE o.deleted_at IS NULL AND o.id > ?1 AND o.rid IN (
                 SELECT l.src_rid FROM object u JOIN link l
                 ON l.dst_anchor = u.anchor AND l.attr = ?3 AND l.deleted = 0 WHERE u.id = ?2
                 UNION SELECT l.src_rid FROM link l
                 WHERE l.dst_anchor = ?2 AND l.attr = ?4 AND l.deleted = 0)
             ORDER BY o.id LIMIT ?5"
        ))
        .bind(after.map(|id| id.to_string()).unwrap_or_default())
        .bind(user.to_string())
        .bind(Reference::Manager.as_str())
        .bind(by_id(Reference::Manager))
        .bind(count);
        self.read_objects(query).await
    }
}

/// What changes, one after the other, come to.
fn outcomes(changes: &[ReferenceChange]) -> BTreeMap<(Guid, Reference), Outcome<'_>> {
    let mut outcomes = BTreeMap::<_, Outcome<'_>>::new();
    for change in changes {
        let outcome = outcomes.entry((change.from, change.reference)).or_default();
        if change.is_whole {
            *outcome = Outcome { is_whole: true, is_there: BTreeMap::new() };
        }
        for (anchors, is_there) in [(&change.removed, false), (&change.added, true)] {
            outcome.is_there.extend(anchors.iter().map(|anchor| (anchor.as_str(), is_there)));
        }
    }
    outcomes
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Instant;

    use portolan_model::Secret;
    use portolan_tenant::directory::{Attributes, Kind};
    use portolan_tenant::storage::{Access, Store as _, Transaction as _};
    use time::OffsetDateTime;

    use super::super::SqliteStore;
    use super::*;
    use crate::vault::MasterKeys;

    /// The largest group that is synchronised.
    const LARGE: usize = 249_000;

    fn anchor(number: usize) -> SourceAnchor {
        format!("anchor-{number:09}").parse().unwrap()
    }

    /// A store with one group of so many members.
    async fn made(directory: &tempfile::TempDir, members: usize) -> (SqliteStore, Guid) {
        let keys = MasterKeys::new([("k".to_owned(), Secret::new([7; 32]))]).unwrap();
        let path = directory.path().join(format!("{members}.sqlite"));
        let store = SqliteStore::create(&path, keys).await.unwrap();
        let group = Object {
            id: Guid::from_random([1; 16]),
            kind: Kind::Group,
            anchor: Some("group".parse().unwrap()),
            attributes: Attributes::default(),
            created_at: OffsetDateTime::UNIX_EPOCH,
            synchronised_at: None,
            deleted_at: None,
        };
        let mut tx = store.begin(Access::Write).await.unwrap();
        tx.put_object(&group).await.unwrap();
        let all: Vec<_> = (0..members).map(|number| anchor(number * 2)).collect();
        let whole = ReferenceChange::whole(group.id, Reference::Members, &all);
        tx.change_references(&[whole]).await.unwrap();
        tx.commit().await.unwrap();
        (store, group.id)
    }

    /// The steps of SQLite's machine that one member costs who comes, one who is there already, one who
    /// goes and one who is not there; and the octets that they write.
    async fn cost(members: usize) -> (u64, u64) {
        let directory = tempfile::tempdir().unwrap();
        let (store, group) = made(&directory, members).await;
        store.checkpoint().await.unwrap();
        let change = ReferenceChange {
            from: group,
            reference: Reference::Members,
            is_whole: false,
            added: vec![anchor(members + 1), anchor(0)],
            removed: vec![anchor(members / 2 * 2 - 2), anchor(1)],
        };
        let mut tx = store.begin(Access::Write).await.unwrap();
        let steps = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&steps);
        let mut handle = tx.inner.lock_handle().await.unwrap();
        handle.set_progress_handler(1, move || {
            counted.fetch_add(1, Ordering::Relaxed);
            true
        });
        drop(handle);
        let begun = Instant::now();
        tx.change_references(&[change]).await.unwrap();
        tx.inner.lock_handle().await.unwrap().remove_progress_handler();
        tx.commit().await.unwrap();
        println!("{members} members: {:?}", begun.elapsed());
        let log = directory.path().join(format!("{members}.sqlite-wal"));
        let written = std::fs::metadata(log).unwrap().len();
        (steps.load(Ordering::Relaxed), written)
    }

    #[tokio::test]
    async fn one_member_costs_the_same_in_the_largest_group() {
        let (small, large) = (cost(1_000).await, cost(LARGE).await);
        println!("steps and octets written: {small:?} against {large:?}");
        // A tree that is deeper by a level or two costs no step of the machine, and a page or two each.
        assert!(large.0 <= small.0 + 16, "{small:?} against {large:?}");
        assert!(large.1 <= small.1 + 32 * 4_096, "{small:?} against {large:?}");
    }
}
