//! References that Graph writes: members, managers and who registered a device, by the id of whom they name.
//!
//! What the forest says refers by anchor, so that a member may come before its object. Whoever writes by
//! Graph names objects that are there, of which some have no anchor. Both kinds stand in the same table
//! under names of their own, and a group's members are those of either.

use portolan_model::Guid;
use portolan_tenant::directory::Reference;
use portolan_tenant::storage::StorageError;

use super::SqliteTransaction;

/// The name of the links of a reference to objects by their ids.
pub(super) const fn by_id(reference: Reference) -> &'static str {
    match reference {
        Reference::Members => "membersById",
        Reference::Manager => "managerById",
        Reference::RegisteredOwners => "registeredOwnersById",
        Reference::RegisteredUsers => "registeredUsersById",
    }
}

impl SqliteTransaction {
    async fn rid(&mut self, id: Guid) -> Result<i64, StorageError> {
        sqlx::query_scalar("SELECT rid FROM object WHERE id = ?")
            .bind(id.to_string())
            .fetch_one(&mut *self.inner)
            .await
            .map_err(StorageError::new)
    }

    async fn set_link(
        &mut self,
        from: i64,
        attribute: &str,
        to: &[Guid],
    ) -> Result<(), StorageError> {
        let seq = self.next_seqs(1).await?;
        let to: Vec<_> = to.iter().map(ToString::to_string).collect();
        sqlx::query(
            "INSERT INTO link (src_rid, attr, dst_anchor, seq, deleted)
             SELECT ?1, ?2, value, ?3, 0 FROM json_each(?4) WHERE true
             ON CONFLICT (src_rid, attr, dst_anchor)
             DO UPDATE SET seq = excluded.seq, deleted = 0, deleted_at = NULL",
        )
        .bind(from)
        .bind(attribute)
        .bind(seq)
        .bind(serde_json::to_string(&to).map_err(StorageError::new)?)
        .execute(&mut *self.inner)
        .await
        .map(|_| ())
        .map_err(StorageError::new)
    }

    pub(super) async fn link(
        &mut self,
        (from, reference): (Guid, Reference),
        to: &[Guid],
    ) -> Result<(), StorageError> {
        let from = self.rid(from).await?;
        self.set_link(from, by_id(reference), to).await
    }

    /// To which of these an object refers, by their id or by their anchor.
    pub(super) async fn linked_among(
        &mut self,
        (from, reference): (Guid, Reference),
        among: &[Guid],
    ) -> Result<Vec<Guid>, StorageError> {
        let among: Vec<_> = among.iter().map(ToString::to_string).collect();
        let found: Vec<(String,)> = sqlx::query_as(
            "SELECT o.id FROM object o JOIN object g ON g.id = ?1
             WHERE o.id IN (SELECT value FROM json_each(?2)) AND EXISTS (
                 SELECT 1 FROM link l WHERE l.src_rid = g.rid AND l.deleted = 0
                 AND (l.attr = ?3 AND l.dst_anchor = o.anchor
                      OR l.attr = ?4 AND l.dst_anchor = o.id))",
        )
        .bind(from.to_string())
        .bind(serde_json::to_string(&among).map_err(StorageError::new)?)
        .bind(reference.as_str())
        .bind(by_id(reference))
        .fetch_all(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        found.into_iter().map(|(id,)| id.parse().map_err(StorageError::new)).collect()
    }

    /// Ends a reference to an object, under whichever name it is there; false when there is none.
    pub(super) async fn unlink(
        &mut self,
        (from, reference): (Guid, Reference),
        to: Guid,
    ) -> Result<bool, StorageError> {
        let seq = self.next_seqs(1).await?;
        let done = sqlx::query(
            "UPDATE link SET deleted = 1, seq = ?1, deleted_at = NULL
             WHERE src_rid = (SELECT rid FROM object WHERE id = ?2) AND deleted = 0
             AND (attr = ?4 AND dst_anchor = ?3
                  OR attr = ?5 AND dst_anchor = (SELECT anchor FROM object WHERE id = ?3))",
        )
        .bind(seq)
        .bind(from.to_string())
        .bind(to.to_string())
        .bind(by_id(reference))
        .bind(reference.as_str())
        .execute(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        Ok(done.rows_affected() > 0)
    }

    /// Ends the links of one name that an object has.
    async fn unlink_all(&mut self, from: i64, attribute: &str) -> Result<(), StorageError> {
        let held: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM link WHERE src_rid = ? AND attr = ? AND deleted = 0)",
        )
        .bind(from)
        .bind(attribute)
        .fetch_one(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        if !held {
            return Ok(());
        }
        let seq = self.next_seqs(1).await?;
        sqlx::query(
            "UPDATE link SET deleted = 1, seq = ?, deleted_at = NULL
             WHERE src_rid = ? AND attr = ? AND deleted = 0",
        )
        .bind(seq)
        .bind(from)
        .bind(attribute)
        .execute(&mut *self.inner)
        .await
        .map(|_| ())
        .map_err(StorageError::new)
    }

    pub(super) async fn link_manager(
        &mut self,
        user: Guid,
        manager: Option<Guid>,
    ) -> Result<(), StorageError> {
        let user = self.rid(user).await?;
        self.unlink_all(user, by_id(Reference::Manager)).await?;
        match manager {
            Some(manager) => self.set_link(user, by_id(Reference::Manager), &[manager]).await,
            None => Ok(()),
        }
    }
}
