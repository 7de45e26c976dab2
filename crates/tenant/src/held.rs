//! What of the directory is a sync server's, in short: how the server sees whether the directory has what
//! it wrote, without reading all of it.
//!
//! Both sides make digests of what they know by these functions, and compare. The digest of what an object
//! refers to is a sum, so that the order does not count, and what comes and goes changes it without the rest.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::Digest;
use crate::directory::{
    Attribute, Attributes, Definition, Extension, Naming, Photo, ProvisioningError, Reference,
    Value,
};

/// Octets of a digest that are compared: enough that two contents do not meet by accident.
const DIGEST_OCTETS: usize = 16;

/// The digest of an object's attributes as a sync server wrote them: those that Graph alone sets do not
/// count, and what was set aside because it is another object's counts as if it were there.
#[must_use]
pub fn content(attributes: &Attributes, set_aside: &[ProvisioningError]) -> String {
    let mut document = document(attributes);
    for error in set_aside {
        let value = Json::from(error.value.as_str());
        match error.naming {
            Naming::Principal => _ = document.insert(error.naming.as_str().to_owned(), value),
            Naming::Proxy => {
                let addresses = document.entry(error.naming.as_str().to_owned());
                let addresses = addresses.or_insert_with(|| Json::Array(Vec::new()));
                if let Json::Array(addresses) = addresses {
                    addresses.push(value);
                }
            }
            Naming::Unique | Naming::Device => {}
        }
    }
    for (name, value) in &mut document {
        settle(value);
        if Definition::is_name(name) {
            alone(value);
        }
    }
    short(Json::from_iter(document).to_string().as_bytes())
}

/// The attributes as a sync server writes them: what it could send to make them what they are.
#[must_use]
pub fn document(attributes: &Attributes) -> BTreeMap<String, Json> {
    let of_server = |name: &str| Attribute::named(name).is_some_and(|known| !known.is_graphs_own());
    let known = attributes.iter().filter(|(name, _)| of_server(name));
    let known = known.map(|(name, value)| (name.to_owned(), json(value)));
    let extensions = attributes.extensions();
    known.chain(extensions.map(|(name, value)| (name.to_owned(), extension(value)))).collect()
}

/// The digest of a photo.
#[must_use]
pub fn photo(photo: &Photo) -> String {
    short(photo.octets())
}

/// The beginning of the digest of octets, in hexadecimal digits.
fn short(octets: &[u8]) -> String {
    let digest = Digest::of(octets);
    let (kept, _) = digest.octets().split_at(DIGEST_OCTETS);
    kept.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The digest of what an object refers to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct References(u128);

impl References {
    /// Counts a reference in.
    pub fn add(&mut self, reference: Reference, anchor: &str) {
        self.0 = self.0.wrapping_add(Self::one(reference, anchor));
    }

    /// Counts it out.
    pub fn remove(&mut self, reference: Reference, anchor: &str) {
        self.0 = self.0.wrapping_sub(Self::one(reference, anchor));
    }

    /// As it is written: `None` of an object that refers to nothing.
    #[must_use]
    pub fn to_text(self) -> Option<String> {
        (self.0 != 0).then(|| format!("{:032x}", self.0))
    }

    fn one(reference: Reference, anchor: &str) -> u128 {
        let digest = Digest::of([reference.as_str(), anchor].join(" ").as_bytes());
        let mut octets = [0; DIGEST_OCTETS];
        octets.copy_from_slice(digest.octets().split_at(DIGEST_OCTETS).0);
        u128::from_be_bytes(octets)
    }
}

/// A value in the one way of writing it: lists in order, and moments in UTC.
fn settle(value: &mut Json) {
    match value {
        Json::Array(values) => {
            values.iter_mut().for_each(settle);
            values.sort_by_cached_key(ToString::to_string);
            values.dedup();
        }
        Json::String(text) => {
            if let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) {
                *text = moment(at);
            }
        }
        _ => {}
    }
}

/// Takes the value of an extension that is alone out of its list: who wrote it does not know whether there can be
/// several.
fn alone(value: &mut Json) {
    if let Json::Array(values) = value
        && values.len() == 1
        && let Some(only) = values.pop()
    {
        *value = only;
    }
}

fn moment(at: OffsetDateTime) -> String {
    // A year that RFC 3339 cannot write was never read either.
    at.to_offset(UtcOffset::UTC).format(&Rfc3339).unwrap_or_default()
}

fn json(value: &Value) -> Json {
    match value {
        Value::Text(text) => Json::from(text.as_str()),
        Value::Flag(flag) => Json::from(*flag),
        Value::Texts(texts) => Json::from(texts.as_slice()),
        Value::Time(at) => Json::from(moment(*at)),
        Value::Number(number) => Json::from(*number),
    }
}

fn extension(value: &Extension) -> Json {
    use base64::Engine as _;
    match value {
        Extension::Text(text) => Json::from(text.as_str()),
        Extension::Integer(number) => Json::from(*number),
        Extension::Flag(flag) => Json::from(*flag),
        Extension::Time(at) => Json::from(moment(*at)),
        Extension::Octets(octets) => {
            Json::from(base64::engine::general_purpose::STANDARD.encode(octets))
        }
        Extension::List(values) => values.iter().map(extension).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::tests::{now, user};

    fn texts(texts: &[&str]) -> Value {
        Value::Texts(texts.iter().map(|text| (*text).to_owned()).collect())
    }

    #[test]
    fn what_was_set_aside_counts_as_there_and_order_does_not() {
        let mut wished = user("bob@corp.example").attributes;
        wished.set("proxyAddresses", texts(&["smtp:b@x", "SMTP:a@x"])).unwrap();
        let mut held = user("bob+1234@cloud.example").attributes;
        held.set("proxyAddresses", texts(&["SMTP:a@x"])).unwrap();
        assert_ne!(content(&wished, &[]), content(&held, &[]));
        let aside = |naming, value: &str| ProvisioningError {
            object: user("x").id,
            naming,
            value: value.to_owned(),
            occurred_at: now(),
        };
        let errors =
            [aside(Naming::Principal, "bob@corp.example"), aside(Naming::Proxy, "smtp:b@x")];
        assert_eq!(content(&wished, &[]), content(&held, &errors));
        wished.set("displayName", Value::Text("Bob".to_owned())).unwrap();
        assert_ne!(content(&wished, &[]), content(&held, &errors));
    }

    #[test]
    fn a_moment_is_the_same_however_it_is_written_and_what_graph_sets_does_not_count() {
        let name = "extension_0123456789abcdef0123456789abcdef_since";
        let mut sent = user("bob@corp.example").attributes;
        let mut held = sent.clone();
        sent.set_extension(name, Extension::Text("2026-11-22T01:00:00+01:00".to_owned())).unwrap();
        let at = OffsetDateTime::parse("2026-11-22T00:00:00Z", &Rfc3339).unwrap();
        held.set_extension(name, Extension::Time(at)).unwrap();
        assert_eq!(content(&sent, &[]), content(&held, &[]));
        let one = Extension::List(vec![Extension::Time(at)]);
        held.set_extension(name, one).unwrap();
        assert_eq!(content(&sent, &[]), content(&held, &[]), "a list of one");
        held.set("uniqueName", Value::Text("a".to_owned())).unwrap();
        assert_eq!(content(&sent, &[]), content(&held, &[]));
    }

    #[test]
    fn references_are_the_same_in_any_order_and_what_comes_and_goes_leaves_nothing() {
        let mut one = References::default();
        assert_eq!(one.to_text(), None);
        one.add(Reference::Members, "a");
        one.add(Reference::Members, "b");
        let mut other = References::default();
        for anchor in ["b", "c", "a"] {
            other.add(Reference::Members, anchor);
        }
        assert_ne!(one, other);
        other.remove(Reference::Members, "c");
        assert_eq!(one, other);
        other.remove(Reference::Members, "a");
        other.add(Reference::Manager, "a");
        assert_ne!(one, other);
    }
}
