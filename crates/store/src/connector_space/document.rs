//! How values of the connector space stand in columns.
//!
//! The engine's types know no serde; the forms here are the store's own, and a change of one is a
//! change of the schema.

use std::collections::BTreeMap;

use portolan_model::{Guid, SourceAnchor};
use portolan_sync::AttributeValues;
use portolan_sync::flow::{self, Value};
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// A value of a forest attribute: text where it is UTF-8, octets otherwise.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum ForestValue<'a> {
    Text(std::borrow::Cow<'a, str>),
    Octets(Vec<u8>),
}

/// A value of a tenant attribute.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum TenantValue {
    Boolean(bool),
    Text(String),
    Texts(Vec<String>),
}

pub(super) fn guid(octets: &[u8]) -> Result<Guid, StoreError> {
    octets.try_into().map(Guid::from_bytes_le).map_err(|_| StoreError::corrupt("guid"))
}

pub(super) fn guids_to_octets(guids: &[Guid]) -> Vec<u8> {
    guids.iter().flat_map(|guid| guid.to_bytes_le()).collect()
}

pub(super) fn guids_from_octets(octets: &[u8]) -> Result<Vec<Guid>, StoreError> {
    octets.chunks(16).map(guid).collect()
}

pub(super) fn forest_attributes_to_json(attributes: &BTreeMap<String, AttributeValues>) -> String {
    let document: BTreeMap<_, Vec<_>> = attributes
        .iter()
        .map(|(name, values)| (name.as_str(), values.iter().map(|v| forest_value(v)).collect()))
        .collect();
    json(&document)
}

fn forest_value(octets: &[u8]) -> ForestValue<'_> {
    match std::str::from_utf8(octets) {
        Ok(text) => ForestValue::Text(text.into()),
        Err(_) => ForestValue::Octets(octets.to_vec()),
    }
}

pub(super) fn forest_attributes_from_json(
    text: &str,
) -> Result<BTreeMap<String, AttributeValues>, StoreError> {
    let document: BTreeMap<String, Vec<ForestValue<'_>>> =
        serde_json::from_str(text).map_err(|_| StoreError::corrupt("attributes"))?;
    let octets = |value| match value {
        ForestValue::Text(text) => std::borrow::Cow::into_owned(text).into_bytes(),
        ForestValue::Octets(octets) => octets,
    };
    Ok(document
        .into_iter()
        .map(|(name, values)| (name, values.into_iter().map(octets).collect()))
        .collect())
}

pub(super) fn tenant_attributes_to_json(attributes: &BTreeMap<&'static str, Value>) -> String {
    let document: BTreeMap<_, _> = attributes
        .iter()
        .map(|(name, value)| {
            let value = match value {
                Value::Text(text) => TenantValue::Text(text.clone()),
                Value::Texts(texts) => TenantValue::Texts(texts.clone()),
                Value::Boolean(value) => TenantValue::Boolean(*value),
            };
            (*name, value)
        })
        .collect();
    json(&document)
}

/// A name that no flow has any more is left out: the object then differs from what it should be and
/// is exported anew.
pub(super) fn tenant_attributes_from_json(
    text: &str,
) -> Result<BTreeMap<&'static str, Value>, StoreError> {
    let document: BTreeMap<String, TenantValue> =
        serde_json::from_str(text).map_err(|_| StoreError::corrupt("attributes"))?;
    Ok(document
        .into_iter()
        .filter_map(|(name, value)| {
            let value = match value {
                TenantValue::Boolean(value) => Value::Boolean(value),
                TenantValue::Text(text) => Value::Text(text),
                TenantValue::Texts(texts) => Value::Texts(texts),
            };
            Some((flow::attribute_name(&name)?, value))
        })
        .collect())
}

pub(super) fn anchors_to_json(anchors: &[SourceAnchor]) -> String {
    json(&anchors.iter().map(SourceAnchor::as_str).collect::<Vec<_>>())
}

pub(super) fn anchors_from_json(text: &str) -> Result<Vec<SourceAnchor>, StoreError> {
    let texts: Vec<String> =
        serde_json::from_str(text).map_err(|_| StoreError::corrupt("members"))?;
    texts.iter().map(|text| text.parse().map_err(|_| StoreError::corrupt("members"))).collect()
}

#[expect(clippy::expect_used, reason = "maps with text keys and plain values always serialise")]
fn json(document: &impl Serialize) -> String {
    serde_json::to_string(document).expect("a map with text keys")
}
