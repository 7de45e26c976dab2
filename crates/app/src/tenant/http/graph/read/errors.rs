//! `onPremisesProvisioningErrors`: what was set aside of the objects of an answer.

use portolan_model::Guid;
use portolan_store::tenant::SqliteTransaction;
use portolan_tenant::directory::ProvisioningError;
use portolan_tenant::graph::PROVISIONING_ERRORS;
use portolan_tenant::storage::{StorageError, Transaction as _};
use serde_json::{Value as JsonValue, json};
use time::format_description::well_known::Rfc3339;

/// Puts what was set aside into every object of an answer that shows the property.
pub(super) async fn fill(
    tx: &mut SqliteTransaction,
    mut body: JsonValue,
) -> Result<JsonValue, StorageError> {
    let mut objects = match body.get_mut("value").and_then(JsonValue::as_array_mut) {
        Some(all) => all.iter_mut().collect(),
        None => vec![&mut body],
    };
    objects.retain(|object| object.get(PROVISIONING_ERRORS).is_some());
    let id = |object: &JsonValue| object["id"].as_str().and_then(|id| id.parse::<Guid>().ok());
    let ids: Vec<_> = objects.iter().filter_map(|object| id(object)).collect();
    if ids.is_empty() {
        return Ok(body);
    }
    let errors = tx.provisioning_errors(&ids).await?;
    for object in objects {
        let own = id(object);
        let own = errors.iter().filter(|error| Some(error.object) == own);
        object[PROVISIONING_ERRORS] = own.map(shown).collect();
    }
    Ok(body)
}

/// An error in the shape of [onPremisesProvisioningError].
///
/// [onPremisesProvisioningError]: https://learn.microsoft.com/graph/api/resources/onpremisesprovisioningerror
fn shown(error: &ProvisioningError) -> JsonValue {
    json!({"category": "PropertyConflict", "propertyCausingError": error.naming.as_cause(),
        "value": error.value, "occurredDateTime": error.occurred_at.format(&Rfc3339).ok()})
}
