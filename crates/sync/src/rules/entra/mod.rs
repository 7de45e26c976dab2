//! The import of Entra Connect's exported configuration. Experimental.
//!
//! It reads the synchronisation policy that the wizard exports, and the rules of a JSON export as
//! `Get-ADSyncRule | ConvertTo-Json -Depth 10 -EnumsAsStrings` writes them, alone or anywhere within a
//! larger export. Rules of its default set are known by their tags and left to ours; those that an
//! administrator made become an overlay, as far as they can. What cannot be carried over is told.

mod names;
mod policy;
mod read;
mod rule;

use std::fmt;

use serde_json::Value as Json;

use super::raw::{RawFilter, RawRule};
use super::write::{self, quoted};
use read::Fields;

/// Octets that an export may have: 64 MiB.
pub const EXPORT_OCTETS_MAX: usize = 64 * 1024 * 1024;
/// How deep in an export the rules may be.
const DEPTH_MAX: usize = 8;

/// Why nothing was imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It is too large.
    #[error("the export has more than {EXPORT_OCTETS_MAX} octets")]
    TooLarge,
    /// It is no JSON.
    #[error("line {line}, column {column}: the export is no JSON")]
    NoJson {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// It only says where a migration wrote its files.
    #[error(
        "this is the list of a migration, whose rules stand in XML files beside it: export the policy \
         with the wizard (View or Export Current Configuration), or the rules with Get-ADSyncRule"
    )]
    Migration,
    /// There is no rule in it.
    #[error("the export has no synchronisation rule")]
    NoRules,
}

/// What became of a rule of the export, or of a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It is a rule of the default set, for which ours stands.
    Default,
    /// It is in the overlay.
    Carried,
    /// A part of it is not.
    Partly,
    /// It is not in the overlay.
    LeftOut,
}

/// A line of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The rule's name in the export.
    pub rule: String,
    /// What became of it.
    pub fate: Fate,
    /// What, and why.
    pub text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.text)
    }
}

/// An import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The overlay, as a rule file.
    pub overlay: String,
    /// What became of each rule, in the order of the export.
    pub report: Vec<Note>,
}

/// Imports an export.
///
/// # Errors
/// [`ImportError`] of what has no rules.
pub fn import(text: &str) -> Result<Imported, ImportError> {
    if text.len() > EXPORT_OCTETS_MAX {
        return Err(ImportError::TooLarge);
    }
    // Windows PowerShell begins its files with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let json: Json = serde_json::from_str(text)
        .map_err(|error| ImportError::NoJson { line: error.line(), column: error.column() })?;
    let mut overlay = Overlay::default();
    if let Some(policy) = policy::read(&json) {
        if policy.rules.is_empty() {
            return Err(ImportError::NoRules);
        }
        let mut importer = rule::Importer::new(&policy.connectors);
        importer.report.extend(policy.notes);
        for one in &policy.rules {
            overlay.add(importer.rule(&Fields(&one.fields), &one.remarks));
        }
        overlay.filters = policy.filters;
        return Ok(Imported { overlay: overlay.text(), report: importer.report });
    }
    let mut found = Vec::new();
    rules(&json, 0, &mut found);
    if found.is_empty() {
        let error =
            if policy::is_migration(&json) { ImportError::Migration } else { ImportError::NoRules };
        return Err(error);
    }
    let connectors = read::connectors(&json);
    let mut importer = rule::Importer::new(&connectors);
    for fields in found {
        overlay.add(importer.rule(&fields, &[]));
    }
    Ok(Imported { overlay: overlay.text(), report: importer.report })
}

#[derive(Default)]
struct Overlay {
    rules: Vec<RawRule>,
    disabled: Vec<&'static str>,
    filters: Vec<RawFilter>,
}

impl Overlay {
    fn add(&mut self, outcome: rule::Outcome) {
        match outcome {
            rule::Outcome::Rule(raw) => self.rules.push(*raw),
            rule::Outcome::Disabled(key) => self.disabled.push(key),
            rule::Outcome::Nothing => {}
        }
    }

    fn text(mut self) -> String {
        let mut text = String::from(
            "# Imported from Entra Connect. Read it with the report before it is used.\n",
        );
        self.disabled.sort_unstable();
        self.disabled.dedup();
        for key in self.disabled {
            text.push_str("\n[[disable]]\nkey = ");
            text.push_str(&quoted(key));
            text.push('\n');
        }
        for filter in &self.filters {
            text.push('\n');
            text.push_str(&write::filter(filter));
        }
        for rule in &self.rules {
            text.push('\n');
            text.push_str(&write::rule(rule));
        }
        text
    }
}

/// Every object of an export that is a rule.
fn rules<'j>(json: &'j Json, depth: usize, found: &mut Vec<Fields<'j>>) {
    if depth > DEPTH_MAX {
        return;
    }
    match json {
        Json::Array(items) => items.iter().for_each(|item| rules(item, depth + 1, found)),
        Json::Object(object) => {
            let fields = Fields(object);
            let is_rule = ["Direction", "SourceObjectType", "TargetObjectType", "Precedence"];
            if is_rule.iter().all(|name| fields.get(name).is_some()) {
                found.push(fields);
            } else {
                object.values().for_each(|value| rules(value, depth + 1, found));
            }
        }
        _ => {}
    }
}
