//! What was written to the forest, line by line, on disk before the directory is asked.
//!
//! Each line is a JSON object: a change with all values that go and come, and behind it what came of it. A
//! change behind which nothing stands was interrupted: only the directory knows whether it was made. A file
//! that has grown large makes way for a new one, and one old one is kept.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portolan_net::clock;
use portolan_sync::writeback::devices::{Change, Exchange, Values};
use serde_json::{Map, Value as Json, json};
use time::format_description::well_known::Rfc3339;

use crate::report::Failure;

/// The file, in the state directory.
const FILE: &str = "writeback-devices.jsonl";
/// Octets at which a file makes way.
const FILE_OCTETS_MAX: u64 = 16 * 1024 * 1024;

/// The file, being written.
pub(super) struct Journal {
    file: File,
    path: PathBuf,
    /// Changes so far in this run.
    count: u64,
}

impl Journal {
    /// Opens the file behind what stands there.
    pub(super) fn open(directory: &Path) -> Result<Self, Failure> {
        let path = directory.join(FILE);
        let failed = |error| Failure::because(&format!("cannot write {}", path.display()), &error);
        if std::fs::metadata(&path).is_ok_and(|found| found.len() > FILE_OCTETS_MAX) {
            std::fs::rename(&path, path.with_extension("jsonl.old")).map_err(failed)?;
        }
        let file = File::options().append(true).create(true).mode(0o600).open(&path);
        let file = file.map_err(failed)?;
        // The name is on disk only when its directory is.
        File::open(directory).and_then(|above| above.sync_all()).map_err(failed)?;
        Ok(Self { file, path: path.clone(), count: 0 })
    }

    /// Writes a change down before it is made, and gives its number.
    pub(super) fn begin(&mut self, change: &Change) -> Result<u64, Failure> {
        self.count += 1;
        let at = clock::now().format(&Rfc3339).unwrap_or_default();
        self.put(&json!({"number": self.count, "at": at, "change": shown(change)}))?;
        Ok(self.count)
    }

    /// Writes down what came of it.
    pub(super) fn end(&mut self, number: u64, made: bool) -> Result<(), Failure> {
        self.put(&json!({"number": number, "made": made}))
    }

    fn put(&mut self, line: &Json) -> Result<(), Failure> {
        let written = self.file.write_all(format!("{line}\n").as_bytes());
        written.and_then(|()| self.file.sync_data()).map_err(|error| {
            Failure::because(&format!("cannot write {}", self.path.display()), &error)
        })
    }
}

/// A change with its values: base64, as in LDIF, since some are octets.
fn shown(change: &Change) -> Json {
    let values = |values: &Values| -> Json {
        values.iter().map(|value| Json::from(STANDARD.encode(value))).collect()
    };
    match change {
        Change::Add { cn, attributes } => {
            let added: Map<_, _> = attributes
                .iter()
                .map(|(name, added)| ((*name).to_owned(), values(added)))
                .collect();
            json!({"add": cn, "attributes": added})
        }
        Change::Update { guid, dn, exchanges, .. } => {
            let changed = exchanges.iter().map(|Exchange { attribute, go, come }| {
                let exchanged = json!({"deleted": values(go), "added": values(come)});
                ((*attribute).to_owned(), exchanged)
            });
            let changed: Map<_, _> = changed.collect();
            json!({"update": guid.to_string(), "dn": dn, "attributes": changed})
        }
        Change::Delete { guid, dn, .. } => json!({"delete": guid.to_string(), "dn": dn}),
    }
}

#[cfg(test)]
mod tests {
    use portolan_model::Guid;

    use super::*;

    #[test]
    fn a_change_stands_there_before_it_is_made_and_runs_stand_behind_each_other() {
        let directory = tempfile::tempdir().unwrap();
        let guid = Guid::from_bytes_le([7; 16]);
        let exchange = Exchange {
            attribute: "msDS-IsEnabled",
            go: Values::from([b"TRUE".to_vec()]),
            come: Values::from([b"FALSE".to_vec()]),
        };
        let change = Change::Update {
            guid,
            dn: "CN=x".to_owned(),
            mark: b"m".to_vec(),
            exchanges: vec![exchange],
        };
        for made in [true, false] {
            let mut journal = Journal::open(directory.path()).unwrap();
            let number = journal.begin(&change).unwrap();
            journal.end(number, made).unwrap();
        }
        let text = std::fs::read_to_string(directory.path().join(FILE)).unwrap();
        let lines: Vec<Json> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let expected = json!({"update": guid.to_string(), "dn": "CN=x", "attributes":
            {"msDS-IsEnabled": {"deleted": ["VFJVRQ=="], "added": ["RkFMU0U="]}}});
        assert_eq!((&lines[0]["change"], &lines[0]["number"]), (&expected, &json!(1)));
        assert_eq!(lines[1], json!({"number": 1, "made": true}));
        assert_eq!(lines[3], json!({"number": 1, "made": false}));
    }
}
