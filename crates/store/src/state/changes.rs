//! Changes of a forest since the last import, all of them or none.

use portolan_model::{DistinguishedName, Guid};
use portolan_sync::engine::ConnectorId;
use portolan_sync::record::Record;
use portolan_sync::{AttributeId, ObjectKind};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::codes::Code as _;
use super::merge::{Leaving, add_edges, remove_edges, take_out};
use super::names::{FOREST_CURSOR, remember};
use super::partitions::depart;
use super::rows::{self, Tx, keys_of};
use super::{ImportedObject, Partition, State, StateError, packed, queue, staged};

/// Rows that are looked at in one go.
const ROWS_MAX: i64 = 1_000;
/// References of one object that are held against those it is to have in one go.
const REFERENCES_AT_ONCE: usize = if cfg!(test) { 3 } else { 5_000 };

/// Changes under way: one transaction, together with the cursor behind them.
#[derive(Debug)]
pub struct Changes {
    tx: Tx,
    connector: ConnectorId,
    of: Partition,
    /// Objects whose name may be other than before: what stands below them is in their name.
    renamed: Vec<Renamed>,
    changed: Changed,
}

/// An object whose name may be other than before.
#[derive(Debug)]
struct Renamed {
    key: i64,
    name: DistinguishedName,
    /// The object whose name was told, and from which this one's follows.
    told: i64,
}

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changed {
    /// Objects that are new or other than before, those among them whose name alone changed with
    /// that of an object above. Objects of which references alone changed are not counted.
    pub changed: u64,
    /// Objects that are gone.
    pub removed: u64,
}

/// An object as it is staged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub kind: ObjectKind,
    /// The objectGUID of the object above it, when the directory told it.
    pub parent: Option<Guid>,
    /// Its name.
    pub dn: DistinguishedName,
    /// Its attributes.
    pub record: Record,
}

impl State {
    /// Begins to change the objects of a naming context. It keeps every other writer waiting.
    ///
    /// # Errors
    /// When another writer holds the state for longer than the busy time.
    pub async fn begin_changes(&self, of: impl Into<Partition>) -> Result<Changes, StateError> {
        let of = of.into();
        self.merge_what_is_whole(Some(of)).await?;
        let tx = self.database.write().await?;
        Ok(Changes {
            tx,
            connector: of.forest,
            of,
            renamed: Vec::new(),
            changed: Changed::default(),
        })
    }
}

impl Changes {
    /// An object as it is now.
    ///
    /// # Errors
    /// When it does not read back.
    pub async fn get(&mut self, guid: &Guid) -> Result<Option<Found>, StateError> {
        staged::one(&mut self.tx, self.connector, guid).await
    }

    /// Whether an object is staged from another naming context of the forest.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn is_elsewhere(&mut self, guid: &Guid) -> Result<bool, StateError> {
        let number: Option<i64> = sqlx::query_scalar(
            "SELECT part FROM identity WHERE connector = ? AND guid = ? AND state = 1",
        )
        .bind(self.connector.0)
        .bind(&guid.to_bytes_le()[..])
        .fetch_optional(&mut *self.tx)
        .await?;
        Ok(number.is_some_and(|number| number != i64::from(self.of.number)))
    }

    /// Takes an object in, new or changed; one that is as it was is no change. Of its references those
    /// attributes are changed that it names. What stands below a `renamed` one is renamed with it. It is of
    /// this naming context from now on, whichever it was of.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn put(&mut self, object: &ImportedObject, renamed: bool) -> Result<(), StateError> {
        let guids = [Some(object.guid), object.parent].into_iter().flatten();
        let keys = keys_of(&mut self.tx, self.connector, guids).await?;
        let of = |guid: &Guid| keys.get(guid).copied().unwrap_or_default();
        let (key, parent) = (of(&object.guid), object.parent.as_ref().map(of));
        let dn = object.dn.as_str();
        let sealed = packed::seal_record(&[&key.to_le_bytes(), dn.as_bytes()], &object.record);
        let same: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM identity i CROSS JOIN staged s ON s.key = i.key
             WHERE i.key = ?1 AND i.state = 1 AND i.kind = ?2 AND i.parent IS ?3 AND s.dn = ?4
                 AND s.record = ?5 AND i.part = ?6",
        )
        .bind(key)
        .bind(object.kind.code())
        .bind(parent)
        .bind(dn)
        .bind(&sealed)
        .bind(self.of.number)
        .fetch_optional(&mut *self.tx)
        .await?;
        sqlx::query("DELETE FROM departed WHERE key = ?").bind(key).execute(&mut *self.tx).await?;
        if same.is_none() {
            sqlx::query("REPLACE INTO staged (key, dn, record) VALUES (?, ?, ?)")
                .bind(key)
                .bind(dn)
                .bind(&sealed)
                .execute(&mut *self.tx)
                .await?;
            sqlx::query(
                "UPDATE identity SET state = 1, kind = ?, parent = ?, part = ? WHERE key = ?",
            )
            .bind(object.kind.code())
            .bind(parent)
            .bind(self.of.number)
            .bind(key)
            .execute(&mut *self.tx)
            .await?;
            queue::queue(&mut self.tx, [key]).await?;
            self.changed.changed += 1;
        }
        if renamed {
            self.renamed.push(Renamed { key, name: object.dn.clone(), told: key });
        }
        for (attribute, to) in &object.references {
            self.put_references(key, *attribute, to).await?;
        }
        Ok(())
    }

    /// Adds and removes references of an object. One that is both added and removed is there.
    ///
    /// # Errors
    /// When the object is not there, or the state cannot be written.
    pub async fn change_references(
        &mut self,
        guid: &Guid,
        attribute: AttributeId,
        added: &[Guid],
        removed: &[Guid],
    ) -> Result<(), StateError> {
        let key: Option<i64> = sqlx::query_scalar(
            "SELECT key FROM identity WHERE connector = ? AND guid = ? AND state = 1",
        )
        .bind(self.connector.0)
        .bind(&guid.to_bytes_le()[..])
        .fetch_optional(&mut *self.tx)
        .await?;
        let key = key.ok_or(StateError::Unknown { guid: *guid })?;
        let guids = added.iter().chain(removed).copied();
        let keys = keys_of(&mut self.tx, self.connector, guids).await?;
        let edges = |guids: &[Guid]| -> Vec<_> {
            let targets = guids.iter().filter_map(|guid| keys.get(guid));
            targets.map(|target| (key, attribute.0, *target)).collect()
        };
        let (added, mut removed) = (edges(added), edges(removed));
        removed.retain(|edge| !added.contains(edge));
        self.remove_known(&removed).await?;
        self.add_unknown(&added).await
    }

    /// Takes an object out, and out of everything that refers to it. One that another naming context of the
    /// forest has stays: what this one buries is what it was here.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn remove(&mut self, guid: &Guid) -> Result<(), StateError> {
        let key: Option<i64> = sqlx::query_scalar(
            "SELECT key FROM identity WHERE connector = ? AND guid = ? AND (state <> 1 OR part = ?
                 OR EXISTS (SELECT 1 FROM departed d WHERE d.key = identity.key))",
        )
        .bind(self.connector.0)
        .bind(&guid.to_bytes_le()[..])
        .bind(self.of.number)
        .fetch_optional(&mut *self.tx)
        .await?;
        if let Some(key) = key {
            self.changed.removed += take_out(&mut self.tx, &[key], Leaving::Deleted).await?;
        }
        Ok(())
    }

    /// Keeps that an object of this naming context moved to another one that is read too, at this time (Unix
    /// time): it stays as it is until it is read there.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn depart(&mut self, guid: &Guid, now: i64) -> Result<(), StateError> {
        match self.own(guid).await? {
            Some(key) => depart(&mut self.tx, &rows::numbers([key]), now, true).await,
            None => Ok(()),
        }
    }

    /// Takes an object of this naming context out that moved to one which is not read. What refers to it
    /// still does.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn lose_sight(&mut self, guid: &Guid) -> Result<(), StateError> {
        if let Some(key) = self.own(guid).await? {
            self.changed.removed += take_out(&mut self.tx, &[key], Leaving::OutOfSight).await?;
        }
        Ok(())
    }

    /// The key of an object that is staged from this naming context.
    async fn own(&mut self, guid: &Guid) -> Result<Option<i64>, StateError> {
        let key = sqlx::query_scalar(
            "SELECT key FROM identity WHERE connector = ? AND guid = ? AND state = 1 AND part = ?",
        );
        Ok(key
            .bind(self.connector.0)
            .bind(&guid.to_bytes_le()[..])
            .bind(self.of.number)
            .fetch_optional(&mut *self.tx)
            .await?)
    }

    /// Objects that stand above others of this naming context and are not there.
    ///
    /// # Errors
    /// When a row cannot be read back.
    pub async fn orphaned_by(&mut self) -> Result<Vec<Guid>, StateError> {
        staged::orphaned_by(&mut self.tx, self.of).await
    }

    /// Ends the changes: they count from now on, and the cursor behind them.
    ///
    /// # Errors
    /// When the state cannot be written; nothing has changed then.
    pub async fn finish(mut self, cursor: &[u8]) -> Result<Changed, StateError> {
        self.rename_below().await?;
        remember(&mut self.tx, self.connector, &self.of.cursor(FOREST_CURSOR), cursor).await?;
        self.tx.commit().await?;
        Ok(self.changed)
    }

    /// Gives an attribute of an object these references and no others.
    async fn put_references(
        &mut self,
        key: i64,
        attribute: AttributeId,
        to: &[Guid],
    ) -> Result<(), StateError> {
        let keys = keys_of(&mut self.tx, self.connector, to.iter().copied()).await?;
        let mut wanted: Vec<i64> = keys.into_values().collect();
        wanted.sort_unstable();
        let mut rest = wanted.as_slice();
        let mut after = i64::MIN;
        loop {
            let there: Vec<i64> = sqlx::query_scalar(
                "SELECT target FROM reference WHERE source = ? AND attribute = ? AND target > ?
                 ORDER BY target LIMIT ?",
            )
            .bind(key)
            .bind(attribute.0)
            .bind(after)
            .bind(REFERENCES_AT_ONCE as i64)
            .fetch_all(&mut *self.tx)
            .await?;
            let is_last = there.len() < REFERENCES_AT_ONCE;
            after = there.last().copied().filter(|_| !is_last).unwrap_or(i64::MAX);
            let (here, later) = rest.split_at(rest.partition_point(|target| *target <= after));
            let edge = |target: &i64| (key, attribute.0, *target);
            let lacks = |among: &[i64], target: &i64| among.binary_search(target).is_err();
            let removed: Vec<_> = there.iter().filter(|t| lacks(here, t)).map(edge).collect();
            remove_edges(&mut self.tx, &removed).await?;
            let added: Vec<_> = here.iter().filter(|t| lacks(&there, t)).map(edge).collect();
            for added in added.chunks(REFERENCES_AT_ONCE) {
                add_edges(&mut self.tx, added).await?;
            }
            if is_last {
                return Ok(());
            }
            rest = later;
        }
    }

    /// Adds those references that are not there.
    async fn add_unknown(&mut self, edges: &[(i64, u16, i64)]) -> Result<(), StateError> {
        let known = self.known(edges).await?;
        let new: Vec<_> = edges.iter().filter(|edge| !known.contains(edge)).copied().collect();
        add_edges(&mut self.tx, &new).await
    }

    /// Removes those that are.
    async fn remove_known(&mut self, edges: &[(i64, u16, i64)]) -> Result<(), StateError> {
        let known = self.known(edges).await?;
        remove_edges(&mut self.tx, &known.into_iter().collect::<Vec<_>>()).await
    }

    async fn known(
        &mut self,
        edges: &[(i64, u16, i64)],
    ) -> Result<std::collections::BTreeSet<(i64, u16, i64)>, StateError> {
        let known: Vec<(i64, u16, i64)> = sqlx::query_as(
            "SELECT source, attribute, target FROM json_each(?) CROSS JOIN reference
                 ON source = value ->> 0 AND attribute = value ->> 1 AND target = value ->> 2",
        )
        .bind(super::full::triples(edges))
        .fetch_all(&mut *self.tx)
        .await?;
        Ok(known.into_iter().collect())
    }

    /// A directory says nothing of what stands below a renamed object: its name follows from the
    /// name above. Until a reply's last part, two objects may stand below each other: where one moved, and
    /// the other moved below it, and is told first. What was told is not renamed for its own sake.
    async fn rename_below(&mut self) -> Result<(), StateError> {
        while let Some(Renamed { key: above, name, told }) = self.renamed.pop() {
            let mut after = 0_i64;
            loop {
                let rows = sqlx::query(
                    "SELECT i.key, i.kind, NULL AS parent, s.dn, s.record FROM identity i
                         CROSS JOIN staged s ON s.key = i.key
                     WHERE i.parent = ?1 AND i.state = 1 AND i.key > ?2 AND i.key <> ?4
                     ORDER BY i.key LIMIT ?3",
                )
                .bind(above)
                .bind(after)
                .bind(ROWS_MAX)
                .bind(told)
                .fetch_all(&mut *self.tx)
                .await?;
                let Some(last) = rows.last() else { break };
                after = last.try_get("key")?;
                self.rename(&rows, &name, told).await?;
            }
        }
        Ok(())
    }

    /// Renames objects that stand below a name.
    async fn rename(
        &mut self,
        rows: &[SqliteRow],
        above: &DistinguishedName,
        told: i64,
    ) -> Result<(), StateError> {
        let mut renamed = Vec::new();
        for row in rows {
            let key: i64 = row.try_get("key")?;
            let before = found(row)?;
            let own = before.dn.rdns().next().unwrap_or_default();
            let now: DistinguishedName =
                format!("{own},{above}").parse().map_err(|_| StateError::corrupt("a name"))?;
            if now == before.dn {
                continue;
            }
            let of: [&[u8]; 2] = [&key.to_le_bytes(), now.as_str().as_bytes()];
            sqlx::query("UPDATE staged SET dn = ?, record = ? WHERE key = ?")
                .bind(now.as_str())
                .bind(packed::seal_record(&of, &before.record))
                .bind(key)
                .execute(&mut *self.tx)
                .await?;
            renamed.push(key);
            self.renamed.push(Renamed { key, name: now, told });
        }
        self.changed.changed += renamed.len() as u64;
        queue::queue(&mut self.tx, renamed).await
    }
}

/// An object from a row with its key, kind, parent, dn and record.
pub(super) fn found(row: &SqliteRow) -> Result<Found, StateError> {
    let key: i64 = row.try_get("key")?;
    let dn: &str = row.try_get("dn")?;
    let of: [&[u8]; 2] = [&key.to_le_bytes(), dn.as_bytes()];
    let parent: Option<&[u8]> = row.try_get("parent")?;
    Ok(Found {
        kind: ObjectKind::of_code(row.try_get("kind")?)?,
        parent: parent.map(rows::guid).transpose()?,
        record: packed::open_record("an imported object", &of, row.try_get("record")?)?,
        dn: dn.parse().map_err(|_| StateError::corrupt("a name"))?,
    })
}
