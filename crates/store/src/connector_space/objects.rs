//! Objects of the forest on their way out, a batch at a time.

use portolan_sync::{ForestObject, ObjectKind};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _};

use super::{ConnectorSpace, SpaceError, document};

/// Objects of a batch.
const BATCH_OBJECTS_MAX: usize = 500;
/// Octets of a batch's members and attributes, after which it ends: one object may have more.
const BATCH_OCTETS_MAX: usize = 4 * 1024 * 1024;

/// The objects of some kinds, in the order in which they came in.
#[derive(Debug)]
pub struct Objects {
    space: ConnectorSpace,
    kinds: &'static [ObjectKind],
    after: i64,
}

impl ConnectorSpace {
    /// All objects of these kinds.
    #[must_use]
    pub fn objects(&self, kinds: &'static [ObjectKind]) -> Objects {
        Objects { space: self.clone(), kinds, after: 0 }
    }

    /// How many objects there are, of each kind that has some.
    ///
    /// # Errors
    /// When a row cannot be read back.
    pub async fn object_counts(&self) -> Result<Vec<(ObjectKind, u64)>, SpaceError> {
        let rows = sqlx::query(
            "SELECT kind, count(*) AS count FROM object
             WHERE import = (SELECT value FROM state WHERE name = 'import') GROUP BY kind",
        )
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter()
            .map(|row| Ok((kind(row)?, row.try_get::<i64, _>("count")?.unsigned_abs())))
            .collect()
    }
}

impl Objects {
    /// The next batch; an empty one when there are no more.
    ///
    /// # Errors
    /// When a row cannot be read back.
    pub async fn next(&mut self) -> Result<Vec<ForestObject>, SpaceError> {
        // The sign keeps the index of imports out of it: the rows come in their own order.
        let mut query = QueryBuilder::new(
            "SELECT rid, guid, kind, dn, parent, members, attributes,
                 length(members) + length(attributes) AS octets FROM object
             WHERE +import = (SELECT value FROM state WHERE name = 'import') AND rid > ",
        );
        query.push_bind(self.after).push(" AND kind IN (");
        let mut kinds = query.separated(", ");
        for kind in self.kinds {
            kinds.push_bind(kind.as_str());
        }
        query.push(") ORDER BY rid LIMIT ").push_bind(BATCH_OBJECTS_MAX as i64);
        let mut transaction = self.space.database.read().await?;
        let mut rows = query.build().fetch(&mut *transaction);
        let mut batch = Vec::new();
        let mut octets = 0;
        while let Some(row) = std::future::poll_fn(|cx| rows.as_mut().poll_next(cx)).await {
            let row = row?;
            self.after = row.try_get("rid")?;
            octets += row.try_get::<i64, _>("octets")?.unsigned_abs();
            batch.push(forest_object(&row)?);
            if octets > BATCH_OCTETS_MAX as u64 {
                break;
            }
        }
        Ok(batch)
    }
}

fn kind(row: &SqliteRow) -> Result<ObjectKind, SpaceError> {
    ObjectKind::from_name(row.try_get("kind")?).ok_or(SpaceError::corrupt("kind"))
}

pub(super) fn forest_object(row: &SqliteRow) -> Result<ForestObject, SpaceError> {
    let dn: &str = row.try_get("dn")?;
    let parent: Option<&[u8]> = row.try_get("parent")?;
    Ok(ForestObject::restore(
        document::guid(row.try_get("guid")?)?,
        kind(row)?,
        dn.parse().map_err(|_| SpaceError::corrupt("dn"))?,
        parent.map(document::guid).transpose()?,
        document::guids_from_octets(row.try_get("members")?)?,
        document::forest_attributes_from_octets(row.try_get("attributes")?)?,
    ))
}
