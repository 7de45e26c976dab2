//! What a target says that it has, held against what is kept of it.

use std::collections::BTreeMap;

use portolan_model::SourceAnchor;
use portolan_sync::TenantKind;
use portolan_sync::engine::ConnectorId;
use portolan_sync::record::Record;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use time::OffsetDateTime;

use super::codes::Code as _;
use super::departures::{Departure, depart};
use super::rows::{self, Tx};
use super::{State, StateError, dependence, packed};

/// An object that a target has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// What identifies it.
    pub anchor: SourceAnchor,
    /// What it is.
    pub kind: TenantKind,
    /// Its attributes, of those that are exported.
    pub record: Record,
    /// Whether it has a password.
    pub has_password: bool,
}

/// What is kept of an object of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// What identifies it.
    pub anchor: SourceAnchor,
    /// What it is.
    pub kind: TenantKind,
    /// What the target acknowledged of it.
    pub confirmed: Option<Record>,
    /// What it is to be; `None` when it is to be deleted.
    pub wished: Option<Record>,
}

/// What was other than it was known to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Confirmed {
    /// Objects with other attributes.
    pub other: u64,
    /// Objects that are not there.
    pub missing: u64,
    /// Objects that nobody knew of.
    pub unknown: u64,
    /// Users without the password that was acknowledged.
    pub passwords: u64,
}

impl Confirmed {
    /// Whether all was as it was known to be.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// What is kept of an object before.
struct Before {
    key: i64,
    confirmed: Option<Vec<u8>>,
    wished: Option<Vec<u8>>,
}

impl Before {
    /// Whether nothing was acknowledged, and this is what it is to be: somebody else exported it.
    fn awaits(&self, sealed: &[u8]) -> bool {
        self.confirmed.is_none() && self.wished.as_deref() == Some(sealed)
    }

    /// Whether it should be there.
    fn is_wished(&self) -> bool {
        self.wished.is_some()
    }
}

impl State {
    /// What is kept of a target's objects whose anchors are behind `after` and not behind `through`, in
    /// the order of their octets, at most `limit`.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn known(
        &self,
        target: ConnectorId,
        after: &str,
        through: &str,
        limit: u32,
    ) -> Result<Vec<Known>, StateError> {
        let rows = sqlx::query(
            "SELECT anchor, kind, confirmed,
                 iif(stage = 0, NULL, coalesce(pending, confirmed)) AS wished
             FROM target_object WHERE connector = ? AND anchor > ? AND anchor <= ?
             ORDER BY anchor LIMIT ?",
        )
        .bind(target.0)
        .bind(after)
        .bind(through)
        .bind(limit)
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter().map(known).collect()
    }

    /// What is kept of those of a target's objects that have these anchors.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn known_of(
        &self,
        target: ConnectorId,
        anchors: &[SourceAnchor],
    ) -> Result<Vec<Known>, StateError> {
        let rows = sqlx::query(
            "SELECT t.anchor, t.kind, t.confirmed,
                 iif(t.stage = 0, NULL, coalesce(t.pending, t.confirmed)) AS wished
             FROM json_each(?2) CROSS JOIN target_object t
                 ON t.connector = ?1 AND t.anchor = value",
        )
        .bind(target.0)
        .bind(rows::texts(anchors.iter().map(SourceAnchor::as_str)))
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter().map(known).collect()
    }

    /// Keeps what a target has of single objects, and that it does not have others any more. What is other
    /// than it should be is to be exported again. Of an object that is not known here nothing is kept: it is
    /// somebody else's. Gives what was other than it was known to be. What was to be deleted and is not there
    /// counts as lost `now`.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn confirm_some(
        &self,
        target: ConnectorId,
        held: &[Held],
        missing: &[SourceAnchor],
        now: OffsetDateTime,
    ) -> Result<Confirmed, StateError> {
        let mut tx = self.database.write().await?;
        let mut differing = Confirmed::default();
        let is_read = dependence::read_of(&mut tx).await?.contains(&target);
        let named = held.iter().map(|object| &object.anchor).chain(missing);
        let mut known = with_anchors(&mut tx, target, named).await?;
        for object in held {
            let of = object.anchor.as_str();
            let sealed = packed::seal_record(&[of.as_bytes()], &object.record);
            let Some(before) = known.remove(of) else { continue };
            if before.confirmed.as_ref() == Some(&sealed) {
                continue;
            }
            differing.other += u64::from(!before.awaits(&sealed));
            found(&mut tx, &before, object.kind, sealed).await?;
            if is_read {
                dependence::confirmed(&mut tx, before.key).await?;
            }
        }
        let missing = missing.iter().filter_map(|anchor| known.remove(anchor.as_str()));
        differing.missing = missed(&mut tx, missing, now).await?;
        tx.commit().await?;
        Ok(differing)
    }

    /// Keeps what a target has of all objects whose anchors are behind `after` and not behind
    /// `through`, in the order of their octets. What is other than it should be is to be exported
    /// again; what was not known is claimed or deleted in the next full synchronisation; a password that
    /// is not there is owed. Gives what was other than it was known to be. What was to be deleted and is not
    /// there counts as lost `now`.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn confirm(
        &self,
        target: ConnectorId,
        after: &str,
        through: &str,
        held: &[Held],
        now: OffsetDateTime,
    ) -> Result<Confirmed, StateError> {
        let mut tx = self.database.write().await?;
        let mut differing = Confirmed::default();
        let is_read = dependence::read_of(&mut tx).await?.contains(&target);
        let mut known = between(&mut tx, target, after, through).await?;
        for object in held {
            let of = object.anchor.as_str();
            let sealed = packed::seal_record(&[of.as_bytes()], &object.record);
            let before = known.remove(of);
            if before.as_ref().is_some_and(|b| b.confirmed.as_ref() == Some(&sealed)) {
                continue;
            }
            match before {
                Some(before) => {
                    differing.other += u64::from(!before.awaits(&sealed));
                    found(&mut tx, &before, object.kind, sealed).await?;
                    if is_read {
                        dependence::confirmed(&mut tx, before.key).await?;
                    }
                }
                None => {
                    differing.unknown += 1;
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
        differing.missing = missed(&mut tx, known.into_values(), now).await?;
        let without = held.iter().filter(|object| !object.has_password);
        differing.passwords = sqlx::query(
            "UPDATE target_object SET credentialed = 0 WHERE connector = ?1 AND credentialed = 1
                 AND anchor IN (SELECT value FROM json_each(?2))",
        )
        .bind(target.0)
        .bind(rows::texts(without.map(|object| object.anchor.as_str())))
        .execute(&mut *tx)
        .await?
        .rows_affected();
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
    rows.iter().map(before).collect()
}

/// What is kept of those of a target's objects that have these anchors.
async fn with_anchors(
    tx: &mut Tx,
    target: ConnectorId,
    anchors: impl Iterator<Item = &SourceAnchor>,
) -> Result<BTreeMap<String, Before>, StateError> {
    let rows = sqlx::query(
        "SELECT t.key, t.anchor, t.confirmed,
             iif(t.stage = 0, NULL, coalesce(t.pending, t.confirmed)) AS wished
         FROM json_each(?2) CROSS JOIN target_object t ON t.connector = ?1 AND t.anchor = value",
    )
    .bind(target.0)
    .bind(rows::texts(anchors.map(SourceAnchor::as_str)))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(before).collect()
}

fn before(row: &SqliteRow) -> Result<(String, Before), StateError> {
    let anchor: String = row.try_get("anchor")?;
    let before = Before {
        key: row.try_get("key")?,
        confirmed: row.try_get("confirmed")?,
        wished: row.try_get("wished")?,
    };
    Ok((anchor, before))
}

fn known(row: &SqliteRow) -> Result<Known, StateError> {
    let anchor: &str = row.try_get("anchor")?;
    let record = |sealed| packed::confirmed(anchor.as_bytes(), sealed);
    Ok(Known {
        confirmed: record(row.try_get("confirmed")?)?,
        wished: record(row.try_get("wished")?)?,
        kind: TenantKind::of_code(row.try_get("kind")?)?,
        anchor: rows::anchor(anchor)?,
    })
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

/// A target does not have those of these objects that it was known to have. Gives how many should be there.
async fn missed(
    tx: &mut Tx,
    objects: impl Iterator<Item = Before>,
    now: OffsetDateTime,
) -> Result<u64, StateError> {
    let objects: Vec<_> = objects.filter(|before| before.confirmed.is_some()).collect();
    let keys: Vec<_> = objects.iter().map(|before| before.key).collect();
    depart(tx, &keys, Departure::Missing, now).await?;
    Ok(objects.iter().filter(|before| before.is_wished()).count() as u64)
}

#[cfg(test)]
mod tests;
