//! Finding metaverse objects by the values of their attributes.
//!
//! Of the attributes that rules join by, a digest of each value is kept: as texts without case. What a
//! digest finds is held against the values themselves.

use std::collections::BTreeSet;

use aws_lc_rs::digest;
use portolan_sync::AttributeId;
use portolan_sync::ObjectKind;
use portolan_sync::engine::{
    ConnectorId, JoinCandidate, JoinCondition, JoinLookup, MetaverseKey, ObjectKey,
};
use portolan_sync::record::{Record, ValueRef};
use sqlx::Row as _;

use super::codes::Code as _;
use super::rows::{Tx, numbers};
use super::{Outcome, Queued, State, StateError, packed, queue};

/// Objects with one value that are looked at: two are one too many for a join already.
const CANDIDATES_MAX: i64 = 64;
/// Candidates that are told: with two, it is ambiguous.
const ANSWERS_MAX: usize = 2;
/// Metaverse objects that are indexed in one transaction.
const INDEXED_AT_ONCE: i64 = 1_000;

impl State {
    /// For each lookup, of an object of this forest, the metaverse objects that it finds: two at most,
    /// in the order of their keys. More than some dozens that have one value are not all looked at.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn find_join(
        &self,
        lookups: &[(ConnectorId, JoinLookup)],
    ) -> Result<Vec<Vec<JoinCandidate>>, StateError> {
        let mut tx = self.database.read().await?;
        let there = there(&mut tx, lookups).await?;
        let mut all = Vec::with_capacity(lookups.len());
        for (forest, lookup) in lookups {
            let may_find = lookup.conditions.iter().all(|condition| {
                let attribute = i64::from(condition.attribute.0);
                let mut values = condition.values.iter().map(|value| digest(value.borrow()));
                values.any(|digest| there.contains(&(attribute, digest)))
            });
            let found = if may_find { find(&mut tx, *forest, lookup).await? } else { Vec::new() };
            all.push(found);
        }
        Ok(all)
    }

    /// Keeps digests of these attributes from now on, and of no others. Those that are new are read
    /// from the whole metaverse, so this is for when the rules change.
    ///
    /// # Errors
    /// When something does not read back or cannot be written.
    pub async fn index_joins(&self, attributes: &[AttributeId]) -> Result<(), StateError> {
        let mut tx = self.database.write().await?;
        let known = join_attributes(&mut tx).await?;
        let wanted: BTreeSet<AttributeId> = attributes.iter().copied().collect();
        for attribute in known.difference(&wanted) {
            for statement in [
                "DELETE FROM join_value WHERE attribute = ?",
                "DELETE FROM join_attribute WHERE attribute = ?",
            ] {
                sqlx::query(statement).bind(attribute.0).execute(&mut *tx).await?;
            }
        }
        tx.commit().await?;
        let new: BTreeSet<_> = wanted.difference(&known).copied().collect();
        if new.is_empty() {
            return Ok(());
        }
        let mut after = 0;
        loop {
            let mut tx = self.database.write().await?;
            let rows =
                sqlx::query("SELECT key, record FROM metaverse WHERE key > ? ORDER BY key LIMIT ?")
                    .bind(after)
                    .bind(INDEXED_AT_ONCE)
                    .fetch_all(&mut *tx)
                    .await?;
            let mut values = Vec::new();
            for row in &rows {
                after = row.try_get("key")?;
                let (record, _) = packed::open_metaverse(after, row.try_get("record")?)?;
                values.extend(digests(after, &record, &new));
            }
            insert(&mut tx, &values).await?;
            if rows.is_empty() {
                for attribute in &new {
                    let insert = sqlx::query("INSERT INTO join_attribute (attribute) VALUES (?)");
                    insert.bind(attribute.0).execute(&mut *tx).await?;
                }
            }
            tx.commit().await?;
            if rows.is_empty() {
                return Ok(());
            }
        }
    }
}

/// A value of an attribute of a metaverse object, by its digest.
pub(super) type Digest = (i64, i64, i64);

/// Of which attributes digests are kept.
pub(super) async fn join_attributes(tx: &mut Tx) -> Result<BTreeSet<AttributeId>, StateError> {
    let ids: Vec<i64> =
        sqlx::query_scalar("SELECT attribute FROM join_attribute").fetch_all(&mut **tx).await?;
    ids.into_iter().map(super::names::attribute).collect()
}

/// Brings the digests of metaverse objects to those of their records.
pub(super) async fn put(
    tx: &mut Tx,
    objects: &[(i64, &Record)],
    attributes: &BTreeSet<AttributeId>,
) -> Result<(), StateError> {
    if attributes.is_empty() || objects.is_empty() {
        return Ok(());
    }
    let known: Vec<Digest> = sqlx::query_as(
        "SELECT attribute, digest, metaverse FROM json_each(?)
         CROSS JOIN join_value ON metaverse = value",
    )
    .bind(numbers(objects.iter().map(|(key, _)| *key)))
    .fetch_all(&mut **tx)
    .await?;
    let known: BTreeSet<Digest> = known.into_iter().collect();
    let wanted: BTreeSet<Digest> =
        objects.iter().flat_map(|(key, record)| digests(*key, record, attributes)).collect();
    let gone: Vec<_> = known.difference(&wanted).copied().collect();
    if !gone.is_empty() {
        sqlx::query(
            "DELETE FROM join_value WHERE (attribute, digest, metaverse) IN
                 (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?))",
        )
        .bind(triples(&gone))
        .execute(&mut **tx)
        .await?;
    }
    let new: Vec<_> = wanted.difference(&known).copied().collect();
    insert(tx, &new).await?;
    look_again(tx, &new).await
}

/// Remembers what objects without a link asked for in vain. What was remembered of settled objects is
/// over: they were looked at.
pub(super) async fn wait(
    tx: &mut Tx,
    settled: &[Queued],
    outcomes: &[Outcome],
) -> Result<(), StateError> {
    let looked_at = outcomes.iter().flat_map(|outcome| &outcome.objects).map(|key| key.0);
    let looked_at = settled.iter().map(|queued| queued.key.0).chain(looked_at);
    sqlx::query("DELETE FROM join_waiting WHERE key IN (SELECT value FROM json_each(?))")
        .bind(numbers(looked_at))
        .execute(&mut **tx)
        .await?;
    let mut waiting = Vec::new();
    for outcome in outcomes.iter().filter(|outcome| !outcome.waits.is_empty()) {
        let conditions = outcome.waits.iter().flat_map(|lookup| &lookup.conditions);
        for condition in conditions {
            for (value, object) in condition
                .values
                .iter()
                .flat_map(|value| outcome.objects.iter().map(move |o| (value, o)))
            {
                waiting.push((i64::from(condition.attribute.0), digest(value.borrow()), object.0));
            }
        }
    }
    if waiting.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT OR IGNORE INTO join_waiting (attribute, digest, key)
         SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?)",
    )
    .bind(triples(&waiting))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Queues the objects that wait for one of these values.
async fn look_again(tx: &mut Tx, new: &[Digest]) -> Result<(), StateError> {
    if new.is_empty() {
        return Ok(());
    }
    let waiting: Vec<i64> = sqlx::query_scalar(
        "SELECT DISTINCT w.key FROM json_each(?) d
             CROSS JOIN join_waiting w
                 ON w.attribute = d.value ->> 0 AND w.digest = d.value ->> 1
             CROSS JOIN identity i ON i.key = w.key AND i.state = 1",
    )
    .bind(triples(new))
    .fetch_all(&mut **tx)
    .await?;
    queue::queue(tx, waiting).await
}

async fn insert(tx: &mut Tx, values: &[Digest]) -> Result<(), StateError> {
    if values.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT OR IGNORE INTO join_value (attribute, digest, metaverse)
         SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?)",
    )
    .bind(triples(values))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn triples(values: &[Digest]) -> String {
    let each: Vec<_> = values.iter().map(|(a, b, c)| format!("[{a},{b},{c}]")).collect();
    format!("[{}]", each.join(","))
}

fn digests(key: i64, record: &Record, attributes: &BTreeSet<AttributeId>) -> Vec<Digest> {
    let each = attributes.iter().flat_map(|attribute| {
        record.values(*attribute).map(move |value| (i64::from(attribute.0), digest(value), key))
    });
    each.collect()
}

/// Eight octets of SHA-256 of the value as text without case.
fn digest(value: ValueRef<'_>) -> i64 {
    let text = value.to_text().to_lowercase();
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref().first_chunk().map_or(0, |octets| i64::from_le_bytes(*octets))
}

/// Which of the values of these lookups anything in the metaverse has, by their attributes and digests.
async fn there(
    tx: &mut Tx,
    lookups: &[(ConnectorId, JoinLookup)],
) -> Result<BTreeSet<(i64, i64)>, StateError> {
    let conditions = lookups.iter().flat_map(|(_, lookup)| &lookup.conditions);
    let asked: BTreeSet<Digest> = conditions
        .flat_map(|condition| {
            let attribute = i64::from(condition.attribute.0);
            condition.values.iter().map(move |value| (attribute, digest(value.borrow()), 0))
        })
        .collect();
    let asked: Vec<_> = asked.into_iter().collect();
    let there: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT DISTINCT j.attribute, j.digest FROM json_each(?) d CROSS JOIN join_value j
             ON j.attribute = d.value ->> 0 AND j.digest = d.value ->> 1",
    )
    .bind(triples(&asked))
    .fetch_all(&mut **tx)
    .await?;
    Ok(there.into_iter().collect())
}

async fn find(
    tx: &mut Tx,
    forest: ConnectorId,
    lookup: &JoinLookup,
) -> Result<Vec<JoinCandidate>, StateError> {
    let mut common: Option<BTreeSet<i64>> = None;
    for condition in &lookup.conditions {
        let digests = numbers(condition.values.iter().map(|value| digest(value.borrow())));
        let keys: Vec<i64> = sqlx::query_scalar(
            "SELECT DISTINCT metaverse FROM json_each(?2) d
                 CROSS JOIN join_value ON attribute = ?1 AND digest = d.value
             WHERE ?3 IS NULL OR metaverse IN (SELECT value FROM json_each(?3))
             ORDER BY metaverse LIMIT ?4",
        )
        .bind(condition.attribute.0)
        .bind(digests)
        .bind(common.map(numbers))
        .bind(CANDIDATES_MAX)
        .fetch_all(&mut **tx)
        .await?;
        common = Some(keys.into_iter().collect());
    }
    let Some(candidates) = common.filter(|candidates| !candidates.is_empty()) else {
        return Ok(Vec::new());
    };
    let rows = sqlx::query(
        "SELECT m.key, m.record, (SELECT link.key FROM link CROSS JOIN identity i
                 ON i.key = link.key AND i.connector = ?3 AND i.state = 1 AND i.kind <> ?4
             WHERE link.metaverse = m.key ORDER BY link.key LIMIT 1) AS occupied
         FROM json_each(?1) CROSS JOIN metaverse m ON m.key = value
         WHERE m.kind = ?2 ORDER BY m.key",
    )
    .bind(numbers(candidates))
    .bind(lookup.kind.code())
    .bind(forest.0)
    // One stands for somebody of another forest, and takes nobody's place.
    .bind(ObjectKind::ForeignSecurityPrincipal.code())
    .fetch_all(&mut **tx)
    .await?;
    let mut found = Vec::new();
    for row in &rows {
        let key: i64 = row.try_get("key")?;
        let (record, _) = packed::open_metaverse(key, row.try_get("record")?)?;
        if lookup.conditions.iter().all(|condition| holds(&record, condition)) {
            let occupied = row.try_get::<Option<i64>, _>("occupied")?.map(ObjectKey);
            found.push(JoinCandidate { metaverse: MetaverseKey(key), occupied });
        }
        if found.len() == ANSWERS_MAX {
            break;
        }
    }
    Ok(found)
}

/// What a digest found has one of the values. Texts are compared with case if it counts.
fn holds(record: &Record, condition: &JoinCondition) -> bool {
    record.values(condition.attribute).any(|value| {
        condition.values.iter().any(|wanted| match (value, wanted.borrow()) {
            (ValueRef::Text(value), ValueRef::Text(wanted)) if !condition.case_sensitive => {
                value.to_lowercase() == wanted.to_lowercase()
            }
            (value, wanted) => value == wanted,
        })
    })
}
