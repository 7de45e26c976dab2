//! What runs did, and what is wrong with objects.

use portolan_model::{Hint as _, SourceAnchor};
use portolan_sync::engine::{MetaverseKey, ObjectError, ObjectKey, Subject};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use time::OffsetDateTime;

use super::rows::{Tx, numbers};
use super::{State, StateError};

/// Runs that are remembered.
const RUNS_MAX: i64 = 10_000;

/// A run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub i64);

/// What a run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Which.
    pub id: RunId,
    /// What kind.
    pub kind: String,
    /// When it began.
    pub begun: OffsetDateTime,
    /// When it ended; `None` when it has not, or was broken off.
    pub ended: Option<OffsetDateTime>,
    /// How it ended.
    pub outcome: Option<String>,
    /// What it counted, as JSON.
    pub counts: Option<String>,
}

/// A place among errors; the default is in front of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ErrorPlace {
    subject: i64,
    key: i64,
    ordinal: i64,
}

impl Default for ErrorPlace {
    fn default() -> Self {
        Self { subject: -1, key: 0, ordinal: 0 }
    }
}

/// Something that is wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredError {
    /// Behind it, the next one is asked for.
    pub place: ErrorPlace,
    /// The object.
    pub subject: Subject,
    /// The name of the staging object, or of one that is linked to the metaverse object.
    pub dn: Option<String>,
    /// What identifies the kind of error.
    pub code: String,
    /// What is wrong.
    pub text: String,
    /// What to do.
    pub hint: Option<String>,
    /// The run that found it.
    pub run: Option<RunId>,
}

impl State {
    /// Keeps that a run begins. The oldest runs are forgotten.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn begin_run(&self, kind: &str, now: OffsetDateTime) -> Result<RunId, StateError> {
        let mut tx = self.database.write().await?;
        let id: i64 =
            sqlx::query_scalar("INSERT INTO run (kind, begun) VALUES (?, ?) RETURNING id")
                .bind(kind)
                .bind(now.unix_timestamp())
                .fetch_one(&mut *tx)
                .await?;
        for statement in ["DELETE FROM run WHERE id <= ?", "DELETE FROM run_step WHERE run <= ?"] {
            sqlx::query(statement).bind(id - RUNS_MAX).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(RunId(id))
    }

    /// Keeps how a run ended. `counts` is JSON.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn end_run(
        &self,
        run: RunId,
        outcome: &str,
        counts: &str,
        now: OffsetDateTime,
    ) -> Result<(), StateError> {
        let mut tx = self.database.write().await?;
        sqlx::query("UPDATE run SET ended = ?, outcome = ?, counts = ? WHERE id = ?")
            .bind(now.unix_timestamp())
            .bind(outcome)
            .bind(counts)
            .bind(run.0)
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// The last runs, the youngest first.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn runs(&self, limit: u32) -> Result<Vec<Run>, StateError> {
        let rows = sqlx::query(
            "SELECT id, kind, begun, ended, outcome, counts FROM run ORDER BY id DESC LIMIT ?",
        )
        .bind(limit)
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter().map(run).collect()
    }

    /// What is wrong with objects, behind a place.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn errors(
        &self,
        after: ErrorPlace,
        limit: u32,
    ) -> Result<Vec<StoredError>, StateError> {
        self.errors_found(None, after, limit).await
    }

    /// What a run found to be wrong with objects and is so still, behind a place.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn errors_of_run(
        &self,
        run: RunId,
        after: ErrorPlace,
        limit: u32,
    ) -> Result<Vec<StoredError>, StateError> {
        self.errors_found(Some(run), after, limit).await
    }

    async fn errors_found(
        &self,
        run: Option<RunId>,
        after: ErrorPlace,
        limit: u32,
    ) -> Result<Vec<StoredError>, StateError> {
        let rows = sqlx::query(
            "SELECT e.subject, e.key, e.ordinal, e.code, e.text, e.hint, e.run, (SELECT dn
                 FROM staged s WHERE s.key = iif(e.subject = 0, e.key, (SELECT min(link.key)
                     FROM link WHERE link.metaverse = e.key))) AS dn
             FROM object_error e WHERE (e.subject, e.key, e.ordinal) > (?1, ?2, ?3)
                 AND (?5 IS NULL OR e.run = ?5)
             ORDER BY e.subject, e.key, e.ordinal LIMIT ?4",
        )
        .bind(after.subject)
        .bind(after.key)
        .bind(after.ordinal)
        .bind(limit)
        .bind(run.map(|run| run.0))
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter()
            .map(|row| {
                let (subject, key) = (row.try_get("subject")?, row.try_get("key")?);
                Ok(StoredError {
                    place: ErrorPlace { subject, key, ordinal: row.try_get("ordinal")? },
                    subject: match subject {
                        0 => Subject::Staged(ObjectKey(key)),
                        _ => Subject::Metaverse(MetaverseKey(key)),
                    },
                    dn: row.try_get("dn")?,
                    code: row.try_get("code")?,
                    text: row.try_get("text")?,
                    hint: row.try_get("hint")?,
                    run: row.try_get::<Option<i64>, _>("run")?.map(RunId),
                })
            })
            .collect()
    }

    /// Queues every object with which something is wrong: it may be right by now without having
    /// changed itself.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn queue_errors(&self) -> Result<(), StateError> {
        let mut tx = self.database.write().await?;
        sqlx::query(
            "REPLACE INTO pending_object (key)
             SELECT DISTINCT key FROM object_error WHERE subject = 0
             UNION SELECT min(link.key) FROM object_error e JOIN link ON link.metaverse = e.key
                 WHERE e.subject = 1 GROUP BY e.key",
        )
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }
}

/// A time as it is kept.
pub(super) fn time(seconds: i64) -> Result<OffsetDateTime, StateError> {
    let corrupt = |_| StateError::corrupt("the time of a run");
    OffsetDateTime::from_unix_timestamp(seconds).map_err(corrupt)
}

/// A run as it is kept.
pub(super) fn run(row: &SqliteRow) -> Result<Run, StateError> {
    Ok(Run {
        id: RunId(row.try_get("id")?),
        kind: row.try_get("kind")?,
        begun: time(row.try_get("begun")?)?,
        ended: row.try_get::<Option<i64>, _>("ended")?.map(time).transpose()?,
        outcome: row.try_get("outcome")?,
        counts: row.try_get("counts")?,
    })
}

/// The numbers by which a subject is kept.
const fn place(subject: Subject) -> (i64, i64) {
    match subject {
        Subject::Staged(key) => (0, key.0),
        Subject::Metaverse(key) => (1, key.0),
    }
}

/// Forgets what was wrong with objects.
pub(super) async fn clear(
    tx: &mut Tx,
    subjects: impl IntoIterator<Item = Subject>,
) -> Result<(), StateError> {
    let mut keys = [Vec::new(), Vec::new()];
    for subject in subjects {
        let (kind, key) = place(subject);
        keys[usize::from(kind == 1)].push(key);
    }
    for (kind, keys) in (0_i64..).zip(keys) {
        sqlx::query(
            "DELETE FROM object_error WHERE subject = ? AND key IN (SELECT value FROM json_each(?))",
        )
        .bind(kind)
        .bind(numbers(keys))
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Keeps what is wrong with objects, behind what is known to be wrong with them.
pub(super) async fn put(
    tx: &mut Tx,
    run: Option<RunId>,
    errors: impl IntoIterator<Item = &ObjectError>,
) -> Result<(), StateError> {
    for error in errors {
        let (subject, key) = place(error.subject);
        sqlx::query(
            "INSERT INTO object_error (subject, key, ordinal, code, text, hint, run, anchor)
             SELECT ?1, ?2, coalesce(max(ordinal), 0) + 1, ?3, ?4, ?5, ?6, ?7
             FROM object_error WHERE subject = ?1 AND key = ?2",
        )
        .bind(subject)
        .bind(key)
        .bind(error.fault.code())
        .bind(error.fault.to_string())
        .bind(error.fault.hint())
        .bind(run.map(|run| run.0))
        .bind(error.fault.disputed().map(SourceAnchor::as_str))
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}
