//! The tenant's database: one connection that writes, some that read and never wait for it.

use std::path::Path;

use sqlx::migrate::Migrator;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::sqlite;

/// Connections that read at the same time.
const READERS_MAX: u32 = 4;

/// A database: one writing connection and some reading ones.
#[derive(Debug, Clone)]
pub(super) struct Database {
    writer: SqlitePool,
    readers: SqlitePool,
}

/// Why a database does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be opened.
    #[error("the database {path} cannot be opened")]
    Open {
        /// The file.
        path: String,
        /// Why.
        source: sqlx::Error,
    },
    /// The schema is not one that this release reads.
    #[error("the schema of the database {path} cannot be brought to this release's")]
    Schema {
        /// The file.
        path: String,
        /// Why.
        source: sqlx::migrate::MigrateError,
    },
}

impl portolan_model::Hint for OpenError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Open { .. } => Some("give the directory that `init` made, as its owner".into()),
            Self::Schema { .. } => Some("a newer release has written it: use that release".into()),
        }
    }
}

impl Database {
    /// Opens a database and brings its schema up to date. With `create`, the file is made.
    ///
    /// # Errors
    /// When the file does not open or its schema is from a newer release.
    pub(super) async fn open(
        path: &Path,
        migrations: &Migrator,
        create: bool,
    ) -> Result<Self, OpenError> {
        let name = || path.display().to_string();
        let opened = |source| OpenError::Open { path: name(), source };
        let options = sqlite::options(path)
            .create_if_missing(create)
            // What is erased is overwritten, not merely forgotten: credentials among it.
            .pragma("secure_delete", "ON");
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options.clone())
            .await
            .map_err(opened)?;
        migrations
            .run(&writer)
            .await
            .map_err(|source| OpenError::Schema { path: name(), source })?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .connect_with(options.read_only(true))
            .await
            .map_err(opened)?;
        Ok(Self { writer, readers })
    }

    /// A transaction that writes. It takes the lock at once, so that it never fails half-way for
    /// another's sake.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) async fn write(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }

    /// A transaction that reads one state.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) async fn read(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.readers.begin().await
    }

    /// Closes all connections, after what they are doing.
    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}
