//! Objects of targets, as they were decided.

use std::collections::{BTreeMap, BTreeSet};

use portolan_sync::engine::{
    Fault, Feed, MetaverseChange, ObjectError, PendingExport, Subject, TargetChange, TargetObject,
};
use sqlx::{QueryBuilder, Row as _, Sqlite};

use super::{Outcome, STATEMENT_ROWS};
use crate::state::codes::{Code as _, DELETION, turn};
use crate::state::rows::{self, Tx, numbers};
use crate::state::{StateError, packed, references};

/// A target's object as it is before.
#[derive(Debug, Clone)]
struct Before {
    key: i64,
    metaverse: i64,
    anchor: String,
    is_there: bool,
    stage: Option<i64>,
    feeds: Option<Vec<u8>>,
    password: bool,
}

/// Objects as they are before, by target and anchor, and the anchor of each target and metaverse
/// object.
#[derive(Debug, Default)]
struct Known {
    by_anchor: BTreeMap<(u16, String), Before>,
    by_metaverse: BTreeMap<(u16, i64), String>,
}

/// An object as it is written.
#[derive(Debug)]
struct Row<'a> {
    object: &'a TargetObject,
    stage: Option<i64>,
    pending: Option<Vec<u8>>,
    feeds: Option<Vec<u8>>,
}

/// Writes objects of targets. Gives what is wrong with those that get none.
pub(super) async fn put(tx: &mut Tx, outcomes: &[Outcome]) -> Result<Vec<ObjectError>, StateError> {
    let (put, removed) = changes(outcomes);
    let known = known(tx, &put).await?;
    let (mut rows, mut dropped, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    let mut taken = BTreeSet::new();
    for object in put {
        let place = (object.connector.0, object.anchor.to_string());
        let before = known.by_anchor.get(&place);
        let fault = conflict(&known, object, before).or_else(|| {
            let shared = Fault::AnchorShared { anchor: object.anchor.clone() };
            (!taken.insert(place)).then_some(shared)
        });
        if let Some(fault) = fault {
            refused.push(ObjectError { subject: Subject::Metaverse(object.metaverse), fault });
            continue;
        }
        match row(object, before.is_some_and(|before| before.is_there)) {
            Some(row) => rows.push(row),
            None => dropped.extend(before.map(|before| before.key)),
        }
    }
    drop_rows(tx, &numbers(dropped), &removed).await?;
    let written = write(tx, &rows, &known).await?;
    put_feeds(tx, &rows, &written, &known).await?;
    mark(tx, &rows, &written, &known).await?;
    Ok(refused)
}

/// Objects that are put, and those that are not needed any more, by target and metaverse object as
/// JSON. Of metaverse objects that are deleted, theirs went with them.
fn changes(outcomes: &[Outcome]) -> (Vec<&TargetObject>, String) {
    let (mut put, mut removed) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        if outcome.decision.metaverse == MetaverseChange::Deleted {
            continue;
        }
        for change in &outcome.decision.targets {
            match (change, outcome.metaverse) {
                (TargetChange::Put(object), _) => put.push(object),
                (TargetChange::Remove(target), Some(metaverse)) => {
                    removed.push(format!("[{},{}]", target.0, metaverse.0));
                }
                (TargetChange::Remove(_), None) => {}
            }
        }
    }
    (put, format!("[{}]", removed.join(",")))
}

/// Why an object gets none in a target.
fn conflict(known: &Known, object: &TargetObject, before: Option<&Before>) -> Option<Fault> {
    match known.by_metaverse.get(&(object.connector.0, object.metaverse.0)) {
        Some(fixed) if fixed != object.anchor.as_str() => Some(Fault::AnchorChanged {
            fixed: fixed.parse().unwrap_or_else(|_| object.anchor.clone()),
            found: object.anchor.clone(),
        }),
        Some(_) => None,
        None => before
            .filter(|before| before.metaverse >= 0)
            .map(|_| Fault::AnchorShared { anchor: object.anchor.clone() }),
    }
}

/// The row of an object; `None` when it is not there and is not to be.
fn row(object: &TargetObject, is_there: bool) -> Option<Row<'_>> {
    let seal = |record| packed::seal_record(&[object.anchor.as_str().as_bytes()], record);
    let (stage, pending) = match &object.pending {
        Some(PendingExport::Add(record) | PendingExport::Update(record)) => {
            (Some(turn(object.kind)), Some(seal(record)))
        }
        Some(PendingExport::Delete) => (Some(DELETION), None),
        None => (None, None),
    };
    if !is_there && pending.is_none() {
        return None;
    }
    let feeds = if stage == Some(DELETION) { None } else { packed::pack_feeds(&object.feeds) };
    Some(Row { object, stage, pending, feeds })
}

async fn known(tx: &mut Tx, put: &[&TargetObject]) -> Result<Known, StateError> {
    if put.is_empty() {
        return Ok(Known::default());
    }
    let connectors: BTreeSet<_> = put.iter().map(|object| i64::from(object.connector.0)).collect();
    let rows = sqlx::query(
        "SELECT t.key, connector, metaverse, anchor, confirmed IS NOT NULL AS there, stage, feeds, password
         FROM json_each(?1) c CROSS JOIN json_each(?2) a
             CROSS JOIN target_object t ON connector = c.value AND anchor = a.value
         UNION
         SELECT t.key, connector, metaverse, anchor, confirmed IS NOT NULL, stage, feeds, password
         FROM json_each(?3) m CROSS JOIN target_object t ON metaverse = m.value",
    )
    .bind(numbers(connectors))
    .bind(rows::texts(put.iter().map(|object| object.anchor.as_str())))
    .bind(numbers(put.iter().map(|object| object.metaverse.0)))
    .fetch_all(&mut **tx)
    .await?;
    let mut known = Known::default();
    for row in &rows {
        let connector = crate::state::names::connector(row.try_get("connector")?)?.0;
        let before = Before {
            key: row.try_get("key")?,
            metaverse: row.try_get("metaverse")?,
            anchor: row.try_get("anchor")?,
            is_there: row.try_get("there")?,
            stage: row.try_get("stage")?,
            feeds: row.try_get("feeds")?,
            password: row.try_get("password")?,
        };
        known.by_metaverse.insert((connector, before.metaverse), before.anchor.clone());
        known.by_anchor.insert((connector, before.anchor.clone()), before);
    }
    Ok(known)
}

/// Takes rows out that a target has nothing of: by their keys, and by target and metaverse object.
async fn drop_rows(tx: &mut Tx, keys: &str, places: &str) -> Result<(), StateError> {
    if keys == "[]" && places == "[]" {
        return Ok(());
    }
    let dropped: Vec<i64> = sqlx::query_scalar(
        "SELECT value FROM json_each(?1) UNION SELECT t.key FROM json_each(?2)
             CROSS JOIN target_object t ON t.connector = value ->> 0 AND t.metaverse = value ->> 1
         WHERE t.confirmed IS NULL",
    )
    .bind(keys)
    .bind(places)
    .fetch_all(&mut **tx)
    .await?;
    let dropped = numbers(dropped);
    for statement in [
        "DELETE FROM feed WHERE target IN (SELECT value FROM json_each(?))",
        "DELETE FROM pending_reference WHERE source IN (SELECT value FROM json_each(?))",
        "DELETE FROM pending_reference WHERE target IN (SELECT value FROM json_each(?))",
        "DELETE FROM target_object WHERE key IN (SELECT value FROM json_each(?))",
    ] {
        sqlx::query(statement).bind(&dropped).execute(&mut **tx).await?;
    }
    Ok(())
}

/// Writes rows. Gives the key of each.
async fn write(tx: &mut Tx, rows: &[Row<'_>], known: &Known) -> Result<Vec<i64>, StateError> {
    let is_settled = |row: &&Row<'_>| {
        before(known, row).is_some_and(|before| {
            before.metaverse == row.object.metaverse.0 && before.password == row.object.password
        })
    };
    let (settled, other): (Vec<_>, Vec<_>) = rows.iter().partition(is_settled);
    let mut keys = BTreeMap::new();
    write_rows(tx, &settled, UPDATE, &mut keys).await?;
    write_rows(tx, &other, UPDATE_ALL, &mut keys).await?;
    let place = |row: &Row<'_>| (i64::from(row.object.connector.0), row.object.anchor.to_string());
    let found = rows.iter().map(|row| keys.get(&place(row)).copied());
    found.map(|key| key.ok_or(StateError::corrupt("a target's object"))).collect()
}

/// What a row gets that is there already. One whose turn has come by an earlier wish and that is as wished
/// by now has none.
macro_rules! update {
    ($further:literal) => {
        concat!(
            " ON CONFLICT (connector, anchor) DO UPDATE SET kind = excluded.kind,
                 feeds = excluded.feeds,
                 attempts = iif(pending IS excluded.pending, attempts, 0),
                 code = iif(pending IS excluded.pending, code, NULL),
                 error = iif(pending IS excluded.pending, error, NULL),
                 stage = iif(confirmed = excluded.pending, NULL, excluded.stage),
                 pending = iif(confirmed = excluded.pending, NULL, excluded.pending)",
            $further,
            " RETURNING key, connector, anchor"
        )
    };
}

/// What is set is sought anew in each index that has the column, with the same value too: that costs what
/// the directory is large.
const UPDATE: &str = update!("");
const UPDATE_ALL: &str = update!(", metaverse = excluded.metaverse, password = excluded.password");

async fn write_rows(
    tx: &mut Tx,
    rows: &[&Row<'_>],
    update: &str,
    keys: &mut BTreeMap<(i64, String), i64>,
) -> Result<(), StateError> {
    for chunk in rows.chunks(STATEMENT_ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO target_object
                 (connector, metaverse, kind, anchor, stage, pending, feeds, password) ",
        );
        query.push_values(chunk, |mut values, row| {
            values.push_bind(row.object.connector.0).push_bind(row.object.metaverse.0);
            values.push_bind(row.object.kind.code()).push_bind(row.object.anchor.as_str());
            values.push_bind(row.stage).push_bind(row.pending.as_deref());
            values.push_bind(row.feeds.as_deref()).push_bind(row.object.password);
        });
        query.push(update);
        for row in query.build().fetch_all(&mut **tx).await? {
            let place: (i64, String) = (row.try_get("connector")?, row.try_get("anchor")?);
            keys.insert(place, row.try_get::<i64, _>("key")?);
        }
    }
    Ok(())
}

fn before<'a>(known: &'a Known, row: &Row<'_>) -> Option<&'a Before> {
    known.by_anchor.get(&(row.object.connector.0, row.object.anchor.to_string()))
}

/// Writes the feeds that are other than before.
async fn put_feeds(
    tx: &mut Tx,
    rows: &[Row<'_>],
    keys: &[i64],
    known: &Known,
) -> Result<(), StateError> {
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for (row, key) in rows.iter().zip(keys) {
        let had = before(known, row).and_then(|before| before.feeds.as_ref());
        if had == row.feeds.as_ref() {
            continue;
        }
        if had.is_some() {
            old.push(*key);
        }
        if row.feeds.is_some() {
            new.extend(row.object.feeds.iter().map(|feed| (*key, *feed)));
        }
    }
    if !old.is_empty() {
        sqlx::query("DELETE FROM feed WHERE target IN (SELECT value FROM json_each(?))")
            .bind(numbers(old))
            .execute(&mut **tx)
            .await?;
    }
    for chunk in new.chunks(STATEMENT_ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT OR IGNORE INTO feed (target, attribute, object, source) ",
        );
        query.push_values(chunk, |mut values, (key, feed): &(i64, Feed)| {
            values.push_bind(*key).push_bind(feed.attribute.0);
            values.push_bind(feed.object.0).push_bind(feed.source.0);
        });
        query.build().execute(&mut **tx).await?;
    }
    Ok(())
}

/// Marks the references of and to what came, went, or is fed otherwise.
async fn mark(
    tx: &mut Tx,
    rows: &[Row<'_>],
    keys: &[i64],
    known: &Known,
) -> Result<(), StateError> {
    let (mut fed, mut came, mut dying) = (Vec::new(), Vec::new(), Vec::new());
    for (row, key) in rows.iter().zip(keys) {
        let before = before(known, row);
        let was = before.is_some_and(|before| {
            before.metaverse == row.object.metaverse.0 && before.stage != Some(DELETION)
        });
        let is = row.stage != Some(DELETION);
        if !is {
            dying.extend(was.then_some(*key));
            continue;
        }
        if !was {
            came.push(row.object.metaverse.0);
        }
        if !was || before.and_then(|before| before.feeds.as_ref()) != row.feeds.as_ref() {
            fed.push(*key);
        }
    }
    if !dying.is_empty() {
        let dying = numbers(dying);
        for statement in [
            "DELETE FROM pending_reference WHERE source IN (SELECT value FROM json_each(?))",
            "DELETE FROM pending_reference WHERE target IN (SELECT value FROM json_each(?))",
        ] {
            sqlx::query(statement).bind(&dying).execute(&mut **tx).await?;
        }
    }
    if !fed.is_empty() {
        references::mark_target(tx, &numbers(fed)).await?;
    }
    if !came.is_empty() {
        references::mark_linked(tx, &numbers(came)).await?;
    }
    Ok(())
}
