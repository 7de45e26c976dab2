//! The checks of the forest's rows against the lab's domain controller, from connect's host, by nobody.

use std::io::Write as _;
use std::process::Stdio;

use portolan_chart::{Chart, flow};
use portolan_lab::plan::FOREST_DOMAIN;
use portolan_testsuite::ACCOUNT;
use serde_json::Value;

use crate::world::World;

/// The rows of the forest that a controller of Samba's serves, with their transports.
const SERVED: [(&str, &str); 10] = [
    ("connect.ad.dns", "tcp"),
    ("connect.ad.dns", "udp"),
    ("connect.ad.kerberos", "tcp"),
    ("connect.ad.kerberos", "udp"),
    ("connect.ad.epm", "tcp"),
    ("connect.ad.ldap", "tcp"),
    ("connect.ad.ldap", "udp"),
    ("connect.ad.rpc", "tcp"),
    ("connect.ad.kpasswd", "tcp"),
    ("connect.ad.kpasswd", "udp"),
];
/// What counts what somebody tried on an account.
const COUNTERS: [&str; 3] = ["badPwdCount", "badPasswordTime", "lockoutTime"];

/// What a check finds, by a user without rights.
fn findings(world: &World, edition: &str, configured: &[&str]) -> Vec<Value> {
    let mut command = world.lab.command("connect", "setpriv").unwrap();
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]);
    command.arg(env!("CARGO_BIN_EXE_chart_findings")).args([edition, FOREST_DOMAIN]);
    let output = command.args(configured).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The findings on a row, of which there is one for each address.
fn of<'f>(findings: &'f [Value], flow: &str, transport: &str) -> Vec<&'f Value> {
    let is = |finding: &&Value| finding["flow"] == flow && finding["transport"] == transport;
    let found: Vec<_> = findings.iter().filter(is).collect();
    let addresses = found.iter().filter_map(|finding| finding["address"].as_str());
    let (six, four): (Vec<_>, Vec<_>) = addresses.partition(|address| address.contains(':'));
    assert_eq!((four.len(), six.len()), (1, 1), "{flow} {transport}: {found:#?}");
    found
}

/// All accounts' counters.
fn counters(world: &World) -> String {
    let mut search = world.lab.command("dc1", "ldbsearch").unwrap();
    search.args(["-S", "-H", "/run/samba/forest/private/sam.ldb"]);
    let output = search.arg("(objectClass=user)").args(COUNTERS).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("badPwdCount: 0"), "{said}");
    said
}

#[test]
fn every_row_that_samba_serves_is_open_to_nobody_and_no_counter_moves() {
    let world = World::up("rows");
    let road = world.road();
    // Without a threshold the directory does not count.
    let count = ["domain", "passwordsettings", "set", "--account-lockout-threshold=10"];
    road.samba_tool(&count).unwrap().success().unwrap();
    let before = counters(&world);

    // The edition in force, whose rows the lab's firewall lets through.
    let found = findings(&world, "2017-02-15", &[]);
    for (flow, transport) in SERVED {
        for finding in of(&found, flow, transport) {
            assert_eq!(finding["verdict"], "open", "{finding:#}");
            assert_eq!(finding["stand_in"], false, "{finding:#}");
        }
    }
    let noted = |flow, transport, words: &str| {
        for finding in of(&found, flow, transport) {
            assert!(finding["notes"].to_string().contains(words), "{words}: {finding:#}");
        }
    };
    noted("connect.ad.dns", "udp", "10 of 10 service records");
    noted("connect.ad.kerberos", "tcp", "AES256");
    noted("connect.ad.ldap", "tcp", "signing is required");
    noted("connect.ad.ldap", "tcp", "GSS-SPNEGO");
    noted("connect.ad.ldap", "udp", "site Default-First-Site-Name");
    noted("connect.ad.epm", "tcp", "DRSUAPI on 49");
    noted("connect.ad.rpc", "tcp", "open");

    // The catalogue's row is of a later edition, and closed until a rule opens it.
    for finding in of(&findings(&world, "2025-04-09", &[]), "connect.ad.gc", "tcp") {
        assert_eq!(finding["verdict"], "rejected", "{finding:#}");
    }
    let chart = Chart::edition("2025-04-09").unwrap();
    let catalogue = chart.row(flow::CONNECT_AD_GC).unwrap().ports_text();
    for (host, chain) in [("connect", "output"), ("dc1", "input")] {
        let mut rule = world.lab.command(host, "nft").unwrap();
        rule.args([
            "insert", "rule", "inet", "portolan", chain, "tcp", "dport", &catalogue, "accept",
        ]);
        assert!(rule.status().unwrap().success());
    }
    let found = findings(&world, "2025-04-09", &[]);
    for finding in of(&found, "connect.ad.gc", "tcp") {
        assert_eq!(finding["verdict"], "open", "{finding:#}");
    }

    // Where the edition's range is another, the live ports lie outside it.
    for finding in
        of(&findings(&world, "2017-02-15", &["connect.ad.rpc=1024"]), "connect.ad.rpc", "tcp")
    {
        assert_eq!(finding["defects"][0]["kind"], "range", "{finding:#}");
    }
    assert_eq!(counters(&world), before, "nobody's counter moved");

    // The comparison sees a wrong password.
    let mut wrong = world.lab.command("connect", "kinit").unwrap();
    wrong.arg(format!("{ACCOUNT}@{}", FOREST_DOMAIN.to_ascii_uppercase()));
    let mut kinit = wrong.stdin(Stdio::piped()).spawn().unwrap();
    kinit.stdin.take().unwrap().write_all(b"not-the-password\n").unwrap();
    assert!(!kinit.wait().unwrap().success());
    assert_ne!(counters(&world), before);
}

#[test]
fn a_wrong_clock_and_a_missing_record_are_named_on_their_rows() {
    let world = World::up("rowfaults");
    let road = world.road();
    let service = "_kerberos._udp";
    let target = format!("dc1.{FOREST_DOMAIN} 88 0 100");
    let delete = ["dns", "delete", "dc1", FOREST_DOMAIN, service, "SRV", &target, "-P"];
    road.samba_tool(&delete).unwrap().success().unwrap();
    for transport in ["udp", "tcp"] {
        for finding in of(&findings(&world, "2017-02-15", &[]), "connect.ad.dns", transport) {
            assert_eq!(finding["defects"][0]["kind"], "records", "{finding:#}");
            let text = finding["defects"][0]["text"].as_str().unwrap();
            assert!(text.contains("_kerberos._udp.corp.example"), "{text}");
        }
    }
    world.lab.set_clock("dc1", 600).unwrap();
    let found = findings(&world, "2017-02-15", &[]);
    for (flow, transport) in SERVED {
        for finding in of(&found, flow, transport) {
            let skewed = ["connect.ad.kerberos", "connect.ad.kpasswd"].contains(&flow);
            let kinds = finding["defects"].to_string();
            assert_eq!(kinds.contains("clock-skew"), skewed, "{finding:#}");
        }
    }
}
