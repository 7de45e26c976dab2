//! How values of the connector space stand in columns.
//!
//! The engine's types know no serde; the forms here are the store's own, and a change of one is a
//! change of the schema.

use std::collections::BTreeMap;

use portolan_model::{Guid, SourceAnchor};
use portolan_sync::AttributeValues;
use portolan_sync::flow::{self, Value};
use serde::{Deserialize, Serialize};

use super::SpaceError;

/// A value of a tenant attribute.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum TenantValue {
    Boolean(bool),
    Text(String),
    Texts(Vec<String>),
}

pub(super) fn guid(octets: &[u8]) -> Result<Guid, SpaceError> {
    octets.try_into().map(Guid::from_bytes_le).map_err(|_| SpaceError::corrupt("guid"))
}

pub(super) fn guids_to_octets(guids: &[Guid]) -> Vec<u8> {
    guids.iter().flat_map(|guid| guid.to_bytes_le()).collect()
}

pub(super) fn guids_from_octets(octets: &[u8]) -> Result<Vec<Guid>, SpaceError> {
    octets.chunks(16).map(guid).collect()
}

/// The attributes of a forest object: for each its name and its values, all with their lengths before
/// them, as 32-bit numbers in little-endian order.
#[must_use]
pub fn forest_attributes_to_octets(attributes: &BTreeMap<String, AttributeValues>) -> Vec<u8> {
    let mut out = Vec::with_capacity(FOREST_ATTRIBUTES_USUAL);
    for (name, values) in attributes {
        put(&mut out, name.as_bytes());
        put_number(&mut out, values.len());
        values.iter().for_each(|value| put(&mut out, value));
    }
    out
}

/// Octets that the attributes of a usual object take.
const FOREST_ATTRIBUTES_USUAL: usize = 1024;

fn put(out: &mut Vec<u8>, octets: &[u8]) {
    put_number(out, octets.len());
    out.extend_from_slice(octets);
}

/// Lengths come from LDAP messages, which are far smaller than 4 GiB.
fn put_number(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(&(number as u32).to_le_bytes());
}

/// The attributes of a forest object, from their column.
///
/// # Errors
/// [`SpaceError`] of what was not written by [`forest_attributes_to_octets`].
pub fn forest_attributes_from_octets(
    mut octets: &[u8],
) -> Result<BTreeMap<String, AttributeValues>, SpaceError> {
    let mut attributes = BTreeMap::new();
    while !octets.is_empty() {
        let name = std::str::from_utf8(take(&mut octets)?);
        let name = name.map_err(|_| SpaceError::corrupt("attributes"))?.to_owned();
        let count = take_number(&mut octets)?;
        let values = (0..count).map(|_| take(&mut octets).map(<[u8]>::to_vec));
        attributes.insert(name, values.collect::<Result<_, _>>()?);
    }
    Ok(attributes)
}

fn take<'a>(octets: &mut &'a [u8]) -> Result<&'a [u8], SpaceError> {
    let length = take_number(octets)?;
    let (taken, rest) = octets.split_at_checked(length).ok_or(SpaceError::corrupt("attributes"))?;
    *octets = rest;
    Ok(taken)
}

fn take_number(octets: &mut &[u8]) -> Result<usize, SpaceError> {
    let (number, rest) = octets.split_first_chunk().ok_or(SpaceError::corrupt("attributes"))?;
    *octets = rest;
    Ok(u32::from_le_bytes(*number) as usize)
}

/// The attributes of a tenant object, for their column.
#[must_use]
pub fn tenant_attributes_to_json(attributes: &BTreeMap<&'static str, Value>) -> String {
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

/// The attributes of a tenant object, from their column. A name that no flow has any more is left out:
/// the object then differs from what it should be and is exported anew.
///
/// # Errors
/// [`SpaceError`] of what was not written by [`tenant_attributes_to_json`].
pub fn tenant_attributes_from_json(
    text: &str,
) -> Result<BTreeMap<&'static str, Value>, SpaceError> {
    let document: BTreeMap<String, TenantValue> =
        serde_json::from_str(text).map_err(|_| SpaceError::corrupt("attributes"))?;
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

/// A list of anchors, as a column and as what a query selects by.
pub(super) fn anchors_to_json(anchors: &[SourceAnchor]) -> String {
    json(&anchors.iter().map(SourceAnchor::as_str).collect::<Vec<_>>())
}

pub(super) fn anchors_from_json(text: &str) -> Result<Vec<SourceAnchor>, SpaceError> {
    let texts: Vec<String> =
        serde_json::from_str(text).map_err(|_| SpaceError::corrupt("members"))?;
    texts.iter().map(|text| text.parse().map_err(|_| SpaceError::corrupt("members"))).collect()
}

#[expect(clippy::expect_used, reason = "maps with text keys and plain values always serialise")]
fn json(document: &impl Serialize) -> String {
    serde_json::to_string(document).expect("a map with text keys")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_come_back_as_they_were_and_what_is_cut_off_is_an_error() {
        let attributes: BTreeMap<String, AttributeValues> = [
            ("displayname".to_owned(), vec!["Zoë".as_bytes().to_vec()]),
            ("empty".to_owned(), vec![]),
            ("objectsid".to_owned(), vec![vec![0, 0xff], vec![]]),
        ]
        .into();
        let octets = forest_attributes_to_octets(&attributes);
        assert_eq!(forest_attributes_from_octets(&octets).unwrap(), attributes);
        // Every shorter form is another object's or none's.
        for end in 1..octets.len() {
            let cut = forest_attributes_from_octets(&octets[..end]);
            assert!(cut.is_err() || cut.unwrap() != attributes, "{end}");
        }
        assert!(forest_attributes_from_octets(&u32::MAX.to_le_bytes()).is_err());
    }
}
