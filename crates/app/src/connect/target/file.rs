//! Changes in a file: one JSON object a line.
//!
//! ```json
//! {"op":"write","anchor":"…","kind":"user","attributes":{"displayName":"Ann","jobTitle":null}}
//! {"op":"members","group":"…","add":["…"],"remove":["…"]}
//! {"op":"manager","user":"…","manager":"…"}
//! {"op":"delete","anchor":"…","kind":"group"}
//! ```

use std::collections::BTreeMap;
use std::io::{BufRead, Read as _};
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
    let mut lines = std::io::BufReader::new(file);
    let mut changes = Vec::new();
    let wrong = |at: u64, why: &str| Failure::new(format!("{}: line {at}: {why}", path.display()));
    for at in 1.. {
        let line = next_line(&mut lines).map_err(|error| Failure::because(&doing, &error))?;
        let Some(line) = line else { break };
        if line.len() > LINE_OCTETS_MAX || changes.len() >= CHANGES_MAX {
            return Err(wrong(at, "the line is too long, or one too many"));
        }
        let line = String::from_utf8(line).map_err(|_| wrong(at, "it is no UTF-8"))?;
        if !line.trim().is_empty() {
            changes.push(parse(&line).map_err(|why| wrong(at, &why))?);
        }
    }
    Ok(changes)
}

/// The next line; of one that is too long, one octet more than it may have. None behind the last.
fn next_line(lines: &mut impl BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let most = LINE_OCTETS_MAX as u64 + 1;
    lines.take(most).read_until(b'\n', &mut line)?;
    let is_end = line.is_empty();
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok((!is_end).then_some(line))
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
    fn of_a_line_no_more_is_read_than_it_may_have() {
        let mut endless = std::io::BufReader::new(std::io::repeat(b'x'));
        let line = next_line(&mut endless).unwrap().unwrap();
        assert_eq!(line.len(), LINE_OCTETS_MAX + 1);
        let mut lines = &b"one\n\nlast"[..];
        for expected in [&b"one"[..], b"", b"last"] {
            assert_eq!(next_line(&mut lines).unwrap().as_deref(), Some(expected));
        }
        assert_eq!(next_line(&mut lines).unwrap(), None);
    }

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
