//! The ids that a target gives its objects itself, by their anchors.
//!
//! One that was sent and whose answer did not come is in doubt: it may be there. Should it not be wished
//! for any more before that is known, the doubt outlives it, so that nothing is left at the target.

use portolan_model::{Guid, SourceAnchor};
use portolan_sync::TenantKind;
use portolan_sync::engine::ConnectorId;
use sqlx::Row as _;
use time::OffsetDateTime;

use super::codes::Code as _;
use super::departures::{Departure, depart};
use super::rows::{self, numbers, texts};
use super::unanswered::made;
use super::{State, StateError, TargetKey};

/// An object that a target refused to take as it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedObject {
    /// What it is.
    pub kind: TenantKind,
    /// What identifies it.
    pub anchor: SourceAnchor,
    /// Its name in a forest, if it has one there.
    pub dn: Option<String>,
    /// What kind of refusal.
    pub code: String,
    /// What the target says.
    pub text: String,
}

impl State {
    /// The ids of those of a target's objects that are known.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn identities(
        &self,
        target: ConnectorId,
        anchors: &[SourceAnchor],
    ) -> Result<Vec<(SourceAnchor, Guid)>, StateError> {
        let rows = sqlx::query(
            "SELECT t.anchor, i.id FROM json_each(?2)
                 CROSS JOIN target_object t ON t.connector = ?1 AND t.anchor = value
                 CROSS JOIN target_identity i ON i.key = t.key
             WHERE i.id IS NOT NULL",
        )
        .bind(target.0)
        .bind(texts(anchors.iter().map(SourceAnchor::as_str)))
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter()
            .map(|row| Ok((rows::anchor(row.try_get("anchor")?)?, rows::guid(row.try_get("id")?)?)))
            .collect()
    }

    /// Keeps that objects are about to be sent of which no id is known.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn doubt(&self, keys: &[TargetKey]) -> Result<(), StateError> {
        let mut tx = self.database.write().await?;
        sqlx::query(
            "INSERT OR IGNORE INTO target_identity (key) SELECT value FROM json_each(?)
             WHERE EXISTS (SELECT 1 FROM target_object WHERE target_object.key = value)",
        )
        .bind(numbers(keys.iter().map(|key| key.0)))
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// Keeps that objects are not at a target, whatever was sent.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn clear_doubt(&self, keys: &[TargetKey]) -> Result<(), StateError> {
        let mut tx = self.database.write().await?;
        sqlx::query(
            "DELETE FROM target_identity WHERE id IS NULL AND key IN (SELECT value FROM json_each(?))",
        )
        .bind(numbers(keys.iter().map(|key| key.0)))
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// Objects that are wished for, were sent, and of which no answer came, behind a key.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn in_doubt(
        &self,
        target: ConnectorId,
        after: TargetKey,
        limit: u32,
    ) -> Result<Vec<(TargetKey, SourceAnchor, TenantKind)>, StateError> {
        let rows = sqlx::query(
            "SELECT t.key, t.anchor, t.kind FROM target_identity i INDEXED BY target_in_doubt
                 CROSS JOIN target_object t ON t.key = i.key
             WHERE i.id IS NULL AND i.key > ? AND t.connector = ? ORDER BY i.key LIMIT ?",
        )
        .bind(after.0)
        .bind(target.0)
        .bind(limit)
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter()
            .map(|row| {
                let kind = TenantKind::of_code(row.try_get("kind")?)?;
                let key = TargetKey(row.try_get("key")?);
                Ok((key, rows::anchor(row.try_get("anchor")?)?, kind))
            })
            .collect()
    }

    /// Keeps the ids of a target's objects; those of anchors that are none of its objects' are not kept.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn identify(
        &self,
        target: ConnectorId,
        ids: &[(SourceAnchor, Guid)],
    ) -> Result<(), StateError> {
        let mut tx = self.database.write().await?;
        for (anchor, id) in ids {
            sqlx::query(
                "INSERT INTO target_identity (key, id)
                 SELECT key, ?3 FROM target_object WHERE connector = ?1 AND anchor = ?2
                 ON CONFLICT (key) DO UPDATE SET id = excluded.id",
            )
            .bind(target.0)
            .bind(anchor.as_str())
            .bind(id.to_bytes_le().as_slice())
            .execute(&mut *tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }

    /// Lets objects be deleted that were sent, whose answer did not come, and that are not wished for any more:
    /// whether they are there is found out when they are. One that is wished for again is in doubt as before.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn settle_doubts(&self, target: ConnectorId) -> Result<(), StateError> {
        let mut tx = self.database.write().await?;
        let rows =
            sqlx::query("DELETE FROM target_doubt WHERE connector = ? RETURNING anchor, kind")
                .bind(target.0)
                .fetch_all(&mut *tx)
                .await?;
        for row in rows {
            let (anchor, kind): (String, i64) = (row.try_get("anchor")?, row.try_get("kind")?);
            if !made(&mut tx, target, &anchor, kind).await? {
                continue;
            }
            sqlx::query(
                "INSERT OR IGNORE INTO target_identity (key)
                 SELECT key FROM target_object WHERE connector = ? AND anchor = ?",
            )
            .bind(target.0)
            .bind(&anchor)
            .execute(&mut *tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }

    /// Keeps that a target does not have objects any more that it acknowledged, although nobody here
    /// wished for that: they are made anew, with all that refers to them. What was to be deleted by then counts
    /// as lost `now`.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn vanished(
        &self,
        keys: &[TargetKey],
        now: OffsetDateTime,
    ) -> Result<(), StateError> {
        let keys: Vec<_> = keys.iter().map(|key| key.0).collect();
        let mut tx = self.database.write().await?;
        depart(&mut tx, &keys, Departure::Missing, now).await?;
        Ok(tx.commit().await?)
    }

    /// Objects that a target refused, at most `limit`; those of one code are passed over.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn refused_objects(
        &self,
        target: ConnectorId,
        passed_over: &str,
        limit: u32,
    ) -> Result<Vec<RefusedObject>, StateError> {
        let rows = sqlx::query(
            "SELECT t.kind, t.anchor, t.code, t.error, (SELECT s.dn FROM link l
                 CROSS JOIN staged s ON s.key = l.key
                 WHERE l.metaverse = t.metaverse ORDER BY l.key LIMIT 1) AS dn
             FROM target_object t INDEXED BY target_refused
             WHERE t.connector = ?1 AND t.code IS NOT NULL AND t.code <> ?2
             ORDER BY t.kind, t.code, t.key LIMIT ?3",
        )
        .bind(target.0)
        .bind(passed_over)
        .bind(limit)
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(RefusedObject {
                    kind: TenantKind::of_code(row.try_get("kind")?)?,
                    anchor: rows::anchor(row.try_get("anchor")?)?,
                    dn: row.try_get("dn")?,
                    code: row.try_get("code")?,
                    text: row.try_get::<Option<String>, _>("error")?.unwrap_or_default(),
                })
            })
            .collect()
    }

    /// How many exports a target refused, by the kind of object and of refusal.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn refused_counts(
        &self,
        target: ConnectorId,
    ) -> Result<Vec<(TenantKind, String, u64)>, StateError> {
        let rows = sqlx::query(
            "SELECT kind, code, count(*) AS refused FROM target_object INDEXED BY target_refused
             WHERE connector = ? AND code IS NOT NULL GROUP BY kind, code ORDER BY kind, code",
        )
        .bind(target.0)
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter()
            .map(|row| {
                let count: i64 = row.try_get("refused")?;
                let kind = TenantKind::of_code(row.try_get("kind")?)?;
                Ok((kind, row.try_get("code")?, count.unsigned_abs()))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use portolan_sync::ObjectKind;
    use portolan_sync::guard::Loss;

    use super::super::tests::{TARGET, export, guid, import, now, object, state, synchronise};
    use super::super::{Export, Place};
    use super::*;

    const USER: ObjectKind = ObjectKind::User;

    async fn pending(state: &State) -> Vec<Export> {
        state.pending_exports(TARGET, Place::default(), 10).await.unwrap()
    }

    fn anchor(number: u8) -> SourceAnchor {
        SourceAnchor::from(guid(number))
    }

    #[tokio::test]
    async fn an_id_is_kept_as_long_as_its_object_is_at_the_target() {
        let directory = tempfile::tempdir().unwrap();
        let state = state(directory.path()).await;
        let forest = [object(0x21, USER, "Zoë", &[]), object(0x22, USER, "Bob", &[])];
        import(&state, &forest).await;
        synchronise(&state).await;
        let both = [anchor(0x21), anchor(0x22)];
        let keys: Vec<_> = pending(&state).await.iter().map(|export| export.key).collect();
        state.doubt(&keys).await.unwrap();
        assert_eq!(state.identities(TARGET, &both).await.unwrap(), [], "one in doubt has none");
        let doubtful = state.in_doubt(TARGET, TargetKey::default(), 10).await.unwrap();
        assert_eq!(doubtful.len(), 2);
        assert_eq!(state.in_doubt(TARGET, doubtful[0].0, 10).await.unwrap(), doubtful[1..]);
        let known = [(anchor(0x21), guid(1)), (anchor(0x22), guid(2)), (anchor(0x23), guid(3))];
        state.identify(TARGET, &known).await.unwrap();
        assert_eq!(state.in_doubt(TARGET, TargetKey::default(), 10).await.unwrap(), []);
        export(&state).await;
        assert_eq!(state.identities(TARGET, &both).await.unwrap(), known[..2]);
        import(&state, &forest[..1]).await;
        synchronise(&state).await;
        assert_eq!(export(&state).await, ["delete user 22"]);
        assert_eq!(state.identities(TARGET, &both).await.unwrap(), known[..1]);
        state.settle_doubts(TARGET).await.unwrap();
        assert_eq!(export(&state).await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn one_that_was_sent_and_is_wished_for_no_more_is_deleted_as_any_other_that_may_be_there()
    {
        let directory = tempfile::tempdir().unwrap();
        let state = state(directory.path()).await;
        let forest = [object(0x21, USER, "Zoë", &[]), object(0x22, USER, "Bob", &[])];
        import(&state, &forest).await;
        synchronise(&state).await;
        let keys: Vec<_> = pending(&state).await.iter().map(|export| export.key).collect();
        state.doubt(&keys).await.unwrap();
        state.clear_doubt(&keys[1..]).await.unwrap();
        // The answers do not come, and both leave the forest.
        import(&state, &[object(0x23, USER, "Eve", &[])]).await;
        synchronise(&state).await;
        state.settle_doubts(TARGET).await.unwrap();
        let (now, since) = (now(&state).await, OffsetDateTime::UNIX_EPOCH);
        let tolls = state.tolls(TARGET, since, now, None).await.unwrap();
        let wanted: Vec<_> = tolls.iter().map(|toll| (&toll.loss, toll.wanted)).collect();
        assert_eq!(wanted, [(&Loss::Objects(TenantKind::User), 1)], "the guard counts it");
        assert_eq!(export(&state).await, ["delete user 21", "add user 23"]);
        state.settle_doubts(TARGET).await.unwrap();
        assert_eq!(export(&state).await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn one_that_is_wished_for_again_is_in_doubt_as_before() {
        let directory = tempfile::tempdir().unwrap();
        let state = state(directory.path()).await;
        let forest = [object(0x21, USER, "Zoë", &[])];
        import(&state, &forest).await;
        synchronise(&state).await;
        let keys: Vec<_> = pending(&state).await.iter().map(|export| export.key).collect();
        state.doubt(&keys).await.unwrap();
        import(&state, &[object(0x23, USER, "Eve", &[])]).await;
        synchronise(&state).await;
        import(&state, &forest).await;
        synchronise(&state).await;
        state.settle_doubts(TARGET).await.unwrap();
        let doubtful = state.in_doubt(TARGET, TargetKey::default(), 10).await.unwrap();
        let anchors: Vec<_> = doubtful.into_iter().map(|(_, anchor, _)| anchor).collect();
        assert_eq!(anchors, [anchor(0x21)]);
        assert_eq!(export(&state).await, ["add user 21"]);
    }

    #[tokio::test]
    async fn what_was_refused_is_listed_with_its_name_in_the_forest_until_it_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let state = state(directory.path()).await;
        import(&state, &[object(0x21, USER, "Zoë", &[]), object(0x22, USER, "Bob", &[])]).await;
        synchronise(&state).await;
        let refusal = |export: &Export, code: &str| super::super::Refusal {
            key: export.key,
            code: code.to_owned(),
            text: "no".to_owned(),
        };
        let both = pending(&state).await;
        let refusals = [refusal(&both[0], "taken"), refusal(&both[1], "unable")];
        let answer = super::super::Answer { at: now(&state).await, batches: None };
        state.acknowledge(&[], &refusals, answer).await.unwrap();
        let listed = state.refused_objects(TARGET, "unable", 10).await.unwrap();
        let [one] = listed.as_slice() else { panic!("one, and not {listed:?}") };
        assert_eq!((one.code.as_str(), one.text.as_str()), ("taken", "no"));
        assert_eq!(one.anchor, both[0].anchor);
        assert!(one.dn.is_some(), "{one:?}");
        assert_eq!(state.refused_objects(TARGET, "", 1).await.unwrap().len(), 1, "a limit");
        export(&state).await;
        assert_eq!(state.refused_objects(TARGET, "", 10).await.unwrap(), []);
    }

    #[tokio::test]
    async fn what_vanished_at_the_target_is_made_anew_with_its_memberships() {
        let directory = tempfile::tempdir().unwrap();
        let state = state(directory.path()).await;
        let group = object(0x11, ObjectKind::Group, "staff", &[0x21]);
        import(&state, &[group, object(0x21, USER, "Zoë", &[])]).await;
        synchronise(&state).await;
        let zoe = pending(&state).await[0].key;
        export(&state).await;
        assert_eq!(export(&state).await, Vec::<String>::new());
        state.identify(TARGET, &[(anchor(0x21), guid(1))]).await.unwrap();
        state.vanished(&[zoe], now(&state).await).await.unwrap();
        assert_eq!(state.identities(TARGET, &[anchor(0x21)]).await.unwrap(), []);
        synchronise(&state).await;
        assert_eq!(export(&state).await, ["add user 21", "11 +21"]);
    }
}
