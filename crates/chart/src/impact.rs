//! Which of the product's functions need a link: what the lab observed when the link was closed.
//!
//! Nothing in `editions/impact.toml` is believed: a lab test closes the links one by one, writes down what
//! still works, and fails when the file says otherwise. A link that no built role uses has no observation.

use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::Flow;
use crate::data::{self, InvalidFile, parse};

const OBSERVATIONS: &str = include_str!("../editions/impact.toml");

/// Something that the product does for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Function {
    /// `connect init`: a sync server is enrolled.
    Enrolment,
    /// A first read of the whole forest.
    Import,
    /// A run that brings what changed into the connector space.
    IncrementalImport,
    /// A run that brings changed objects to the tenant.
    Export,
    /// A run that brings changed passwords to the tenant.
    PasswordHashSync,
    /// A person signs in at the tenant in a browser.
    SignIn,
    /// An application reads Graph in that person's name, and refreshes its token.
    Graph,
}

impl Function {
    /// Every function, in the order of a deployment's life.
    pub const ALL: [Self; 7] = [
        Self::Enrolment,
        Self::Import,
        Self::IncrementalImport,
        Self::Export,
        Self::PasswordHashSync,
        Self::SignIn,
        Self::Graph,
    ];

    /// As files and reports write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enrolment => "enrolment",
            Self::Import => "import",
            Self::IncrementalImport => "incremental-import",
            Self::Export => "export",
            Self::PasswordHashSync => "password-hash-sync",
            Self::SignIn => "sign-in",
            Self::Graph => "graph",
        }
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How connect was set to read the forest when a link was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reading {
    /// Signed and sealed by Kerberos, on the port of LDAP: as it is set up unless told otherwise.
    Sealed,
    /// Inside TLS, on the port of LDAPS.
    InsideTls,
}

impl Reading {
    /// As files and reports write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::InsideTls => "inside-tls",
        }
    }
}

/// What was observed when a link was closed by all of its transports. A function in neither list was not
/// tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The link.
    pub flow: Flow,
    /// How connect read the forest.
    pub reading: Reading,
    /// What did not work any more.
    pub needed_by: Vec<Function>,
    /// What worked all the same.
    pub spared: Vec<Function>,
}

impl Observation {
    /// Whether a function needs the link; `None` when that was not tried.
    #[must_use]
    pub fn is_needed_by(&self, function: Function) -> Option<bool> {
        match (self.needed_by.contains(&function), self.spared.contains(&function)) {
            (true, _) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
        }
    }
}

/// What was observed of a link: nothing, or once for each way of reading the forest in which it was closed.
pub fn observations(flow: Flow) -> impl Iterator<Item = &'static Observation> {
    all().iter().filter(move |observation| observation.flow == flow)
}

/// Everything that was observed, in the file's order.
#[must_use]
#[expect(clippy::expect_used, reason = "the data is embedded, and a test parses all of it")]
pub fn all() -> &'static [Observation] {
    static ALL: LazyLock<Vec<Observation>> =
        LazyLock::new(|| read(OBSERVATIONS).expect("INVARIANT: the observations keep the schema"));
    &ALL
}

fn read(source: &str) -> Result<Vec<Observation>, InvalidFile> {
    let file: File = toml::from_str(source).map_err(|error| InvalidFile::unread(source, &error))?;
    let broken = |place, rule: &str| Err(InvalidFile::at(source, place, rule));
    if *file.schema.get_ref() != data::SCHEMA {
        return broken(file.schema.span(), "the schema is not the one that this build reads");
    }
    let mut all: Vec<Observation> = Vec::new();
    for raw in file.observation {
        let flow = parse::<Flow>(source, &raw.flow)?;
        let place = raw.flow.span();
        let Raw { reading, needed_by, spared, .. } = raw;
        if all.iter().any(|other| (other.flow, other.reading) == (flow, reading)) {
            return broken(place, "a link is observed once for each way of reading the forest");
        }
        if needed_by.iter().any(|function| spared.contains(function)) {
            return broken(place, "a function either works or does not");
        }
        all.push(Observation { flow, reading, needed_by, spared });
    }
    Ok(all)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: Spanned<u32>,
    #[serde(default)]
    observation: Vec<Raw>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    flow: Spanned<String>,
    reading: Reading,
    needed_by: Vec<Function>,
    spared: Vec<Function>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_observations_keep_the_schema() {
        assert!(!read(OBSERVATIONS).unwrap().is_empty());
    }

    #[test]
    fn observations_that_break_a_rule_are_refused() {
        let one = "[[observation]]\nflow = \"connect.ad.dns\"\nreading = \"sealed\"\n";
        let check = |text: &str, expected: &str| {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        };
        let lists = "needed_by = [\"import\"]\nspared = [\"export\"]\n";
        let whole = format!("schema = 1\n{one}{lists}");
        assert_eq!(read(&whole).unwrap()[0].is_needed_by(Function::Import), Some(true));
        assert_eq!(read(&whole).unwrap()[0].is_needed_by(Function::Export), Some(false));
        assert_eq!(read(&whole).unwrap()[0].is_needed_by(Function::Graph), None);
        check(&whole.replace("schema = 1", "schema = 2"), "schema is not the one");
        check(&whole.replace(".dns", ".dnss"), "is no flow");
        check(&format!("{whole}{one}{lists}"), "is observed once");
        check(&whole.replace("\"export\"", "\"import\""), "either works");
        check(&whole.replace("\"export\"", "\"exports\""), "unknown variant");
    }
}
