//! Password hashes while the daemon runs, and when a domain controller fails.

use portolan_lab::End;
use portolan_testsuite::Stopwatch;

use crate::first_light::no_secret_lies_in_a_file;
use crate::holdings::{Forest, Tenant};
use crate::world::World;

/// What the daemon says when it has looked at the passwords of the forest for the first time.
const FIRST_CYCLE: &str = "with a password in scope";
/// People of the forest, with the passwords they have there.
const PEOPLE: [(&str, &str); 3] =
    [("alice", "Al1ce-Pass!"), ("bob", "B0b-Pass!word"), ("frank", "Fr4nk-Pass!word")];

#[test]
fn a_changed_password_signs_in_within_seconds_and_the_old_one_has_stopped() {
    let world = World::up("seconds");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    let mut daemon = road.connect_daemon(&[]).unwrap();
    daemon.wait_for(FIRST_CYCLE, 1).unwrap();
    let mut stopwatch = Stopwatch::begin(&road).unwrap();
    for (at, (user, old)) in PEOPLE.iter().enumerate() {
        let new = format!("{old}-{at}");
        let changed = stopwatch.change(user, old, &new).unwrap();
        let seconds = changed.seconds.unwrap_or_else(|| panic!("{user}: {}", daemon.said()));
        assert!(seconds < 8.0, "{user} after {seconds} s");
        assert!(!changed.old_admitted, "{user} signs in with the old password");
    }
    let said = daemon.said();
    assert_eq!(said.matches(FIRST_CYCLE).count(), 1 + PEOPLE.len(), "no other word: {said}");
    // While the controller is away, that is said once; then password hashes come again.
    world.lab.stop_controller("dc1", End::Hard).unwrap();
    daemon.wait_for("error:", 1).unwrap();
    world.lab.start_controller("dc1").unwrap();
    let said = daemon.wait_for("password hashes are replicated again", 1).unwrap();
    assert!(said.matches("error:").count() <= 3, "not at each attempt: {said}");
    let (status, said) = daemon.stop().unwrap();
    assert!(status.success(), "{status}: {said}");
}

#[test]
fn when_a_controller_ends_in_mid_replication_the_other_goes_on_with_the_vector() {
    let world = World::with_two_controllers("vector");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    let mut daemon = road.connect_daemon(&[]).unwrap();
    let said = daemon.wait_for(FIRST_CYCLE, 1).unwrap();
    // Objects may have been read from the other one: the last ticket is for password hashes.
    let ticket = said.lines().rfind(|line| line.contains("has a ticket for")).unwrap();
    let used = if ticket.contains("ldap/dc1") { "dc1" } else { "dc2" };
    world.lab.stop_controller(used, End::Hard).unwrap();
    let said = daemon.wait_for("password hashes are replicated again", 1).unwrap();
    let other = if used == "dc1" { "dc2" } else { "dc1" };
    assert!(said.contains(&format!("again, from {other}")), "{said}");
    world.lab.start_controller(used).unwrap();
    let new_password = "--newpassword=Al1ce-Pass!3";
    road.samba_tool(&["user", "setpassword", "alice", new_password]).unwrap().success().unwrap();
    // The other controller was read with the vector: nothing but this one password is new there.
    let said = daemon.wait_for(FIRST_CYCLE, 2).unwrap();
    let counted = said.lines().filter(|line| line.contains(FIRST_CYCLE)).nth(1).unwrap();
    assert!(counted.contains(" 1 of them with a password in scope"), "{said}");
    daemon.wait_for("sent 1 credentials", 1).unwrap();
    let (status, said) = daemon.stop().unwrap();
    assert!(status.success(), "{status}: {said}");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tenant = runtime.block_on(Tenant::read(&road));
    let hashes = tenant.credentials_equal(&Forest::read(&road), &road.hashes_by_samba().unwrap());
    no_secret_lies_in_a_file(&road, &hashes);
}
