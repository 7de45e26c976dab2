//! From the plan to the tenant: batches out, acknowledgements into the connector space.

use std::collections::BTreeMap;

use portolan_model::{Entropy as _, Guid};
use portolan_net::entropy::SystemEntropy;
use portolan_store::connector_space::ConnectorSpace;
use portolan_sync::flow::{TenantObject, Value};
use portolan_sync::plan::Change;
use portolan_tenant::wire::{
    BODY_OCTETS_MAX, IngestRequest, IngestResponse, OPERATIONS_MAX, Operation,
};
use serde_json::Value as Json;

use super::batches::Batches;
use super::tenant_client::Tenant;
use super::walk::Walk;
use crate::report::Failure;

/// Octets of a batch's operations: what the tenant takes, less what stands around them.
const BATCH_OCTETS_MAX: usize = BODY_OCTETS_MAX - 64 * 1024;

/// An object that the tenant refused.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct Refused {
    /// Its anchor.
    pub(super) anchor: String,
    /// What the tenant says.
    pub(super) why: String,
}

/// Sends the changes of a plan in their order, and records what the tenant acknowledged after each
/// batch, so that a run that is broken off goes on where it was.
pub(super) async fn changes(
    tenant: &mut Tenant,
    space: &ConnectorSpace,
    walk: &mut Walk<'_>,
) -> Result<Vec<Refused>, Failure> {
    let mut refused = Vec::new();
    let mut waiting: Vec<Change> = Vec::new();
    loop {
        let more = walk.next().await?;
        let is_last = more.is_empty();
        waiting.extend(more);
        while waiting.len() >= OPERATIONS_MAX || (is_last && !waiting.is_empty()) {
            let operations = fill_batch(waiting.iter().map(operation));
            let rest = waiting.split_off(operations.len());
            let sent = std::mem::replace(&mut waiting, rest);
            let answer = send(tenant, space, operations).await?;
            let mut acknowledged = Vec::new();
            for (change, result) in sent.iter().zip(&answer.results) {
                match refusal(result) {
                    None => acknowledged.push(change),
                    Some(refusal) => refused.push(refusal),
                }
            }
            space.acknowledge(&acknowledged).await?;
        }
        if is_last {
            return Ok(refused);
        }
    }
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
    tenant: &mut Tenant,
    space: &ConnectorSpace,
    operations: Vec<Operation>,
) -> Result<IngestResponse, Failure> {
    let id = Guid::from_random(SystemEntropy.array()).to_string();
    let batch = IngestRequest { batch: id, lease_epoch: None, operations };
    let begun = Batches::begin(space, &batch.batch).await?;
    let answer = tenant.ingest(&batch).await?;
    begun.end(space, &batch.batch, answer.previous.as_deref()).await?;
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

fn operation(change: &Change) -> Operation {
    match change {
        Change::Add(object) | Change::Update(object) => upsert(object),
        Change::Delete(object) => {
            Operation::Delete { anchor: object.anchor.to_string(), kind: object.kind.to_string() }
        }
    }
}

fn upsert(object: &TenantObject) -> Operation {
    let attributes: BTreeMap<_, _> =
        object.attributes.iter().map(|(name, value)| ((*name).to_owned(), json(value))).collect();
    let is_group = object.kind == portolan_sync::flow::TenantKind::Group;
    let members = is_group.then(|| object.members.iter().map(ToString::to_string).collect());
    Operation::Upsert {
        anchor: object.anchor.to_string(),
        kind: object.kind.to_string(),
        attributes,
        members,
    }
}

fn json(value: &Value) -> Json {
    match value {
        Value::Text(text) => Json::from(text.as_str()),
        Value::Texts(texts) => Json::from(texts.clone()),
        Value::Boolean(value) => Json::from(*value),
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
