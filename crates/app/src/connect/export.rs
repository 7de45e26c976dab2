//! From what is to be exported to the tenant: batches out, acknowledgements into the state.

use std::collections::BTreeMap;

use portolan_model::{Entropy as _, Guid};
use portolan_net::entropy::SystemEntropy;
use portolan_store::state::{Export, Place, ReferenceExport, ReferencePlace, Refusal, State};
use portolan_sync::TenantKind;
use portolan_sync::engine::{ConnectorId, PendingExport};
use portolan_sync::guard::Quarantine;
use portolan_sync::record::{Record, ValueRef, Values};
use portolan_sync::{AttributeId, Dictionary};
use portolan_tenant::directory::{ATTRIBUTES, Attribute, Shape};
use portolan_tenant::wire::{
    BODY_OCTETS_MAX, IngestRequest, IngestResponse, OPERATIONS_MAX, Operation, REFERENCES_MAX,
};
use serde_json::Value as Json;

use super::batches::Batches;
use super::gate::Closed;
use super::plan::Chosen;
use crate::report::Failure;

/// Octets of a batch's operations: what the tenant takes, less what stands around them.
const BATCH_OCTETS_MAX: usize = BODY_OCTETS_MAX - 64 * 1024;
/// Objects and references that are read from the state at once.
const EXPORTS_AT_ONCE: u32 = 2_000;
const REFERENCES_AT_ONCE: u32 = 20_000;

/// Who takes batches: the tenant, or a simulated one.
#[expect(async_fn_in_trait, reason = "one task exports, and moves to no other thread")]
pub trait Ingest {
    /// Sends one batch. The same batch may be sent again: the tenant applies it once.
    async fn ingest(&mut self, batch: &IngestRequest) -> Result<IngestResponse, Failure>;

    /// The epoch of the lease that a batch carries; none where no lease is used.
    ///
    /// # Errors
    /// When another server is the one that writes, or may be by now: nothing is sent then.
    fn lease_epoch(&self) -> Result<Option<u64>, Failure> {
        Ok(None)
    }

    /// A name for a batch, which no other one has.
    fn name(&mut self) -> Guid {
        Guid::from_random(SystemEntropy.array())
    }
}

/// An object that the tenant refused.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct Refused {
    /// Its anchor.
    pub(super) anchor: String,
    /// What the tenant says.
    pub(super) why: String,
}

/// What an export did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Exported {
    pub(super) added: usize,
    pub(super) updated: usize,
    pub(super) deleted: usize,
    /// References that were added or removed.
    pub(super) references: usize,
    pub(super) refused: Vec<Refused>,
    /// What was not exported because it would take too much away.
    pub(super) held: Vec<String>,
    /// Why nothing was exported.
    pub(super) closed: Option<Closed>,
    pub(super) warnings: Vec<String>,
}

/// An export under way.
pub(super) struct Exporter<'a, T> {
    pub(super) tenant: &'a mut T,
    pub(super) state: &'a State,
    pub(super) target: ConnectorId,
    pub(super) names: &'a Dictionary,
    /// What is sent of what is pending; without it, all.
    pub(super) chosen: Option<&'a Chosen>,
    /// What is not sent because it would take too much away.
    pub(super) quarantine: &'a Quarantine,
}

impl<T: Ingest> Exporter<'_, T> {
    /// Sends everything that is pending, in its order, and keeps what the tenant acknowledged after each
    /// batch, so that a run that is broken off goes on where it was.
    pub(super) async fn run(&mut self) -> Result<Exported, Failure> {
        let mut exported = Exported::default();
        self.objects(&mut exported).await?;
        self.references(&mut exported).await?;
        Ok(exported)
    }

    async fn objects(&mut self, exported: &mut Exported) -> Result<(), Failure> {
        let mut after = Place::default();
        loop {
            let mut pending =
                self.state.pending_exports(self.target, after, EXPORTS_AT_ONCE).await?;
            let Some(last) = pending.last() else { return Ok(()) };
            after = last.place;
            let waits = |export: &Export| {
                export.pending == PendingExport::Delete
                    && self.quarantine.holds_objects(export.kind)
            };
            pending.retain(|export| !waits(export));
            if let Some(chosen) = self.chosen {
                pending.retain(|export| chosen.has(export));
            }
            let mut waiting = pending.as_slice();
            while !waiting.is_empty() {
                let operations = fill_batch(waiting.iter().map(|export| self.operation(export)));
                let (sent, rest) = waiting.split_at(operations.len());
                waiting = rest;
                self.send(sent, operations, exported).await?;
            }
        }
    }

    async fn send(
        &mut self,
        sent: &[Export],
        operations: Vec<Operation>,
        exported: &mut Exported,
    ) -> Result<(), Failure> {
        let answer = send(self.tenant, self.state, self.target, operations).await?;
        let (mut acknowledged, mut refusals) = (Vec::new(), Vec::new());
        for (export, result) in sent.iter().zip(&answer.results) {
            if let Some(refused) = refusal(result) {
                let code = result.code.clone().unwrap_or_else(|| "refused".to_owned());
                refusals.push(Refusal { key: export.key, code, text: refused.why.clone() });
                exported.refused.push(refused);
                continue;
            }
            match export.pending {
                PendingExport::Add(_) => exported.added += 1,
                PendingExport::Update(_) => exported.updated += 1,
                PendingExport::Delete => exported.deleted += 1,
            }
            exported.warnings.extend(self.warning(export));
            acknowledged.push(export.clone());
        }
        self.state.acknowledge(&acknowledged).await?;
        if !refusals.is_empty() {
            self.state.refuse(&refusals).await?;
        }
        Ok(())
    }

    async fn references(&mut self, exported: &mut Exported) -> Result<(), Failure> {
        let mut after = ReferencePlace::default();
        loop {
            let mut pending =
                self.state.pending_references(self.target, after, REFERENCES_AT_ONCE).await?;
            let Some(last) = pending.last() else { return Ok(()) };
            after = last.place;
            pending.retain(|export| {
                export.is_added || !self.quarantine.holds_references(&export.anchor)
            });
            if let Some(chosen) = self.chosen {
                pending.retain(|export| chosen.has_reference(export, self.names));
            }
            let groups =
                pending.chunk_by(|a, b| (a.source, a.attribute) == (b.source, b.attribute));
            let pieces: Vec<_> = groups.flat_map(|group| group.chunks(REFERENCES_OF_ONE)).collect();
            let mut waiting = pieces.as_slice();
            while !waiting.is_empty() {
                let count = within(waiting.iter().map(|piece| piece.len()), REFERENCES_MAX);
                let of_limit = waiting.iter().take(count);
                let operations = fill_batch(of_limit.map(|piece| self.reference(piece)));
                let (sent, rest) = waiting.split_at(operations.len());
                waiting = rest;
                let answer = send(self.tenant, self.state, self.target, operations).await?;
                let mut acknowledged = Vec::new();
                for (piece, result) in sent.iter().zip(&answer.results) {
                    match refusal(result) {
                        None => acknowledged.extend(piece.iter().cloned()),
                        Some(refused) => exported.refused.push(refused),
                    }
                }
                exported.references += acknowledged.len();
                self.state.acknowledge_references(&acknowledged).await?;
            }
        }
    }

    fn operation(&self, export: &Export) -> Operation {
        let (anchor, kind) = (export.anchor.to_string(), export.kind.to_string());
        let record = match &export.pending {
            PendingExport::Add(record) | PendingExport::Update(record) => record,
            PendingExport::Delete => return Operation::Delete { anchor, kind },
        };
        // Nobody knows the members of an object of which nothing else is known: they begin anew.
        let unknown = export.confirmed.as_ref().is_some_and(Record::is_empty);
        let members = (unknown && export.kind == TenantKind::Group).then(Vec::new);
        Operation::Upsert { anchor, kind, attributes: attributes(self.names, record), members }
    }

    /// References of one attribute of one object.
    fn reference(&self, piece: &[ReferenceExport]) -> Operation {
        let of = |is_added| {
            let chosen = piece.iter().filter(move |reference| reference.is_added == is_added);
            chosen.map(|reference| reference.target.to_string()).collect()
        };
        let first = piece.first();
        let attribute = first.and_then(|first| self.names.name(first.attribute));
        Operation::References {
            anchor: first.map(|first| first.anchor.to_string()).unwrap_or_default(),
            attribute: attribute.unwrap_or_default().to_owned(),
            added: of(true),
            removed: of(false),
        }
    }

    /// A user whose name in the tenant is not the one in the forest.
    fn warning(&self, export: &Export) -> Option<String> {
        let (PendingExport::Add(record) | PendingExport::Update(record)) = &export.pending else {
            return None;
        };
        let text = |name: &str| {
            let id: AttributeId = self.names.id(name)?;
            record.first(id).and_then(ValueRef::as_text)
        };
        let (used, found) = (text("userPrincipalName")?, text("onPremisesUserPrincipalName")?);
        if used.eq_ignore_ascii_case(found) {
            return None;
        }
        let who = text("onPremisesDistinguishedName").unwrap_or(export.anchor.as_str());
        Some(format!("{who}: {found} is no name in the tenant; {used} is used"))
    }
}

/// References of one operation.
const REFERENCES_OF_ONE: usize = 10_000;

/// How many of the first numbers come to no more than a limit together; at least one.
fn within(numbers: impl Iterator<Item = usize>, limit: usize) -> usize {
    let mut sum = 0;
    let mut count = 0;
    for number in numbers {
        sum += number;
        if sum > limit && count > 0 {
            break;
        }
        count += 1;
    }
    count
}

/// As many operations as one batch may have, by number and by octets; at least one.
fn fill_batch(operations: impl Iterator<Item = Operation>) -> Vec<Operation> {
    let mut batch = Vec::new();
    let mut octets = 0;
    for operation in operations.take(OPERATIONS_MAX) {
        octets += serde_json::to_vec(&operation).map_or(0, |json| json.len());
        if octets > BATCH_OCTETS_MAX && !batch.is_empty() {
            break;
        }
        batch.push(operation);
    }
    batch
}

/// Sends operations as one batch, and holds the answer against what was sent.
pub(super) async fn send(
    tenant: &mut impl Ingest,
    state: &State,
    target: ConnectorId,
    operations: Vec<Operation>,
) -> Result<IngestResponse, Failure> {
    let id = tenant.name().to_string();
    let batch = IngestRequest { batch: id, lease_epoch: tenant.lease_epoch()?, operations };
    let begun = Batches::begin(state, target, &batch.batch).await?;
    let answer = tenant.ingest(&batch).await?;
    begun.end(state, target, &batch.batch, answer.previous.as_deref()).await?;
    let matches = answer.results.len() == batch.operations.len()
        && batch
            .operations
            .iter()
            .zip(&answer.results)
            .all(|(op, result)| op.anchor() == result.anchor);
    if !matches {
        return Err(Failure::new("the tenant's answer does not belong to the batch that was sent")
            .with_hint("the two may be of different releases"));
    }
    Ok(answer)
}

/// What the tenant refused of one operation; `None` when it took it.
pub(super) fn refusal(result: &portolan_tenant::wire::OperationResult) -> Option<Refused> {
    if result.status == "ok" {
        return None;
    }
    let why = result.message.clone().or_else(|| result.code.clone());
    Some(Refused {
        anchor: result.anchor.clone(),
        why: why.unwrap_or_else(|| "refused without a reason".to_owned()),
    })
}

/// Attributes as they are sent.
pub(super) fn attributes(names: &Dictionary, record: &Record) -> BTreeMap<String, Json> {
    let sent = record.iter().filter_map(|(id, values)| {
        let name = of_schema(names.name(id)?);
        Some((name.to_owned(), json(name, values)))
    });
    sent.collect()
}

/// A name as the tenant spells it: a forest may spell it otherwise, and the state has one spelling.
fn of_schema(name: &str) -> &str {
    let mut known = ATTRIBUTES.iter().map(|attribute| attribute.name);
    known.find(|known| known.eq_ignore_ascii_case(name)).unwrap_or(name)
}

/// Values as the tenant's schema has them.
fn json(name: &str, mut values: Values<'_>) -> Json {
    let one = |value| match value {
        ValueRef::Text(text) => Json::from(text),
        ValueRef::Boolean(value) => Json::from(value),
        ValueRef::Integer(number) => Json::from(number),
        ValueRef::Octets(octets) => {
            use base64::Engine as _;
            Json::from(base64::engine::general_purpose::STANDARD.encode(octets))
        }
    };
    match Attribute::named(name).map(|attribute| attribute.shape) {
        Some(Shape::Texts) => values.map(one).collect(),
        _ => values.next().map_or(Json::Null, one),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delete(anchor: usize) -> Operation {
        Operation::Delete { anchor: anchor.to_string(), kind: "user".to_owned() }
    }

    fn large(octets: usize) -> Operation {
        let members = Some(vec!["a".repeat(octets)]);
        let (anchor, kind) = ("g".to_owned(), "group".to_owned());
        Operation::Upsert { anchor, kind, attributes: BTreeMap::new(), members }
    }

    #[test]
    fn a_batch_ends_at_its_number_or_its_octets_and_has_at_least_one() {
        let check = |operations: Vec<Operation>, expected: usize| {
            assert_eq!(fill_batch(operations.into_iter()).len(), expected);
        };
        check((0..1_200).map(delete).collect(), OPERATIONS_MAX);
        check(vec![large(3 << 20), large(3 << 20)], 1);
        check(vec![large(6 << 20), delete(1)], 1);
        check(vec![], 0);
    }
}
