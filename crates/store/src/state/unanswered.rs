//! What was sent to a target and never answered: nobody knows whether it was done.
//!
//! As long as the same is still to be done, it is sent again, and nothing is lost. Once it is taken back, the
//! target may have done it all the same: then the opposite is to be done, which is no error where there is
//! nothing to undo.

use portolan_model::SourceAnchor;
use portolan_sync::TenantKind;
use portolan_sync::engine::{ConnectorId, PendingExport};
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use time::OffsetDateTime;

use super::codes::{Code as _, DELETION, turn};
use super::departures::{Departure, depart};
use super::rows::{Tx, texts};
use super::{Export, ReferenceExport, State, StateError, losses};

/// What was sent and not answered. It is kept beside the names of the batches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unanswered {
    /// The anchors of objects that are made or deleted, their kinds as they are stored, and whether they are
    /// made.
    objects: Vec<(String, i64, bool)>,
    /// References that come or go: source, attribute, target, and whether they come.
    references: Vec<(i64, i64, i64, bool)>,
    /// The anchors of objects that are written over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    written: Vec<String>,
}

impl Unanswered {
    /// Objects that are about to be sent.
    #[must_use]
    pub fn objects(sent: &[Export]) -> Self {
        let mut unknown = Self::default();
        for one in sent {
            let anchor = one.anchor.to_string();
            match one.pending {
                PendingExport::Add(_) => unknown.objects.push((anchor, one.kind.code(), true)),
                PendingExport::Delete => unknown.objects.push((anchor, one.kind.code(), false)),
                PendingExport::Update(_) => unknown.written.push(anchor),
            }
        }
        unknown
    }

    /// Objects that are about to be written over or deleted one by one, so that of each it is open whether it was.
    #[must_use]
    pub fn written<'a>(sent: impl Iterator<Item = &'a Export>) -> Self {
        let written = sent.map(|one| one.anchor.to_string()).collect();
        Self { written, ..Self::default() }
    }

    /// References that are about to be sent.
    pub fn references<'a>(sent: impl Iterator<Item = &'a ReferenceExport>) -> Self {
        let row = |one: &ReferenceExport| {
            let (source, attribute, target) = one.place.numbers();
            (source, attribute, target, one.is_added)
        };
        Self { references: sent.map(row).collect(), ..Self::default() }
    }

    /// The anchors of objects that were to be made or written over.
    pub fn put(&self) -> impl Iterator<Item = &str> {
        let made = self.objects.iter().filter(|(_, _, is_made)| *is_made);
        let made = made.map(|(anchor, ..)| anchor.as_str());
        made.chain(self.written.iter().map(String::as_str))
    }

    /// Whether there is nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.references.is_empty() && self.written.is_empty()
    }

    /// This and that.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.objects.extend(other.objects.iter().cloned());
        both.references.extend(&other.references);
        both.objects.sort_unstable();
        both.objects.dedup();
        both.references.sort_unstable();
        both.references.dedup();
        both.written.extend(other.written.iter().cloned());
        both.written.sort_unstable();
        both.written.dedup();
        both
    }

    /// This without that.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        if self.is_empty() {
            return Self::default();
        }
        let mut rest = self.clone();
        let objects: std::collections::BTreeSet<_> = other.objects.iter().collect();
        let references: std::collections::BTreeSet<_> = other.references.iter().collect();
        rest.objects.retain(|one| !objects.contains(one));
        rest.references.retain(|one| !references.contains(one));
        let written: std::collections::BTreeSet<_> = other.written.iter().collect();
        rest.written.retain(|one| !written.contains(one));
        rest
    }
}

impl State {
    /// Lets the opposite be done of what was not answered and was taken back since. Gives what is still to
    /// be done, and so not known yet. What was deleted counts as lost from `now` on.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn settle_unanswered(
        &self,
        target: ConnectorId,
        unanswered: &Unanswered,
        now: OffsetDateTime,
    ) -> Result<Unanswered, StateError> {
        let mut open = Unanswered::default();
        let mut tx = self.database.write().await?;
        let deleted = unanswered.objects.iter().filter(|(_, _, is_made)| !is_made);
        let deleted = deleted.map(|(anchor, ..)| anchor.as_str());
        let deleted = keys_of_target(&mut tx, target, deleted).await?;
        // One that is to be there by now is made again.
        depart(&mut tx, &deleted, Departure::Deleted, now).await?;
        for (anchor, kind, is_made) in &unanswered.objects {
            if *is_made && made(&mut tx, target, anchor, *kind).await? {
                open.objects.push((anchor.clone(), *kind, *is_made));
            }
        }
        for one in &unanswered.references {
            if reference(&mut tx, *one, now).await? {
                open.references.push(*one);
            }
        }
        for anchor in &unanswered.written {
            if write_again(&mut tx, target, anchor).await? {
                open.written.push(anchor.clone());
            }
        }
        tx.commit().await?;
        Ok(open)
    }
}

/// Writes an object again that may have been written over, and is to be by now as it was acknowledged. Whether it is
/// there, and so not known before it is answered.
async fn write_again(tx: &mut Tx, target: ConnectorId, anchor: &str) -> Result<bool, StateError> {
    let row = sqlx::query(
        "SELECT key, kind FROM target_object WHERE connector = ? AND anchor = ?
             AND length(confirmed) > 0 AND stage IS NOT ?",
    )
    .bind(target.0)
    .bind(anchor)
    .bind(DELETION)
    .fetch_optional(&mut **tx)
    .await?;
    let Some(row) = row else { return Ok(false) };
    sqlx::query(
        "UPDATE target_object SET pending = confirmed, stage = ? WHERE key = ? AND stage IS NULL",
    )
    .bind(turn(TenantKind::of_code(row.try_get("kind")?)?))
    .bind(row.try_get::<i64, _>("key")?)
    .execute(&mut **tx)
    .await?;
    Ok(true)
}

/// Deletes a new object that is not to be any more. Whether it is still to be made.
pub(super) async fn made(
    tx: &mut Tx,
    target: ConnectorId,
    anchor: &str,
    kind: i64,
) -> Result<bool, StateError> {
    let _: SourceAnchor = super::rows::anchor(anchor)?;
    let kind = TenantKind::of_code(kind)?;
    let row = sqlx::query(
        "SELECT confirmed IS NULL AS is_open FROM target_object WHERE connector = ? AND anchor = ?",
    )
    .bind(target.0)
    .bind(anchor)
    .fetch_optional(&mut **tx)
    .await?;
    if let Some(row) = row {
        return Ok(row.try_get("is_open")?);
    }
    // Nothing is known of it but that it may be there. What only waits for its anchor to be corrected stays.
    sqlx::query(
        "INSERT INTO target_object (key, connector, metaverse, kind, anchor, confirmed, stage)
         SELECT coalesce(max(key), 0) + 1, ?1, -(coalesce(max(key), 0) + 1), ?2, ?3, x'',
             iif(EXISTS (SELECT 1 FROM link CROSS JOIN object_error e
                 ON e.key = iif(e.subject = 0, link.key, link.metaverse)
                 WHERE link.anchor = ?3 AND link.metaverse IS NOT NULL
                     AND e.code = 'anchor-changed'), NULL, ?4)
         FROM target_object",
    )
    .bind(target.0)
    .bind(kind.code())
    .bind(anchor)
    .bind(DELETION)
    .execute(&mut **tx)
    .await?;
    Ok(false)
}

/// The keys of those of a target's objects that have these anchors.
async fn keys_of_target<'a>(
    tx: &mut Tx,
    target: ConnectorId,
    anchors: impl Iterator<Item = &'a str>,
) -> Result<Vec<i64>, StateError> {
    let keys = sqlx::query_scalar(
        "SELECT t.key FROM json_each(?2) CROSS JOIN target_object t
             ON t.connector = ?1 AND t.anchor = value",
    );
    Ok(keys.bind(target.0).bind(texts(anchors)).fetch_all(&mut **tx).await?)
}

/// Takes a reference back that is not to be changed any more. Whether it is still to be.
async fn reference(
    tx: &mut Tx,
    (source, attribute, target, is_added): (i64, i64, i64, bool),
    now: OffsetDateTime,
) -> Result<bool, StateError> {
    let row = sqlx::query(
        "SELECT EXISTS (SELECT 1 FROM pending_reference
                 WHERE source = ?1 AND attribute = ?2 AND target = ?3 AND added = ?4) AS is_open,
             EXISTS (SELECT 1 FROM target_reference
                 WHERE source = ?1 AND attribute = ?2 AND target = ?3) AS is_there,
             (SELECT count(*) FROM target_object WHERE key IN (?1, ?3) AND stage IS NOT ?5)
                 = iif(?1 = ?3, 1, 2) AS are_there",
    )
    .bind(source)
    .bind(attribute)
    .bind(target)
    .bind(is_added)
    .bind(DELETION)
    .fetch_one(&mut **tx)
    .await?;
    if row.try_get("is_open")? {
        return Ok(true);
    }
    // What is acknowledged is known; and references go with the object that they are of.
    if row.try_get::<bool, _>("is_there")? == is_added || !row.try_get::<bool, _>("are_there")? {
        return Ok(false);
    }
    if !is_added {
        losses::count_removed(tx, [source], now).await?;
    }
    let known = if is_added {
        "INSERT INTO target_reference (source, attribute, target) VALUES (?1, ?2, ?3)"
    } else {
        "DELETE FROM target_reference WHERE source = ?1 AND attribute = ?2 AND target = ?3"
    };
    let undo = "REPLACE INTO pending_reference (source, attribute, target, added)
                VALUES (?1, ?2, ?3, ?4)";
    for statement in [known, undo] {
        sqlx::query(statement)
            .bind(source)
            .bind(attribute)
            .bind(target)
            .bind(!is_added)
            .execute(&mut **tx)
            .await?;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use portolan_sync::ObjectKind;

    use super::super::tests::{TARGET, export, import, object, record, state, synchronise};
    use super::super::{Answer, Place};
    use super::*;

    async fn pending(state: &State) -> Vec<Export> {
        state.pending_exports(TARGET, Place::default(), 10).await.unwrap()
    }

    #[tokio::test]
    async fn what_was_written_over_without_an_answer_and_is_as_before_is_written_once_more() {
        let directory = tempfile::tempdir().unwrap();
        let state = state(directory.path()).await;
        let ann = |name| object(1, ObjectKind::User, name, &[]);
        import(&state, &[ann("ann")]).await;
        synchronise(&state).await;
        export(&state).await;

        import(&state, &[ann("anna")]).await;
        synchronise(&state).await;
        let sent = Unanswered::objects(&pending(&state).await);
        assert_eq!(sent.put().count(), 1);
        // It is still wished: nothing but that is to be done.
        assert_eq!(
            state.settle_unanswered(TARGET, &sent, OffsetDateTime::UNIX_EPOCH).await.unwrap(),
            sent
        );
        let [wished] = pending(&state).await.try_into().unwrap();
        assert_eq!(wished.pending, PendingExport::Update(record("anna")));

        import(&state, &[ann("ann")]).await;
        synchronise(&state).await;
        assert_eq!(pending(&state).await, []);
        assert_eq!(
            state.settle_unanswered(TARGET, &sent, OffsetDateTime::UNIX_EPOCH).await.unwrap(),
            sent
        );
        let again = pending(&state).await;
        assert_eq!(again[0].pending, PendingExport::Update(record("ann")));
        let now = Answer::at(OffsetDateTime::UNIX_EPOCH);
        state.acknowledge(&again, &[], now).await.unwrap();
        assert_eq!(pending(&state).await, []);
        let answered = sent.without(&Unanswered::objects(&again));
        assert!(answered.is_empty());

        // What is gone is not written.
        import(&state, &[]).await;
        synchronise(&state).await;
        assert!(
            state
                .settle_unanswered(TARGET, &sent, OffsetDateTime::UNIX_EPOCH)
                .await
                .unwrap()
                .is_empty()
        );
        assert_eq!(pending(&state).await[0].pending, PendingExport::Delete);
    }
}
