//! A full import that is whole becomes what counts.
//!
//! In steps, each in bounded transactions that say how far it is: one that is broken off goes on from
//! there. Only what differs is changed, and queued.

use portolan_sync::ObjectKind;
use sqlx::Row as _;

use super::codes::Code as _;
use super::names::{self, FOREST_CURSOR, remember};
use super::partitions::{self, Partition, depart};
use super::rows::{Tx, numbers};
use super::{Changed, State, StateError, dependence, queue, references};

/// Keys of objects that one transaction goes over.
const KEYS_AT_ONCE: i64 = 20_000;
/// Objects or references that one transaction changes.
const CHANGES_MAX: i64 = 5_000;

/// The steps, in their order.
const OBJECTS: i64 = 0;
const REFERENCES_GONE: i64 = 1;
const REFERENCES_NEW: i64 = 2;
const GONE: i64 = 3;
const END: i64 = 4;

/// How far a merge is.
struct Merging {
    of: Partition,
    cursor: Vec<u8>,
    step: i64,
    after: i64,
    /// Since when objects that were not taken in have departed; `None` where they are gone at once.
    departs: Option<i64>,
}

impl State {
    /// Merges full imports that are whole: all of them, or that of one naming context, while others may be
    /// merging theirs.
    pub(super) async fn merge_what_is_whole(
        &self,
        of: Option<Partition>,
    ) -> Result<Changed, StateError> {
        let mut changed = Changed::default();
        while self.merge_a_piece(of, &mut changed).await? {}
        Ok(changed)
    }

    /// Goes on with a merge. False when there is none.
    pub(super) async fn merge_a_piece(
        &self,
        of: Option<Partition>,
        changed: &mut Changed,
    ) -> Result<bool, StateError> {
        // Most often there is none, and no writer is kept waiting to learn that.
        if Merging::find(&mut self.database.read().await?, of).await?.is_none() {
            return Ok(false);
        }
        let mut tx = self.database.write().await?;
        let Some(mut merging) = Merging::find(&mut tx, of).await? else { return Ok(false) };
        if merging.step == END {
            tx.rollback().await?;
            let of = merging.of;
            self.erase_incoming(of).await?;
            let mut tx = self.database.write().await?;
            remember(&mut tx, of.forest, &of.cursor(FOREST_CURSOR), &merging.cursor).await?;
            let done = sqlx::query("DELETE FROM merging WHERE connector = ? AND part = ?");
            done.bind(of.forest.0).bind(of.number).execute(&mut *tx).await?;
            tx.commit().await?;
            return Ok(true);
        }
        merging.piece(&mut tx, changed).await?;
        sqlx::query("UPDATE merging SET step = ?, after = ? WHERE connector = ? AND part = ?")
            .bind(merging.step)
            .bind(merging.after)
            .bind(merging.of.forest.0)
            .bind(merging.of.number)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Erases what was imported of a naming context and does not count.
    pub(super) async fn erase_incoming(&self, of: Partition) -> Result<(), StateError> {
        for statement in [
            "DELETE FROM incoming_reference WHERE (source, attribute, target) IN (
                 SELECT r.source, r.attribute, r.target FROM incoming_reference r
                 CROSS JOIN identity i ON i.key = r.source
                 CROSS JOIN incoming v ON v.key = r.source
                 WHERE i.connector = ? AND v.part = ? LIMIT ?)",
            "DELETE FROM incoming WHERE key IN (SELECT incoming.key FROM incoming
                 CROSS JOIN identity i ON i.key = incoming.key
                 WHERE i.connector = ? AND incoming.part = ? LIMIT ?)",
        ] {
            loop {
                let mut tx = self.database.write().await?;
                let query = sqlx::query(statement).bind(of.forest.0).bind(of.number);
                let query = query.bind(KEYS_AT_ONCE);
                let erased = query.execute(&mut *tx).await?.rows_affected();
                tx.commit().await?;
                if erased == 0 {
                    break;
                }
            }
        }
        Ok(())
    }
}

impl Merging {
    /// A merge under way.
    async fn find(tx: &mut Tx, of: Option<Partition>) -> Result<Option<Self>, StateError> {
        let row = sqlx::query(
            "SELECT connector, part, cursor, step, after, departs FROM merging
             WHERE ?1 IS NULL OR (connector = ?1 AND part = ?2) LIMIT 1",
        )
        .bind(of.map(|of| of.forest.0))
        .bind(of.map(|of| of.number))
        .fetch_optional(&mut **tx)
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Self {
            of: Partition {
                forest: names::connector(row.try_get("connector")?)?,
                number: partitions::number_of(row.try_get("part")?)?,
            },
            departs: row.try_get("departs")?,
            cursor: row.try_get("cursor")?,
            step: row.try_get("step")?,
            after: row.try_get("after")?,
        }))
    }

    /// Does one piece of the step, and says in itself how far it is.
    async fn piece(&mut self, tx: &mut Tx, changed: &mut Changed) -> Result<(), StateError> {
        let last: Option<i64> = sqlx::query_scalar(
            "SELECT max(key) FROM (SELECT key FROM identity WHERE key > ? ORDER BY key LIMIT ?)",
        )
        .bind(self.after)
        .bind(KEYS_AT_ONCE)
        .fetch_one(&mut **tx)
        .await?;
        let Some(last) = last else {
            (self.step, self.after) = (self.step + 1, 0);
            return Ok(());
        };
        let done = match self.step {
            OBJECTS => self.objects(tx, last, changed).await?,
            REFERENCES_GONE | REFERENCES_NEW => self.references(tx, last).await?,
            GONE => self.gone(tx, last, changed).await?,
            _ => return Err(StateError::corrupt("how far an import is merged")),
        };
        if done {
            self.after = last;
        }
        Ok(())
    }

    /// Objects that are new or other than before. Those that were taken in are marked as such.
    async fn objects(
        &self,
        tx: &mut Tx,
        last: i64,
        changed: &mut Changed,
    ) -> Result<bool, StateError> {
        let keys: Vec<i64> = sqlx::query_scalar(
            "SELECT v.key FROM incoming v CROSS JOIN identity i ON i.key = v.key
             WHERE v.key > ?1 AND v.key <= ?2 AND i.connector = ?3 AND v.part = ?4
                 AND v.record IS NOT NULL
             ORDER BY v.key LIMIT ?5",
        )
        .bind(self.after)
        .bind(last)
        .bind(self.of.forest.0)
        .bind(self.of.number)
        .bind(CHANGES_MAX)
        .fetch_all(&mut **tx)
        .await?;
        let list = numbers(keys.iter().copied());
        for statement in [
            "INSERT INTO staged (key, dn, record)
             SELECT v.key, v.dn, v.record FROM json_each(?) k
                 CROSS JOIN incoming v ON v.key = k.value
             WHERE true ON CONFLICT (key) DO UPDATE SET dn = excluded.dn, record = excluded.record",
            "UPDATE identity SET state = 1, kind = v.kind, parent = v.parent, part = v.part
             FROM json_each(?) k CROSS JOIN incoming v ON v.key = k.value
             WHERE identity.key = k.value",
            "UPDATE incoming SET record = NULL WHERE key IN (SELECT value FROM json_each(?))",
            "DELETE FROM departed WHERE key IN (SELECT value FROM json_each(?))",
        ] {
            sqlx::query(statement).bind(&list).execute(&mut **tx).await?;
        }
        queue::queue(tx, keys.iter().copied()).await?;
        changed.changed += keys.len() as u64;
        Ok((keys.len() as i64) < CHANGES_MAX)
    }

    /// References that objects have no more, or did not have.
    async fn references(&self, tx: &mut Tx, last: i64) -> Result<bool, StateError> {
        let statement = if self.step == REFERENCES_GONE { GONE_EDGES } else { NEW_EDGES };
        let edges: Vec<Edge> = sqlx::query_as(statement)
            .bind(self.after)
            .bind(last)
            .bind(self.of.forest.0)
            .bind(CHANGES_MAX)
            .bind(self.of.number)
            .fetch_all(&mut **tx)
            .await?;
        match self.step {
            REFERENCES_GONE => remove_edges(tx, &edges).await?,
            _ => add_edges(tx, &edges).await?,
        }
        Ok((edges.len() as i64) < CHANGES_MAX)
    }

    /// Objects that were there and were not taken in. A place that is above others is in no full import,
    /// and is not counted: what follows one reads it again. What may have moved to another naming context
    /// is not taken out yet.
    async fn gone(
        &self,
        tx: &mut Tx,
        last: i64,
        changed: &mut Changed,
    ) -> Result<bool, StateError> {
        let gone: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT i.key, i.kind FROM identity i WHERE i.key > ?1 AND i.key <= ?2 AND i.connector = ?3
                 AND i.part = ?4 AND i.state = 1
                 AND NOT EXISTS (SELECT 1 FROM incoming v WHERE v.key = i.key)
                 AND NOT EXISTS (SELECT 1 FROM departed d WHERE d.key = i.key)
             ORDER BY i.key LIMIT ?5",
        )
        .bind(self.after)
        .bind(last)
        .bind(self.of.forest.0)
        .bind(self.of.number)
        .bind(CHANGES_MAX)
        .fetch_all(&mut **tx)
        .await?;
        let is_place = |kind: i64| kind == ObjectKind::Container.code();
        let keys = gone.iter().filter(|(_, kind)| self.departs.is_none() || is_place(*kind));
        let keys: Vec<_> = keys.map(|(key, _)| *key).collect();
        take_out(tx, &keys, Leaving::Deleted).await?;
        let counted = gone.iter().filter(|(_, kind)| !is_place(*kind));
        if let Some(since) = self.departs {
            depart(tx, &numbers(counted.map(|(key, _)| *key)), since, false).await?;
        } else {
            changed.removed += counted.count() as u64;
        }
        Ok((gone.len() as i64) < CHANGES_MAX)
    }
}

/// References that objects which were taken in have in one table and not in another.
macro_rules! lacking {
    ($table:literal, $other:literal) => {
        concat!(
            "SELECT r.source, r.attribute, r.target FROM incoming v ",
            "CROSS JOIN identity i ON i.key = v.key CROSS JOIN ",
            $table,
            " r ON r.source = v.key WHERE v.key > ?1 AND v.key <= ?2 AND i.connector = ?3 ",
            "AND v.part = ?5 AND NOT EXISTS (SELECT 1 FROM ",
            $other,
            " n WHERE n.source = r.source AND n.attribute = r.attribute AND n.target = r.target) ",
            "ORDER BY r.source LIMIT ?4"
        )
    };
}

const GONE_EDGES: &str = lacking!("reference", "incoming_reference");
const NEW_EDGES: &str = lacking!("incoming_reference", "reference");

/// A reference of a forest: source, attribute, target.
pub(super) type Edge = (i64, u16, i64);

/// Adds references. What they lead to is queued: rules may ask for what it is a member of. So is what has
/// them, if rules count them.
pub(super) async fn add_edges(tx: &mut Tx, edges: &[Edge]) -> Result<(), StateError> {
    change_edges(
        tx,
        edges,
        "INSERT OR IGNORE INTO reference (source, attribute, target)
         SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?)",
    )
    .await
}

/// Removes references, likewise.
pub(super) async fn remove_edges(tx: &mut Tx, edges: &[Edge]) -> Result<(), StateError> {
    change_edges(
        tx,
        edges,
        "DELETE FROM reference WHERE (source, attribute, target) IN
             (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?))",
    )
    .await
}

async fn change_edges(
    tx: &mut Tx,
    edges: &[Edge],
    statement: &'static str,
) -> Result<(), StateError> {
    if edges.is_empty() {
        return Ok(());
    }
    let list = super::full::triples(edges);
    for statement in [
        statement,
        "INSERT OR IGNORE INTO dirty_reference (kind, object, attribute, target)
         SELECT 1, value ->> 0, value ->> 1, value ->> 2 FROM json_each(?)
         WHERE EXISTS (SELECT 1 FROM link WHERE link.key = value ->> 0 AND metaverse IS NOT NULL)",
        "REPLACE INTO pending_object (key) SELECT DISTINCT value ->> 2 FROM json_each(?)
         WHERE EXISTS (SELECT 1 FROM identity i WHERE i.key = value ->> 2 AND i.state = 1)",
        dependence::QUEUE_COUNTING,
    ] {
        sqlx::query(statement).bind(&list).execute(&mut **tx).await?;
    }
    Ok(())
}

/// Why objects are taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    /// They were deleted. A directory says nothing of what referred to them, and it does so no more.
    Deleted,
    /// They are not read any more. What refers to them still does.
    OutOfSight,
}

/// Takes objects out, with the references from them, and to them if they were deleted. Gives how many there
/// were.
pub(super) async fn take_out(
    tx: &mut Tx,
    keys: &[i64],
    leaving: Leaving,
) -> Result<u64, StateError> {
    if keys.is_empty() {
        return Ok(0);
    }
    let list = numbers(keys.iter().copied());
    references::mark_objects(tx, &list).await?;
    loop {
        let edges: Vec<Edge> = sqlx::query_as(
            "SELECT source, attribute, target FROM json_each(?1)
                 CROSS JOIN reference ON source = value
             UNION SELECT source, attribute, target FROM json_each(?1)
                 CROSS JOIN reference ON target = value WHERE ?3 LIMIT ?2",
        )
        .bind(&list)
        .bind(CHANGES_MAX)
        .bind(leaving == Leaving::Deleted)
        .fetch_all(&mut **tx)
        .await?;
        if edges.is_empty() {
            break;
        }
        remove_edges(tx, &edges).await?;
    }
    for statement in [
        "DELETE FROM staged WHERE key IN (SELECT value FROM json_each(?))",
        "DELETE FROM departed WHERE key IN (SELECT value FROM json_each(?))",
    ] {
        sqlx::query(statement).bind(&list).execute(&mut **tx).await?;
    }
    let removed: Vec<i64> = sqlx::query_scalar(
        "UPDATE identity SET state = 2
         WHERE state = 1 AND key IN (SELECT value FROM json_each(?)) RETURNING key",
    )
    .bind(&list)
    .fetch_all(&mut **tx)
    .await?;
    queue::queue(tx, removed.iter().copied()).await?;
    Ok(removed.len() as u64)
}
