//! The sync server's routes: enrolment, the tenant's domains, ingest. The contract is
//! `portolan_tenant::wire`.

mod held;
mod lease;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use portolan_model::{Entropy, Guid, SourceAnchor};
use portolan_net::entropy::SystemEntropy;
use portolan_store::tenant::SqliteTransaction;
use portolan_tenant::application::{Application, ROLE_INGEST};
use portolan_tenant::directory::ProvisioningError;
use portolan_tenant::grant;
use portolan_tenant::ingest;
use portolan_tenant::lease::Refusal;
use portolan_tenant::rate::draws_of_batch;
use portolan_tenant::storage::{
    Access, AuditRecord, IngestedBatch, StorageError, Store as _, Transaction as _,
};
use portolan_tenant::wire::{
    BODY_OCTETS_MAX, EnrolRequest, EnrolResponse, ErrorBody, ErrorResponse, IngestRequest,
    IngestResponse, KeyRequest, KeyResponse, OPERATIONS_MAX, Operation, OperationResult,
    Quarantined, REFERENCES_MAX, Succession, TenantResponse,
};
use portolan_tenant::{Digest, Opaque, client_key};

use super::bearer::bearer;
use super::{Context, FORM_OCTETS_MAX, Service, answer, body};

/// Where a sync server enrols. It is the one path of this host that anybody may ask.
pub(super) const ENROL_PATH: &str = "/enrol";

/// Characters of a refused operation's own words that an answer repeats: answers are kept.
const REPEATED_CHARS_MAX: usize = 200;

pub(super) fn router() -> Router<Service> {
    Router::new()
        .route(ENROL_PATH, post(post_enrol))
        .route("/v1.0/tenant", get(get_tenant))
        .route("/v1.0/objects", get(held::get_objects))
        .route("/v1.0/objects/read", post(held::post_read))
        .route("/v1.0/references", get(held::get_references))
        .route("/v1.0/key", post(post_key))
        .route("/v1.0/lease", post(lease::post_lease))
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

/// The name of a sync server's last batch; empty when there is none.
fn batch_name(last: Option<(Guid, time::OffsetDateTime)>) -> String {
    last.map(|(id, _)| id.to_string()).unwrap_or_default()
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

/// A role that was taken away, and a server that was removed, end at once, not with the token.
async fn may_ingest(tx: &mut SqliteTransaction, client_id: Guid) -> Result<(), Refused> {
    let application = tx.application(client_id).await?.ok_or(Refused::Token)?;
    let may = application.roles.iter().any(|role| role == ROLE_INGEST);
    if may { Ok(()) } else { Err(Refused::Token) }
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
    context: &Context,
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
    tx.record_audits(context.now, &client_id.to_string(), &lines).await
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
    let mut tx = service.store().begin(Access::Write).await?;
    // It may have been removed since the token was looked at: what it sends now is nobody's.
    may_ingest(&mut tx, client_id).await?;
    if let Some(known) = tx.batch(id).await? {
        return if known.digest == digest { Ok(known.answer) } else { Err(Refused::Conflict) };
    }
    let group = tx.sync_group(client_id).await?;
    lease::fence(&mut tx, group, client_id, sent.lease_epoch).await?;
    let checked = sent.operations.iter().map(Operation::check).collect();
    let checked = its_own(&mut tx, group, checked).await?;
    let (tenant, rng) = (service.tenant(), &mut SystemEntropy);
    let applied = ingest::apply_batch(&mut tx, tenant, checked, context.now, rng).await?;
    record_batch(&mut tx, (client_id, group), context, &sent.operations, &applied).await?;
    let results = sent.operations.iter().zip(applied.outcomes);
    let results: Vec<_> = results.map(|(operation, outcome)| result(operation, outcome)).collect();
    let refused = results.iter().filter(|result| result.status != "ok").count();
    tracing::info!(target: "portolan::audit", actor = %client_id, action = "ingest", batch = %id,
        operations = results.len(), refused, "Audit");
    let previous = Some(batch_name(tx.last_batch(client_id).await?));
    let answer = serde_json::to_string(&IngestResponse { batch: sent.batch, previous, results })
        .map_err(StorageError::new)?;
    tx.note_batch(client_id, id, context.now).await?;
    tx.put_batch(&IngestedBatch { id, digest, answer: answer.clone(), at: context.now }).await?;
    tx.commit().await?;
    Ok(answer)
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
