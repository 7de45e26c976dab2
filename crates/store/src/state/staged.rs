//! What is staged of a forest, read as it stands.

use std::collections::BTreeSet;

use portolan_model::Guid;
use portolan_sync::AttributeId;
use portolan_sync::engine::{ConnectorId, ObjectKey};
use sqlx::{Row as _, SqliteConnection};

use super::changes::found;
use super::{Found, Partition, State, StateError, names, rows};

/// Objects that are looked for in one go.
const OBJECTS_AT_ONCE: usize = 10_000;
/// Parents that are missed at once.
const ORPHANS_MAX: i64 = 1_000;

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

    /// An object of a forest as it is staged; `None` where it is not.
    ///
    /// # Errors
    /// When it does not read back.
    pub async fn staged_one(
        &self,
        forest: ConnectorId,
        guid: &Guid,
    ) -> Result<Option<Found>, StateError> {
        one(&mut *self.database.read().await?, forest, guid).await
    }

    /// Which of these objects of a forest are staged, from whichever of its naming contexts.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn staged_among(
        &self,
        forest: ConnectorId,
        guids: &[Guid],
    ) -> Result<BTreeSet<Guid>, StateError> {
        let mut staged = BTreeSet::new();
        for guids in guids.chunks(OBJECTS_AT_ONCE) {
            let octets: Vec<_> = guids.iter().map(|guid| guid.to_bytes_le()).collect();
            let rows = sqlx::query(
                "SELECT identity.guid FROM json_each(?2)
                 CROSS JOIN identity ON connector = ?1 AND guid = unhex(value) AND state = 1",
            )
            .bind(forest.0)
            .bind(rows::hexadecimal(octets.iter().map(<[u8; 16]>::as_slice)))
            .fetch_all(&mut *self.database.read().await?)
            .await?;
            for row in &rows {
                staged.insert(rows::guid(row.try_get("guid")?)?);
            }
        }
        Ok(staged)
    }

    /// Objects that stand above others of a naming context and are not there: as many as are asked for at
    /// once. [`super::Changes::orphaned_by`] tells the same of what is not committed yet.
    ///
    /// # Errors
    /// When a row cannot be read back.
    pub async fn orphaned_by(&self, of: Partition) -> Result<Vec<Guid>, StateError> {
        orphaned_by(&mut *self.database.read().await?, of).await
    }
}

/// An object of a forest as it is staged.
pub(super) async fn one(
    connection: &mut SqliteConnection,
    forest: ConnectorId,
    guid: &Guid,
) -> Result<Option<Found>, StateError> {
    let row = sqlx::query(
        "SELECT i.key, i.kind, above.guid AS parent, s.dn, s.record FROM identity i
             CROSS JOIN staged s ON s.key = i.key LEFT JOIN identity above ON above.key = i.parent
         WHERE i.connector = ? AND i.guid = ? AND i.state = 1",
    )
    .bind(forest.0)
    .bind(&guid.to_bytes_le()[..])
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(found).transpose()
}

/// Objects that stand above others of a naming context and are not there.
pub(super) async fn orphaned_by(
    connection: &mut SqliteConnection,
    of: Partition,
) -> Result<Vec<Guid>, StateError> {
    let rows = sqlx::query(
        "SELECT above.guid FROM identity above INDEXED BY identity_not_staged
         WHERE above.connector = ? AND above.state <> 1 AND EXISTS (SELECT 1
             FROM identity below WHERE below.parent = above.key AND below.state = 1
                 AND below.part = ?) LIMIT ?",
    )
    .bind(of.forest.0)
    .bind(of.number)
    .bind(ORPHANS_MAX)
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| rows::guid(row.try_get("guid")?)).collect()
}
