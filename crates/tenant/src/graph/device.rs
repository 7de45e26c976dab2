//! What Graph's [device] has that other objects do not: the key under which it registered, and what it proves
//! itself by.
//!
//! [device]: https://learn.microsoft.com/graph/api/resources/device

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use portolan_model::Guid;
use serde_json::Value as Json;

use super::body::noun;
use super::fault::Fault;
use crate::directory::{Kind, Value};

/// The property of what a device proves itself by.
pub const SECURITY_IDS: &str = "alternativeSecurityIds";

/// The type of such an id that names a certificate by its thumbprint and its public key.
pub const SECURITY_ID_TYPE: u8 = 2;

/// Without which there is no device ([create device]).
///
/// [create device]: https://learn.microsoft.com/graph/api/device-post-devices
pub(super) const NEEDED: [&str; 6] = [
    "accountEnabled",
    SECURITY_IDS,
    "deviceId",
    "displayName",
    "operatingSystem",
    "operatingSystemVersion",
];

/// Ids that a device may have.
const SECURITY_IDS_MAX: usize = 10;

/// Octets of the key of one.
const KEY_OCTETS_MAX: usize = 1024;

/// Base64 with or without its padding, as callers write it.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const ALPHABETS: [GeneralPurpose; 2] = [
    GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT),
    GeneralPurpose::new(&base64::alphabet::URL_SAFE, LENIENT),
];

/// The `deviceId` of a body, as it is kept.
///
/// # Errors
/// When it is no GUID.
pub(super) fn device_id(json: &Json) -> Result<Value, Fault> {
    let id = json.as_str().and_then(|text| text.parse::<Guid>().ok());
    let id = id.filter(|id| *id != Guid::NIL);
    id.map(|id| Value::Text(id.to_string())).ok_or(invalid("deviceId"))
}

/// The keys of a body's ids, as base64: all are of one type, and no other one is known.
///
/// # Errors
/// When there is none, there are too many, or one is of another type or without a key.
pub(super) fn security_ids(json: &Json) -> Result<Value, Fault> {
    let ids = json.as_array().filter(|ids| (1..=SECURITY_IDS_MAX).contains(&ids.len()));
    let ids = ids.ok_or(invalid(SECURITY_IDS))?;
    let keys = ids.iter().map(|id| key(id).ok_or(invalid(SECURITY_IDS)));
    Ok(Value::Texts(keys.collect::<Result<_, _>>()?))
}

fn key(id: &Json) -> Option<String> {
    let is_known = |(name, value): (&String, &Json)| match name.as_str() {
        "type" => value.as_u64() == Some(SECURITY_ID_TYPE.into()),
        "identityProvider" => value.is_null(),
        "key" | "@odata.type" => true,
        _ => false,
    };
    let id = id.as_object().filter(|id| id.contains_key("type") && id.iter().all(is_known))?;
    let text = id.get("key")?.as_str()?;
    let octets = ALPHABETS.iter().find_map(|alphabet| alphabet.decode(text).ok())?;
    (1..=KEY_OCTETS_MAX).contains(&octets.len()).then(|| STANDARD.encode(octets))
}

const fn invalid(name: &'static str) -> Fault {
    Fault::InvalidValue(name, noun(Kind::Device))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_device_is_named_by_a_guid_alone() {
        let id = "9B1DEB4D-3b7d-4bad-9bdd-2b0d7b3dcb6d";
        assert_eq!(device_id(&json!(id)), Ok(Value::Text(id.to_lowercase())));
        for wrong in [json!(null), json!("PC1"), json!(7), json!(Guid::NIL.to_string())] {
            assert_eq!(device_id(&wrong), Err(invalid("deviceId")), "{wrong}");
        }
    }

    #[test]
    fn what_a_device_proves_itself_by_is_of_one_type() {
        let check = |ids: Json, expected: Option<&[&str]>| {
            let expected = expected
                .map(|keys| Value::Texts(keys.iter().map(|&key| key.to_owned()).collect()))
                .ok_or(invalid(SECURITY_IDS));
            assert_eq!(security_ids(&ids), expected, "{ids}");
        };
        let id = |key: &str| json!({"type": 2, "identityProvider": null, "key": key});
        check(json!([id("/+8="), id("_-8")]), Some(&["/+8=", "/+8="]));
        check(json!([{"type": 2, "key": "AAA="}]), Some(&["AAA="]));
        for wrong in [
            json!([]),
            json!(null),
            json!(["AAA="]),
            json!([id("")]),
            json!([id("no base64")]),
            json!([{"key": "AAA="}]),
            json!([{"type": 1, "key": "AAA="}]),
            json!([{"type": 2, "key": "AAA=", "identityProvider": "x"}]),
            json!([{"type": 2, "key": "AAA=", "more": "x"}]),
            json!(vec![id("AAA="); 11]),
        ] {
            check(wrong, None);
        }
    }
}
