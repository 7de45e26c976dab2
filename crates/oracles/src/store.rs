//! The documents in the columns of the connector space: what a file of another's makes of them.

use portolan_store::connector_space::document::{
    forest_attributes_from_octets, forest_attributes_to_octets, tenant_attributes_from_json,
    tenant_attributes_to_json,
};

/// The attributes of a forest object.
pub(crate) fn forest(octets: &[u8]) {
    match forest_attributes_from_octets(octets) {
        Ok(attributes) => {
            let again = forest_attributes_from_octets(&forest_attributes_to_octets(&attributes));
            assert!(again.is_ok_and(|again| again == attributes), "attributes do not come back");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// The attributes of a tenant object.
pub(crate) fn tenant(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    match tenant_attributes_from_json(text) {
        Ok(attributes) => {
            let again = tenant_attributes_from_json(&tenant_attributes_to_json(&attributes));
            assert!(again.is_ok_and(|again| again == attributes), "attributes do not come back");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
