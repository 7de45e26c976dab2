//! What a plan shows besides what is to be exported: whose a target's object was that is to be deleted,
//! and every reference that is to change, those among them that wait for an object.

use std::collections::HashMap;

use portolan_model::SourceAnchor;
use portolan_sync::engine::{ConnectorId, ObjectKey};
use sqlx::Row as _;

use super::reference_exports::{self, ReferenceExport, ReferencePlace};
use super::{State, StateError, rows};

/// A reference that is to be added or removed, and the names in the forest of the two that it is between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedReference {
    /// The reference.
    pub reference: ReferenceExport,
    /// The name of the object that refers.
    pub source_name: Option<String>,
    /// The name of the one that it refers to.
    pub target_name: Option<String>,
}

impl State {
    /// The object of a forest that each of these anchors was set for, whether it is staged or gone.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn claimants(
        &self,
        anchors: &[SourceAnchor],
    ) -> Result<HashMap<SourceAnchor, ObjectKey>, StateError> {
        let rows = sqlx::query(
            "SELECT link.key, link.anchor FROM json_each(?) CROSS JOIN link ON anchor = value",
        )
        .bind(rows::texts(anchors.iter().map(SourceAnchor::as_str)))
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        let pair = |row: &sqlx::sqlite::SqliteRow| {
            Ok((rows::anchor(row.try_get("anchor")?)?, ObjectKey(row.try_get("key")?)))
        };
        rows.iter().map(pair).collect()
    }

    /// References that are to be added or removed in a target, behind a place: those of one attribute of
    /// one object are together. Those that wait for an object are among them.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn planned_references(
        &self,
        target: ConnectorId,
        after: ReferencePlace,
        limit: u32,
    ) -> Result<Vec<PlannedReference>, StateError> {
        let rows = reference_exports::behind(PLANNED, target, after, limit)
            .fetch_all(&mut *self.database.read().await?)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(PlannedReference {
                    reference: reference_exports::reference(row)?,
                    source_name: row.try_get("source_name")?,
                    target_name: row.try_get("target_name")?,
                })
            })
            .collect()
    }
}

/// As pending references are read, with names.
const PLANNED: &str = "SELECT p.source, p.attribute, p.target, p.added, g.anchor, g.kind,
         u.anchor AS target_anchor, u.kind AS target_kind,
         (SELECT s.dn FROM link l CROSS JOIN staged s ON s.key = l.key
             WHERE l.metaverse = g.metaverse ORDER BY l.key LIMIT 1) AS source_name,
         (SELECT s.dn FROM link l CROSS JOIN staged s ON s.key = l.key
             WHERE l.metaverse = u.metaverse ORDER BY l.key LIMIT 1) AS target_name
     FROM pending_reference p CROSS JOIN target_object g ON g.key = p.source
         CROSS JOIN target_object u ON u.key = p.target
     WHERE (p.source, p.attribute, p.target) > (?2, ?3, ?4) AND g.connector = ?1
     ORDER BY p.source, p.attribute, p.target LIMIT ?5";
