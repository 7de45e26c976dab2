//! Graph's routes: what is read ([`read`]), what is written ([`write`](mod@write)), several requests in
//! one ([`batch`]), and how many there may be ([`throttle`]).

mod batch;
mod read;
mod throttle;
mod write;

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router, middleware};
use portolan_model::Guid;
use portolan_store::tenant::SqliteTransaction;
use portolan_tenant::directory::{Kind, Object};
use portolan_tenant::graph::InvalidQuery;
use portolan_tenant::graph::fault::Fault;
use portolan_tenant::storage::{Access, StorageError, Store as _, Transaction as _};
use portolan_token::claims::AccessToken;
use serde_json::Value as JsonValue;

use super::bearer::{application_is_there, bearer, person};
use super::{Context, Service, answer, discovery};

/// What Graph answers, one request at a time and in batches.
pub(super) fn router(service: &Service) -> Router {
    let batched = batch::router(single(service), service.clone());
    single(service).merge(batched)
}

/// What Graph answers to a request that stands alone or in a batch.
fn single(service: &Service) -> Router {
    let throttled = middleware::from_fn_with_state(service.clone(), throttle::admit);
    read::router()
        .merge(write::devices())
        .merge(write::deleted())
        .merge(write::photos())
        .route("/v1.0/users", get(read::users).post(write::create_user))
        .route(
            "/v1.0/users/{id}",
            get(read::user).patch(write::update_user).delete(write::delete_user),
        )
        .route(
            "/v1.0/users/{id}/manager/$ref",
            put(write::set_manager).delete(write::clear_manager),
        )
        .route("/v1.0/groups", get(read::groups).post(write::create_group))
        .route(
            "/v1.0/groups/{id}",
            get(read::group).patch(write::update_group).delete(write::delete_group),
        )
        // A group by its unique name; the closing parenthesis is a part of what is captured.
        .route(
            "/v1.0/groups(uniqueName={name}",
            get(read::group_by_unique_name)
                .patch(write::upsert_group)
                .delete(write::delete_group_by_unique_name),
        )
        .route("/v1.0/groups/{id}/members/$ref", post(write::add_member))
        .route("/v1.0/groups/{id}/members/{member}/$ref", delete(write::remove_member))
        .route("/oidc/userinfo", get(discovery::get_userinfo).post(discovery::get_userinfo))
        .fallback(nothing)
        .method_not_allowed_fallback(not_allowed)
        .layer(throttled)
        .with_state(service.clone())
}

/// What a request cannot have.
enum Refused {
    /// No good token, or the person's account does not sign in any more.
    Token,
    /// The token does not permit it.
    Permission,
    /// The query is not understood.
    Query(InvalidQuery),
    /// There is no such object.
    NotFound,
    /// A body that is too large, or broke off.
    Body,
    /// The write is refused.
    Write(Fault),
    /// The store failed.
    Storage(StorageError),
}

impl From<StorageError> for Refused {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self::Write(fault)
    }
}

/// A request as every route takes it.
struct Asked {
    service: Service,
    context: Context,
    headers: HeaderMap,
    uri: Uri,
}

impl FromRequestParts<Service> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, Infallible> {
        Ok(Self {
            service: service.clone(),
            context: Context::from_request_parts(parts, service).await?,
            headers: parts.headers.clone(),
            uri: parts.uri.clone(),
        })
    }
}

impl Asked {
    fn respond(&self, outcome: Result<JsonValue, Refused>) -> Response {
        self.answer(outcome.map(|body| Json(body).into_response()))
    }

    /// The answer with the names of its request.
    fn answer(&self, outcome: Result<Response, Refused>) -> Response {
        let answer = outcome.unwrap_or_else(|refused| self.refuse(refused));
        named(&self.context, answer)
    }

    fn refuse(&self, refused: Refused) -> Response {
        let context = &self.context;
        let error = |status, code, message: &str| answer::graph(context, status, code, message);
        match refused {
            Refused::Token => {
                let challenge = format!(
                    "Bearer realm=\"\", authorization_uri=\"{}/oauth2/v2.0/authorize\"",
                    self.service.tenant().authority()
                );
                let mut answer = error(
                    StatusCode::UNAUTHORIZED,
                    "InvalidAuthenticationToken",
                    "The access token is missing, expired, or not for this resource.",
                );
                if let Ok(challenge) = HeaderValue::try_from(challenge) {
                    answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                }
                answer
            }
            Refused::Permission => error(
                StatusCode::FORBIDDEN,
                "Authorization_RequestDenied",
                "Insufficient privileges to complete the operation.",
            ),
            Refused::Query(query) => {
                error(StatusCode::BAD_REQUEST, "Request_BadRequest", &query.to_string())
            }
            Refused::NotFound => error(
                StatusCode::NOT_FOUND,
                "Request_ResourceNotFound",
                "The resource does not exist, or one of its references does not.",
            ),
            Refused::Body => error(
                StatusCode::PAYLOAD_TOO_LARGE,
                "Request_BadRequest",
                "The body is too large, or broke off.",
            ),
            Refused::Write(fault) => answer::graph_fault(context, &fault),
            Refused::Storage(failed) => {
                answer::unavailable(context, &failed);
                error(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "ServiceNotAvailable",
                    "The service is not available for the moment. Try again.",
                )
            }
        }
    }
}

/// An answer with the names by which the log and the caller find its request.
fn named(context: &Context, mut answer: Response) -> Response {
    let names = [("request-id", context.trace_id), ("client-request-id", context.correlation_id)];
    for (name, id) in names {
        if let Ok(value) = HeaderValue::try_from(id.to_string()) {
            answer.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    answer
}

async fn nothing(asked: Asked) -> Response {
    asked.respond(Err(Refused::NotFound))
}

async fn not_allowed(context: Context) -> Response {
    let answer = answer::graph(
        &context,
        StatusCode::METHOD_NOT_ALLOWED,
        "Request_BadRequest",
        "Specified HTTP method is not allowed for the request target.",
    );
    named(&context, answer)
}

/// The token of a request, which is good now: of a person whose account signs in, or of an application
/// that is there.
async fn good_token(asked: &Asked) -> Result<AccessToken, Refused> {
    let Asked { service, context, headers, .. } = asked;
    let host = service.tenant().graph_host();
    let token = bearer(service, context, headers, &host).ok_or(Refused::Token)?;
    let mut tx = service.store().begin(Access::Read).await?;
    let is_good = match token.idtyp.as_str() {
        "user" => person(service, context, &mut tx, &token).await?.is_some(),
        _ => application_is_there(&mut tx, &token).await?,
    };
    if is_good { Ok(token) } else { Err(Refused::Token) }
}

fn living(object: Option<Object>, kind: Kind) -> Result<Object, Refused> {
    object
        .filter(|object| object.deleted_at.is_none() && object.kind == kind)
        .ok_or(Refused::NotFound)
}

/// The user of an id or of a user principal name.
async fn user_named(tx: &mut SqliteTransaction, named: &str) -> Result<Object, Refused> {
    let found = match named.parse::<Guid>() {
        Ok(id) => tx.object(id).await?,
        Err(_) => tx.user_by_name(named).await?,
    };
    living(found, Kind::User)
}

/// The group of an id, or of `(uniqueName='…')`.
async fn group_named(tx: &mut SqliteTransaction, named: &str) -> Result<Object, Refused> {
    let found = match (named.parse::<Guid>(), named.strip_prefix("(uniqueName=")) {
        (Ok(id), _) => tx.object(id).await?,
        (Err(_), Some(key)) => {
            let name = unique_name(key).ok_or(Refused::NotFound)?;
            tx.group_by_unique_name(&name).await?
        }
        (Err(_), None) => None,
    };
    living(found, Kind::Group)
}

/// The device of an id, or of `'…')`, the rest of `(deviceId='…')`.
async fn device_named(tx: &mut SqliteTransaction, named: &str) -> Result<Object, Refused> {
    let found = match named.parse::<Guid>() {
        Ok(id) => tx.object(id).await?,
        Err(_) => {
            let key = unique_name(named).and_then(|key| key.parse().ok());
            tx.device_by_id(key.ok_or(Refused::NotFound)?).await?
        }
    };
    living(found, Kind::Device)
}

/// The unique name of a key, as in `'name')`: a quotation mark of its own is doubled.
fn unique_name(key: &str) -> Option<String> {
    let quoted = key.strip_suffix(')')?.strip_prefix('\'')?.strip_suffix('\'')?;
    let name = quoted.replace("''", "\u{0}");
    // One that stands alone would have ended the text.
    (!name.contains('\'')).then(|| name.replace('\u{0}', "'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unique_name_is_quoted() {
        let check = |key: &str, expected: Option<&str>| {
            assert_eq!(unique_name(key).as_deref(), expected, "{key}");
        };
        check("'abc')", Some("abc"));
        check("'O''Neil')", Some("O'Neil"));
        check("'a'b')", None);
        check("abc)", None);
        check("'abc'", None);
        check("'')", Some(""));
    }
}
