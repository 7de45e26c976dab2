//! The engine's transaction, over SQLite.

use std::sync::Arc;

use portolan_legacy_crypto::pph1::CredentialData;
use portolan_model::{Guid, SourceAnchor};
use portolan_tenant::application::Application;
use portolan_tenant::directory::{
    Definition, Kind, Name, Object, Photo, ProvisioningError, Reference,
};
use portolan_tenant::feature::Features;
use portolan_tenant::grant::DEVICE_LIFETIME;
use portolan_tenant::storage::{
    Account, AuditRecord, Code, Credential, IngestedBatch, ReferenceChange, RefreshToken, Session,
    SignInRecord, StorageError, Transaction,
};
use portolan_tenant::throttle::{FORGOTTEN_AFTER, Throttle};
use portolan_tenant::{Digest, Tenant};
use sqlx::Sqlite;
use time::{Duration, OffsetDateTime};

use super::credentials::context;
use super::rows::{self, column, guid, moment, nanos};
use crate::vault::Keyring;

/// How long a batch's answer is kept: a sender that was away longer begins anew.
const BATCH_KEPT: Duration = Duration::days(7);

/// How long the logs are kept.
const LOG_KEPT: Duration = Duration::days(90);

/// Lines of the sign-in log that are kept, some 200 octets each: anyone who reaches the sign-in page
/// can write them. The older ones go first.
const SIGN_INS_MAX: i64 = 2_000_000;

/// Lines of the audit log about the directory's objects that are kept, and of those about everything
/// else; the older ones go first. They are counted apart, so that a sync server which writes without end
/// pushes nothing of what was administered out of the log, its own enrolment and keys among it.
const AUDITS_MAX: i64 = 2_000_000;

/// A transaction of [`super::SqliteStore`].
#[derive(Debug)]
pub struct SqliteTransaction {
    pub(super) inner: sqlx::Transaction<'static, Sqlite>,
    pub(super) keys: Arc<Keyring>,
    /// The name of the key that seals, once it was read.
    pub(super) sealing: Option<String>,
}

/// A sealed credential is no text.
#[derive(Debug, thiserror::Error)]
#[error("a stored credential does not read")]
struct BadCredential;

impl Transaction for SqliteTransaction {
    async fn commit(self) -> Result<(), StorageError> {
        self.inner.commit().await.map_err(StorageError::new)
    }

    async fn tenant(&mut self) -> Result<Tenant, StorageError> {
        self.read_tenant().await
    }

    async fn object(&mut self, id: Guid) -> Result<Option<Object>, StorageError> {
        self.object_where_id(id).await
    }

    async fn object_by_anchor(
        &mut self,
        anchor: &SourceAnchor,
    ) -> Result<Option<Object>, StorageError> {
        self.object_where_anchor(anchor).await
    }

    async fn objects_by_anchor(
        &mut self,
        anchors: &[&SourceAnchor],
    ) -> Result<Vec<Object>, StorageError> {
        self.objects_where_anchors(anchors).await
    }

    async fn objects_by_id(&mut self, ids: &[Guid]) -> Result<Vec<Object>, StorageError> {
        self.objects_where_ids(ids).await
    }

    async fn administrators(&mut self, users: &[Guid]) -> Result<Vec<Guid>, StorageError> {
        self.read_administrators(users).await
    }

    async fn features(&mut self) -> Result<Features, StorageError> {
        self.read_features().await
    }

    async fn extensions(&mut self) -> Result<Vec<Definition>, StorageError> {
        self.read_extensions().await
    }

    async fn provisioning_errors(
        &mut self,
        objects: &[Guid],
    ) -> Result<Vec<ProvisioningError>, StorageError> {
        self.read_errors(objects).await
    }

    async fn put_provisioning_errors(
        &mut self,
        errors: &[(Guid, Vec<ProvisioningError>)],
    ) -> Result<(), StorageError> {
        self.write_errors(errors).await
    }

    async fn free_values(&mut self, count: u32) -> Result<Vec<ProvisioningError>, StorageError> {
        self.read_free_values(count).await
    }

    async fn name_holders(&mut self, names: &[Name]) -> Result<Vec<(Name, Guid)>, StorageError> {
        self.read_holders(names).await
    }

    async fn accounts(&mut self, anchors: &[&SourceAnchor]) -> Result<Vec<Account>, StorageError> {
        self.read_accounts(anchors).await
    }

    async fn user_by_name(&mut self, name: &str) -> Result<Option<Object>, StorageError> {
        self.object_where_name(Name::principal(name)).await
    }

    async fn put_object(&mut self, object: &Object) -> Result<(), StorageError> {
        self.write_objects(&[object]).await
    }

    async fn put_objects(&mut self, objects: &[&Object]) -> Result<(), StorageError> {
        self.write_objects(objects).await
    }

    async fn objects(
        &mut self,
        kind: Kind,
        after: Option<Guid>,
        count: u32,
    ) -> Result<Vec<Object>, StorageError> {
        self.living(kind, after, count).await
    }

    async fn count_objects(&mut self, kind: Kind) -> Result<u64, StorageError> {
        let (count,): (i64,) =
            sqlx::query_as("SELECT count(*) FROM object WHERE kind = ? AND deleted_at IS NULL")
                .bind(kind.as_str())
                .fetch_one(&mut *self.inner)
                .await
                .map_err(StorageError::new)?;
        u64::try_from(count).map_err(StorageError::new)
    }

    async fn change_references(&mut self, changes: &[ReferenceChange]) -> Result<(), StorageError> {
        self.write_references(changes).await
    }

    async fn end_references_to(&mut self, anchors: &[&SourceAnchor]) -> Result<(), StorageError> {
        self.end_links_to(anchors).await
    }

    async fn members(
        &mut self,
        group: Guid,
        after: Option<Guid>,
        count: u32,
    ) -> Result<Vec<Object>, StorageError> {
        self.living_members(group, after, count).await
    }

    async fn group_by_unique_name(&mut self, name: &str) -> Result<Option<Object>, StorageError> {
        self.object_where_name(Name::unique(name)).await
    }

    async fn device_by_id(&mut self, device_id: Guid) -> Result<Option<Object>, StorageError> {
        self.object_where_name(Name::device(&device_id.to_string())).await
    }

    async fn referred(
        &mut self,
        whose: (Guid, Reference),
        after: Option<Guid>,
        count: u32,
    ) -> Result<Vec<Object>, StorageError> {
        self.living_referred(whose, after, count).await
    }

    async fn add_references(
        &mut self,
        whose: (Guid, Reference),
        to: &[Guid],
    ) -> Result<(), StorageError> {
        self.link(whose, to).await
    }

    async fn referred_among(
        &mut self,
        whose: (Guid, Reference),
        among: &[Guid],
    ) -> Result<Vec<Guid>, StorageError> {
        self.linked_among(whose, among).await
    }

    async fn remove_reference(
        &mut self,
        whose: (Guid, Reference),
        to: Guid,
    ) -> Result<bool, StorageError> {
        self.unlink(whose, to).await
    }

    async fn put_manager(&mut self, user: Guid, manager: Option<Guid>) -> Result<(), StorageError> {
        self.link_manager(user, manager).await
    }

    async fn manager(&mut self, user: Guid) -> Result<Option<Object>, StorageError> {
        self.living_manager(user).await
    }

    async fn direct_reports(
        &mut self,
        user: Guid,
        after: Option<Guid>,
        count: u32,
    ) -> Result<Vec<Object>, StorageError> {
        self.living_reports(user, after, count).await
    }

    async fn photo(&mut self, user: Guid) -> Result<Option<Photo>, StorageError> {
        self.read_photo(user).await
    }

    async fn put_photos(&mut self, photos: &[(Guid, Option<&Photo>)]) -> Result<(), StorageError> {
        self.write_photos(photos).await
    }

    async fn credential(&mut self, user: Guid) -> Result<Option<Credential>, StorageError> {
        let row =
            sqlx::query("SELECT key_id, sealed, changed_at FROM credential WHERE user_id = ?")
                .bind(user.to_string())
                .fetch_optional(&mut *self.inner)
                .await
                .map_err(StorageError::new)?;
        let Some(row) = row else { return Ok(None) };
        let plain =
            self.opened(column(&row, "key_id")?, &context(user), column(&row, "sealed")?)?;
        let text = std::str::from_utf8(&plain).map_err(|_| StorageError::new(BadCredential))?;
        let credential = CredentialData::parse(text).map_err(StorageError::new)?;
        Ok(Some(Credential { credential, changed_at: rows::time(&row, "changed_at")? }))
    }

    async fn put_credential(
        &mut self,
        user: Guid,
        credential: &Credential,
    ) -> Result<(), StorageError> {
        self.write_credentials(&[(user, credential)]).await
    }

    async fn put_credentials(
        &mut self,
        credentials: &[(Guid, &Credential)],
    ) -> Result<(), StorageError> {
        self.write_credentials(credentials).await
    }

    async fn erase_credential(&mut self, user: Guid) -> Result<(), StorageError> {
        sqlx::query("DELETE FROM credential WHERE user_id = ?")
            .bind(user.to_string())
            .execute(&mut *self.inner)
            .await
            .map(|_| ())
            .map_err(StorageError::new)
    }

    async fn password_set_at(
        &mut self,
        user: Guid,
    ) -> Result<Option<OffsetDateTime>, StorageError> {
        let row: Option<(i64,)> =
            sqlx::query_as("SELECT changed_at FROM credential WHERE user_id = ?")
                .bind(user.to_string())
                .fetch_optional(&mut *self.inner)
                .await
                .map_err(StorageError::new)?;
        row.map(|(at,)| moment(at)).transpose()
    }

    async fn end_sessions_of(
        &mut self,
        user: Guid,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        self.end_all_sessions_of(&[user], now).await
    }

    async fn end_sessions_of_all(
        &mut self,
        users: &[Guid],
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        self.end_all_sessions_of(users, now).await
    }

    async fn sessions_valid_from(
        &mut self,
        user: Guid,
    ) -> Result<Option<OffsetDateTime>, StorageError> {
        self.read_session_floor(user).await
    }

    async fn device_exists(&mut self, device: &Digest) -> Result<bool, StorageError> {
        self.count_devices(device, None).await
    }

    async fn device_knows(&mut self, device: &Digest, user: Guid) -> Result<bool, StorageError> {
        self.count_devices(device, Some(user)).await
    }

    async fn put_device(
        &mut self,
        device: &Digest,
        user: Guid,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        self.write_device(device, user, now).await
    }

    async fn throttle(&mut self, name: &Digest) -> Result<Option<Throttle>, StorageError> {
        let row: Option<(u32, i64, Option<i64>)> =
            sqlx::query_as("SELECT failures, failed_at, locked_until FROM throttle WHERE name = ?")
                .bind(name.octets().as_slice())
                .fetch_optional(&mut *self.inner)
                .await
                .map_err(StorageError::new)?;
        row.map(|(failures, failed_at, locked_until)| {
            Ok(Throttle {
                failures,
                failed_at: moment(failed_at)?,
                locked_until: locked_until.map(moment).transpose()?,
            })
        })
        .transpose()
    }

    async fn put_throttle(
        &mut self,
        name: &Digest,
        throttle: Option<&Throttle>,
    ) -> Result<(), StorageError> {
        let name = name.octets().as_slice();
        let query = match throttle {
            None => sqlx::query("DELETE FROM throttle WHERE name = ?").bind(name),
            Some(throttle) => sqlx::query(
                "INSERT INTO throttle (name, failures, failed_at, locked_until)
                 VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET
                 failures = excluded.failures, failed_at = excluded.failed_at,
                 locked_until = excluded.locked_until",
            )
            .bind(name)
            .bind(throttle.failures)
            .bind(nanos(throttle.failed_at))
            .bind(throttle.locked_until.map(nanos)),
        };
        query.execute(&mut *self.inner).await.map(|_| ()).map_err(StorageError::new)
    }

    async fn put_session(&mut self, session: &Session) -> Result<(), StorageError> {
        self.write_session(session).await
    }

    async fn session(&mut self, digest: &Digest) -> Result<Option<Session>, StorageError> {
        self.read_session(digest).await
    }

    async fn end_session(&mut self, digest: &Digest) -> Result<(), StorageError> {
        self.delete_session(digest).await
    }

    async fn put_code(&mut self, code: &Code) -> Result<(), StorageError> {
        self.write_code(code).await
    }

    async fn code(&mut self, digest: &Digest) -> Result<Option<Code>, StorageError> {
        self.read_code(digest).await
    }

    async fn put_refresh_token(&mut self, token: &RefreshToken) -> Result<(), StorageError> {
        self.write_refresh_token(token).await
    }

    async fn refresh_token(
        &mut self,
        digest: &Digest,
    ) -> Result<Option<RefreshToken>, StorageError> {
        self.read_refresh_token(digest).await
    }

    async fn end_family(&mut self, family: Guid) -> Result<(), StorageError> {
        self.delete_family(family).await
    }

    async fn use_once(
        &mut self,
        name: &Digest,
        until: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        sqlx::query("INSERT OR IGNORE INTO used_once (name, until) VALUES (?, ?)")
            .bind(name.octets().as_slice())
            .bind(nanos(until))
            .execute(&mut *self.inner)
            .await
            .map(|done| done.rows_affected() == 1)
            .map_err(StorageError::new)
    }

    async fn application(&mut self, client_id: Guid) -> Result<Option<Application>, StorageError> {
        let row = sqlx::query("SELECT * FROM application WHERE client_id = ?")
            .bind(client_id.to_string())
            .fetch_optional(&mut *self.inner)
            .await
            .map_err(StorageError::new)?;
        row.as_ref().map(rows::application).transpose()
    }

    async fn applications(&mut self) -> Result<Vec<Application>, StorageError> {
        let rows = sqlx::query("SELECT * FROM application ORDER BY name, client_id")
            .fetch_all(&mut *self.inner)
            .await
            .map_err(StorageError::new)?;
        rows.iter().map(rows::application).collect()
    }

    async fn put_application(&mut self, application: &Application) -> Result<(), StorageError> {
        sqlx::query(
            "INSERT INTO application (client_id, name, doc) VALUES (?, ?, ?)
             ON CONFLICT (client_id) DO UPDATE SET name = excluded.name, doc = excluded.doc",
        )
        .bind(application.client_id.to_string())
        .bind(application.name.as_str())
        .bind(rows::application_document(application)?)
        .execute(&mut *self.inner)
        .await
        .map(|_| ())
        .map_err(StorageError::new)
    }

    async fn put_enrolment(
        &mut self,
        secret: &Digest,
        until: OffsetDateTime,
    ) -> Result<(), StorageError> {
        sqlx::query("INSERT INTO enrolment (secret, until) VALUES (?, ?)")
            .bind(secret.octets().as_slice())
            .bind(nanos(until))
            .execute(&mut *self.inner)
            .await
            .map(|_| ())
            .map_err(StorageError::new)
    }

    async fn take_enrolment(
        &mut self,
        secret: &Digest,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        sqlx::query("DELETE FROM enrolment WHERE secret = ? AND until > ?")
            .bind(secret.octets().as_slice())
            .bind(nanos(now))
            .execute(&mut *self.inner)
            .await
            .map(|done| done.rows_affected() == 1)
            .map_err(StorageError::new)
    }

    async fn batch(&mut self, id: Guid) -> Result<Option<IngestedBatch>, StorageError> {
        let row = sqlx::query("SELECT * FROM ingested_batch WHERE id = ?")
            .bind(id.to_string())
            .fetch_optional(&mut *self.inner)
            .await
            .map_err(StorageError::new)?;
        row.map(|row| {
            Ok(IngestedBatch {
                id: guid(&row, "id")?,
                digest: rows::digest(&row, "digest")?,
                answer: column(&row, "answer")?,
                at: rows::time(&row, "at")?,
            })
        })
        .transpose()
    }

    async fn put_batch(&mut self, batch: &IngestedBatch) -> Result<(), StorageError> {
        sqlx::query("INSERT INTO ingested_batch (id, digest, answer, at) VALUES (?, ?, ?, ?)")
            .bind(batch.id.to_string())
            .bind(batch.digest.octets().as_slice())
            .bind(batch.answer.as_str())
            .bind(nanos(batch.at))
            .execute(&mut *self.inner)
            .await
            .map(|_| ())
            .map_err(StorageError::new)
    }

    async fn record_sign_in(&mut self, record: &SignInRecord) -> Result<(), StorageError> {
        sqlx::query(
            "INSERT INTO sign_in_log (at, correlation_id, user_id, client_id, address, method,
             error) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(nanos(record.at))
        .bind(record.correlation_id.to_string())
        .bind(record.user.map(|id| id.to_string()))
        .bind(record.client_id.map(|id| id.to_string()))
        .bind(record.address.to_string())
        .bind(record.method)
        .bind(record.rule.map(portolan_tenant::Rule::number))
        .execute(&mut *self.inner)
        .await
        .map(|_| ())
        .map_err(StorageError::new)
    }

    async fn record_audit(&mut self, record: &AuditRecord) -> Result<(), StorageError> {
        sqlx::query("INSERT INTO audit_log (at, actor, action, target) VALUES (?, ?, ?, ?)")
            .bind(nanos(record.at))
            .bind(record.actor.as_str())
            .bind(record.action)
            .bind(record.target.as_str())
            .execute(&mut *self.inner)
            .await
            .map(|_| ())
            .map_err(StorageError::new)
    }

    async fn prune(&mut self, now: OffsetDateTime) -> Result<(), StorageError> {
        for (statement, before) in [
            ("DELETE FROM session WHERE expires_at <= ?", now),
            ("DELETE FROM code WHERE expires_at <= ?", now),
            ("DELETE FROM refresh_token WHERE expires_at <= ?", now),
            ("DELETE FROM used_once WHERE until <= ?", now),
            ("DELETE FROM enrolment WHERE until <= ?", now),
            ("DELETE FROM device WHERE seen_at <= ?", now - DEVICE_LIFETIME),
            ("DELETE FROM throttle WHERE failed_at <= ?", now - FORGOTTEN_AFTER),
            ("DELETE FROM ingested_batch WHERE at <= ?", now - BATCH_KEPT),
            ("DELETE FROM sign_in_log WHERE at <= ?", now - LOG_KEPT),
            ("DELETE FROM audit_log WHERE at <= ?", now - LOG_KEPT),
        ] {
            sqlx::query(statement)
                .bind(nanos(before))
                .execute(&mut *self.inner)
                .await
                .map_err(StorageError::new)?;
        }
        self.purge(now).await?;
        self.cut_sign_in_log(SIGN_INS_MAX).await?;
        self.cut_audit_log(AUDITS_MAX).await
    }
}

impl SqliteTransaction {
    /// Forgets the lines of the sign-in log in front of the last `count`.
    pub(super) async fn cut_sign_in_log(&mut self, count: i64) -> Result<(), StorageError> {
        sqlx::query("DELETE FROM sign_in_log WHERE rid <= (SELECT max(rid) FROM sign_in_log) - ?")
            .bind(count)
            .execute(&mut *self.inner)
            .await
            .map(|_| ())
            .map_err(StorageError::new)
    }

    /// Forgets the lines of the audit log in front of the last `count` about objects, and in front of
    /// the last `count` about everything else.
    pub(super) async fn cut_audit_log(&mut self, count: i64) -> Result<(), StorageError> {
        for of_objects in [true, false] {
            sqlx::query(
                "DELETE FROM audit_log WHERE (action IN ('object.upsert', 'object.delete',
                 'object.references', 'object.heal', 'photo.set', 'credential.set')) = ?1 AND rid <= (SELECT rid FROM audit_log
                 WHERE (action IN ('object.upsert', 'object.delete',
                 'object.references', 'object.heal', 'photo.set', 'credential.set')) = ?1
                 ORDER BY rid DESC LIMIT 1 OFFSET ?2)",
            )
            .bind(of_objects)
            .bind(count)
            .execute(&mut *self.inner)
            .await
            .map_err(StorageError::new)?;
        }
        Ok(())
    }
}
