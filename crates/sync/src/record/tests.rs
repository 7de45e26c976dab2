//! Records held against a plain map.

use proptest::prelude::*;

use super::*;

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        ".{0,12}".prop_map(Value::Text),
        any::<i64>().prop_map(Value::Integer),
        (-300_i64..300).prop_map(Value::Integer),
        any::<bool>().prop_map(Value::Boolean),
        proptest::collection::vec(any::<u8>(), 0..200).prop_map(Value::Octets),
    ]
}

fn attributes() -> impl Strategy<Value = Vec<(AttributeId, Vec<Value>)>> {
    let values = proptest::collection::vec(values(), 0..4);
    proptest::collection::vec(((0_u16..40).prop_map(AttributeId), values), 0..12)
}

proptest! {
    #[test]
    fn a_record_gives_back_what_was_put_whatever_the_order(attributes in attributes()) {
        let record: Record = attributes.iter().cloned().collect();
        let mut expected = std::collections::BTreeMap::<_, Vec<Value>>::new();
        for (id, values) in &attributes {
            expected.entry(*id).or_default().extend(values.iter().cloned());
        }
        for values in expected.values_mut() {
            values.sort_by(|a, b| a.borrow().cmp(&b.borrow()));
            values.dedup();
        }
        expected.retain(|_, values| !values.is_empty());
        let found: std::collections::BTreeMap<_, Vec<_>> =
            record.iter().map(|(id, values)| (id, values.map(ValueRef::to_value).collect())).collect();
        prop_assert_eq!(&found, &expected);
        for number in 0..40 {
            let values = record.values(AttributeId(number)).map(ValueRef::to_value);
            let wanted = expected.get(&AttributeId(number)).cloned().unwrap_or_default();
            prop_assert_eq!(values.collect::<Vec<_>>(), wanted);
        }
        let backwards: Record = attributes.into_iter().rev().collect();
        prop_assert_eq!(&backwards, &record);
        prop_assert_eq!(Record::from_octets(record.as_octets().to_vec()), Ok(record));
    }

    #[test]
    fn octets_of_any_kind_are_a_record_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(record) = Record::from_octets(octets) {
            let again: Record =
                record.iter().map(|(id, values)| (id, values.map(ValueRef::to_value).collect())).collect();
            prop_assert_eq!(again.iter().count(), record.iter().count());
        }
    }
}

#[test]
fn what_is_cut_off_is_no_record() {
    let record: Record = [
        (AttributeId(1), vec![Value::Text("Zoë".to_owned()), Value::Integer(-129)]),
        (AttributeId(300), vec![Value::Octets(vec![0; 200])]),
    ]
    .into_iter()
    .collect();
    let octets = record.as_octets();
    let whole = |end: usize| Record::from_octets(octets[..end].to_vec()).is_ok();
    let legal: Vec<_> = (0..=octets.len()).filter(|end| whole(*end)).collect();
    assert_eq!(legal, [0, 10, octets.len()]);
}

#[test]
fn of_an_attribute_that_is_put_twice_the_first_counts() {
    let mut writer = RecordWriter::default();
    writer.put(AttributeId(5), [ValueRef::Integer(5)]);
    writer.put(AttributeId(3), [ValueRef::Integer(3)]);
    writer.put(AttributeId(5), [ValueRef::Integer(6)]);
    let record = writer.finish();
    assert_eq!(record.first(AttributeId(5)), Some(ValueRef::Integer(5)));
    assert_eq!(record.first(AttributeId(3)), Some(ValueRef::Integer(3)));
}

#[test]
fn a_named_record_has_its_name_and_guid_and_everything_else() {
    let record: Record = [(AttributeId(7), vec![Value::Integer(7)])].into_iter().collect();
    let guid = portolan_model::Guid::from_bytes_le([9; 16]);
    let named = record.named("CN=a,DC=x", &guid);
    assert_eq!(named.first(AttributeId::DISTINGUISHED_NAME), Some(ValueRef::Text("CN=a,DC=x")));
    assert_eq!(named.first(AttributeId::OBJECT_GUID), Some(ValueRef::Octets(&[9; 16])));
    assert_eq!(named.first(AttributeId(7)), Some(ValueRef::Integer(7)));
    assert_eq!(Record::from_octets(named.as_octets().to_vec()), Ok(named.clone()));
}
