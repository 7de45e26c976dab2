//! What came of one object, as it is shown: before and after, in the forest and in the target.

use portolan_model::Guid;
use portolan_store::state::{Export, Found, RunId};
use portolan_sync::Dictionary;
use portolan_sync::engine::PendingExport;
use portolan_sync::record::{Record, ValueRef};
use serde::Serialize;

use crate::connect::export::Exported;
use crate::connect::import::One;
use crate::connect::passwords::Replicated;
use crate::connect::running::{Counted, Counts};
use crate::report::Failure;
use crate::terminal::plain;

/// Characters of a value that are shown.
const VALUE_CHARS_MAX: usize = 120;

/// What came of an object.
#[derive(Debug, Serialize)]
pub(in super::super) struct Shown {
    /// The run that did it.
    run: i64,
    forest: String,
    guid: String,
    /// Its name in the forest: as it is, or as it was when it is gone.
    object: Option<String>,
    kind: Option<String>,
    /// What the import found it to be: new, changed, unchanged, gone, or of no kind that is imported.
    imported: &'static str,
    /// What the import found to be other than before.
    attributes: Vec<Difference>,
    /// Why it is not synchronised.
    pub(super) left_out: Option<String>,
    /// What is wrong with it.
    pub(super) errors: Vec<String>,
    /// What was sent of it.
    exports: Vec<Sent>,
    /// References of it and to it that were added or removed.
    references: usize,
    /// What became of its password, of a user whose password is replicated.
    password: Option<String>,
    /// What the target refused, and why.
    refused: Vec<String>,
    /// What is to be told of what the target took.
    warnings: Vec<String>,
}

/// What is other of an attribute.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Difference {
    name: String,
    before: Vec<String>,
    after: Vec<String>,
}

/// A change in the target.
#[derive(Debug, Serialize)]
struct Sent {
    change: &'static str,
    kind: &'static str,
    anchor: String,
    attributes: Vec<Difference>,
}

impl Counted for Shown {
    fn counts(&self) -> Counts {
        Counts {
            objects: Some(1),
            references: Some(self.references as u64),
            refused: Some(self.refused.len() as u64),
            ..Counts::default()
        }
    }
}

impl Shown {
    /// What the import found.
    pub(super) fn new(
        run: RunId,
        (forest, guid): (&str, Guid),
        one: &One,
        names: &Dictionary,
    ) -> Self {
        let One { before, after } = one;
        let imported = match (before, after) {
            (None, None) => "not of a kind that is imported",
            (None, Some(_)) => "new",
            (Some(_), None) => "gone",
            (Some(before), Some(after)) if before == after => "unchanged",
            (Some(_), Some(_)) => "changed",
        };
        let any = after.as_ref().or(before.as_ref());
        let (mut attributes, none) = (Vec::new(), Record::default());
        if let (Some(before), Some(after)) = (before, after) {
            attributes.extend(moved(before, after));
        }
        let record = |found: &'_ Option<Found>| {
            found.as_ref().map_or_else(|| none.clone(), |found| found.record.clone())
        };
        if imported == "changed" || imported == "new" {
            attributes.extend(differences(names, &record(before), &record(after)));
        }
        Self {
            run: run.0,
            forest: forest.to_owned(),
            guid: guid.to_string(),
            object: any.map(|found| found.dn.to_string()),
            kind: any.map(|found| found.kind.as_str().to_owned()),
            imported,
            attributes,
            left_out: None,
            errors: Vec::new(),
            exports: Vec::new(),
            references: 0,
            password: None,
            refused: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// What became of its password.
    pub(super) fn password(&mut self, replicated: Result<Option<Replicated>, Failure>) {
        let why = match replicated {
            Ok(None) => return,
            Ok(Some(done)) if done.sent > 0 => {
                self.password = Some("replicated".to_owned());
                return;
            }
            Ok(Some(done)) => {
                let refused = done.refused.into_iter().map(|one| one.why);
                refused.chain(done.faulty.into_iter().map(|one| one.why)).next()
            }
            Err(failure) => Some(failure.text().to_owned()),
        };
        let Some(why) = why else {
            self.password = Some("it has none".to_owned());
            return;
        };
        self.refused.push(format!("its password was not replicated: {why}"));
        self.password = Some(format!("not replicated: {why}"));
    }

    /// What was to be sent, and what became of it.
    pub(super) fn sent(&mut self, pending: &[Export], exported: Exported, names: &Dictionary) {
        let none = Record::default();
        for export in pending {
            let before = export.confirmed.as_ref().unwrap_or(&none);
            let (change, after) = match &export.pending {
                PendingExport::Add(record) => ("add", record),
                PendingExport::Update(record) => ("change", record),
                PendingExport::Delete => ("delete", &none),
            };
            let attributes = differences(names, before, after);
            let (kind, anchor) = (export.kind.as_str(), export.anchor.to_string());
            self.exports.push(Sent { change, kind, anchor, attributes });
        }
        self.references = exported.references;
        self.warnings = exported.warnings;
        let refused = exported.refused.into_iter();
        self.refused.extend(refused.map(|one| format!("{}: {}", one.anchor, one.why)));
    }

    /// Prints it for people's eyes.
    pub(in super::super) fn print(&self) {
        let name = self.object.as_deref().unwrap_or(&self.guid);
        let kind = self.kind.as_deref().unwrap_or("object");
        println!("{} ({kind}) of {}", plain(name), self.forest);
        println!("  in the forest: {}", self.imported);
        print(&self.attributes);
        if let Some(why) = &self.left_out {
            println!("  not synchronised: {}", plain(why));
        }
        for error in &self.errors {
            println!("  wrong: {}", plain(error));
        }
        for Sent { change, kind, anchor, attributes } in &self.exports {
            println!("  in the target: {change} {kind} {anchor}");
            print(attributes);
        }
        if self.exports.is_empty() {
            println!("  in the target: nothing to change");
        }
        if self.references > 0 {
            println!("  in the target: {} references added or removed", self.references);
        }
        if let Some(password) = &self.password {
            println!("  password: {}", plain(password));
        }
        for warning in &self.warnings {
            println!("  to be known: {}", plain(warning));
        }
    }

    /// Whether the target took everything.
    ///
    /// # Errors
    /// When it refused something.
    pub(in super::super) fn check_taken(&self) -> Result<(), Failure> {
        if self.refused.is_empty() {
            return Ok(());
        }
        Err(Failure::new(format!("not all of it was taken: {}", self.refused.join("; ")))
            .with_hint("it is tried again by the next cycle"))
    }
}

/// A name that is other than before.
fn moved(before: &Found, after: &Found) -> Option<Difference> {
    let of = |found: &Found| vec![found.dn.to_string()];
    let name = "distinguishedName".to_owned();
    (before.dn != after.dn).then(|| Difference { name, before: of(before), after: of(after) })
}

/// Attributes that are other in one record than in another.
fn differences(names: &Dictionary, before: &Record, after: &Record) -> Vec<Difference> {
    let mut ids: Vec<_> = before.iter().chain(after).map(|(id, _)| id).collect();
    ids.sort_unstable();
    ids.dedup();
    let differing = ids.into_iter().filter(|id| !before.values(*id).eq(after.values(*id)));
    let difference = |id| Difference {
        name: names.show(id).to_string(),
        before: before.values(id).map(short).collect(),
        after: after.values(id).map(short).collect(),
    };
    differing.map(difference).collect()
}

fn print(differences: &[Difference]) {
    for Difference { name, before, after } in differences {
        println!("    {name}: {} -> {}", listed(before), listed(after));
    }
}

fn listed(values: &[String]) -> String {
    if values.is_empty() { "nothing".to_owned() } else { plain(&values.join(", ")).to_string() }
}

fn short(value: ValueRef<'_>) -> String {
    let text = value.to_shown();
    let short: String = text.chars().take(VALUE_CHARS_MAX).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}
