//! Switches, roles, and values that an object does not have because another one has them.

use portolan_model::Guid;
use portolan_tenant::directory::{Naming, Object, ProvisioningError};
use portolan_tenant::feature::{Feature, Features};
use portolan_tenant::storage::StorageError;

use super::SqliteTransaction;
use super::rows::{moment, nanos, object_columns};

/// A row of `provisioning_error`: the object, the attribute, the value, since when.
type ErrorRow = (String, String, String, i64);

/// Ids as a JSON array, so that one statement takes them all.
fn array(ids: &[Guid]) -> Result<String, StorageError> {
    let ids: Vec<_> = ids.iter().map(Guid::to_string).collect();
    serde_json::to_string(&ids).map_err(StorageError::new)
}

fn errors(rows: Vec<ErrorRow>) -> Result<Vec<ProvisioningError>, StorageError> {
    let error = |(object, attribute, value, at): ErrorRow| {
        let naming = Naming::from_word(&attribute)?;
        let read = || {
            let object = object.parse().map_err(StorageError::new)?;
            Ok(ProvisioningError { object, naming, value, occurred_at: moment(at)? })
        };
        Some(read())
    };
    rows.into_iter().filter_map(error).collect()
}

impl SqliteTransaction {
    pub(super) async fn objects_where_ids(
        &mut self,
        ids: &[Guid],
    ) -> Result<Vec<Object>, StorageError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            object_columns!(),
            " FROM object o WHERE o.id IN (SELECT value FROM json_each(?))"
        ));
        self.read_objects(query.bind(array(ids)?)).await
    }

    pub(super) async fn read_administrators(
        &mut self,
        users: &[Guid],
    ) -> Result<Vec<Guid>, StorageError> {
        let found: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT user_id FROM role_assignment
             WHERE user_id IN (SELECT value FROM json_each(?))",
        )
        .bind(array(users)?)
        .fetch_all(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        found.into_iter().map(|id| id.parse().map_err(StorageError::new)).collect()
    }

    pub(super) async fn read_features(&mut self) -> Result<Features, StorageError> {
        let names: Vec<String> = sqlx::query_scalar("SELECT name FROM feature WHERE enabled = 1")
            .fetch_all(&mut *self.inner)
            .await
            .map_err(StorageError::new)?;
        Ok(names.iter().filter_map(|name| Feature::from_word(name)).collect())
    }

    /// Turns a switch on or off.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_feature(
        &mut self,
        feature: Feature,
        enabled: bool,
    ) -> Result<(), StorageError> {
        sqlx::query(
            "INSERT INTO feature (name, enabled) VALUES (?, ?)
             ON CONFLICT (name) DO UPDATE SET enabled = excluded.enabled",
        )
        .bind(feature.as_str())
        .bind(enabled)
        .execute(&mut *self.inner)
        .await
        .map(|_| ())
        .map_err(StorageError::new)
    }

    pub(super) async fn read_errors(
        &mut self,
        objects: &[Guid],
    ) -> Result<Vec<ProvisioningError>, StorageError> {
        let rows = sqlx::query_as(
            "SELECT object_id, attr, value, occurred_at FROM provisioning_error
             WHERE object_id IN (SELECT value FROM json_each(?))
             ORDER BY occurred_at, attr, value_norm",
        )
        .bind(array(objects)?)
        .fetch_all(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        errors(rows)
    }

    pub(super) async fn write_errors(
        &mut self,
        errors: &[(Guid, Vec<ProvisioningError>)],
    ) -> Result<(), StorageError> {
        let objects: Vec<_> = errors.iter().map(|(object, _)| *object).collect();
        sqlx::query(
            "DELETE FROM provisioning_error
             WHERE object_id IN (SELECT value FROM json_each(?))",
        )
        .bind(array(&objects)?)
        .execute(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        for error in errors.iter().flat_map(|(_, errors)| errors) {
            sqlx::query(
                "INSERT OR REPLACE INTO provisioning_error
                 (object_id, attr, value_norm, value, occurred_at) VALUES (?, ?, ?, ?, ?)",
            )
            .bind(error.object.to_string())
            .bind(error.naming.as_str())
            .bind(error.name().folded)
            .bind(&error.value)
            .bind(nanos(error.occurred_at))
            .execute(&mut *self.inner)
            .await
            .map_err(StorageError::new)?;
        }
        Ok(())
    }

    pub(super) async fn read_free_values(
        &mut self,
        count: u32,
    ) -> Result<Vec<ProvisioningError>, StorageError> {
        let rows = sqlx::query_as(
            "SELECT e.object_id, e.attr, e.value, e.occurred_at FROM provisioning_error e
             WHERE NOT EXISTS (SELECT 1 FROM attr_index i
             WHERE i.attr = e.attr AND i.value_norm = e.value_norm)
             ORDER BY e.occurred_at, e.object_id LIMIT ?",
        )
        .bind(count)
        .fetch_all(&mut *self.inner)
        .await
        .map_err(StorageError::new)?;
        errors(rows)
    }
}
