//! The token endpoint: grants in, tokens out.

use axum::extract::{Path, Request, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use portolan_model::{Guid, SecretString};
use portolan_net::entropy::SystemEntropy;
use portolan_store::tenant::SqliteTransaction;
use portolan_tenant::application::Application;
use portolan_tenant::authorize::Prompt;
use portolan_tenant::grant::{self, Refusal};
use portolan_tenant::issue::{TOKEN_LIFETIME, Tokens};
use portolan_tenant::scope::Scopes;
use portolan_tenant::sign_in::{self, End, Start, Submission};
use portolan_tenant::storage::{Access, SignInRecord, StorageError, Store as _, Transaction as _};
use portolan_tenant::{Parameters, Rule};
use serde_json::json;

use super::{Context, Service, answer, form, login};

pub(super) fn routes() -> Router<Service> {
    Router::new().route("/{tenant}/oauth2/v2.0/token", post(post_token))
}

async fn post_token(
    State(service): State<Service>,
    context: Context,
    Path(tenant): Path<String>,
    request: Request,
) -> Response {
    if !service.tenant().answers_to(&tenant) {
        return answer::oauth(&context, Rule::UnknownTenant);
    }
    let parameters = match form(request).await {
        Ok(parameters) => parameters,
        Err(rule) => return answer::oauth(&context, rule),
    };
    match exchange(&service, &context, &parameters).await {
        Ok(Ok(tokens)) => show(&parameters, &tokens),
        Ok(Err(rule)) => answer::oauth(&context, rule),
        Err(error) => answer::oauth(&context, answer::unavailable(&context, &error)),
    }
}

/// Exchanges a grant in one transaction. It is committed also when an application breaks a rule:
/// wrong passwords are counted, and a code that comes twice ends what came from it.
async fn exchange(
    service: &Service,
    context: &Context,
    parameters: &Parameters,
) -> Result<Result<Tokens, Rule>, StorageError> {
    let mut tx = service.store().begin(Access::Write).await?;
    let mut client_id = None;
    let outcome = run_grant(service, context, &mut tx, parameters, &mut client_id).await;
    let outcome = match outcome {
        Err(Refusal::Storage(error)) => return Err(error),
        Err(Refusal::Rule(rule)) => Err(rule),
        Ok(tokens) => Ok(tokens),
    };
    let method = match parameters.optional("grant_type") {
        Some("authorization_code") => "code",
        Some("refresh_token") => "refresh",
        Some("client_credentials") => "assertion",
        Some("password") => "password grant",
        _ => "unknown",
    };
    let record = SignInRecord {
        user: outcome.as_ref().ok().and_then(|tokens| tokens.user),
        client_id,
        rule: outcome.as_ref().err().copied(),
        ..context.record(method)
    };
    // Requests of no application cost anybody nothing to send: the log on disk is not theirs to fill.
    if client_id.is_none() {
        login::log(&record);
        return Ok(outcome);
    }
    login::keep_record(service, &mut tx, &record).await?;
    tx.commit().await?;
    Ok(outcome)
}

async fn run_grant(
    service: &Service,
    context: &Context,
    tx: &mut SqliteTransaction,
    parameters: &Parameters,
    known_client: &mut Option<Guid>,
) -> Result<Tokens, Refusal> {
    let grant_type = parameters.required("grant_type")?;
    let named = parameters.optional("client_id").map(str::to_owned).or_else(|| {
        let assertion = parameters.optional("client_assertion")?;
        portolan_token::assertion::claimed_client(assertion)
    });
    let client_id: Guid =
        named.ok_or(Rule::InvalidRequest)?.parse().map_err(|_| Rule::UnknownApplication)?;
    let application = tx.application(client_id).await?.ok_or(Rule::UnknownApplication)?;
    *known_client = Some(client_id);
    let (issuer, now, rng) = (service.issuer(), context.now, &mut SystemEntropy);
    grant::authenticate(tx, service.tenant(), &application, parameters, now).await?;
    match grant_type {
        "authorization_code" => {
            grant::redeem_code(tx, issuer, &application, parameters, now, rng).await
        }
        "refresh_token" => grant::refresh(tx, issuer, &application, parameters, now, rng).await,
        "client_credentials" => {
            grant::client_credentials(issuer, &application, parameters, now, rng)
        }
        "password" if service.0.password_grant => {
            password(service, context, tx, &application, parameters).await
        }
        _ => Err(Rule::UnsupportedGrantType.into()),
    }
}

/// The password grant: the same sign-in, with nobody to show a page to.
async fn password(
    service: &Service,
    context: &Context,
    tx: &mut SqliteTransaction,
    application: &Application,
    parameters: &Parameters,
) -> Result<Tokens, Refusal> {
    let scope = parameters.required("scope")?;
    let scopes = Scopes::parse(scope, service.tenant(), &application.permissions)?;
    let start = Start {
        prompt: Prompt::None,
        age_seconds_max: None,
        person: None,
        session: None,
        submission: Some(Submission {
            name: parameters.required("username")?.trim().to_owned(),
            password: SecretString::new(parameters.required("password")?.to_owned()),
        }),
        client: context.client,
        policy: service.0.policy,
    };
    match sign_in::run(tx, &start, context.now).await?.0 {
        End::SignedIn { user, .. } => {
            let (issuer, rng) = (service.issuer(), &mut SystemEntropy);
            grant::for_password(tx, issuer, application, &user, &scopes, context.now, rng).await
        }
        End::Refuse(rule) | End::Ask(Some(rule)) => Err(rule.into()),
        End::Ask(None) => Err(Rule::LoginRequired.into()),
    }
}

fn show(parameters: &Parameters, tokens: &Tokens) -> Response {
    let mut body = json!({
        "token_type": "Bearer",
        "scope": tokens.scope,
        "expires_in": TOKEN_LIFETIME.whole_seconds(),
        "ext_expires_in": TOKEN_LIFETIME.whole_seconds(),
        "access_token": tokens.access_token,
    });
    if let Some(id_token) = &tokens.id_token {
        body["id_token"] = json!(id_token);
    }
    if let Some(refresh_token) = &tokens.refresh_token {
        body["refresh_token"] = json!(refresh_token.expose());
    }
    // Microsoft's libraries ask for it, and name the account by it.
    if let (Some("1"), Some(info)) = (parameters.optional("client_info"), &tokens.client_info) {
        body["client_info"] = json!(info);
    }
    // Next to `no-store`, which every answer has (RFC 6749 section 5.1).
    ([(header::PRAGMA, "no-cache")], Json(body)).into_response()
}
