//! The sync server's routes: enrolment, the tenant's domains, ingest. The contract is
//! `portolan_tenant::wire`.

mod held;
mod lease;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use portolan_model::{Entropy, Guid};
use portolan_net::entropy::SystemEntropy;
use portolan_store::tenant::SqliteTransaction;
use portolan_tenant::application::{Application, ROLE_INGEST};
use portolan_tenant::grant;
use portolan_tenant::lease::Refusal;
use portolan_tenant::rate::draws_of_batch;
use portolan_tenant::storage::{Access, AuditRecord, StorageError, Store as _, Transaction as _};
use portolan_tenant::wire::{
    BODY_OCTETS_MAX, EnrolRequest, EnrolResponse, ErrorBody, ErrorResponse, IngestRequest,
    KeyRequest, KeyResponse, OPERATIONS_MAX, Operation, REFERENCES_MAX, Succession, TenantResponse,
};
use portolan_tenant::{Digest, Opaque, client_key};

use super::bearer::bearer;
use super::{Context, FORM_OCTETS_MAX, Service, answer, body};
use crate::tenant::ingest::{self, Batch, Unwritten, batch_name, may_ingest};

/// Where a sync server enrols. It is the one path of this host that anybody may ask.
pub(super) const ENROL_PATH: &str = "/enrol";

pub(super) fn router() -> Router<Service> {
    Router::new()
        .route(ENROL_PATH, post(post_enrol))
        .route("/v1.0/tenant", get(get_tenant))
        .route("/v1.0/objects", get(held::get_objects))
        .route("/v1.0/objects/read", post(held::post_read))
        .route("/v1.0/references", get(held::get_references))
        .route("/v1.0/key", post(post_key))
        .route("/v1.0/lease", post(lease::post_lease))
        .route("/v1.0/read-up-to", get(held::get_read_up_to))
        .route("/v1.0/ingest", post(post_ingest))
        .fallback(|context: Context| async move { refuse(&context, Refused::NotFound) })
}

/// Why a request is refused.
enum Refused {
    NotFound,
    Malformed(&'static str),
    TooLarge,
    Secret,
    Key(portolan_token::InvalidJwk),
    Token,
    Proof,
    Conflict,
    TooMany,
    /// A lease is not given.
    Lease(Refusal),
    /// The sender is not the one that writes.
    Fenced(Refusal),
    Storage(StorageError),
}

impl From<StorageError> for Refused {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<Unwritten> for Refused {
    fn from(unwritten: Unwritten) -> Self {
        match unwritten {
            Unwritten::Stranger => Self::Token,
            Unwritten::Conflict => Self::Conflict,
            Unwritten::Fenced(refusal) => Self::Fenced(refusal),
            Unwritten::Illegal(_) => Self::Malformed("How far was read is not legally said."),
            Unwritten::Storage(error) => Self::Storage(error),
        }
    }
}

fn refuse(context: &Context, refused: Refused) -> Response {
    let retry_after = match &refused {
        Refused::TooMany => Some(10),
        Refused::Lease(Refusal::Held { remaining, .. }) => {
            Some(remaining.whole_seconds().saturating_add(1))
        }
        _ => None,
    };
    let (status, code, message) = match refused {
        Refused::NotFound => {
            (StatusCode::NOT_FOUND, "notFound", "There is nothing here.".to_owned())
        }
        Refused::Malformed(what) => (StatusCode::BAD_REQUEST, "malformed", what.to_owned()),
        Refused::TooLarge => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "tooLarge",
            format!(
                "A batch has at most {OPERATIONS_MAX} operations, {REFERENCES_MAX} changed \
                 references and {BODY_OCTETS_MAX} octets."
            ),
        ),
        Refused::Secret => (
            StatusCode::FORBIDDEN,
            "invalidSecret",
            "The enrolment secret is unknown, used, or older than an hour.".to_owned(),
        ),
        Refused::Key(rule) => (StatusCode::BAD_REQUEST, "invalidKey", format!("The key: {rule}.")),
        Refused::Token => (
            StatusCode::UNAUTHORIZED,
            "invalidToken",
            "An access token with the role Sync.Ingest is needed.".to_owned(),
        ),
        Refused::Proof => (
            StatusCode::FORBIDDEN,
            "invalidProof",
            "No key of the application vouches for the new one.".to_owned(),
        ),
        Refused::Conflict => (
            StatusCode::CONFLICT,
            "batchConflict",
            "This batch id was used for another content.".to_owned(),
        ),
        Refused::TooMany => (
            StatusCode::TOO_MANY_REQUESTS,
            "tooManyRequests",
            "This sync server sends too many batches. Go on more slowly.".to_owned(),
        ),
        Refused::Lease(refusal) => lease::words(StatusCode::CONFLICT, &refusal),
        Refused::Fenced(refusal) => lease::words(StatusCode::PRECONDITION_FAILED, &refusal),
        Refused::Storage(error) => {
            answer::unavailable(context, &error);
            let message = "The service is not available for the moment. Try again.";
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable", message.to_owned())
        }
    };
    let correlation_id = context.correlation_id.to_string();
    let error = ErrorBody { code: code.to_owned(), message, correlation_id };
    let mut answer = (status, Json(ErrorResponse { error })).into_response();
    if let Some(seconds) = retry_after {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status == StatusCode::UNAUTHORIZED {
        // RFC 6750 section 3 wants it.
        let challenge = HeaderValue::from_static("Bearer");
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    answer
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

async fn post_enrol(
    State(service): State<Service>,
    context: Context,
    request: Request,
) -> Response {
    match enrol(&service, &context, request).await {
        Ok(answer) => Json(answer).into_response(),
        Err(refused) => refuse(&context, refused),
    }
}

async fn enrol(
    service: &Service,
    context: &Context,
    request: Request,
) -> Result<EnrolResponse, Refused> {
    if !is_json(request.headers()) {
        return Err(Refused::Malformed("The body is not application/json."));
    }
    let octets = body(request.into_body(), FORM_OCTETS_MAX).await.ok_or(Refused::TooLarge)?;
    let request: EnrolRequest = serde_json::from_slice(&octets)
        .map_err(|_| Refused::Malformed("The body is no enrolment request."))?;
    // The key first: a request that cannot succeed does not use the secret up.
    let kid = request.key.thumbprint().map_err(Refused::Key)?;
    let secret = Opaque::from_caller(request.secret.0.expose()).ok_or(Refused::Secret)?;
    let mut tx = service.store().begin(Access::Write).await?;
    let by_word = tx.enrolment_replaces(&secret.digest()).await?;
    let joins = tx.enrolment_joins(&secret.digest()).await?;
    if !tx.take_enrolment(&secret.digest(), context.now).await? {
        return Err(Refused::Secret);
    }
    let predecessor = match (by_word, request.replaces) {
        (Some(id), _) => tx.application(id).await?,
        (None, Some(succession)) => proven(service, context, &mut tx, &succession, &kid).await?,
        (None, None) => None,
    };
    let mut key = request.key;
    key.kid = Some(kid);
    let application = Application {
        client_id: Guid::from_random(SystemEntropy.array()),
        name: "Portolan connect".to_owned(),
        redirect_uris: Vec::new(),
        permissions: Vec::new(),
        roles: vec![ROLE_INGEST.to_owned()],
        keys: vec![key],
    };
    tx.put_application(&application).await?;
    let client_id = application.client_id.to_string();
    let replaced = predecessor.map(|predecessor| predecessor.client_id);
    record(&mut tx, context, "application.enrol", &client_id, client_id.clone()).await?;
    if let Some(old) = replaced {
        tx.succeed(old, application.client_id).await?;
        record(&mut tx, context, "application.succeed", &client_id, old.to_string()).await?;
    }
    let group = join(&mut tx, context, application.client_id, joins).await?;
    let described = describe(&mut tx, service, group, None).await?;
    tx.commit().await?;
    let tenant = service.tenant();
    let sync = tenant.sync_host();
    Ok(EnrolResponse {
        client_id,
        token_endpoint: tenant.token_endpoint(),
        scope: format!("https://{sync}/.default"),
        ingest_endpoint: format!("https://{sync}/v1.0/ingest"),
        replaced: replaced.map(|id| id.to_string()),
        tenant: described,
    })
}

/// Puts a new server into the group that its enrolment file is for, and gives its group. Whoever joins a
/// group that is gone by now is one of its own: it has nobody's objects then.
async fn join(
    tx: &mut SqliteTransaction,
    context: &Context,
    server: Guid,
    joins: Option<Guid>,
) -> Result<Guid, StorageError> {
    let of = match joins {
        Some(of) => tx.application(of).await?,
        None => None,
    };
    let Some(of) = of else { return tx.sync_group(server).await };
    let group = tx.join_group(server, of.client_id).await?;
    record(tx, context, "syncServer.join", &server.to_string(), group.to_string()).await?;
    Ok(group)
}

async fn record(
    tx: &mut SqliteTransaction,
    context: &Context,
    action: &'static str,
    actor: &str,
    target: String,
) -> Result<(), StorageError> {
    tracing::info!(target: "portolan::audit", actor, action, target, "Audit");
    tx.record_audit(&AuditRecord { at: context.now, actor: actor.to_owned(), action, target }).await
}

/// The application that a server was, if one of its keys vouches for the new one; none if it was removed.
async fn proven(
    service: &Service,
    context: &Context,
    tx: &mut SqliteTransaction,
    succession: &Succession,
    new: &str,
) -> Result<Option<Application>, Refused> {
    let id = succession.client_id.parse();
    let id = id.map_err(|_| Refused::Malformed("The id of what is replaced is no GUID."))?;
    let Some(application) = tx.application(id).await? else { return Ok(None) };
    if !application.roles.iter().any(|role| role == ROLE_INGEST) {
        return Err(Refused::Proof);
    }
    let audience = client_key::succession_audience(service.tenant(), new);
    let checked =
        client_key::check_vouched(tx, &application, &audience, &succession.proof, context.now);
    match checked.await {
        Ok(()) => Ok(Some(application)),
        Err(grant::Refusal::Rule(_)) => Err(Refused::Proof),
        Err(grant::Refusal::Storage(error)) => Err(Refused::Storage(error)),
    }
}

async fn describe(
    tx: &mut SqliteTransaction,
    service: &Service,
    group: Guid,
    last_batch: Option<String>,
) -> Result<TenantResponse, StorageError> {
    let tenant = service.tenant();
    let servers = tx.sync_group_servers(group).await?;
    let lease = tx.lease(group).await?;
    Ok(TenantResponse {
        tenant_id: tenant.id.to_string(),
        initial_domain: tenant.domain.to_string(),
        verified_domains: tenant.verified_domains.iter().map(ToString::to_string).collect(),
        sync_group: Some(group.to_string()),
        last_batch,
        sync_servers: u32::try_from(servers.len()).ok(),
        uses_lease: lease.is_some_and(|lease| lease.is_used()),
        takes_read_up_to: true,
    })
}

/// The enrolled application behind a request.
async fn sender(
    service: &Service,
    context: &Context,
    headers: &HeaderMap,
) -> Result<Guid, Refused> {
    let token = bearer(service, context, headers, &service.tenant().sync_host())
        .filter(|token| token.idtyp == "app" && token.has_role(ROLE_INGEST))
        .ok_or(Refused::Token)?;
    let client_id = token.azp.parse().map_err(|_| Refused::Token)?;
    may_ingest(&mut service.store().begin(Access::Read).await?, client_id).await?;
    Ok(client_id)
}

async fn post_key(State(service): State<Service>, context: Context, request: Request) -> Response {
    match register_key(&service, &context, request).await {
        Ok(answer) => Json(answer).into_response(),
        Err(refused) => refuse(&context, refused),
    }
}

async fn register_key(
    service: &Service,
    context: &Context,
    request: Request,
) -> Result<KeyResponse, Refused> {
    let client_id = sender(service, context, request.headers()).await?;
    if !is_json(request.headers()) {
        return Err(Refused::Malformed("The body is not application/json."));
    }
    let octets = body(request.into_body(), FORM_OCTETS_MAX).await.ok_or(Refused::TooLarge)?;
    let KeyRequest { key, proof } = serde_json::from_slice(&octets)
        .map_err(|_| Refused::Malformed("The body is no key request."))?;
    key.thumbprint().map_err(Refused::Key)?;
    if !service.rates().batches.admit(client_id, 1, context.now) {
        return Err(Refused::TooMany);
    }
    let mut tx = service.store().begin(Access::Write).await?;
    let application = tx.application(client_id).await?.ok_or(Refused::Token)?;
    let tenant = service.tenant();
    let registered =
        client_key::register(&mut tx, tenant, application, key, &proof, context.now).await;
    let key_ids = registered.map_err(|refusal| match refusal {
        grant::Refusal::Rule(_) => Refused::Proof,
        grant::Refusal::Storage(error) => Refused::Storage(error),
    })?;
    tx.commit().await?;
    tracing::info!(target: "portolan::audit", actor = %client_id, action = "application.key.add", "Audit");
    Ok(KeyResponse { key_ids })
}

async fn get_tenant(
    State(service): State<Service>,
    context: Context,
    headers: HeaderMap,
) -> Response {
    match tenant_of(&service, &context, &headers).await {
        Ok(answer) => Json(answer).into_response(),
        Err(refused) => refuse(&context, refused),
    }
}

async fn tenant_of(
    service: &Service,
    context: &Context,
    headers: &HeaderMap,
) -> Result<TenantResponse, Refused> {
    let client_id = sender(service, context, headers).await?;
    let mut tx = service.store().begin(Access::Read).await?;
    let (group, last) = (tx.sync_group(client_id).await?, tx.last_batch(client_id).await?);
    Ok(describe(&mut tx, service, group, Some(batch_name(last))).await?)
}

async fn post_ingest(
    State(service): State<Service>,
    context: Context,
    request: Request,
) -> Response {
    match ingest_batch(&service, &context, request).await {
        Ok(answer) => ([(header::CONTENT_TYPE, "application/json")], answer).into_response(),
        Err(refused) => refuse(&context, refused),
    }
}

async fn ingest_batch(
    service: &Service,
    context: &Context,
    request: Request,
) -> Result<String, Refused> {
    let client_id = sender(service, context, request.headers()).await?;
    if !is_json(request.headers()) {
        return Err(Refused::Malformed("The body is not application/json."));
    }
    let octets = body(request.into_body(), BODY_OCTETS_MAX).await.ok_or(Refused::TooLarge)?;
    // The sender is part of the content: nobody reads the answer to another's batch.
    let digest = Digest::of(&[client_id.to_string().as_bytes(), &octets].concat());
    let sent: IngestRequest = serde_json::from_slice(&octets)
        .map_err(|_| Refused::Malformed("The body is no ingest request."))?;
    let references: usize = sent.operations.iter().map(Operation::changed_count).sum();
    if sent.operations.len() > OPERATIONS_MAX || references > REFERENCES_MAX {
        return Err(Refused::TooLarge);
    }
    let id: Guid =
        sent.batch.parse().map_err(|_| Refused::Malformed("The batch id is no GUID."))?;
    let members = sent.operations.iter().map(Operation::named_count).sum();
    let draws = draws_of_batch(octets.len(), members);
    if !service.rates().batches.admit(client_id, draws, context.now) {
        return Err(Refused::TooMany);
    }
    let writing = service.store().begin(Access::Write).await?;
    let (tenant, rng) = (service.tenant(), &mut SystemEntropy);
    let batch = Batch { sender: client_id, id, digest, sent };
    Ok(ingest::write(writing, tenant, batch, context.now, rng).await?)
}
