//! How much is where, for whoever watches: what waits to be decided, to be exported, to be mended. Every
//! question is answered from a counter or from an index of what waits: its cost grows with that, and not
//! with the state.

use portolan_sync::TenantKind;
use portolan_sync::engine::ConnectorId;
use sqlx::Row as _;

use super::codes::Code as _;
use super::{State, StateError};

/// What is to be done to an object of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Waiting {
    /// It is to be made.
    Add,
    /// It is to be changed.
    Update,
    /// It is to be deleted.
    Delete,
}

/// How much of a target waits, and what is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Objects that it has, of each kind that has some.
    pub exported: Vec<(TenantKind, u64)>,
    /// Objects that are to be exported.
    pub pending: Vec<(TenantKind, Waiting, u64)>,
    /// References that are to be added or removed.
    pub references: u64,
    /// Objects that it refused.
    pub refused: u64,
    /// Users whose credential it should have and does not.
    pub owed: u64,
}

impl State {
    /// How much of a target waits, and what is wrong with it.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn figures(&self, target: ConnectorId) -> Result<Figures, StateError> {
        let mut read = self.database.read().await?;
        let exported = sqlx::query(
            "SELECT kind, there FROM counter WHERE what = 1 AND connector = ? AND there > 0
             ORDER BY kind",
        )
        .bind(target.0)
        .fetch_all(&mut *read)
        .await?;
        let pending = sqlx::query(
            "SELECT kind, CASE WHEN stage = 0 THEN 2 WHEN confirmed IS NULL THEN 0 ELSE 1 END AS what,
                 count(*) AS there
             FROM target_object WHERE connector = ? AND stage IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2",
        )
        .bind(target.0)
        .fetch_all(&mut *read)
        .await?;
        let references = sqlx::query_scalar("SELECT count(*) FROM pending_reference");
        let references: i64 = references.fetch_one(&mut *read).await?;
        let refused = sqlx::query_scalar(
            "SELECT count(*) FROM target_object INDEXED BY target_refused
             WHERE code IS NOT NULL AND connector = ?",
        );
        let refused: i64 = refused.bind(target.0).fetch_one(&mut *read).await?;
        // Those that the target does not have are among what is pending: the others need not be read.
        let owed = sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM target_object INDEXED BY target_owed
                     WHERE password = 1 AND credentialed = 0 AND connector = ?1)
                 - (SELECT count(*) FROM target_object INDEXED BY target_pending
                     WHERE connector = ?1 AND stage IS NOT NULL AND confirmed IS NULL
                         AND password = 1 AND credentialed = 0)",
        );
        let owed: i64 = owed.bind(target.0).fetch_one(&mut *read).await?;
        let number = |there: i64| there.unsigned_abs();
        let exported = exported.iter().map(|row| {
            Ok((TenantKind::of_code(row.try_get("kind")?)?, number(row.try_get("there")?)))
        });
        let pending = pending.iter().map(|row| {
            let what = match row.try_get::<i64, _>("what")? {
                0 => Waiting::Add,
                1 => Waiting::Update,
                _ => Waiting::Delete,
            };
            Ok((TenantKind::of_code(row.try_get("kind")?)?, what, number(row.try_get("there")?)))
        });
        Ok(Figures {
            exported: exported.collect::<Result<_, StateError>>()?,
            pending: pending.collect::<Result<_, StateError>>()?,
            references: number(references),
            refused: number(refused),
            owed: number(owed),
        })
    }

    /// What is wrong with how many objects, by what it is.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn error_counts(&self) -> Result<Vec<(String, u64)>, StateError> {
        let rows = sqlx::query(
            "SELECT code, count(*) AS there FROM object_error GROUP BY code ORDER BY code",
        )
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter()
            .map(|row| Ok((row.try_get("code")?, row.try_get::<i64, _>("there")?.unsigned_abs())))
            .collect()
    }
}
