//! Changes in a file: one JSON object a line.
//!
//! ```json
//! {"op":"write","anchor":"…","kind":"user","attributes":{"displayName":"Ann","jobTitle":null}}
//! {"op":"members","group":"…","add":["…"],"remove":["…"]}
//! {"op":"manager","user":"…","manager":"…"}
//! {"op":"delete","anchor":"…","kind":"group"}
//! ```

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::path::Path;

use portolan_sync::TenantKind;
use portolan_sync::target::graph::Value;
use portolan_sync::target::graph::{Change, Desired};
use serde::Deserialize;

use crate::report::Failure;

/// Octets that a line may have.
const LINE_OCTETS_MAX: usize = 4 * 1024 * 1024;

/// Changes that a file may have.
const CHANGES_MAX: usize = 2_000_000;

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
enum Line {
    Write {
        anchor: String,
        kind: String,
        attributes: BTreeMap<String, Option<RawValue>>,
    },
    Members {
        group: String,
        #[serde(default)]
        add: Vec<String>,
        #[serde(default)]
        remove: Vec<String>,
    },
    Manager {
        user: String,
        manager: Option<String>,
    },
    Delete {
        anchor: String,
        kind: String,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawValue {
    Text(String),
    Boolean(bool),
    Texts(Vec<String>),
}

impl From<RawValue> for Value {
    fn from(raw: RawValue) -> Self {
        match raw {
            RawValue::Text(text) => Self::Text(text),
            RawValue::Boolean(is) => Self::Boolean(is),
            RawValue::Texts(texts) => Self::Texts(texts),
        }
    }
}

/// Reads the changes of a file.
pub(super) fn read(path: &Path) -> Result<Vec<Change>, Failure> {
    let doing = format!("cannot read {}", path.display());
    let file = std::fs::File::open(path).map_err(|error| Failure::because(&doing, &error))?;
    let mut changes = Vec::new();
    for (at, line) in std::io::BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|error| Failure::because(&doing, &error))?;
        if line.trim().is_empty() {
            continue;
        }
        let change = match line.len() <= LINE_OCTETS_MAX && changes.len() < CHANGES_MAX {
            true => parse(&line),
            false => Err("the line is too long, or one too many".to_owned()),
        };
        let change = change
            .map_err(|why| Failure::new(format!("{}: line {}: {why}", path.display(), at + 1)))?;
        changes.push(change);
    }
    Ok(changes)
}

fn parse(line: &str) -> Result<Change, String> {
    let anchor = |text: &String| text.parse().map_err(|error| format!("{error}"));
    let kind = |name: &str| {
        TenantKind::from_name(name).ok_or_else(|| format!("{name:?} is no kind of object"))
    };
    let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
    Ok(match line {
        Line::Write { anchor: named, kind: is, attributes } => {
            let attributes = attributes.into_iter();
            let attributes =
                attributes.map(|(name, value)| (name, value.map(Value::from))).collect();
            Change::Write(Desired { anchor: anchor(&named)?, kind: kind(&is)?, attributes })
        }
        Line::Members { group, add, remove } => Change::Members {
            group: anchor(&group)?,
            add: add.iter().map(anchor).collect::<Result<_, _>>()?,
            remove: remove.iter().map(anchor).collect::<Result<_, _>>()?,
        },
        Line::Manager { user, manager } => Change::Manager {
            user: anchor(&user)?,
            manager: manager.as_ref().map(anchor).transpose()?,
        },
        Line::Delete { anchor: named, kind: is } => {
            Change::Delete { anchor: anchor(&named)?, kind: kind(&is)? }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_what_is_wrong_is_named() {
        let good = [
            r#"{"op":"write","anchor":"a=","kind":"user","attributes":{"city":null,"mail":"x"}}"#,
            r#"{"op":"members","group":"g","add":["a"]}"#,
            r#"{"op":"manager","user":"a","manager":null}"#,
            r#"{"op":"delete","anchor":"a","kind":"group"}"#,
        ];
        for line in good {
            assert!(parse(line).is_ok(), "{line}: {:?}", parse(line));
        }
        for (line, expected) in [
            ("", "EOF"),
            (r#"{"op":"erase","anchor":"a"}"#, "unknown variant"),
            (r#"{"op":"delete","anchor":"a","kind":"printer"}"#, "no kind of object"),
            (r#"{"op":"delete","anchor":"a b","kind":"user"}"#, "sourceAnchor"),
            (r#"{"op":"members","group":"g","ad":[]}"#, "unknown field"),
        ] {
            let why = parse(line).unwrap_err();
            assert!(why.contains(expected), "{why}");
        }
    }
}
