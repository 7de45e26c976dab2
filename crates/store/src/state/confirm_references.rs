//! Whom a target says that its objects refer to, held against what is kept of it.

use std::collections::BTreeMap;

use portolan_model::SourceAnchor;
use portolan_sync::AttributeId;
use portolan_sync::engine::ConnectorId;
use portolan_tenant::directory::Reference;
use portolan_tenant::held::References;
use sqlx::Row as _;

use super::rows::{self, numbers};
use super::{State, StateError, TargetKey, references};

/// References that are read at once.
const REFERENCES_AT_ONCE: u32 = 20_000;

/// Whom an object refers to, in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownReferences {
    /// The object.
    pub key: TargetKey,
    /// What identifies it.
    pub anchor: SourceAnchor,
    /// Those that the target acknowledged.
    pub known: References,
    /// Those that there are to be.
    pub wished: References,
}

impl State {
    /// Digests of whom objects of a target refer to, of those objects that the target has. `names` says
    /// which attribute is which.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn known_references(
        &self,
        target: ConnectorId,
        anchors: &[SourceAnchor],
        names: &[(AttributeId, Reference)],
    ) -> Result<Vec<KnownReferences>, StateError> {
        let mut tx = self.database.read().await?;
        let rows = sqlx::query(
            "SELECT t.key, t.anchor FROM json_each(?2) CROSS JOIN target_object t
                 ON t.connector = ?1 AND t.anchor = value
             WHERE t.confirmed IS NOT NULL ORDER BY t.key",
        )
        .bind(target.0)
        .bind(rows::texts(anchors.iter().map(SourceAnchor::as_str)))
        .fetch_all(&mut *tx)
        .await?;
        let mut found = BTreeMap::new();
        for row in &rows {
            let (key, none) = (row.try_get("key")?, References::default());
            let anchor = rows::anchor(row.try_get("anchor")?)?;
            found.insert(
                key,
                KnownReferences { key: TargetKey(key), anchor, known: none, wished: none },
            );
        }
        let keys: Vec<i64> = found.keys().copied().collect();
        for (statement, is_pending) in [(KNOWN, false), (PENDING, true)] {
            let mut after = (-1_i64, -1_i64, -1_i64);
            loop {
                let rest = keys.iter().copied().filter(|key| *key >= after.0);
                let rows = sqlx::query(statement)
                    .bind(numbers(rest))
                    .bind(after.0)
                    .bind(after.1)
                    .bind(after.2)
                    .bind(REFERENCES_AT_ONCE)
                    .fetch_all(&mut *tx)
                    .await?;
                for row in &rows {
                    after = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
                    let (anchor, is_added): (&str, bool) = (row.try_get(3)?, row.try_get(4)?);
                    let reference = names.iter().find(|(id, _)| i64::from(id.0) == after.1);
                    let Some((_, reference)) = reference else { continue };
                    let Some(one) = found.get_mut(&after.0) else { continue };
                    if !is_pending {
                        one.known.add(*reference, anchor);
                    }
                    match is_added {
                        true => one.wished.add(*reference, anchor),
                        false => one.wished.remove(*reference, anchor),
                    }
                }
                if rows.len() < REFERENCES_AT_ONCE as usize {
                    break;
                }
            }
        }
        Ok(found.into_values().collect())
    }

    /// Keeps that a target has of an object's references those that there are to be: somebody else
    /// exported them.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn adopt_references(&self, object: TargetKey) -> Result<(), StateError> {
        let mut tx = self.database.write().await?;
        for statement in [
            "INSERT OR IGNORE INTO target_reference (source, attribute, target)
             SELECT p.source, p.attribute, p.target FROM pending_reference p
                 CROSS JOIN target_object u ON u.key = p.target
             WHERE p.source = ? AND p.added = 1 AND u.confirmed IS NOT NULL",
            "DELETE FROM target_reference WHERE (source, attribute, target) IN
                 (SELECT p.source, p.attribute, p.target FROM pending_reference p
                  WHERE p.source = ? AND p.added = 0)",
            "DELETE FROM pending_reference WHERE source = ? AND EXISTS (SELECT 1 FROM target_object u
                 WHERE u.key = pending_reference.target AND u.confirmed IS NOT NULL)",
        ] {
            sqlx::query(statement).bind(object.0).execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Keeps whom an object of a target refers to, and no others. What is other than it should be is found
    /// when references are looked at the next time.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn confirm_references(
        &self,
        target: ConnectorId,
        object: TargetKey,
        held: &[(AttributeId, SourceAnchor)],
    ) -> Result<(), StateError> {
        let mut tx = self.database.write().await?;
        for statement in [
            "DELETE FROM target_reference WHERE source = ?",
            "DELETE FROM pending_reference WHERE source = ?",
        ] {
            sqlx::query(statement).bind(object.0).execute(&mut *tx).await?;
        }
        for of_one in held.chunk_by(|a, b| a.0 == b.0) {
            let Some((attribute, _)) = of_one.first() else { continue };
            for chunk in of_one.chunks(REFERENCES_AT_ONCE as usize) {
                sqlx::query(
                    "INSERT OR IGNORE INTO target_reference (source, attribute, target)
                     SELECT ?1, ?2, u.key FROM json_each(?4) CROSS JOIN target_object u
                         ON u.connector = ?3 AND u.anchor = value WHERE u.confirmed IS NOT NULL",
                )
                .bind(object.0)
                .bind(attribute.0)
                .bind(target.0)
                .bind(rows::texts(chunk.iter().map(|(_, anchor)| anchor.as_str())))
                .execute(&mut *tx)
                .await?;
            }
        }
        references::mark_target(&mut tx, &numbers([object.0])).await?;
        Ok(tx.commit().await?)
    }
}

/// References that a target acknowledged, of objects by their numbers, behind a place.
const KNOWN: &str = "SELECT r.source, r.attribute, r.target, u.anchor, 1
    FROM json_each(?1) CROSS JOIN target_reference r ON r.source = value
        CROSS JOIN target_object u ON u.key = r.target
    WHERE (r.source, r.attribute, r.target) > (?2, ?3, ?4) AND u.confirmed IS NOT NULL
    ORDER BY r.source, r.attribute, r.target LIMIT ?5";

/// Those that are to be added and removed, likewise.
const PENDING: &str = "SELECT r.source, r.attribute, r.target, u.anchor, r.added
    FROM json_each(?1) CROSS JOIN pending_reference r ON r.source = value
        CROSS JOIN target_object u ON u.key = r.target
    WHERE (r.source, r.attribute, r.target) > (?2, ?3, ?4) AND u.confirmed IS NOT NULL
    ORDER BY r.source, r.attribute, r.target LIMIT ?5";
