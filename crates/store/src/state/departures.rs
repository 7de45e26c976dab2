//! Objects that a target has no more: the one way on which they leave the state, and where it is counted that the
//! target lost them.
//!
//! What was decided about and never came to be at a target does not come by here: it is no loss.

use time::OffsetDateTime;

use super::rows::{Tx, numbers};
use super::{StateError, losses, references};

/// How it came that a target has objects no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Departure {
    /// It was told to delete them, and did: each is a loss, whatever is wished for by now.
    Deleted,
    /// They are not there, and nobody says why. Those that were to be deleted are a loss; the others are made again.
    Missing,
}

/// Keeps that a target does not have objects any more that it had, nor references from and to them, nor their
/// credentials. Those that it is not to have are forgotten; should one of them have a metaverse object, that is
/// looked at again, for it may be due as an object of another kind. All others are to be made anew, with all that
/// they refer to and that refers to them.
///
/// # Errors
/// When the state cannot be written.
pub(super) async fn depart(
    tx: &mut Tx,
    keys: &[i64],
    how: Departure,
    at: OffsetDateTime,
) -> Result<(), StateError> {
    if keys.is_empty() {
        return Ok(());
    }
    let keys = numbers(keys.iter().copied());
    losses::count_deleted(tx, &keys, how == Departure::Deleted, at).await?;
    for statement in STATEMENTS {
        sqlx::query(statement).bind(&keys).execute(&mut **tx).await?;
    }
    // What is to be between those that are made anew and others is worked out from the forests once more.
    references::mark_target(tx, &keys).await?;
    let metaverse: Vec<i64> = sqlx::query_scalar(
        "SELECT metaverse FROM json_each(?) CROSS JOIN target_object t ON t.key = value",
    )
    .bind(&keys)
    .fetch_all(&mut **tx)
    .await?;
    references::mark_linked(tx, &numbers(metaverse)).await
}

const STATEMENTS: [&str; 9] = [
    // Of what was there, was not known and is nobody's, there is nothing that it is to be.
    "UPDATE target_object SET stage = 0 WHERE key IN (SELECT value FROM json_each(?))
         AND stage IS NULL AND pending IS NULL AND coalesce(length(confirmed), 0) = 0",
    "REPLACE INTO pending_object (key) SELECT link.key FROM json_each(?)
         CROSS JOIN target_object t ON t.key = value AND t.stage = 0
         CROSS JOIN link ON link.metaverse = t.metaverse",
    "DELETE FROM target_reference WHERE source IN (SELECT value FROM json_each(?))",
    "DELETE FROM target_reference WHERE target IN (SELECT value FROM json_each(?))",
    "DELETE FROM pending_reference WHERE source IN (SELECT value FROM json_each(?))",
    "DELETE FROM pending_reference WHERE target IN (SELECT value FROM json_each(?))",
    "DELETE FROM feed WHERE target IN (SELECT t.key FROM json_each(?)
         CROSS JOIN target_object t ON t.key = value AND t.stage = 0)",
    "DELETE FROM target_object WHERE key IN (SELECT value FROM json_each(?)) AND stage = 0",
    "UPDATE target_object SET pending = coalesce(pending, confirmed), confirmed = NULL,
         credentialed = 0, attempts = 0, code = NULL, error = NULL,
         stage = coalesce(stage, CASE kind WHEN 0 THEN 1 WHEN 1 THEN 2 WHEN 3 THEN 3 ELSE 4 END)
     WHERE key IN (SELECT value FROM json_each(?))",
];

#[cfg(test)]
mod tests;
