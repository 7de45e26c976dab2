//! Photos, devices and directory extensions: octets of a real forest, read back by Microsoft's Graph SDK and
//! held against what `ldapsearch` has of them.

use std::path::PathBuf;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portolan_model::Guid;
use portolan_testsuite::Road;
use serde_json::{Value, json};

use crate::graph::application;
use crate::ldif::{self, Entry};
use crate::safety::{connect, tamper};
use crate::world::World;

const ALICE: &str = "alice@corp.example";
const BOB: &str = "bob@corp.example";
const FRANK: &str = "frank@corp.example";
const CERTIFICATE: &[u8] = include_bytes!("../../../sync/src/expression/example.der");
/// Octets of the largest photo that a forest has (rangeUpper of thumbnailPhoto) and the tenant takes.
const PHOTO_OCTETS_MAX: usize = 102_400;

/// A forest, a tenant, and who reads it.
struct Holdings<'r, 'lab> {
    road: &'r Road<'lab>,
    reader: (String, PathBuf),
    /// The whole names of extensions: texts, a text, octets, a text of a certificate.
    extensions: [String; 4],
}

#[test]
fn photos_devices_and_extensions_arrive_as_the_forest_has_them() {
    let world = World::up("photos");
    let mut road = world.road();
    road.tenant_up().unwrap();
    let road = &road;
    let extensions = [("plates", "String", true), ("number", "String", false)];
    let octets = [("consistency", "Binary", false), ("certificate", "String", false)];
    let add = |(name, kind, list): &(&str, &str, bool)| extension(road, name, kind, *list);
    let all: Vec<_> = extensions.iter().chain(&octets).map(add).collect();
    let permissions = ["User.Read.All", "Group.Read.All", "Device.Read.All"];
    let reader = application(road, "reader", "rsa:2048", &permissions);
    let holdings = Holdings { road, reader, extensions: all.try_into().unwrap() };

    fill(road);
    road.connect_up().unwrap().success().unwrap();
    let folder = road.path("connect").join("rules");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("own.toml"), rules(&holdings.extensions)).unwrap();
    connect(road, &["rules", "lint"]).success().unwrap();
    road.connect_run().unwrap().success().unwrap();
    holdings.are_those_of_the_forest();
    what_is_no_photo_is_told_of_its_user(&holdings);
    nobody_is_shown_octets(road);
    only_what_changed_is_sent(&holdings);
    what_the_tenant_lost_is_repaired(&holdings);
}

/// A registered extension of users, by its whole name.
fn extension(road: &Road<'_>, name: &str, kind: &str, list: bool) -> String {
    let data = road.path("tenant");
    let words = ["tenant", "extension", "add", name, "--type", kind, "--json", "--data"];
    let words = words.into_iter().chain([data.to_str().unwrap()]).chain(list.then_some("--list"));
    let added = road.portolan("tenant", words).unwrap().success().unwrap().json().unwrap();
    added["name"].as_str().unwrap().to_owned()
}

fn rules([plates, number, consistency, certificate]: &[String; 4]) -> String {
    format!(
        r#"
[[rule]]
key = "corp.more"
name = "What else is known of users"
direction = "inbound"
object = ["user"]
metaverse = "person"
precedence = 50
flows = [
    {{ target = "carLicense", source = "carLicense" }},
    {{ target = "employeeNumber", source = "employeeNumber" }},
    {{ target = "consistency", source = "mS-DS-ConsistencyGuid" }},
    {{ target = "certificate", expression = 'IIF(IsPresent([userCertificate]),CertThumbprint([userCertificate]),NULL)' }},
]

[[rule]]
key = "corp.extensions"
name = "Directory extensions of users"
direction = "outbound"
object = "user"
metaverse = "person"
precedence = 60
flows = [
    {{ target = "{plates}", source = "carLicense" }},
    {{ target = "{number}", source = "employeeNumber" }},
    {{ target = "{consistency}", source = "consistency" }},
    {{ target = "{certificate}", source = "certificate" }},
]
"#
    )
}

/// Octets that begin as a JPEG does and have every value in them.
fn picture(seed: u8, octets: usize) -> Vec<u8> {
    let body = (0..octets - 4).map(|at| (at * 7 + at / 251) as u8 ^ seed);
    [0xff, 0xd8, 0xff, 0xe0].into_iter().chain(body).collect()
}

fn dn(road: &Road<'_>, filter: &str) -> String {
    let found = road.ldapsearch(&["-b", "DC=corp,DC=example", filter, "dn"]).unwrap();
    ldif::text(ldif::parse(&found).first().unwrap(), "dn").unwrap()
}

fn of_account(road: &Road<'_>, name: &str) -> String {
    dn(road, &format!("(sAMAccountName={name})"))
}

/// Changes an object by `ldapmodify`: values as octets, none to take the attribute away.
fn modify(road: &Road<'_>, dn: &str, attribute: &str, values: &[&[u8]]) {
    let name = STANDARD.encode(dn);
    let mut change = format!("dn:: {name}\nchangetype: modify\nreplace: {attribute}\n");
    for value in values {
        change.push_str(&format!("{attribute}:: {}\n", STANDARD.encode(value)));
    }
    road.ldapmodify(&change).unwrap();
}

/// People with photos, one of whom has none that is one; computers, of which one has a certificate.
fn fill(road: &Road<'_>) {
    let [alice, bob, frank] = ["alice", "bob", "frank"].map(|name| of_account(road, name));
    modify(road, &alice, "thumbnailPhoto", &[&picture(1, 20_000)]);
    modify(road, &bob, "thumbnailPhoto", &[b"not a picture"]);
    modify(road, &frank, "thumbnailPhoto", &[&picture(2, PHOTO_OCTETS_MAX)]);
    modify(
        road,
        &alice,
        "mS-DS-ConsistencyGuid",
        &[&[7, 0, 0xff, 3, 4, 5, 6, 0xfe, 8, 9, 10, 11, 12, 13, 14, 15]],
    );
    modify(road, &alice, "userCertificate", &[CERTIFICATE]);
    modify(road, &alice, "carLicense", &[b"B-AB 1", "K-\u{d6}L 22".as_bytes()]);
    modify(road, &bob, "carLicense", &[b"HH-X 9"]);
    modify(road, &alice, "employeeNumber", &[b"0007"]);
    for name in ["pc1", "pc2", "pc3"] {
        road.samba_tool(&["computer", "create", name]).unwrap().success().unwrap();
    }
    for name in ["pc1", "pc3"] {
        modify(road, &of_account(road, &format!("{name}$")), "userCertificate", &[CERTIFICATE]);
    }
    let pc1 = of_account(road, "pc1$");
    modify(road, &pc1, "operatingSystem", &[b"Windows 11 Enterprise"]);
    modify(road, &pc1, "operatingSystemVersion", &[b"10.0 (26100)"]);
    modify(road, &of_account(road, "pc3$"), "userAccountControl", &[b"4098"]);
    road.samba_tool(&["group", "addmembers", "Engineers", "pc1$,pc2$"]).unwrap().success().unwrap();
}

impl Holdings<'_, '_> {
    /// What the tenant has, by Microsoft's SDK.
    fn read(&self) -> Value {
        let (client_id, key) = &self.reader;
        let question = json!({"client_id": client_id, "key": key, "users": [ALICE, BOB, FRANK],
            "extensions": self.extensions, "group": "Engineers"});
        self.road.ask("graph_holdings_sdk.py", question).unwrap()
    }

    /// What the forest has of a user, by `ldapsearch`.
    fn user(&self, name: &str) -> Entry {
        let (account, _) = name.split_once('@').unwrap();
        let filter = format!("(sAMAccountName={account})");
        let found = self.road.ldapsearch(&["-b", "DC=corp,DC=example", &filter, "*"]).unwrap();
        ldif::parse(&found).remove(0)
    }

    /// Each value in the tenant is the one of the forest, octet by octet. Bob's photo is none.
    fn are_those_of_the_forest(&self) {
        let held = self.read();
        for name in [ALICE, BOB, FRANK] {
            let (entry, user) = (self.user(name), &held["users"][name]);
            let octets = |attribute: &str| entry.get(attribute).map(|values| values[0].clone());
            let photo = octets("thumbnailphoto").filter(|photo| photo.starts_with(b"\xff\xd8"));
            let is = user["photo"].as_str().map(|photo| STANDARD.decode(photo).unwrap());
            assert!(is == photo, "the photo of {name} is another one");
            let anchor = octets("ms-ds-consistencyguid").or_else(|| octets("objectguid"));
            assert_eq!(user["anchor"], STANDARD.encode(anchor.unwrap()));
            let [plates, number, consistency, certificate] = &self.extensions;
            let values = &user["extensions"];
            let mut of_forest: Vec<_> = entry.get("carlicense").cloned().unwrap_or_default();
            of_forest.sort();
            let listed = values[plates].as_array().cloned().unwrap_or_default();
            let mut listed: Vec<_> =
                listed.iter().map(|text| text.as_str().unwrap().as_bytes().to_vec()).collect();
            listed.sort();
            assert_eq!(listed, of_forest, "{name}");
            let text = |octets: Option<Vec<u8>>| octets.map(|o| String::from_utf8(o).unwrap());
            assert_eq!(values[number].as_str(), text(octets("employeenumber")).as_deref());
            let own = octets("ms-ds-consistencyguid").map(|octets| STANDARD.encode(octets));
            assert_eq!(values[consistency].as_str(), own.as_deref(), "{name}");
            assert_eq!(values[certificate].is_string(), entry.contains_key("usercertificate"));
        }
        self.devices_are_those_of_the_forest(&held);
    }

    /// Each computer with a certificate is a device under its objectGUID, and no other.
    fn devices_are_those_of_the_forest(&self, held: &Value) {
        let filter = "(&(objectClass=computer)(userCertificate=*))";
        let found = self.road.ldapsearch(&["-b", "DC=corp,DC=example", filter, "*"]).unwrap();
        let computers = ldif::parse(&found);
        assert_eq!(held["devices"].as_object().unwrap().len(), computers.len(), "{held:#}");
        let mut of_group = Vec::new();
        for computer in &computers {
            let id = Guid::from_bytes_le(computer["objectguid"][0].as_slice().try_into().unwrap());
            let device = &held["devices"][id.to_string()];
            let text = |name: &str| json!(ldif::text(computer, name));
            assert_eq!(device["name"], text("cn"), "{held:#}");
            assert_eq!(device["system"], text("operatingsystem"));
            assert_eq!(device["version"], text("operatingsystemversion"));
            assert_eq!(
                (&device["trust"], &device["synchronised"]),
                (&json!("ServerAd"), &json!(true))
            );
            let control: u32 = ldif::text(computer, "useraccountcontrol").unwrap().parse().unwrap();
            assert_eq!(device["enabled"], control & 2 == 0);
            if computer.contains_key("memberof") {
                of_group.push(id.to_string());
            }
        }
        of_group.sort();
        assert_eq!(held["members"], json!(of_group), "devices are members of groups");
    }

    fn run(&self) -> Value {
        self.road.connect_run().unwrap().success().unwrap().json().unwrap()
    }

    /// How often the tenant was told of a photo.
    fn photos_set(&self) -> u64 {
        let script = "import sqlite3, sys\n\
                      db = sqlite3.connect(sys.argv[1], timeout=30)\n\
                      print(db.execute(\"SELECT count(*) FROM audit_log WHERE action = \
                      'photo.set'\").fetchone()[0])\n";
        let path = self.road.path("tenant").join("tenant.sqlite");
        let done = Command::new("python3").args(["-c", script]).arg(path).output().unwrap();
        String::from_utf8(done.stdout).unwrap().trim().parse().unwrap()
    }
}

fn errors(road: &Road<'_>) -> Vec<Value> {
    let shown = connect(road, &["object", "errors", "--json"]).success().unwrap();
    let all: Vec<Value> = serde_json::from_str(&shown.stdout).unwrap();
    all.into_iter().filter(|error| error["code"] == "invalidPhoto").collect()
}

fn what_is_no_photo_is_told_of_its_user(holdings: &Holdings<'_, '_>) {
    let told = errors(holdings.road);
    let [bob] = told.as_slice() else { panic!("{told:#?}") };
    assert!(bob["object"].as_str().unwrap().starts_with("CN=Bob"), "{bob:#}");
    let text = bob["text"].as_str().unwrap();
    assert!(text.contains("without thumbnailPhoto: the photo is no JPEG, PNG or GIF"), "{text}");
    assert!(bob["hint"].as_str().unwrap().contains("100 KiB"), "{bob:#}");
}

fn nobody_is_shown_octets(road: &Road<'_>) {
    let alice = connect(road, &["explain", "CN=Alice"]).success().unwrap().stdout;
    assert!(alice.contains("thumbnailPhoto = 20000 octets (SHA-256 "), "{alice}");
    assert!(alice.contains("by in.user.photo of [thumbnailPhoto]: gives it"), "{alice}");
    assert!(!alice.contains("ffd8ff"), "{alice}");
    let device = connect(road, &["explain", "CN=PC1,CN=Computers,DC=corp,DC=example"]);
    let device = device.success().unwrap().stdout;
    assert!(device.contains("trustType = \"ServerAd\""), "{device}");
    let other = connect(road, &["explain", "CN=PC2,CN=Computers,DC=corp,DC=example"]);
    let other = other.success().unwrap().stdout;
    assert!(other.contains("not synchronised") && other.contains("userCertificate"), "{other}");
}

fn only_what_changed_is_sent(holdings: &Holdings<'_, '_>) {
    let road = holdings.road;
    let [alice, bob, frank] = ["alice", "bob", "frank"].map(|name| of_account(road, name));
    let before = holdings.photos_set();
    assert_eq!(before, 2, "Alice's and Frank's");
    modify(road, &alice, "title", &[b"Cartographer"]);
    let done = holdings.run();
    assert_eq!((&done["updated"], holdings.photos_set()), (&json!(1), before), "{done:#}");

    modify(road, &alice, "thumbnailPhoto", &[&picture(9, 20_000)]);
    modify(road, &bob, "thumbnailPhoto", &[&picture(5, 3_000)]);
    modify(road, &frank, "thumbnailPhoto", &[]);
    modify(road, &alice, "carLicense", &[b"M-Z 3"]);
    modify(road, &bob, "carLicense", &[]);
    modify(road, &alice, "employeeNumber", &[]);
    modify(road, &of_account(road, "pc2$"), "userCertificate", &[CERTIFICATE]);
    modify(road, &of_account(road, "pc3$"), "userAccountControl", &[b"4096"]);
    road.samba_tool(&["computer", "delete", "pc1"]).unwrap().success().unwrap();
    let plan = connect(road, &["plan"]).success().unwrap().stdout;
    assert!(plan.contains("thumbnailPhoto: 20000 octets (SHA-256 "), "{plan}");
    let done = holdings.run();
    assert_eq!(done["refused"], json!([]), "{done:#}");
    assert_eq!(holdings.photos_set(), before + 3);
    holdings.are_those_of_the_forest();
    assert_eq!(errors(road), Vec::<Value>::new());
    let nothing = holdings.run();
    assert_eq!((&nothing["updated"], holdings.photos_set()), (&json!(0), before + 3));
}

/// A photo goes, another one is put where none is to be, and a third is exchanged.
const DAMAGE: &str = "
    CREATE TEMP TABLE who AS SELECT id, json_extract(doc, '$.userPrincipalName') AS name FROM object;
    DELETE FROM photo WHERE user_id = (SELECT id FROM who WHERE name = 'alice@corp.example');
    UPDATE photo SET octets = x'474946383961', digest = NULL
        WHERE user_id = (SELECT id FROM who WHERE name = 'bob@corp.example');
    INSERT INTO photo (user_id, octets)
        SELECT id, x'474946383961' FROM who WHERE name = 'frank@corp.example';";

fn what_the_tenant_lost_is_repaired(holdings: &Holdings<'_, '_>) {
    let road = holdings.road;
    let confirm = || connect(road, &["confirm", "--json"]).success().unwrap().json().unwrap();
    let nothing = confirm();
    for sort in ["other", "missing", "unknown", "references"] {
        assert_eq!(nothing[sort], 0, "{sort}: {nothing:#}");
    }
    tamper(road, DAMAGE);
    let found = confirm();
    assert_eq!(found["other"], 3, "{found:#}");
    let repaired = holdings.run();
    assert_eq!(repaired["updated"], 3, "{repaired:#}");
    holdings.are_those_of_the_forest();
    assert_eq!(confirm()["other"], 0);
}
