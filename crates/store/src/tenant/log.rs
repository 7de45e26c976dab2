//! Reading the logs: who signed in or did not, and what was done to the directory.
//!
//! What they keep is bounded by [`SqliteTransaction`]'s pruning: ninety days, and two million lines of
//! each.

use portolan_model::Guid;
use portolan_tenant::storage::StorageError;
use sqlx::sqlite::SqliteRow;
use time::OffsetDateTime;

use super::SqliteTransaction;
use super::rows::{self, column, guid, nanos};

/// A line of the sign-in log as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// When.
    pub at: OffsetDateTime,
    /// The request, as the person was told it.
    pub correlation_id: Guid,
    /// Who, when the directory knew them.
    pub user: Option<Guid>,
    /// Their user principal name now, if they are there.
    pub user_name: Option<String>,
    /// The application.
    pub client_id: Option<Guid>,
    /// The application's name now, if it is there.
    pub client_name: Option<String>,
    /// From where; empty in what an older release recorded.
    pub address: String,
    /// How.
    pub method: String,
    /// The number behind `AADSTS`, when it failed.
    pub error: Option<u32>,
}

/// A line of the audit log as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// When.
    pub at: OffsetDateTime,
    /// Who acted: an application's id, or `command line`.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// On what: an object's anchor or an application's id.
    pub target: String,
}

/// Which lines are wanted: the newest of them, at most so many.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Not before this moment.
    pub since: Option<OffsetDateTime>,
    /// Of one user only: their id.
    pub user: Option<Guid>,
    /// Of one user only, in the audit log: their anchor.
    pub anchor: Option<&'a str>,
    /// Lines.
    pub count_max: u32,
}

impl SqliteTransaction {
    /// Lines of the sign-in log, newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn sign_ins(&mut self, wanted: Wanted<'_>) -> Result<Vec<SignIn>, StorageError> {
        let rows = sqlx::query(
            "SELECT l.at, l.correlation_id, l.user_id, l.client_id, l.address, l.method, l.error,
             o.doc ->> 'userPrincipalName' AS user_name, a.name AS client_name
             FROM sign_in_log l LEFT JOIN object o ON o.id = l.user_id
             LEFT JOIN application a ON a.client_id = l.client_id
             WHERE l.at >= ?1 AND (?2 IS NULL OR l.user_id = ?2)
             ORDER BY l.rid DESC LIMIT ?3",
        )
        .bind(wanted.since.map_or(i64::MIN, nanos))
        .bind(wanted.user.map(|id| id.to_string()))
        .bind(wanted.count_max)
        .fetch_all(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        rows.iter().map(sign_in).collect()
    }

    /// Lines of the audit log, newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn audits(&mut self, wanted: Wanted<'_>) -> Result<Vec<Audit>, StorageError> {
        let rows = sqlx::query(
            "SELECT at, actor, action, target FROM audit_log
             WHERE at >= ?1 AND ((?2 IS NULL AND ?3 IS NULL) OR target IN (?2, ?3))
             ORDER BY rid DESC LIMIT ?4",
        )
        .bind(wanted.since.map_or(i64::MIN, nanos))
        .bind(wanted.user.map(|id| id.to_string()))
        .bind(wanted.anchor)
        .bind(wanted.count_max)
        .fetch_all(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        rows.iter()
            .map(|row| {
                Ok(Audit {
                    at: rows::time(row, "at")?,
                    actor: column(row, "actor")?,
                    action: column(row, "action")?,
                    target: column(row, "target")?,
                })
            })
            .collect()
    }
}

fn sign_in(row: &SqliteRow) -> Result<SignIn, StorageError> {
    let optional = |name| -> Result<Option<Guid>, StorageError> {
        let text: Option<&str> = column(row, name)?;
        text.map(|text| text.parse().map_err(StorageError::new)).transpose()
    };
    Ok(SignIn {
        at: rows::time(row, "at")?,
        correlation_id: guid(row, "correlation_id")?,
        user: optional("user_id")?,
        user_name: column(row, "user_name")?,
        client_id: optional("client_id")?,
        client_name: column(row, "client_name")?,
        address: column(row, "address")?,
        method: column(row, "method")?,
        error: column(row, "error")?,
    })
}
