//! The bugs of tenants and servers that are put in on purpose, where they strike a batch.

use portolan_app::connect::simulated::Origin as _;
use portolan_app::report::Failure;
use portolan_model::Guid;
use portolan_tenant::storage::{Access, Store as _, Transaction as _};
use portolan_tenant::wire::{IngestRequest, IngestResponse, Operation, OperationResult};

use super::{Tenant, broken};
use crate::fault::Bug;

impl Tenant {
    /// The bug of a tenant that takes batches of whoever held the lease once.
    pub(super) async fn ignores_epoch(
        &self,
        sent: &mut IngestRequest,
        by: Guid,
    ) -> Result<Guid, Failure> {
        if self.bug != Some(Bug::IgnoresEpoch) || sent.lease_epoch.is_none() {
            return Ok(by);
        }
        let mut tx = self.store.begin(Access::Read).await.map_err(|error| broken(&error))?;
        let group = tx.sync_group(by).await.map_err(|error| broken(&error))?;
        let lease = tx.lease(group).await.map_err(|error| broken(&error))?;
        let Some(lease) = lease else { return Ok(by) };
        sent.lease_epoch = Some(lease.tenure.epoch);
        sent.lease_id = Some(lease.tenure.id.to_string());
        Ok(lease.holder().map_or(by, |holder| holder.client_id))
    }

    /// The bug of an operation that is acknowledged and not written: what is said of it.
    pub(super) fn loses(
        &mut self,
        sent: &mut IngestRequest,
        is_known: bool,
    ) -> Option<(usize, OperationResult)> {
        if self.bug != Some(Bug::LosesAcknowledged) || is_known {
            return None;
        }
        let is_upsert = |operation: &Operation| matches!(operation, Operation::Upsert { .. });
        let at = sent.operations.iter().position(is_upsert)?;
        let operation = sent.operations.remove(at);
        self.bug = None;
        let result = OperationResult {
            anchor: operation.anchor().to_owned(),
            status: "ok".to_owned(),
            code: None,
            message: None,
            id: None,
            matched: None,
            quarantined: Vec::new(),
        };
        Some((at, result))
    }

    /// The bugs of a server that sends a deletion without a cause, or what was written before under another
    /// anchor: that one, and the right one.
    pub(super) fn sends_otherwise(
        &mut self,
        sent: &mut IngestRequest,
        is_known: bool,
    ) -> Option<(String, String)> {
        let bug = self.bug.filter(|_| !is_known)?;
        let again = sent.operations.iter_mut().find(|operation| {
            let is_group = matches!(operation, Operation::Upsert { kind, .. } if kind == "group");
            is_group && self.log.numbers.contains_key(operation.anchor())
        })?;
        let right = again.anchor().to_owned();
        let other = format!("{right}x");
        match (bug, &mut *again) {
            (Bug::SendsDeletion, _) => {
                *again = Operation::Delete { anchor: right, kind: "group".to_owned() };
                self.bug = None;
                None
            }
            (Bug::ChangesAnchor, Operation::Upsert { anchor, .. }) => {
                anchor.clone_from(&other);
                self.bug = None;
                Some((other, right))
            }
            _ => None,
        }
    }

    /// The bugs of a tenant that does what nobody asked it to.
    pub(super) async fn strike(&mut self, operations: &[Operation]) -> Result<(), Failure> {
        let upsert = operations.iter().find_map(|operation| match operation {
            Operation::Upsert { anchor, kind, attributes, .. } if kind == "group" => {
                Some((anchor.clone(), kind.clone(), attributes.clone()))
            }
            _ => None,
        });
        let Some((anchor, kind, attributes)) = upsert else { return Ok(()) };
        let other = format!("{anchor}x");
        let again = |anchor: &str| Operation::Upsert {
            anchor: anchor.to_owned(),
            kind: kind.clone(),
            attributes: attributes.clone(),
            members: None,
            anew: false,
        };
        let delete = Operation::Delete { anchor: anchor.clone(), kind: kind.clone() };
        let unasked = match self.bug {
            Some(Bug::WritesTwice) => vec![again(&other)],
            Some(Bug::DeletesUnasked) => vec![delete],
            Some(Bug::AddsMember) => vec![Operation::References {
                anchor: anchor.clone(),
                attribute: "members".to_owned(),
                added: vec![anchor.clone()],
                removed: Vec::new(),
            }],
            _ => return Ok(()),
        };
        self.bug = None;
        let mut tx = self.store.begin(Access::Write).await.map_err(|error| broken(&error))?;
        let checked = unasked.iter().map(Operation::check).collect();
        let now = self.clock.now();
        let applied = portolan_tenant::ingest::apply_batch(
            &mut tx,
            &self.identity,
            checked,
            now,
            &mut self.chance,
        );
        let applied = applied.await.map_err(|error| broken(&error))?;
        tx.commit().await.map_err(|error| broken(&error))?;
        if let Some(Err(fault)) = applied.outcomes.iter().find(|outcome| outcome.is_err()) {
            return Err(Failure::because("the bug does not strike", fault));
        }
        Ok(())
    }
}

/// An answer with one result more.
pub(super) fn with_result(
    answer: &str,
    at: usize,
    result: OperationResult,
) -> Result<String, Failure> {
    let wrong = |error: serde_json::Error| Failure::because("the answer does not read", &error);
    let mut answer: IngestResponse = serde_json::from_str(answer).map_err(wrong)?;
    answer.results.insert(at, result);
    serde_json::to_string(&answer).map_err(wrong)
}
