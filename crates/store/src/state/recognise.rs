//! Objects that a target has under another anchor than the one under which they are about to be made.
//!
//! Another server wrote such an object before an attribute changed in the forest that its anchor comes from. Whoever
//! wrote it keeps its anchor for ever; a state that never saw that anchor would make the object again, and delete the
//! one that is there. What does not change, and is in both, is its security identifier.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use portolan_model::SourceAnchor;
use portolan_sync::AttributeId;
use portolan_sync::engine::ConnectorId;
use portolan_sync::record::{Record, ValueRef};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::rows::{self, Tx};
use super::{State, StateError, packed, references};

/// Objects that are looked at or written in one transaction.
const OBJECTS_AT_ONCE: usize = 2_000;

/// What a target has and is nobody's, by pages.
const STRANGERS: &str = "SELECT key, kind, anchor, confirmed AS record FROM target_object
     WHERE connector = ? AND key > ? AND metaverse < 0 AND stage IS NULL AND confirmed IS NOT NULL
     ORDER BY key LIMIT ?";
/// What is to be made, by pages.
const TO_BE_MADE: &str = "SELECT key, kind, anchor, pending AS record FROM target_object
     WHERE connector = ? AND key > ? AND metaverse >= 0 AND confirmed IS NULL
         AND stage IS NOT NULL AND pending IS NOT NULL
     ORDER BY key LIMIT ?";

/// Whose a value is.
#[derive(Debug, Clone, Copy)]
enum Holder {
    /// One object's, behind this key.
    One(i64),
    /// That of several: it tells nobody from another.
    Several,
}

/// Who has a value, by the code of its kind and the value; in their order, so that one seed is one run.
type Holders = BTreeMap<(i64, String), Holder>;

impl State {
    /// Takes objects that a target has, and that are nobody's here, for those that are to be made there with the same
    /// value of `attribute`: these keep the anchor under which the target has them, and are decided about again. A
    /// value that several have, on either side, recognises none of them, and an anchor that is set for another object
    /// of a forest stays that one's. Gives how many were taken.
    ///
    /// # Errors
    /// When something does not read back or cannot be written.
    pub async fn recognise(
        &self,
        target: ConnectorId,
        attribute: AttributeId,
    ) -> Result<u64, StateError> {
        let strangers = self.holders(STRANGERS, (target, attribute), |_| true).await?;
        if strangers.is_empty() {
            return Ok(0);
        }
        let is_a_stranger_s = |value: &_| strangers.contains_key(value);
        let wished = self.holders(TO_BE_MADE, (target, attribute), is_a_stranger_s).await?;
        let pairs: Vec<_> = wished
            .iter()
            .filter_map(|(value, holder)| match (holder, strangers.get(value)?) {
                (Holder::One(object), Holder::One(stranger)) => Some((*object, *stranger)),
                _ => None,
            })
            .collect();
        let mut recognised = 0;
        for pairs in pairs.chunks(OBJECTS_AT_ONCE) {
            let mut tx = self.database.write().await?;
            for (object, stranger) in pairs {
                recognised += u64::from(give(&mut tx, *object, *stranger).await?);
            }
            tx.commit().await?;
        }
        Ok(recognised)
    }

    /// Who has the values of an attribute, of those that `is_asked_for`.
    async fn holders(
        &self,
        pages: &'static str,
        (target, attribute): (ConnectorId, AttributeId),
        is_asked_for: impl Fn(&(i64, String)) -> bool,
    ) -> Result<Holders, StateError> {
        let (mut holders, mut after) = (Holders::new(), 0);
        loop {
            let mut tx = self.database.read().await?;
            let rows = sqlx::query(pages)
                .bind(target.0)
                .bind(after)
                .bind(OBJECTS_AT_ONCE as i64)
                .fetch_all(&mut *tx)
                .await?;
            let Some(last) = rows.last() else { return Ok(holders) };
            after = last.try_get("key")?;
            for row in &rows {
                let Some(value) = value(&record(row)?, attribute) else { continue };
                let value = (row.try_get("kind")?, value);
                if is_asked_for(&value) {
                    match holders.entry(value) {
                        Entry::Vacant(free) => drop(free.insert(Holder::One(row.try_get("key")?))),
                        Entry::Occupied(mut taken) => drop(taken.insert(Holder::Several)),
                    }
                }
            }
        }
    }
}

/// Gives a stranger to an object that is to be made, unless its anchor is another's or either is not what it was when
/// it was looked at. Says whether it did.
async fn give(tx: &mut Tx, object: i64, stranger: i64) -> Result<bool, StateError> {
    let found = sqlx::query(
        "SELECT object.metaverse, object.anchor, stranger.anchor AS given, stranger.confirmed
         FROM target_object object, target_object stranger
         WHERE object.key = ?1 AND stranger.key = ?2
             AND object.metaverse >= 0 AND object.confirmed IS NULL
             AND stranger.metaverse < 0 AND stranger.stage IS NULL AND stranger.confirmed IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM link WHERE link.anchor = stranger.anchor)",
    )
    .bind(object)
    .bind(stranger)
    .fetch_optional(&mut **tx)
    .await?;
    let Some(found) = found else { return Ok(false) };
    let (metaverse, anchor): (i64, SourceAnchor) =
        (found.try_get("metaverse")?, rows::anchor(found.try_get("anchor")?)?);
    let (given, confirmed): (&str, &[u8]) = (found.try_get("given")?, found.try_get("confirmed")?);
    for statement in [
        "DELETE FROM target_reference WHERE source = ?",
        "DELETE FROM target_reference WHERE target = ?",
        "DELETE FROM target_object WHERE key = ?",
    ] {
        sqlx::query(statement).bind(stranger).execute(&mut **tx).await?;
    }
    // What it is to be is decided again: a part of that may have come of the other anchor.
    sqlx::query(
        "UPDATE target_object SET anchor = ?2, confirmed = ?3, stage = NULL, pending = NULL,
             attempts = 0, code = NULL, error = NULL WHERE key = ?1",
    )
    .bind(object)
    .bind(given)
    .bind(confirmed)
    .execute(&mut **tx)
    .await?;
    sqlx::query("UPDATE link SET anchor = ?3 WHERE metaverse = ?1 AND anchor = ?2")
        .bind(metaverse)
        .bind(anchor.as_str())
        .bind(given)
        .execute(&mut **tx)
        .await?;
    sqlx::query("REPLACE INTO pending_object (key) SELECT key FROM link WHERE metaverse = ?")
        .bind(metaverse)
        .execute(&mut **tx)
        .await?;
    references::mark_target(tx, &rows::numbers([object])).await?;
    Ok(true)
}

/// What a target has of an object, or is to have.
fn record(row: &SqliteRow) -> Result<Record, StateError> {
    let (anchor, record): (&str, &[u8]) = (row.try_get("anchor")?, row.try_get("record")?);
    Ok(packed::confirmed(anchor.as_bytes(), Some(record))?.unwrap_or_default())
}

/// The value of an attribute, as it is compared.
fn value(record: &Record, attribute: AttributeId) -> Option<String> {
    record.first(attribute).map(ValueRef::to_text).map(|text| text.to_string())
}
