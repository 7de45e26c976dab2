//! What clients read before they begin: metadata, keys, realms; and the userinfo endpoint.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use portolan_model::{DnsName, Upn};
use portolan_tenant::Rule;
use portolan_tenant::storage::{Access, StorageError, Store as _};
use portolan_token::claims::{self, AccessToken};
use serde_json::{Value as Json_, json};

use super::bearer::{bearer, person};
use super::{Context, Service, answer};

pub(super) fn routes() -> Router<Service> {
    Router::new()
        .route("/{tenant}/v2.0/.well-known/openid-configuration", get(get_metadata))
        .route("/{tenant}/.well-known/openid-configuration", get(get_metadata))
        .route("/{tenant}/discovery/v2.0/keys", get(get_keys))
        .route("/common/discovery/instance", get(get_instance))
        .route("/common/userrealm/{name}", get(get_user_realm))
        .route("/oidc/userinfo", get(get_userinfo).post(get_userinfo))
}

/// The metadata of [OpenID Connect Discovery] section 3.
///
/// [OpenID Connect Discovery]: https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata
async fn get_metadata(
    State(service): State<Service>,
    context: Context,
    Path(named): Path<String>,
) -> Response {
    let tenant = service.tenant();
    if !tenant.answers_to(&named) {
        return answer::oauth(&context, Rule::UnknownTenant);
    }
    let (authority, login) = (tenant.authority(), tenant.login_host());
    public(json!({
        "issuer": tenant.issuer(),
        "authorization_endpoint": format!("{authority}/oauth2/v2.0/authorize"),
        "token_endpoint": tenant.token_endpoint(),
        "end_session_endpoint": format!("{authority}/oauth2/v2.0/logout"),
        "userinfo_endpoint": format!("https://{}/oidc/userinfo", tenant.graph_host()),
        "jwks_uri": format!("{authority}/discovery/v2.0/keys"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS256", "ES256"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "claims_supported": ["sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "name",
            "preferred_username", "email", "tid", "oid", "upn", "ver"],
        "authorization_response_iss_parameter_supported": true,
        "request_uri_parameter_supported": false,
        "cloud_instance_name": login,
        "msgraph_host": tenant.graph_host(),
    }))
}

async fn get_keys(
    State(service): State<Service>,
    context: Context,
    Path(named): Path<String>,
) -> Response {
    if !service.tenant().answers_to(&named) {
        return answer::oauth(&context, Rule::UnknownTenant);
    }
    let mut jwks = service.1.jwks.clone();
    for key in &mut jwks.keys {
        key.issuer = Some(service.tenant().issuer());
    }
    public(json!(jwks))
}

/// Which hosts are one and the same cloud; Microsoft's libraries ask before anything else.
async fn get_instance(State(service): State<Service>) -> Response {
    let tenant = service.tenant();
    let host = tenant.login_host();
    public(json!({
        "tenant_discovery_endpoint":
            format!("{}/v2.0/.well-known/openid-configuration", tenant.authority()),
        "api-version": "1.1",
        "metadata": [
            {"preferred_network": host, "preferred_cache": host, "aliases": [host]},
        ],
    }))
}

/// Where names of a domain sign in. It is answered by the domain alone: whether a name exists is
/// nobody's business.
async fn get_user_realm(State(service): State<Service>, Path(name): Path<String>) -> Response {
    let domain: Option<DnsName> = name.parse().ok().map(|upn: Upn| upn.domain().clone());
    let host = service.tenant().login_host();
    match domain.filter(|domain| service.tenant().owns(domain)) {
        Some(domain) => Json(json!({"ver": "1.0", "account_type": "Managed",
            "domain_name": domain.as_str(), "cloud_instance_name": host,
            "cloud_audience_urn": "urn:federation:MicrosoftOnline"})),
        None => Json(json!({"ver": "1.0", "account_type": "Unknown",
            "cloud_instance_name": host, "cloud_audience_urn": "urn:federation:MicrosoftOnline"})),
    }
    .into_response()
}

/// Userinfo ([OpenID Connect Core] section 5.3), for an access token of Graph with `openid`.
///
/// [OpenID Connect Core]: https://openid.net/specs/openid-connect-core-1_0.html#UserInfo
pub(super) async fn get_userinfo(
    State(service): State<Service>,
    context: Context,
    headers: HeaderMap,
) -> Response {
    let token = bearer(&service, &context, &headers, &service.tenant().graph_host());
    let Some(token) = token.filter(|token| token.has_scope("openid")) else {
        let challenge = [(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")];
        return (StatusCode::UNAUTHORIZED, challenge).into_response();
    };
    match userinfo(&service, &context, &token).await {
        Ok(Some(claims)) => Json(claims).into_response(),
        Ok(None) => {
            let challenge = [(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")];
            (StatusCode::UNAUTHORIZED, challenge).into_response()
        }
        Err(error) => answer::oauth(&context, answer::unavailable(&context, &error)),
    }
}

async fn userinfo(
    service: &Service,
    context: &Context,
    token: &AccessToken,
) -> Result<Option<Json_>, StorageError> {
    let mut tx = service.store().begin(Access::Read).await?;
    let Some(user) = person(service, context, &mut tx, token).await? else { return Ok(None) };
    // The same name as in the application's ID token.
    let sub = claims::pairwise_subject(&service.0.pairwise_salt, &token.azp, &token.oid);
    let mut body = json!({"sub": sub});
    if token.has_scope("profile") {
        body["name"] = json!(user.display_name());
        body["given_name"] = json!(user.attributes.text("givenName"));
        body["family_name"] = json!(user.attributes.text("surname"));
        body["preferred_username"] = json!(user.upn());
    }
    if token.has_scope("email") {
        body["email"] = json!(user.attributes.text("mail"));
    }
    Ok(Some(body))
}

/// A document that anyone may read and keep for a while.
fn public(body: Json_) -> Response {
    let headers =
        [(header::CACHE_CONTROL, "max-age=3600"), (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    (headers, Json(body)).into_response()
}
