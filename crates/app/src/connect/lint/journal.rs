//! The undo file: what was changed, row by row, on disk before the directory is asked.
//!
//! Each line is a JSON object. A change is written down before it is sent, and what came of it behind
//! it: a process that is killed in between leaves a change of which only the directory knows whether it
//! was made, and undoing looks there. A last line that is cut off was never acted on.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use portolan_model::DnsName;
use portolan_sync::lint::Attribute;
use serde::{Deserialize, Serialize};

use super::change::Change;
use crate::report::Failure;

/// The form of the file.
const FORMAT: u32 = 1;
/// Octets that a line may have.
const LINE_OCTETS_MAX: usize = 1024 * 1024;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    /// The first one.
    UndoFile { format: u32, forest: String },
    /// A change that is about to be made.
    Change {
        row: u64,
        object_guid: String,
        dn: String,
        attribute: String,
        deleted: Option<String>,
        added: Option<String>,
    },
    /// The directory made it.
    Made { row: u64 },
    /// The directory refused it.
    Refused { row: u64 },
}

/// The file, being written.
pub(super) struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Makes the file, which must not be there yet.
    pub(super) fn create(path: &Path, forest: &DnsName) -> Result<Self, Failure> {
        let file = File::options().append(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|error| {
            Failure::because(&format!("cannot make the undo file {}", path.display()), &error)
                .with_hint("name another one by --undo-file; an undo file is never written over")
        })?;
        let mut this = Self { file, path: path.to_owned() };
        this.put(&Line::UndoFile { format: FORMAT, forest: forest.to_string() })?;
        // The name is on disk only when its directory is.
        let above = path.parent().filter(|above| !above.as_os_str().is_empty());
        let synced = File::open(above.unwrap_or(Path::new("."))).and_then(|above| above.sync_all());
        synced.map_err(|error| this.failed(&error))?;
        Ok(this)
    }

    /// Writes a change down before it is made.
    pub(super) fn begin(&mut self, change: &Change) -> Result<(), Failure> {
        self.put(&Line::Change {
            row: change.row,
            object_guid: change.guid.to_string(),
            dn: change.dn.clone(),
            attribute: change.attribute.name().to_owned(),
            deleted: change.delete.clone(),
            added: change.add.clone(),
        })
    }

    /// Writes down what came of it.
    pub(super) fn end(&mut self, change: &Change, made: bool) -> Result<(), Failure> {
        let row = change.row;
        self.put(&if made { Line::Made { row } } else { Line::Refused { row } })
    }

    fn put(&mut self, line: &Line) -> Result<(), Failure> {
        let text = serde_json::to_string(line)
            .map_err(|error| Failure::because("cannot write the undo file", &error))?;
        let written = self.file.write_all(format!("{text}\n").as_bytes());
        let written = written.and_then(|()| self.file.sync_data());
        written.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &std::io::Error) -> Failure {
        Failure::because(&format!("cannot write {}", self.path.display()), error)
    }
}

/// What takes the changes of an undo file back, the last one first. Those that the directory refused
/// are left out.
pub(super) fn read(path: &Path, forest: &DnsName) -> Result<Vec<Change>, Failure> {
    let doing = format!("cannot read {}", path.display());
    let file = File::open(path).map_err(|error| Failure::because(&doing, &error))?;
    let mut reader = BufReader::new(file);
    let mut changes: BTreeMap<u64, Change> = BTreeMap::new();
    let mut order = Vec::new();
    let (mut number, mut octets) = (0_u64, Vec::new());
    loop {
        octets.clear();
        let mut limited = std::io::Read::take(&mut reader, LINE_OCTETS_MAX as u64);
        let read = limited.read_until(b'\n', &mut octets);
        read.map_err(|error| Failure::because(&doing, &error))?;
        if octets.pop() != Some(b'\n') {
            if octets.len() + 1 == LINE_OCTETS_MAX {
                return Err(Failure::new(format!("{doing}: a line is too long")));
            }
            // Nothing more, or a line that was cut off.
            break;
        }
        number += 1;
        let wrong = |what: String| Failure::new(format!("{doing}: line {number}: {what}"));
        let line = serde_json::from_slice(&octets).map_err(|error| wrong(error.to_string()))?;
        match line {
            Line::UndoFile { format, forest: of } if number == 1 => {
                if format != FORMAT || of != forest.to_string() {
                    return Err(wrong(format!("it is of format {format} and the forest {of}")));
                }
            }
            _ if number == 1 => return Err(wrong("it is no undo file".to_owned())),
            Line::UndoFile { .. } => return Err(wrong("a second undo file begins".to_owned())),
            Line::Change { row, object_guid, dn, attribute, deleted: delete, added: add } => {
                let guid = object_guid.parse().map_err(|error| wrong(format!("{error}")))?;
                let known = Attribute::from_name(&attribute).filter(|known| known.is_mendable());
                let attribute =
                    known.ok_or_else(|| wrong(format!("{attribute:?} is not mended")))?;
                let change = Change { row, dn, guid, attribute, delete, add };
                changes.insert(row, change);
                order.push(row);
            }
            Line::Made { .. } => {}
            Line::Refused { row } => _ = changes.remove(&row),
        }
    }
    if number == 0 {
        return Err(Failure::new(format!("{doing}: it is empty")));
    }
    Ok(order.iter().rev().filter_map(|row| changes.remove(row)).map(Change::inverse).collect())
}

#[cfg(test)]
mod tests {
    use portolan_model::Guid;

    use super::*;

    fn change(row: u64) -> Change {
        Change {
            row,
            dn: "CN=a,DC=x".to_owned(),
            guid: Guid::from_bytes_le([7; 16]),
            attribute: Attribute::Mail,
            delete: Some(format!("old \"{row}\"\n")),
            add: (row != 3).then(|| format!("new{row}")),
        }
    }

    #[test]
    fn a_file_cut_off_anywhere_gives_what_may_have_been_made_and_no_more() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("undo");
        let forest: DnsName = "corp.example".parse().unwrap();
        let mut journal = Journal::create(&path, &forest).unwrap();
        assert!(Journal::create(&path, &forest).is_err(), "it is never written over");
        for row in 2..5 {
            journal.begin(&change(row)).unwrap();
            journal.end(&change(row), row != 4).unwrap();
        }
        let whole = read(&path, &forest).unwrap();
        assert_eq!(whole, [change(3).inverse(), change(2).inverse()]);
        assert!(read(&path, &"other.example".parse().unwrap()).is_err());
        let octets = std::fs::read(&path).unwrap();
        for end in 1..octets.len() {
            std::fs::write(&path, &octets[..end]).unwrap();
            let Ok(undone) = read(&path, &forest) else {
                assert!(end <= octets.iter().position(|o| *o == b'\n').unwrap(), "{end}");
                continue;
            };
            // What was begun is there, in whole lines alone.
            let text = String::from_utf8_lossy(&octets[..end]).into_owned();
            let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            let (begun, refused) = lines.fold((0, 0), |(begun, refused), line| {
                (
                    begun + usize::from(line.starts_with("{\"change\"")),
                    refused + usize::from(line.starts_with("{\"refused\"")),
                )
            });
            assert_eq!(undone.len(), begun - refused, "{end}");
        }
    }
}
