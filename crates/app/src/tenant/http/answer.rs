//! What a failure looks like: JSON for programs, a page for people.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use portolan_tenant::Rule;
use portolan_tenant::graph::fault::Fault;
use portolan_tenant::storage::StorageError;
use serde_json::json;

use super::Context;

/// An error of the token endpoint and its like (RFC 6749 section 5.2), with Entra ID's members.
pub(super) fn oauth(context: &Context, rule: Rule) -> Response {
    let incident = context.incident(rule);
    let shown = rule.shown();
    let status = StatusCode::from_u16(shown.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let body = json!({
        // At the token endpoint a lacking consent is a useless grant (RFC 6749 section 5.2).
        "error": if shown == Rule::ConsentRequired { "invalid_grant" } else { shown.oauth() },
        "error_description": incident.description(),
        "error_codes": [shown.number()],
        "timestamp": incident.timestamp(),
        "trace_id": context.trace_id.to_string(),
        "correlation_id": context.correlation_id.to_string(),
    });
    (status, Json(body)).into_response()
}

/// Logs that the store failed, and gives the rule to tell.
pub(super) fn unavailable(context: &Context, error: &StorageError) -> Rule {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::error!(%error, cause, trace_id = %context.trace_id, "Store failed");
    Rule::Unavailable
}

/// An error of Graph ([Microsoft Graph error responses]).
///
/// [Microsoft Graph error responses]: https://learn.microsoft.com/graph/errors
pub(super) fn graph(
    context: &Context,
    status: StatusCode,
    code: &'static str,
    message: &str,
) -> Response {
    (status, Json(graph_body(context, code, message))).into_response()
}

/// A write that Graph refuses.
pub(super) fn graph_fault(context: &Context, fault: &Fault) -> Response {
    let status = StatusCode::from_u16(fault.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let message = fault.to_string();
    let mut body = graph_body(context, fault.code(), &message);
    if let Some(property) = fault.conflict() {
        let detail = json!({"code": "ObjectConflict", "message": message, "target": property});
        body["error"]["details"] = json!([detail]);
    }
    (status, Json(body)).into_response()
}

fn graph_body(context: &Context, code: &str, message: &str) -> serde_json::Value {
    json!({"error": {
        "code": code,
        "message": message,
        "innerError": {
            "date": context.incident(Rule::InvalidRequest).timestamp(),
            "request-id": context.trace_id.to_string(),
            "client-request-id": context.correlation_id.to_string(),
        },
    }})
}
