//! Changes of the forest since the last import, all of them or none.

use std::collections::BTreeSet;

use portolan_model::{DistinguishedName, Guid};
use portolan_sync::ForestObject;
use sqlx::{Row as _, Sqlite, Transaction};

use super::full::advance_generation;
use super::objects::forest_object;
use super::{ConnectorSpace, FOREST_CURSOR, SpaceError, document, full, put_cursor};

/// Rows that are looked at in one go.
const ROWS_MAX: i64 = 1_000;
/// Parents that are missed at once.
const ORPHANS_MAX: i64 = 1_000;

/// Changes under way: one transaction, together with the cursor behind them.
#[derive(Debug)]
pub struct Changes {
    transaction: Transaction<'static, Sqlite>,
    import: i64,
    gone: BTreeSet<Guid>,
    /// Objects whose name may be other than before: what stands below them is in their name.
    renamed: Vec<(Guid, DistinguishedName)>,
    changed: Changed,
}

/// What changes did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changed {
    /// Objects that are new or other than before, those among them whose name alone changed with
    /// that of an object above, and groups that lost a deleted member.
    pub changed: u64,
    /// Objects that are gone.
    pub removed: u64,
}

impl ConnectorSpace {
    /// Begins to change the objects that count. It keeps every other writer waiting.
    ///
    /// # Errors
    /// When another writer holds the space for longer than the busy time.
    pub async fn begin_changes(&self) -> Result<Changes, SpaceError> {
        let mut transaction = self.database.write().await?;
        let import = sqlx::query_scalar("SELECT value FROM state WHERE name = 'import'")
            .fetch_one(&mut *transaction)
            .await?;
        let (gone, renamed) = (BTreeSet::new(), Vec::new());
        Ok(Changes { transaction, import, gone, renamed, changed: Changed::default() })
    }
}

impl Changes {
    /// An object as it is now.
    ///
    /// # Errors
    /// When its row cannot be read back.
    pub async fn get(&mut self, guid: &Guid) -> Result<Option<ForestObject>, SpaceError> {
        let row = sqlx::query(
            "SELECT guid, kind, dn, parent, members, attributes FROM object
             WHERE import = ? AND guid = ?",
        )
        .bind(self.import)
        .bind(&guid.to_bytes_le()[..])
        .fetch_optional(&mut *self.transaction)
        .await?;
        row.as_ref().map(forest_object).transpose()
    }

    /// Takes an object in, new or changed. What stands below a `renamed` one is renamed with it.
    ///
    /// # Errors
    /// When the space cannot be written.
    pub async fn put(&mut self, object: &ForestObject, renamed: bool) -> Result<(), SpaceError> {
        full::put(&mut self.transaction, self.import, object).await?;
        self.gone.remove(&object.guid);
        if renamed {
            self.renamed.push((object.guid, object.dn.clone()));
        }
        self.changed.changed += 1;
        Ok(())
    }

    /// Takes an object out, and out of every group that it is a member of.
    ///
    /// # Errors
    /// When the space cannot be written.
    pub async fn remove(&mut self, guid: &Guid) -> Result<(), SpaceError> {
        self.gone.insert(*guid);
        let removed = sqlx::query("DELETE FROM object WHERE import = ? AND guid = ?")
            .bind(self.import)
            .bind(&guid.to_bytes_le()[..])
            .execute(&mut *self.transaction)
            .await?;
        self.changed.removed += removed.rows_affected();
        Ok(())
    }

    /// Objects that stand above others and are not there.
    ///
    /// # Errors
    /// When a row cannot be read back.
    pub async fn orphaned_by(&mut self) -> Result<Vec<Guid>, SpaceError> {
        let rows = sqlx::query(
            "SELECT parent FROM (SELECT DISTINCT parent FROM object WHERE +import = ?1
                 AND parent IS NOT NULL)
             WHERE NOT EXISTS (SELECT 1 FROM object WHERE import = ?1 AND guid = parent) LIMIT ?2",
        )
        .bind(self.import)
        .bind(ORPHANS_MAX)
        .fetch_all(&mut *self.transaction)
        .await?;
        rows.iter().map(|row| document::guid(row.try_get("parent")?)).collect()
    }

    /// Ends the changes: they count from now on, and the cursor behind them.
    ///
    /// # Errors
    /// When the space cannot be written; nothing has changed then.
    pub async fn commit(mut self, cursor: &[u8]) -> Result<Changed, SpaceError> {
        self.forget_members().await?;
        self.rename_below().await?;
        if self.changed != Changed::default() {
            advance_generation(&mut self.transaction).await?;
        }
        put_cursor(&mut self.transaction, FOREST_CURSOR, cursor).await?;
        self.transaction.commit().await?;
        Ok(self.changed)
    }

    /// A directory says nothing of the groups of a deleted member.
    async fn forget_members(&mut self) -> Result<(), SpaceError> {
        let mut after = 0_i64;
        while !self.gone.is_empty() {
            // Groups can be large, so they are looked at one by one.
            let row = sqlx::query(
                "SELECT rid, members FROM object
                 WHERE kind = 'group' AND +import = ? AND rid > ? AND length(members) > 0
                 ORDER BY rid LIMIT 1",
            )
            .bind(self.import)
            .bind(after)
            .fetch_optional(&mut *self.transaction)
            .await?;
            let Some(row) = row else { return Ok(()) };
            after = row.try_get("rid")?;
            let mut members = document::guids_from_octets(row.try_get("members")?)?;
            let before = members.len();
            members.retain(|member| !self.gone.contains(member));
            if members.len() != before {
                sqlx::query("UPDATE object SET members = ? WHERE rid = ?")
                    .bind(document::guids_to_octets(&members))
                    .bind(after)
                    .execute(&mut *self.transaction)
                    .await?;
                self.changed.changed += 1;
            }
        }
        Ok(())
    }

    /// A directory says nothing of what stands below a renamed object: its name follows from the
    /// name above. Ends, for a name that grows without end is none.
    async fn rename_below(&mut self) -> Result<(), SpaceError> {
        while let Some((above, name)) = self.renamed.pop() {
            let mut after = 0_i64;
            loop {
                let rows = sqlx::query(
                    "SELECT rid, guid, dn FROM object
                     WHERE parent = ? AND import = ? AND rid > ? ORDER BY rid LIMIT ?",
                )
                .bind(&above.to_bytes_le()[..])
                .bind(self.import)
                .bind(after)
                .bind(ROWS_MAX)
                .fetch_all(&mut *self.transaction)
                .await?;
                let Some(last) = rows.last() else { break };
                after = last.try_get("rid")?;
                for row in &rows {
                    let before: &str = row.try_get("dn")?;
                    let before: DistinguishedName =
                        before.parse().map_err(|_| SpaceError::corrupt("dn"))?;
                    let own = before.rdns().next().unwrap_or_default();
                    let now: DistinguishedName =
                        format!("{own},{name}").parse().map_err(|_| SpaceError::corrupt("dn"))?;
                    if now == before {
                        continue;
                    }
                    sqlx::query("UPDATE object SET dn = ? WHERE rid = ?")
                        .bind(now.as_str())
                        .bind(row.try_get::<i64, _>("rid")?)
                        .execute(&mut *self.transaction)
                        .await?;
                    self.renamed.push((document::guid(row.try_get("guid")?)?, now));
                    self.changed.changed += 1;
                }
            }
        }
        Ok(())
    }
}
