//! Rules and comparisons as JSON. The names here are an interface: programs read them.

use portolan_chart::firewall::compare::{Comparison, Opening, Part, RowFinding};
use portolan_chart::firewall::{End, Family, Missing, Policy, Rule};
use portolan_chart::{Row, TableId};
use serde_json::{Value, json};

/// One document: the rules of a host.
pub(super) fn policy(policy: &Policy<'_>) -> String {
    document(&json!({
        "edition": policy.edition,
        "role": policy.role.name(),
        "side": policy.side.name(),
        "address": policy.own.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "rules": policy.rules.iter().map(rule).collect::<Vec<_>>(),
        "missing": policy.missing.iter().map(missing).collect::<Vec<_>>(),
    }))
}

/// One document: a listing beside the rules of a host.
pub(super) fn comparison(policy: &Policy<'_>, comparison: &Comparison<'_>) -> String {
    document(&json!({
        "edition": policy.edition,
        "role": policy.role.name(),
        "side": policy.side.name(),
        "rows": comparison.rows.iter().map(found).collect::<Vec<_>>(),
        "superfluous": comparison.openings.iter().map(opening).collect::<Vec<_>>(),
        "missing": comparison.missing.iter().map(missing).collect::<Vec<_>>(),
        "notes": comparison.notes,
    }))
}

fn rule(rule: &Rule<'_>) -> Value {
    let ports = rule.row.ports.iter();
    let ports = ports.map(|range| json!({ "start": range.start(), "end": range.end() }));
    json!({
        "row": row(rule.row),
        "direction": rule.direction.name(),
        "family": match rule.family {
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
        },
        "transport": rule.transport.name(),
        "ports": ports.collect::<Vec<_>>(),
        "from": end(&rule.from),
        "to": end(&rule.to),
        "comment": rule.comment(),
    })
}

/// Prefixes with their length; or the word for everyone, or for the host itself.
fn end(end: &End) -> Value {
    match end {
        End::Own => json!("own"),
        End::Anyone => json!("any"),
        End::Among(prefixes) => {
            json!(prefixes.iter().map(|prefix| prefix.cidr()).collect::<Vec<_>>())
        }
    }
}

fn row(row: &Row) -> Value {
    json!({
        "flow": row.flow.name(),
        "table": match &row.table {
            TableId::Page(id) => id,
            TableId::Errata => "errata",
        },
        "number": row.number,
        "protocol": row.protocol,
        "requirement": row.requirement.name(),
    })
}

fn missing(missing: &Missing<'_>) -> Value {
    json!({
        "row": row(missing.row),
        "direction": missing.direction.name(),
        "role": missing.role.name(),
    })
}

fn found(found: &RowFinding<'_>) -> Value {
    json!({
        "row": row(found.row),
        "direction": found.direction.name(),
        "state": found.state.name(),
        "parts": found.parts.iter().map(part).collect::<Vec<_>>(),
    })
}

fn part(part: &Part) -> Value {
    json!({
        "state": part.state.name(),
        "transport": part.transport.name(),
        "ports": part.ports,
        "peers": part.peers,
        "why": part.why,
    })
}

fn opening(opening: &Opening) -> Value {
    json!({
        "state": opening.state.name(),
        "direction": opening.direction.name(),
        "protocol": opening.protocol,
        "ports": opening.ports,
        "peers": opening.peers,
        "perhaps": opening.perhaps.map(|flow| flow.name()),
        "why": opening.why,
    })
}

fn document(value: &Value) -> String {
    format!("{value:#}\n")
}
