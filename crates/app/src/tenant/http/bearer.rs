//! Tokens of the tenant's own that come back: who presents an access token, whom an ID token names.

use axum::http::{HeaderMap, header};
use portolan_model::Guid;
use portolan_store::tenant::SqliteTransaction;
use portolan_tenant::account::AccountState;
use portolan_tenant::directory::{Kind, Object};
use portolan_tenant::issue;
use portolan_tenant::storage::{StorageError, Transaction as _};
use portolan_token::claims::{AccessToken, IdToken};
use portolan_token::key_id_of;
use serde::de::DeserializeOwned;

use super::{Context, Service};

/// The claims of a good token for one of the tenant's hosts; `None` when there is none.
pub(super) fn bearer(
    service: &Service,
    context: &Context,
    headers: &HeaderMap,
    host: &str,
) -> Option<AccessToken> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let claims: AccessToken = verified(service, token.trim())?;
    let tenant = service.tenant();
    claims
        .check(&tenant.issuer(), &format!("https://{host}"), &tenant.id.to_string(), context.now)
        .ok()?;
    Some(claims)
}

/// The person of an access token, while they may still use it: their account signs in, and their
/// sessions were not ended since the token was made.
pub(super) async fn person(
    service: &Service,
    context: &Context,
    tx: &mut SqliteTransaction,
    token: &AccessToken,
) -> Result<Option<Object>, StorageError> {
    let Ok(id) = token.oid.parse() else { return Ok(None) };
    if !application_is_there(tx, token).await? {
        return Ok(None);
    }
    let user = tx.object(id).await?.filter(|object| object.kind == Kind::User);
    let Some(user) = user else { return Ok(None) };
    let valid_from = tx.sessions_valid_from(id).await?.map(issue::unix_micros);
    let state = AccountState::now(tx, &user, service.0.policy, context.now).await?;
    Ok((state.refusal().is_none() && valid_from == token.sessions_from).then_some(user))
}

/// Whether the application that a token was made for is still one of the tenant's: its tokens end when
/// it is removed, whether they speak for a person or for itself.
pub(super) async fn application_is_there(
    tx: &mut SqliteTransaction,
    token: &AccessToken,
) -> Result<bool, StorageError> {
    let Ok(client_id) = token.azp.parse() else { return Ok(false) };
    Ok(tx.application(client_id).await?.is_some())
}

/// The person whom an ID token of this application names. It may have expired long ago: it says whom
/// the application means, and lets nobody in.
pub(super) fn person_of(service: &Service, id_token: &str, client_id: Guid) -> Option<Guid> {
    let claims = hinted(service, id_token)?;
    if claims.aud == client_id.to_string() { claims.oid.parse().ok() } else { None }
}

/// What an ID token of the tenant's says, however old it is.
pub(super) fn hinted(service: &Service, id_token: &str) -> Option<IdToken> {
    let claims: IdToken = verified(service, id_token)?;
    (claims.iss == service.tenant().issuer()).then_some(claims)
}

/// The claims of a token that one of the tenant's keys signed.
fn verified<T: DeserializeOwned>(service: &Service, token: &str) -> Option<T> {
    let kid = key_id_of(token)?;
    let (_, key) = service.1.verifying.iter().find(|(name, _)| *name == kid)?;
    key.verify(token).ok()
}
