//! What only an administrator's commands change: domains, applications, enrolments, roles; and which
//! sync server an object is from.

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
    /// Objects that it wrote stay, and are nobody's.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn remove_application(&mut self, client_id: Guid) -> Result<bool, StorageError> {
        let id = client_id.to_string();
        for statement in [
            "DELETE FROM code WHERE client_id = ?",
            "DELETE FROM refresh_token WHERE client_id = ?",
            "DELETE FROM object_owner WHERE client_id = ?",
            "DELETE FROM sync_server WHERE client_id = ?",
        ] {
            self.changes(sqlx::query(statement).bind(&id)).await?;
        }
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

    /// The sync server that an object is from.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn owner(&mut self, anchor: &SourceAnchor) -> Result<Option<Guid>, StorageError> {
        let owner: Option<String> =
            sqlx::query_scalar("SELECT client_id FROM object_owner WHERE anchor = ?")
                .bind(anchor.as_str())
                .fetch_optional(&mut *self.inner)
                .await
                .map_err(StorageError::new)?;
        owner.map(|owner| owner.parse().map_err(StorageError::new)).transpose()
    }

    /// Makes an object a sync server's, unless it is one's already.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn own(&mut self, anchor: &SourceAnchor, by: Guid) -> Result<(), StorageError> {
        let insert =
            sqlx::query("INSERT OR IGNORE INTO object_owner (anchor, client_id) VALUES (?, ?)");
        self.changes(insert.bind(anchor.as_str()).bind(by.to_string())).await.map(|_| ())
    }

    /// How many objects are from a sync server.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn owned(&mut self, by: Guid) -> Result<i64, StorageError> {
        sqlx::query_scalar("SELECT count(*) FROM object_owner WHERE client_id = ?")
            .bind(by.to_string())
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
