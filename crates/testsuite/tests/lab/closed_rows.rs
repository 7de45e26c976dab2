//! Each row that a synchronisation needs, closed: the error names it.

use portolan_chart::{Flow, flow};
use portolan_lab::How;

use portolan_testsuite::ACCOUNT;

use crate::world::World;

/// The rows, and how an error names each.
const ROWS: [(Flow, &str); 6] = [
    (flow::CONNECT_AD_DNS, "Table 1, DNS 53/"),
    (flow::CONNECT_AD_LDAP, "Table 1, LDAP 389/tcp is refused"),
    (flow::CONNECT_AD_EPM, "Table 1, MS-RPC 135/tcp is refused"),
    (flow::CONNECT_AD_RPC, "Table 1, RPC "),
    (flow::CONNECT_TENANT_CRL, "Table 2, HTTP 80/tcp is refused"),
    (flow::CONNECT_TENANT_SYNC, "Table 2, HTTPS 443/tcp is refused"),
];

#[test]
fn a_closed_row_is_named_by_the_error_and_a_run_succeeds_when_it_is_open_again() {
    let world = World::up("rows");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    for (flow, named) in ROWS {
        world.lab.close(flow, How::Reject).unwrap();
        let outcome = road.connect_run().unwrap();
        assert!(!outcome.status.success(), "{flow} is closed and the run succeeds");
        let (error, hint) = outcome.failure();
        let error = error.unwrap_or_else(|| panic!("{flow}: no error line in {}", outcome.stderr));
        assert!(error.contains(named), "{flow}: {error}");
        assert!(hint.is_some(), "{flow}: {error} without a hint");
        world.lab.open(flow).unwrap();
    }
    kerberos_is_named(&world);
    // Over 389 nothing asks for 636, nor for the list of the authority behind its certificates.
    for unused in [flow::CONNECT_AD_LDAPS, flow::CONNECT_FOREST_CRL, flow::CONNECT_AD_KPASSWD] {
        world.lab.close(unused, How::Reject).unwrap();
    }
    road.connect_run().unwrap().success().unwrap();
}

/// 88/tcp and 88/udp are one row; with it closed the KDC is not reached by either.
fn kerberos_is_named(world: &World) {
    let road = world.road();
    world.lab.close(flow::CONNECT_AD_KERBEROS, How::Reject).unwrap();
    let outcome = road.connect_run().unwrap();
    let (error, _) = outcome.failure();
    assert!(error.unwrap_or_default().contains("Table 1, Kerberos 88/"), "{}", outcome.stderr);
    world.lab.open(flow::CONNECT_AD_KERBEROS).unwrap();
}

#[test]
fn a_wrong_password_and_a_missing_right_are_each_named_with_what_mends_them() {
    let world = World::up("password");
    let road = world.road();
    // Without a threshold the directory does not count.
    let count = ["domain", "passwordsettings", "set", "--account-lockout-threshold=10"];
    road.samba_tool(&count).unwrap().success().unwrap();
    let enrolment = road.path("none.json");
    let text = serde_json::json!({
        "tenant_id": "12345678-9abc-def0-1122-334455667788", "host": "sync.cloud.example",
        "ca_sha256": "0".repeat(64), "secret": "x", "expires": "2026-01-01T00:00:00Z"
    });
    std::fs::write(&enrolment, text.to_string()).unwrap();
    let outcome = road.connect_init(&enrolment, (ACCOUNT, "not-the-password")).unwrap();
    let (error, hint) = outcome.failure();
    let error = error.unwrap_or_else(|| panic!("{}", outcome.stderr));
    assert!(error.contains("KDC_ERR_PREAUTH_FAILED"), "{error}");
    assert!(hint.unwrap_or_default().contains("password"), "{hint:?}");
    assert!(!road.path("connect").join("connect.toml").exists(), "nothing is configured");
    let shown = ["user", "show", ACCOUNT, "--attributes=badPwdCount"];
    let shown = road.samba_tool(&shown).unwrap().success().unwrap().stdout;
    assert!(shown.contains("badPwdCount: 1\n"), "one attempt and no other: {shown}");

    // An account that may sign in but not replicate is refused before anything is enrolled.
    let outcome = road.connect_init(&enrolment, ("bob", "B0b-Pass!word")).unwrap();
    let (error, hint) = outcome.failure();
    let error = error.unwrap_or_else(|| panic!("{}", outcome.stderr));
    assert!(error.contains("lacks the right \"Replicating Directory Changes\""), "{error}");
    assert!(hint.unwrap_or_default().contains("samba-tool dsacl set"), "{hint:?}");
}
