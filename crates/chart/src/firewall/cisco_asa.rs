//! The rules of one host for a Cisco ASA between it and its peers; see Cisco's "CLI Book 2: Firewall",
//! chapters "Objects for Access Control" and "Access Control Lists".
//!
//! An ASA follows connections: an answer needs no entry. There is one list for what the host opens, one
//! for what it answers; each is bound to the interface at which its connections arrive, whose name only
//! the operator knows.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::format::Unwritable;
use super::{Direction, End, Family, Policy, Prefix, Rule};
use crate::PortRange;

/// The policy as lines of a configuration.
pub(super) fn write(policy: &Policy<'_>) -> Result<String, Unwritable> {
    let is_between = policy.rules.iter().any(|rule| rule.direction != Direction::Through);
    if is_between && policy.own.is_empty() {
        return Err(Unwritable::NoOwnAddress);
    }
    let mut groups = Groups::default();
    let mut lists = String::new();
    for direction in [Direction::Out, Direction::In, Direction::Through] {
        let rules: Vec<_> = policy.of(direction).collect();
        if rules.is_empty() {
            continue;
        }
        let list = format!("PORTOLAN-{}-{}", policy.role, direction).to_uppercase();
        for rule in rules {
            put(&mut lists, &mut groups, &list, (rule, &policy.own));
        }
        for (protocol, any, kinds) in ICMP {
            for kind in kinds {
                let _ = writeln!(
                    lists,
                    "access-list {list} extended permit {protocol} {any} {any} {kind}"
                );
            }
        }
        let _ = writeln!(lists, "access-list {list} extended deny ip any any log");
        let _ = writeln!(lists, "! Bind it: access-group {list} in interface NAME");
    }
    let head: String = policy.head().iter().map(|line| format!("! {line}\n")).collect();
    Ok(format!("{head}{}{lists}", groups.text))
}

/// The errors that must pass, by family.
const ICMP: [(&str, &str, &[&str]); 2] = [
    ("icmp", "any4", &["unreachable", "time-exceeded", "parameter-problem"]),
    ("icmp6", "any6", &["unreachable", "packet-too-big", "time-exceeded", "parameter-problem"]),
];

/// The groups of addresses, each once.
#[derive(Default)]
struct Groups {
    known: Vec<Vec<Prefix>>,
    text: String,
}

impl Groups {
    /// The name of the group of these prefixes.
    fn name(&mut self, prefixes: &[Prefix]) -> String {
        let found = self.known.iter().position(|known| known == prefixes);
        let number = found.unwrap_or(self.known.len()) + 1;
        let name = format!("PORTOLAN-HOSTS-{number}");
        if found.is_none() {
            self.known.push(prefixes.to_vec());
            let _ = writeln!(self.text, "object-group network {name}");
            for prefix in prefixes {
                let _ = writeln!(self.text, " network-object {}", object(*prefix));
            }
        }
        name
    }
}

/// A prefix as an object: IPv4 with a mask, IPv6 with a length.
fn object(prefix: Prefix) -> String {
    match (prefix.is_host(), prefix.address()) {
        (true, address) => format!("host {address}"),
        (false, IpAddr::V4(address)) => {
            let last = prefix.span().1 - prefix.span().0;
            format!("{address} {}", Family::V4.address(Family::V4.last() ^ last))
        }
        (false, IpAddr::V6(_)) => prefix.to_string(),
    }
}

fn put(text: &mut String, groups: &mut Groups, list: &str, (rule, own): (&Rule<'_>, &[Prefix])) {
    let mut end = |end: &End| match end {
        End::Anyone => Some(match rule.family {
            Family::V4 => "any4".to_owned(),
            Family::V6 => "any6".to_owned(),
        }),
        End::Among(prefixes) => Some(format!("object-group {}", groups.name(prefixes))),
        End::Own => {
            let own: Vec<_> =
                own.iter().filter(|prefix| prefix.family() == rule.family).copied().collect();
            (!own.is_empty()).then(|| format!("object-group {}", groups.name(&own)))
        }
    };
    let comment = rule.comment();
    let _ = writeln!(text, "access-list {list} remark {comment}");
    let (Some(from), Some(to)) = (end(&rule.from), end(&rule.to)) else {
        let family = rule.family.name();
        let _ = writeln!(text, "! no entry: this host has no address of {family}: {comment}");
        return;
    };
    for range in &rule.row.ports {
        let (transport, ports) = (rule.transport, ports(*range));
        let _ =
            writeln!(text, "access-list {list} extended permit {transport} {from} {to} {ports}");
    }
}

fn ports(range: PortRange) -> String {
    match range.single() {
        Some(port) => format!("eq {port}"),
        None => format!("range {} {}", range.start(), range.end()),
    }
}
