//! The steps of a run, each with what it counted, how long it took, and why it failed.

use std::time::Duration;

use sqlx::Row as _;
use time::OffsetDateTime;

use super::runs::{self, Run, RunId};
use super::{State, StateError};

/// Octets of an error that are kept.
const ERROR_OCTETS_MAX: usize = 4_096;

/// A step of a run that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepId {
    run: RunId,
    ordinal: i64,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepEnd<'a> {
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub outcome: &'a str,
    /// What it counted, as JSON.
    pub counts: &'a str,
    /// Why it failed.
    pub error: Option<&'a str>,
}

/// What a step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStep {
    /// Which: `import full`, `export`.
    pub step: String,
    /// The domain of the forest that it is about.
    pub forest: Option<String>,
    /// When it began.
    pub begun: OffsetDateTime,
    /// How long it took; `None` when it has not ended, or was broken off.
    pub took: Option<Duration>,
    /// How it ended.
    pub outcome: Option<String>,
    /// What it counted, as JSON.
    pub counts: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
}

impl State {
    /// Keeps that a step of a run begins.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn begin_step(
        &self,
        run: RunId,
        step: &str,
        forest: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<StepId, StateError> {
        let mut tx = self.database.write().await?;
        let ordinal: i64 = sqlx::query_scalar(
            "INSERT INTO run_step (run, ordinal, step, forest, begun)
             SELECT ?1, coalesce(max(ordinal), 0) + 1, ?2, ?3, ?4 FROM run_step WHERE run = ?1
             RETURNING ordinal",
        )
        .bind(run.0)
        .bind(step)
        .bind(forest)
        .bind(now.unix_timestamp())
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(StepId { run, ordinal })
    }

    /// Keeps how a step ended.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn end_step(&self, step: StepId, end: StepEnd<'_>) -> Result<(), StateError> {
        let mut tx = self.database.write().await?;
        let error = end.error.map(|text| &text[..text.floor_char_boundary(ERROR_OCTETS_MAX)]);
        sqlx::query(
            "UPDATE run_step SET milliseconds = ?, outcome = ?, counts = ?, error = ?
             WHERE run = ? AND ordinal = ?",
        )
        .bind(i64::try_from(end.took.as_millis()).unwrap_or(i64::MAX))
        .bind(end.outcome)
        .bind(end.counts)
        .bind(error)
        .bind(step.run.0)
        .bind(step.ordinal)
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// A run, if it is remembered.
    ///
    /// # Errors
    /// When it does not read back.
    pub async fn run(&self, run: RunId) -> Result<Option<Run>, StateError> {
        let row =
            sqlx::query("SELECT id, kind, begun, ended, outcome, counts FROM run WHERE id = ?")
                .bind(run.0)
                .fetch_optional(&mut *self.database.read().await?)
                .await?;
        row.as_ref().map(runs::run).transpose()
    }

    /// The steps of a run in their order.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn run_steps(&self, run: RunId) -> Result<Vec<RunStep>, StateError> {
        let rows = sqlx::query(
            "SELECT step, forest, begun, milliseconds, outcome, counts, error FROM run_step
             WHERE run = ? ORDER BY ordinal",
        )
        .bind(run.0)
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter()
            .map(|row| {
                let took: Option<i64> = row.try_get("milliseconds")?;
                Ok(RunStep {
                    step: row.try_get("step")?,
                    forest: row.try_get("forest")?,
                    begun: runs::time(row.try_get("begun")?)?,
                    took: took.map(|took| Duration::from_millis(took.unsigned_abs())),
                    outcome: row.try_get("outcome")?,
                    counts: row.try_get("counts")?,
                    error: row.try_get("error")?,
                })
            })
            .collect()
    }

    /// Forgets a run and its steps: one that had nothing to do and nobody asked for.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn forget_run(&self, run: RunId) -> Result<(), StateError> {
        let mut tx = self.database.write().await?;
        for statement in ["DELETE FROM run_step WHERE run = ?", "DELETE FROM run WHERE id = ?"] {
            sqlx::query(statement).bind(run.0).execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }
}
