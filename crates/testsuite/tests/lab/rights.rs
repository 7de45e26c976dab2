//! What `connect init` proves of the forest: each right of the service account, and the clock.

use portolan_lab::ForestRight;
use portolan_testsuite::{ACCOUNT, ACCOUNT_PASSWORD, Road};

use crate::world::World;

const PRINCIPAL: &str = "svc_connect@corp.example";
const DOMAIN: &str = "DC=corp,DC=example";

/// What `connect init` says when a right is missing.
fn check(road: &Road<'_>, missing: &str, command: &str) {
    let outcome = init(road);
    let (error, hint) = outcome.failure();
    assert_eq!(error, Some(format!("{PRINCIPAL} lacks the right {missing}").as_str()));
    let expected = format!("grant it on a domain controller: {command}");
    assert_eq!(hint.unwrap(), expected);
    assert!(!road.path("connect").join("connect.toml").exists(), "nothing is configured");
}

fn init(road: &Road<'_>) -> portolan_testsuite::Outcome {
    road.connect_init(&road.path("none.json"), (ACCOUNT, ACCOUNT_PASSWORD)).unwrap()
}

/// The command that a hint gives, without its ticks, for this lab's database.
fn command_of(hint: &str) -> String {
    let command = hint.split('`').nth(1).unwrap();
    command.replace("/var/lib/samba/private", "/run/samba/forest/private")
}

/// What was said of two clocks, without what they showed.
fn without_times(said: &str) -> String {
    let digit = |c: char| if c.is_ascii_digit() { '0' } else { c };
    said.replace("300 s", "LIMIT").chars().map(digit).collect()
}

#[test]
fn a_missing_right_is_named_with_the_command_that_grants_it_and_a_wrong_clock_with_both_times() {
    let world = World::up("each-right");
    let road = world.road();
    let enrolment = serde_json::json!({
        "tenant_id": "12345678-9abc-def0-1122-334455667788", "host": "sync.cloud.example",
        "ca_sha256": "0".repeat(64), "secret": "x", "expires": "2026-01-01T00:00:00Z"
    });
    std::fs::write(road.path("none.json"), enrolment.to_string()).unwrap();
    let dsacl = |car: &str| {
        format!(
            "`samba-tool dsacl set --action=allow --car={car} --objectdn=\"{DOMAIN}\" \
             --trusteedn=\"CN=svc_connect,OU=Service,{DOMAIN}\"`"
        )
    };
    for (right, missing, car) in [
        (ForestRight::Changes, "Replicating Directory Changes", "get-changes"),
        (ForestRight::ChangesAll, "Replicating Directory Changes All", "get-changes-all"),
    ] {
        world.lab.take_right(right).unwrap();
        check(&road, &format!("\"{missing}\" on {DOMAIN}"), &dsacl(car));
        world.lab.give_right(right).unwrap();
    }

    // The command for the deleted objects is long: it is run as it stands, and mends it.
    world.lab.take_right(ForestRight::DeletedObjects).unwrap();
    let outcome = init(&road);
    let (error, hint) = outcome.failure();
    let object = format!("CN=Deleted Objects,{DOMAIN}");
    let expected = format!("{PRINCIPAL} lacks the right \"Read Property\" on {object}");
    assert_eq!(error, Some(expected.as_str()), "{}", outcome.stderr);
    insta::assert_snapshot!("the_right_to_see_deleted_objects", hint.unwrap());
    let mut shell = world.lab.command("dc1", "sh").unwrap();
    // The program reads its databases by the lab's configuration, not by the machine's.
    let command = command_of(hint.unwrap()).replace(
        "ldbmodify ",
        &format!("ldbmodify --configfile={} ", portolan_lab::plan::FOREST_CONFIG),
    );
    let granted = shell.args(["-c", &command]).output().unwrap();
    assert!(granted.status.success(), "{command}: {granted:?}");

    // With all of them it goes on to the tenant, which knows nothing of this enrolment.
    let outcome = init(&road);
    assert!(outcome.stderr.contains("the account sees deleted objects"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("may replicate the domain with its secrets"));
    let (error, _) = outcome.failure();
    assert!(!error.unwrap_or_default().contains("lacks the right"), "{error:?}");

    // A KDC whose clock is a quarter of an hour away is named, with both clocks.
    for seconds in [900, -900] {
        world.lab.set_clock("dc1", seconds).unwrap();
        let outcome = init(&road);
        let (error, hint) = outcome.failure();
        let error = error.unwrap_or_default();
        insta::assert_snapshot!("a_clock_that_is_wrong", without_times(error));
        assert_eq!(hint, Some("set this host's clock by dc1.corp.example"));
    }
}
