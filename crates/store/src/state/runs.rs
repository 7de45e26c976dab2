//! What runs did, and what is wrong with objects.

use super::effects::Wrong;
use portolan_sync::engine::ObjectKey;
use sqlx::Row as _;
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

/// Something that is wrong with an object of a forest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredError {
    /// The object.
    pub object: ObjectKey,
    /// Its name, if it is staged.
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
        sqlx::query("DELETE FROM run WHERE id <= ?").bind(id - RUNS_MAX).execute(&mut *tx).await?;
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
        let time = |seconds: i64| {
            let corrupt = |_| StateError::corrupt("the time of a run");
            OffsetDateTime::from_unix_timestamp(seconds).map_err(corrupt)
        };
        rows.iter()
            .map(|row| {
                Ok(Run {
                    id: RunId(row.try_get("id")?),
                    kind: row.try_get("kind")?,
                    begun: time(row.try_get("begun")?)?,
                    ended: row.try_get::<Option<i64>, _>("ended")?.map(time).transpose()?,
                    outcome: row.try_get("outcome")?,
                    counts: row.try_get("counts")?,
                })
            })
            .collect()
    }

    /// What is wrong with objects, in the order of their keys, behind one.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn errors(
        &self,
        after: Option<(ObjectKey, &str)>,
        limit: u32,
    ) -> Result<Vec<StoredError>, StateError> {
        let (key, code) = after.map_or((i64::MIN, ""), |(key, code)| (key.0, code));
        let rows = sqlx::query(
            "SELECT e.key, s.dn, e.code, e.text, e.hint, e.run FROM object_error e
             LEFT JOIN staged s ON s.key = e.key WHERE (e.key, e.code) > (?, ?)
             ORDER BY e.key, e.code LIMIT ?",
        )
        .bind(key)
        .bind(code)
        .bind(limit)
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(StoredError {
                    object: ObjectKey(row.try_get("key")?),
                    dn: row.try_get("dn")?,
                    code: row.try_get("code")?,
                    text: row.try_get("text")?,
                    hint: row.try_get("hint")?,
                    run: row.try_get::<Option<i64>, _>("run")?.map(RunId),
                })
            })
            .collect()
    }

    /// Which of these objects have something wrong with them.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn with_errors(&self, objects: &[ObjectKey]) -> Result<Vec<ObjectKey>, StateError> {
        let keys: Vec<i64> = sqlx::query_scalar(
            "SELECT DISTINCT key FROM object_error WHERE key IN (SELECT value FROM json_each(?))",
        )
        .bind(numbers(objects.iter().map(|key| key.0)))
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        Ok(keys.into_iter().map(ObjectKey).collect())
    }

    /// Forgets what is wrong with an object.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn clear_error(&self, object: ObjectKey) -> Result<(), StateError> {
        let mut tx = self.database.write().await?;
        clear(&mut tx, [object.0]).await?;
        Ok(tx.commit().await?)
    }
}

/// Forgets what was wrong with objects.
pub(super) async fn clear(
    tx: &mut Tx,
    objects: impl IntoIterator<Item = i64>,
) -> Result<(), StateError> {
    sqlx::query("DELETE FROM object_error WHERE key IN (SELECT value FROM json_each(?))")
        .bind(numbers(objects))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Keeps what is wrong with objects.
pub(super) async fn put(
    tx: &mut Tx,
    run: Option<RunId>,
    errors: &[Wrong],
) -> Result<(), StateError> {
    for error in errors {
        sqlx::query(
            "REPLACE INTO object_error (key, code, text, hint, run) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(error.object.0)
        .bind(error.code)
        .bind(&error.text)
        .bind(error.hint.as_deref())
        .bind(run.map(|run| run.0))
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}
