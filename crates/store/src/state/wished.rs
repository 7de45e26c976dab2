//! What a target's objects have, or are to have, in the order of their keys.

use portolan_model::SourceAnchor;
use portolan_sync::TenantKind;
use portolan_sync::engine::ConnectorId;
use portolan_sync::record::Record;
use sqlx::Row as _;

use super::codes::Code as _;
use super::{State, StateError, TargetKey, packed, rows};

impl State {
    /// What a target's objects of a kind are to have, behind one of them; not those that are to be deleted,
    /// nor those of which nothing is known.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn wished(
        &self,
        target: ConnectorId,
        kind: TenantKind,
        after: TargetKey,
        limit: u32,
    ) -> Result<Vec<(TargetKey, SourceAnchor, Record)>, StateError> {
        let rows = sqlx::query(
            "SELECT key, anchor, coalesce(pending, confirmed) AS wished FROM target_object
             WHERE connector = ? AND kind = ? AND key > ? AND stage IS NOT 0
                 AND length(coalesce(pending, confirmed)) > 0 ORDER BY key LIMIT ?",
        )
        .bind(target.0)
        .bind(kind.code())
        .bind(after.0)
        .bind(limit)
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter()
            .map(|row| {
                let anchor: &str = row.try_get("anchor")?;
                let of = [anchor.as_bytes()];
                let record = packed::open_record("a target's object", &of, row.try_get("wished")?)?;
                Ok((TargetKey(row.try_get("key")?), rows::anchor(anchor)?, record))
            })
            .collect()
    }
}
