//! Whose an anchor is.

use portolan_sync::engine::AnchorClaim;
use sqlx::Row as _;

use super::{State, StateError};

impl State {
    /// Of each claim whether its anchor is another's: set for another object of a forest, or that of an
    /// object in a target whose metaverse object is there and not the claimant's.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn are_taken(&self, claims: &[AnchorClaim]) -> Result<Vec<bool>, StateError> {
        let pairs: Vec<_> =
            claims.iter().map(|claim| (claim.object.0, claim.anchor.as_str())).collect();
        let rows = sqlx::query(
            "SELECT EXISTS (SELECT 1 FROM link WHERE link.anchor = claim.value ->> 1
                     AND link.key <> claim.value ->> 0)
                 OR EXISTS (SELECT 1 FROM connector CROSS JOIN target_object t
                     ON t.connector = connector.id AND t.anchor = claim.value ->> 1
                     WHERE t.metaverse >= 0 AND t.metaverse IS NOT
                         (SELECT metaverse FROM link WHERE link.key = claim.value ->> 0)) AS taken
             FROM json_each(?) claim ORDER BY claim.key",
        )
        .bind(serde_json::to_string(&pairs).unwrap_or_default())
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter().map(|row| Ok(row.try_get::<i64, _>("taken")? == 1)).collect()
    }
}
