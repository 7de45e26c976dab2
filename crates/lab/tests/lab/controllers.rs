//! Two domain controllers: each brings its changes to the other, and either may go.

use portolan_chart::flow;
use portolan_lab::{Controllers, End, Lab, plan};

use super::{reaches_ldap, reaches_ldap_within, says, up_with};

const FIRST: &str = "10.77.0.10";
const SECOND: &str = "10.77.0.11";
/// How long a change may take to the other controller.
const REPLICATION_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(30);

fn samba_tool(lab: &Lab, host: &str, words: &[&str]) -> String {
    let tool = [&["samba-tool"][..], words, &["-s", plan::FOREST_CONFIG]].concat();
    says(lab, host, &tool, "")
}

/// Waits until a controller's own database holds an account.
fn waits_for(lab: &Lab, host: &str, account: &str) {
    let start = std::time::Instant::now();
    while !samba_tool(lab, host, &["user", "list"]).lines().any(|line| line == account) {
        assert!(start.elapsed() < REPLICATION_TIME_MAX, "{host} knows nothing of {account}");
    }
}

#[test]
fn each_of_two_controllers_takes_over_and_catches_up_and_the_chart_holds_their_traffic() {
    let lab = up_with("pair", Controllers::Two);
    let administrator = format!("-UAdministrator%{}", plan::ADMINISTRATOR_PASSWORD);
    let query = ["dns", "query", FIRST, "_msdcs.corp.example", "_ldap._tcp.dc", "SRV"];
    let records = samba_tool(&lab, "dc1", &[&query[..], &[&administrator]].concat());
    assert!(records.contains("dc1.corp") && records.contains("dc2.corp"), "{records}");

    samba_tool(&lab, "dc1", &["user", "create", "olga", "0lga-Pass!word"]);
    waits_for(&lab, "dc2", "olga");

    for end in [End::Hard, End::Cleanly] {
        lab.stop_controller("dc1", end).unwrap();
        assert!(!reaches_ldap(&lab, "connect", FIRST) && reaches_ldap(&lab, "connect", SECOND));
        // Names and tickets come from the other.
        says(&lab, "connect", &["kinit", "olga@CORP.EXAMPLE"], "0lga-Pass!word");
        let account = if end == End::Hard { "pavel" } else { "quentin" };
        samba_tool(&lab, "dc2", &["user", "create", account, "P4vel-Pass!word"]);
        lab.start_controller("dc1").unwrap();
        waits_for(&lab, "dc1", account);
    }

    lab.silence("dc1").unwrap();
    assert!(!reaches_ldap_within(1, &lab, "connect", FIRST));
    assert!(reaches_ldap(&lab, "connect", SECOND));
    assert!(lab.unsilence("dc1").unwrap() && !lab.unsilence("dc1").unwrap());
    assert!(reaches_ldap(&lab, "connect", FIRST));

    let capture = lab.capture().unwrap();
    assert_eq!(capture.off_chart, []);
    for flow in [flow::FOREST_FOREST_EPM, flow::FOREST_FOREST_RPC] {
        assert!(capture.packets(flow) > 0, "{flow}");
    }
    let unknown = lab.stop_controller("ws1", End::Hard).unwrap_err();
    assert_eq!(unknown.to_string(), "the lab has no host named ws1; its hosts are dc1, dc2");
    lab.down().unwrap();
}
