//! What is staged of a forest, read as it stands.

use portolan_model::Guid;
use portolan_sync::AttributeId;
use portolan_sync::engine::{ConnectorId, ObjectKey};
use sqlx::Row as _;

use super::changes::found;
use super::{Found, State, StateError, names, rows};

/// A place among references: source, attribute, target. The default is in front of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StagedPlace {
    source: i64,
    attribute: u16,
    target: i64,
}

/// A reference as a forest gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedReference {
    /// Where it stands.
    pub place: StagedPlace,
    /// The objectGUID of the object that refers.
    pub source: Guid,
    /// By which attribute.
    pub attribute: AttributeId,
    /// The objectGUID of what it refers to, which may be of no staged object.
    pub target: Guid,
}

impl State {
    /// The staged objects of a forest behind one of them, in the order of their keys, with their
    /// objectGUIDs. [`Self::staged_references`] has their references.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn staged(
        &self,
        forest: ConnectorId,
        after: ObjectKey,
        limit: u32,
    ) -> Result<Vec<(ObjectKey, Guid, Found)>, StateError> {
        let rows = sqlx::query(
            "SELECT i.key, i.guid, i.kind, above.guid AS parent, s.dn, s.record FROM staged s
                 CROSS JOIN identity i ON i.key = s.key LEFT JOIN identity above ON above.key = i.parent
             WHERE i.connector = ? AND i.state = 1 AND s.key > ? ORDER BY s.key LIMIT ?",
        )
        .bind(forest.0)
        .bind(after.0)
        .bind(limit)
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter()
            .map(|row| {
                let guid = rows::guid(row.try_get("guid")?)?;
                Ok((ObjectKey(row.try_get("key")?), guid, found(row)?))
            })
            .collect()
    }

    /// The references between objects of a forest behind one of them, in the order of their places.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn staged_references(
        &self,
        forest: ConnectorId,
        after: StagedPlace,
        limit: u32,
    ) -> Result<Vec<StagedReference>, StateError> {
        let rows = sqlx::query(
            "SELECT r.source, r.attribute, r.target, f.guid AS from_guid, t.guid AS to_guid
             FROM reference r CROSS JOIN identity f ON f.key = r.source
                 CROSS JOIN identity t ON t.key = r.target
             WHERE f.connector = ? AND (r.source, r.attribute, r.target) > (?, ?, ?)
             ORDER BY r.source, r.attribute, r.target LIMIT ?",
        )
        .bind(forest.0)
        .bind(after.source)
        .bind(after.attribute)
        .bind(after.target)
        .bind(limit)
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter()
            .map(|row| {
                let attribute = names::attribute(row.try_get("attribute")?)?;
                let place = StagedPlace {
                    source: row.try_get("source")?,
                    attribute: attribute.0,
                    target: row.try_get("target")?,
                };
                let source = rows::guid(row.try_get("from_guid")?)?;
                let target = rows::guid(row.try_get("to_guid")?)?;
                Ok(StagedReference { place, source, attribute, target })
            })
            .collect()
    }
}
