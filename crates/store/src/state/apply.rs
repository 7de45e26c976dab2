//! Keeping what the engine decided: one transaction for a batch of decisions.

mod targets;

use portolan_sync::engine::{
    Decision, JoinLookup, Link, MetaverseChange, MetaverseKey, MetaverseObject, ObjectError,
    ObjectKey, Subject,
};
use sqlx::{QueryBuilder, Sqlite};

use super::codes::Code as _;
use super::rows::{Tx, numbers};
use super::{Queued, RunId, State, StateError, joins, packed, queue, references, runs};

/// Rows of one statement.
const STATEMENT_ROWS: usize = 64;

/// What came of looking at a metaverse object, or at a staging object without a link.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// The metaverse object, which may be made now; `None` of an object that stays without a link.
    pub metaverse: Option<MetaverseKey>,
    /// The staging objects that were looked at: what was wrong with them before is forgotten.
    pub objects: Vec<ObjectKey>,
    /// Links that were made before it was decided.
    pub links: Vec<(ObjectKey, Link)>,
    /// What was decided.
    pub decision: Decision,
    /// What else is wrong.
    pub errors: Vec<ObjectError>,
    /// What an object that stays without a link asked for in vain: it is looked at again when a metaverse
    /// object gets such a value.
    pub waits: Vec<JoinLookup>,
}

impl State {
    /// Numbers for metaverse objects that are to be made, from the one given on. No number is given
    /// twice, whether it is used or not.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn allot(&self, count: u32) -> Result<MetaverseKey, StateError> {
        let mut tx = self.database.write().await?;
        // Only a table that had a row has a sequence.
        let last: Option<i64> =
            sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'metaverse'")
                .fetch_optional(&mut *tx)
                .await?;
        let statement = match last {
            Some(_) => "UPDATE sqlite_sequence SET seq = ? WHERE name = 'metaverse'",
            None => "INSERT INTO sqlite_sequence (seq, name) VALUES (?, 'metaverse')",
        };
        let last = last.unwrap_or_default();
        sqlx::query(statement).bind(last + i64::from(count)).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(MetaverseKey(last + 1))
    }

    /// Keeps what was decided, and settles the queued objects for whose sake it was. `run` found the
    /// errors. Gives the errors that keeping it added: objects that got no object in a target, because
    /// their anchor is another's there.
    ///
    /// Links of settled objects that are gone end; an object whose link ended is queued, for it is
    /// looked at again. An object of a target takes over what is there by its anchor and is nobody's.
    /// Nothing is to be done where the target has what it is to get.
    ///
    /// # Errors
    /// When the state cannot be written; nothing is kept then.
    pub async fn apply(
        &self,
        run: Option<RunId>,
        settled: &[Queued],
        outcomes: &[Outcome],
    ) -> Result<Vec<ObjectError>, StateError> {
        let mut tx = self.database.write().await?;
        queue::settle(&mut tx, settled).await?;
        unlink_gone(&mut tx, settled).await?;
        forget_errors(&mut tx, settled, outcomes).await?;
        joins::wait(&mut tx, settled, outcomes).await?;
        delete_metaverse(&mut tx, outcomes).await?;
        put_metaverse(&mut tx, outcomes).await?;
        put_links(&mut tx, outcomes).await?;
        put_anchors(&mut tx, outcomes).await?;
        let refused = targets::put(&mut tx, outcomes).await?;
        let found = outcomes.iter().flat_map(|one| one.decision.errors.iter().chain(&one.errors));
        runs::put(&mut tx, run, found.chain(&refused)).await?;
        tx.commit().await?;
        Ok(refused)
    }
}

async fn forget_errors(
    tx: &mut Tx,
    settled: &[Queued],
    outcomes: &[Outcome],
) -> Result<(), StateError> {
    let examined = outcomes.iter().flat_map(|outcome| outcome.objects.iter().copied());
    let staged = settled.iter().map(|queued| queued.key).chain(examined).map(Subject::Staged);
    let metaverse = outcomes.iter().filter_map(|outcome| outcome.metaverse);
    runs::clear(tx, staged.chain(metaverse.map(Subject::Metaverse))).await
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

/// Deletes metaverse objects. What targets have of them is nobody's, and to be deleted.
async fn delete_metaverse(tx: &mut Tx, outcomes: &[Outcome]) -> Result<(), StateError> {
    let deleted = outcomes.iter().filter(|one| one.decision.metaverse == MetaverseChange::Deleted);
    let deleted: Vec<i64> = deleted.filter_map(|one| Some(one.metaverse?.0)).collect();
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
        "UPDATE target_object SET metaverse = -key, stage = 0, pending = NULL, feeds = NULL,
             password = 0, attempts = 0, code = NULL, error = NULL
         WHERE metaverse IN (SELECT value FROM json_each(?))",
        "DELETE FROM metaverse WHERE key IN (SELECT value FROM json_each(?))",
    ] {
        sqlx::query(statement).bind(&deleted).execute(&mut **tx).await?;
    }
    Ok(())
}

/// Writes metaverse objects, and by which values they are joined.
async fn put_metaverse(tx: &mut Tx, outcomes: &[Outcome]) -> Result<(), StateError> {
    let put = outcomes.iter().filter_map(|outcome| match &outcome.decision.metaverse {
        MetaverseChange::Put(object) => Some(object),
        MetaverseChange::Same | MetaverseChange::Deleted => None,
    });
    let objects: Vec<&MetaverseObject> = put.collect();
    for chunk in objects.chunks(STATEMENT_ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO metaverse (key, kind, record) ");
        query.push_values(chunk, |mut values, object| {
            let key = object.key.0;
            values.push_bind(key).push_bind(object.kind.code());
            values.push_bind(packed::seal_metaverse(key, &object.record, &object.lineage));
        });
        query.push(
            " ON CONFLICT (key) DO UPDATE SET kind = excluded.kind, record = excluded.record",
        );
        query.build().execute(&mut **tx).await?;
    }
    let attributes = joins::join_attributes(tx).await?;
    let records: Vec<_> = objects.iter().map(|object| (object.key.0, &object.record)).collect();
    joins::put(tx, &records, &attributes).await
}

/// Makes, changes and ends links.
async fn put_links(tx: &mut Tx, outcomes: &[Outcome]) -> Result<(), StateError> {
    let mut links = std::collections::BTreeMap::new();
    for outcome in outcomes {
        links.extend(outcome.links.iter().map(|(object, link)| (object.0, Some(*link))));
        for change in &outcome.decision.links {
            let link = outcome.metaverse.zip(change.kind);
            let link = link.map(|(metaverse, kind)| Link { metaverse, kind });
            links.insert(change.object.0, link);
        }
    }
    let ended: Vec<i64> =
        links.iter().filter(|(_, link)| link.is_none()).map(|(object, _)| *object).collect();
    unlink(tx, &ended).await?;
    if !ended.is_empty() {
        sqlx::query(
            "REPLACE INTO pending_object (key) SELECT identity.key FROM json_each(?)
             CROSS JOIN identity ON identity.key = value AND state = 1",
        )
        .bind(numbers(ended))
        .execute(&mut **tx)
        .await?;
    }
    let made: Vec<_> =
        links.into_iter().filter_map(|(object, link)| Some((object, link?))).collect();
    if made.is_empty() {
        return Ok(());
    }
    references::mark_objects(tx, &numbers(made.iter().map(|(object, _)| *object))).await?;
    for chunk in made.chunks(STATEMENT_ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO link (key, metaverse, kind) ");
        query.push_values(chunk, |mut values, (object, link)| {
            values.push_bind(*object).push_bind(link.metaverse.0).push_bind(link.kind.code());
        });
        query.push(
            " ON CONFLICT (key) DO UPDATE SET metaverse = excluded.metaverse, kind = excluded.kind",
        );
        query.build().execute(&mut **tx).await?;
    }
    Ok(())
}

/// Sets anchors of objects that have none.
async fn put_anchors(tx: &mut Tx, outcomes: &[Outcome]) -> Result<(), StateError> {
    let anchors: Vec<_> = outcomes.iter().filter_map(|one| one.decision.anchor.as_ref()).collect();
    for chunk in anchors.chunks(STATEMENT_ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO link (key, anchor) ");
        query.push_values(chunk, |mut values, claim| {
            values.push_bind(claim.object.0).push_bind(claim.anchor.as_str());
        });
        query.push(
            " ON CONFLICT (key) DO UPDATE SET anchor = coalesce(link.anchor, excluded.anchor)",
        );
        query.build().execute(&mut **tx).await?;
    }
    Ok(())
}
