//! Closing and opening one row of the chart on a host's firewall, and what the firewall stopped.
//!
//! The rules come from the chart once, when the host is built. A row is closed by laying a rule that
//! stops it in front of all others, also in front of the one for connections that are under way;
//! it is opened again by taking those rules away. nftables is spoken to in its JSON form, see
//! <https://manpages.debian.org/bookworm/libnftables1/libnftables-json.5.en.html>.

use std::str::FromStr;

use portolan_chart::Transport;
use portolan_chart::firewall::TABLE;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::LabError;
use crate::state::Namespace;

/// The family of the chart's table.
const FAMILY: &str = "inet";
/// What the comment of a rule that closes a flow starts with.
const CLOSED: &str = "closed ";
/// What the counters of stopped packets start with.
const STOPPED: &str = "stopped-";

/// How a closed row answers. Either way the packet leaves its host, and is stopped by the router or
/// by the host that it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum How {
    /// Says so, at once: a reset for TCP, "administratively prohibited" by ICMP for UDP.
    #[default]
    Reject,
    /// Says nothing: the sender times out.
    Drop,
}

impl FromStr for How {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "reject" => Ok(Self::Reject),
            "drop" => Ok(Self::Drop),
            _ => Err(format!("{word:?} is neither reject nor drop")),
        }
    }
}

/// What one firewall stopped, packets and octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// The way: `in`, `out` or `through`.
    pub way: String,
    /// Packets.
    pub packets: u64,
    /// Octets of these packets.
    pub octets: u64,
}

/// Closes a flow on one host, by one transport or by all. Gives the number of rules it closed.
pub(crate) fn close(
    namespace: &Namespace,
    (flow, transport): (&str, Option<Transport>),
    how: How,
) -> Result<usize, LabError> {
    let items = list(namespace)?;
    let closures = closures(&items, flow, transport, how);
    // Closing it twice, or the other way, leaves one closure; both changes are one transaction.
    let mut commands = openings(&items, flow, transport);
    commands.extend_from_slice(&closures);
    apply(namespace, &commands)?;
    Ok(closures.len())
}

/// Opens a flow on one host again. Gives the number of rules it opened.
pub(crate) fn open(namespace: &Namespace, flow: &str) -> Result<usize, LabError> {
    let commands = openings(&list(namespace)?, flow, None);
    apply(namespace, &commands)?;
    Ok(commands.len())
}

/// What a host's firewall stopped, and which flows are closed on it.
pub(crate) fn inspect(namespace: &Namespace) -> Result<(Vec<Stopped>, Vec<String>), LabError> {
    let items = list(namespace)?;
    Ok((stopped(&items), closed(&items)))
}

/// Lets nothing of a host out and nothing in, below its firewall, so that a sender there sees no
/// error; only the addresses of its links are still answered for.
pub(crate) fn silence(namespace: &Namespace) -> Result<(), LabError> {
    unsilence(namespace)?;
    let chain = |hook: &str| {
        format!(
            "chain {hook} {{ type filter hook {hook} device \"eth0\" priority 0; policy drop;\n\
             meta protocol arp accept\n\
             icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept\n}}\n"
        )
    };
    let rules = format!("table {SILENCE} {{\n{}{}}}\n", chain("ingress"), chain("egress"));
    namespace.program("nft").args(["--file", "-"]).input(rules).run().map(drop)
}

/// Ends a silence. Gives whether there was one.
pub(crate) fn unsilence(namespace: &Namespace) -> Result<bool, LabError> {
    let tables = namespace.program("nft").args(["list", "tables"]).run()?;
    if !String::from_utf8_lossy(&tables).contains(SILENCE) {
        return Ok(false);
    }
    let nft = namespace.program("nft").args(["delete", "table"]).args(SILENCE.split(' '));
    nft.run().map(|_| true)
}

/// The table of a silence: of the links' own family, which comes before all others.
const SILENCE: &str = "netdev silence";

/// Sets a host's counters to zero.
pub(crate) fn reset_counters(namespace: &Namespace) -> Result<(), LabError> {
    namespace.program("nft").args(["reset", "counters"]).run().map(drop)
}

fn list(namespace: &Namespace) -> Result<Vec<Value>, LabError> {
    let nft = namespace.program("nft").args(["--json", "list", "table", FAMILY, TABLE]);
    let listing: Listing = serde_json::from_slice(&nft.run()?)
        .map_err(|error| LabError::Listing { host: namespace.name.clone(), source: error })?;
    Ok(listing.nftables)
}

/// What nftables lists.
#[derive(Deserialize)]
struct Listing {
    nftables: Vec<Value>,
}

fn apply(namespace: &Namespace, commands: &[Value]) -> Result<(), LabError> {
    if commands.is_empty() {
        return Ok(());
    }
    let input = json!({ "nftables": commands }).to_string();
    namespace.program("nft").args(["--json", "--file", "-"]).input(input).run().map(drop)
}

/// The rules with a comment.
fn rules<'items>(
    items: &'items [Value],
    comment: &'items str,
) -> impl Iterator<Item = &'items Value> {
    items
        .iter()
        .filter_map(|item| item.get("rule"))
        .filter(move |rule| rule.get("comment").and_then(Value::as_str) == Some(comment))
}

/// The transport that a rule is for.
fn transport(rule: &Value) -> Option<Transport> {
    let expressions = rule["expr"].as_array()?;
    let protocol = |it: &Value| {
        it.pointer("/match/left/payload/protocol").and_then(Value::as_str).map(str::to_owned)
    };
    let protocols: Vec<_> = expressions.iter().filter_map(protocol).collect();
    [Transport::Tcp, Transport::Udp]
        .into_iter()
        .find(|transport| protocols.iter().any(|protocol| protocol == transport.name()))
}

/// Whether a rule is for what is asked for; `None` asks for both.
fn is_for(rule: &Value, asked: Option<Transport>) -> bool {
    asked.is_none() || transport(rule) == asked
}

/// The commands that close a flow, by one transport or by all.
fn closures(items: &[Value], flow: &str, asked: Option<Transport>, how: How) -> Vec<Value> {
    let verdict = |transport| match (how, transport) {
        // TCP overlooks an ICMP error that comes while it is still sending, as between virtual
        // links it does, until it tries again a second later.
        (How::Reject, Some(Transport::Tcp)) => json!({ "reject": { "type": "tcp reset" } }),
        (How::Reject, _) => {
            json!({ "reject": { "type": "icmpx", "expr": "admin-prohibited" } })
        }
        (How::Drop, _) => json!({ "drop": null }),
    };
    rules(items, flow)
        // Not on the way out: a drop there is an error to the sender instead of silence.
        .filter(|rule| rule["chain"] != "output" && is_for(rule, asked))
        .map(|rule| {
            let conditions = rule["expr"].as_array().into_iter().flatten();
            let mut expressions: Vec<_> =
                conditions.filter(|expression| is_address_or_port(expression)).cloned().collect();
            expressions.push(json!({ "counter": null }));
            expressions.push(verdict(transport(rule)));
            json!({ "insert": { "rule": {
                "family": FAMILY,
                "table": TABLE,
                "chain": rule["chain"],
                "expr": expressions,
                "comment": format!("{CLOSED}{flow}"),
            }}})
        })
        .collect()
}

/// Whether an expression compares a header's field: what is left out is the state of the
/// connection, the counter and the verdict.
fn is_address_or_port(expression: &Value) -> bool {
    expression.pointer("/match/left/payload").is_some()
}

/// The commands that open a flow again, by one transport or by all.
fn openings(items: &[Value], flow: &str, asked: Option<Transport>) -> Vec<Value> {
    rules(items, &format!("{CLOSED}{flow}"))
        .filter(|rule| is_for(rule, asked))
        .map(|rule| {
            json!({ "delete": { "rule": {
                "family": FAMILY,
                "table": TABLE,
                "chain": rule["chain"],
                "handle": rule["handle"],
            }}})
        })
        .collect()
}

fn stopped(items: &[Value]) -> Vec<Stopped> {
    let counters = items.iter().filter_map(|item| item.get("counter"));
    counters
        .filter_map(|counter| {
            let number = |name| counter.get(name).and_then(Value::as_u64);
            Some(Stopped {
                way: counter.get("name")?.as_str()?.strip_prefix(STOPPED)?.to_owned(),
                packets: number("packets")?,
                octets: number("bytes")?,
            })
        })
        .collect()
}

/// What is closed: a flow's name, with the transport behind it when another one of it is open.
fn closed(items: &[Value]) -> Vec<String> {
    let all: Vec<_> = items.iter().filter_map(|item| item.get("rule")).collect();
    let comment = |rule: &Value| rule["comment"].as_str().unwrap_or_default().to_owned();
    let mut flows: Vec<_> = all
        .iter()
        .filter_map(|rule| {
            let flow = comment(rule).strip_prefix(CLOSED)?.to_owned();
            let stopped = transport(rule);
            let is_closed = |other| {
                rules(items, &format!("{CLOSED}{flow}")).any(|it| transport(it) == Some(other))
            };
            let rest = rules(items, &flow).filter_map(transport).any(|other| !is_closed(other));
            match stopped.filter(|_| rest) {
                Some(transport) => Some(format!("{flow}/{transport}")),
                None => Some(flow),
            }
        })
        .collect();
    flows.sort();
    flows.dedup();
    flows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing() -> Vec<Value> {
        let accept = |chain: &str, handle: u32| {
            json!({ "rule": { "family": "inet", "table": "portolan", "chain": chain,
                "handle": handle, "comment": "connect.ad.ldap", "expr": [
                { "match": { "op": "==", "left": { "payload": { "protocol": "tcp", "field": "dport" } },
                    "right": 1 } },
                { "match": { "op": "in", "left": { "ct": { "key": "state" } }, "right": "new" } },
                { "counter": "connect.ad.ldap" },
                { "accept": null } ] } })
        };
        vec![
            json!({ "metainfo": {} }),
            json!({ "counter": { "name": "stopped-in", "packets": 3, "bytes": 120 } }),
            json!({ "counter": { "name": "connect.ad.ldap", "packets": 9, "bytes": 900 } }),
            accept("output", 4),
            accept("input", 7),
            json!({ "rule": { "chain": "output", "handle": 9, "comment": "closed connect.ad.epm" } }),
        ]
    }

    #[test]
    fn a_closed_flow_is_stopped_where_it_arrives_whatever_the_connection_s_state() {
        for (how, verdict) in [(How::Reject, "reject"), (How::Drop, "drop")] {
            let commands = closures(&listing(), "connect.ad.ldap", None, how);
            assert_eq!(commands.len(), 1);
            let rule = &commands[0]["insert"]["rule"];
            assert_eq!(rule["chain"], "input");
            assert_eq!(rule["comment"], "closed connect.ad.ldap");
            let expressions = rule["expr"].as_array().unwrap();
            assert_eq!(expressions.len(), 3);
            assert!(expressions[0]["match"]["left"]["payload"].is_object());
            assert!(expressions[2].get(verdict).is_some());
        }
    }

    #[test]
    fn a_flow_is_opened_by_the_handle_of_what_closed_it() {
        let commands = openings(&listing(), "connect.ad.epm", None);
        assert_eq!(commands.len(), 1);
        assert_eq!(commands[0]["delete"]["rule"]["handle"], 9);
        assert!(openings(&listing(), "connect.ad.ldap", None).is_empty());
    }

    #[test]
    fn one_transport_of_a_row_is_closed_and_named_alone() {
        let rule = |comment: &str, protocol: &str| {
            let port = json!({ "payload": { "protocol": protocol, "field": "dport" } });
            json!({ "rule": { "chain": "input", "handle": 1, "comment": comment,
                "expr": [ { "match": { "op": "==", "left": port, "right": 1 } } ] } })
        };
        let flow = "connect.ad.kerberos";
        let mut items = vec![rule(flow, "tcp"), rule(flow, "udp")];
        let closures = |items: &[Value], asked| closures(items, flow, asked, How::Reject);
        assert_eq!(closures(&items, None).len(), 2);
        let udp = closures(&items, Some(Transport::Udp));
        assert_eq!(udp.len(), 1);
        let reject = udp[0].pointer("/insert/rule/expr/2/reject/type").unwrap();
        assert_eq!(reject, "icmpx", "a reset answers TCP alone");
        items.push(rule("closed connect.ad.kerberos", "udp"));
        assert_eq!(closed(&items), ["connect.ad.kerberos/udp"]);
        assert!(openings(&items, flow, Some(Transport::Tcp)).is_empty());
        assert_eq!(openings(&items, flow, Some(Transport::Udp)).len(), 1);
        items.push(rule("closed connect.ad.kerberos", "tcp"));
        assert_eq!(closed(&items), ["connect.ad.kerberos"]);
    }

    #[test]
    fn the_counters_of_stopped_packets_and_the_closed_flows_are_read() {
        let stopped = stopped(&listing());
        assert_eq!(stopped, [Stopped { way: "in".into(), packets: 3, octets: 120 }]);
        assert_eq!(closed(&listing()), ["connect.ad.epm"]);
    }
}
