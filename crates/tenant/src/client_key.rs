//! How an application replaces its key.
//!
//! The next key is registered by an assertion of a key that the application has, which names the next
//! one: a stolen access token registers nothing, and an assertion registers nothing else. Both keys are
//! good until the next one is used for the first time; then it is the only one. There is one next key at
//! a time.

use portolan_token::{Jwk, VerifyingKey, assertion, key_id_of};
use time::OffsetDateTime;

use crate::application::Application;
use crate::grant::Refusal;
use crate::storage::{AuditRecord, StorageError, Transaction};
use crate::{Digest, Rule, Tenant};

/// Whom the assertion that registers a key is for.
#[must_use]
pub fn audience(tenant: &Tenant, thumbprint: &str) -> String {
    format!("https://{}/v1.0/key#{thumbprint}", tenant.sync_host())
}

/// Whom the assertion is for by which a server that enrols with a new key succeeds the application that
/// it was.
#[must_use]
pub fn succession_audience(tenant: &Tenant, thumbprint: &str) -> String {
    format!("https://{}/enrol#{thumbprint}", tenant.sync_host())
}

/// Whether a key of an application vouches for something, for the first time.
///
/// # Errors
/// [`Rule::InvalidAssertion`], or the store's failure.
pub async fn check_vouched<T: Transaction>(
    tx: &mut T,
    application: &Application,
    audience: &str,
    proof: &str,
    now: OffsetDateTime,
) -> Result<(), Refusal> {
    let client = application.client_id.to_string();
    let named = key_id_of(proof);
    let checked = application
        .keys
        .iter()
        .filter(|key| named.is_none() || key.kid == named)
        .filter_map(|key| VerifyingKey::from_jwk(key).ok())
        .find_map(|key| assertion::verify(proof, &key, &client, &[audience], now).ok())
        .ok_or(Rule::InvalidAssertion)?;
    let name = Digest::of(format!("assertion {client} {}", checked.jti).as_bytes());
    match tx.use_once(&name, checked.expires).await? {
        true => Ok(()),
        false => Err(Rule::InvalidAssertion.into()),
    }
}

/// Registers the next key of an application; the ids of the keys that are good now, the next one last.
///
/// # Errors
/// [`Rule::InvalidAssertion`], or the store's failure.
pub async fn register<T: Transaction>(
    tx: &mut T,
    tenant: &Tenant,
    mut application: Application,
    mut next: Jwk,
    proof: &str,
    now: OffsetDateTime,
) -> Result<Vec<String>, Refusal> {
    let thumbprint = next.thumbprint().map_err(|_| Rule::InvalidAssertion)?;
    let client = application.client_id.to_string();
    check_vouched(tx, &application, &audience(tenant, &thumbprint), proof, now).await?;
    next.kid = Some(thumbprint.clone());
    if !application.keys.iter().any(|key| key.kid == next.kid) {
        // What was next and never used gives way.
        application.keys.truncate(1);
        application.keys.push(next);
        tx.put_application(&application).await?;
        record(tx, &client, "application.key.add", thumbprint, now).await?;
    }
    Ok(application.keys.into_iter().filter_map(|key| key.kid).collect())
}

/// Takes note of a key that an application proved itself by: the ones before it are over.
///
/// # Errors
/// When the store fails.
pub async fn used<T: Transaction>(
    tx: &mut T,
    application: &Application,
    key: &Jwk,
    now: OffsetDateTime,
) -> Result<(), StorageError> {
    let at = application.keys.iter().position(|known| known == key).unwrap_or_default();
    if at == 0 {
        return Ok(());
    }
    let mut settled = application.clone();
    let client = application.client_id.to_string();
    for over in settled.keys.drain(..at) {
        record(tx, &client, "application.key.retire", over.kid.unwrap_or_default(), now).await?;
    }
    tx.put_application(&settled).await
}

async fn record<T: Transaction>(
    tx: &mut T,
    actor: &str,
    action: &'static str,
    target: String,
    at: OffsetDateTime,
) -> Result<(), StorageError> {
    tx.record_audit(&AuditRecord { at, actor: actor.to_owned(), action, target }).await
}
