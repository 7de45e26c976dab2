//! The rules of one host for `iptables-restore` and `ip6tables-restore`, as one text: each of them passes
//! over the rules that are marked as the other's (`-4`, `-6`; see
//! <https://manpages.debian.org/bookworm/iptables/iptables.8.en.html>).

use std::fmt::Write as _;

use super::{Direction, End, Family, Policy, Prefix, Rule, Side};
use crate::Role;

/// The chains, each with what it does to what no rule accepts.
const CHAINS: [(Direction, &str); 3] =
    [(Direction::In, "INPUT"), (Direction::Out, "OUTPUT"), (Direction::Through, "FORWARD")];

/// By their numbers, which old versions and new ones know: unreachable, time exceeded, parameter problem.
const ICMP_ERRORS: [&str; 3] = ["3", "11", "12"];
/// Unreachable, packet too big, time exceeded, parameter problem (RFC 4443).
const ICMPV6_ERRORS: [&str; 4] = ["1", "2", "3", "4"];
/// Router and neighbour solicitation and advertisement (RFC 4861).
const NEIGHBOURS: [&str; 4] = ["133", "134", "135", "136"];
/// Queries, reports and leavings of multicast listeners (RFC 2710, RFC 3810).
const LISTENERS: [&str; 4] = ["130", "131", "132", "143"];

/// The policy as both programs read it. It takes the place of what the table `filter` held.
pub(super) fn write(policy: &Policy<'_>) -> String {
    let mut text: String = policy.head().iter().map(|line| format!("# {line}\n")).collect();
    text.push_str("# Load it with both iptables-restore and ip6tables-restore.\n*filter\n");
    let is_router = policy.role == Role::Router;
    let governed = |direction| match direction {
        Direction::Through => is_router || policy.side == Side::Both,
        _ => is_router || policy.side.includes(direction),
    };
    for (direction, chain) in CHAINS {
        let verdict = if governed(direction) { "DROP" } else { "ACCEPT" };
        // Writing to a String does not fail, here and below.
        let _ = writeln!(text, ":{chain} {verdict} [0:0]");
    }
    for (direction, chain) in CHAINS.into_iter().filter(|(direction, _)| governed(*direction)) {
        if direction != Direction::Through || is_router {
            for line in basics(direction) {
                let _ = writeln!(text, "-A {chain} {line}");
            }
        }
        for rule in policy.of(direction) {
            for line in lines(rule) {
                let _ = writeln!(text, "-A {chain} {line}");
            }
        }
        if direction == Direction::Out {
            let _ = writeln!(text, "-A {chain} -4 -j REJECT --reject-with icmp-admin-prohibited");
            let _ = writeln!(text, "-A {chain} -6 -j REJECT --reject-with icmp6-adm-prohibited");
        }
    }
    text.push_str("COMMIT\n");
    text
}

/// What every chain lets pass beside the rows.
fn basics(direction: Direction) -> Vec<String> {
    let mut lines = vec!["-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT".to_owned()];
    let device = match direction {
        Direction::In => "-i",
        Direction::Out => "-o",
        Direction::Through => return lines,
    };
    lines.push(format!("{device} lo -j ACCEPT"));
    let six = |kind: &str, hops: &str| {
        format!("-6 -p ipv6-icmp -m icmp6 --icmpv6-type {kind}{hops} -j ACCEPT")
    };
    lines.extend(NEIGHBOURS.map(|kind| six(kind, " -m hl --hl-eq 255")));
    lines.extend(LISTENERS.map(|kind| six(kind, " -m hl --hl-eq 1")));
    lines
        .extend(ICMP_ERRORS.map(|kind| format!("-4 -p icmp -m icmp --icmp-type {kind} -j ACCEPT")));
    lines.extend(ICMPV6_ERRORS.map(|kind| six(kind, "")));
    lines.push("-4 -p icmp -m icmp --icmp-type 8 -j ACCEPT".to_owned());
    lines.push(six("128", ""));
    lines
}

/// The lines of one rule: one for each pair of prefixes and each range of ports.
fn lines(rule: &Rule<'_>) -> Vec<String> {
    let version = match rule.family {
        Family::V4 => "-4",
        Family::V6 => "-6",
    };
    let side = |end: &End, option: &str| match end {
        End::Own | End::Anyone => vec![String::new()],
        End::Among(prefixes) => {
            prefixes.iter().map(|prefix: &Prefix| format!(" {option} {prefix}")).collect()
        }
    };
    let (from, to) = (side(&rule.from, "-s"), side(&rule.to, "-d"));
    let (transport, comment) = (rule.transport, rule.comment());
    let mut lines = Vec::new();
    for (from, to) in from.iter().flat_map(|from| to.iter().map(move |to| (from, to))) {
        for range in &rule.row.ports {
            let ports = match range.single() {
                Some(port) => port.to_string(),
                None => format!("{}:{}", range.start(), range.end()),
            };
            lines.push(format!(
                "{version}{from}{to} -p {transport} -m {transport} --dport {ports} \
                 -m conntrack --ctstate NEW -m comment --comment \"{comment}\" -j ACCEPT"
            ));
        }
    }
    lines
}
