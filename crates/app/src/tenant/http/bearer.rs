//! Who presents an access token.

use axum::http::{HeaderMap, header};
use portolan_token::claims::AccessToken;
use portolan_token::key_id_of;

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
    let token = token.trim();
    let kid = key_id_of(token)?;
    let (_, key) = service.0.verifying.iter().find(|(name, _)| *name == kid)?;
    let claims: AccessToken = key.verify(token).ok()?;
    let tenant = service.tenant();
    claims
        .check(&tenant.issuer(), &format!("https://{host}"), &tenant.id.to_string(), context.now)
        .ok()?;
    Some(claims)
}
