//! Opening a SQLite database: write-ahead log, every commit on disk before it counts, one writer.
//!
//! A database is a file that its owner alone may read, wherever it is copied to; SQLite gives the
//! files beside it (`-wal`, `-shm`) the same permissions. Readers have connections of
//! their own and never wait for the writer.
//!
//! # Schema versions
//! A schema is a directory of numbered steps, `migrations/<database>/0002_what_changes.sql`. Opening a
//! database takes the steps that it lacks, in order, each in a transaction of its own that also writes
//! down the step's number and the digest of its text: one that was broken off was not taken. So a step
//! that was released is never changed again; a change is a further step. A number that this release
//! does not have is a newer release's: the database is refused, and nothing is written to it. The
//! states that earlier releases wrote are in `tests/releases`, and each of them must open.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool, Transaction};

/// Connections that read at the same time, at least.
const READERS_MIN: u32 = 4;

/// How many are to read a whole database side by side: one more than there are cores, because one whose answer is on
/// its way from a connection's thread to its own keeps no core at work. A single core is kept at work by one.
#[must_use]
pub fn readers_at_once() -> usize {
    match std::thread::available_parallelism().map_or(1, usize::from) {
        1 => 1,
        cores => cores + 1,
    }
}

/// Connections that read: as many as go through all of it, and one for who asks meanwhile.
fn connections() -> u32 {
    u32::try_from(readers_at_once() + 1).unwrap_or(READERS_MIN).max(READERS_MIN)
}

/// How long a writer waits for another process's.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a writer waits for one of its own process, which may be reading from a network meanwhile: as
/// long as an import may take to be given up.
const TURN_TIMEOUT: Duration = Duration::from_secs(600);

/// How a transaction begins that writes.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// The permissions of the file: its owner reads and writes, nobody else does.
const OWNER_ONLY: u32 = 0o600;

/// A database: one writing connection and some reading ones.
#[derive(Debug, Clone)]
pub struct Database {
    writer: SqlitePool,
    readers: SqlitePool,
    /// Whether a simulation took its power away: nothing brings the writer back then.
    is_powerless: Arc<AtomicBool>,
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
    /// A newer release has written it.
    #[error("the database {path} has schema version {found}, and this release knows {known}")]
    Newer {
        /// The file.
        path: String,
        /// The version that was found.
        found: i64,
        /// The newest version that this release knows.
        known: i64,
    },
    /// A step of its schema is not the one that this release knows by the number.
    #[error("step {version} of the schema of the database {path} is not this release's")]
    Foreign {
        /// The file.
        path: String,
        /// The step.
        version: i64,
    },
    /// The steps that it lacks cannot be taken.
    #[error("the schema of the database {path} cannot be brought to this release's")]
    Schema {
        /// The file.
        path: String,
        /// Why.
        source: MigrateError,
    },
}

impl portolan_model::Hint for OpenError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Open { .. } => Some("give the directory that `init` made, as its owner".into()),
            Self::Newer { .. } => {
                Some("run the release that wrote it, or restore a backup of before".into())
            }
            Self::Foreign { .. } => {
                Some("another build has written it: run that one, or restore a backup".into())
            }
            Self::Schema { .. } => {
                Some("nothing was lost: see that the disk has room, and try again".into())
            }
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
            .acquire_timeout(TURN_TIMEOUT)
            .connect_with(options.clone())
            .await
            .map_err(opened)?;
        bring_up_to_date(&writer, migrations)
            .await
            .map_err(|error| wrong(error, &name, migrations))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(connections())
            .connect_with(options.read_only(true))
            .await
            .map_err(opened)?;
        Ok(Self { writer, readers, is_powerless: Arc::default() })
    }

    /// The version of its schema: the number of the last step.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn schema_version(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
            .fetch_one(&self.readers)
            .await
    }

    /// A transaction that writes. It takes the lock at once, so that it never fails half-way for
    /// another's sake.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn write(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        match self.writer.begin_with(BEGIN).await {
            // On a full disk SQLite ends a transaction by itself, and the connection believes that it is
            // still inside: another one takes its place, so that it goes on when there is room.
            Err(sqlx::Error::InvalidSavePointStatement)
                if !self.is_powerless.load(Ordering::Relaxed) =>
            {
                self.writer.acquire().await?.close().await?;
                self.writer.begin_with(BEGIN).await
            }
            begun => begun,
        }
    }

    /// A transaction that reads one state.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn read(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.readers.begin().await
    }

    /// Moves all of the write-ahead log into the database, and empties it if no reader needs it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn checkpoint(&self) -> Result<(), sqlx::Error> {
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.writer).await.map(|_| ())
    }

    /// Writes a copy of the database as it is now to a file that its owner alone may read, and that is
    /// not there yet.
    ///
    /// # Errors
    /// When the file is there or cannot be written.
    pub async fn copy_to(&self, path: &Path) -> Result<(), sqlx::Error> {
        std::fs::OpenOptions::new().create_new(true).append(true).mode(OWNER_ONLY).open(path)?;
        sqlx::query("VACUUM INTO ?")
            .bind(path.to_string_lossy())
            .execute(&self.readers)
            .await
            .map(|_| ())
    }

    /// Commits so many transactions more and none after them, as a host that loses its power: what a
    /// simulation does between any two of them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn lose_power_after(&self, mut commits: u32) -> Result<(), sqlx::Error> {
        self.is_powerless.store(true, Ordering::Relaxed);
        let mut writer = self.writer.acquire().await?;
        writer.lock_handle().await?.set_commit_hook(move || {
            let commits_this = commits > 0;
            commits = commits.saturating_sub(1);
            commits_this
        });
        Ok(())
    }

    /// Closes all connections, after what they are doing.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Takes the steps that a database lacks. Of two processes that open it at the same time, one fails at
/// a step that the other has taken by then: it looks again, at most once for each step.
async fn bring_up_to_date(writer: &SqlitePool, migrations: &Migrator) -> Result<(), MigrateError> {
    for _ in migrations.iter() {
        match migrations.run(writer).await {
            Err(MigrateError::Execute(_) | MigrateError::ExecuteMigration(..)) => {}
            done => return done,
        }
    }
    migrations.run(writer).await
}

fn wrong(error: MigrateError, name: &impl Fn() -> String, migrations: &Migrator) -> OpenError {
    let path = name();
    let known = migrations.iter().map(|step| step.version).max().unwrap_or_default();
    match error {
        MigrateError::VersionMissing(found) if found > known => {
            OpenError::Newer { path, found, known }
        }
        MigrateError::VersionMissing(version) | MigrateError::VersionMismatch(version) => {
            OpenError::Foreign { path, version }
        }
        source => OpenError::Schema { path, source },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use portolan_model::Hint as _;
    use sqlx::SqlSafeStr as _;
    use sqlx::migrate::{Migration, MigrationType};

    use super::*;

    /// A schema of these steps, by number and text.
    fn schema(steps: &[(i64, &'static str)]) -> Migrator {
        let step = |&(version, text): &(i64, &'static str)| {
            let kind = MigrationType::Simple;
            Migration::new(version, "step".into(), kind, text.into_sql_str(), false)
        };
        Migrator::with_migrations(steps.iter().map(step).collect())
    }

    const FIRST: (i64, &str) = (1, "CREATE TABLE a (x INTEGER NOT NULL); INSERT INTO a VALUES (7)");
    const SECOND: (i64, &str) = (2, "ALTER TABLE a ADD COLUMN y INTEGER NOT NULL DEFAULT 8");
    const BROKEN: (i64, &str) = (3, "INSERT INTO a VALUES (9, 9); INSERT INTO nowhere VALUES (1)");

    async fn rows(database: &Database) -> Vec<(i64, i64)> {
        let mut tx = database.read().await.unwrap();
        sqlx::query_as("SELECT x, y FROM a ORDER BY x").fetch_all(&mut *tx).await.unwrap()
    }

    #[tokio::test]
    async fn a_database_takes_the_steps_that_it_lacks_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.sqlite");
        let database = Database::open(&path, &schema(&[FIRST]), true).await.unwrap();
        assert_eq!(database.schema_version().await.unwrap(), 1);
        database.close().await;
        let broken = Database::open(&path, &schema(&[FIRST, SECOND, BROKEN]), false).await;
        assert!(matches!(broken, Err(OpenError::Schema { .. })), "{broken:?}");
        let database = Database::open(&path, &schema(&[FIRST, SECOND]), false).await.unwrap();
        assert_eq!(database.schema_version().await.unwrap(), 2);
        assert_eq!(rows(&database).await, [(7, 8)], "nothing of the broken step is there");
        database.close().await;
    }

    #[tokio::test]
    async fn two_that_open_at_the_same_time_both_find_the_steps_taken() {
        let directory = tempfile::tempdir().unwrap();
        for round in 0..10 {
            let path = directory.path().join(format!("{round}.sqlite"));
            Database::open(&path, &schema(&[]), true).await.unwrap().close().await;
            let both = schema(&[FIRST, SECOND]);
            let open = || Database::open(&path, &both, false);
            let (one, other) = tokio::join!(open(), open());
            assert_eq!(rows(&one.unwrap()).await, rows(&other.unwrap()).await);
        }
    }

    #[tokio::test]
    async fn a_newer_releases_database_is_refused_and_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.sqlite");
        let newer = schema(&[FIRST, SECOND]);
        Database::open(&path, &newer, true).await.unwrap().close().await;
        let before = std::fs::read(&path).unwrap();
        let error = Database::open(&path, &schema(&[FIRST]), false).await.unwrap_err();
        let text = error.to_string();
        assert!(text.ends_with("has schema version 2, and this release knows 1"), "{text}");
        assert!(error.hint().unwrap().contains("run the release that wrote it"));
        assert_eq!(std::fs::read(&path).unwrap(), before);
        let changed = schema(&[(1, "CREATE TABLE a (z)"), SECOND]);
        let error = Database::open(&path, &changed, false).await.unwrap_err();
        assert!(matches!(error, OpenError::Foreign { version: 1, .. }), "{error}");
    }

    #[tokio::test]
    async fn a_writer_that_found_no_room_goes_on_when_there_is_room() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.sqlite");
        let database = Database::open(&path, &schema(&[FIRST]), true).await.unwrap();
        let pages: i64 =
            sqlx::query_scalar("PRAGMA page_count").fetch_one(&database.writer).await.unwrap();
        let limit = format!("PRAGMA max_page_count = {}", pages + 1);
        sqlx::query(sqlx::AssertSqlSafe(limit)).execute(&database.writer).await.unwrap();
        let mut tx = database.write().await.unwrap();
        let much = "INSERT INTO a SELECT hex(randomblob(100000)) FROM (SELECT 1 UNION SELECT 2)";
        let full = sqlx::query(much).execute(&mut *tx).await.unwrap_err();
        let code = full.as_database_error().and_then(sqlx::error::DatabaseError::code);
        assert_eq!(code.as_deref(), Some("13"), "SQLITE_FULL: {full}");
        drop(tx);
        let mut tx = database.write().await.unwrap();
        sqlx::query("INSERT INTO a VALUES (8)").execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = database.read().await.unwrap();
        let kept: Vec<i64> =
            sqlx::query_scalar("SELECT x FROM a ORDER BY x").fetch_all(&mut *tx).await.unwrap();
        assert_eq!(kept, [7, 8]);
    }

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
