//! Where objects stand: what is above them, the groups that they are in, and how many they refer to.

use std::collections::HashMap;

use portolan_model::Guid;
use portolan_sync::AttributeId;
use portolan_sync::engine::{ConnectorId, ObjectKey};
use sqlx::Row as _;

use super::rows::{self, numbers};
use super::{State, StateError};

/// Places above one another that are followed.
const DEPTH_MAX: i64 = 128;
/// Groups of one object that are looked at.
const GROUPS_MAX: i64 = 10_000;

/// Where an object stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The objectGUIDs of what is above it, the nearest first.
    pub above: Vec<Guid>,
    /// The groups that it is a direct member of: their objectGUIDs and names.
    pub groups: Vec<(Guid, String)>,
}

impl State {
    /// Where objects stand. `member` is the attribute by which a group refers to its members.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn places(
        &self,
        objects: &[ObjectKey],
        member: AttributeId,
    ) -> Result<HashMap<ObjectKey, Standing>, StateError> {
        let keys = numbers(objects.iter().map(|object| object.0));
        let mut tx = self.database.read().await?;
        let above = sqlx::query(
            "WITH RECURSIVE up (object, depth, key) AS (
                 SELECT value, 0, identity.parent FROM json_each(?1)
                     CROSS JOIN identity ON identity.key = value
                 UNION ALL
                 SELECT object, depth + 1, identity.parent FROM up
                     CROSS JOIN identity ON identity.key = up.key WHERE depth < ?2)
             SELECT up.object, identity.guid FROM up CROSS JOIN identity ON identity.key = up.key
             ORDER BY up.object, up.depth",
        )
        .bind(&keys)
        .bind(DEPTH_MAX)
        .fetch_all(&mut *tx)
        .await?;
        let mut places: HashMap<ObjectKey, Standing> = HashMap::new();
        for row in &above {
            let place = places.entry(ObjectKey(row.try_get("object")?)).or_default();
            place.above.push(rows::guid(row.try_get("guid")?)?);
        }
        let groups = sqlx::query(
            "SELECT reference.target, identity.guid, staged.dn FROM json_each(?1)
                 CROSS JOIN reference ON reference.target = value AND reference.attribute = ?2
                 CROSS JOIN identity ON identity.key = reference.source AND identity.state = 1
                 CROSS JOIN staged ON staged.key = identity.key
             LIMIT ?3",
        )
        .bind(&keys)
        .bind(member.0)
        .bind(GROUPS_MAX * i64::try_from(objects.len()).unwrap_or(1))
        .fetch_all(&mut *tx)
        .await?;
        for row in &groups {
            let place = places.entry(ObjectKey(row.try_get("target")?)).or_default();
            place.groups.push((rows::guid(row.try_get("guid")?)?, row.try_get("dn")?));
        }
        Ok(places)
    }

    /// To how many objects each of these refers by an attribute; counted up to a limit.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn reference_counts(
        &self,
        objects: &[ObjectKey],
        attribute: AttributeId,
        limit: u32,
    ) -> Result<Vec<u32>, StateError> {
        let counts: Vec<u32> = sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM (SELECT 1 FROM reference
                 WHERE source = value AND attribute = ?2 LIMIT ?3))
             FROM json_each(?1) ORDER BY json_each.key",
        )
        .bind(numbers(objects.iter().map(|object| object.0)))
        .bind(attribute.0)
        .bind(limit)
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        Ok(counts)
    }

    /// The name of the staged object of a forest with this objectGUID.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn name_of_guid(
        &self,
        forest: ConnectorId,
        guid: &Guid,
    ) -> Result<Option<String>, StateError> {
        let found = sqlx::query_scalar(
            "SELECT staged.dn FROM identity CROSS JOIN staged ON staged.key = identity.key
             WHERE identity.connector = ? AND identity.guid = ? AND identity.state = 1",
        )
        .bind(forest.0)
        .bind(&guid.to_bytes_le()[..])
        .fetch_optional(&mut *self.database.read().await?)
        .await?;
        Ok(found)
    }

    /// The objectGUID of the staged object of a forest with this name, whatever its case.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn guid_of_name(
        &self,
        forest: ConnectorId,
        name: &str,
    ) -> Result<Option<Guid>, StateError> {
        let found: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT identity.guid FROM staged CROSS JOIN identity ON identity.key = staged.key
             WHERE lower(staged.dn) = lower(?1) AND identity.connector = ?2 AND identity.state = 1
             LIMIT 1",
        )
        .bind(name)
        .bind(forest.0)
        .fetch_optional(&mut *self.database.read().await?)
        .await?;
        found.map(|octets| rows::guid(&octets)).transpose()
    }

    /// The number of an object of a forest, whether it is staged, known by a reference alone, or gone.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn key_of(
        &self,
        forest: ConnectorId,
        guid: &Guid,
    ) -> Result<Option<ObjectKey>, StateError> {
        let key: Option<i64> =
            sqlx::query_scalar("SELECT key FROM identity WHERE connector = ? AND guid = ?")
                .bind(forest.0)
                .bind(&guid.to_bytes_le()[..])
                .fetch_optional(&mut *self.database.read().await?)
                .await?;
        Ok(key.map(ObjectKey))
    }
}
