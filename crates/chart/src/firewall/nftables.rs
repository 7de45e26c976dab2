//! The rules of one host for nftables.
//!
//! A table of the family `inet` with a policy of drop on the way in, out and through. Each row gives one
//! rule for each transport, direction and address family. What no row allows is stopped: dropped on the
//! way in and through, rejected on the way out. There the sender learns at once why: TCP fails with "no
//! route to host" over IPv4 and "permission denied" over IPv6. A UDP send fails with EPERM however the
//! packet is stopped, but after a rejection a connected socket reads an error as well, without which some
//! Kerberos clients send for ever.
//!
//! The lab's rules are found again by their comment, which is the flow's name; a named counter of the same
//! name counts the connections, and what is stopped is counted and logged to [`LOG_GROUP`]. A
//! [`Policy`]'s rules are for a host of somebody else: their comments name the row in words.
//!
//! An accepted connection stays open when its row is closed: a new ruleset judges new connections.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::policy::among_hosts;
use super::{Direction, End, Family, Host, Policy, Prefix, Rule};
use crate::{Chart, Role, Row};

/// The table's name, in the family `inet`.
pub const TABLE: &str = "portolan";

/// The netlink group to which stopped packets are logged.
pub const LOG_GROUP: u16 = 5;

/// The chains, each of the hook of its name, with the counter of what it stops.
const CHAINS: [(Direction, &str, &str); 3] = [
    (Direction::In, "input", "stopped-in"),
    (Direction::Out, "output", "stopped-out"),
    (Direction::Through, "forward", "stopped-through"),
];

const ICMP_ERRORS: &str = "destination-unreachable, time-exceeded, parameter-problem";
const NEIGHBOURS: &str =
    "nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert";
/// Without these a switch that watches multicast groups keeps the questions of neighbours away
/// (RFC 4890, section 4.4.1).
const LISTENERS: &str =
    "mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report";

/// The ruleset of `host` among `peers` (which may include it), as `nft -f` reads it.
///
/// Loading it puts it in place of an earlier one in one step.
#[must_use]
pub fn nftables(chart: &Chart, host: &Host, peers: &[Host]) -> String {
    let peers: Vec<_> = peers.iter().filter(|peer| *peer != host).collect();
    let rules = among_hosts(chart, host, &peers);
    let flows: BTreeSet<_> = rules.iter().map(|rule| rule.row.flow.name()).collect();
    // A name is a comment here and must stay on its line.
    let name = host.name.escape_default();
    let mut text = format!("# The firewall of {name}, made from the chart of ports.\n");
    begin(&mut text);
    for name in flows.into_iter().chain(CHAINS.map(|(_, _, counter)| counter)) {
        put(&mut text, 1, &format!("counter {name} {{ }}"));
    }
    for (direction, name, stopped) in CHAINS {
        let mut lines = Vec::new();
        // A host that is no router passes nothing on.
        if direction != Direction::Through || host.plays(Role::Router) {
            lines.extend(basics(direction));
            let of_chain = rules.iter().filter(|rule| rule.direction == direction);
            lines.extend(of_chain.map(|rule| {
                let flow = rule.row.flow;
                accept(rule, &format!("counter name \"{flow}\""), flow.name())
            }));
        }
        lines.push(format!("counter name \"{stopped}\" log group {LOG_GROUP} {}", stop(direction)));
        put_chain(&mut text, name, &lines);
    }
    text.push_str("}\n");
    text
}

/// The ruleset of a policy, as `nft -f` reads it.
///
/// Loading it puts it in place of an earlier one in one step; tables of others stay, and stop what they
/// stop.
#[must_use]
pub(super) fn nftables_policy(policy: &Policy<'_>) -> String {
    let mut text: String = policy.head().iter().map(|line| format!("# {line}\n")).collect();
    begin(&mut text);
    for (direction, name, _) in CHAINS {
        let is_router = policy.role == Role::Router;
        let wanted = match direction {
            Direction::Through => is_router || policy.side == super::Side::Both,
            _ => is_router || policy.side.includes(direction),
        };
        if !wanted {
            continue;
        }
        let mut lines = Vec::new();
        if direction != Direction::Through || is_router {
            lines.extend(basics(direction));
        }
        if direction != Direction::Through {
            lines.push(format!("icmpv6 type {{ {LISTENERS} }} ip6 hoplimit 1 accept"));
            lines.push("icmp type echo-request accept".to_owned());
            lines.push("icmpv6 type echo-request accept".to_owned());
        }
        lines.extend(policy.of(direction).map(|rule| accept(rule, "counter", &rule.comment())));
        lines.push(format!("counter {}", stop(direction)));
        put_chain(&mut text, name, &lines);
    }
    text.push_str("}\n");
    text
}

/// Declares the table before it takes it away, so that the first loading finds one too.
fn begin(text: &mut String) {
    let _ = write!(text, "table inet {TABLE}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n");
}

/// What every chain lets pass beside the rows.
fn basics(direction: Direction) -> Vec<String> {
    let mut lines = vec!["ct state established,related accept".to_owned()];
    let device = match direction {
        Direction::In => "iifname",
        Direction::Out => "oifname",
        Direction::Through => return lines,
    };
    lines.push(format!("{device} \"lo\" accept"));
    lines.push(format!("icmpv6 type {{ {NEIGHBOURS} }} ip6 hoplimit 255 accept"));
    lines.push(format!("icmp type {{ {ICMP_ERRORS} }} accept"));
    lines.push(format!("icmpv6 type {{ packet-too-big, {ICMP_ERRORS} }} accept"));
    lines
}

/// What happens to a packet that no rule accepts.
fn stop(direction: Direction) -> &'static str {
    match direction {
        Direction::Out => "reject with icmpx admin-prohibited",
        Direction::In | Direction::Through => "drop",
    }
}

fn put_chain(text: &mut String, name: &str, lines: &[String]) {
    put(text, 1, &format!("chain {name} {{"));
    put(text, 2, &format!("type filter hook {name} priority filter; policy drop;"));
    for line in lines {
        put(text, 2, line);
    }
    put(text, 1, "}");
}

fn put(text: &mut String, depth: usize, line: &str) {
    // Writing to a String does not fail.
    let _ = writeln!(text, "{:1$}{line}", "", depth * 4);
}

/// One line of a chain.
fn accept(rule: &Rule<'_>, counter: &str, comment: &str) -> String {
    let from = addresses(&rule.from, rule.family, "saddr");
    let mut to = addresses(&rule.to, rule.family, "daddr");
    if to == from {
        // Both ends are anyone, and the family is said once.
        to.clear();
    }
    let ports = ports(rule.row);
    let transport = rule.transport;
    format!(
        "{from}{to}{transport} dport {{ {ports} }} ct state new {counter} accept comment \"{comment}\""
    )
}

fn addresses(end: &End, family: Family, word: &str) -> String {
    let (name, version) = match family {
        Family::V4 => ("ip", "ipv4"),
        Family::V6 => ("ip6", "ipv6"),
    };
    match end {
        End::Own => String::new(),
        End::Anyone => format!("meta nfproto {version} "),
        End::Among(prefixes) => {
            let list: Vec<_> = prefixes.iter().map(Prefix::to_string).collect();
            format!("{name} {word} {{ {} }} ", list.join(", "))
        }
    }
}

fn ports(row: &Row) -> String {
    row.ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::flow;

    /// A small company: a forest, connect and a workstation on one side, a tenant on the other, and a
    /// router between that is also the resolver.
    pub(in crate::firewall) fn company() -> Vec<Host> {
        let host = |name, role, addresses: &[&str]| {
            Host::new(name, role, addresses.iter().map(|text| text.parse().unwrap()).collect())
        };
        vec![
            host("dc1", Role::Forest, &["10.1.0.10", "fd00:1::10"]),
            host("connect", Role::Connect, &["10.1.0.20", "fd00:1::20"]),
            host("ws1", Role::Workstation, &["10.1.0.30"]),
            host("tenant", Role::Tenant, &["10.2.0.40", "fd00:2::40"]),
            host("edge", Role::Router, &["10.1.0.1", "10.2.0.1"]).and(Role::Resolver),
        ]
    }

    fn ruleset(name: &str, edition: &str) -> String {
        let company = company();
        let host = company.iter().find(|host| host.name == name).unwrap();
        nftables(&Chart::edition(edition).unwrap(), host, &company)
    }

    #[test]
    fn connect_s_rules_are_its_rows() {
        insta::assert_snapshot!(ruleset("connect", "2017-02-15"));
    }

    #[test]
    fn a_router_that_resolves_passes_rows_on_and_answers_names() {
        insta::assert_snapshot!(ruleset("edge", "2017-02-15"));
    }

    #[test]
    fn a_host_without_a_row_is_let_nothing() {
        let rules = nftables(
            &Chart::default_edition(),
            &Host::new("stranger\ntable inet evil", Role::TimeSource, vec![]),
            &[],
        );
        assert!(!rules.contains("comment"), "{rules}");
        assert!(rules.starts_with("# The firewall of stranger\\ntable inet evil, "));
    }

    #[test]
    fn a_closed_row_has_no_rule() {
        let company = company();
        let chart = Chart::default_edition().without(flow::CONNECT_AD_EPM).unwrap();
        let rules = nftables(&chart, &company[1], &company);
        assert!(!rules.contains("connect.ad.epm") && rules.contains("connect.ad.ldap"));
    }

    #[test]
    fn every_ruleset_of_every_edition_is_nftables_own_language() {
        for edition in Chart::editions() {
            for host in company() {
                let rules = ruleset(&host.name, &edition.id);
                let mut nft = Command::new("unshare")
                    .args(["--net", "nft", "--check", "--file", "-"])
                    .stdin(Stdio::piped())
                    .stderr(Stdio::piped())
                    .spawn()
                    .expect("unshare and nft are installed by `cargo xtask setup`");
                nft.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
                let output = nft.wait_with_output().unwrap();
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{} {}: {said}\n{rules}", edition.id, host.name);
            }
        }
    }
}
