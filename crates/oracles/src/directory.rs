//! From an entry of the directory to an object of the forest.

use std::fmt::Display;

use portolan_ldap::control::ExtendedDn;
use portolan_ldap::message::{Message, Operation};
use portolan_sync::{ForestObject, from_filetime};

/// Whatever entry a server sends becomes an object, is passed over, or is refused in words.
pub(crate) fn entry(octets: &[u8]) {
    let Ok(message) = Message::decode(octets) else { return };
    let Operation::SearchResultEntry(entry) = message.operation else { return };
    let name = ExtendedDn::parse(entry.dn());
    let dn = name.as_ref().map_or(entry.dn(), |name| name.dn);
    let members = entry
        .named("member")
        .flat_map(|attribute| attribute.values())
        .filter_map(|value| Some(ExtendedDn::parse(std::str::from_utf8(value).ok()?).ok()?.guid))
        .collect();
    let attributes = entry.attributes().map(|attribute| {
        (attribute.name().to_owned(), attribute.values().map(<[u8]>::to_vec).collect())
    });
    match ForestObject::from_entry(dn, members, attributes) {
        Ok(Some(object)) => look(&object),
        Ok(None) => {}
        Err(error) => said(&error),
    }
}

/// Reads an object by every reading that rules have.
fn look(object: &ForestObject) {
    let _ = object.sid();
    for (name, values) in object.attributes() {
        assert_eq!(object.values(name), values);
        let _ = (object.text(name), object.texts(name).count(), object.is_true(name));
        if let Some(time) = object.number(name).and_then(from_filetime) {
            said(&time);
        }
    }
}

fn said(what: &impl Display) {
    assert!(!what.to_string().is_empty());
}
