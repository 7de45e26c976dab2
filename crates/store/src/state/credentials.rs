//! Which objects' credentials a target has acknowledged. No credential is here.

use std::collections::{BTreeSet, HashMap};

use portolan_model::{Guid, SourceAnchor};
use portolan_sync::engine::ConnectorId;
use sqlx::Row as _;

use super::names::{REPLICATION_CURSOR, remember};
use super::rows::{self, Tx, hexadecimal};
use super::{Answer, Partition, State, StateError, TargetKey};

/// A credential that a target does not have, has, or that there is none of.
const OWED: i64 = 0;
const THERE: i64 = 1;
const NONE: i64 = 2;

/// Objects of forests by the objectGUIDs of one forest, and their target's object.
const OF_GUIDS: &str = "UPDATE target_object SET credentialed = ?4
    WHERE connector = ?2 AND credentialed <> ?4 AND metaverse IN (
        SELECT link.metaverse FROM json_each(?3)
            CROSS JOIN identity ON identity.connector = ?1 AND identity.guid = unhex(value)
            CROSS JOIN link ON link.key = identity.key)";

/// Whether an object (`i`, linked by `l`) is the one whose password its target's object (`t`) has: of several users that are
/// joined the one whose anchor that has, else one that makes it rather than one that is joined to it.
macro_rules! password_of {
    ($rest:literal) => {
        concat!(
            $rest,
            " AND NOT EXISTS (SELECT 1 FROM link other CROSS JOIN identity whose
                 ON whose.key = other.key AND whose.state = 1 AND whose.kind = 0
                 WHERE other.metaverse = t.metaverse
                     AND (other.anchor IS NOT t.anchor, other.kind = 1, other.key)
                         < (l.anchor IS NOT t.anchor, l.kind = 1, l.key))"
        )
    };
}

impl State {
    /// Objects of a naming context whose credential a target should have and does not, behind one of the
    /// target's objects. The target has the objects themselves.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn owed(
        &self,
        of: impl Into<Partition>,
        target: ConnectorId,
        after: TargetKey,
        limit: u32,
    ) -> Result<Vec<(TargetKey, Guid)>, StateError> {
        let of = of.into();
        let rows = sqlx::query(concat!(
            password_of!(
                "SELECT t.key, i.guid FROM target_object t
                         CROSS JOIN link l ON l.metaverse = t.metaverse
                         CROSS JOIN identity i ON i.key = l.key
                     WHERE t.connector = ?2 AND t.password = 1 AND t.credentialed = 0
                         AND t.confirmed IS NOT NULL AND t.stage IS NOT 0
                         AND i.connector = ?1 AND i.part = ?5 AND i.state = 1 AND i.kind = 0
                         AND t.key > ?3"
            ),
            " ORDER BY t.key LIMIT ?4"
        ))
        .bind(of.forest.0)
        .bind(target.0)
        .bind(after.0)
        .bind(limit)
        .bind(of.number)
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter()
            .map(|row| Ok((TargetKey(row.try_get("key")?), rows::guid(row.try_get("guid")?)?)))
            .collect()
    }

    /// What identifies users in a target whose password hash is synchronised from these objects of a
    /// forest: of those that are such users, and that the target has.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn anchors_of_password_users(
        &self,
        forest: ConnectorId,
        target: ConnectorId,
        guids: &[Guid],
    ) -> Result<HashMap<Guid, SourceAnchor>, StateError> {
        let octets: Vec<_> = guids.iter().map(|guid| guid.to_bytes_le()).collect();
        let rows = sqlx::query(password_of!(
            "SELECT i.guid, t.anchor FROM json_each(?3)
                     CROSS JOIN identity i ON i.connector = ?1 AND i.guid = unhex(value)
                     CROSS JOIN link l ON l.key = i.key
                     CROSS JOIN target_object t ON t.metaverse = l.metaverse
                 WHERE i.state = 1 AND i.kind = 0 AND t.connector = ?2 AND t.password = 1
                     AND t.confirmed IS NOT NULL AND t.stage IS NOT 0"
        ))
        .bind(forest.0)
        .bind(target.0)
        .bind(hexadecimal(octets.iter().map(<[u8; 16]>::as_slice)))
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        rows.iter()
            .map(|row| {
                Ok((rows::guid(row.try_get("guid")?)?, rows::anchor(row.try_get("anchor")?)?))
            })
            .collect()
    }

    /// Keeps that a target has acknowledged the credentials of these objects.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn acknowledge_credentials(
        &self,
        forest: ConnectorId,
        target: ConnectorId,
        guids: &[Guid],
        answer: Answer<'_>,
    ) -> Result<(), StateError> {
        let mut tx = self.database.write().await?;
        put(&mut tx, forest, target, guids.iter().copied(), THERE).await?;
        answer.remember(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// Keeps that these objects have no password: nothing is owed of them until they get one.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn note_without_password(
        &self,
        forest: ConnectorId,
        target: ConnectorId,
        guids: &[Guid],
    ) -> Result<(), StateError> {
        let mut tx = self.database.write().await?;
        put(&mut tx, forest, target, guids.iter().copied(), NONE).await?;
        Ok(tx.commit().await?)
    }

    /// Of how many users a target has acknowledged the credential.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn credentialed_count(&self, target: ConnectorId) -> Result<u64, StateError> {
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM target_object WHERE connector = ? AND credentialed = 1",
        )
        .bind(target.0)
        .fetch_one(&mut *self.database.read().await?)
        .await?;
        Ok(count.unsigned_abs())
    }

    /// The replication cursor of a naming context as it was last committed.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn replication_cursor(
        &self,
        of: impl Into<Partition>,
    ) -> Result<Option<Vec<u8>>, StateError> {
        let of = of.into();
        self.remembered(of.forest, &of.cursor(REPLICATION_CURSOR)).await
    }

    /// Commits a replication cursor, together with the objects whose credential it passes although
    /// the target does not have it: they are owed from now on, so that they are read alone until it
    /// does.
    ///
    /// # Errors
    /// When the state cannot be written; neither is kept then.
    pub async fn commit_replication_cursor(
        &self,
        of: impl Into<Partition>,
        target: ConnectorId,
        cursor: &[u8],
        passed_by: &BTreeSet<Guid>,
    ) -> Result<(), StateError> {
        let of = of.into();
        let mut tx = self.database.write().await?;
        put(&mut tx, of.forest, target, passed_by.iter().copied(), OWED).await?;
        remember(&mut tx, of.forest, &of.cursor(REPLICATION_CURSOR), cursor).await?;
        Ok(tx.commit().await?)
    }
}

async fn put(
    tx: &mut Tx,
    forest: ConnectorId,
    target: ConnectorId,
    guids: impl Iterator<Item = Guid>,
    credentialed: i64,
) -> Result<(), StateError> {
    let octets: Vec<_> = guids.map(Guid::to_bytes_le).collect();
    sqlx::query(OF_GUIDS)
        .bind(forest.0)
        .bind(target.0)
        .bind(hexadecimal(octets.iter().map(<[u8; 16]>::as_slice)))
        .bind(credentialed)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
