//! What is to be exported, and what became of it.

use portolan_model::SourceAnchor;
use portolan_sync::TenantKind;
use portolan_sync::engine::{ConnectorId, MetaverseKey, PendingExport};
use portolan_sync::record::Record;
use sqlx::Row as _;
use time::OffsetDateTime;

use super::codes::{Code as _, DELETION};
use super::departures::{Departure, depart};
use super::rows::{self, Tx};
use super::{State, StateError, dependence, names, packed};

/// Octets of the exports that are read at once.
const OCTETS_AT_ONCE: i64 = 32 * 1024 * 1024;

/// The object of a target. The default is in front of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetKey(pub i64);

/// A place in the order of exports: deletions, users, contacts, devices, groups. The default is in
/// front of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    stage: i64,
    key: i64,
}

impl Default for Place {
    fn default() -> Self {
        Self { stage: DELETION, key: 0 }
    }
}

/// An object of a target that is to be written or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// Which.
    pub key: TargetKey,
    /// Behind it, the next one is asked for.
    pub place: Place,
    /// In which target.
    pub connector: ConnectorId,
    /// Its metaverse object; below zero, that of none.
    pub metaverse: MetaverseKey,
    /// What it is.
    pub kind: TenantKind,
    /// What identifies it.
    pub anchor: SourceAnchor,
    /// What the target has of it; without attributes when nothing is known but that it is there: it
    /// may have references that nobody knows as well.
    pub confirmed: Option<Record>,
    /// What is to be done.
    pub pending: PendingExport,
    /// How often that was refused.
    pub attempts: u32,
}

/// An export that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Of which object.
    pub key: TargetKey,
    /// What kind of refusal.
    pub code: String,
    /// What the target says.
    pub text: String,
}

/// A target's answer: when it came, and what is remembered from then on of the batches that the target was
/// sent. Both are kept in the transaction that keeps what was answered: a state that has the one without the
/// other would take a target that lost the batch for one that never had it.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// When it came: losses are counted by it.
    pub at: OffsetDateTime,
    /// What is remembered, of a target that names its batches.
    pub batches: Option<(ConnectorId, &'a [u8])>,
}

impl Answer<'_> {
    /// One of a target that names no batches.
    #[must_use]
    pub const fn at(at: OffsetDateTime) -> Self {
        Self { at, batches: None }
    }

    /// Keeps what is remembered of batches.
    pub(super) async fn remember(&self, tx: &mut Tx) -> Result<(), StateError> {
        let Some((target, batches)) = self.batches else { return Ok(()) };
        names::remember(tx, target, names::BATCHES, batches).await
    }
}

impl State {
    /// What is to be exported to a target, behind a place: at most `limit`, and fewer of objects that are large, as
    /// those with photos; none behind the last one.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn pending_exports(
        &self,
        target: ConnectorId,
        after: Place,
        limit: u32,
    ) -> Result<Vec<Export>, StateError> {
        let mut database = self.database.read().await?;
        let sizes: Vec<i64> = sqlx::query_scalar(
            "SELECT coalesce(length(confirmed), 0) + coalesce(length(pending), 0)
             FROM target_object WHERE connector = ?1 AND stage IS NOT NULL
                 AND (stage, key) > (?2, ?3) ORDER BY stage, key LIMIT ?4",
        )
        .bind(target.0)
        .bind(after.stage)
        .bind(after.key)
        .bind(limit)
        .fetch_all(&mut *database)
        .await?;
        let rows = sqlx::query(
            "SELECT key, stage, connector, metaverse, kind, anchor, confirmed, pending, attempts
             FROM target_object WHERE connector = ?1 AND stage IS NOT NULL
                 AND (stage, key) > (?2, ?3) ORDER BY stage, key LIMIT ?4",
        )
        .bind(target.0)
        .bind(after.stage)
        .bind(after.key)
        .bind(within(&sizes))
        .fetch_all(&mut *database)
        .await?;
        rows.iter().map(export).collect()
    }

    /// Keeps that a target has done what was to be done, and what it refused, which is tried again in the
    /// next run. What was decided anew in the meantime is still to be done.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn acknowledge(
        &self,
        exports: &[Export],
        refusals: &[Refusal],
        answer: Answer<'_>,
    ) -> Result<(), StateError> {
        let mut tx = self.database.write().await?;
        let is_deletion = |export: &&Export| export.pending == PendingExport::Delete;
        let deleted: Vec<_> = exports.iter().filter(is_deletion).map(|one| one.key.0).collect();
        depart(&mut tx, &deleted, Departure::Deleted, answer.at).await?;
        let read = dependence::read_of(&mut tx).await?;
        for export in exports {
            let (PendingExport::Add(record) | PendingExport::Update(record)) = &export.pending
            else {
                continue;
            };
            written(&mut tx, export, record).await?;
            if read.contains(&export.connector) {
                dependence::confirmed(&mut tx, export.key.0).await?;
            }
        }
        for refusal in refusals {
            sqlx::query(
                "UPDATE target_object SET attempts = attempts + 1, code = ?, error = ? WHERE key = ?",
            )
            .bind(&refusal.code)
            .bind(&refusal.text)
            .bind(refusal.key.0)
            .execute(&mut *tx)
            .await?;
        }
        answer.remember(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// Marks for deletion what a target has and no metaverse object has claimed, once all objects were
    /// synchronised. What several objects claim is one of theirs, and stays until it is known whose. Gives how
    /// many.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn delete_unclaimed(&self, target: ConnectorId) -> Result<u64, StateError> {
        let mut tx = self.database.write().await?;
        let marked = sqlx::query(
            "UPDATE target_object SET stage = 0, pending = NULL
             WHERE connector = ? AND metaverse < 0 AND confirmed IS NOT NULL AND stage IS NOT 0
                 AND NOT EXISTS (SELECT 1 FROM link CROSS JOIN object_error e
                     ON e.key = iif(e.subject = 0, link.key, link.metaverse)
                     WHERE link.anchor = target_object.anchor AND link.metaverse IS NOT NULL
                         AND e.code = 'anchor-changed')
                 AND (NOT EXISTS (SELECT 1 FROM object_error e
                         WHERE e.anchor = target_object.anchor)
                     OR EXISTS (SELECT 1 FROM link WHERE link.anchor = target_object.anchor))",
        )
        .bind(target.0)
        .execute(&mut *tx)
        .await?
        .rows_affected();
        tx.commit().await?;
        Ok(marked)
    }
}

/// How many of the first come to no more than [`OCTETS_AT_ONCE`] together; one at least.
fn within(sizes: &[i64]) -> i64 {
    let mut sum = 0;
    let fits = |size: &&i64| {
        sum += **size;
        sum <= OCTETS_AT_ONCE
    };
    let count = sizes.iter().take_while(fits).count().max(1);
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn export(row: &sqlx::sqlite::SqliteRow) -> Result<Export, StateError> {
    let anchor: &str = row.try_get("anchor")?;
    let (key, stage): (i64, i64) = (row.try_get("key")?, row.try_get("stage")?);
    let confirmed = packed::confirmed(anchor.as_bytes(), row.try_get("confirmed")?)?;
    let is_there = confirmed.is_some();
    let sealed = row.try_get("pending")?;
    let pending = packed::pending(anchor.as_bytes(), Some(stage), is_there, sealed)?;
    let attempts: i64 = row.try_get("attempts")?;
    Ok(Export {
        key: TargetKey(key),
        place: Place { stage, key },
        connector: names::connector(row.try_get("connector")?)?,
        metaverse: MetaverseKey(row.try_get("metaverse")?),
        kind: TenantKind::of_code(row.try_get("kind")?)?,
        anchor: rows::anchor(anchor)?,
        confirmed,
        pending: pending.ok_or(StateError::corrupt("what is to be exported"))?,
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
    })
}

/// A target has an object with these attributes.
async fn written(tx: &mut Tx, export: &Export, record: &Record) -> Result<(), StateError> {
    let sealed = packed::seal_record(&[export.anchor.as_str().as_bytes()], record);
    sqlx::query(
        "UPDATE target_object SET confirmed = ?2, attempts = 0, code = NULL, error = NULL,
             stage = CASE WHEN pending = ?2 THEN NULL ELSE stage END,
             pending = CASE WHEN pending = ?2 THEN NULL ELSE pending END
         WHERE key = ?1",
    )
    .bind(export.key.0)
    .bind(sealed)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_objects_are_read_a_few_at_once_and_one_at_least() {
        let check = |sizes: &[i64], expected: i64| assert_eq!(within(sizes), expected);
        check(&[], 1);
        check(&[OCTETS_AT_ONCE + 1, 1], 1);
        check(&[OCTETS_AT_ONCE - 1, 1, 1], 2);
        check(&[1, 2, 3], 3);
    }
}
