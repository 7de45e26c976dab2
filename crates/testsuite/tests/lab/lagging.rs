//! A controller of a real forest that has not heard yet what connect read from the other one.

use std::path::PathBuf;

use portolan_lab::End;
use portolan_testsuite::{Outcome, Road};
use serde_json::Value;

use crate::safety::{graph, reader};
use crate::world::World;

/// Somebody who is made while the other controller is down.
const MADE: &str = "dn: CN=newcomer,CN=Users,DC=corp,DC=example\nchangetype: add\n\
    objectClass: user\nsAMAccountName: newcomer\nuserAccountControl: 514\n";

#[test]
fn a_controller_that_lags_behind_the_one_that_was_read_deletes_nobody() {
    let world = World::with_two_controllers("lagging");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();

    // The second one is down while somebody is made at the first, who comes to the tenant.
    world.lab.stop_controller("dc2", End::Hard).unwrap();
    road.ldapmodify(MADE).unwrap();
    let summary = road.connect_run().unwrap().success().unwrap().json().unwrap();
    assert_ne!(summary["added"], 0, "{summary:#}");

    // The second one alone, which never heard of it: it is not read in full, and says why.
    world.lab.stop_controller("dc1", End::Hard).unwrap();
    world.lab.start_controller("dc2").unwrap();
    let refused = import_in_full(&road);
    assert!(!refused.status.success(), "{refused:?}");
    let said = "domain controller DC2 lacks changes that were read from another one";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
    let run = road.connect_run().unwrap();
    assert!(!run.status.success() && run.stderr.contains(said), "{}", run.stderr);

    // It heard of it, and is believed.
    world.lab.start_controller("dc1").unwrap();
    world.replicate("dc2", "dc1");
    world.lab.stop_controller("dc1", End::Hard).unwrap();
    let imported = import_in_full(&road).success().unwrap().json().unwrap();
    let summary = road.connect_run().unwrap().success().unwrap().json().unwrap();
    assert_eq!(summary["deleted"], 0, "{imported:#}: {summary:#}");
    assert_eq!(imported["imported"]["removed"], 0, "{imported:#}");
    assert_eq!(imported["imported"]["full"], true, "{imported:#}");
}

#[test]
fn who_takes_over_reads_as_far_as_the_one_before_it_and_deletes_nobody() {
    let world = World::with_two_controllers("behind");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    road.connect_run().unwrap().success().unwrap();
    let first = status(&road, "connect")["client_id"].as_str().unwrap().to_owned();
    road.second_server_up("second", &first).unwrap();
    let reader = reader(&road);

    // The first server reads of somebody who is made at the first controller while the second one is down.
    world.lab.stop_controller("dc2", End::Hard).unwrap();
    road.ldapmodify(MADE).unwrap();
    let summary = road.connect_run().unwrap().success().unwrap().json().unwrap();
    assert_ne!(summary["added"], 0, "{summary:#}");
    assert!(has_newcomer(&road, &reader));

    // The second server takes over, and has a controller that never heard of it.
    world.lab.stop_controller("dc1", End::Hard).unwrap();
    world.lab.start_controller("dc2").unwrap();
    let summary = run_second(&road).success().unwrap().json().unwrap();
    let behind = &summary["closed"]["behind"]["domains"];
    assert_eq!(behind[0]["domain"], "corp.example", "{summary:#}");
    let again = run_second(&road);
    let said = "domain controller DC2 lacks changes that were read by another sync server";
    assert!(!again.status.success() && again.stderr.contains(said), "{}", again.stderr);
    let behind = &status(&road, "second")["behind"];
    assert!(behind[0]["since"].is_number(), "{behind:#}");
    assert!(has_newcomer(&road, &reader), "nobody is deleted");

    // It heard of it: the second server goes on by itself.
    world.lab.start_controller("dc1").unwrap();
    world.replicate("dc2", "dc1");
    world.lab.stop_controller("dc1", End::Hard).unwrap();
    let summary = run_second(&road).success().unwrap().json().unwrap();
    assert_eq!(summary["deleted"], 0, "{summary:#}");
    assert!(summary["closed"].is_null(), "{summary:#}");
    assert!(status(&road, "second")["behind"].is_null());
    assert!(has_newcomer(&road, &reader));
}

fn has_newcomer(road: &Road<'_>, reader: &(String, PathBuf)) -> bool {
    let shown = graph(road, reader);
    let users = shown["users"].as_object().unwrap();
    users.keys().any(|name| name.starts_with("newcomer@"))
}

fn run_second(road: &Road<'_>) -> Outcome {
    let state = road.path("second");
    let words = ["connect", "run", "--once", "--json", "--state"].map(std::ffi::OsStr::new);
    road.portolan("connect", words.into_iter().chain([state.as_os_str()])).unwrap()
}

fn status(road: &Road<'_>, name: &str) -> Value {
    let state = road.path(name);
    let words = ["connect", "status", "--json", "--state", state.to_str().unwrap()];
    road.portolan("connect", words).unwrap().success().unwrap().json().unwrap()
}

fn import_in_full(road: &Road<'_>) -> Outcome {
    let state = road.path("connect");
    let words = ["connect", "import", "--full", "--json", "--state"].map(std::ffi::OsStr::new);
    road.portolan("connect", words.into_iter().chain([state.as_os_str()])).unwrap()
}
