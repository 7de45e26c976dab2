//! The matches of `nft --json`: what they compare, and with what.

use std::collections::HashMap;
use std::net::IpAddr;

use serde_json::{Map, Value};

use super::condition::{Condition, Of, Ranges, protocol};
use super::nft_listing::{Name, action};
use super::ruleset::Action;
use crate::firewall::{Family, Prefix, number};

/// The letters of an expression that are shown where it is not understood.
const SHOWN_LETTERS_MAX: usize = 80;

/// The sets and maps of a listing.
#[derive(Default)]
pub(super) struct Sets(HashMap<Name, Option<Vec<Value>>>);

impl Sets {
    pub(super) fn insert(&mut self, name: Name, set: &Map<String, Value>) {
        let flags = set.get("flags").and_then(Value::as_array);
        let changes = |flag: &Value| matches!(flag.as_str(), Some("dynamic" | "timeout"));
        // What changes by itself is not what it was when it was listed.
        let is_lasting =
            flags.is_none_or(|flags| !flags.iter().any(changes)) && !set.contains_key("timeout");
        let elements = set.get("elem").and_then(Value::as_array).cloned().unwrap_or_default();
        self.0.insert(name, is_lasting.then_some(elements));
    }

    fn elements(&self, (family, table): (&str, &str), name: &str) -> Option<&[Value]> {
        self.0.get(&(family.to_owned(), table.to_owned(), name.to_owned()))?.as_deref()
    }
}

/// What a match compares, as far as it is understood.
enum Field {
    Address(Of, Family),
    Port(Of, Option<u8>),
    Protocol(Option<Family>),
    Family,
    EtherType,
    State,
    Interface,
    /// With what it needs of a packet to be there at all.
    Unknown(Vec<Condition>, String),
}

/// A match as a condition; `None` when it is none.
pub(super) fn condition(value: &Value, table: (&str, &str), sets: &Sets) -> Option<Condition> {
    let op = value.get("op")?.as_str()?;
    let (left, right) = (value.get("left")?, value.get("right")?);
    Some(compare(left, op, right, table, sets).unwrap_or_else(|| {
        // What is needed to be compared at all is known even so.
        let mut parts = field(left).needs();
        parts.push(unknown(left));
        Condition::All(parts)
    }))
}

/// A map of verdicts as choices; `None` when it is not understood.
pub(super) fn verdict_map(
    value: &Value,
    table: (&str, &str),
    sets: &Sets,
    chain_of: &dyn Fn(&str) -> Option<usize>,
) -> Option<Vec<(Condition, Action)>> {
    let (key, data) = (value.get("key")?, value.get("data")?);
    let pairs = values(data, table, sets)?;
    let choice = |pair: &Value| {
        let [element, verdict] = pair.as_array()?.as_slice() else { return None };
        let when = equals(key, &[plain(element)])?;
        let verdict = verdict.as_object().filter(|it| it.len() == 1)?;
        let (kind, value) = verdict.iter().next()?;
        Some((when, action(kind, value, chain_of)?))
    };
    pairs.into_iter().map(choice).collect()
}

fn compare(
    left: &Value,
    op: &str,
    right: &Value,
    table: (&str, &str),
    sets: &Sets,
) -> Option<Condition> {
    let values = values(right, table, sets)?;
    let values: Vec<_> = values.into_iter().map(plain).collect();
    match op {
        "==" | "in" => equals(left, &values),
        "!=" => {
            let mut parts = match left.get("concat").and_then(Value::as_array) {
                Some(fields) => fields.iter().flat_map(|left| field(left).needs()).collect(),
                None => field(left).needs(),
            };
            parts.push(equals(left, &values)?.not());
            Some(Condition::All(parts))
        }
        "<" | "<=" | ">" | ">=" => {
            let Field::Port(of, only) = field(left) else { return None };
            let [value] = values.as_slice() else { return None };
            let port = u128::from(value.as_u64()?);
            let range = match op {
                "<" => (0, port.checked_sub(1)?),
                "<=" => (0, port),
                ">" => (port + 1, u128::from(u16::MAX)),
                _ => (port, u128::from(u16::MAX)),
            };
            Some(with_needs(Field::Port(of, only), Condition::Port(of, Ranges::new([range]))))
        }
        _ => None,
    }
}

/// The values that a field is compared with: of a set, of a list, or one.
fn values<'v>(right: &'v Value, table: (&str, &str), sets: &'v Sets) -> Option<Vec<&'v Value>> {
    if let Some(name) = right.as_str().and_then(|text| text.strip_prefix('@')) {
        return Some(sets.elements(table, name)?.iter().collect());
    }
    let list = right.get("set").unwrap_or(right);
    Some(list.as_array().map_or_else(|| vec![list], |list| list.iter().collect()))
}

/// An element without its remarks.
fn plain(element: &Value) -> &Value {
    element.pointer("/elem/val").unwrap_or(element)
}

/// Whether a field, or several at once, is one of the values.
fn equals(left: &Value, values: &[&Value]) -> Option<Condition> {
    if let Some(fields) = left.get("concat").and_then(Value::as_array) {
        let choice = |value: &&Value| {
            let parts = value.get("concat")?.as_array().filter(|it| it.len() == fields.len())?;
            let each = fields.iter().zip(parts).map(|(left, value)| equals(left, &[plain(value)]));
            Some(Condition::All(each.collect::<Option<_>>()?))
        };
        return Some(Condition::Any(values.iter().map(choice).collect::<Option<_>>()?));
    }
    let field = field(left);
    let condition = match &field {
        Field::Address(of, family) => {
            Condition::Address(*of, spans(values, &|it| address(it, *family))?)
        }
        Field::Port(of, _) => Condition::Port(*of, spans(values, &port)?),
        Field::Protocol(_) => Condition::Protocol(spans(values, &protocol_number)?),
        Field::Family => any_family(values, |name| match name {
            "ipv4" => Some(Family::V4),
            "ipv6" => Some(Family::V6),
            _ => None,
        })?,
        Field::EtherType => any_family(values, |name| match name {
            "ip" => Some(Family::V4),
            "ip6" => Some(Family::V6),
            _ => None,
        })?,
        Field::State => {
            let names: Option<Vec<_>> = values.iter().map(|value| value.as_str()).collect();
            let names = names?;
            let has = |name| names.contains(&name);
            Condition::Connection { new: has("new"), established: has("established") }
        }
        Field::Interface => Condition::Any(values.iter().map(|value| interface(value)).collect()),
        Field::Unknown(_, what) => Condition::Unknown(what.clone()),
    };
    Some(with_needs(field, condition))
}

/// A comparison holds only of packets that have the field.
fn with_needs(field: Field, condition: Condition) -> Condition {
    let mut parts = field.needs();
    match parts.is_empty() {
        true => condition,
        false => {
            parts.push(condition);
            Condition::All(parts)
        }
    }
}

impl Field {
    fn needs(&self) -> Vec<Condition> {
        match self {
            Self::Address(_, family) | Self::Protocol(Some(family)) => {
                vec![Condition::Family(*family)]
            }
            Self::Port(_, Some(only)) => vec![Condition::protocol(*only)],
            Self::Unknown(needs, _) => needs.clone(),
            _ => Vec::new(),
        }
    }
}

fn field(left: &Value) -> Field {
    let unknown = |needs| Field::Unknown(needs, shown(left));
    let text = |pointer| left.pointer(pointer).and_then(Value::as_str);
    if let (Some(header), Some(name)) = (text("/payload/protocol"), text("/payload/field")) {
        let family = match header {
            "ip" => Some(Family::V4),
            "ip6" => Some(Family::V6),
            _ => None,
        };
        let number = protocol::named(header);
        return match (family, name, number) {
            (Some(family), "saddr", _) => Field::Address(Of::Source, family),
            (Some(family), "daddr", _) => Field::Address(Of::Destination, family),
            (Some(Family::V4), "protocol", _) => Field::Protocol(family),
            (Some(family), ..) => unknown(vec![Condition::Family(family)]),
            (None, "sport", _) if header == "th" => Field::Port(Of::Source, None),
            (None, "dport", _) if header == "th" => Field::Port(Of::Destination, None),
            (None, "sport", Some(number)) => Field::Port(Of::Source, Some(number)),
            (None, "dport", Some(number)) => Field::Port(Of::Destination, Some(number)),
            (None, _, Some(number)) => unknown(vec![Condition::protocol(number)]),
            _ => unknown(Vec::new()),
        };
    }
    match (text("/meta/key"), text("/ct/key")) {
        (Some("l4proto"), _) => Field::Protocol(None),
        (Some("nfproto"), _) => Field::Family,
        (Some("protocol"), _) => Field::EtherType,
        (Some("iif" | "iifname" | "oif" | "oifname"), _) => Field::Interface,
        (_, Some("state")) => Field::State,
        _ => unknown(Vec::new()),
    }
}

/// Interfaces other than loopback may be the peers' or not; their packets never come by that.
fn interface(value: &Value) -> Condition {
    match value.as_str() {
        Some("lo") => Condition::Constant(false),
        Some(name) => Condition::Unknown(format!("the interface {name}")),
        None => unknown(value),
    }
}

fn any_family(values: &[&Value], family: impl Fn(&str) -> Option<Family>) -> Option<Condition> {
    let names: Option<Vec<_>> = values.iter().map(|value| value.as_str()).collect();
    let families = names?.into_iter().filter_map(family).map(Condition::Family);
    Some(Condition::Any(families.collect()))
}

/// Values as ranges; `None` when one of them is none.
fn spans(values: &[&Value], read: &dyn Fn(&Value) -> Option<(u128, u128)>) -> Option<Ranges> {
    let span = |value: &&Value| match value.get("range").and_then(Value::as_array) {
        Some(ends) => match ends.as_slice() {
            [first, last] => Some((read(first)?.0, read(last)?.1)),
            _ => None,
        },
        None => read(value),
    };
    Some(Ranges::new(values.iter().map(span).collect::<Option<Vec<_>>>()?))
}

fn address(value: &Value, family: Family) -> Option<(u128, u128)> {
    let parse = |text: &Value| text.as_str()?.parse::<IpAddr>().ok();
    let (address, length) = match value.get("prefix") {
        Some(prefix) => {
            let length = u8::try_from(prefix.get("len")?.as_u64()?).ok()?;
            (parse(prefix.get("addr")?)?, length)
        }
        None => (parse(value)?, family.bits()),
    };
    (Family::of(address) == family).then_some(())?;
    match length == family.bits() {
        true => Some((number(address), number(address))),
        false => Prefix::new(address, length).map(Prefix::span),
    }
}

fn port(value: &Value) -> Option<(u128, u128)> {
    let port = u16::try_from(value.as_u64()?).ok()?;
    Some((port.into(), port.into()))
}

fn protocol_number(value: &Value) -> Option<(u128, u128)> {
    let number = match value.as_str() {
        Some(name) => protocol::named(name)?,
        None => u8::try_from(value.as_u64()?).ok()?,
    };
    Some((number.into(), number.into()))
}

fn unknown(value: &Value) -> Condition {
    Condition::Unknown(shown(value))
}

/// The beginning of an expression, as it is listed.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    let short: String = text.chars().take(SHOWN_LETTERS_MAX).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}
