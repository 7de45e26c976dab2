//! The sheet of proposals: comma-separated values ([RFC 4180]) that an administrator edits in a
//! spreadsheet, and that are read back exactly.
//!
//! A spreadsheet carries out a cell that begins with one of `=+-@`, and rewrites one that is a number:
//! such a cell has an apostrophe before it, as one that begins with an apostrophe itself has. Reading
//! takes one off. A row without an action asks for nothing.
//!
//! [RFC 4180]: https://www.rfc-editor.org/rfc/rfc4180

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use portolan_model::Guid;
use portolan_sync::lint::{Attribute, Finding};

use super::change::Change;
use crate::report::Failure;

/// The columns; their names are an interface.
const COLUMNS: [&str; 7] =
    ["rule", "dn", "objectGUID", "attribute", "old_value", "proposed_value", "action"];
/// Octets that a sheet may have.
const SHEET_OCTETS_MAX: u64 = 256 * 1024 * 1024;
/// Rows that may ask for something.
const CHANGES_MAX: usize = 1_000_000;
/// Problems that are told of a sheet.
const PROBLEMS_MAX: usize = 20;
/// The row behind the names of the columns, as a spreadsheet counts.
const FIRST_ROW: u64 = 2;
const MARK: char = '\'';
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A sheet on its way to disk: in its place when it is whole.
pub(super) struct Writing {
    rows: csv::Writer<File>,
    beside: PathBuf,
    path: PathBuf,
}

impl Writing {
    /// Begins a sheet that its owner alone reads.
    pub(super) fn begin(path: &Path) -> Result<Self, Failure> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        let file =
            File::options().write(true).create(true).truncate(true).mode(0o600).open(&beside);
        let file = file.map_err(|error| unwritten(&beside, &error))?;
        let mut builder = csv::WriterBuilder::new();
        let mut rows = builder.terminator(csv::Terminator::CRLF).from_writer(file);
        rows.write_record(COLUMNS).map_err(|error| unwritten(&beside, &error))?;
        Ok(Self { rows, beside, path: path.to_owned() })
    }

    /// Writes the findings of one object, one row for each value however many rules it breaks.
    pub(super) fn put(&mut self, findings: &[Finding]) -> Result<(), Failure> {
        let mut rows: BTreeMap<(Option<Attribute>, &str), (Vec<&str>, &Finding)> = BTreeMap::new();
        for finding in findings {
            let key = (finding.attribute, finding.value.as_str());
            let (rules, row) = rows.entry(key).or_insert_with(|| (Vec::new(), finding));
            rules.push(finding.rule.name());
            if row.proposal.is_none() {
                *row = finding;
            }
        }
        for (rules, row) in rows.into_values() {
            let (rules, guid) = (rules.join(" "), row.guid.to_string());
            let record = [
                rules.as_str(),
                &row.dn,
                &guid,
                row.attribute.map_or("", Attribute::name),
                &row.value,
                row.proposal.as_deref().unwrap_or_default(),
                "",
            ];
            let record = record.map(guarded);
            self.rows.write_record(record).map_err(|error| unwritten(&self.beside, &error))?;
        }
        Ok(())
    }

    /// Puts the sheet in its place.
    pub(super) fn finish(self) -> Result<(), Failure> {
        let Self { rows, beside, path } = self;
        let file = rows.into_inner().map_err(|error| unwritten(&beside, error.error()))?;
        let placed = (&file).flush().and_then(|()| file.sync_all());
        let placed = placed.and_then(|()| std::fs::rename(&beside, &path));
        placed.map_err(|error| unwritten(&path, &error))
    }
}

/// A cell that a spreadsheet takes for text.
fn guarded(cell: &str) -> String {
    let acts = |c: char| {
        matches!(c, '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠' | MARK)
    };
    let number = !cell.is_empty() && cell.trim().parse::<f64>().is_ok();
    if cell.starts_with(acts) || number { format!("{MARK}{cell}") } else { cell.to_owned() }
}

fn unguarded(cell: &str) -> &str {
    cell.strip_prefix(MARK).unwrap_or(cell)
}

/// The rows of a sheet that ask for a change. All that is wrong with it is said at once, and then
/// nothing of it counts.
pub(super) fn read(path: &Path) -> Result<Vec<Change>, Failure> {
    let doing = format!("cannot read {}", path.display());
    let text = crate::files::read_text_at_most(path, SHEET_OCTETS_MAX)
        .map_err(|error| Failure::because(&doing, &error));
    let text = text.map_err(|failure| failure.with_hint("save it as CSV in UTF-8"))?;
    parse(&text).map_err(|problems| {
        let told = problems.iter().take(PROBLEMS_MAX).cloned().collect::<Vec<_>>().join("\n");
        Failure::new(format!("{} is not right:\n{told}", path.display())).with_hint(
            "nothing was changed; the columns are those that `connect lint --csv` writes",
        )
    })
}

fn parse(text: &str) -> Result<Vec<Change>, Vec<String>> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let head = text.lines().next().unwrap_or_default();
    // What spreadsheets write where a comma stands in numbers.
    let delimiter = if head.contains(';') && !head.contains(',') { b';' } else { b',' };
    let mut rows = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
    let columns = rows.headers().map_err(|error| vec![error.to_string()])?.clone();
    let place = |name: &str| {
        let found = columns.iter().position(|column| column.trim().eq_ignore_ascii_case(name));
        found.ok_or_else(|| vec![format!("it has no column {name}")])
    };
    let mut places = [0; COLUMNS.len()];
    for (at, name) in places.iter_mut().zip(COLUMNS) {
        *at = place(name)?;
    }
    let (mut changes, mut problems, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (row, at) in rows.records().zip(FIRST_ROW..) {
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                problems.push(error.to_string());
                break;
            }
        };
        let cells = places.map(|at| unguarded(row.get(at).unwrap_or_default()));
        match change(cells, at) {
            Ok(None) => {}
            Ok(Some(change)) => {
                let key = (change.guid, change.attribute, change.delete.clone());
                if !seen.insert(key) {
                    problems.push(format!("row {at}: the same value is changed above"));
                }
                changes.push(change);
            }
            Err(problem) => problems.push(format!("row {at}: {problem}")),
        }
        if changes.len() > CHANGES_MAX {
            problems.push(format!("more than {CHANGES_MAX} rows have an action"));
            break;
        }
    }
    if problems.is_empty() { Ok(changes) } else { Err(problems) }
}

/// The change that a row asks for.
fn change(cells: [&str; COLUMNS.len()], row: u64) -> Result<Option<Change>, String> {
    let [_, dn, guid, attribute, old, proposed, action] = cells;
    let old = (!old.is_empty()).then(|| old.to_owned());
    let new = (!proposed.is_empty()).then(|| proposed.to_owned());
    let add = match action.trim().to_ascii_lowercase().as_str() {
        "" | "keep" | "complete" => return Ok(None),
        "replace" | "edit" => Some(new.ok_or("replace needs a proposed_value")?),
        "remove" if old.is_none() => return Err("remove needs an old_value".to_owned()),
        "remove" => None,
        other => return Err(format!("{other:?} is no action: replace, remove or keep")),
    };
    if add == old {
        return Err("proposed_value is old_value".to_owned());
    }
    let guid: Guid = guid.trim().parse().map_err(|error| format!("objectGUID: {error}"))?;
    let known = Attribute::from_name(attribute.trim()).filter(|known| known.is_mendable());
    let attribute = known.ok_or_else(|| format!("{attribute:?} is no attribute that is mended"))?;
    Ok(Some(Change { row, dn: dn.to_owned(), guid, attribute, delete: old, add }))
}

fn unwritten(path: &Path, error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::because(&format!("cannot write {}", path.display()), error)
}

#[cfg(test)]
mod tests;
