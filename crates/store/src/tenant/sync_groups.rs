//! Sync servers that share what is theirs, and the lease that says which of them writes.
//!
//! The owner of an object is a group. A server that joined none is a group of its own, under its own id.

use portolan_model::Guid;
use portolan_tenant::Digest;
use portolan_tenant::lease::{Holder, Lease, State, Tenure};
use portolan_tenant::storage::StorageError;

use super::SqliteTransaction;
use super::rows::{moment, nanos};

/// A lease as it is kept: epoch, id, the id before it, whether none is used, and who has it until when.
type LeaseRow = (i64, String, Option<String>, bool, Option<String>, String, i64);

impl SqliteTransaction {
    /// The group of a sync server.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn sync_group(&mut self, server: Guid) -> Result<Guid, StorageError> {
        let group: Option<String> =
            sqlx::query_scalar("SELECT group_id FROM sync_group WHERE client_id = ?")
                .bind(server.to_string())
                .fetch_optional(&mut *self.inner)
                .await
                .map_err(StorageError::new)?;
        group.map_or(Ok(server), |group| group.parse().map_err(StorageError::new))
    }

    /// The servers of a group.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn sync_group_servers(&mut self, group: Guid) -> Result<Vec<Guid>, StorageError> {
        let servers: Vec<String> = sqlx::query_scalar(
            "SELECT client_id FROM sync_group WHERE group_id = ? ORDER BY client_id",
        )
        .bind(group.to_string())
        .fetch_all(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        let parse = |server: String| server.parse().map_err(StorageError::new);
        let mut servers: Vec<_> = servers.into_iter().map(parse).collect::<Result<_, _>>()?;
        if servers.is_empty() {
            servers.push(group);
        }
        Ok(servers)
    }

    /// Puts a server into the group of another one, with what was its own, and gives the group. One that is
    /// in a group already stays there.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn join_group(&mut self, server: Guid, of: Guid) -> Result<Guid, StorageError> {
        let group = self.sync_group(of).await?;
        let before = self.sync_group(server).await?;
        if before != server || group == server {
            return Ok(before);
        }
        for statement in [
            "UPDATE object_owner SET client_id = ?1 WHERE client_id = ?2",
            "DELETE FROM lease WHERE group_id = ?2 AND ?1 <> ?2",
            // What it wrote rests on what it had read.
            "INSERT INTO read_up_to (group_id, domain, invocation_id, usn)
             SELECT ?1, domain, invocation_id, usn FROM read_up_to WHERE group_id = ?2 AND ?1 <> ?2
             ON CONFLICT DO UPDATE SET usn = max(usn, excluded.usn)",
            "DELETE FROM read_up_to WHERE group_id = ?2 AND ?1 <> ?2",
        ] {
            sqlx::query(statement)
                .bind(group.to_string())
                .bind(server.to_string())
                .execute(&mut *self.inner)
                .await
                .map_err(StorageError::new)?;
        }
        for member in [of, server] {
            sqlx::query("INSERT OR IGNORE INTO sync_group (client_id, group_id) VALUES (?, ?)")
                .bind(member.to_string())
                .bind(group.to_string())
                .execute(&mut *self.inner)
                .await
                .map_err(StorageError::new)?;
        }
        Ok(group)
    }

    /// Takes a server out of its group, and gives what is the group's up when it was the last one.
    pub(super) async fn leave_group(&mut self, server: Guid) -> Result<(), StorageError> {
        let group = self.sync_group(server).await?;
        let others = self.sync_group_servers(group).await?;
        let is_last = others.iter().all(|other| *other == server);
        let statements: &[&str] = match is_last {
            true => &[
                "DELETE FROM object_owner WHERE client_id = ?1",
                "DELETE FROM lease WHERE group_id = ?1",
                "DELETE FROM read_up_to WHERE group_id = ?1",
                "DELETE FROM sync_group WHERE client_id = ?2",
            ],
            // Nobody holds the lease any more, and the others see to it.
            false => &[
                "UPDATE lease SET holder = NULL WHERE group_id = ?1 AND holder = ?2",
                "DELETE FROM sync_group WHERE client_id = ?2",
            ],
        };
        for &statement in statements {
            sqlx::query(statement)
                .bind(group.to_string())
                .bind(server.to_string())
                .execute(&mut *self.inner)
                .await
                .map_err(StorageError::new)?;
        }
        Ok(())
    }

    /// Puts one server into the place of another in its group, or gives it what was its own.
    pub(super) async fn replace_in_group(
        &mut self,
        old: Guid,
        new: Guid,
    ) -> Result<(), StorageError> {
        for statement in [
            "UPDATE object_owner SET client_id = ?1 WHERE client_id = ?2
             AND NOT EXISTS (SELECT 1 FROM sync_group WHERE group_id = ?2)",
            "UPDATE lease SET group_id = ?1 WHERE group_id = ?2
             AND NOT EXISTS (SELECT 1 FROM sync_group WHERE group_id = ?2)",
            "UPDATE read_up_to SET group_id = ?1 WHERE group_id = ?2
             AND NOT EXISTS (SELECT 1 FROM sync_group WHERE group_id = ?2)",
            // What the old one was given is worth nothing to the new one.
            "UPDATE lease SET holder = NULL WHERE holder = ?2",
            "UPDATE sync_group SET client_id = ?1 WHERE client_id = ?2",
        ] {
            sqlx::query(statement)
                .bind(new.to_string())
                .bind(old.to_string())
                .execute(&mut *self.inner)
                .await
                .map_err(StorageError::new)?;
        }
        Ok(())
    }

    /// The lease of a group; `None` when nobody ever acquired it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn lease(&mut self, group: Guid) -> Result<Option<Lease>, StorageError> {
        let row: Option<LeaseRow> = sqlx::query_as(
            "SELECT epoch, id, previous, waived, holder, name, expires_at FROM lease
             WHERE group_id = ?",
        )
        .bind(group.to_string())
        .fetch_optional(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        let Some((epoch, id, previous, waived, holder, name, expires_at)) = row else {
            return Ok(None);
        };
        let state = match holder {
            Some(holder) => {
                let client_id = holder.parse().map_err(StorageError::new)?;
                State::Held(Holder { client_id, name, expires_at: moment(expires_at)? })
            }
            None if waived => State::Waived,
            None => State::Released,
        };
        let epoch = u64::try_from(epoch).map_err(StorageError::new)?;
        let id = id.parse().map_err(StorageError::new)?;
        let previous = previous.map(|id| id.parse()).transpose().map_err(StorageError::new)?;
        Ok(Some(Lease { tenure: Tenure { epoch, id, previous }, state }))
    }

    /// Keeps the lease of a group.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_lease(&mut self, group: Guid, lease: &Lease) -> Result<(), StorageError> {
        let (holder, tenure) = (lease.holder(), &lease.tenure);
        sqlx::query(
            "INSERT INTO lease (group_id, epoch, id, previous, waived, holder, name, expires_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (group_id) DO UPDATE SET
             epoch = excluded.epoch, id = excluded.id, previous = excluded.previous,
             waived = excluded.waived, holder = excluded.holder,
             name = excluded.name, expires_at = excluded.expires_at",
        )
        .bind(group.to_string())
        .bind(i64::try_from(tenure.epoch).map_err(StorageError::new)?)
        .bind(tenure.id.to_string())
        .bind(tenure.previous.map(|id| id.to_string()))
        .bind(lease.state == State::Waived)
        .bind(holder.map(|holder| holder.client_id.to_string()))
        .bind(holder.map_or("", |holder| holder.name.as_str()))
        .bind(holder.map_or(0, |holder| nanos(holder.expires_at)))
        .execute(&mut *self.inner)
        .await
        .map(|_| ())
        .map_err(StorageError::new)
    }

    /// Says whose group the server that enrols with a secret joins.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn bind_joining(&mut self, secret: &Digest, joins: Guid) -> Result<(), StorageError> {
        sqlx::query("UPDATE enrolment SET joins = ? WHERE secret = ?")
            .bind(joins.to_string())
            .bind(secret.octets().as_slice())
            .execute(&mut *self.inner)
            .await
            .map(|_| ())
            .map_err(StorageError::new)
    }

    /// Whose group the server that enrols with a secret joins.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn enrolment_joins(&mut self, secret: &Digest) -> Result<Option<Guid>, StorageError> {
        let id: Option<Option<String>> =
            sqlx::query_scalar("SELECT joins FROM enrolment WHERE secret = ?")
                .bind(secret.octets().as_slice())
                .fetch_optional(&mut *self.inner)
                .await
                .map_err(StorageError::new)?;
        id.flatten().map(|id| id.parse().map_err(StorageError::new)).transpose()
    }
}
