//! Between rows and the engine's nouns. A row that does not read is the store's failure: it was
//! written by this code, so the file was changed.

use portolan_model::Guid;
use portolan_tenant::Digest;
use portolan_tenant::application::Application;
use portolan_tenant::directory::{Attribute, Attributes, Definition, Kind, Object, Shape, Value};
use portolan_tenant::scope::Permission;
use portolan_tenant::storage::StorageError;
use portolan_token::Jwk;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::extensions::{read, stored};

/// The columns that [`object`] reads.
macro_rules! object_columns {
    () => {
        "o.id, o.kind, o.anchor, o.created_at, o.synchronised_at, o.deleted_at, o.doc"
    };
}
pub(super) use object_columns;

/// A row that does not read.
#[derive(Debug, thiserror::Error)]
#[error("column {0} of the tenant's store does not read")]
struct BadColumn(&'static str);

/// A moment as it is stored. Moments beyond the column's range (1677 to 2262) go to its ends.
pub(super) fn nanos(at: OffsetDateTime) -> i64 {
    let nanos = at.unix_timestamp_nanos();
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

/// A stored moment.
pub(super) fn moment(nanos: i64) -> Result<OffsetDateTime, StorageError> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(nanos)).map_err(StorageError::new)
}

pub(super) fn column<'r, T>(row: &'r SqliteRow, name: &'static str) -> Result<T, StorageError>
where
    T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    row.try_get(name).map_err(StorageError::new)
}

pub(super) fn guid(row: &SqliteRow, name: &'static str) -> Result<Guid, StorageError> {
    column::<&str>(row, name)?.parse().map_err(StorageError::new)
}

pub(super) fn time(row: &SqliteRow, name: &'static str) -> Result<OffsetDateTime, StorageError> {
    moment(column(row, name)?)
}

pub(super) fn digest(row: &SqliteRow, name: &'static str) -> Result<Digest, StorageError> {
    let octets: &[u8] = column(row, name)?;
    let octets = octets.try_into().map_err(|_| StorageError::new(BadColumn(name)))?;
    Ok(Digest::from_octets(octets))
}

pub(super) fn kind(row: &SqliteRow) -> Result<Kind, StorageError> {
    Kind::from_word(column(row, "kind")?).ok_or_else(|| StorageError::new(BadColumn("kind")))
}

pub(super) fn object(row: &SqliteRow) -> Result<Object, StorageError> {
    let anchor: Option<&str> = column(row, "anchor")?;
    let optional = |name| column::<Option<i64>>(row, name)?.map(moment).transpose();
    Ok(Object {
        id: guid(row, "id")?,
        kind: kind(row)?,
        anchor: anchor.map(str::parse).transpose().map_err(StorageError::new)?,
        attributes: attributes(column(row, "doc")?)?,
        created_at: time(row, "created_at")?,
        synchronised_at: optional("synchronised_at")?,
        deleted_at: optional("deleted_at")?,
    })
}

/// The attributes as a JSON document.
pub(super) fn document(attributes: &Attributes) -> Result<String, StorageError> {
    let json = |value: &Value| {
        Ok(match value {
            Value::Text(text) => Json::from(text.as_str()),
            Value::Flag(flag) => Json::from(*flag),
            Value::Texts(texts) => Json::from(texts.as_slice()),
            Value::Time(at) => Json::from(at.format(&Rfc3339).map_err(StorageError::new)?),
            Value::Number(number) => Json::from(*number),
        })
    };
    let known = attributes.iter().map(|(name, value)| Ok((name.to_owned(), json(value)?)));
    let extensions = attributes.extensions();
    let extensions = extensions.map(|(name, value)| Ok((name.to_owned(), stored(value)?)));
    let map = known.chain(extensions).collect::<Result<Map<_, _>, StorageError>>()?;
    serde_json::to_string(&map).map_err(StorageError::new)
}

fn attributes(document: &str) -> Result<Attributes, StorageError> {
    let bad = || StorageError::new(BadColumn("doc"));
    let map: Map<String, Json> = serde_json::from_str(document).map_err(StorageError::new)?;
    let mut attributes = Attributes::default();
    for (name, json) in map {
        if Definition::is_name(&name) {
            let value = read(json).ok_or_else(bad)?;
            attributes.set_extension(&name, value).map_err(StorageError::new)?;
            continue;
        }
        let shape = Attribute::named(&name).ok_or_else(bad)?.shape;
        let value = match (shape, json) {
            (Shape::Text, Json::String(text)) => Value::Text(text),
            (Shape::Flag, Json::Bool(flag)) => Value::Flag(flag),
            (Shape::Number, Json::Number(number)) => {
                Value::Number(number.as_i64().ok_or_else(bad)?)
            }
            (Shape::Time, Json::String(text)) => {
                Value::Time(OffsetDateTime::parse(&text, &Rfc3339).map_err(StorageError::new)?)
            }
            (Shape::Texts, json @ Json::Array(_)) => {
                Value::Texts(serde_json::from_value(json).map_err(StorageError::new)?)
            }
            _ => return Err(bad()),
        };
        attributes.set(&name, value).map_err(StorageError::new)?;
    }
    Ok(attributes)
}

/// An application as a JSON document.
#[derive(Serialize, Deserialize)]
struct ApplicationDocument {
    redirect_uris: Vec<String>,
    permissions: Vec<String>,
    roles: Vec<String>,
    keys: Vec<Jwk>,
}

pub(super) fn application_document(application: &Application) -> Result<String, StorageError> {
    let document = ApplicationDocument {
        redirect_uris: application.redirect_uris.iter().map(ToString::to_string).collect(),
        permissions: application
            .permissions
            .iter()
            .map(|permission| permission.as_str().to_owned())
            .collect(),
        roles: application.roles.clone(),
        keys: application.keys.clone(),
    };
    serde_json::to_string(&document).map_err(StorageError::new)
}

pub(super) fn application(row: &SqliteRow) -> Result<Application, StorageError> {
    let document: ApplicationDocument =
        serde_json::from_str(column(row, "doc")?).map_err(StorageError::new)?;
    let permission = |word: &String| {
        Permission::from_word(word).ok_or_else(|| StorageError::new(BadColumn("doc")))
    };
    Ok(Application {
        client_id: guid(row, "client_id")?,
        name: column(row, "name")?,
        redirect_uris: document
            .redirect_uris
            .iter()
            .map(|uri| uri.parse().map_err(StorageError::new))
            .collect::<Result<_, _>>()?,
        permissions: document.permissions.iter().map(permission).collect::<Result<_, _>>()?,
        roles: document.roles,
        keys: document.keys,
    })
}
