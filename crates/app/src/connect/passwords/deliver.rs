//! Credentials to the tenant, in the order in which they were read, and its acknowledgements.

use std::collections::BTreeSet;
use std::time::Duration;

use portolan_model::Guid;
use portolan_store::state::{Answer, Unanswered};
use portolan_tenant::wire::Operation;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::fetch::Derived;
use super::open::Faulty;
use super::scope::Scope;
use crate::connect::export::Refused;
use crate::connect::progress::Progress;
use crate::connect::target::tenant;
use crate::connect::tenant_client::Tenant;
use crate::report::Failure;
use crate::signal::Stop;

/// The oldest password whose age counts as latency.
const AGE_MAX: Duration = Duration::from_secs(60 * 60);

/// What became of the credentials.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    /// How many the tenant took.
    pub(super) sent: usize,
    pub(super) refused: Vec<Refused>,
    pub(super) faulty: Vec<Faulty>,
    /// How old passwords were when the tenant had taken them, of those that changed lately.
    pub(super) ages: Vec<Duration>,
    /// The objects of both.
    pub(super) owed: BTreeSet<Guid>,
}

/// Sends pieces as they come, one batch each, until there are no more or this is told to stop. What the
/// tenant took is recorded before the next piece is sent.
pub(super) async fn all(
    mut pieces: mpsc::Receiver<JoinHandle<Derived>>,
    scope: &Scope<'_>,
    tenant: &mut Tenant,
    progress: &Progress,
    stop: &Stop,
) -> Result<Delivered, Failure> {
    let mut delivered = Delivered::default();
    while let Some(piece) = pieces.recv().await {
        let derived =
            piece.await.map_err(|error| Failure::because("a derivation did not end", &error))?;
        if stop.is_requested() {
            break;
        }
        send(derived, &mut delivered, scope, tenant).await?;
        progress.sent(delivered.sent);
    }
    Ok(delivered)
}

async fn send(
    derived: Derived,
    delivered: &mut Delivered,
    scope: &Scope<'_>,
    tenant: &mut Tenant,
) -> Result<(), Failure> {
    let mut guids = Vec::with_capacity(derived.len());
    let mut operations = Vec::with_capacity(derived.len());
    let mut changed = Vec::with_capacity(derived.len());
    for outcome in derived {
        match outcome {
            Ok(credential) => {
                guids.push(credential.guid);
                changed.push(changed_at(&credential.operation));
                operations.push(credential.operation);
            }
            Err((guid, faulty)) => {
                delivered.owed.insert(guid);
                delivered.faulty.push(faulty);
            }
        }
    }
    if operations.is_empty() {
        return Ok(());
    }
    // A credential that is sent again is the same.
    let unknown = Unanswered::default();
    let (results, answered) =
        tenant::send(tenant, (scope.state, None), scope.target, operations, unknown).await?;
    let mut taken = Vec::with_capacity(guids.len());
    let now = portolan_net::clock::now();
    for ((guid, changed), result) in guids.iter().zip(changed).zip(&results) {
        match tenant::refusal(result) {
            None => {
                taken.push(*guid);
                delivered.ages.extend(changed.and_then(|changed| age(changed, now)));
            }
            Some(refused) => {
                delivered.owed.insert(*guid);
                delivered.refused.push(refused);
            }
        }
    }
    delivered.sent += taken.len();
    let batches = answered.octets()?;
    let answer = Answer { at: now, batches: Some((scope.target, &batches)) };
    Ok(scope.acknowledge(&taken, answer).await?)
}

/// When the password of a credential was set.
fn changed_at(operation: &Operation) -> Option<OffsetDateTime> {
    match operation {
        Operation::Credential { changed_at, .. } => {
            OffsetDateTime::parse(changed_at, &Rfc3339).ok()
        }
        _ => None,
    }
}

/// How long ago a password was set. One that is older than what is looked at for latency was part of a
/// backlog, such as the first replication's.
fn age(changed: OffsetDateTime, now: OffsetDateTime) -> Option<Duration> {
    Duration::try_from(now - changed).ok().filter(|age| *age <= AGE_MAX)
}
