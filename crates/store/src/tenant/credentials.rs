//! Passwords of many users at once: a sync server sends them by the hundred, and a statement for each
//! would cost more than what it does.

use portolan_model::{Guid, SourceAnchor};
use portolan_tenant::storage::{Account, Credential, StorageError};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite};
use time::OffsetDateTime;

use super::SqliteTransaction;
use super::rotation::Sealed;
use super::rows::{column, guid, kind, moment, nanos};

/// Rows of one statement: four values each stay far below SQLite's 32,766.
const ROWS_MAX: usize = 1_000;

/// What a user's sealed password is bound to.
pub(super) fn context(user: Guid) -> String {
    Sealed::Credential.context(&user.to_string())
}

/// Ids as a JSON array, so that one statement takes them all.
fn array(users: &[Guid]) -> Result<String, StorageError> {
    let users: Vec<_> = users.iter().map(Guid::to_string).collect();
    serde_json::to_string(&users).map_err(StorageError::new)
}

impl SqliteTransaction {
    pub(super) async fn read_accounts(
        &mut self,
        anchors: &[&SourceAnchor],
    ) -> Result<Vec<Account>, StorageError> {
        let anchors: Vec<_> = anchors.iter().map(|anchor| anchor.as_str()).collect();
        let rows = sqlx::query(
            "SELECT o.anchor, o.id, o.kind, o.deleted_at IS NOT NULL AS is_deleted, c.changed_at
             FROM object o LEFT JOIN credential c ON c.user_id = o.id
             WHERE o.anchor IN (SELECT value FROM json_each(?)) AND o.synchronised_at IS NOT NULL",
        )
        .bind(serde_json::to_string(&anchors).map_err(StorageError::new)?)
        .fetch_all(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        let account = |row: &SqliteRow| {
            let anchor: String = column(row, "anchor")?;
            let set_at: Option<i64> = column(row, "changed_at")?;
            Ok(Account {
                anchor: anchor.parse().map_err(StorageError::new)?,
                id: guid(row, "id")?,
                kind: kind(row)?,
                is_deleted: column(row, "is_deleted")?,
                password_set_at: set_at.map(moment).transpose()?,
            })
        };
        rows.iter().map(account).collect()
    }

    pub(super) async fn write_credentials(
        &mut self,
        credentials: &[(Guid, &Credential)],
    ) -> Result<(), StorageError> {
        for credentials in credentials.chunks(ROWS_MAX) {
            let mut records = Vec::with_capacity(credentials.len());
            for (user, credential) in credentials {
                let text = credential.credential.to_text();
                let sealed = self.sealed(&context(*user), text.expose().as_bytes()).await?;
                records.push((user.to_string(), sealed, nanos(credential.changed_at)));
            }
            let mut insert = QueryBuilder::<Sqlite>::new(
                "INSERT INTO credential (user_id, key_id, sealed, changed_at) ",
            );
            insert.push_values(records, |mut row, (user, (key_id, sealed), changed_at)| {
                row.push_bind(user).push_bind(key_id).push_bind(sealed).push_bind(changed_at);
            });
            insert.push(
                " ON CONFLICT (user_id) DO UPDATE SET key_id = excluded.key_id,
                 sealed = excluded.sealed, changed_at = excluded.changed_at",
            );
            insert.build().execute(&mut *self.inner).await.map_err(StorageError::new)?;
        }
        Ok(())
    }

    pub(super) async fn end_all_sessions_of(
        &mut self,
        users: &[Guid],
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let users = array(users)?;
        for statement in [
            "DELETE FROM session WHERE user_id IN (SELECT value FROM json_each(?1))",
            "DELETE FROM code WHERE user_id IN (SELECT value FROM json_each(?1))",
            "DELETE FROM refresh_token WHERE user_id IN (SELECT value FROM json_each(?1))",
            // Whoever knew the old password is no familiar guest of who has the new one.
            "DELETE FROM device WHERE user_id IN (SELECT value FROM json_each(?1))",
            // One microsecond on if the clock did not move: two ends are never taken for one.
            "INSERT INTO session_floor (user_id, valid_from)
             SELECT value, ?2 FROM json_each(?1) WHERE true
             ON CONFLICT (user_id) DO UPDATE SET
             valid_from = max(excluded.valid_from, valid_from + 1000)",
        ] {
            sqlx::query(statement)
                .bind(&users)
                .bind(nanos(now))
                .execute(&mut *self.inner)
                .await
                .map_err(StorageError::new)?;
        }
        Ok(())
    }
}
