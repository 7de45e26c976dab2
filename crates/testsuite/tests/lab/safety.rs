//! What keeps an export from doing harm: a tenant that lost data is noticed and repaired, deletions that
//! are too many wait for somebody's word, and a server in staging mode exports nothing.

use std::path::PathBuf;
use std::process::Command;

use portolan_testsuite::{Outcome, Road};
use serde_json::{Value, json};

use crate::holdings::{Forest, Tenant};
use crate::world::World;

/// An application that reads the directory by Graph: its id, and the file of its key and certificate.
pub(crate) fn reader(road: &Road<'_>) -> (String, PathBuf) {
    let (key, certificate) = (road.path("reader.pem"), road.path("reader.crt"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=reader"]);
    openssl.args(["-days", "2", "-keyout"]).arg(&key).arg("-out").arg(&certificate);
    let made = openssl.output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let data = road.path("tenant");
    let words =
        ["tenant", "app", "add", "--name", "reader", "--json", "--data", data.to_str().unwrap()];
    let permissions = ["User.Read.All", "Group.Read.All"];
    let permissions = permissions.iter().flat_map(|permission| ["--permission", permission]);
    let words =
        words.into_iter().chain(permissions).chain(["--key", certificate.to_str().unwrap()]);
    let added = road.portolan("tenant", words).unwrap().success().unwrap().json().unwrap();
    let both = [std::fs::read(&key).unwrap(), std::fs::read(&certificate).unwrap()].concat();
    std::fs::write(&key, both).unwrap();
    (added["client_id"].as_str().unwrap().to_owned(), key)
}

/// What the tenant shows by Graph.
pub(crate) fn graph(road: &Road<'_>, (client_id, key): &(String, PathBuf)) -> Value {
    road.ask("graph_read.py", json!({"client_id": client_id, "key": key})).unwrap()
}

/// Runs `connect` with words behind which the state directory comes.
pub(crate) fn connect(road: &Road<'_>, words: &[&str]) -> Outcome {
    let state = road.path("connect");
    let words = ["connect"].into_iter().chain(words.iter().copied());
    let words = words.chain(["--state", state.to_str().unwrap()]);
    road.portolan("connect", words).unwrap()
}

/// Changes the tenant's database behind its back, as a fault of a disk or a hand would.
pub(crate) fn tamper(road: &Road<'_>, statements: &str) {
    let path = road.path("tenant").join("tenant.sqlite");
    let script = "import sqlite3, sys\n\
                  db = sqlite3.connect(sys.argv[1], timeout=30)\n\
                  db.executescript('BEGIN;' + sys.argv[2] + 'COMMIT;')\n";
    let mut python = Command::new("python3");
    let done = python.args(["-c", script]).arg(path).arg(statements).output().unwrap();
    assert!(done.status.success(), "{done:?}");
}

/// Alice's row goes, Bob has another name, a group lacks a member and has one too many, and Frank's
/// password is gone.
const DAMAGE: &str = "
    CREATE TEMP TABLE lost AS SELECT rid, id, anchor FROM object
        WHERE json_extract(doc, '$.userPrincipalName') = 'alice@corp.example';
    DELETE FROM attr_index WHERE rid IN (SELECT rid FROM lost);
    DELETE FROM link WHERE src_rid IN (SELECT rid FROM lost)
        OR dst_anchor IN (SELECT anchor FROM lost);
    DELETE FROM credential WHERE user_id IN (SELECT id FROM lost);
    DELETE FROM object WHERE rid IN (SELECT rid FROM lost);
    UPDATE object SET doc = json_set(doc, '$.displayName', 'Mallory')
        WHERE json_extract(doc, '$.userPrincipalName') = 'bob@corp.example';
    DELETE FROM credential WHERE user_id IN (SELECT id FROM object
        WHERE json_extract(doc, '$.userPrincipalName') = 'frank@corp.example');
    CREATE TEMP TABLE one AS SELECT src_rid, dst_anchor FROM link
        WHERE attr = 'members' AND deleted = 0 LIMIT 1;
    DELETE FROM link WHERE attr = 'members' AND (src_rid, dst_anchor) IN (SELECT * FROM one);
    INSERT INTO link (src_rid, attr, dst_anchor, seq, deleted)
        SELECT one.src_rid, 'members', o.anchor, 1, 0 FROM one, object o
        WHERE o.kind = 'user' AND o.anchor IS NOT NULL AND NOT EXISTS (SELECT 1 FROM link l
            WHERE l.src_rid = one.src_rid AND l.attr = 'members' AND l.dst_anchor = o.anchor)
        AND o.anchor <> one.dst_anchor LIMIT 1;";

#[test]
fn a_tenant_that_lost_data_is_noticed_and_repaired() {
    let world = World::up("confirm");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    road.connect_run().unwrap().success().unwrap();
    let reader = reader(&road);
    let mut before = graph(&road, &reader);
    let confirm = || connect(&road, &["confirm", "--json"]).success().unwrap().json().unwrap();
    let nothing = confirm();
    for sort in ["other", "missing", "unknown", "references", "passwords"] {
        assert_eq!(nothing[sort], 0, "{sort}: {nothing:#}");
    }
    assert!(nothing["objects"].as_u64().unwrap() > 10, "{nothing:#}");

    tamper(&road, DAMAGE);
    let mut damaged = graph(&road, &reader);
    assert_ne!(before, damaged);
    assert_eq!(damaged["users"]["bob@corp.example"]["displayName"].take(), "Mallory");
    assert_eq!(damaged["users"]["alice@corp.example"].take(), Value::Null);
    let blind = road.connect_run().unwrap().success().unwrap().json().unwrap();
    assert_eq!((&blind["added"], &blind["updated"]), (&json!(0), &json!(0)), "nobody looked");

    let found = confirm();
    assert_eq!(found["other"], 1, "Bob: {found:#}");
    assert_eq!(found["missing"], 1, "Alice: {found:#}");
    assert_eq!(found["unknown"], 0, "{found:#}");
    assert_eq!(found["passwords"], 1, "Frank's: {found:#}");
    assert!(found["references"].as_u64().unwrap() >= 1, "{found:#}");
    let repaired = road.connect_run().unwrap().success().unwrap().json().unwrap();
    assert_eq!((&repaired["added"], &repaired["updated"]), (&json!(1), &json!(1)), "{repaired:#}");

    let mut after = graph(&road, &reader);
    for shown in [&mut before, &mut after] {
        // She is another object now: nothing was left of the one before.
        shown["users"]["alice@corp.example"]["id"].take();
    }
    assert_eq!(before, after);
    let forest = Forest::read(&road);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tenant = runtime.block_on(Tenant::read(&road));
    tenant.equals(&forest);
    tenant.credentials_equal(&forest, &road.hashes_by_samba().unwrap());
    let again = confirm();
    for sort in ["other", "missing", "unknown", "references", "passwords"] {
        assert_eq!(again[sort], 0, "{sort}: {again:#}");
    }
}

/// LDIF that adds people of these numbers, and a group that has some of them as members.
fn crew(people: std::ops::Range<usize>, members: std::ops::Range<usize>) -> String {
    let mut ldif: String = people.map(person).collect();
    ldif.push_str("dn: CN=crew,CN=Users,DC=corp,DC=example\nchangetype: add\nobjectClass: group\n");
    ldif.push_str("sAMAccountName: crew\n");
    ldif.extend(members.map(|number| format!("member: {}\n", dn(number))));
    ldif.push('\n');
    ldif
}

fn dn(number: usize) -> String {
    format!("CN=Crew {number},CN=Users,DC=corp,DC=example")
}

fn person(number: usize) -> String {
    format!(
        "dn: {}\nchangetype: add\nobjectClass: user\nsAMAccountName: crew{number}\n\
         userPrincipalName: crew{number}@corp.example\nuserAccountControl: 514\n\n",
        dn(number)
    )
}

fn delete(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|number| format!("dn: {}\nchangetype: delete\n\n", dn(number))).collect()
}

fn crew_of(graph: &Value) -> usize {
    let users = graph["users"].as_object().unwrap();
    users.keys().filter(|name| name.starts_with("crew")).count()
}

#[test]
fn deletions_of_small_runs_that_are_too_many_together_wait_until_they_are_released() {
    let world = World::up("guard");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    road.ldapmodify(&crew(0..60, 20..50)).unwrap();
    road.connect_run().unwrap().success().unwrap();
    let reader = reader(&road);
    assert_eq!(crew_of(&graph(&road, &reader)), 60);
    // Ten of some seventy may go in a day.
    for (numbers, left) in [(0..5, 55), (5..10, 50)] {
        road.ldapmodify(&delete(numbers)).unwrap();
        let run = road.connect_run().unwrap().success().unwrap().json().unwrap();
        assert_eq!((&run["deleted"], &run["held"]), (&json!(5), &json!([])), "{run:#}");
        assert_eq!(crew_of(&graph(&road, &reader)), left);
    }
    // The third run holds them; whom it adds and changes goes through.
    let mut changes = delete(10..15) + &person(100);
    changes += &format!("dn: {}\nchangetype: modify\nreplace: title\ntitle: Captain\n\n", dn(20));
    road.ldapmodify(&changes).unwrap();
    let outcome = road.connect_run().unwrap();
    assert_eq!(outcome.status.code(), Some(3), "{outcome:?}");
    let (said, hint) = outcome.failure();
    assert!(said.unwrap().contains("5 of "), "{outcome:?}");
    assert!(hint.unwrap().contains("guard release"), "{outcome:?}");
    assert!(outcome.stderr.contains("HELD: "), "{outcome:?}");
    let run = outcome.json().unwrap();
    assert_eq!((&run["deleted"], &run["added"]), (&json!(0), &json!(1)), "{run:#}");
    let shown = graph(&road, &reader);
    assert_eq!(crew_of(&shown), 51);
    assert_eq!(shown["users"]["crew20@corp.example"]["jobTitle"], "Captain");
    let status = connect(&road, &["guard", "status", "--json"]).success().unwrap().json().unwrap();
    assert_eq!(status[0]["kind"], "user", "{status:#}");
    let numbers = ["wanted", "lost", "held"].map(|name| status[0][name].clone());
    assert_eq!(numbers, [json!(5), json!(10), json!(true)], "{status:#}");
    assert_eq!(road.connect_run().unwrap().status.code(), Some(3), "and goes on to hold them");

    connect(&road, &["guard", "release", "--kind", "user"]).success().unwrap();
    let run = road.connect_run().unwrap().success().unwrap().json().unwrap();
    assert_eq!((&run["deleted"], &run["held"]), (&json!(5), &json!([])), "{run:#}");
    assert_eq!(crew_of(&graph(&road, &reader)), 46);
    // That was for these: one more waits again.
    road.ldapmodify(&delete(15..16)).unwrap();
    assert_eq!(road.connect_run().unwrap().status.code(), Some(3));
    connect(&road, &["guard", "release"]).success().unwrap();
    road.connect_run().unwrap().success().unwrap();

    a_group_that_loses_most_of_its_members_keeps_them(&road, &reader);
}

fn a_group_that_loses_most_of_its_members_keeps_them(road: &Road<'_>, reader: &(String, PathBuf)) {
    let members = || graph(road, reader)["groups"]["crew"].as_array().unwrap().len();
    assert_eq!(members(), 30);
    let mut ldif = "dn: CN=crew,CN=Users,DC=corp,DC=example\nchangetype: modify\n\
                    delete: member\n"
        .to_owned();
    ldif.extend((20..40).map(|number| format!("member: {}\n", dn(number))));
    road.ldapmodify(&(ldif + "-\nadd: member\nmember: " + &dn(55) + "\n-\n\n")).unwrap();
    let outcome = road.connect_run().unwrap();
    assert_eq!(outcome.status.code(), Some(3), "{outcome:?}");
    assert!(outcome.failure().0.unwrap().contains("\"crew\" would lose 20 of 30"), "{outcome:?}");
    assert_eq!(members(), 31, "who joined is a member");
    connect(road, &["guard", "release", "--kind", "members"]).success().unwrap();
    road.connect_run().unwrap().success().unwrap();
    assert_eq!(members(), 11);
    assert!(connect(road, &["guard", "release"]).success().is_err(), "nothing waits any more");
}

#[test]
fn a_server_in_staging_mode_writes_nothing_and_confirms_before_it_exports_again() {
    let world = World::up("staging");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    connect(&road, &["staging", "on"]).success().unwrap();
    let reader = reader(&road);
    let outcome = road.connect_run().unwrap().success().unwrap();
    assert!(outcome.stderr.contains("staging mode"), "{outcome:?}");
    let run = outcome.json().unwrap();
    assert_eq!((&run["closed"], &run["added"]), (&json!("staging"), &json!(0)), "{run:#}");
    assert_eq!(run.get("credentials"), None, "no password was replicated: {run:#}");
    assert_eq!(graph(&road, &reader)["users"], json!({}));
    let status = connect(&road, &["status", "--json"]).success().unwrap().json().unwrap();
    assert_eq!(status["staging"], true, "{status:#}");
    assert!(status["objects"].as_u64().unwrap() > 10, "it imports: {status:#}");

    connect(&road, &["staging", "off"]).success().unwrap();
    let outcome = road.connect_run().unwrap().success().unwrap();
    let (confirmed, exported) =
        (outcome.stderr.find("confirmed "), outcome.stderr.find("exported "));
    assert!(confirmed.unwrap() < exported.unwrap(), "{outcome:?}");
    let forest = Forest::read(&road);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tenant = runtime.block_on(Tenant::read(&road));
    tenant.equals(&forest);
    tenant.credentials_equal(&forest, &road.hashes_by_samba().unwrap());
    let outcome = road.connect_run().unwrap().success().unwrap();
    assert!(!outcome.stderr.contains("confirmed "), "once is enough: {outcome:?}");
}
