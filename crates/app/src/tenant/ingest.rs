//! One batch of a sync server, written: what the ingest route does once it knows who sends what.
//!
//! No request and no clock is here, so that the simulator (`crates/sim`) drives the same.

use portolan_model::{Entropy, Guid, SourceAnchor};
use portolan_store::tenant::SqliteTransaction;
use portolan_tenant::application::ROLE_INGEST;
use portolan_tenant::directory::ProvisioningError;
use portolan_tenant::lease::{self, Refusal};
use portolan_tenant::read_up_to::{Illegal, ReadUpTo};
use portolan_tenant::storage::{IngestedBatch, StorageError, Transaction as _};
use portolan_tenant::wire::{
    IngestRequest, IngestResponse, Operation, OperationResult, Quarantined,
};
use portolan_tenant::{Digest, Tenant, ingest};
use time::OffsetDateTime;

/// Characters of a refused operation's own words that an answer repeats: answers are kept.
const REPEATED_CHARS_MAX: usize = 200;

/// Why nothing of a batch is written.
#[derive(Debug)]
pub enum Unwritten {
    /// Its sender is no sync server, or none any more.
    Stranger,
    /// Another one has its name.
    Conflict,
    /// Its sender is not the one that writes.
    Fenced(Refusal),
    /// What it says of how far its sender has read is not legal.
    Illegal(Illegal),
    /// The store failed.
    Storage(StorageError),
}

impl From<StorageError> for Unwritten {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

/// A batch as it came in.
#[derive(Debug)]
pub struct Batch {
    /// Who sent it.
    pub sender: Guid,
    /// Its name.
    pub id: Guid,
    /// The digest of its sender and its octets.
    pub digest: Digest,
    /// What it says.
    pub sent: IngestRequest,
}

/// Writes a batch and gives the answer to it; the same answer again, if it was written before.
///
/// # Errors
/// Why nothing of it was written.
pub async fn write(
    mut tx: SqliteTransaction,
    tenant: &Tenant,
    batch: Batch,
    now: OffsetDateTime,
    rng: &mut (dyn Entropy + Send),
) -> Result<String, Unwritten> {
    let Batch { sender, id, digest, sent } = batch;
    // It may have been removed since the token was looked at: what it sends now is nobody's.
    may_ingest(&mut tx, sender).await?;
    if let Some(known) = tx.batch(id).await? {
        return if known.digest == digest { Ok(known.answer) } else { Err(Unwritten::Conflict) };
    }
    let group = tx.sync_group(sender).await?;
    let lease = tx.lease(group).await?;
    let claim = sent.claim().map_err(Unwritten::Fenced)?;
    lease::fence(lease.as_ref(), sender, claim).map_err(Unwritten::Fenced)?;
    if let Some(told) = &sent.read_up_to {
        let told = ReadUpTo::checked(told).map_err(Unwritten::Illegal)?;
        let mut known = tx.read_up_to(group).await?;
        if known.learn(&told) {
            tx.put_read_up_to(group, &known).await?;
        }
    }
    let checked = sent.operations.iter().map(Operation::check).collect();
    let checked = its_own(&mut tx, group, checked).await?;
    let applied = ingest::apply_batch(&mut tx, tenant, checked, now, rng).await?;
    record_batch(&mut tx, (sender, group), now, &sent.operations, &applied).await?;
    let results = sent.operations.iter().zip(applied.outcomes);
    let results: Vec<_> = results.map(|(operation, outcome)| result(operation, outcome)).collect();
    let refused = results.iter().filter(|result| result.status != "ok").count();
    tracing::info!(target: "portolan::audit", actor = %sender, action = "ingest", batch = %id,
        operations = results.len(), refused, "Audit");
    let previous = Some(batch_name(tx.last_batch(sender).await?));
    let answer = serde_json::to_string(&IngestResponse { batch: sent.batch, previous, results })
        .map_err(StorageError::new)?;
    tx.note_batch(sender, id, now).await?;
    tx.put_batch(&IngestedBatch { id, digest, answer: answer.clone(), at: now }).await?;
    tx.commit().await?;
    Ok(answer)
}

/// The name of a sync server's last batch; empty when there is none.
#[must_use]
pub fn batch_name(last: Option<(Guid, OffsetDateTime)>) -> String {
    last.map(|(id, _)| id.to_string()).unwrap_or_default()
}

/// A role that was taken away, and a server that was removed, end at once, not with the token.
pub(super) async fn may_ingest(
    tx: &mut SqliteTransaction,
    client_id: Guid,
) -> Result<(), Unwritten> {
    let application = tx.application(client_id).await?.ok_or(Unwritten::Stranger)?;
    let may = application.roles.iter().any(|role| role == ROLE_INGEST);
    if may { Ok(()) } else { Err(Unwritten::Stranger) }
}

/// What of a batch is the sender's to change: no object that is from another group of sync servers.
async fn its_own(
    tx: &mut SqliteTransaction,
    group: Guid,
    checked: Vec<Result<ingest::Operation, ingest::Fault>>,
) -> Result<Vec<Result<ingest::Operation, ingest::Fault>>, StorageError> {
    let anchors: Vec<_> = checked.iter().flatten().map(ingest::Operation::anchor).collect();
    let owners = tx.owners(&anchors).await?;
    let own = |operation: ingest::Operation| match owners.get(operation.anchor()) {
        Some(owner) if *owner != group => Err(ingest::Fault::OtherServer),
        _ => Ok(operation),
    };
    Ok(checked.into_iter().map(|operation| operation.and_then(own)).collect())
}

/// Records whose the objects are now, and what was done to them.
async fn record_batch(
    tx: &mut SqliteTransaction,
    (client_id, group): (Guid, Guid),
    now: OffsetDateTime,
    operations: &[Operation],
    applied: &ingest::Applied,
) -> Result<(), StorageError> {
    let outcomes = || operations.iter().zip(&applied.outcomes);
    let done = || outcomes().filter_map(|(operation, done)| Some((operation, done.as_ref().ok()?)));
    let its_own: Vec<SourceAnchor> = done()
        .filter(|(_, done)| done.id.is_some())
        .filter_map(|(operation, _)| operation.anchor().parse().ok())
        .collect();
    tx.own(&its_own.iter().collect::<Vec<_>>(), group).await?;
    let mut lines: Vec<_> =
        done().map(|(operation, _)| (action_of(operation), operation.anchor())).collect();
    let matched = done().filter(|(_, done)| done.matched.is_some());
    lines.extend(matched.map(|(operation, _)| ("object.match", operation.anchor())));
    let healed: Vec<_> = applied.healed.iter().map(|error| error.object.to_string()).collect();
    lines.extend(healed.iter().map(|object| ("object.heal", object.as_str())));
    tx.record_audits(now, &client_id.to_string(), &lines).await
}

const fn action_of(operation: &Operation) -> &'static str {
    match operation {
        Operation::Upsert { .. } => "object.upsert",
        Operation::Delete { .. } => "object.delete",
        Operation::References { .. } => "object.references",
        Operation::Photo { .. } => "photo.set",
        Operation::Credential { .. } => "credential.set",
    }
}

fn result(operation: &Operation, outcome: Result<ingest::Done, ingest::Fault>) -> OperationResult {
    let repeated = |text: &str| text.chars().take(REPEATED_CHARS_MAX).collect::<String>();
    let anchor = repeated(operation.anchor());
    match outcome {
        Ok(done) => OperationResult {
            anchor,
            status: "ok".to_owned(),
            code: None,
            message: None,
            id: done.id.map(|id| id.to_string()),
            matched: done.matched.map(|found| found.as_str().to_owned()),
            quarantined: done.set_aside.into_iter().map(quarantined).collect(),
        },
        Err(fault) => OperationResult {
            anchor,
            status: "error".to_owned(),
            code: Some(fault.code().to_owned()),
            message: Some(repeated(&fault.to_string())),
            id: None,
            matched: None,
            quarantined: Vec::new(),
        },
    }
}

fn quarantined(error: ProvisioningError) -> Quarantined {
    Quarantined { attribute: error.naming.as_str().to_owned(), value: error.value }
}
