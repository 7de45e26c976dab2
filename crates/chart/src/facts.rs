//! What holds of a link in every edition: what fails without it, what is spoken there, and under which
//! names tshark shows it.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::data::{self, InvalidData};
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

fn read(text: &str) -> Result<HashMap<Flow, Facts>, InvalidData> {
    let file: File = toml::from_str(text)?;
    let rule = |what: &str, rule| Err(InvalidData::Rule(what.to_owned(), rule));
    if file.schema != data::SCHEMA {
        return rule("the file", "its schema is the one that this build reads");
    }
    let mut facts = HashMap::new();
    for raw in file.flow {
        let Ok(flow) = raw.name.parse::<Flow>() else {
            return rule(&raw.name, "its flow is a constant of `flow`");
        };
        if raw.without.is_empty() || !raw.without.ends_with('.') {
            return rule(&raw.name, "what fails without it is a sentence");
        }
        if raw.specification.is_empty() || raw.tshark.is_empty() {
            return rule(&raw.name, "it has a specification and tshark's name for it");
        }
        let RawFlow { name, without, specification, tshark } = raw;
        if facts.insert(flow, Facts { without, specification, tshark }).is_some() {
            return rule(&name, "a flow stands once");
        }
    }
    if let Some(flow) = flow::ALL.iter().find(|flow| !facts.contains_key(flow)) {
        return rule(flow.name(), "every flow has its facts");
    }
    Ok(facts)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: u32,
    flow: Vec<RawFlow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFlow {
    name: String,
    without: String,
    specification: Vec<String>,
    tshark: Vec<String>,
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
    fn facts_that_break_a_rule_are_refused() {
        let check = |change: (&str, &str), expected: &str| {
            let broken = FLOWS.replacen(change.0, change.1, 1);
            assert_ne!(broken, FLOWS, "the case {change:?} changes nothing");
            let error = read(&broken).unwrap_err().to_string();
            assert!(error.contains(expected), "{change:?}: {error}");
        };
        check(("schema = 1", "schema = 2"), "schema is the one");
        check(("connect.ad.dns", "connect.ad.dnss"), "a constant of `flow`");
        check(("connect.ad.dns", "connect.ad.kerberos"), "stands once");
        check(("works.\"", "works\""), "is a sentence");
        check(("tshark = [\"dns\"]", "tshark = []"), "tshark's name");
        check(("tshark = ", "wireshark = "), "unknown field `wireshark`");
        let (head, first) = FLOWS.split_once("[[flow]]").unwrap();
        let (_, others) = first.split_once("[[flow]]").unwrap();
        let error = read(&format!("{head}[[flow]]{others}")).unwrap_err().to_string();
        assert!(error.contains("connect.ad.dns breaks a rule: every flow"), "{error}");
    }
}
