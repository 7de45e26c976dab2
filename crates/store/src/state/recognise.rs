//! Objects that a target has under another anchor than the one under which they are about to be made.
//!
//! Another server wrote such an object before an attribute changed in the forest that its anchor comes from. Whoever
//! wrote it keeps its anchor for ever; a state that never saw that anchor would make the object again, and delete the
//! one that is there. What does not change, and is in both, is its security identifier.

use std::collections::HashMap;

use portolan_model::SourceAnchor;
use portolan_sync::AttributeId;
use portolan_sync::engine::ConnectorId;
use portolan_sync::record::{Record, ValueRef};
use sqlx::Row as _;

use super::rows::{self, Tx};
use super::{State, StateError, packed, references};

/// Objects that are looked at in one transaction.
const OBJECTS_AT_ONCE: i64 = 2_000;

/// An object of a target that is nobody's here.
struct Stranger {
    key: i64,
    kind: i64,
    anchor: String,
    confirmed: Vec<u8>,
}

impl State {
    /// Takes objects that a target has, and that are nobody's here, for those that are to be made there with the same
    /// value of `attribute`: these keep the anchor under which the target has them, and are decided about again. An
    /// anchor that is set for another object of a forest stays that one's. Gives how many were taken.
    ///
    /// # Errors
    /// When something does not read back or cannot be written.
    pub async fn recognise(
        &self,
        target: ConnectorId,
        attribute: AttributeId,
    ) -> Result<u64, StateError> {
        let (mut after, mut recognised) = (0, 0);
        loop {
            let mut tx = self.database.write().await?;
            let (strangers, last) = strangers(&mut tx, (target, attribute), after).await?;
            let Some(last) = last else { return Ok(recognised) };
            after = last;
            if !strangers.is_empty() {
                recognised += take(&mut tx, (target, attribute), strangers).await?;
            }
            tx.commit().await?;
        }
    }
}

/// What a target has and is nobody's, behind a key, by its one value; and the key of the last that was looked at.
async fn strangers(
    tx: &mut Tx,
    (target, attribute): (ConnectorId, AttributeId),
    after: i64,
) -> Result<(HashMap<String, Stranger>, Option<i64>), StateError> {
    let rows = sqlx::query(
        "SELECT key, kind, anchor, confirmed FROM target_object
         WHERE connector = ? AND key > ? AND metaverse < 0 AND stage IS NULL AND confirmed IS NOT NULL
         ORDER BY key LIMIT ?",
    )
    .bind(target.0)
    .bind(after)
    .bind(OBJECTS_AT_ONCE)
    .fetch_all(&mut **tx)
    .await?;
    let (mut strangers, mut last) = (HashMap::new(), None);
    for row in &rows {
        let (key, anchor): (i64, String) = (row.try_get("key")?, row.try_get("anchor")?);
        last = Some(key);
        let confirmed: Vec<u8> = row.try_get("confirmed")?;
        let record = packed::confirmed(anchor.as_bytes(), Some(&confirmed))?.unwrap_or_default();
        let Some(value) = value(&record, attribute) else { continue };
        let stranger = Stranger { key, kind: row.try_get("kind")?, anchor, confirmed };
        strangers.insert(value, stranger);
    }
    Ok((strangers, last))
}

/// Gives strangers to those that are to be made with their values.
async fn take(
    tx: &mut Tx,
    (target, attribute): (ConnectorId, AttributeId),
    mut strangers: HashMap<String, Stranger>,
) -> Result<u64, StateError> {
    let (mut after, mut taken) = (0, 0);
    loop {
        let rows = sqlx::query(
            "SELECT key, kind, metaverse, anchor, pending FROM target_object
             WHERE connector = ? AND key > ? AND metaverse >= 0 AND confirmed IS NULL
                 AND stage IS NOT NULL AND pending IS NOT NULL
             ORDER BY key LIMIT ?",
        )
        .bind(target.0)
        .bind(after)
        .bind(OBJECTS_AT_ONCE)
        .fetch_all(&mut **tx)
        .await?;
        if rows.is_empty() || strangers.is_empty() {
            return Ok(taken);
        }
        for row in &rows {
            let (anchor, pending): (&str, &[u8]) =
                (row.try_get("anchor")?, row.try_get("pending")?);
            after = row.try_get("key")?;
            let wished =
                packed::open_record("what is to be exported", &[anchor.as_bytes()], pending)?;
            let Some(value) = value(&wished, attribute) else { continue };
            let kind: i64 = row.try_get("kind")?;
            let Some(stranger) = strangers.remove(&value).filter(|one| one.kind == kind) else {
                continue;
            };
            let anchor = rows::anchor(anchor)?;
            let of = (after, row.try_get("metaverse")?, anchor);
            taken += u64::from(give(tx, of, &stranger).await?);
        }
    }
}

/// Gives a stranger to an object that is to be made, unless its anchor is another's. Says whether it did.
async fn give(
    tx: &mut Tx,
    (key, metaverse, anchor): (i64, i64, SourceAnchor),
    stranger: &Stranger,
) -> Result<bool, StateError> {
    let is_set: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM link WHERE anchor = ?)")
        .bind(&stranger.anchor)
        .fetch_one(&mut **tx)
        .await?;
    if is_set {
        return Ok(false);
    }
    for statement in [
        "DELETE FROM target_reference WHERE source = ?",
        "DELETE FROM target_reference WHERE target = ?",
        "DELETE FROM target_object WHERE key = ?",
    ] {
        sqlx::query(statement).bind(stranger.key).execute(&mut **tx).await?;
    }
    // What it is to be is decided again: a part of that may have come of the other anchor.
    sqlx::query(
        "UPDATE target_object SET anchor = ?2, confirmed = ?3, stage = NULL, pending = NULL,
             attempts = 0, code = NULL, error = NULL WHERE key = ?1",
    )
    .bind(key)
    .bind(&stranger.anchor)
    .bind(&stranger.confirmed)
    .execute(&mut **tx)
    .await?;
    sqlx::query("UPDATE link SET anchor = ?3 WHERE metaverse = ?1 AND anchor = ?2")
        .bind(metaverse)
        .bind(anchor.as_str())
        .bind(&stranger.anchor)
        .execute(&mut **tx)
        .await?;
    sqlx::query("REPLACE INTO pending_object (key) SELECT key FROM link WHERE metaverse = ?")
        .bind(metaverse)
        .execute(&mut **tx)
        .await?;
    references::mark_target(tx, &rows::numbers([key])).await?;
    Ok(true)
}

/// The value of an attribute, as it is compared.
fn value(record: &Record, attribute: AttributeId) -> Option<String> {
    record.first(attribute).map(ValueRef::to_text).map(|text| text.to_string())
}
