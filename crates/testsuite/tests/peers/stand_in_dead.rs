//! A check of hosts that are there and answer nothing: a firewall drops whatever comes to them.

use std::time::Duration;

use serde_json::Value;

use super::stage::{Stage, said};

/// Hosts of each role at the other end of connect's rows.
const HOSTS_OF_A_ROLE: u8 = 14;
/// The first host's place in the peers' subnet; what lies below is taken.
const FIRST_PLACE: u8 = 10;
const TIMEOUT: Duration = Duration::from_secs(2);
/// What a whole check takes at most beyond one probe's time-out.
const GRACE: Duration = Duration::from_secs(1);
/// What the issue asks for at least.
const QUESTIONS_MIN: usize = 200;
/// Everything but the neighbours' addresses, without which nobody would be reached at all.
const DROP: &str = "PATH=$PATH:/usr/sbin:/sbin nft -f - <<'END'
table inet wall {
  chain input {
    type filter hook input priority 0; policy drop;
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
  }
}
END
";

/// Every other host is known by its IPv6 address.
fn address(place: u8) -> String {
    if place.is_multiple_of(2) {
        format!("192.0.2.{place}")
    } else {
        format!("2001:db8::{place:x}")
    }
}

/// The hosts: their roles, and their addresses.
fn hosts() -> Vec<(&'static str, String)> {
    let controllers = FIRST_PLACE..FIRST_PLACE + HOSTS_OF_A_ROLE;
    let tenants = controllers.end..controllers.end + HOSTS_OF_A_ROLE;
    let tenants = tenants.map(|place| ("tenant", address(place)));
    controllers.map(|place| ("forest", address(place))).chain(tenants).collect()
}

/// What a check of all of them says.
fn check(stage: &Stage) -> Value {
    let binary = std::env::var("PORTOLAN_BINARY").unwrap();
    let timeout = TIMEOUT.as_secs().to_string();
    let mut words = vec![&*binary, "chart", "check", "--json", "--role", "connect"];
    words.extend(["--timeout", &timeout, "--forest", "corp.example"]);
    // Nobody stands there, and a database is not asked.
    words.extend(["--without", "federation-and-proxy,web-proxy,database"]);
    let hosts: Vec<_> = hosts().iter().map(|(role, at)| format!("{role}={at}")).collect();
    words.extend(hosts.iter().flat_map(|host| ["--host", host]));
    let output = stage.peer(&words);
    let document = serde_json::from_slice(&output.stdout);
    document.unwrap_or_else(|error| panic!("{error}: {}", said(&output)))
}

fn findings(report: &Value) -> Vec<&Value> {
    let rows = report["rows"].as_array().unwrap().iter();
    rows.flat_map(|row| row["findings"].as_array().unwrap()).collect()
}

fn is_filtered(finding: &Value) -> bool {
    finding["verdict"] == "filtered"
}

/// Where a controller's dynamic ports are is not known when its endpoint mapper is silent.
fn is_unknown(finding: &Value) -> bool {
    let why = finding["why"].as_str().unwrap_or_default();
    finding["verdict"] == "unjudged"
        && why.starts_with("its ports are named by the endpoint mapper")
        && why.ends_with(" is filtered")
}

#[test]
fn two_hundred_questions_to_dead_addresses_end_within_seconds() {
    let stage = Stage::of("forest", &["dc1.corp.example"], &["--forest", "corp.example"]);
    for (_, address) in hosts() {
        let length = if address.contains(':') { 64 } else { 24 };
        stage.there(&format!("ip address add {address}/{length} dev wire nodad"));
    }
    // Without the wall each of them answers what comes by TCP; by UDP a stand-in answers from its first
    // address, whichever was asked.
    let before = check(&stage);
    let by_tcp = |finding: &&&Value| finding["transport"] == "tcp";
    assert!(!findings(&before).iter().filter(by_tcp).any(|it| is_filtered(it)), "{before:#}");

    stage.there(DROP);
    let after = check(&stage);
    let (filtered, others): (Vec<_>, Vec<_>) =
        findings(&after).into_iter().partition(|it| is_filtered(it));
    assert!(filtered.len() >= QUESTIONS_MIN, "{} questions", filtered.len());
    for transport in ["tcp", "udp"] {
        assert!(filtered.iter().any(|finding| finding["transport"] == transport));
    }
    assert!(others.iter().all(|it| is_unknown(it)), "{others:?}");
    assert_eq!(others.len(), usize::from(HOSTS_OF_A_ROLE));
    let elapsed = Duration::from_millis(after["elapsed_ms"].as_u64().unwrap());
    assert!((TIMEOUT..=TIMEOUT + GRACE).contains(&elapsed), "{elapsed:?}");
}
