//! From an entry of the directory to what the state keeps of an object.

use std::fmt::Display;

use portolan_ldap::control::ExtendedDn;
use portolan_ldap::message::{Message, Operation};
use portolan_model::DistinguishedName;
use portolan_sync::record::{Record, Value, ValueRef};
use portolan_sync::syntax::{Form, Syntaxes, decode};
use portolan_sync::{AttributeId, Dictionary, ObjectKind};

/// Whatever entry a server sends becomes an object's record, is passed over, or is refused in words.
pub(crate) fn entry(octets: &[u8]) {
    let Ok(message) = Message::decode(octets) else { return };
    let Operation::SearchResultEntry(entry) = message.operation else { return };
    let name = ExtendedDn::parse(entry.dn());
    let dn = name.as_ref().map_or(entry.dn(), |name| name.dn);
    if let Err(error) = dn.parse::<DistinguishedName>() {
        said(&error);
    }
    let classes = entry.attribute("objectClass").into_iter().flat_map(|classes| classes.values());
    if let Some(kind) = ObjectKind::of_classes(classes) {
        assert_eq!(ObjectKind::from_name(kind.as_str()), Some(kind));
    }
    let (mut names, syntaxes) = (Dictionary::default(), Syntaxes::default());
    let mut attributes: Vec<(AttributeId, Vec<Value>)> = Vec::new();
    for attribute in entry.attributes() {
        let id = match names.intern(attribute.name()) {
            Ok(id) => id,
            Err(error) => {
                said(&error);
                continue;
            }
        };
        let syntax = syntaxes.of(attribute.name()).map(|known| known.syntax);
        let values = attribute.values().filter_map(|octets| {
            let value = decode(syntax, octets);
            let is_reference = syntax.is_some_and(|syntax| syntax.form() == Form::Reference);
            assert_eq!(value.is_none(), is_reference || octets.is_empty(), "a value is lost");
            value
        });
        attributes.push((id, values.collect()));
    }
    let record: Record = attributes.iter().cloned().collect();
    let read = Record::from_octets(record.as_octets().to_vec());
    assert!(read.is_ok_and(|read| read == record), "a record does not come back");
    for (id, values) in &attributes {
        let kept: Vec<_> = record.values(*id).map(ValueRef::to_value).collect();
        assert!(values.iter().all(|value| kept.contains(value)), "a value is lost");
    }
}

fn said(what: &impl Display) {
    assert!(!what.to_string().is_empty());
}
