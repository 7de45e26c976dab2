//! Devices that registered in the tenant, written to a forest's container of devices: shown first, by right
//! alone, and never over what is another's.

use std::path::PathBuf;

use portolan_model::{Guid, Sid};
use portolan_testsuite::{Outcome, Road};
use serde_json::{Value, json};

use crate::graph::application;
use crate::ldif::{self, Entry};
use crate::world::World;
use crate::writeback::password_file;

const CONTAINER: &str = "CN=RegisteredDevices,DC=corp,DC=example";
const LAPTOP: &str = "6f1c36a1-0a41-4f5e-9d4f-11aa22bb33cc";
const PHONE: &str = "0e7d4c1b-5a52-4b1e-8c61-0102030405ff";
const KEYLESS: &str = "11111111-2222-4333-8444-555555555555";
const OTHERS: &str = "99999999-8888-4777-8666-555544443333";
/// What a device's certificate is known by: its thumbprint and the digest of its key.
const KEY: &str = "X509:<SHA1-TP-PUBKEY>0A1B2C3D4E5F60718293A4B5C6D7E8F901234567+nl5i9eVvXqSTGpW==";

/// The road, and who writes at both of its ends.
struct Registry<'a> {
    road: &'a Road<'a>,
    /// Who registers devices.
    registrar: (String, PathBuf),
    /// Who reads them for the writeback.
    reader: (String, PathBuf),
    /// What was asked of Graph and answered.
    record: PathBuf,
    administrator: String,
}

impl<'a> Registry<'a> {
    fn new(road: &'a Road<'a>) -> Self {
        let reading = ["Device.Read.All", "User.Read.All"];
        Self {
            road,
            registrar: application(road, "registrar", "rsa:2048", &["Directory.ReadWrite.All"]),
            reader: application(
                road,
                "reader",
                "ec -pkeyopt ec_paramgen_curve:prime256v1",
                &reading,
            ),
            record: road.path("exchanges.jsonl"),
            administrator: password_file(road),
        }
    }

    /// Lets Microsoft's SDK do something at Graph; what came of each step.
    fn at_graph(&self, steps: Value) -> Vec<Value> {
        let (client_id, key) = &self.registrar;
        let question =
            json!({"client_id": client_id, "key": key, "record": self.record, "steps": steps});
        let answer = self.road.ask("graph_devices_sdk.py", question).unwrap();
        answer.as_array().unwrap().clone()
    }

    fn writeback(&self, words: &[&str]) -> Outcome {
        let state = self.road.path("connect").display().to_string();
        let all = ["connect", "writeback"].iter().chain(words).copied();
        self.road.portolan("connect", all.chain(["--state", &state])).unwrap()
    }

    fn prepare(&self, words: &[&str]) -> Outcome {
        self.writeback(&[&["prepare-devices"], words].concat())
    }

    fn devices(&self, words: &[&str]) -> Outcome {
        let (client_id, key) = (&self.reader.0, self.reader.1.display().to_string());
        let reader = ["--reader", client_id.as_str(), "--reader-key", &key];
        self.writeback(&[&["devices"], words, &reader].concat())
    }

    fn said(&self, word: &str) -> String {
        self.devices(&[word]).success().unwrap().stdout
    }

    /// The objects of the container, by what `ldapsearch` reads there.
    fn container(&self) -> Vec<Entry> {
        let all = ["-b", CONTAINER, "-s", "one", "(objectClass=msDS-Device)", "*"];
        ldif::parse(&self.road.ldapsearch(&all).unwrap())
    }

    fn device(&self, device_id: &str) -> Entry {
        let mut all = self.container().into_iter();
        let found = all.find(|entry| ldif::text(entry, "cn").as_deref() == Some(device_id));
        found.unwrap_or_else(|| panic!("no device {device_id} in the forest"))
    }

    fn sid(&self, account: &str) -> Vec<u8> {
        let filter = format!("(sAMAccountName={account})");
        let asked = ["-b", "DC=corp,DC=example", &filter, "objectSid"];
        let sid = ldif::parse(&self.road.ldapsearch(&asked).unwrap())[0]["objectsid"][0].clone();
        Sid::decode(&sid).unwrap();
        sid
    }

    /// Makes the container, as an administrator does once.
    fn prepared(&self) -> &Self {
        let by = ["--account", "Administrator", "--password-file", &self.administrator];
        let made = self.prepare(&[&["--apply"], &by[..]].concat()).success().unwrap();
        assert!(made.stdout.contains(&format!("{CONTAINER} is made")), "{}", made.stdout);
        self
    }
}

fn laptop() -> Value {
    json!({"op": "make", "device_id": LAPTOP, "name": "Ann's laptop", "enabled": true,
        "os": "Windows", "os_version": "10.0.26100.1", "object_version": 2, "managed": true,
        "physical_ids": ["[USER-HWID]:7", "[GID]:g:1"], "security_id": KEY})
}

fn phone(device_id: &str, name: &str, security_id: &str) -> Value {
    json!({"op": "make", "device_id": device_id, "name": name, "enabled": true, "os": "Android",
        "os_version": "16", "security_id": security_id})
}

/// All that a device of the forest has of what is written, held against what is expected: what is not named
/// is not there.
fn has(entry: &Entry, expected: &[(&str, &[&[u8]])]) {
    const WRITTEN: [&str; 13] = [
        "displayname",
        "msds-deviceid",
        "msds-isenabled",
        "altsecurityidentities",
        "msds-cloudismanaged",
        "msds-deviceobjectversion",
        "msds-deviceostype",
        "msds-deviceosversion",
        "msds-devicephysicalids",
        "msds-iscompliant",
        "msds-ismanaged",
        "msds-registeredowner",
        "msds-registeredusers",
    ];
    for attribute in WRITTEN {
        let mut found = entry.get(attribute).cloned().unwrap_or_default();
        found.sort();
        let wanted = expected.iter().find(|(name, _)| name.eq_ignore_ascii_case(attribute));
        let mut wanted: Vec<_> =
            wanted.map_or(&[][..], |(_, values)| *values).iter().map(|v| v.to_vec()).collect();
        wanted.sort();
        assert_eq!(found, wanted, "{attribute}");
    }
    let names = expected.iter().map(|(name, _)| name.to_ascii_lowercase());
    assert!(names.into_iter().all(|name| WRITTEN.contains(&name.as_str())));
}

fn octets(device_id: &str) -> [u8; 16] {
    device_id.parse::<Guid>().unwrap().to_bytes_le()
}

fn lacks(refused: &Outcome, right: &str) {
    let (error, hint) = refused.failure();
    assert!(error.unwrap().contains(right), "{}{}", refused.stdout, refused.stderr);
    assert!(hint.unwrap().contains("samba-tool dsacl set"), "{}", refused.stderr);
}

fn id(step: &Value) -> String {
    step["id"].as_str().unwrap_or_else(|| panic!("{step:#}")).to_owned()
}

/// What there is in the tenant, by its ids there.
struct Registered {
    alice: String,
    bob: String,
    pc: String,
    mobile: String,
}

/// Devices of the tenant: one with an owner and users, one without, and one that no forest could hold.
fn register(registry: &Registry<'_>) -> Registered {
    let user = |name: &str| json!({"op": "user", "name": format!("{name}@corp.example")});
    let steps = [user("alice"), user("bob"), laptop(), phone(PHONE, "Phone", KEY), laptop()];
    let made = registry.at_graph(json!(steps));
    let (alice, bob, pc, mobile) = (id(&made[0]), id(&made[1]), id(&made[2]), id(&made[3]));
    assert_eq!((&made[4]["status"], &made[4]["targets"]), (&json!(400), &json!(["deviceId"])));
    let of = registry.at_graph(json!([
        registration("register", &pc, "owner", &alice),
        registration("register", &pc, "user", &alice),
        registration("register", &pc, "user", &bob),
        {"op": "registered", "id": pc, "as": "owner"},
        {"op": "read_by_key", "device_id": LAPTOP},
        phone(KEYLESS, "Keyless", "Kerberos:host/x"),
    ]));
    assert_eq!((&of[3]["ids"], &of[4]["id"]), (&json!([alice]), &json!(pc)));
    Registered { alice, bob, pc, mobile }
}

fn registration(op: &str, device: &str, whose: &str, user: &str) -> Value {
    json!({"op": op, "id": device, "as": whose, "user": user})
}

/// What the phone has in the forest, from first to last.
fn is_the_phone(entry: &Entry) {
    let expected: [(&str, &[&[u8]]); 6] = [
        ("displayName", &[b"Phone"]),
        ("msDS-DeviceID", &[&octets(PHONE)]),
        ("msDS-IsEnabled", &[b"TRUE"]),
        ("altSecurityIdentities", &[KEY.as_bytes()]),
        ("msDS-DeviceOSType", &[b"Android"]),
        ("msDS-DeviceOSVersion", &[b"16"]),
    ];
    has(entry, &expected);
}

/// What the laptop has in the forest, of which some changes. The schema of this forest, that of Windows Server
/// 2012 R2, has no msDS-IsCompliant: it does without.
fn is_the_laptop(entry: &Entry, name: &str, enabled: &str, (owner, users): (&[u8], &[&[u8]])) {
    let expected: [(&str, &[&[u8]]); 12] = [
        ("displayName", &[name.as_bytes()]),
        ("msDS-IsEnabled", &[enabled.as_bytes()]),
        ("msDS-RegisteredOwner", &[owner]),
        ("msDS-RegisteredUsers", users),
        ("msDS-DeviceID", &[&octets(LAPTOP)]),
        ("altSecurityIdentities", &[KEY.as_bytes()]),
        ("msDS-CloudIsManaged", &[b"TRUE"]),
        ("msDS-IsManaged", &[b"TRUE"]),
        ("msDS-DeviceObjectVersion", &[b"2"]),
        ("msDS-DeviceOSType", &[b"Windows"]),
        ("msDS-DeviceOSVersion", &[b"10.0.26100.1"]),
        ("msDS-DevicePhysicalIDs", &[b"[USER-HWID]:7", b"[GID]:g:1"]),
    ];
    has(entry, &expected);
}

/// Somebody else's object is in the way of a device, and has no mark.
fn put_in_the_way(road: &Road<'_>) {
    let other = format!(
        "dn: CN={OTHERS},{CONTAINER}\nchangetype: add\nobjectClass: msDS-Device\n\
         displayName: Not ours\nmsDS-IsEnabled: TRUE\naltSecurityIdentities: X509:x\n\
         msDS-DeviceID:: MDEyMzQ1Njc4OWFiY2RlZg==\n"
    );
    road.ldapmodify(&other).unwrap();
}

/// Everything at once is asked about; what carries no mark stays.
fn are_gone_when_let_through(registry: &Registry<'_>, Registered { pc, mobile, .. }: &Registered) {
    let gone =
        registry.at_graph(json!([{"op": "delete", "id": pc}, {"op": "delete", "id": mobile}]));
    assert_eq!(gone, [json!({}), json!({})]);
    let guarded = registry.devices(&["--apply"]);
    let (error, _) = guarded.failure();
    assert!(error.unwrap().contains("2 of 2 devices would be deleted"), "{}", guarded.stderr);
    assert_eq!(registry.container().len(), 3);
    let let_through = registry.devices(&["--apply", "--allow-deletions", "2"]).success().unwrap();
    assert!(let_through.stdout.contains(&format!("delete CN={LAPTOP}")), "{}", let_through.stdout);
    let names: Vec<_> =
        registry.container().iter().filter_map(|entry| ldif::text(entry, "cn")).collect();
    assert_eq!(names, [OTHERS]);
}

#[test]
fn devices_come_change_and_go_in_the_forest_and_nothing_else_there_is_touched() {
    let world = World::up("writebackdevices");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    road.connect_run().unwrap().success().unwrap();
    let registry = Registry::new(&road);
    let registered = register(&registry);
    let Registered { alice, bob, pc, .. } = &registered;

    // Without the container nothing is done, and it is said what to do.
    let lacking = registry.devices(&["--plan"]);
    let (error, hint) = lacking.failure();
    assert!(error.unwrap().contains("CN=RegisteredDevices"), "{}", lacking.stderr);
    assert!(hint.unwrap().contains("prepare-devices --apply"), "{}", lacking.stderr);
    registry.prepared();

    // By the account that reads the forest, which has no other right to write.
    let said = registry.said("--plan");
    assert!(said.contains(&format!("add    CN={LAPTOP}: Ann's laptop")), "{said}");
    assert!(said.contains("2 changes, 0 devices are as they should be, 1 left"), "{said}");
    assert!(said.contains("names a certificate"), "{said}");
    assert_eq!(registry.container(), Vec::<Entry>::new(), "a plan writes nothing");
    let said = registry.said("--apply");
    assert!(said.contains("2 written, 0 left as they are"), "{said}");
    let (ann, bobs) = (registry.sid("alice"), registry.sid("bob"));
    let written = registry.device(LAPTOP);
    is_the_laptop(&written, "Ann's laptop", "TRUE", (&ann, &[&ann, &bobs]));
    assert!(
        ldif::text(&written, "msds-cloudanchor").unwrap().starts_with(&format!("Device_{pc}@"))
    );
    is_the_phone(&registry.device(PHONE));
    let said = registry.said("--apply");
    assert!(said.contains("0 changes, 2 devices are as they should be"), "{said}");
    // What was written does not come back as another device of the tenant.
    let summary = road.connect_run().unwrap().success().unwrap().json().unwrap();
    assert_eq!((&summary["added"], &summary["refused"]), (&json!(0), &json!([])), "{summary:#}");

    put_in_the_way(&road);
    let changed = registry.at_graph(json!([
        {"op": "change", "id": pc, "enabled": false, "name": "Bob's laptop", "compliant": true},
        registration("unregister", pc, "owner", alice),
        registration("register", pc, "owner", bob),
        registration("unregister", pc, "user", alice),
        phone(OTHERS, "Meant for it", KEY),
    ]));
    id(&changed[4]);
    let said = registry.said("--apply");
    assert!(said.contains("1 written, 0 left as they are"), "{said}");
    assert!(said.contains("never written over"), "{said}");
    is_the_laptop(&registry.device(LAPTOP), "Bob's laptop", "FALSE", (&bobs, &[&bobs]));
    is_the_phone(&registry.device(PHONE));
    assert_eq!(ldif::text(&registry.device(OTHERS), "displayname").as_deref(), Some("Not ours"));

    are_gone_when_let_through(&registry, &registered);
    journalled(&road);
    as_described(&road, &registry);
}

#[test]
fn a_forest_of_a_newer_schema_gets_what_that_knows_besides() {
    let world = World::with_two_forests("writebackdeviceschema");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    road.connect_forest_add(portolan_testsuite::ACCOUNT_PASSWORD).unwrap().success().unwrap();
    road.connect_run().unwrap();
    let registry = Registry::new(&road);
    let mut compliant = laptop();
    compliant["compliant"] = json!(true);
    let pc = id(&registry.at_graph(json!([compliant]))[0]);
    let there = ["--forest", "other.example"];
    let by = ["--account", "Administrator", "--password-file", &registry.administrator];
    registry.prepare(&[&["--apply"], &by[..], &there].concat()).success().unwrap();
    let said = registry.devices(&[&["--apply"], &there[..]].concat()).success().unwrap().stdout;
    assert!(said.contains("1 written, 0 left as they are"), "{said}");
    let found = || {
        let all = ["(objectClass=msDS-Device)", "*"];
        ldif::parse(&road.ldapsearch_other(&all).unwrap()).remove(0)
    };
    let of = |entry: &Entry| ldif::text(entry, "msds-iscompliant");
    assert_eq!(
        (ldif::text(&found(), "cn").as_deref(), of(&found()).as_deref()),
        (Some(LAPTOP), Some("TRUE"))
    );
    registry.at_graph(json!([{"op": "change", "id": pc, "compliant": false}]));
    registry.devices(&[&["--apply"], &there[..]].concat()).success().unwrap();
    assert_eq!(of(&found()).as_deref(), Some("FALSE"));
    // The first forest was not asked about, and has no container.
    let first = registry.devices(&["--plan", "--forest", "corp.example"]);
    let (error, _) = first.failure();
    assert!(error.unwrap().contains("CN=RegisteredDevices,DC=corp,DC=example is not there"));
}

/// Every change stands in the journal, and that it was made.
fn journalled(road: &Road<'_>) {
    let path = road.path("connect").join("writeback-devices.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 10, "{text}");
    assert!(lines.iter().skip(1).step_by(2).all(|line| line["made"] == json!(true)), "{text}");
    let enabled = &lines[4]["change"]["attributes"]["msDS-IsEnabled"];
    assert_eq!(*enabled, json!({"deleted": ["VFJVRQ=="], "added": ["RkFMU0U="]}), "{text}");
}

/// What was asked and answered is what Microsoft's description of Graph says. The one that can be had is older
/// than the alternate key of devices, and lacks the references to them that are written.
fn as_described(road: &Road<'_>, registry: &Registry<'_>) {
    let held = road.graph_as_described(&registry.record).unwrap();
    let faults = held["faults"].as_array().unwrap();
    let undescribed = |fault: &&Value| {
        let text = fault.as_str().unwrap();
        let younger = text.contains("/devices(deviceId=") || text.contains("/registered");
        !(younger && text.ends_with("is not described"))
    };
    assert_eq!(faults.iter().filter(undescribed).collect::<Vec<_>>(), Vec::<&Value>::new());
    let count = |operation: &str| held["operations"][operation].as_u64().unwrap_or_default();
    assert_eq!(count("POST /devices"), 5, "{held:#}");
    assert_eq!(count("PATCH /devices/{device-id}"), 1, "{held:#}");
    assert_eq!(count("DELETE /devices/{device-id}"), 2, "{held:#}");
    assert!(count("POST /devices/{device-id}/registeredOwners/$ref") >= 2, "{held:#}");
}

#[test]
fn who_lacks_a_right_is_told_before_anything_is_written() {
    let world = World::up("writebackdevicerights");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    road.connect_run().unwrap().success().unwrap();
    let registry = Registry::new(&road);
    let made = registry.at_graph(json!([laptop()]));
    let pc = id(&made[0]);

    // The account that reads the forest makes no container.
    let refused = registry.prepare(&["--apply"]);
    let (error, hint) = refused.failure();
    assert!(error.unwrap().contains("may not make a msDS-DeviceContainer"), "{}", refused.stderr);
    assert!(hint.unwrap().contains("--account"), "{}", refused.stderr);
    registry.prepared();
    let again = registry.prepare(&["--plan"]).success().unwrap().stdout;
    assert!(again.contains("is there, and is left as it is"), "{again}");
    // What the account was given: devices of the container, and nothing else.
    let right = "allowedChildClassesEffective";
    let asked = ["-b", CONTAINER, "-s", "base", "(objectClass=*)", right];
    let found = ldif::parse(&road.ldapsearch(&asked).unwrap()).remove(0);
    let classes = found.get(&right.to_lowercase()).cloned().unwrap_or_default();
    assert_eq!(classes, [b"msDS-Device".to_vec()]);

    let password = road.path("alice.password");
    std::fs::write(&password, "Al1ce-Pass!").unwrap();
    let mode: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&password, mode).unwrap();
    let password = password.display().to_string();
    let by_alice = ["--account", "alice", "--password-file", &password];
    let words = [&["--apply"], &by_alice[..]].concat();
    lacks(&registry.devices(&words), "\"Create and Delete msDS-Device objects\" on CN=Registered");
    assert_eq!(registry.container(), Vec::<Entry>::new());
    registry.said("--apply");
    registry.at_graph(json!([{"op": "change", "id": pc, "enabled": false}]));
    lacks(&registry.devices(&words), "\"Write Property msDS-IsEnabled\" on CN=6f1c36a1");
    assert_eq!(ldif::text(&registry.device(LAPTOP), "msds-isenabled").as_deref(), Some("TRUE"));
    registry.at_graph(json!([{"op": "delete", "id": pc}]));
    lacks(&registry.devices(&words), "\"Create and Delete msDS-Device objects\"");
    registry.device(LAPTOP);
    registry.said("--apply");
    assert_eq!(registry.container(), Vec::<Entry>::new());
}
