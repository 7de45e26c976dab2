//! What goes wrong with single objects and with the state itself: it is told, the rest goes on, and what the
//! tenant has in the end is what the forest has.

use std::path::Path;
use std::process::Command;

use portolan_testsuite::{FOREST_DOMAIN, Road};
use serde_json::Value;

use crate::holdings::{Forest, Tenant};
use crate::world::World;

const BASE: &str = "DC=corp,DC=example";
const RULES: &str = r#"
[[rule]]
key = "corp.careful"
name = "A title that one person may not have"
direction = "inbound"
object = ["user"]
metaverse = "person"
precedence = 50
flows = [{ target = "title", expression = 'IIF([sAMAccountName] = "alice", Error("no title for her"), [title])' }]
"#;

const COUNTING: &str = r#"
[[rule]]
key = "corp.count"
name = "How many a group has"
direction = "inbound"
object = ["group"]
metaverse = "group"
precedence = 51
flows = [{ target = "description", expression = 'CStr([memberCount]) & " members"' }]
"#;

fn connect(road: &Road<'_>, words: &[&str]) -> String {
    let state = road.path("connect");
    let words = [&["connect"], words, &["--state", state.to_str().unwrap()]].concat();
    road.portolan("connect", &words).unwrap().success().unwrap().stdout
}

fn run(road: &Road<'_>) -> Value {
    road.connect_run().unwrap().success().unwrap().json().unwrap()
}

fn equal(road: &Road<'_>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(Tenant::read(road)).equals(&Forest::read(road));
}

#[test]
fn what_is_wrong_with_one_object_or_with_the_state_is_told_and_harms_nothing_else() {
    let world = World::up("spoilt");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap().success().unwrap();
    run(&road);
    groups_in_a_ring(&road);
    a_suffix_that_is_not_verified(&road);
    two_claim_one_anchor(&road);
    members_that_a_rule_counts(&road);
    a_rule_that_throws(&road);
    a_spoilt_state(&road);
}

fn groups_in_a_ring(road: &Road<'_>) {
    road.samba_tool(&["group", "addmembers", "Engineers", "All Staff"]).unwrap().success().unwrap();
    run(road);
    equal(road);
}

fn a_suffix_that_is_not_verified(road: &Road<'_>) {
    let told = connect(road, &["object", "errors"]);
    assert!(told.contains("grace@partner.example is no name in the tenant"), "{told}");
    assert!(told.contains("users whose suffix the tenant has not verified:"), "{told}");
    assert!(told.lines().any(|line| line.trim() == "1  partner.example"), "{told}");
}

/// Two new people with one `mS-DS-ConsistencyGuid`: neither is in the tenant, and both are told.
fn two_claim_one_anchor(road: &Road<'_>) {
    for name in ["twin1", "twin2"] {
        let words = ["user", "create", name, "Tw1n-Pass!word"];
        road.samba_tool(&words).unwrap().success().unwrap();
        road.ldapmodify(&format!(
            "dn: CN={name},CN=Users,{BASE}\nchangetype: modify\nadd: mS-DS-ConsistencyGuid\n\
             mS-DS-ConsistencyGuid:: AAECAwQFBgcICQoLDA0ODw==\n"
        ))
        .unwrap();
    }
    let summary = run(road);
    assert_eq!(summary["added"], 0, "{summary:#}");
    let told = connect(road, &["object", "errors"]);
    for name in ["CN=twin1", "CN=twin2"] {
        assert!(told.lines().any(|line| line.starts_with(name)), "{name}: {told}");
    }
    for name in ["twin1", "twin2"] {
        road.samba_tool(&["user", "delete", name]).unwrap().success().unwrap();
    }
    run(road);
    equal(road);
}

/// A group is decided about again when its members change, where a rule counts them.
fn members_that_a_rule_counts(road: &Road<'_>) {
    let folder = road.path("connect").join("rules");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("own.toml"), COUNTING).unwrap();
    run(road);
    let added = ["group", "addmembers", "Accountants", "alice"];
    road.samba_tool(&added).unwrap().success().unwrap();
    let shown = connect(road, &["plan"]);
    assert!(shown.contains("description: 4 members -> 5 members"), "{shown}");
    assert!(shown.contains("memberCount of CN=Accountants,"), "{shown}");
    let summary = run(road);
    assert_eq!(
        (&summary["updated"], &summary["references"]),
        (&1.into(), &1.into()),
        "{summary:#}"
    );
    std::fs::remove_file(folder.join("own.toml")).unwrap();
    run(road);
    equal(road);
}

fn a_rule_that_throws(road: &Road<'_>) {
    let folder = road.path("connect").join("rules");
    std::fs::write(folder.join("own.toml"), RULES).unwrap();
    let rename = format!(
        "dn: CN=Bob Baker,OU=Engineering,OU=Staff,{BASE}\nchangetype: modify\nreplace: title\n\
         title: Boatswain\n"
    );
    road.ldapmodify(&rename).unwrap();
    let summary = run(road);
    assert!(summary["errors"].to_string().contains("no title for her"), "{summary:#}");
    // Her title stays, and others' go on.
    equal(road);
    std::fs::remove_file(folder.join("own.toml")).unwrap();
    let summary = run(road);
    assert_eq!(summary["errors"], Value::Array(Vec::new()), "{summary:#}");
}

/// Brings what stands in a database's log into its pages: the log is what a run may leave behind.
fn checkpoint(database: &Path) {
    const SCRIPT: &str = "import sqlite3, sys; \
        sqlite3.connect(sys.argv[1]).execute('PRAGMA wal_checkpoint(TRUNCATE)').fetchall()";
    let status = Command::new("python3").args(["-c", SCRIPT]).arg(database).status().unwrap();
    assert!(status.success());
}

/// A spoilt state is not used; a new one is made of what the forest and the tenant have, and what went from the
/// forest in between goes from the tenant.
fn a_spoilt_state(road: &Road<'_>) {
    let state = road.path("connect").join("connector-space.db");
    checkpoint(&state);
    let length = std::fs::metadata(&state).unwrap().len();
    let mut octets = std::fs::read(&state).unwrap();
    for page in octets.chunks_mut(4096).skip(1) {
        page.fill(0x5a);
    }
    assert_eq!(octets.len() as u64, length);
    for file in ["connector-space.db-wal", "connector-space.db-shm"] {
        let _ = std::fs::remove_file(road.path("connect").join(file));
    }
    std::fs::write(&state, octets).unwrap();
    let before = std::fs::read(&state).unwrap();
    let outcome = road.connect_run().unwrap();
    assert!(outcome.failure().0.is_some(), "a spoilt state was used");
    assert!(outcome.stderr.contains("the state is spoilt"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("hint: nothing of it is used"), "{}", outcome.stderr);
    assert_eq!(std::fs::read(&state).unwrap(), before, "it was written to");
    road.samba_tool(&["user", "delete", "bob"]).unwrap().success().unwrap();
    std::fs::rename(&state, road.path("spoilt.db")).unwrap();
    let summary = run(road);
    assert_eq!(summary["deleted"], 1, "{summary:#}");
    equal(road);
    let shown = connect(road, &["plan", "--json"]);
    assert_eq!(shown.trim(), "[]", "{FOREST_DOMAIN}");
}
