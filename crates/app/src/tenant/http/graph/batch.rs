//! `$batch`: each request goes the way of one that came alone, with the caller's own token.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portolan_net::http::ClientAddress;
use portolan_tenant::graph::batch::{self, BODY_OCTETS_MAX, fold};
use serde_json::{Value as JsonValue, json};
use tower::ServiceExt as _;

use super::{Asked, Refused, good_token};
use crate::tenant::http::{Context, Service, answer, body};

/// Octets that the answer to one request of a batch may have: a page of the largest objects.
const ANSWER_OCTETS_MAX: usize = 128 * 1024 * 1024;

/// Headers of an answer that are of one request, and stand beside it in the batch's answer.
const SHOWN: [&str; 9] = [
    "content-type",
    "location",
    "retry-after",
    "request-id",
    "x-ms-resource-unit",
    "x-ms-throttle-limit-percentage",
    "x-ms-throttle-scope",
    "x-ms-throttle-information",
    "www-authenticate",
];

#[derive(Clone)]
struct Batching {
    service: Service,
    single: Router,
}

/// The route of batches of requests that `single` answers one by one.
pub(super) fn router(single: Router, service: Service) -> Router {
    Router::new().route("/v1.0/$batch", post(run)).with_state(Batching { service, single })
}

async fn run(State(batching): State<Batching>, request: Request) -> Response {
    let Batching { service, single } = batching;
    let (parts, sent) = request.into_parts();
    let asked = Asked {
        context: Context::of(&parts, &service),
        service,
        headers: parts.headers,
        uri: parts.uri,
    };
    let peer = parts.extensions.get::<ClientAddress>().copied();
    let outcome = async {
        // What nobody may ask at all is refused before it is read.
        good_token(&asked).await?;
        let octets = body(sent, BODY_OCTETS_MAX).await.ok_or(Refused::Body)?;
        Ok::<_, Refused>(batch::parse(&octets, &asked.service.tenant().graph_host()))
    };
    match outcome.await {
        Err(refused) => asked.answer(Err(refused)),
        Ok(Err(invalid)) => {
            let (status, message) = (StatusCode::BAD_REQUEST, invalid.to_string());
            asked.answer(Ok(answer::graph(&asked.context, status, "BadRequest", &message)))
        }
        Ok(Ok(requests)) => {
            let responses = all(&asked, &single, peer, requests).await;
            asked.respond(Ok(json!({"responses": responses})))
        }
    }
}

/// Runs the requests of a batch in their order.
async fn all(
    asked: &Asked,
    single: &Router,
    peer: Option<ClientAddress>,
    requests: Vec<batch::Request>,
) -> Vec<JsonValue> {
    let mut statuses: BTreeMap<String, StatusCode> = BTreeMap::new();
    let mut responses = Vec::with_capacity(requests.len());
    for request in requests {
        let id = request.id.clone();
        let is_broken = request
            .depends_on
            .iter()
            .any(|needed| statuses.get(&fold(needed)).is_none_or(|status| !status.is_success()));
        let answer = match is_broken {
            true => answer::graph(
                &asked.context,
                StatusCode::FAILED_DEPENDENCY,
                "FailedDependency",
                "A request on which this one depends failed.",
            ),
            false => one(asked, single, peer, request).await,
        };
        statuses.insert(fold(&id), answer.status());
        responses.push(told(id, answer).await);
    }
    responses
}

async fn one(
    asked: &Asked,
    single: &Router,
    peer: Option<ClientAddress>,
    sent: batch::Request,
) -> Response {
    let refused = || {
        let message = "The request of the batch is malformed.";
        answer::graph(&asked.context, StatusCode::BAD_REQUEST, "BadRequest", message)
    };
    let Ok(method) = Method::from_bytes(sent.method.as_bytes()) else { return refused() };
    let mut request = Request::builder().method(method).uri(format!("/v1.0{}", spaced(&sent.url)));
    for (name, value) in &sent.headers {
        // Who asks is told by the batch, for all of it.
        if !name.eq_ignore_ascii_case(header::AUTHORIZATION.as_str()) {
            request = request.header(name.as_str(), value.as_str());
        }
    }
    if let Some(token) = asked.headers.get(header::AUTHORIZATION) {
        request = request.header(header::AUTHORIZATION, token);
    }
    let Ok(mut request) = request.body(sent.body.map(Body::from).unwrap_or_default()) else {
        return refused();
    };
    if let Some(peer) = peer {
        request.extensions_mut().insert(peer);
    }
    match single.clone().oneshot(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    }
}

/// An address whose spaces are encoded: in a batch people write them as they are.
fn spaced(url: &str) -> String {
    url.replace(' ', "%20")
}

/// An answer as it stands in the batch's.
async fn told(id: String, answer: Response) -> JsonValue {
    let (parts, body_sent) = answer.into_parts();
    let shown = |name: &&'static str| {
        let value = parts.headers.get(*name).map(HeaderValue::to_str)?;
        Some((spelled(name), json!(value.ok()?)))
    };
    let headers: serde_json::Map<String, JsonValue> = SHOWN.iter().filter_map(shown).collect();
    let mut told = json!({"id": id, "status": parts.status.as_u16(), "headers": headers});
    let octets = body(body_sent, ANSWER_OCTETS_MAX).await.unwrap_or_default();
    if !octets.is_empty() {
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let text = || JsonValue::from(String::from_utf8_lossy(&octets));
        told["body"] = match kind.is_some_and(|kind| kind.starts_with("image/")) {
            true => json!(STANDARD.encode(&octets)),
            false => serde_json::from_slice(&octets).unwrap_or_else(|_| text()),
        };
    }
    told
}

/// The usual spelling of a header's name.
fn spelled(name: &str) -> String {
    match name {
        "content-type" => "Content-Type".to_owned(),
        "location" => "Location".to_owned(),
        "retry-after" => "Retry-After".to_owned(),
        name => name.to_owned(),
    }
}
