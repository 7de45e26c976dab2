//! What of the directory is a group of sync servers', for those of them that confirm what they believe.

use std::collections::{BTreeMap, HashMap, HashSet};

use portolan_model::{Guid, SourceAnchor};
use portolan_tenant::directory::{Object, ProvisioningError, Reference};
use portolan_tenant::held::{self, References};
use portolan_tenant::storage::{StorageError, Transaction as _};
use portolan_tenant::wire::OwnedObject;

use super::SqliteTransaction;
use super::rows::object_columns;

/// References that are read at once.
const REFERENCES_AT_ONCE: u32 = 20_000;

/// An object of a group.
#[derive(Debug, Clone)]
pub struct HeldObject {
    /// The object.
    pub object: Object,
    /// What it does not have because others have it.
    pub set_aside: Vec<ProvisioningError>,
    /// The digest of its photo.
    pub photo: Option<String>,
    /// Whether it has a password.
    pub has_password: bool,
}

/// Texts as a JSON array, so that one statement takes them all.
fn array(texts: impl Iterator<Item = String>) -> Result<String, StorageError> {
    serde_json::to_string(&texts.collect::<Vec<_>>()).map_err(StorageError::new)
}

impl From<HeldObject> for OwnedObject {
    /// What a tenant tells of an object to who asks for its content.
    fn from(one: HeldObject) -> Self {
        Self {
            anchor: one.object.anchor.as_ref().map(ToString::to_string).unwrap_or_default(),
            kind: one.object.kind.as_str().to_owned(),
            content: Some(held::content(&one.object.attributes, &one.set_aside)),
            photo: one.photo,
            password: one.has_password,
            references: None,
        }
    }
}

impl SqliteTransaction {
    /// A group's living objects in the order of their anchors, behind `after`, at most `count`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn held_objects(
        &mut self,
        group: Guid,
        after: &str,
        count: u32,
    ) -> Result<Vec<HeldObject>, StorageError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            object_columns!(),
            " FROM object_owner w JOIN object o ON o.anchor = w.anchor
              WHERE w.client_id = ? AND w.anchor > ? AND o.deleted_at IS NULL
              ORDER BY w.anchor LIMIT ?"
        ));
        let objects =
            self.read_objects(query.bind(group.to_string()).bind(after).bind(count)).await?;
        let ids: Vec<_> = objects.iter().map(|object| object.id).collect();
        let mut set_aside: HashMap<Guid, Vec<ProvisioningError>> = HashMap::new();
        for error in self.provisioning_errors(&ids).await? {
            set_aside.entry(error.object).or_default().push(error);
        }
        let all = array(ids.iter().map(Guid::to_string))?;
        let mut photos = self.photo_digests(&all).await?;
        let with_password: Vec<String> = sqlx::query_scalar(
            "SELECT user_id FROM credential WHERE user_id IN (SELECT value FROM json_each(?))",
        )
        .bind(all)
        .fetch_all(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        let with_password: HashSet<_> = with_password.into_iter().collect();
        let held = |object: Object| HeldObject {
            set_aside: set_aside.remove(&object.id).unwrap_or_default(),
            photo: photos.remove(&object.id.to_string()),
            has_password: with_password.contains(&object.id.to_string()),
            object,
        };
        Ok(objects.into_iter().map(held).collect())
    }

    /// The digests of whom objects of a group refer to: of living objects of the same group. Who refers to
    /// nobody is not there.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn held_references(
        &mut self,
        group: Guid,
        anchors: &[&SourceAnchor],
    ) -> Result<BTreeMap<String, References>, StorageError> {
        let all = array(anchors.iter().map(ToString::to_string))?;
        let mut digests: BTreeMap<String, References> = BTreeMap::new();
        let managers: Vec<(String, String)> = sqlx::query_as(
            "SELECT o.anchor, d.anchor FROM json_each(?1) j CROSS JOIN object o ON o.anchor = j.value
                 CROSS JOIN link l ON l.src_rid = o.rid AND l.attr = 'manager' AND l.deleted = 0
                 CROSS JOIN object d ON d.anchor = l.dst_anchor AND d.deleted_at IS NULL
                 CROSS JOIN object_owner w ON w.anchor = d.anchor AND w.client_id = ?2",
        )
        .bind(&all)
        .bind(group.to_string())
        .fetch_all(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        for (from, to) in managers {
            digests.entry(from).or_default().add(Reference::Manager, &to);
        }
        let groups: Vec<String> = sqlx::query_scalar(
            "SELECT o.anchor FROM json_each(?) j CROSS JOIN object o ON o.anchor = j.value
             WHERE o.kind = 'group' AND EXISTS (SELECT 1 FROM link l
                 WHERE l.src_rid = o.rid AND l.attr = 'members' AND l.deleted = 0)",
        )
        .bind(&all)
        .fetch_all(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        for from in groups {
            let mut after = String::new();
            loop {
                let (page, reached) =
                    self.held_page(group, &from, Reference::Members, &after).await?;
                let digest = digests.entry(from.clone()).or_default();
                page.iter().for_each(|to| digest.add(Reference::Members, to));
                let Some(reached) = reached else { break };
                after = reached;
            }
        }
        Ok(digests)
    }

    /// Some of those whom an object of a group refers to by an attribute, in the order of their anchors,
    /// behind one; and the last anchor that was looked at, if there are more.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn held_page(
        &mut self,
        group: Guid,
        from: &str,
        reference: Reference,
        after: &str,
    ) -> Result<(Vec<String>, Option<String>), StorageError> {
        let rows: Vec<(String, bool)> = sqlx::query_as(
            "SELECT l.dst_anchor, EXISTS (SELECT 1 FROM object d
                 CROSS JOIN object_owner w ON w.anchor = d.anchor AND w.client_id = ?5
                 WHERE d.anchor = l.dst_anchor AND d.deleted_at IS NULL)
             FROM object o CROSS JOIN link l ON l.src_rid = o.rid
             WHERE o.anchor = ?1 AND l.attr = ?2 AND l.dst_anchor > ?3 AND l.deleted = 0
             ORDER BY l.dst_anchor LIMIT ?4",
        )
        .bind(from)
        .bind(reference.as_str())
        .bind(after)
        .bind(REFERENCES_AT_ONCE)
        .bind(group.to_string())
        .fetch_all(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        let is_full = rows.len() == REFERENCES_AT_ONCE as usize;
        let reached = rows.last().filter(|_| is_full).map(|(anchor, _)| anchor.clone());
        let living = rows.into_iter().filter_map(|(anchor, lives)| lives.then_some(anchor));
        Ok((living.collect(), reached))
    }
}
