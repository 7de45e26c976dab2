//! The rules of `portolan chart firewall` in the languages that no machine here enforces, read back by
//! parsers of other people and compared with the JSON format.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use portolan_testsuite::Tools;
use serde_json::{Value, json};

/// A host in the middle: with both directions, both families, prefixes, ranges, both transports.
const SITES: [&str; 3] = [
    "--role connect --peer forest=10.9.0.2,10.9.1.0/24,fd09::2 --peer tenant=203.0.113.0/24,2001:db8::/32 \
     --peer federation=10.9.2.2",
    "--role forest --peer forest=10.9.0.3,fd09::3 --peer connect=10.9.0.1,fd09::1 \
     --peer workstation=10.9.4.0/22 --peer resolver=10.9.0.53 --peer time-source=10.9.0.123",
    "--role tenant --peer connect=198.51.100.7 --peer agent=198.51.100.8 \
     --peer health=198.51.100.9",
];

fn printed(tools: &Tools, format: &str, site: &str) -> String {
    let output = Command::new(&tools.portolan)
        .args(["chart", "firewall", "--format", format, "--address", "10.9.9.9,fd09::9"])
        .args(site.split_whitespace())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn read_back(tools: &Tools, format: &str, text: &str) -> Value {
    let mut child = Command::new(&tools.python)
        .arg(tools.scripts.join("firewall_rules.py"))
        .arg(format)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{format}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The permissions of the JSON format, one for each range of ports and each prefix, and their comments.
fn expected(document: &Value) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut rules, mut notes) = (BTreeSet::new(), BTreeSet::new());
    for rule in document["rules"].as_array().unwrap() {
        notes.insert(rule["comment"].as_str().unwrap().to_owned());
        let peer = if rule["direction"] == "in" { "from" } else { "to" };
        let peers = match &rule[peer] {
            Value::String(any) if any == "any" && rule["family"] == "ipv4" => json!(["0.0.0.0/0"]),
            Value::String(any) if any == "any" => json!(["::/0"]),
            list => list.clone(),
        };
        for range in rule["ports"].as_array().unwrap() {
            for prefix in peers.as_array().unwrap() {
                let (direction, transport) = (&rule["direction"], &rule["transport"]);
                let tuple = json!([direction, transport, range["start"], range["end"], prefix]);
                rules.insert(tuple.to_string());
            }
        }
    }
    (rules, notes)
}

/// A format holds what the JSON format holds, no more and no less; gives what else it says.
fn check(tools: &Tools, format: &str, site: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(&printed(tools, "json", site)).unwrap();
    let (rules, notes) = expected(&document);
    assert!(rules.len() >= 4, "{rules:?}");
    let found = read_back(tools, format, &printed(tools, format, site));
    let texts = |key: &str| -> BTreeSet<String> {
        let list = found[key].as_array().unwrap().iter();
        list.map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned)).collect()
    };
    assert_eq!(texts("rules"), rules, "{format}: {site}");
    assert_eq!(texts("notes"), notes, "{format}: {site}");
    texts("others").into_iter().collect()
}

#[test]
fn a_security_group_of_aws_holds_the_rows() {
    let tools = Tools::from_environment().unwrap();
    for site in SITES.iter().copied().chain(["--role workstation --peer tenant=any"]) {
        let others = check(&tools, "terraform-aws", site);
        assert_eq!(others, ["in icmp", "in icmpv6", "out icmp", "out icmpv6"]);
    }
    let others = check(&tools, "terraform-aws", &format!("{} --side answers", SITES[1]));
    assert_eq!(others, ["in icmp", "in icmpv6", "out -1"], "what leaves is not looked at");
}

#[test]
fn a_network_security_group_of_azure_holds_the_rows_and_denies_the_rest() {
    let tools = Tools::from_environment().unwrap();
    for site in SITES.iter().copied().chain(["--role workstation --peer tenant=any"]) {
        let others = check(&tools, "terraform-azure", site);
        let all = ["in Allow Icmp 100", "in Deny * 4096", "out Allow Icmp 100", "out Deny * 4096"];
        assert_eq!(others, all);
    }
}

#[test]
fn access_lists_of_an_asa_hold_the_rows_and_deny_the_rest() {
    let tools = Tools::from_environment().unwrap();
    // The parser does not know an end of any address of IPv6.
    for site in SITES {
        let others = check(&tools, "cisco-asa", site);
        assert!(others.contains(&"extended deny ip any any log".to_owned()), "{others:?}");
        assert!(others.iter().all(|it| it.contains("icmp") || it.contains("deny")), "{others:?}");
    }
}

#[test]
fn commands_for_windows_hold_the_rows_and_block_the_rest() {
    let tools = Tools::from_environment().unwrap();
    for site in SITES.iter().copied().chain(["--role workstation --peer tenant=any"]) {
        let others = check(&tools, "windows", site);
        let block = "Set-NetFirewallProfile -All -Enabled True -DefaultInboundAction Block \
                     -DefaultOutboundAction Block";
        assert!(others.contains(&block.to_owned()), "{others:?}");
        assert!(others.contains(&"Remove-NetFirewallRule".to_owned()), "{others:?}");
    }
}
