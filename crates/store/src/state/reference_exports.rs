//! References that are to be added to targets' objects and removed from them.

use portolan_model::SourceAnchor;
use portolan_sync::AttributeId;
use portolan_sync::TenantKind;
use portolan_sync::engine::ConnectorId;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Row as _, Sqlite};

use super::codes::Code as _;
use super::{Answer, State, StateError, TargetKey, losses, names, rows};

/// A place in the order of references; the default is in front of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReferencePlace {
    source: i64,
    attribute: i64,
    target: i64,
}

impl Default for ReferencePlace {
    fn default() -> Self {
        Self { source: -1, attribute: -1, target: -1 }
    }
}

impl ReferencePlace {
    /// The numbers of the object that refers, the attribute, and the object that it refers to.
    pub(super) const fn numbers(self) -> (i64, i64, i64) {
        (self.source, self.attribute, self.target)
    }
}

/// A reference that is to be added or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceExport {
    /// Behind it, the next one is asked for.
    pub place: ReferencePlace,
    /// The object that refers.
    pub source: TargetKey,
    /// What identifies it.
    pub anchor: SourceAnchor,
    /// What it is.
    pub kind: TenantKind,
    /// By which attribute.
    pub attribute: AttributeId,
    /// What identifies the object that it refers to.
    pub target: SourceAnchor,
    /// What that is.
    pub target_kind: TenantKind,
    /// Whether it is to be added, or removed.
    pub is_added: bool,
}

impl State {
    /// References that are to be added or removed in a target, behind a place: those of one attribute
    /// of one object are together. Those of objects that the target does not have yet wait; so do those of an
    /// object of which only that is known, whose references begin anew when it is written.
    ///
    /// # Errors
    /// When something does not read back.
    pub async fn pending_references(
        &self,
        target: ConnectorId,
        after: ReferencePlace,
        limit: u32,
    ) -> Result<Vec<ReferenceExport>, StateError> {
        let rows = behind(PENDING, target, after, limit)
            .fetch_all(&mut *self.database.read().await?)
            .await?;
        rows.iter().map(reference).collect()
    }

    /// Keeps that a target has added or removed references. What was decided anew in the meantime is
    /// still to be done.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn acknowledge_references(
        &self,
        exports: &[ReferenceExport],
        answer: Answer<'_>,
    ) -> Result<(), StateError> {
        let mut tx = self.database.write().await?;
        let removed = exports.iter().filter(|export| !export.is_added);
        let removed: Vec<_> = removed.map(|export| export.source.0).collect();
        if !removed.is_empty() {
            losses::count_removed(&mut tx, removed, answer.at).await?;
        }
        let added = exports.iter().filter(|export| export.is_added);
        let added = added.map(|export| export.source.0);
        losses::count_added(&mut tx, added, answer.at).await?;
        for added in [true, false] {
            let chosen = exports.iter().filter(|export| export.is_added == added);
            let places = places(chosen.map(|export| export.place));
            let keep = if added {
                "INSERT OR IGNORE INTO target_reference (source, attribute, target)
                 SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?1)
                 WHERE EXISTS (SELECT 1 FROM target_object WHERE key = value ->> 0)
                     AND EXISTS (SELECT 1 FROM target_object WHERE key = value ->> 2)"
            } else {
                "DELETE FROM target_reference WHERE (source, attribute, target) IN
                     (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?1))"
            };
            // What is not wished for any more in this way has to be looked at again.
            for statement in [
                "INSERT OR IGNORE INTO dirty_reference (kind, object, attribute, target)
                 SELECT 6, value ->> 0, value ->> 1, value ->> 2 FROM json_each(?1)
                 WHERE NOT EXISTS (SELECT 1 FROM pending_reference p WHERE p.source = value ->> 0
                     AND p.attribute = value ->> 1 AND p.target = value ->> 2 AND p.added = ?2)",
                "DELETE FROM pending_reference WHERE added = ?2 AND (source, attribute, target) IN
                     (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?1))",
            ] {
                sqlx::query(statement).bind(&places).bind(added).execute(&mut *tx).await?;
            }
            sqlx::query(keep).bind(&places).execute(&mut *tx).await?;
        }
        answer.remember(&mut tx).await?;
        Ok(tx.commit().await?)
    }
}

const PENDING: &str = "SELECT p.source, p.attribute, p.target, p.added, g.anchor, g.kind,
         u.anchor AS target_anchor, u.kind AS target_kind
     FROM pending_reference p CROSS JOIN target_object g ON g.key = p.source
         CROSS JOIN target_object u ON u.key = p.target
     WHERE (p.source, p.attribute, p.target) > (?2, ?3, ?4) AND g.connector = ?1
         AND g.confirmed IS NOT NULL AND g.confirmed <> x'' AND u.confirmed IS NOT NULL
     ORDER BY p.source, p.attribute, p.target LIMIT ?5";

/// A query of references in a target behind a place.
pub(super) fn behind(
    statement: &'static str,
    target: ConnectorId,
    after: ReferencePlace,
    limit: u32,
) -> Query<'static, Sqlite, SqliteArguments> {
    sqlx::query(statement)
        .bind(target.0)
        .bind(after.source)
        .bind(after.attribute)
        .bind(after.target)
        .bind(limit)
}

/// A reference of its row.
pub(super) fn reference(row: &SqliteRow) -> Result<ReferenceExport, StateError> {
    let place = ReferencePlace {
        source: row.try_get("source")?,
        attribute: row.try_get("attribute")?,
        target: row.try_get("target")?,
    };
    Ok(ReferenceExport {
        place,
        source: TargetKey(place.source),
        anchor: rows::anchor(row.try_get("anchor")?)?,
        kind: TenantKind::of_code(row.try_get("kind")?)?,
        attribute: names::attribute(place.attribute)?,
        target: rows::anchor(row.try_get("target_anchor")?)?,
        target_kind: TenantKind::of_code(row.try_get("target_kind")?)?,
        is_added: row.try_get::<i64, _>("added")? == 1,
    })
}

/// Places as JSON.
fn places(places: impl Iterator<Item = ReferencePlace>) -> String {
    let triples: Vec<_> = places
        .map(|place| format!("[{},{},{}]", place.source, place.attribute, place.target))
        .collect();
    format!("[{}]", triples.join(","))
}
