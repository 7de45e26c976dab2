//! What holds of a link in every edition: what fails without it, what is spoken there, and under which
//! names tshark shows it.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;
use toml::Spanned;

use crate::data::{self, InvalidFile, parse, texts_are_printable};
use crate::{Flow, flow};

const FLOWS: &str = include_str!("../editions/flows.toml");

/// What no edition changes of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// What fails when the row is closed, in one sentence.
    pub without: String,
    /// The specifications of what is spoken, by name and section, the nearest first. Never empty.
    pub specification: Vec<String>,
    /// The names of tshark's dissectors that show it, the outermost first; in a row of two transports
    /// each may have its own. Never empty.
    pub tshark: Vec<String>,
}

/// The facts of a link.
#[must_use]
#[expect(clippy::expect_used, reason = "the data is embedded, and a test parses all of it")]
pub fn facts(flow: Flow) -> &'static Facts {
    static FACTS: LazyLock<HashMap<Flow, Facts>> =
        LazyLock::new(|| read(FLOWS).expect("INVARIANT: the embedded facts keep the schema"));
    FACTS.get(&flow).expect("INVARIANT: every flow has its facts")
}

impl Flow {
    /// What holds of the link in every edition.
    #[must_use]
    pub fn facts(self) -> &'static Facts {
        facts(self)
    }
}

fn read(source: &str) -> Result<HashMap<Flow, Facts>, InvalidFile> {
    let file: File = toml::from_str(source).map_err(|error| InvalidFile::unread(source, &error))?;
    let broken = |place, rule: &str| Err(InvalidFile::at(source, place, rule));
    if *file.schema.get_ref() != data::SCHEMA {
        return broken(file.schema.span(), "the schema is not the one that this build reads");
    }
    let mut facts = HashMap::new();
    for raw in file.flow {
        let flow = parse::<Flow>(source, &raw.name)?;
        texts_are_printable(source, [&raw.without])?;
        texts_are_printable(
            source,
            raw.specification.get_ref().iter().chain(raw.tshark.get_ref()),
        )?;
        if !raw.without.get_ref().ends_with('.') {
            return broken(raw.without.span(), "what fails without a row is a sentence");
        }
        for list in [&raw.specification, &raw.tshark] {
            if list.get_ref().is_empty() {
                return broken(list.span(), "a flow has a specification and tshark's name for it");
            }
        }
        let names = |list: Spanned<Vec<Spanned<String>>>| -> Vec<_> {
            list.into_inner().into_iter().map(Spanned::into_inner).collect()
        };
        let value = Facts {
            without: raw.without.into_inner(),
            specification: names(raw.specification),
            tshark: names(raw.tshark),
        };
        if facts.insert(flow, value).is_some() {
            return broken(raw.name.span(), "a flow stands once");
        }
    }
    match flow::ALL.iter().find(|flow| !facts.contains_key(flow)) {
        Some(flow) => broken(source.len()..source.len(), &format!("{flow} has no facts")),
        None => Ok(facts),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: Spanned<u32>,
    flow: Vec<RawFlow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFlow {
    name: Spanned<String>,
    without: Spanned<String>,
    specification: Spanned<Vec<Spanned<String>>>,
    tshark: Spanned<Vec<Spanned<String>>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flow_has_its_facts_and_each_says_what_fails_in_its_own_words() {
        for flow in flow::ALL {
            assert!(flow.facts().without.len() > 20, "{flow}");
        }
        assert_eq!(flow::CONNECT_AD_KPASSWD.facts().specification, ["RFC 3244 section 2"]);
    }

    #[test]
    fn tshark_has_a_dissector_of_every_name() {
        let known = std::process::Command::new("tshark").args(["-G", "protocols"]).output();
        let known = known.expect("tshark is installed by `cargo xtask setup`");
        let known = String::from_utf8(known.stdout).unwrap();
        // A line is a protocol's name, its short name and the one that filters use.
        let filters: Vec<_> = known.lines().filter_map(|line| line.split('\t').nth(2)).collect();
        for flow in flow::ALL {
            for name in &flow.facts().tshark {
                assert!(filters.contains(&name.as_str()), "{flow}: tshark knows no {name}");
            }
        }
    }

    #[test]
    fn facts_that_break_a_rule_are_refused() {
        let check = |change: (&str, &str), expected: &str| {
            let broken = FLOWS.replacen(change.0, change.1, 1);
            assert_ne!(broken, FLOWS, "the case {change:?} changes nothing");
            let error = read(&broken).unwrap_err().to_string();
            assert!(error.contains(expected), "{change:?}: {error}");
        };
        check(("schema = 1", "schema = 2"), "schema is not the one");
        check(("connect.ad.dns", "connect.ad.dnss"), "is no flow of the chart");
        check(("connect.ad.dns", "connect.ad.kerberos"), "stands once");
        check(("works.\"", "works\""), "is a sentence");
        check(("tshark = [\"dns\"]", "tshark = []"), "tshark's name");
        check(("tshark = ", "wireshark = "), "unknown field `wireshark`");
        let (head, first) = FLOWS.split_once("[[flow]]").unwrap();
        let (_, others) = first.split_once("[[flow]]").unwrap();
        let error = read(&format!("{head}[[flow]]{others}")).unwrap_err().to_string();
        assert!(error.contains("connect.ad.dns has no facts"), "{error}");
    }
}
