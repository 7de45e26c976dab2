//! What the tenant wrote, as the checkers read it.

use std::collections::{BTreeMap, BTreeSet};

use portolan_app::connect::simulated::Origin as _;
use portolan_app::report::Failure;
use portolan_tenant::wire::{IngestResponse, Operation};

use crate::books::Books;
use crate::expected::number;

/// What the tenant wrote, as the checkers read it.
#[derive(Debug, Default)]
pub struct Log {
    /// The number of the object that was written under each anchor.
    pub numbers: BTreeMap<String, String>,
    /// The numbers of all objects that were written under each anchor: a person is shown as one or another one of
    /// those whom rules joined.
    pub names: BTreeMap<String, BTreeSet<String>>,
    /// The anchors under which something was deleted.
    pub ended: BTreeSet<String>,
    /// The anchors under which each object was written.
    pub anchors: BTreeMap<String, BTreeSet<String>>,
    /// The numbers of the objects that were deleted.
    pub deleted: BTreeSet<String>,
    /// Answers that were not the same to the same batch.
    pub unlike: Vec<String>,
    /// Batches of a server behind whose back another one had taken over.
    pub late: Vec<String>,
    /// Batches of a server in staging mode.
    pub staged: Vec<String>,
    /// What was written since it was last asked, for people.
    pub said: Vec<String>,
    /// What went, and what was let go.
    pub books: Books,
}

impl super::Tenant {
    /// Keeps for the checkers what was written.
    pub(super) fn note(&mut self, operations: &[Operation], answer: &str) -> Result<(), Failure> {
        let answer: IngestResponse = serde_json::from_str(answer)
            .map_err(|error| Failure::because("the answer is not understood", &error))?;
        for (operation, result) in operations.iter().zip(&answer.results) {
            let words = self.words(operation);
            if result.status != "ok" {
                let why = result.message.clone().unwrap_or_default();
                self.log.said.push(format!("refuses: {words}: {why}"));
                continue;
            }
            self.log.said.push(format!("writes: {words}"));
            let anchor = operation.anchor().to_owned();
            match operation {
                Operation::Upsert { attributes, .. } => {
                    let display = attributes.get("displayName").and_then(|name| name.as_str());
                    if let Some(number) = display.and_then(number) {
                        self.log.anchors.entry(number.clone()).or_default().insert(anchor.clone());
                        let names = self.log.names.entry(anchor.clone()).or_default();
                        names.insert(number.clone());
                        self.log.numbers.insert(anchor, number);
                    }
                }
                Operation::Delete { kind, .. } => {
                    if let Some(number) = self.log.numbers.get(&anchor) {
                        self.log.books.deleted(number, kind, self.clock.now());
                        self.log.deleted.insert(number.clone());
                        self.log.ended.insert(anchor);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// An operation, for people.
    fn words(&self, operation: &Operation) -> String {
        let name = |anchor: &String| {
            self.log.numbers.get(anchor).cloned().unwrap_or_else(|| anchor.clone())
        };
        let names = |anchors: &[String]| anchors.iter().map(name).collect::<Vec<_>>().join(" ");
        let who = name(&operation.anchor().to_owned());
        match operation {
            Operation::Upsert { anchor, kind, attributes, anew, .. } => {
                let display = attributes.get("displayName").and_then(|name| name.as_str());
                let who = display.and_then(number).unwrap_or_default();
                let anew = if *anew { ", anew" } else { "" };
                format!("{kind} {who} as {anchor}{anew}")
            }
            Operation::Delete { kind, .. } => format!("{kind} {who} goes"),
            Operation::References { attribute, added, removed, .. } => {
                let (added, removed) = (names(added), names(removed));
                format!("{attribute} of {who}: come {added:?}, go {removed:?}")
            }
            Operation::Photo { .. } | Operation::Credential { .. } => who,
        }
    }
}
