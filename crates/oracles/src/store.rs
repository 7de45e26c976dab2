//! What the state keeps packed: what a file of another's makes of it.

use portolan_sync::record::{Record, Value, ValueRef};

/// The attributes of an object.
pub(crate) fn record(octets: &[u8]) {
    match Record::from_octets(octets.to_vec()) {
        Ok(record) => {
            let again: Record = record.iter().map(|(id, values)| (id, all(values))).collect();
            assert!(
                Record::from_octets(again.as_octets().to_vec()).is_ok_and(|read| read == again)
            );
            for (id, values) in &record {
                let mut values = all(values);
                values.sort_unstable();
                values.dedup();
                assert_eq!(all(again.values(id)), values, "values do not come back");
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn all<'a>(values: impl Iterator<Item = ValueRef<'a>>) -> Vec<Value> {
    values.map(ValueRef::to_value).collect()
}
