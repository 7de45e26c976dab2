//! Attributes that an administrator added to the schema.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portolan_tenant::directory::{DataType, Definition, Extension, Kind};
use portolan_tenant::storage::StorageError;
use serde_json::{Value as Json, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::SqliteTransaction;

impl SqliteTransaction {
    pub(super) async fn read_extensions(&mut self) -> Result<Vec<Definition>, StorageError> {
        let rows: Vec<(String, String, bool, String)> =
            sqlx::query_as("SELECT name, data_type, is_list, kinds FROM extension ORDER BY name")
                .fetch_all(&mut *self.inner)
                .await
                .map_err(StorageError::new)?;
        let mut definitions = Vec::new();
        for (name, data_type, is_list, kinds) in rows {
            let kinds: Vec<String> = serde_json::from_str(&kinds).map_err(StorageError::new)?;
            let kinds = kinds.iter().filter_map(|kind| Kind::from_word(kind)).collect();
            let Some(data_type) = DataType::from_word(&data_type) else { continue };
            definitions.push(Definition { name, data_type, is_list, kinds });
        }
        Ok(definitions)
    }

    /// Adds an extension to the schema; false when there is one of the name.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn add_extension(&mut self, definition: &Definition) -> Result<bool, StorageError> {
        let kinds: Vec<_> = definition.kinds.iter().map(|kind| kind.as_str()).collect();
        sqlx::query(
            "INSERT OR IGNORE INTO extension (name, data_type, is_list, kinds) VALUES (?, ?, ?, ?)",
        )
        .bind(&definition.name)
        .bind(definition.data_type.as_str())
        .bind(definition.is_list)
        .bind(serde_json::to_string(&kinds).map_err(StorageError::new)?)
        .execute(&mut *self.inner)
        .await
        .map(|done| done.rows_affected() == 1)
        .map_err(StorageError::new)
    }

    /// Takes an extension out of the schema, and its values out of all objects; false when there is none.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn remove_extension(&mut self, name: &str) -> Result<bool, StorageError> {
        let done = sqlx::query("DELETE FROM extension WHERE name = ?")
            .bind(name)
            .execute(&mut *self.inner)
            .await
            .map_err(StorageError::new)?;
        sqlx::query("UPDATE object SET doc = json_remove(doc, ?1) WHERE doc LIKE '%' || ?2 || '%'")
            .bind(format!("$.{name}"))
            .bind(name)
            .execute(&mut *self.inner)
            .await
            .map_err(StorageError::new)?;
        Ok(done.rows_affected() == 1)
    }
}

/// A value as it is stored: moments and octets under their own names, so that they come back as such.
pub(super) fn stored(value: &Extension) -> Result<Json, StorageError> {
    Ok(match value {
        Extension::Text(text) => json!(text),
        Extension::Integer(number) => json!(number),
        Extension::Flag(flag) => json!(flag),
        Extension::Time(at) => json!({"time": at.format(&Rfc3339).map_err(StorageError::new)?}),
        Extension::Octets(octets) => json!({"octets": STANDARD.encode(octets)}),
        Extension::List(values) => values.iter().map(stored).collect::<Result<_, _>>()?,
    })
}

/// A stored value; `None` when it does not read.
pub(super) fn read(json: Json) -> Option<Extension> {
    Some(match json {
        Json::String(text) => Extension::Text(text),
        Json::Number(number) => Extension::Integer(number.as_i64()?),
        Json::Bool(flag) => Extension::Flag(flag),
        Json::Array(values) => {
            Extension::List(values.into_iter().map(read).collect::<Option<_>>()?)
        }
        Json::Object(map) => match (map.get("time"), map.get("octets")) {
            (Some(at), _) => Extension::Time(OffsetDateTime::parse(at.as_str()?, &Rfc3339).ok()?),
            (None, octets) => Extension::Octets(STANDARD.decode(octets?.as_str()?).ok()?),
        },
        Json::Null => return None,
    })
}
