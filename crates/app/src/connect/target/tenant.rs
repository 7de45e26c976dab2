//! A tenant of ours as a target: batches out, and the answers held against what was sent.

use std::collections::BTreeMap;

use portolan_store::state::{Export, ReferenceExport, State, Unanswered};
use portolan_sync::Dictionary;
use portolan_sync::engine::{ConnectorId, PendingExport};
use portolan_sync::record::{Record, ValueRef, Values};
use portolan_tenant::directory::{ATTRIBUTES, Attribute, Shape};
use portolan_tenant::wire::{
    BODY_OCTETS_MAX, IngestRequest, OPERATIONS_MAX, Operation, OperationResult, REFERENCES_MAX,
    ReadUpTo,
};
use serde_json::Value as Json;

use super::{Sending, Taken, Verdict, photo};
use crate::connect::batches::{Answered, Batches};
use crate::connect::export::{Ingest, Refused};
use crate::report::Failure;

/// Octets of a batch's operations: what the tenant takes, less what stands around them.
const BATCH_OCTETS_MAX: usize = BODY_OCTETS_MAX - 256 * 1024;

/// Sends the first of these objects as one batch.
pub(super) async fn objects(
    tenant: &mut impl Ingest,
    sending: Sending<'_>,
    exports: &[Export],
) -> Result<Taken, Failure> {
    let Sending { state, target, names, read_up_to, .. } = sending;
    let doubtful = Batches::in_doubt(state, target).await?;
    let of_one = |export| {
        let photo = photo::operation(export, names, &doubtful);
        [operation(export, names)].into_iter().chain(photo).collect()
    };
    let operations = fill_batch(exports.iter().map(of_one));
    let lengths: Vec<_> = operations.iter().map(Vec::len).collect();
    let (sent, _) = exports.split_at(operations.len());
    let unknown = Unanswered::objects(sent);
    let operations = operations.into_iter().flatten().collect();
    let by = (state, read_up_to);
    let (results, answered) = send(tenant, by, target, operations, unknown).await?;
    let mut taken = Taken { answered: Some(answered), ..Taken::default() };
    let mut results = results.as_slice();
    for (export, length) in sent.iter().zip(lengths) {
        let (own, rest) = results.split_at(length);
        results = rest;
        let (object, photo) = (own.first(), own.get(1));
        let verdict = object.map_or(Verdict::Done, verdict);
        if verdict == Verdict::Done {
            taken.notes.extend(warning(export, names));
            taken.remarks.extend(photo::remark(export, names, photo));
        }
        taken.verdicts.push(verdict);
    }
    Ok(taken)
}

/// Sends the first of these references as one batch.
pub(super) async fn references(
    tenant: &mut impl Ingest,
    sending: Sending<'_>,
    exports: &[ReferenceExport],
) -> Result<Taken, Failure> {
    let groups = exports.chunk_by(|a, b| (a.source, a.attribute) == (b.source, b.attribute));
    let pieces: Vec<_> = groups.flat_map(|group| group.chunks(REFERENCES_OF_ONE)).collect();
    let count = within(pieces.iter().map(|piece| piece.len()), REFERENCES_MAX);
    let of_limit = pieces.iter().take(count);
    let operations = fill_batch(of_limit.map(|piece| vec![reference(piece, sending.names)]));
    let operations: Vec<_> = operations.into_iter().flatten().collect();
    let sent = pieces.iter().take(operations.len()).copied().flatten();
    let unknown = Unanswered::references(sent);
    let by = (sending.state, sending.read_up_to);
    let (results, answered) = send(tenant, by, sending.target, operations, unknown).await?;
    let each = pieces.iter().zip(&results);
    let verdicts = each.flat_map(|(piece, result)| piece.iter().map(|_| verdict(result)));
    let verdicts = verdicts.collect();
    Ok(Taken { verdicts, answered: Some(answered), ..Taken::default() })
}

fn verdict(result: &OperationResult) -> Verdict {
    match refusal(result) {
        None => Verdict::Done,
        Some(Refused { why, .. }) => {
            let code = result.code.clone().unwrap_or_else(|| "refused".to_owned());
            Verdict::Refused { code, text: why }
        }
    }
}

fn operation(export: &Export, names: &Dictionary) -> Operation {
    let (anchor, kind) = (export.anchor.to_string(), export.kind.to_string());
    let record = match &export.pending {
        PendingExport::Add(record) | PendingExport::Update(record) => record,
        PendingExport::Delete => return Operation::Delete { anchor, kind },
    };
    // Nobody knows whom an object refers to of which nothing else is known: that begins anew.
    let anew = export.confirmed.as_ref().is_some_and(Record::is_empty);
    Operation::Upsert { anchor, kind, attributes: attributes(names, record), members: None, anew }
}

/// Attributes as they are sent: all but the photo, which goes beside them.
pub(in crate::connect) fn attributes(
    names: &Dictionary,
    record: &Record,
) -> BTreeMap<String, Json> {
    let sent = record.iter().filter_map(|(id, values)| {
        let name = of_schema(names.name(id)?);
        (!photo::is_named(name)).then(|| (name.to_owned(), json(name, values)))
    });
    sent.collect()
}

/// References of one attribute of one object.
fn reference(piece: &[ReferenceExport], names: &Dictionary) -> Operation {
    let of = |is_added| {
        let chosen = piece.iter().filter(move |reference| reference.is_added == is_added);
        chosen.map(|reference| reference.target.to_string()).collect()
    };
    let first = piece.first();
    let attribute = first.and_then(|first| names.name(first.attribute));
    Operation::References {
        anchor: first.map(|first| first.anchor.to_string()).unwrap_or_default(),
        attribute: attribute.unwrap_or_default().to_owned(),
        added: of(true),
        removed: of(false),
    }
}

/// A user whose name in the tenant is not the one in the forest.
fn warning(export: &Export, names: &Dictionary) -> Option<String> {
    let (PendingExport::Add(record) | PendingExport::Update(record)) = &export.pending else {
        return None;
    };
    let text = |name: &str| {
        let id = names.id(name)?;
        record.first(id).and_then(ValueRef::as_text)
    };
    let (used, found) = (text("userPrincipalName")?, text("onPremisesUserPrincipalName")?);
    if used.eq_ignore_ascii_case(found) {
        return None;
    }
    let who = text("onPremisesDistinguishedName").unwrap_or(export.anchor.as_str());
    Some(format!("{who}: {found} is no name in the tenant; {used} is used"))
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

/// As many pieces as one batch may have, by the number of their operations and by octets; at least one. What is
/// one object's is a piece.
fn fill_batch(pieces: impl Iterator<Item = Vec<Operation>>) -> Vec<Vec<Operation>> {
    let mut batch = Vec::new();
    let (mut octets, mut count) = (0, 0);
    for piece in pieces {
        count += piece.len();
        let sizes = piece.iter().map(|one| serde_json::to_vec(one).map_or(0, |json| json.len()));
        octets += sizes.sum::<usize>();
        let is_full = count > OPERATIONS_MAX || octets > BATCH_OCTETS_MAX;
        if is_full && !batch.is_empty() {
            break;
        }
        batch.push(piece);
    }
    batch
}

/// Sends operations as one batch, and holds the answer against what was sent. It says how far the forests were read
/// on which it rests, if that is given. `unknown` is what nobody knows until it is answered. What was answered is
/// ended when what the results say is kept.
pub(in crate::connect) async fn send(
    tenant: &mut impl Ingest,
    (state, read_up_to): (&State, Option<&ReadUpTo>),
    target: ConnectorId,
    operations: Vec<Operation>,
    unknown: Unanswered,
) -> Result<(Vec<OperationResult>, Answered), Failure> {
    let id = tenant.name().to_string();
    let lease = tenant.claim()?;
    let (lease_epoch, lease_id) =
        (lease.map(|lease| lease.epoch), lease.map(|lease| lease.id.to_string()));
    let read_up_to = read_up_to.cloned();
    let batch = IngestRequest { batch: id, lease_epoch, lease_id, read_up_to, operations };
    let begun = Batches::begin(state, target, &batch.batch, unknown).await?;
    let answer = tenant.ingest(&batch).await?;
    let matches = answer.batch == batch.batch
        && answer.results.len() == batch.operations.len()
        && batch
            .operations
            .iter()
            .zip(&answer.results)
            .all(|(op, result)| op.anchor() == result.anchor);
    if !matches {
        return Err(Failure::new("the tenant's answer does not belong to the batch that was sent")
            .with_hint("the two may be of different releases"));
    }
    let answered = Answered { begun, batch: answer.batch, previous: answer.previous };
    Ok((answer.results, answered))
}

/// What the tenant refused of one operation; `None` when it took it.
pub(in crate::connect) fn refusal(result: &OperationResult) -> Option<Refused> {
    if result.status == "ok" {
        return None;
    }
    let why = result.message.clone().or_else(|| result.code.clone());
    Some(Refused {
        anchor: result.anchor.clone(),
        why: why.unwrap_or_else(|| "refused without a reason".to_owned()),
    })
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
        Some(_) => values.next().map_or(Json::Null, one),
        // An extension: the tenant alone knows whether there can be several.
        None => {
            let mut values: Vec<_> = values.map(one).collect();
            if values.len() > 1 { Json::Array(values) } else { values.pop().unwrap_or_default() }
        }
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
        Operation::Upsert { anchor, kind, attributes: BTreeMap::new(), members, anew: false }
    }

    #[test]
    fn a_batch_ends_at_its_number_or_its_octets_and_has_at_least_one() {
        let check = |operations: Vec<Operation>, expected: usize| {
            let pieces = operations.into_iter().map(|operation| vec![operation]);
            assert_eq!(fill_batch(pieces).len(), expected);
        };
        check((0..1_200).map(delete).collect(), OPERATIONS_MAX);
        check(vec![large(3 << 20), large(3 << 20)], 1);
        check(vec![large(6 << 20), delete(1)], 1);
        check(vec![], 0);
        let pairs = (0..1_200).map(|anchor| vec![delete(anchor), delete(anchor)]);
        assert_eq!(fill_batch(pairs).len(), OPERATIONS_MAX / 2, "what is one object's is together");
    }
}
