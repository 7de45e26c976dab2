//! Objects of targets, as they were decided.

use std::collections::{BTreeMap, BTreeSet};

use super::super::effects::{Effects, TargetEffect, Wrong};
use portolan_sync::engine::{Feed, PendingExport};
use sqlx::{QueryBuilder, Row as _, Sqlite};

use super::STATEMENT_ROWS;
use crate::state::codes::{Code as _, DELETION, turn};
use crate::state::rows::{Tx, numbers};
use crate::state::{StateError, packed, references};

/// What came of them.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Decisions whose objects got none in a target, by their places.
    pub(super) refused: BTreeSet<usize>,
    /// Why.
    pub(super) conflicts: Vec<Wrong>,
}

/// A target's object as it is before.
#[derive(Debug, Clone)]
struct Before {
    key: i64,
    metaverse: Option<i64>,
    anchor: String,
    is_there: bool,
    stage: Option<i64>,
    feeds: Option<Vec<u8>>,
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
    effect: &'a TargetEffect,
    metaverse: i64,
    stage: Option<i64>,
    pending: Option<Vec<u8>>,
    feeds: Option<Vec<u8>>,
}

pub(super) async fn put(
    tx: &mut Tx,
    decisions: &[Effects],
    keys: &[Option<i64>],
) -> Result<Outcome, StateError> {
    let known = known(tx, decisions, keys).await?;
    let mut outcome = Outcome::default();
    let (mut rows, mut dropped) = (Vec::new(), Vec::new());
    let mut taken = BTreeSet::new();
    for (at, (decision, metaverse)) in decisions.iter().zip(keys).enumerate() {
        let Some(metaverse) = *metaverse else { continue };
        for effect in &decision.targets {
            let place = (effect.connector.0, effect.anchor.as_str().to_owned());
            let before = known.by_anchor.get(&place);
            if let Some(conflict) = conflict(&known, effect, metaverse, before)
                .or_else(|| (!taken.insert(place.clone())).then_some(TAKEN))
            {
                outcome.refused.insert(at);
                outcome.conflicts.extend(report(decision, effect, conflict));
                continue;
            }
            let is_there = before.is_some_and(|before| before.is_there);
            match row(effect, metaverse, is_there) {
                Some(row) => rows.push(row),
                None => dropped.extend(before.map(|before| before.key)),
            }
        }
    }
    drop_rows(tx, &dropped).await?;
    let written = write(tx, &rows).await?;
    put_feeds(tx, &rows, &written, &known).await?;
    mark(tx, &rows, &written, &known).await?;
    Ok(outcome)
}

/// Why an object gets none in a target.
#[derive(Debug, Clone, Copy)]
struct Conflict {
    code: &'static str,
    text: &'static str,
    hint: &'static str,
}

const TAKEN: Conflict = Conflict {
    code: "anchor-in-use",
    text: "another object has the same sourceAnchor",
    hint: "give one of them another mS-DS-ConsistencyGuid, or take it from one of them",
};
const CHANGED: Conflict = Conflict {
    code: "anchor-changed",
    text: "the object has another sourceAnchor in the target, and that never changes",
    hint: "give it the mS-DS-ConsistencyGuid back that it had",
};

fn conflict(
    known: &Known,
    effect: &TargetEffect,
    metaverse: i64,
    before: Option<&Before>,
) -> Option<Conflict> {
    match known.by_metaverse.get(&(effect.connector.0, metaverse)) {
        Some(anchor) if anchor != effect.anchor.as_str() => Some(CHANGED),
        Some(_) => None,
        None => before.and_then(|before| before.metaverse).map(|_| TAKEN),
    }
}

fn report(
    decision: &Effects,
    effect: &TargetEffect,
    conflict: Conflict,
) -> impl Iterator<Item = Wrong> {
    decision.objects.iter().map(move |object| Wrong {
        object: *object,
        code: conflict.code,
        text: format!("{}: {}", conflict.text, effect.anchor),
        hint: Some(conflict.hint.to_owned()),
    })
}

/// The row of an object; `None` when it is not there and is not to be.
fn row(effect: &TargetEffect, metaverse: i64, is_there: bool) -> Option<Row<'_>> {
    let seal = |record| packed::seal_record(&[effect.anchor.as_str().as_bytes()], record);
    let (stage, pending) = match &effect.pending {
        Some(PendingExport::Add(record) | PendingExport::Update(record)) => {
            (Some(turn(effect.kind)), Some(seal(record)))
        }
        Some(PendingExport::Delete) => (Some(DELETION), None),
        None => (None, None),
    };
    if !is_there && pending.is_none() {
        return None;
    }
    let feeds = if stage == Some(DELETION) { None } else { packed::pack_feeds(&effect.feeds) };
    Some(Row { effect, metaverse, stage, pending, feeds })
}

async fn known(
    tx: &mut Tx,
    decisions: &[Effects],
    keys: &[Option<i64>],
) -> Result<Known, StateError> {
    let effects: Vec<_> = decisions.iter().flat_map(|decision| &decision.targets).collect();
    if effects.is_empty() {
        return Ok(Known::default());
    }
    let anchors: BTreeSet<_> = effects.iter().map(|effect| effect.anchor.as_str()).collect();
    let connectors: BTreeSet<_> =
        effects.iter().map(|effect| i64::from(effect.connector.0)).collect();
    let anchors = serde_json::to_string(&anchors).unwrap_or_default();
    let rows = sqlx::query(
        "SELECT t.key, connector, metaverse, anchor, confirmed IS NOT NULL AS there, stage, feeds
         FROM json_each(?1) c CROSS JOIN json_each(?2) a
             CROSS JOIN target_object t ON connector = c.value AND anchor = a.value
         UNION
         SELECT t.key, connector, metaverse, anchor, confirmed IS NOT NULL, stage, feeds
         FROM json_each(?3) m CROSS JOIN target_object t ON metaverse = m.value",
    )
    .bind(numbers(connectors))
    .bind(anchors)
    .bind(numbers(keys.iter().flatten().copied()))
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
        };
        if let Some(metaverse) = before.metaverse {
            known.by_metaverse.insert((connector, metaverse), before.anchor.clone());
        }
        known.by_anchor.insert((connector, before.anchor.clone()), before);
    }
    Ok(known)
}

/// Takes rows out that a target has nothing of.
async fn drop_rows(tx: &mut Tx, keys: &[i64]) -> Result<(), StateError> {
    if keys.is_empty() {
        return Ok(());
    }
    let keys = numbers(keys.iter().copied());
    for statement in [
        "DELETE FROM feed WHERE target IN (SELECT value FROM json_each(?))",
        "DELETE FROM pending_reference WHERE source IN (SELECT value FROM json_each(?))",
        "DELETE FROM pending_reference WHERE target IN (SELECT value FROM json_each(?))",
        "DELETE FROM target_object WHERE key IN (SELECT value FROM json_each(?))",
    ] {
        sqlx::query(statement).bind(&keys).execute(&mut **tx).await?;
    }
    Ok(())
}

/// Writes rows. Gives the key of each.
async fn write(tx: &mut Tx, rows: &[Row<'_>]) -> Result<Vec<i64>, StateError> {
    let mut keys = BTreeMap::new();
    for chunk in rows.chunks(STATEMENT_ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO target_object
                 (connector, metaverse, kind, anchor, stage, pending, feeds, password) ",
        );
        query.push_values(chunk, |mut values, row| {
            values.push_bind(row.effect.connector.0).push_bind(row.metaverse);
            values.push_bind(row.effect.kind.code()).push_bind(row.effect.anchor.as_str());
            values.push_bind(row.stage).push_bind(row.pending.as_deref());
            values.push_bind(row.feeds.as_deref()).push_bind(row.effect.password);
        });
        // A row whose turn has come by an earlier wish and that is as wished by now has none.
        query.push(
            " ON CONFLICT (connector, anchor) DO UPDATE SET metaverse = excluded.metaverse,
                 kind = excluded.kind, feeds = excluded.feeds, password = excluded.password,
                 attempts = iif(pending IS excluded.pending, attempts, 0),
                 code = iif(pending IS excluded.pending, code, NULL),
                 error = iif(pending IS excluded.pending, error, NULL),
                 stage = iif(confirmed = excluded.pending, NULL, excluded.stage),
                 pending = iif(confirmed = excluded.pending, NULL, excluded.pending)
             RETURNING key, connector, anchor",
        );
        for row in query.build().fetch_all(&mut **tx).await? {
            let place: (i64, String) = (row.try_get("connector")?, row.try_get("anchor")?);
            keys.insert(place, row.try_get::<i64, _>("key")?);
        }
    }
    let place = |row: &Row<'_>| (i64::from(row.effect.connector.0), row.effect.anchor.to_string());
    let found = rows.iter().map(|row| keys.get(&place(row)).copied());
    found.map(|key| key.ok_or(StateError::corrupt("a target's object"))).collect()
}

fn before<'a>(known: &'a Known, row: &Row<'_>) -> Option<&'a Before> {
    known.by_anchor.get(&(row.effect.connector.0, row.effect.anchor.to_string()))
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
            new.extend(row.effect.feeds.iter().map(|feed| (*key, *feed)));
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
            before.metaverse == Some(row.metaverse) && before.stage != Some(DELETION)
        });
        let is = row.stage != Some(DELETION);
        if !is {
            dying.extend(was.then_some(*key));
            continue;
        }
        if !was {
            came.push(row.metaverse);
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
