//! The tenant's store over SQLite.
//!
//! The schema is in `migrations/tenant`. Passwords and the tenant's own keys are sealed
//! ([`crate::vault`]) before they reach a row; codes, cookies and refresh tokens are there as digests only.

mod administration;
mod by_id;
mod conflicts;
mod credentials;
mod directory;
mod extensions;
mod held;
#[cfg(test)]
mod ingested;
pub mod log;
mod photos;
mod read_up_to;
mod references;
pub mod retention;
pub mod rotation;
mod rows;
mod sessions;
mod sync_groups;
mod sync_servers;
#[cfg(test)]
mod tests;
mod transaction;

use std::path::Path;
use std::sync::Arc;

use portolan_model::{DnsName, Guid};
use portolan_tenant::Tenant;
use portolan_tenant::storage::{Access, StorageError, Store};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::sqlite::{Database, OpenError};
use crate::vault::Keyring;
pub use held::HeldObject;
use rotation::Sealed;
use rows::nanos;
pub use transaction::SqliteTransaction;

/// The schema, by its steps.
static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/tenant");

/// The tenant's store.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    database: Database,
    keys: Arc<Keyring>,
}

impl SqliteStore {
    /// Opens the store of a tenant.
    ///
    /// # Errors
    /// When the file is not there or is from a newer release.
    pub async fn open(path: &Path, keys: impl Into<Keyring>) -> Result<Self, OpenError> {
        Self::with(path, keys, false).await
    }

    /// Makes the store of a new tenant.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub async fn create(path: &Path, keys: impl Into<Keyring>) -> Result<Self, OpenError> {
        Self::with(path, keys, true).await
    }

    async fn with(path: &Path, keys: impl Into<Keyring>, create: bool) -> Result<Self, OpenError> {
        let database = Database::open(path, &MIGRATIONS, create).await?;
        Ok(Self { database, keys: Arc::new(keys.into()) })
    }

    #[cfg(test)]
    async fn checkpoint(&self) -> Result<(), sqlx::Error> {
        self.database.checkpoint().await
    }

    /// Closes the store, after what it is doing.
    pub async fn close(&self) {
        self.database.close().await;
    }
}

impl Store for SqliteStore {
    type Transaction = SqliteTransaction;

    async fn begin(&self, access: Access) -> Result<SqliteTransaction, StorageError> {
        let inner = match access {
            Access::Read => self.database.read().await,
            Access::Write => self.database.write().await,
        };
        let inner = inner.map_err(StorageError::new)?;
        Ok(SqliteTransaction { inner, keys: Arc::clone(&self.keys), sealing: None })
    }
}

/// What the tenant keeps for itself: who it is, its keys, its documents. These are the role's
/// business, not the engine's, and so no part of the engine's trait.
impl SqliteTransaction {
    /// Writes who the tenant is; once, when it is made.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_tenant(
        &mut self,
        tenant: &Tenant,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        sqlx::query("INSERT INTO tenant (id, domain, created_at) VALUES (?, ?, ?)")
            .bind(tenant.id.to_string())
            .bind(tenant.domain.as_str())
            .bind(nanos(now))
            .execute(&mut *self.inner)
            .await
            .map_err(StorageError::new)?;
        for domain in &tenant.verified_domains {
            sqlx::query("INSERT INTO verified_domain (name) VALUES (?)")
                .bind(domain.as_str())
                .execute(&mut *self.inner)
                .await
                .map_err(StorageError::new)?;
        }
        Ok(())
    }

    pub(crate) async fn read_tenant(&mut self) -> Result<Tenant, StorageError> {
        let (id, domain): (String, String) = sqlx::query_as("SELECT id, domain FROM tenant")
            .fetch_one(&mut *self.inner)
            .await
            .map_err(StorageError::new)?;
        let names: Vec<(String,)> =
            sqlx::query_as("SELECT name FROM verified_domain ORDER BY name")
                .fetch_all(&mut *self.inner)
                .await
                .map_err(StorageError::new)?;
        let parse = |name: &String| name.parse::<DnsName>().map_err(StorageError::new);
        Ok(Tenant {
            id: id.parse::<Guid>().map_err(StorageError::new)?,
            domain: parse(&domain)?,
            verified_domains: names.iter().map(|(name,)| parse(name)).collect::<Result<_, _>>()?,
        })
    }

    /// A key or salt of the tenant.
    ///
    /// # Errors
    /// When the store fails, or the sealed octets do not open.
    pub async fn secret(&mut self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StorageError> {
        let row: Option<(String, Vec<u8>)> =
            sqlx::query_as("SELECT key_id, sealed FROM vault WHERE name = ?")
                .bind(name)
                .fetch_optional(&mut *self.inner)
                .await
                .map_err(StorageError::new)?;
        let context = Sealed::Vault.context(name);
        row.map(|(key_id, sealed)| self.opened(&key_id, &context, &sealed)).transpose()
    }

    /// The keys and salts whose names begin so, with the moments at which they were made, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn secrets_made(
        &mut self,
        prefix: &str,
    ) -> Result<Vec<(String, OffsetDateTime)>, StorageError> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT name, created_at FROM vault WHERE substr(name, 1, length(?1)) = ?1
             ORDER BY created_at, rowid",
        )
        .bind(prefix)
        .fetch_all(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        rows.into_iter().map(|(name, made_at)| Ok((name, rows::moment(made_at)?))).collect()
    }

    /// Forgets a key or salt of the tenant.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn erase_secret(&mut self, name: &str) -> Result<(), StorageError> {
        sqlx::query("DELETE FROM vault WHERE name = ?")
            .bind(name)
            .execute(&mut *self.inner)
            .await
            .map(|_| ())
            .map_err(StorageError::new)
    }

    /// Keeps a key or salt of the tenant, sealed.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_secret(
        &mut self,
        name: &str,
        octets: &[u8],
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let (key_id, sealed) = self.sealed(&Sealed::Vault.context(name), octets).await?;
        sqlx::query(
            "INSERT INTO vault (name, key_id, sealed, created_at) VALUES (?, ?, ?, ?)
             ON CONFLICT (name) DO UPDATE SET key_id = excluded.key_id, sealed = excluded.sealed,
             created_at = excluded.created_at",
        )
        .bind(name)
        .bind(key_id)
        .bind(sealed)
        .bind(nanos(now))
        .execute(&mut *self.inner)
        .await
        .map(|_| ())
        .map_err(StorageError::new)
    }

    /// A public document of the tenant.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn document(&mut self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let row: Option<(Vec<u8>,)> = sqlx::query_as("SELECT octets FROM document WHERE name = ?")
            .bind(name)
            .fetch_optional(&mut *self.inner)
            .await
            .map_err(StorageError::new)?;
        Ok(row.map(|(octets,)| octets))
    }

    /// Keeps a public document of the tenant.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_document(&mut self, name: &str, octets: &[u8]) -> Result<(), StorageError> {
        sqlx::query(
            "INSERT INTO document (name, octets) VALUES (?, ?)
             ON CONFLICT (name) DO UPDATE SET octets = excluded.octets",
        )
        .bind(name)
        .bind(octets)
        .execute(&mut *self.inner)
        .await
        .map(|_| ())
        .map_err(StorageError::new)
    }
}
