//! Devices that come, change and go.

use serde_json::json;

use super::*;

const TENANT: Guid = Guid::from_bytes_le([0x77; 16]);
const ANN: &[u8] = b"sid of ann";
const BOB: &[u8] = b"sid of bob";

fn guid(number: u8) -> Guid {
    Guid::from_bytes_le([number; 16])
}

fn values(values: &[&[u8]]) -> Values {
    values.iter().map(|value| value.to_vec()).collect()
}

fn key(text: &str) -> Json {
    let octets: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    json!({"type": 2, "identityProvider": null, "key": STANDARD.encode(octets)})
}

fn shown(number: u8) -> Json {
    json!({"id": guid(number).to_string(), "deviceId": guid(0x50 + number).to_string(),
        "displayName": format!("PC{number}"), "accountEnabled": true, "isManaged": true,
        "isCompliant": null, "operatingSystem": "Windows", "operatingSystemVersion": "10.0",
        "deviceVersion": 2, "physicalIds": ["[HWID]:h:1"], "onPremisesSyncEnabled": null,
        "alternativeSecurityIds": [key("X509:<SHA1-TP-PUBKEY>AB+x")]})
}

fn cloud(number: u8, owners: &[&[u8]]) -> CloudDevice {
    read(&shown(number), values(owners), values(&[])).unwrap().unwrap()
}

/// All that is written is known and may be written.
fn known() -> BTreeSet<String> {
    attributes().chain([MARK_ATTRIBUTE]).map(str::to_lowercase).collect()
}

fn forest(of: &CloudDevice) -> ForestDevice {
    ForestDevice {
        guid: guid(0xA0),
        dn: format!("CN={},CN=RegisteredDevices,DC=x", of.device_id),
        cn: of.device_id.to_string(),
        mark: Some(mark(of.id, TENANT)),
        attributes: of.attributes.clone(),
        writable: known(),
    }
}

fn plan_of(cloud: Vec<CloudDevice>, forest: Vec<ForestDevice>) -> Plan {
    plan(cloud, forest, TENANT, &known())
}

#[test]
fn a_device_is_read_as_the_forest_has_it() {
    let device = cloud(1, &[ANN]);
    let check = |attribute: &str, expected: &[&[u8]]| {
        let found = device.attributes.get(attribute).cloned().unwrap_or_default();
        assert_eq!(found, values(expected), "{attribute}");
    };
    check("displayName", &[b"PC1"]);
    check("msDS-DeviceID", &[&[0x51; 16]]);
    check("msDS-IsEnabled", &[b"TRUE"]);
    check("msDS-IsManaged", &[b"TRUE"]);
    check("msDS-CloudIsManaged", &[b"TRUE"]);
    check("msDS-IsCompliant", &[]);
    check("msDS-DeviceObjectVersion", &[b"2"]);
    check("msDS-DeviceOSType", &[b"Windows"]);
    check("msDS-DeviceOSVersion", &[b"10.0"]);
    check("msDS-DevicePhysicalIDs", &[b"[HWID]:h:1"]);
    check("altSecurityIdentities", &[b"X509:<SHA1-TP-PUBKEY>AB+x"]);
    check("msDS-RegisteredOwner", &[ANN]);
}

#[test]
fn what_no_forest_could_hold_is_said() {
    let check = |change: Json, expected: Option<Result<(), Left>>| {
        let mut json = shown(1);
        for (name, value) in change.as_object().unwrap() {
            json[name] = value.clone();
        }
        let found = read(&json, values(&[]), values(&[]));
        let found = found.map(|read| read.map(|_| ()).map_err(|(_, left)| left));
        assert_eq!(found, expected, "{change}");
    };
    check(json!({}), Some(Ok(())));
    check(json!({"onPremisesSyncEnabled": true}), None);
    check(json!({"deviceId": null}), Some(Err(Left::NoDeviceId)));
    check(json!({"alternativeSecurityIds": []}), Some(Err(Left::NoKey)));
    for wrong in ["Kerberos:x", "", "X509:\u{0}"] {
        check(json!({"alternativeSecurityIds": [key(wrong)]}), Some(Err(Left::NoKey)));
    }
    let odd = json!({"type": 2, "key": "WAAA"});
    check(json!({"alternativeSecurityIds": [odd]}), Some(Err(Left::NoKey)));
    let mut long = shown(1);
    long["displayName"] = json!(" ");
    long["operatingSystemVersion"] = json!("9".repeat(600));
    let read = read(&long, values(&[]), values(&[])).unwrap().unwrap();
    assert_eq!(read.attributes["displayName"], values(&[guid(0x51).to_string().as_bytes()]));
    assert_eq!(read.attributes["msDS-DeviceOSVersion"].first().unwrap().len(), 512);
}

#[test]
fn devices_come_change_and_go_and_a_repeat_does_nothing() {
    let device = cloud(1, &[ANN]);
    let added = plan_of(vec![device.clone()], vec![]);
    let [Change::Add { cn, attributes }] = added.changes.as_slice() else { panic!("{added:?}") };
    assert_eq!(*cn, guid(0x51).to_string());
    assert_eq!(attributes[MARK_ATTRIBUTE], values(&[&mark(guid(1), TENANT)]));

    let same = plan_of(vec![device.clone()], vec![forest(&device)]);
    assert_eq!((same.changes.len(), same.same), (0, 1), "{same:?}");

    let mut json = shown(1);
    json["accountEnabled"] = json!(false);
    json["operatingSystem"] = json!(null);
    let other = read(&json, values(&[BOB]), values(&[])).unwrap().unwrap();
    let changed = plan_of(vec![other], vec![forest(&device)]);
    let [Change::Update { exchanges, .. }] = changed.changes.as_slice() else {
        panic!("{changed:?}")
    };
    let exchange = |attribute, go: &[&[u8]], come: &[&[u8]]| Exchange {
        attribute,
        go: values(go),
        come: values(come),
    };
    assert_eq!(
        exchanges.as_slice(),
        [
            exchange("msDS-IsEnabled", &[b"TRUE"], &[b"FALSE"]),
            exchange("msDS-DeviceOSType", &[b"Windows"], &[]),
            exchange("msDS-RegisteredOwner", &[ANN], &[BOB]),
        ]
    );
    let gone = plan_of(vec![], vec![forest(&device)]);
    assert!(matches!(gone.changes.as_slice(), [Change::Delete { .. }]), "{gone:?}");
    assert_eq!((gone.deleted, gone.there), (1, 1));
}

#[test]
fn what_is_not_this_tenants_is_neither_written_over_nor_deleted() {
    let device = cloud(1, &[]);
    for mark in [None, Some(b"Device_x".to_vec()), Some(mark(guid(1), guid(9)))] {
        let other = ForestDevice { mark, ..forest(&device) };
        let plan = plan_of(vec![device.clone()], vec![other]);
        assert_eq!((plan.changes.len(), plan.there), (0, 0), "{plan:?}");
        assert_eq!(plan.left, [(guid(1), Left::OtherObject)]);
    }
}

#[test]
fn one_owner_of_several_stays_as_long_as_they_are_one() {
    let both = cloud(1, &[ANN, BOB]);
    let before = forest(&cloud(1, &[BOB]));
    let kept = plan_of(vec![both.clone()], vec![before]);
    assert_eq!((kept.changes.len(), kept.same), (0, 1), "{kept:?}");
    let added = plan_of(vec![both], vec![]);
    let [Change::Add { attributes, .. }] = added.changes.as_slice() else { panic!("{added:?}") };
    assert_eq!(attributes[OWNER], values(&[ANN]));
}

#[test]
fn a_schema_that_lacks_an_attribute_does_without_it() {
    let mut json = shown(1);
    json["isCompliant"] = json!(true);
    let device = read(&json, values(&[]), values(&[])).unwrap().unwrap();
    let mut older = known();
    older.remove("msds-iscompliant");
    let added = plan(vec![device.clone()], vec![], TENANT, &older);
    let [Change::Add { attributes, .. }] = added.changes.as_slice() else { panic!("{added:?}") };
    assert!(!attributes.contains_key("msDS-IsCompliant"));
    let mut before = forest(&device);
    before.attributes.remove("msDS-IsCompliant");
    assert_eq!(plan(vec![device], vec![before], TENANT, &older).same, 1);
}

#[test]
fn what_may_not_be_written_is_named_before_anything_is() {
    let device = cloud(1, &[ANN]);
    let mut before = forest(&cloud(1, &[BOB]));
    before.writable.remove("msds-registeredowner");
    let dn = before.dn.clone();
    let lacking = plan_of(vec![device], vec![before]).unwritable;
    assert_eq!(lacking, Some((dn, "msDS-RegisteredOwner")));
}
