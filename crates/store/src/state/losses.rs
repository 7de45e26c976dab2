//! What targets lost lately, are to lose now, and what of it somebody let through. What is too much is
//! decided elsewhere: `portolan_sync::guard`.
//!
//! A loss is counted in the transaction that keeps that it happened, at the time at which that became known: of
//! objects in the one place by which they leave ([`departures`](super::departures)).

use portolan_sync::engine::ConnectorId;
use portolan_sync::guard::{Loss, Toll, is_always_let_through};
use portolan_sync::{AttributeId, TenantKind};
use sqlx::Row as _;
use time::OffsetDateTime;

use super::codes::Code as _;
use super::rows::{self, Tx, numbers};
use super::{State, StateError, packed};

/// The sort of references that are removed.
const REFERENCES: i64 = 10;
/// The sort of one group's members.
const MEMBERS: i64 = 11;
/// The sort of references that were added to what lost some lately.
const REGAINED: i64 = 12;
/// Seconds that are counted together.
const GRAIN: i64 = 60;
/// Groups that are named at once.
const GROUPS_MAX: u32 = 1_000;
/// For how long losses are kept.
const KEPT_SECONDS: i64 = 32 * 24 * 60 * 60;

/// What somebody let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Of what.
    pub loss: Loss,
    /// How many, above what goes without a word.
    pub count: u64,
    /// When.
    pub at: OffsetDateTime,
    /// Until when they may be lost.
    pub until: OffsetDateTime,
}

impl State {
    /// The losses of a target, of every sort of which something is to be lost: those since a moment, and
    /// those to come. Of references, of all together, and of each group that may lose many. `name` is the
    /// attribute by which a group is called.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn tolls(
        &self,
        target: ConnectorId,
        since: OffsetDateTime,
        now: OffsetDateTime,
        name: Option<AttributeId>,
    ) -> Result<Vec<Toll>, StateError> {
        let mut tolls = self.tolls_of_objects(target).await?;
        tolls.extend(self.tolls_of_references(target, since, name).await?);
        for toll in &mut tolls {
            if toll.wanted > 0 && !matches!(toll.loss, Loss::Members(_)) {
                toll.lost = self.lost(target, &toll.loss, since).await?;
            }
        }
        tolls.retain(|toll| toll.wanted > 0);
        for toll in &mut tolls {
            if is_always_let_through(&toll.loss, toll.lost.saturating_add(toll.wanted)) {
                continue;
            }
            toll.released = self.released(target, &toll.loss, since, now).await?;
            if toll.loss == Loss::References {
                toll.there = self.acknowledged_references(target).await?;
            }
        }
        Ok(tolls)
    }

    /// Lets losses through, above what goes without a word.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn release(&self, target: ConnectorId, release: &Release) -> Result<(), StateError> {
        let (sort, anchor) = place(&release.loss);
        let mut tx = self.database.write().await?;
        sqlx::query(
            "INSERT INTO release (connector, sort, anchor, at, until, lost) VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET until = excluded.until, lost = excluded.lost",
        )
        .bind(target.0)
        .bind(sort)
        .bind(anchor)
        .bind(release.at.unix_timestamp())
        .bind(release.until.unix_timestamp())
        .bind(i64::try_from(release.count).unwrap_or(i64::MAX))
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    async fn tolls_of_objects(&self, target: ConnectorId) -> Result<Vec<Toll>, StateError> {
        let rows = sqlx::query(
            "SELECT kind, coalesce(sum(there) FILTER (WHERE what = 1), 0) AS exported,
                 coalesce(sum(there) FILTER (WHERE what = 2), 0) AS deleted
             FROM counter WHERE what IN (1, 2) AND connector = ? GROUP BY kind",
        )
        .bind(target.0)
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter()
            .map(|row| {
                let loss = Loss::Objects(TenantKind::of_code(row.try_get("kind")?)?);
                Ok(toll(loss, row.try_get("exported")?, row.try_get("deleted")?))
            })
            .collect()
    }

    async fn tolls_of_references(
        &self,
        target: ConnectorId,
        since: OffsetDateTime,
        name: Option<AttributeId>,
    ) -> Result<Vec<Toll>, StateError> {
        let mut tx = self.database.read().await?;
        let rows = sqlx::query(
            "SELECT p.source, count(*) AS wanted, g.kind, g.anchor,
                 (SELECT max(0, coalesce(sum(iif(sort = ?2, lost, -lost)), 0))
                     FROM loss WHERE loss.connector = ?1 AND sort IN (?2, ?4)
                         AND loss.anchor = g.anchor AND at > ?3) AS lost
             FROM pending_reference p CROSS JOIN target_object g ON g.key = p.source
             WHERE p.added = 0 AND g.connector = ?1 GROUP BY p.source",
        )
        .bind(target.0)
        .bind(REFERENCES)
        .bind(since.unix_timestamp())
        .bind(REGAINED)
        .fetch_all(&mut *tx)
        .await?;
        let mut all = toll(Loss::References, 0, 0);
        let mut tolls = Vec::new();
        for row in &rows {
            let wanted: i64 = row.try_get("wanted")?;
            all.wanted = all.wanted.saturating_add(wanted.unsigned_abs());
            let kind = TenantKind::of_code(row.try_get("kind")?)?;
            let mut one = toll(Loss::Members(rows::anchor(row.try_get("anchor")?)?), 0, wanted);
            one.lost = row.try_get::<i64, _>("lost")?.unsigned_abs();
            let is_little = is_always_let_through(&one.loss, one.lost.saturating_add(one.wanted));
            if kind != TenantKind::Group || is_little || tolls.len() >= GROUPS_MAX as usize {
                continue;
            }
            let source: i64 = row.try_get("source")?;
            let group = sqlx::query(
                "SELECT confirmed, (SELECT count(*) FROM target_reference WHERE source = ?1) AS there
                 FROM target_object WHERE key = ?1",
            )
            .bind(source)
            .fetch_one(&mut *tx)
            .await?;
            one.there = group.try_get::<i64, _>("there")?.unsigned_abs();
            if let Loss::Members(anchor) = &one.loss {
                let of = anchor.as_str().as_bytes();
                let record = packed::confirmed(of, group.try_get("confirmed")?)?;
                let named = record.as_ref().zip(name).and_then(|(record, name)| record.first(name));
                one.name = named.and_then(|value| value.as_text().map(str::to_owned));
            }
            tolls.push(one);
        }
        tolls.push(all);
        Ok(tolls)
    }

    async fn lost(
        &self,
        target: ConnectorId,
        loss: &Loss,
        since: OffsetDateTime,
    ) -> Result<u64, StateError> {
        let lost: i64 = sqlx::query_scalar(
            "SELECT coalesce(sum(lost), 0) FROM loss WHERE connector = ? AND sort = ? AND at > ?",
        )
        .bind(target.0)
        .bind(place(loss).0)
        .bind(since.unix_timestamp())
        .fetch_one(&mut *self.database.read().await?)
        .await?;
        Ok(lost.unsigned_abs())
    }

    async fn released(
        &self,
        target: ConnectorId,
        loss: &Loss,
        since: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<u64, StateError> {
        let (sort, anchor) = place(loss);
        // What a group lost is counted among the references.
        let released: i64 = sqlx::query_scalar(
            "SELECT coalesce(sum(iif(until >= ?5, r.lost, min(r.lost, (SELECT coalesce(sum(l.lost), 0)
                 FROM loss l WHERE l.connector = ?1 AND l.sort = min(?2, ?6)
                     AND (?3 = '' OR l.anchor = ?3) AND l.at BETWEEN r.at - ?7 AND r.until)))), 0)
             FROM release r WHERE connector = ?1 AND sort = ?2 AND anchor = ?3 AND at > ?4",
        )
        .bind(target.0)
        .bind(sort)
        .bind(anchor)
        .bind(since.unix_timestamp())
        .bind(now.unix_timestamp())
        .bind(REFERENCES)
        .bind(GRAIN)
        .fetch_one(&mut *self.database.read().await?)
        .await?;
        Ok(released.unsigned_abs())
    }

    async fn acknowledged_references(&self, target: ConnectorId) -> Result<u64, StateError> {
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM target_reference r CROSS JOIN target_object g ON g.key = r.source
             WHERE g.connector = ?",
        )
        .bind(target.0)
        .fetch_one(&mut *self.database.read().await?)
        .await?;
        Ok(count.unsigned_abs())
    }
}

/// Counts objects of a target (numbers as JSON) that it has no more, before they are forgotten: `all` that were
/// there, or those that were to be deleted.
pub(super) async fn count_deleted(
    tx: &mut Tx,
    keys: &str,
    all: bool,
    at: OffsetDateTime,
) -> Result<(), StateError> {
    forget_old(tx, at).await?;
    sqlx::query(
        "INSERT INTO loss (connector, sort, anchor, at, lost)
         SELECT connector, kind, '', ?2, count(*) FROM target_object
         WHERE key IN (SELECT value FROM json_each(?1)) AND (?3 OR stage = 0)
             AND confirmed IS NOT NULL
         GROUP BY connector, kind
         ON CONFLICT DO UPDATE SET lost = lost + excluded.lost",
    )
    .bind(keys)
    .bind(grain(at))
    .bind(all)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Counts references that a target removed, by the objects that referred, one for each.
pub(super) async fn count_removed(
    tx: &mut Tx,
    sources: impl IntoIterator<Item = i64>,
    at: OffsetDateTime,
) -> Result<(), StateError> {
    forget_old(tx, at).await?;
    sqlx::query(
        "INSERT INTO loss (connector, sort, anchor, at, lost)
         SELECT t.connector, ?3, t.anchor, ?2, count(*) FROM json_each(?1)
             CROSS JOIN target_object t ON t.key = value
         WHERE true GROUP BY t.key
         ON CONFLICT DO UPDATE SET lost = lost + excluded.lost",
    )
    .bind(numbers(sources))
    .bind(grain(at))
    .bind(REFERENCES)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Counts references that a target added, likewise, of those objects that lost some: who goes and comes back is
/// no loss of a group's.
pub(super) async fn count_added(
    tx: &mut Tx,
    sources: impl IntoIterator<Item = i64>,
    at: OffsetDateTime,
) -> Result<(), StateError> {
    sqlx::query(
        "INSERT INTO loss (connector, sort, anchor, at, lost)
         SELECT t.connector, ?3, t.anchor, ?2, count(*) FROM json_each(?1)
             CROSS JOIN target_object t ON t.key = value
         WHERE EXISTS (SELECT 1 FROM loss l
             WHERE l.connector = t.connector AND l.sort = ?4 AND l.anchor = t.anchor)
         GROUP BY t.key
         ON CONFLICT DO UPDATE SET lost = lost + excluded.lost",
    )
    .bind(numbers(sources))
    .bind(grain(at))
    .bind(REGAINED)
    .bind(REFERENCES)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The moment by which losses are counted together.
fn grain(at: OffsetDateTime) -> i64 {
    at.unix_timestamp().div_euclid(GRAIN) * GRAIN
}

async fn forget_old(tx: &mut Tx, at: OffsetDateTime) -> Result<(), StateError> {
    for statement in ["DELETE FROM loss WHERE at < ?", "DELETE FROM release WHERE at < ?"] {
        sqlx::query(statement).bind(at.unix_timestamp() - KEPT_SECONDS).execute(&mut **tx).await?;
    }
    Ok(())
}

/// By which sort and anchor a loss is kept.
fn place(loss: &Loss) -> (i64, &str) {
    match loss {
        Loss::Objects(kind) => (kind.code(), ""),
        Loss::References => (REFERENCES, ""),
        Loss::Members(group) => (MEMBERS, group.as_str()),
    }
}

const fn toll(loss: Loss, there: i64, wanted: i64) -> Toll {
    let (there, wanted) = (there.unsigned_abs(), wanted.unsigned_abs());
    Toll { loss, name: None, there, lost: 0, wanted, released: 0 }
}

#[cfg(test)]
mod tests;
