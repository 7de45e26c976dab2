//! A day in the forest: what changes there is in the tenant after the next run, and nothing else.

use portolan_testsuite::Road;
use serde_json::Value;

use crate::holdings::{Forest, Tenant};
use crate::world::World;

const ALICE: &str = "alice@corp.example";
const BEFORE: &str = "Al1ce-Pass!";
const AFTER: &str = "Al1ce-Pass!2";

#[test]
fn a_password_a_deletion_an_account_state_and_a_membership_reach_the_tenant_with_the_next_run() {
    let world = World::up("changes");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    road.connect_run().unwrap().success().unwrap();

    let new_password = format!("--newpassword={AFTER}");
    for command in [
        &["user", "setpassword", "alice", &new_password][..],
        &["user", "delete", "bob"],
        &["user", "enable", "carol"],
        &["group", "addmembers", "Engineers", "carol"],
        &["user", "create", "nina", "N1na-Pass!word", "--given-name=Nina", "--surname=Ñandú"],
    ] {
        road.samba_tool(command).unwrap().success().unwrap();
    }
    let summary = road.connect_run().unwrap().success().unwrap().json().unwrap();
    assert_eq!(summary["added"], 1, "nina: {summary:#}");
    assert_eq!(summary["deleted"], 1, "bob: {summary:#}");
    assert_eq!(summary["credentials"]["sent"], 2, "alice's and nina's: {summary:#}");

    let forest = Forest::read(&road);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tenant = runtime.block_on(Tenant::read(&road));
    tenant.equals(&forest);
    tenant.credentials_equal(&forest, &road.hashes_by_samba().unwrap());

    assert_ne!(sign_in(&road, "before", ALICE, BEFORE), ALICE, "the old password has stopped");
    assert_eq!(sign_in(&road, "after", ALICE, AFTER), ALICE);
    assert_ne!(sign_in(&road, "deleted", "bob@corp.example", "B0b-Pass!word"), "bob@corp.example");
    assert_eq!(
        sign_in(&road, "enabled", "carol@corp.example", "Car0l-Pass!"),
        "carol@corp.example"
    );
}

/// The account that the application got; null when the person was not let in.
fn sign_in(road: &Road<'_>, occasion: &str, user: &str, password: &str) -> Value {
    road.sign_in(occasion, user, password).unwrap()["account"].clone()
}
