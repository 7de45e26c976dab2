//! Opening a SQLite database: write-ahead log, every commit on disk before it counts, one writer.
//!
//! A database is a file that its owner alone may read, wherever it is copied to; SQLite gives the
//! files beside it (`-wal`, `-shm`) the same permissions. Readers have connections of
//! their own and never wait for the writer.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool, Transaction};

/// Connections that read at the same time.
const READERS_MAX: u32 = 4;

/// How long a writer waits for another process's.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The permissions of the file: its owner reads and writes, nobody else does.
const OWNER_ONLY: u32 = 0o600;

/// A database: one writing connection and some reading ones.
#[derive(Debug, Clone)]
pub struct Database {
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
    pub async fn open(path: &Path, migrations: &Migrator, create: bool) -> Result<Self, OpenError> {
        let name = || path.display().to_string();
        let opened = |source| OpenError::Open { path: name(), source };
        if create {
            // SQLite itself would make it readable by everyone. An existing file stays as it is.
            std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .mode(OWNER_ONLY)
                .open(path)
                .map_err(|error| opened(sqlx::Error::Io(error)))?;
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            // What is erased is overwritten, not merely forgotten: credentials among it.
            .pragma("secure_delete", "ON")
            .busy_timeout(BUSY_TIMEOUT);
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
    pub async fn write(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }

    /// A transaction that reads one state.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn read(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.readers.begin().await
    }

    /// Closes all connections, after what they are doing.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn nobody_but_the_owner_reads_a_database() {
        let directory = tempfile::tempdir().unwrap();
        let migrations = sqlx::migrate!("migrations/tenant");
        let path = directory.path().join("x.sqlite");
        assert!(Database::open(&path, &migrations, false).await.is_err(), "it is not there");
        let database = Database::open(&path, &migrations, true).await.unwrap();
        let mut names = Vec::new();
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
            names.push(entry.file_name().into_string().unwrap());
        }
        names.sort();
        assert_eq!(names, ["x.sqlite", "x.sqlite-shm", "x.sqlite-wal"]);
        database.close().await;
    }
}
