//! Sessions, codes, refresh tokens: what a sign-in leaves behind.

use portolan_model::Guid;
use portolan_tenant::Digest;
use portolan_tenant::authorize::Challenge;
use portolan_tenant::grant::DEVICES_MAX;
use portolan_tenant::storage::{Code, Grant, RefreshToken, Session, StorageError};
use sqlx::sqlite::SqliteRow;
use time::OffsetDateTime;

use super::SqliteTransaction;
use super::rows::{self, column, guid, moment, nanos};

/// A challenge that was stored does not read.
#[derive(Debug, thiserror::Error)]
#[error("a stored code challenge does not read")]
struct BadChallenge;

impl SqliteTransaction {
    pub(super) async fn read_session_floor(
        &mut self,
        user: Guid,
    ) -> Result<Option<OffsetDateTime>, StorageError> {
        let row: Option<(i64,)> =
            sqlx::query_as("SELECT valid_from FROM session_floor WHERE user_id = ?")
                .bind(user.to_string())
                .fetch_optional(&mut *self.inner)
                .await
                .map_err(StorageError::new)?;
        row.map(|(at,)| moment(at)).transpose()
    }

    /// Whether a device cookie is known: at a user's name, or at anybody's.
    pub(super) async fn count_devices(
        &mut self,
        device: &Digest,
        user: Option<Guid>,
    ) -> Result<bool, StorageError> {
        let user = user.map(|user| user.to_string());
        let (count,): (i64,) = sqlx::query_as(
            "SELECT count(*) FROM device WHERE digest = ?1 AND (?2 IS NULL OR user_id = ?2)",
        )
        .bind(device.octets().as_slice())
        .bind(user)
        .fetch_one(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        Ok(count > 0)
    }

    pub(super) async fn write_device(
        &mut self,
        device: &Digest,
        user: Guid,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        sqlx::query(
            "INSERT INTO device (digest, user_id, seen_at) VALUES (?, ?, ?)
             ON CONFLICT (digest, user_id) DO UPDATE SET seen_at = excluded.seen_at",
        )
        .bind(device.octets().as_slice())
        .bind(user.to_string())
        .bind(nanos(now))
        .execute(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        sqlx::query(
            "DELETE FROM device WHERE user_id = ?1 AND rowid NOT IN
             (SELECT rowid FROM device WHERE user_id = ?1 ORDER BY seen_at DESC LIMIT ?2)",
        )
        .bind(user.to_string())
        .bind(DEVICES_MAX)
        .execute(&mut *self.inner)
        .await
        .map(|_| ())
        .map_err(StorageError::new)
    }

    pub(super) async fn write_session(&mut self, session: &Session) -> Result<(), StorageError> {
        sqlx::query(
            "INSERT INTO session (digest, id, user_id, authenticated_at, expires_at)
             VALUES (?, ?, ?, ?, ?)",
        )
        .bind(session.digest.octets().as_slice())
        .bind(session.id.to_string())
        .bind(session.user.to_string())
        .bind(nanos(session.authenticated_at))
        .bind(nanos(session.expires_at))
        .execute(&mut *self.inner)
        .await
        .map(|_| ())
        .map_err(StorageError::new)
    }

    pub(super) async fn read_session(
        &mut self,
        digest: &Digest,
    ) -> Result<Option<Session>, StorageError> {
        let row = sqlx::query("SELECT * FROM session WHERE digest = ?")
            .bind(digest.octets().as_slice())
            .fetch_optional(&mut *self.inner)
            .await
            .map_err(StorageError::new)?;
        row.map(|row| {
            Ok(Session {
                digest: rows::digest(&row, "digest")?,
                id: guid(&row, "id")?,
                user: guid(&row, "user_id")?,
                authenticated_at: rows::time(&row, "authenticated_at")?,
                expires_at: rows::time(&row, "expires_at")?,
            })
        })
        .transpose()
    }

    pub(super) async fn delete_session(&mut self, digest: &Digest) -> Result<(), StorageError> {
        sqlx::query("DELETE FROM session WHERE digest = ?")
            .bind(digest.octets().as_slice())
            .execute(&mut *self.inner)
            .await
            .map(|_| ())
            .map_err(StorageError::new)
    }

    pub(super) async fn write_code(&mut self, code: &Code) -> Result<(), StorageError> {
        sqlx::query(
            "INSERT INTO code (digest, client_id, user_id, session_id, scopes, authenticated_at,
             family, redirect_uri, challenge, nonce, expires_at, redeemed)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (digest) DO UPDATE SET redeemed = excluded.redeemed",
        )
        .bind(code.digest.octets().as_slice())
        .bind(code.grant.client_id.to_string())
        .bind(code.grant.user.to_string())
        .bind(code.grant.session.to_string())
        .bind(code.grant.scopes.as_str())
        .bind(nanos(code.grant.authenticated_at))
        .bind(code.grant.family.to_string())
        .bind(code.redirect_uri.as_str())
        .bind(code.challenge.as_str())
        .bind(code.nonce.as_deref())
        .bind(nanos(code.expires_at))
        .bind(code.redeemed)
        .execute(&mut *self.inner)
        .await
        .map(|_| ())
        .map_err(StorageError::new)
    }

    pub(super) async fn read_code(
        &mut self,
        digest: &Digest,
    ) -> Result<Option<Code>, StorageError> {
        let row = sqlx::query("SELECT * FROM code WHERE digest = ?")
            .bind(digest.octets().as_slice())
            .fetch_optional(&mut *self.inner)
            .await
            .map_err(StorageError::new)?;
        row.map(|row| {
            Ok(Code {
                digest: rows::digest(&row, "digest")?,
                grant: grant(&row)?,
                redirect_uri: column(&row, "redirect_uri")?,
                challenge: Challenge::from_text(column(&row, "challenge")?)
                    .ok_or_else(|| StorageError::new(BadChallenge))?,
                nonce: column(&row, "nonce")?,
                expires_at: rows::time(&row, "expires_at")?,
                redeemed: column(&row, "redeemed")?,
            })
        })
        .transpose()
    }

    pub(super) async fn write_refresh_token(
        &mut self,
        token: &RefreshToken,
    ) -> Result<(), StorageError> {
        sqlx::query(
            "INSERT INTO refresh_token (digest, client_id, user_id, session_id, scopes,
             authenticated_at, family, expires_at, used) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (digest) DO UPDATE SET used = excluded.used",
        )
        .bind(token.digest.octets().as_slice())
        .bind(token.grant.client_id.to_string())
        .bind(token.grant.user.to_string())
        .bind(token.grant.session.to_string())
        .bind(token.grant.scopes.as_str())
        .bind(nanos(token.grant.authenticated_at))
        .bind(token.grant.family.to_string())
        .bind(nanos(token.expires_at))
        .bind(token.used)
        .execute(&mut *self.inner)
        .await
        .map(|_| ())
        .map_err(StorageError::new)
    }

    pub(super) async fn read_refresh_token(
        &mut self,
        digest: &Digest,
    ) -> Result<Option<RefreshToken>, StorageError> {
        let row = sqlx::query("SELECT * FROM refresh_token WHERE digest = ?")
            .bind(digest.octets().as_slice())
            .fetch_optional(&mut *self.inner)
            .await
            .map_err(StorageError::new)?;
        row.map(|row| {
            Ok(RefreshToken {
                digest: rows::digest(&row, "digest")?,
                grant: grant(&row)?,
                expires_at: rows::time(&row, "expires_at")?,
                used: column(&row, "used")?,
            })
        })
        .transpose()
    }

    pub(super) async fn delete_family(&mut self, family: Guid) -> Result<(), StorageError> {
        sqlx::query("DELETE FROM refresh_token WHERE family = ?")
            .bind(family.to_string())
            .execute(&mut *self.inner)
            .await
            .map(|_| ())
            .map_err(StorageError::new)
    }
}

fn grant(row: &SqliteRow) -> Result<Grant, StorageError> {
    Ok(Grant {
        client_id: guid(row, "client_id")?,
        user: guid(row, "user_id")?,
        session: guid(row, "session_id")?,
        scopes: column(row, "scopes")?,
        authenticated_at: rows::time(row, "authenticated_at")?,
        family: guid(row, "family")?,
    })
}
