//! What of the directory is forgotten with time: objects and members that were deleted.
//!
//! A deleted object can come back under its id while its tombstone is kept, and a reader of the change
//! feed that was not away for longer sees every deletion. The credential went with the deletion, and
//! never comes back.

use portolan_tenant::storage::StorageError;
use time::{Duration, OffsetDateTime};

use super::SqliteTransaction;
use super::rows::nanos;

/// How long what was deleted is kept, as in Entra ID.
pub const TOMBSTONE_KEPT: Duration = Duration::days(30);

/// Deleted objects that are kept, some kilobytes each; the oldest go first.
const TOMBSTONES_MAX: i64 = 1_000_000;

/// Deleted members that are kept, some 200 octets each; the oldest go first.
const DELETED_LINKS_MAX: i64 = 2_000_000;

/// Objects that one look takes away: nobody else writes meanwhile.
const PURGED_AT_ONCE: i64 = 5_000;

impl SqliteTransaction {
    /// Forgets what was deleted long ago, and of the rest the oldest above what is kept.
    pub(super) async fn purge(&mut self, now: OffsetDateTime) -> Result<(), StorageError> {
        self.purge_above(now, TOMBSTONES_MAX, DELETED_LINKS_MAX).await
    }

    pub(super) async fn purge_above(
        &mut self,
        now: OffsetDateTime,
        objects_max: i64,
        links_max: i64,
    ) -> Result<(), StorageError> {
        let before = nanos(now - TOMBSTONE_KEPT);
        for (statement, value) in [
            ("UPDATE link SET deleted_at = ? WHERE deleted = 1 AND deleted_at IS NULL", nanos(now)),
            ("DELETE FROM link WHERE deleted = 1 AND deleted_at <= ?", before),
            (
                "DELETE FROM link WHERE rowid IN (SELECT rowid FROM link WHERE deleted = 1
                 ORDER BY deleted_at DESC, seq DESC LIMIT -1 OFFSET ?)",
                links_max,
            ),
        ] {
            let query = sqlx::query(statement).bind(value);
            query.execute(&mut *self.inner).await.map_err(StorageError::new)?;
        }
        let over: Vec<(i64, String, Option<String>)> = sqlx::query_as(
            "SELECT rid, id, anchor FROM (SELECT rid, id, anchor, deleted_at,
             row_number() OVER (ORDER BY deleted_at DESC, seq DESC) AS place
             FROM object WHERE deleted_at IS NOT NULL)
             WHERE deleted_at <= ? OR place > ? ORDER BY deleted_at LIMIT ?",
        )
        .bind(before)
        .bind(objects_max)
        .bind(PURGED_AT_ONCE)
        .fetch_all(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        for (rid, id, anchor) in over {
            self.forget_object(rid, &id, anchor.as_deref()).await?;
        }
        Ok(())
    }

    async fn forget_object(
        &mut self,
        rid: i64,
        id: &str,
        anchor: Option<&str>,
    ) -> Result<(), StorageError> {
        let of_user = [
            "DELETE FROM credential WHERE user_id = ?",
            "DELETE FROM session_floor WHERE user_id = ?",
            "DELETE FROM device WHERE user_id = ?",
            "DELETE FROM role_assignment WHERE user_id = ?",
            "DELETE FROM provisioning_error WHERE object_id = ?",
            "DELETE FROM photo WHERE user_id = ?",
        ];
        let of_object = [
            "DELETE FROM link WHERE src_rid = ?",
            "DELETE FROM attr_index WHERE rid = ?",
            "DELETE FROM object WHERE rid = ?",
        ];
        let queries = of_user
            .into_iter()
            .map(|statement| sqlx::query(statement).bind(id))
            .chain([sqlx::query("DELETE FROM object_owner WHERE anchor = ?").bind(anchor)])
            .chain(of_object.into_iter().map(|statement| sqlx::query(statement).bind(rid)));
        for query in queries {
            query.execute(&mut *self.inner).await.map_err(StorageError::new)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use portolan_legacy_crypto::NtHash;
    use portolan_legacy_crypto::pph1::CredentialData;
    use portolan_model::{Guid, Secret, SourceAnchor};
    use portolan_tenant::directory::{Attributes, Kind, Object};
    use portolan_tenant::storage::{Access, Credential, Store as _, Transaction as _};

    use super::super::SqliteStore;
    use super::super::tests::put_members;
    use super::*;
    use crate::vault::MasterKeys;

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_795_000_000).unwrap()
    }

    fn anchor(number: u8) -> SourceAnchor {
        format!("anchor-{number}").parse().unwrap()
    }

    fn object(number: u8, kind: Kind, deleted_at: Option<OffsetDateTime>) -> Object {
        Object {
            id: Guid::from_random([number; 16]),
            kind,
            anchor: Some(anchor(number)),
            attributes: Attributes::default(),
            created_at: now(),
            synchronised_at: Some(now()),
            deleted_at,
        }
    }

    async fn made(directory: &tempfile::TempDir) -> SqliteStore {
        let keys = MasterKeys::new([("k".to_owned(), Secret::new([7; 32]))]).unwrap();
        SqliteStore::create(&directory.path().join("tenant.sqlite"), keys).await.unwrap()
    }

    async fn count(tx: &mut SqliteTransaction, table: &str) -> i64 {
        let statement = match table {
            "link" => "SELECT count(*) FROM link",
            "owner" => "SELECT count(*) FROM object_owner",
            "floor" => "SELECT count(*) FROM session_floor",
            _ => "SELECT count(*) FROM object",
        };
        sqlx::query_scalar(statement).fetch_one(&mut *tx.inner).await.unwrap()
    }

    #[tokio::test]
    async fn what_was_deleted_is_kept_for_its_time_and_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let store = made(&directory).await;
        let mut tx = store.begin(Access::Write).await.unwrap();
        let user = object(1, Kind::User, Some(now()));
        let group = object(2, Kind::Group, None);
        tx.put_object(&user).await.unwrap();
        tx.put_object(&group).await.unwrap();
        tx.own(&[&anchor(1), &anchor(2)], group.id).await.unwrap();
        tx.end_sessions_of(user.id, now()).await.unwrap();
        let credential = CredentialData::derive(&NtHash::from_password("x"), [1; 10]);
        let credential = Credential { credential, changed_at: now() };
        tx.put_credential(user.id, &credential).await.unwrap();
        put_members(&mut tx, group.id, &[anchor(1), anchor(3)]).await;
        put_members(&mut tx, group.id, &[anchor(1)]).await;
        tx.purge(now()).await.unwrap();
        tx.purge(now() + TOMBSTONE_KEPT - Duration::SECOND).await.unwrap();
        assert_eq!(tx.object_by_anchor(&anchor(1)).await.unwrap(), Some(user.clone()));
        assert_eq!(count(&mut tx, "link").await, 2);
        tx.purge(now() + TOMBSTONE_KEPT).await.unwrap();
        assert_eq!(tx.object_by_anchor(&anchor(1)).await.unwrap(), None);
        assert!(tx.credential(user.id).await.unwrap().is_none());
        for (table, left) in [("link", 1), ("owner", 1), ("floor", 0), ("object", 1)] {
            assert_eq!(count(&mut tx, table).await, left, "{table}");
        }
        // A member who left and came back is not forgotten as one who left.
        put_members(&mut tx, group.id, &[]).await;
        tx.purge(now()).await.unwrap();
        put_members(&mut tx, group.id, &[anchor(1)]).await;
        tx.purge(now() + TOMBSTONE_KEPT * 2).await.unwrap();
        assert_eq!(count(&mut tx, "link").await, 1);
    }

    #[tokio::test]
    async fn above_the_limits_the_oldest_go_first() {
        let directory = tempfile::tempdir().unwrap();
        let store = made(&directory).await;
        let mut tx = store.begin(Access::Write).await.unwrap();
        for number in 1..=4 {
            let at = now() + Duration::seconds(i64::from(number));
            tx.put_object(&object(number, Kind::User, Some(at))).await.unwrap();
        }
        let group = object(9, Kind::Group, None);
        tx.put_object(&group).await.unwrap();
        let members: Vec<_> = (10..15).map(anchor).collect();
        put_members(&mut tx, group.id, &members).await;
        put_members(&mut tx, group.id, &[]).await;
        tx.purge_above(now() + Duration::MINUTE, 2, 3).await.unwrap();
        for (number, is_kept) in [(1, false), (2, false), (3, true), (4, true), (9, true)] {
            let kept = tx.object_by_anchor(&anchor(number)).await.unwrap();
            assert_eq!(kept.is_some(), is_kept, "{number}");
        }
        assert_eq!(count(&mut tx, "link").await, 3);
    }
}
