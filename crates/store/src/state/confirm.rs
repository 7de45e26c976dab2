//! What a target says that it has, held against what is kept of it.

use std::collections::BTreeMap;

use portolan_model::SourceAnchor;
use portolan_sync::TenantKind;
use portolan_sync::engine::ConnectorId;
use portolan_sync::record::Record;
use sqlx::Row as _;

use super::codes::Code as _;
use super::rows::Tx;
use super::{State, StateError, dependence, packed, references};

/// An object that a target has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// What identifies it.
    pub anchor: SourceAnchor,
    /// What it is.
    pub kind: TenantKind,
    /// Its attributes, of those that are exported.
    pub record: Record,
}

/// What is kept of an object before.
struct Before {
    key: i64,
    anchor: String,
    confirmed: Option<Vec<u8>>,
    wished: Option<Vec<u8>>,
}

impl State {
    /// Keeps what a target has of all objects whose anchors are behind `after` and not behind
    /// `through`, in the order of their octets. What is other than it should be is to be exported
    /// again; what was not known is claimed or deleted in the next full synchronisation. Gives how many
    /// objects were other than they were known to be.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn confirm(
        &self,
        target: ConnectorId,
        after: &str,
        through: &str,
        held: &[Held],
    ) -> Result<u64, StateError> {
        let mut tx = self.database.write().await?;
        let mut differing = 0;
        let is_read = dependence::read_of(&mut tx).await?.contains(&target);
        let mut known = between(&mut tx, target, after, through).await?;
        for object in held {
            let of = object.anchor.as_str();
            let sealed = packed::seal_record(&[of.as_bytes()], &object.record);
            let before = known.remove(of);
            if before.as_ref().is_some_and(|b| b.confirmed.as_ref() == Some(&sealed)) {
                continue;
            }
            differing += 1;
            match before {
                Some(before) => {
                    found(&mut tx, &before, object.kind, sealed).await?;
                    if is_read {
                        dependence::confirmed(&mut tx, before.key).await?;
                    }
                }
                None => {
                    let key = last_key(&mut tx).await? + 1;
                    sqlx::query(
                        "INSERT INTO target_object
                             (key, connector, metaverse, kind, anchor, confirmed)
                         VALUES (?1, ?2, -?1, ?3, ?4, ?5)",
                    )
                    .bind(key)
                    .bind(target.0)
                    .bind(object.kind.code())
                    .bind(of)
                    .bind(sealed)
                    .execute(&mut *tx)
                    .await?;
                }
            }
        }
        for before in known.into_values().filter(|before| before.confirmed.is_some()) {
            differing += 1;
            missed(&mut tx, &before).await?;
        }
        tx.commit().await?;
        Ok(differing)
    }
}

/// The last key of a target's object.
pub(super) async fn last_key(tx: &mut Tx) -> Result<i64, StateError> {
    let last = sqlx::query_scalar("SELECT coalesce(max(key), 0) FROM target_object");
    Ok(last.fetch_one(&mut **tx).await?)
}

/// What is kept of a target's objects between two anchors.
async fn between(
    tx: &mut Tx,
    target: ConnectorId,
    after: &str,
    through: &str,
) -> Result<BTreeMap<String, Before>, StateError> {
    let rows = sqlx::query(
        "SELECT key, anchor, confirmed, iif(stage = 0, NULL, coalesce(pending, confirmed)) AS wished
         FROM target_object WHERE connector = ? AND anchor > ? AND anchor <= ?",
    )
    .bind(target.0)
    .bind(after)
    .bind(through)
    .fetch_all(&mut **tx)
    .await?;
    rows.iter()
        .map(|row| {
            let anchor: String = row.try_get("anchor")?;
            let before = Before {
                key: row.try_get("key")?,
                anchor: anchor.clone(),
                confirmed: row.try_get("confirmed")?,
                wished: row.try_get("wished")?,
            };
            Ok((anchor, before))
        })
        .collect()
}

/// A target has something else of an object than was known.
async fn found(
    tx: &mut Tx,
    before: &Before,
    kind: TenantKind,
    sealed: Vec<u8>,
) -> Result<(), StateError> {
    let wished = before.wished.as_deref().filter(|wished| !wished.is_empty());
    let wished = wished.filter(|wished| *wished != sealed.as_slice());
    sqlx::query(
        "UPDATE target_object SET confirmed = ?2, pending = ?3,
             stage = CASE WHEN stage = 0 THEN 0 WHEN ?3 IS NOT NULL THEN ?4 END WHERE key = ?1",
    )
    .bind(before.key)
    .bind(sealed)
    .bind(wished)
    .bind(super::codes::turn(kind))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// A target does not have an object that it was known to have, nor references from and to it.
async fn missed(tx: &mut Tx, before: &Before) -> Result<(), StateError> {
    let wished = before.wished.as_deref().filter(|wished| !wished.is_empty());
    for statement in [
        "DELETE FROM target_reference WHERE source = ?",
        "DELETE FROM target_reference WHERE target = ?",
    ] {
        sqlx::query(statement).bind(before.key).execute(&mut **tx).await?;
    }
    sqlx::query(
        "UPDATE target_object SET confirmed = NULL, credentialed = 0, pending = ?2,
             stage = CASE WHEN stage = 0 OR ?2 IS NULL THEN 0
                 ELSE coalesce(stage, CASE kind WHEN 0 THEN 1 WHEN 1 THEN 2 WHEN 3 THEN 3 ELSE 4 END) END
         WHERE key = ?1",
    )
    .bind(before.key)
    .bind(wished)
    .execute(&mut **tx)
    .await?;
    let done = sqlx::query("DELETE FROM target_object WHERE key = ? AND stage = 0");
    done.bind(before.key).execute(&mut **tx).await?;
    let key = super::rows::numbers([before.key]);
    references::mark_target(tx, &key).await?;
    sqlx::query(
        "INSERT OR IGNORE INTO dirty_reference (kind, object) SELECT 2, link.key FROM target_object t
             CROSS JOIN link ON link.metaverse = t.metaverse WHERE t.anchor = ? AND t.key = ?",
    )
    .bind(&before.anchor)
    .bind(before.key)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
