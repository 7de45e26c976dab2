//! What the engine decides about, read back: one object's surroundings at a time, in batches.

use std::collections::{BTreeMap, BTreeSet};

use portolan_model::SourceAnchor;
use portolan_sync::ObjectKind;
use portolan_sync::TenantKind;
use portolan_sync::engine::{
    Link, LinkKind, MetaverseKey, Neighbourhood, ObjectKey, Staged, TargetObject,
};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::bulk::{self, Which};
use super::codes::Code as _;
use super::rows::{self, Tx, numbers};
use super::{Queued, State, StateError, names, packed};

/// Metaverse objects that are loaded at once.
const KEYS_AT_ONCE: usize = 512;

/// What is to be looked at for the sake of some queued objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedNeighbourhood {
    /// The queued objects: they are settled when it is decided.
    pub queued: Vec<Queued>,
    /// What is decided about. It is empty when the objects are gone and were never linked.
    pub neighbourhood: Neighbourhood,
}

impl State {
    /// What is to be decided for the sake of queued objects: of several objects that are linked to
    /// one metaverse object, one. An object that is not linked is alone in its neighbourhood.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn neighbourhoods_of(
        &self,
        queued: &[Queued],
    ) -> Result<Vec<QueuedNeighbourhood>, StateError> {
        let mut tx = self.database.read().await?;
        let links = links(&mut tx, queued).await?;
        let linked: BTreeSet<i64> = links.values().copied().collect();
        let mut found = linked_to(&mut tx, &linked).await?;
        let alone = queued.iter().map(|queued| queued.key.0).filter(|key| !links.contains_key(key));
        let mut unlinked = staged_alone(&mut tx, alone).await?;
        let mut order = BTreeMap::new();
        let mut all: Vec<QueuedNeighbourhood> = Vec::with_capacity(queued.len());
        for queued in queued {
            let metaverse = links.get(&queued.key.0).copied();
            if let Some(at) = metaverse.and_then(|metaverse| order.get(&metaverse)) {
                let other: &mut QueuedNeighbourhood = &mut all[*at];
                other.queued.push(*queued);
                continue;
            }
            let neighbourhood = match metaverse {
                Some(metaverse) => {
                    order.insert(metaverse, all.len());
                    found.remove(&metaverse).unwrap_or_else(empty)
                }
                None => unlinked.remove(&queued.key.0).map_or_else(empty, alone_in_it),
            };
            all.push(QueuedNeighbourhood { queued: vec![*queued], neighbourhood });
        }
        adopt(&mut tx, all.iter_mut().map(|one| &mut one.neighbourhood).collect()).await?;
        Ok(all)
    }

    /// The neighbourhoods of metaverse objects.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn neighbourhoods(
        &self,
        keys: &[MetaverseKey],
    ) -> Result<Vec<Neighbourhood>, StateError> {
        let keys: BTreeSet<i64> = keys.iter().map(|key| key.0).collect();
        let mut tx = self.database.read().await?;
        let mut all: Vec<_> = linked_to(&mut tx, &keys).await?.into_values().collect();
        adopt(&mut tx, all.iter_mut().collect()).await?;
        Ok(all)
    }

    /// What targets have by these anchors that is nobody's: an object that claims such an anchor takes
    /// it over.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn orphans(&self, anchors: &[SourceAnchor]) -> Result<Vec<TargetObject>, StateError> {
        orphans(&mut self.database.read().await?, anchors.iter().map(SourceAnchor::as_str)).await
    }

    /// Whether a target has anything that is nobody's.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn has_orphans(&self) -> Result<bool, StateError> {
        let found = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM target_object INDEXED BY target_orphan WHERE metaverse < 0)",
        );
        Ok(found.fetch_one(&mut *self.database.read().await?).await?)
    }

    /// Objects that are linked to nothing, in the order of their keys, behind one.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn unlinked(&self, after: ObjectKey, limit: u32) -> Result<Vec<Staged>, StateError> {
        let rows = sqlx::query(
            "SELECT i.key, i.connector, i.guid, i.kind, s.dn, s.record, l.kind, l.anchor, NULL
             FROM identity i LEFT JOIN link l ON l.key = i.key CROSS JOIN staged s ON s.key = i.key
             WHERE i.key > ? AND i.state = 1 AND l.metaverse IS NULL ORDER BY i.key LIMIT ?",
        )
        .bind(after.0)
        .bind(limit)
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter().map(|row| staged(row, 0, None)).collect()
    }

    /// Staged objects that have a text in their name, or octets of it in their attributes: names without
    /// case, values with it. Goes over all objects.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn find_objects(&self, text: &str, limit: u32) -> Result<Vec<Staged>, StateError> {
        let keys: Vec<i64> = sqlx::query_scalar(
            "SELECT key FROM staged WHERE instr(lower(dn), lower(?1)) > 0
                 OR instr(record, CAST(?1 AS BLOB)) > 0
             ORDER BY lower(dn) = lower(?1) DESC, key LIMIT ?2",
        )
        .bind(text)
        .bind(limit)
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            found.extend(self.object(ObjectKey(key)).await?);
        }
        Ok(found)
    }

    /// All staged objects, linked or not, in the order of their keys, behind one.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn staged_objects(
        &self,
        after: ObjectKey,
        limit: u32,
    ) -> Result<Vec<Staged>, StateError> {
        let rows = sqlx::query(
            "SELECT i.key, i.connector, i.guid, i.kind, s.dn, s.record, l.kind, l.anchor, l.metaverse
             FROM identity i JOIN staged s ON s.key = i.key LEFT JOIN link l ON l.key = i.key
             WHERE i.key > ? AND i.state = 1 ORDER BY i.key LIMIT ?",
        )
        .bind(after.0)
        .bind(limit)
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter().map(|row| staged(row, 0, row.try_get(METAVERSE)?)).collect()
    }

    /// One object of a forest by its key, if it is staged.
    ///
    /// # Errors
    /// When it does not read back.
    pub async fn object(&self, key: ObjectKey) -> Result<Option<Staged>, StateError> {
        let mut tx = self.database.read().await?;
        Ok(staged_alone(&mut tx, [key.0]).await?.remove(&key.0))
    }
}

/// The place of a column.
const METAVERSE: usize = 8;

/// The neighbourhoods of some metaverse objects.
async fn linked_to(
    tx: &mut Tx,
    keys: &BTreeSet<i64>,
) -> Result<BTreeMap<i64, Neighbourhood>, StateError> {
    let keys: Vec<i64> = keys.iter().copied().collect();
    let mut found = BTreeMap::new();
    let mut parts: Vec<_> = keys.chunks(KEYS_AT_ONCE).collect();
    while let Some(part) = parts.pop() {
        match bulk::load(tx, &Which::In(numbers(part.iter().copied()))).await? {
            Some(bulk) => {
                let key = |one: &Neighbourhood| one.metaverse.as_ref().map(|m| m.key.0);
                found.extend(bulk.all.into_iter().filter_map(|one| Some((key(&one)?, one))));
            }
            None if part.len() > 1 => parts.extend(<[_; 2]>::from(part.split_at(part.len() / 2))),
            None => return Err(StateError::TooMany { what: "octets of one object" }),
        }
    }
    Ok(found)
}

/// To which metaverse objects queued objects are linked.
async fn links(tx: &mut Tx, queued: &[Queued]) -> Result<BTreeMap<i64, i64>, StateError> {
    let keys = numbers(queued.iter().map(|queued| queued.key.0));
    let pairs: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT link.key, metaverse FROM json_each(?) CROSS JOIN link ON link.key = value
         WHERE metaverse IS NOT NULL",
    )
    .bind(keys)
    .fetch_all(&mut **tx)
    .await?;
    Ok(pairs.into_iter().collect())
}

/// Staged objects by their keys.
async fn staged_alone(
    tx: &mut Tx,
    keys: impl IntoIterator<Item = i64>,
) -> Result<BTreeMap<i64, Staged>, StateError> {
    let rows = sqlx::query(
        "SELECT i.key, i.connector, i.guid, i.kind, s.dn, s.record, l.kind, l.anchor, l.metaverse
         FROM json_each(?) k CROSS JOIN identity i ON i.key = k.value
         JOIN staged s ON s.key = i.key LEFT JOIN link l ON l.key = i.key WHERE i.state = 1",
    )
    .bind(numbers(keys))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter()
        .map(|row| {
            let object = staged(row, 0, row.try_get(METAVERSE)?)?;
            Ok((object.key.0, object))
        })
        .collect()
}

const ORPHANS: &str = concat!(
    "SELECT connector, kind, anchor, confirmed, stage, pending, feeds, password, metaverse ",
    "FROM json_each(?) CROSS JOIN target_object INDEXED BY target_orphan ",
    "ON anchor = json_each.value WHERE metaverse < 0 ORDER BY connector"
);

async fn orphans(
    tx: &mut Tx,
    anchors: impl Iterator<Item = &str>,
) -> Result<Vec<TargetObject>, StateError> {
    let rows = sqlx::query(ORPHANS).bind(rows::texts(anchors)).fetch_all(&mut **tx).await?;
    rows.iter().map(|row| target_object(row, 0, MetaverseKey(row.try_get("metaverse")?))).collect()
}

/// Puts what is nobody's and has the anchor of a staging object into its neighbourhood, of targets in
/// which there is none of it.
pub(super) async fn adopt(tx: &mut Tx, mut all: Vec<&mut Neighbourhood>) -> Result<(), StateError> {
    let any: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM target_object WHERE metaverse < 0)")
            .fetch_one(&mut **tx)
            .await?;
    if !any {
        return Ok(());
    }
    let anchors = all.iter().flat_map(|one| &one.staged).filter_map(|one| one.anchor.as_ref());
    let orphans = orphans(tx, anchors.map(SourceAnchor::as_str)).await?;
    let mut by_anchor = BTreeMap::<_, Vec<&TargetObject>>::new();
    for orphan in &orphans {
        by_anchor.entry(&orphan.anchor).or_default().push(orphan);
    }
    for neighbourhood in &mut all {
        let anchors = neighbourhood.staged.iter().filter_map(|staged| staged.anchor.as_ref());
        let its = anchors.filter_map(|anchor| by_anchor.get(anchor)).flatten();
        for orphan in its.copied().collect::<Vec<_>>() {
            let place = |one: &TargetObject| one.connector;
            if let Err(at) = neighbourhood.targets.binary_search_by_key(&orphan.connector, place) {
                neighbourhood.targets.insert(at, orphan.clone());
            }
        }
    }
    Ok(())
}

fn empty() -> Neighbourhood {
    Neighbourhood { metaverse: None, staged: Vec::new(), targets: Vec::new() }
}

fn alone_in_it(staged: Staged) -> Neighbourhood {
    Neighbourhood { metaverse: None, staged: vec![staged], targets: Vec::new() }
}

/// A staged object of eight columns.
fn staged(row: &SqliteRow, at: usize, metaverse: Option<i64>) -> Result<Staged, StateError> {
    let key: i64 = row.try_get(at)?;
    let dn: &str = row.try_get(at + 4)?;
    let of: [&[u8]; 2] = [&key.to_le_bytes(), dn.as_bytes()];
    let link = match (metaverse, row.try_get::<Option<i64>, _>(at + 6)?) {
        (Some(metaverse), Some(kind)) => {
            let (metaverse, kind) = (MetaverseKey(metaverse), LinkKind::of_code(kind)?);
            Some(Link { metaverse, kind })
        }
        _ => None,
    };
    let guid = rows::guid(row.try_get(at + 2)?)?;
    Ok(Staged {
        key: ObjectKey(key),
        connector: names::connector(row.try_get(at + 1)?)?,
        guid,
        kind: ObjectKind::of_code(row.try_get(at + 3)?)?,
        record: packed::open_record("an imported object", &of, row.try_get(at + 5)?)?
            .named(dn, &guid),
        dn: dn.to_owned(),
        link,
        anchor: row.try_get::<Option<&str>, _>(at + 7)?.map(rows::anchor).transpose()?,
    })
}

/// A target's object of eight columns.
fn target_object(
    row: &SqliteRow,
    at: usize,
    metaverse: MetaverseKey,
) -> Result<TargetObject, StateError> {
    let anchor: &str = row.try_get(at + 2)?;
    let of = anchor.as_bytes();
    let confirmed = packed::confirmed(of, row.try_get(at + 3)?)?;
    let stage: Option<i64> = row.try_get(at + 4)?;
    let pending = packed::pending(of, stage, confirmed.is_some(), row.try_get(at + 5)?)?;
    let feeds: Option<&[u8]> = row.try_get(at + 6)?;
    Ok(TargetObject {
        connector: names::connector(row.try_get(at)?)?,
        metaverse,
        kind: TenantKind::of_code(row.try_get(at + 1)?)?,
        anchor: rows::anchor(anchor)?,
        confirmed,
        pending,
        feeds: packed::unpack_feeds(feeds.unwrap_or_default())?,
        password: row.try_get::<i64, _>(at + 7)? == 1,
    })
}
