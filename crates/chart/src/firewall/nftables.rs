//! The rules of one host for nftables.
//!
//! A table of the family `inet` with a policy of drop on the way in, out and through. Each row gives one
//! rule for each transport, direction and address family, found again by its comment, which is the
//! flow's name; a named counter of the same name counts the connections. What no row allows is counted,
//! logged to [`LOG_GROUP`] and stopped: dropped on the way in and through, rejected on the way out,
//! because a dropped packet gives the sender EPERM, on which some Kerberos clients spin.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;

use super::Host;
use crate::{Chart, Role, Row, Transport};

/// The table's name, in the family `inet`.
pub const TABLE: &str = "portolan";

/// The netlink group to which stopped packets are logged.
pub const LOG_GROUP: u16 = 5;

/// The counters of what is stopped, by chain.
const STOPPED: [&str; 3] = ["stopped-in", "stopped-out", "stopped-through"];

const ICMP_ERRORS: &str = "destination-unreachable, time-exceeded, parameter-problem";
const NEIGHBOURS: &str =
    "nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert";

/// The ruleset of `host` among `peers` (which may include it), as `nft -f` reads it.
///
/// Loading it puts it in place of an earlier one in one step.
#[must_use]
pub fn nftables(chart: &Chart, host: &Host, peers: &[Host]) -> String {
    let peers: Vec<_> = peers.iter().filter(|peer| *peer != host).collect();
    let mut chains = Chains::default();
    for row in chart.all() {
        if host.plays(row.from) {
            chains.output.extend(rules(row, None, Some(&addresses(&peers, row.to))));
        }
        if host.plays(row.to) {
            chains.input.extend(rules(row, Some(&addresses(&peers, row.from)), None));
        }
        if host.plays(Role::Router) {
            let ends = (addresses(&peers, row.from), addresses(&peers, row.to));
            chains.forward.extend(rules(row, Some(&ends.0), Some(&ends.1)));
        }
    }
    chains.render(host)
}

#[derive(Default)]
struct Chains {
    input: Vec<Rule>,
    output: Vec<Rule>,
    forward: Vec<Rule>,
}

/// One line of a chain, and the row whose name it bears.
struct Rule {
    flow: &'static str,
    text: String,
}

impl Chains {
    fn render(&self, host: &Host) -> String {
        let chains = [("input", &self.input), ("output", &self.output), ("forward", &self.forward)];
        let flows: BTreeSet<_> =
            chains.iter().flat_map(|(_, rules)| rules.iter()).map(|rule| rule.flow).collect();
        let router = host.plays(Role::Router);
        let mut text = format!(
            "# The firewall of {}, made from the chart of ports.\n\
             table inet {TABLE}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n",
            // A name is a comment here and must stay on its line.
            host.name.escape_default()
        );
        for name in flows.into_iter().chain(STOPPED) {
            put(&mut text, 1, &format!("counter {name} {{ }}"));
        }
        for (name, rules) in chains {
            if name == "forward" && !router {
                // A host that is no router passes nothing on.
                put_chain(&mut text, name, &[], &[]);
            } else {
                put_chain(&mut text, name, &basics(name), rules);
            }
        }
        text.push_str("}\n");
        text
    }
}

/// What every chain lets pass beside the rows.
fn basics(chain: &str) -> Vec<String> {
    let mut lines = vec!["ct state established,related accept".to_owned()];
    let device = match chain {
        "input" => "iifname",
        "output" => "oifname",
        _ => return lines,
    };
    lines.push(format!("{device} \"lo\" accept"));
    lines.push(format!("icmpv6 type {{ {NEIGHBOURS} }} ip6 hoplimit 255 accept"));
    lines.push(format!("icmp type {{ {ICMP_ERRORS} }} accept"));
    lines.push(format!("icmpv6 type {{ packet-too-big, {ICMP_ERRORS} }} accept"));
    lines
}

fn put_chain(text: &mut String, name: &str, basics: &[String], rules: &[Rule]) {
    put(text, 1, &format!("chain {name} {{"));
    put(text, 2, &format!("type filter hook {name} priority filter; policy drop;"));
    for line in basics {
        put(text, 2, line);
    }
    for rule in rules {
        put(text, 2, &rule.text);
    }
    let (counter, verdict) = match name {
        "input" => (STOPPED[0], "drop"),
        "output" => (STOPPED[1], "reject with icmpx admin-prohibited"),
        _ => (STOPPED[2], "drop"),
    };
    put(text, 2, &format!("counter name \"{counter}\" log group {LOG_GROUP} {verdict}"));
    put(text, 1, "}");
}

fn put(text: &mut String, depth: usize, line: &str) {
    // Writing to a String does not fail.
    let _ = writeln!(text, "{:1$}{line}", "", depth * 4);
}

/// The rules of one row between two ends; an end that is the host itself is `None`.
fn rules(row: &Row, from: Option<&[IpAddr]>, to: Option<&[IpAddr]>) -> Vec<Rule> {
    let mut rules = Vec::new();
    for (family, of_family) in
        [("ip", IpAddr::is_ipv4 as fn(&IpAddr) -> bool), ("ip6", IpAddr::is_ipv6)]
    {
        let side = |end: Option<&[IpAddr]>, word: &str| match end {
            None => Some(String::new()),
            Some(addresses) => {
                let of_family: Vec<_> = addresses
                    .iter()
                    .filter(|address| of_family(address))
                    .map(IpAddr::to_string)
                    .collect();
                (!of_family.is_empty())
                    .then(|| format!("{family} {word} {{ {} }} ", of_family.join(", ")))
            }
        };
        let (Some(from), Some(to)) = (side(from, "saddr"), side(to, "daddr")) else { continue };
        for transport in &row.transports {
            rules.push(Rule {
                flow: row.flow.name(),
                text: format!(
                    "{from}{to}{} ct state new counter name \"{flow}\" accept comment \"{flow}\"",
                    ports(row, *transport),
                    flow = row.flow
                ),
            });
        }
    }
    rules
}

fn ports(row: &Row, transport: Transport) -> String {
    let ranges: Vec<_> = row.ports.iter().map(ToString::to_string).collect();
    format!("{transport} dport {{ {} }}", ranges.join(", "))
}

/// The addresses of the peers at one end of a row, each once, in order.
fn addresses(peers: &[&Host], role: Role) -> Vec<IpAddr> {
    let at_end = peers.iter().filter(|peer| peer.plays(role));
    at_end.flat_map(|peer| &peer.addresses).copied().collect::<BTreeSet<_>>().into_iter().collect()
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
