//! How every SQLite file of this project is opened.

use std::path::Path;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::StoreError;

/// How long a writer waits for another.
const BUSY_TIME: Duration = Duration::from_secs(30);
/// Connections of a pool: one writes at a time, the others read beside it.
const CONNECTIONS_MAX: u32 = 4;

/// What holds for every file: write-ahead log, every commit synced.
pub(crate) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIME)
}

/// Opens a file, creating it when it does not exist.
pub(crate) async fn open(path: &Path) -> Result<SqlitePool, StoreError> {
    let options = options(path).create_if_missing(true);
    Ok(SqlitePoolOptions::new().max_connections(CONNECTIONS_MAX).connect_with(options).await?)
}
