//! Two sync servers of one group: one writes, the other takes over when it does not, and who comes late
//! changes nothing.

use std::process::Command;
use std::time::{Duration, Instant};

use portolan_testsuite::Road;
use serde_json::{Value, json};

use crate::holdings::{Forest, Tenant};
use crate::safety::{graph, reader};
use crate::world::World;

/// For how long the lease is taken.
const LEASE_SECONDS: u64 = 5;
/// How long is waited for what should take no longer than that and a cycle.
const WAIT_TIME_MAX: Duration = Duration::from_secs(60);

fn status(road: &Road<'_>, name: &str) -> Value {
    let state = road.path(name);
    let words = ["connect", "status", "--json", "--state", state.to_str().unwrap()];
    road.portolan("connect", words).unwrap().success().unwrap().json().unwrap()
}

/// Lets a server take the lease for a short time.
fn hurry(road: &Road<'_>, name: &str) {
    let path = road.path(name).join("connect.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("lease_seconds = {LEASE_SECONDS}\n{text}")).unwrap();
}

fn give_alice_a_title(road: &Road<'_>, title: &str) {
    let found = road.ldapsearch(&["-b", "DC=corp,DC=example", "(sAMAccountName=alice)", "dn"]);
    let found = found.unwrap();
    let dn = found.lines().find(|line| line.starts_with("dn")).unwrap();
    let modify = format!("{dn}\nchangetype: modify\nreplace: title\ntitle: {title}\n\n");
    road.ldapmodify(&modify).unwrap();
}

/// Waits until Graph shows it, and gives how long that took.
fn shows(road: &Road<'_>, reader: &(String, std::path::PathBuf), title: &str) -> Duration {
    let begun = Instant::now();
    loop {
        let shown = graph(road, reader);
        if shown["users"]["alice@corp.example"]["jobTitle"] == title {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < WAIT_TIME_MAX, "{title}: {shown:#}");
    }
}

/// How many lines of the tenant's audit log are about what a server wrote.
fn written_by(road: &Road<'_>, client_id: &str) -> u64 {
    let script = "import sqlite3, sys\n\
                  db = sqlite3.connect(sys.argv[1], timeout=30)\n\
                  rows = db.execute(\"SELECT count(*) FROM audit_log WHERE actor = ? AND \
                  (action LIKE 'object.%' OR action LIKE 'credential.%')\", (sys.argv[2],))\n\
                  print(rows.fetchone()[0])\n";
    let path = road.path("tenant").join("tenant.sqlite");
    let done = Command::new("python3").args(["-c", script]).arg(path).arg(client_id).output();
    let done = done.unwrap();
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout).unwrap().trim().parse().unwrap()
}

fn waits_for_role(road: &Road<'_>, name: &str, role: &str) -> Value {
    let begun = Instant::now();
    loop {
        let status = status(road, name);
        if status["role"]["role"] == role {
            return status;
        }
        assert!(begun.elapsed() < WAIT_TIME_MAX, "{name} {role}: {status:#}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_warm_server_takes_over_within_the_lease_and_who_comes_late_writes_nothing() {
    let world = World::up("takeover");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    road.connect_run().unwrap().success().unwrap();
    let first_id = status(&road, "connect")["client_id"].as_str().unwrap().to_owned();
    assert_eq!(status(&road, "connect")["role"], json!({"role": "alone"}));
    road.second_server_up("second", &first_id).unwrap();
    hurry(&road, "connect");
    hurry(&road, "second");
    let second_id = status(&road, "second")["client_id"].as_str().unwrap().to_owned();
    let reader = reader(&road);
    let before = graph(&road, &reader);

    let mut first = road.connect_daemon(&["--interval", "2"]).unwrap();
    let active = waits_for_role(&road, "connect", "active");
    assert_eq!(active["role"]["epoch"], 1, "{active:#}");
    let mut second = road.connect_daemon_of("second", &["--interval", "2"]).unwrap();
    second.wait_for("warm: another server may write", 1).unwrap();
    let warm = waits_for_role(&road, "second", "warm");
    assert!(warm["objects"].as_u64().unwrap() > 10, "it imports: {warm:#}");
    assert_eq!(written_by(&road, &second_id), 0, "and writes nothing");
    writes_nothing_back(&road, "second");
    give_alice_a_title(&road, "Captain");
    shows(&road, &reader, "Captain");
    assert_eq!(written_by(&road, &second_id), 0);

    // The active one stops in the middle of whatever it does.
    first.signal("STOP").unwrap();
    let by_the_first = written_by(&road, &first_id);
    let stopped = Instant::now();
    give_alice_a_title(&road, "Admiral");
    second.wait_for("confirmed ", 1).unwrap();
    let took = stopped.elapsed();
    assert!(took < Duration::from_secs(LEASE_SECONDS * 3), "taken over in {took:?}");
    shows(&road, &reader, "Admiral");
    println!("taken over in {took:?}, shown in {:?}", stopped.elapsed());
    let active = waits_for_role(&road, "second", "active");
    assert_eq!(active["role"]["epoch"], 2, "{active:#}");
    let said = second.said();
    assert!(!said.contains("exported 1 new"), "nothing is doubled: {said}");

    // It goes on late, and learns that it is not the one.
    first.signal("CONT").unwrap();
    first.wait_for("warm: another server may write", 1).unwrap();
    waits_for_role(&road, "connect", "warm");
    give_alice_a_title(&road, "Emeritus");
    shows(&road, &reader, "Emeritus");
    assert_eq!(written_by(&road, &first_id), by_the_first, "it wrote nothing more");

    // Who is told to stop gives the lease back.
    let (stopped, said) = second.stop().unwrap();
    assert!(stopped.success(), "{said}");
    let active = waits_for_role(&road, "connect", "active");
    assert_eq!(active["role"]["epoch"], 3, "{active:#}");
    give_alice_a_title(&road, "Captain again");
    shows(&road, &reader, "Captain again");
    let (stopped, said) = first.stop().unwrap();
    assert!(stopped.success(), "{said}");
    assert!(said.contains("confirmed "), "it confirmed before it exported: {said}");

    the_tenant_equals_the_forest(&road);
    let mut after = graph(&road, &reader);
    after["users"]["alice@corp.example"]["jobTitle"] =
        before["users"]["alice@corp.example"]["jobTitle"].clone();
    assert_eq!(before, after, "the same objects under the same ids");
}

/// A server that waits for another one writes to the forest neither.
fn writes_nothing_back(road: &Road<'_>, name: &str) {
    let state = road.path(name).display().to_string();
    let words = ["connect", "writeback", "--consistency-guid", "--apply", "--state", &state];
    let refused = road.portolan("connect", words).unwrap();
    let (error, hint) = refused.failure();
    assert_eq!(refused.status.code(), Some(1), "{}{}", refused.stdout, refused.stderr);
    assert!(error.unwrap().starts_with("nothing is written to the forest: "), "{error:?}");
    assert!(hint.unwrap().contains("calls active"), "{hint:?}");
}

fn the_tenant_equals_the_forest(road: &Road<'_>) {
    let forest = Forest::read(road);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tenant = runtime.block_on(Tenant::read(road));
    tenant.equals(&forest);
    tenant.credentials_equal(&forest, &road.hashes_by_samba().unwrap());
}
