//! Port numbers stand in the chart's data and nowhere else.
//!
//! A number is found as an integer (`dial(host, 636)`) and in a text (`"dc1:636"`, `"[::1]:636"`, and,
//! in the IO tier, `"636"` alone). The ports below 256 are let be as integers in the pure tiers and in
//! tests, and as hexadecimal: octets, lengths and error codes have the same values.

use std::collections::BTreeSet;

use portolan_chart::Chart;
use proc_macro2::TokenTree;

use super::exempt::PortLiteral;
use super::manifests::is_pure;
use super::source::Source;
use super::{Finding, Outcome};

/// Ends of ranges that are limits of other things too.
const NO_PORTS: [u16; 2] = [1024, u16::MAX];

/// Up to this an integer may be an octet or a length.
const SMALL_MAX: u16 = u8::MAX as u16;

/// Every port that some edition names: single ports, and the ends of ranges.
pub(super) fn of_every_edition() -> BTreeSet<u16> {
    Chart::editions()
        .iter()
        .filter_map(|edition| Chart::edition(&edition.id).ok())
        .flat_map(|chart| chart.all().flat_map(|row| row.ports.clone()).collect::<Vec<_>>())
        .flat_map(|range| [range.start(), range.end()])
        .filter(|port| !NO_PORTS.contains(port))
        .collect()
}

/// Integers and texts that are ports of the chart.
pub(super) fn literals(source: &Source, ports: &BTreeSet<u16>, exempt: &[PortLiteral]) -> Outcome {
    let mut outcome = Outcome::default();
    let listed = exempt.iter().find(|entry| entry.path == source.path);
    let pure = is_pure(&source.path);
    source.each_level(&mut |items, in_test| {
        for item in items {
            let TokenTree::Literal(literal) = &item.token else { continue };
            let text = literal.to_string();
            let port = match integer(&text) {
                Some(value) if value <= SMALL_MAX && (pure || in_test || text.starts_with('0')) => {
                    None
                }
                Some(value) => ports.get(&value).copied(),
                None if text.contains('"') => in_text(&text, ports, !pure),
                None => None,
            };
            let Some(port) = port else { continue };
            if let Some(entry) = listed.filter(|entry| in_test || !entry.tests_only) {
                outcome.used.insert(format!("port {}", entry.path));
                continue;
            }
            let what = format!("{text} names port {port}; dial or listen by a flow of the chart");
            outcome.broken.push(Finding::new(&source.path, item.line(), what));
        }
    });
    outcome
}

/// The value of an integer literal of any base, with or without a type.
fn integer(literal: &str) -> Option<u16> {
    let digits = literal.replace('_', "");
    let (base, digits) = match digits.get(..2) {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        _ => (10, digits.as_str()),
    };
    let suffixes = ["u16", "u32", "u64", "usize", "i32", "i64", "u8"];
    let bare = suffixes.iter().find_map(|suffix| digits.strip_suffix(suffix)).unwrap_or(digits);
    u16::from_str_radix(bare, base).ok()
}

/// The first port in a text: after a host's colon, or the whole text where `alone`.
fn in_text(literal: &str, ports: &BTreeSet<u16>, alone: bool) -> Option<u16> {
    let inside = literal.trim_start_matches(['b', 'r', 'c', '#']).trim_end_matches('#');
    let inside = inside.trim_matches('"');
    if alone && let Some(port) = inside.parse().ok().filter(|port| ports.contains(port)) {
        return Some(port);
    }
    inside.match_indices(':').find_map(|(at, _)| {
        let (before, after) = (&inside[..at], &inside[at + 1..]);
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        let port = digits.parse().ok().filter(|port| ports.contains(port))?;
        let next = after[digits.len()..].chars().next();
        (follows_host(before, digits.len()) && next != Some(':')).then_some(port)
    })
}

/// Whether a colon after `before` can part a host from a port of so many digits: not in `::53`, and not
/// in a time of day.
fn follows_host(before: &str, digits: usize) -> bool {
    let mut back = before.chars().rev();
    let is_time = digits == 2
        && back.clone().take(2).filter(char::is_ascii_digit).count() == 2
        && back.clone().nth(2).is_none_or(|third| !third.is_ascii_digit() && third != '.');
    let follows = back.next().is_none_or(|last| last.is_alphanumeric() || "]}".contains(last));
    follows && !is_time
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expected: Option<u16>) {
        let source = Source::parse(path, text).unwrap();
        let found = literals(&source, &of_every_edition(), &[]).broken;
        assert_eq!(found.len(), usize::from(expected.is_some()), "{text}: {found:?}");
        if let Some(port) = expected {
            assert!(found[0].what.contains(&format!("names port {port};")), "{}", found[0]);
        }
    }

    #[test]
    fn a_port_as_an_integer_is_found() {
        let net = "crates/net/src/a.rs";
        for (text, port) in [
            ("fn a() { dial(host, 636) }", 636),
            ("const A: u16 = 88;", 88),
            ("const A: u16 = 49_443_u16;", 49_443),
            ("const A: u16 = 0x1BB;", 443),
            ("fn a() { assert_eq!(b, (\"c\", 5671)) }", 5_671),
        ] {
            check(net, text, Some(port));
        }
        check(net, "const A: u16 = 1024;", None);
        check(net, "const A: u16 = 4431;", None);
        check(net, "/// Listens on 443.\nfn a() {} // 443", None);
    }

    #[test]
    fn small_numbers_that_may_be_octets_are_no_ports() {
        check("crates/net/src/a.rs", "const A: u8 = 0x50;", None);
        check("crates/net/src/a.rs", "#[cfg(test)] mod tests { const A: usize = 80; }", None);
        check("crates/net/src/a.rs", "#[cfg(test)] mod tests { const A: u16 = 389; }", Some(389));
        check("crates/rpc/src/a.rs", "const A: usize = 88;", None);
        check("crates/rpc/src/a.rs", "const A: u16 = 389;", Some(389));
        check("crates/ldap/src/a.rs", "const A: &str = \"dc1:53\";", Some(53));
    }

    #[test]
    fn a_port_in_a_text_is_found() {
        let net = "crates/net/src/a.rs";
        let text = |inside: &str| format!("const A: &str = \"{inside}\";");
        for (inside, port) in [
            ("127.0.0.1:443", 443),
            ("10.0.0.10:53", 53),
            ("[::1]:389", 389),
            ("https://login.cloud.example:443/", 443),
            ("{host}:88", 88),
            (":80", 80),
            ("443", 443),
        ] {
            check(net, &text(inside), Some(port));
        }
        check(net, "const A: &str = r#\"a:443\"#;", Some(443));
        check(net, "const A: &[u8] = b\"a:443\";", Some(443));
        for inside in ["fd00::53", "at 12:53", "12:53:00", "T10:15:53Z", "a:4431", "443 users"] {
            check(net, &text(inside), None);
        }
    }

    #[test]
    fn an_exemption_covers_what_it_names_and_no_more() {
        let list = [PortLiteral { path: "crates/net/src/a.rs", tests_only: true, reason: "x" }];
        let count = |text| {
            let source = Source::parse("crates/net/src/a.rs", text).unwrap();
            let outcome = literals(&source, &of_every_edition(), &list);
            (outcome.broken.len(), outcome.used.len())
        };
        assert_eq!(count("#[cfg(test)] mod tests { const A: u16 = 443; }"), (0, 1));
        assert_eq!(count("const A: u16 = 443;"), (1, 0));
    }
}
