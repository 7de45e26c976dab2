//! Keeping what the engine decided: one transaction for a batch of decisions.

mod targets;

use std::collections::BTreeSet;

use super::effects::{Effects, MetaverseContent, MetaverseEffect, Wrong};
use portolan_sync::engine::MetaverseKey;
use sqlx::{QueryBuilder, Sqlite};

use super::codes::Code as _;
use super::rows::{Tx, numbers};
use super::{Queued, RunId, State, StateError, joins, packed, queue, references, runs};

/// Rows of one statement.
const STATEMENT_ROWS: usize = 64;

/// What came of decisions that were kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// For each decision its metaverse object, if there is one now.
    pub metaverse: Vec<Option<MetaverseKey>>,
    /// Objects that got no object in a target, because of what is there: kept among the errors.
    pub conflicts: Vec<Wrong>,
}

impl State {
    /// Keeps decisions, and settles the queued objects for whose sake they were made. `run` found the
    /// errors.
    ///
    /// Links of settled objects that are gone end. An object that is made in a target takes over what
    /// the target has by its anchor and nothing has claimed. What is to be done is held against what
    /// the target has: nothing is to be done when that is the same.
    ///
    /// # Errors
    /// When the state cannot be written; nothing is kept then.
    pub async fn apply(
        &self,
        run: Option<RunId>,
        settled: &[Queued],
        decisions: &[Effects],
    ) -> Result<Applied, StateError> {
        let mut tx = self.database.write().await?;
        queue::settle(&mut tx, settled).await?;
        unlink_gone(&mut tx, settled).await?;
        let examined = decisions.iter().flat_map(|decision| &decision.objects).map(|key| key.0);
        runs::clear(&mut tx, examined.chain(settled.iter().map(|queued| queued.key.0))).await?;
        delete_metaverse(&mut tx, decisions).await?;
        let keys = put_metaverse(&mut tx, decisions).await?;
        put_links(&mut tx, decisions, &keys).await?;
        let outcome = targets::put(&mut tx, decisions, &keys).await?;
        put_anchors(&mut tx, decisions, &outcome.refused).await?;
        for decision in decisions {
            runs::put(&mut tx, run, &decision.errors).await?;
        }
        runs::put(&mut tx, run, &outcome.conflicts).await?;
        tx.commit().await?;
        let metaverse = keys.into_iter().map(|key| key.map(MetaverseKey)).collect();
        Ok(Applied { metaverse, conflicts: outcome.conflicts })
    }
}

/// Ends the links of settled objects that are gone. Their anchors stay.
async fn unlink_gone(tx: &mut Tx, settled: &[Queued]) -> Result<(), StateError> {
    let gone: Vec<i64> = sqlx::query_scalar(
        "SELECT link.key FROM json_each(?) CROSS JOIN identity ON identity.key = value
         CROSS JOIN link ON link.key = value WHERE state = 2 AND link.metaverse IS NOT NULL",
    )
    .bind(numbers(settled.iter().map(|queued| queued.key.0)))
    .fetch_all(&mut **tx)
    .await?;
    unlink(tx, &gone).await
}

async fn unlink(tx: &mut Tx, keys: &[i64]) -> Result<(), StateError> {
    if keys.is_empty() {
        return Ok(());
    }
    let keys = numbers(keys.iter().copied());
    references::mark_objects(tx, &keys).await?;
    sqlx::query(
        "UPDATE link SET metaverse = NULL, kind = NULL
         WHERE key IN (SELECT value FROM json_each(?))",
    )
    .bind(keys)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Deletes metaverse objects. What targets have of them is to be deleted.
async fn delete_metaverse(tx: &mut Tx, decisions: &[Effects]) -> Result<(), StateError> {
    let deleted: Vec<i64> = decisions
        .iter()
        .filter_map(|decision| match decision.metaverse {
            MetaverseEffect::Delete(key) => Some(key.0),
            _ => None,
        })
        .collect();
    if deleted.is_empty() {
        return Ok(());
    }
    let deleted = numbers(deleted);
    references::mark_linked(tx, &deleted).await?;
    for statement in [
        "UPDATE link SET metaverse = NULL, kind = NULL
         WHERE metaverse IN (SELECT value FROM json_each(?))",
        "DELETE FROM join_value WHERE metaverse IN (SELECT value FROM json_each(?))",
        "DELETE FROM feed WHERE target IN (SELECT target_object.key FROM json_each(?)
             CROSS JOIN target_object ON target_object.metaverse = value)",
        "DELETE FROM pending_reference WHERE source IN (SELECT target_object.key FROM json_each(?)
             CROSS JOIN target_object ON target_object.metaverse = value)",
        "DELETE FROM pending_reference WHERE target IN (SELECT target_object.key FROM json_each(?)
             CROSS JOIN target_object ON target_object.metaverse = value)",
        "DELETE FROM target_object WHERE confirmed IS NULL
             AND metaverse IN (SELECT value FROM json_each(?))",
        "UPDATE target_object SET metaverse = NULL, stage = 0, pending = NULL, feeds = NULL,
             attempts = 0, code = NULL, error = NULL
         WHERE metaverse IN (SELECT value FROM json_each(?))",
        "DELETE FROM metaverse WHERE key IN (SELECT value FROM json_each(?))",
    ] {
        sqlx::query(statement).bind(&deleted).execute(&mut **tx).await?;
    }
    Ok(())
}

/// Writes metaverse objects. Gives the key of each decision's.
async fn put_metaverse(tx: &mut Tx, decisions: &[Effects]) -> Result<Vec<Option<i64>>, StateError> {
    let mut last: i64 = sqlx::query_scalar(
        "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'metaverse'), 0)",
    )
    .fetch_one(&mut **tx)
    .await?;
    let mut keys = Vec::with_capacity(decisions.len());
    let mut contents: Vec<(i64, &MetaverseContent)> = Vec::new();
    for decision in decisions {
        keys.push(match &decision.metaverse {
            MetaverseEffect::None | MetaverseEffect::Delete(_) => None,
            MetaverseEffect::Keep(key) => Some(key.0),
            MetaverseEffect::Put(key, content) => {
                contents.push((key.0, content));
                Some(key.0)
            }
            MetaverseEffect::Make(content) => {
                last += 1;
                contents.push((last, content));
                Some(last)
            }
        });
    }
    for chunk in contents.chunks(STATEMENT_ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO metaverse (key, kind, record) ");
        query.push_values(chunk, |mut values, (key, content)| {
            values.push_bind(*key).push_bind(content.kind.code());
            values.push_bind(packed::seal_metaverse(*key, &content.record, &content.lineage));
        });
        query.push(
            " ON CONFLICT (key) DO UPDATE SET kind = excluded.kind, record = excluded.record",
        );
        query.build().execute(&mut **tx).await?;
    }
    let attributes = joins::join_attributes(tx).await?;
    let records: Vec<_> = contents.iter().map(|(key, content)| (*key, &content.record)).collect();
    joins::put(tx, &records, &attributes).await?;
    Ok(keys)
}

/// Makes, changes and ends links.
async fn put_links(
    tx: &mut Tx,
    decisions: &[Effects],
    keys: &[Option<i64>],
) -> Result<(), StateError> {
    let (mut made, mut ended) = (Vec::new(), Vec::new());
    for (decision, metaverse) in decisions.iter().zip(keys) {
        for (object, kind) in &decision.links {
            match (kind, metaverse) {
                (Some(kind), Some(metaverse)) => made.push((object.0, *metaverse, kind.code())),
                _ => ended.push(object.0),
            }
        }
    }
    // What an object was linked to before has references to it that may be there no more.
    unlink(tx, &ended).await?;
    if made.is_empty() {
        return Ok(());
    }
    let objects = numbers(made.iter().map(|(object, ..)| *object));
    references::mark_objects(tx, &objects).await?;
    for chunk in made.chunks(STATEMENT_ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO link (key, metaverse, kind) ");
        query.push_values(chunk, |mut values, (object, metaverse, kind)| {
            values.push_bind(*object).push_bind(*metaverse).push_bind(*kind);
        });
        query.push(
            " ON CONFLICT (key) DO UPDATE SET metaverse = excluded.metaverse, kind = excluded.kind",
        );
        query.build().execute(&mut **tx).await?;
    }
    Ok(())
}

/// Sets anchors of objects that have none. Those of `refused` decisions are another object's.
async fn put_anchors(
    tx: &mut Tx,
    decisions: &[Effects],
    refused: &BTreeSet<usize>,
) -> Result<(), StateError> {
    let kept = decisions.iter().enumerate().filter(|(at, _)| !refused.contains(at));
    let anchors: Vec<_> = kept.flat_map(|(_, decision)| &decision.anchors).collect();
    for chunk in anchors.chunks(STATEMENT_ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO link (key, anchor) ");
        query.push_values(chunk, |mut values, (object, anchor)| {
            values.push_bind(object.0).push_bind(anchor.as_str());
        });
        query.push(
            " ON CONFLICT (key) DO UPDATE SET anchor = coalesce(link.anchor, excluded.anchor)",
        );
        query.build().execute(&mut **tx).await?;
    }
    Ok(())
}
