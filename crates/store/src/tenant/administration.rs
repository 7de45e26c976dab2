//! What only an administrator's commands change: domains, applications, enrolments, roles; and which
//! sync server an object is from.

use std::collections::BTreeMap;

use portolan_model::{DnsName, Guid, SourceAnchor};
use portolan_tenant::storage::StorageError;
use sqlx::Sqlite;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use time::OffsetDateTime;

use super::SqliteTransaction;
use super::rows::{moment, nanos};

/// A statement with its values.
type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// Anchors as a JSON array, so that one statement takes them all.
fn array(anchors: &[&SourceAnchor]) -> Result<String, StorageError> {
    let anchors: Vec<_> = anchors.iter().map(|anchor| anchor.as_str()).collect();
    serde_json::to_string(&anchors).map_err(StorageError::new)
}

impl SqliteTransaction {
    async fn changes(&mut self, statement: Statement<'_>) -> Result<u64, StorageError> {
        let done = statement.execute(&mut *self.inner).await.map_err(StorageError::new)?;
        Ok(done.rows_affected())
    }

    /// Lets names of a further domain sign in; false when they do already.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn add_domain(&mut self, name: &DnsName) -> Result<bool, StorageError> {
        let insert = sqlx::query("INSERT OR IGNORE INTO verified_domain (name) VALUES (?)");
        Ok(self.changes(insert.bind(name.as_str())).await? == 1)
    }

    /// Lets names of a domain sign in no longer; false when they did not.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn remove_domain(&mut self, name: &DnsName) -> Result<bool, StorageError> {
        let delete = sqlx::query("DELETE FROM verified_domain WHERE name = ?");
        Ok(self.changes(delete.bind(name.as_str())).await? == 1)
    }

    /// How many living users have a name of a domain.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn users_of_domain(&mut self, name: &DnsName) -> Result<i64, StorageError> {
        sqlx::query_scalar(
            "SELECT count(*) FROM attr_index WHERE attr = 'userPrincipalName'
             AND substr(value_norm, instr(value_norm, '@') + 1) = ?",
        )
        .bind(name.as_str().to_lowercase())
        .fetch_one(&mut *self.inner)
        .await
        .map_err(StorageError::new)
    }

    /// Forgets an application with everything that was handed out to it; false when there is none.
    /// Objects that it wrote stay, and are its group's, or nobody's when nobody else is in it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn remove_application(&mut self, client_id: Guid) -> Result<bool, StorageError> {
        let id = client_id.to_string();
        for statement in [
            "DELETE FROM code WHERE client_id = ?",
            "DELETE FROM refresh_token WHERE client_id = ?",
            "DELETE FROM sync_server WHERE client_id = ?",
        ] {
            self.changes(sqlx::query(statement).bind(&id)).await?;
        }
        self.leave_group(client_id).await?;
        let delete = sqlx::query("DELETE FROM application WHERE client_id = ?");
        Ok(self.changes(delete.bind(&id)).await? == 1)
    }

    /// The enrolments that can still be used: the digest of each secret, and until when.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn enrolments(
        &mut self,
        now: OffsetDateTime,
    ) -> Result<Vec<(Vec<u8>, OffsetDateTime)>, StorageError> {
        let rows: Vec<(Vec<u8>, i64)> =
            sqlx::query_as("SELECT secret, until FROM enrolment WHERE until > ? ORDER BY until")
                .bind(nanos(now))
                .fetch_all(&mut *self.inner)
                .await
                .map_err(StorageError::new)?;
        rows.into_iter().map(|(secret, until)| Ok((secret, moment(until)?))).collect()
    }

    /// Takes an enrolment back; false when there is none.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn revoke_enrolment(&mut self, secret: &[u8]) -> Result<bool, StorageError> {
        let delete = sqlx::query("DELETE FROM enrolment WHERE secret = ?");
        Ok(self.changes(delete.bind(secret)).await? == 1)
    }

    /// The groups of sync servers that objects are from, by anchor; nothing of an object that is from none.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn owners(
        &mut self,
        anchors: &[&SourceAnchor],
    ) -> Result<BTreeMap<SourceAnchor, Guid>, StorageError> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT anchor, client_id FROM object_owner
             WHERE anchor IN (SELECT value FROM json_each(?))",
        )
        .bind(array(anchors)?)
        .fetch_all(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        let owned = |(anchor, owner): (String, String)| {
            let anchor = anchor.parse().map_err(StorageError::new)?;
            Ok((anchor, owner.parse().map_err(StorageError::new)?))
        };
        rows.into_iter().map(owned).collect()
    }

    /// Makes objects a group's, those that are none's yet.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn own(&mut self, anchors: &[&SourceAnchor], by: Guid) -> Result<(), StorageError> {
        let insert = sqlx::query(
            "INSERT OR IGNORE INTO object_owner (anchor, client_id)
             SELECT value, ?1 FROM json_each(?2)",
        );
        self.changes(insert.bind(by.to_string()).bind(array(anchors)?)).await.map(|_| ())
    }

    /// Writes lines of the audit log about what one actor did at one moment, each an action and its
    /// target, in one statement.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn record_audits(
        &mut self,
        at: OffsetDateTime,
        actor: &str,
        done: &[(&'static str, &str)],
    ) -> Result<(), StorageError> {
        let insert = sqlx::query(
            "INSERT INTO audit_log (at, actor, action, target)
             SELECT ?1, ?2, json_extract(value, '$[0]'), json_extract(value, '$[1]')
             FROM json_each(?3)",
        );
        let done = serde_json::to_string(done).map_err(StorageError::new)?;
        self.changes(insert.bind(nanos(at)).bind(actor).bind(done)).await.map(|_| ())
    }

    /// How many objects are from a sync server, or from its group.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn owned(&mut self, by: Guid) -> Result<i64, StorageError> {
        let group = self.sync_group(by).await?;
        sqlx::query_scalar("SELECT count(*) FROM object_owner WHERE client_id = ?")
            .bind(group.to_string())
            .fetch_one(&mut *self.inner)
            .await
            .map_err(StorageError::new)
    }

    /// Gives a user a role in the directory.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn assign_role(
        &mut self,
        user: Guid,
        role: &str,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let insert = sqlx::query(
            "INSERT OR IGNORE INTO role_assignment (user_id, role, assigned_at) VALUES (?, ?, ?)",
        );
        self.changes(insert.bind(user.to_string()).bind(role).bind(nanos(now))).await.map(|_| ())
    }

    /// The users who have a role, longest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn holders(&mut self, role: &str) -> Result<Vec<Guid>, StorageError> {
        let users: Vec<(String,)> = sqlx::query_as(
            "SELECT user_id FROM role_assignment WHERE role = ? ORDER BY assigned_at, user_id",
        )
        .bind(role)
        .fetch_all(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        users.into_iter().map(|(id,)| id.parse().map_err(StorageError::new)).collect()
    }
}
