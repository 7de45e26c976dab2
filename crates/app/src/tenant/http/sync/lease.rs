//! The lease of a group of sync servers: which of them writes.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use portolan_model::{Entropy as _, Guid};
use portolan_net::entropy::SystemEntropy;
use portolan_tenant::lease::{self, NAME_CHARS_MAX, Refusal, Tenure};
use portolan_tenant::storage::{Access, Store as _, Transaction as _};
use portolan_tenant::wire::{self, LeaseRequest, LeaseResponse};
use time::Duration;

use super::{Refused, is_json, record, refuse, sender};
use crate::tenant::http::{Context, FORM_OCTETS_MAX, Service, body};
use crate::tenant::ingest::may_ingest;

pub(super) async fn post_lease(
    State(service): State<Service>,
    context: Context,
    request: Request,
) -> Response {
    match ask(&service, &context, request).await {
        Ok(answer) => Json(answer).into_response(),
        Err(refused) => refuse(&context, refused),
    }
}

async fn ask(
    service: &Service,
    context: &Context,
    request: Request,
) -> Result<LeaseResponse, Refused> {
    let client_id = sender(service, context, request.headers()).await?;
    if !is_json(request.headers()) {
        return Err(Refused::Malformed("The body is not application/json."));
    }
    let octets = body(request.into_body(), FORM_OCTETS_MAX).await.ok_or(Refused::TooLarge)?;
    let asked: LeaseRequest = serde_json::from_slice(&octets)
        .map_err(|_| Refused::Malformed("The body is no lease request."))?;
    if !service.rates().batches.admit(client_id, 1, context.now) {
        return Err(Refused::TooMany);
    }
    let seconds = |seconds: u32| Duration::seconds(seconds.into());
    let claim = |epoch, id: Option<String>| {
        wire::claim(epoch, id.as_ref()).ok_or(Refused::Lease(Refusal::Lost))
    };
    let (name, request) = match asked {
        LeaseRequest::Acquire { name, seconds: wanted } => {
            (name, lease::Request::Acquire { duration: seconds(wanted) })
        }
        LeaseRequest::Renew { name, epoch, id, seconds: wanted } => {
            let claim = claim(epoch, id)?;
            (name, lease::Request::Renew { claim, duration: seconds(wanted) })
        }
        LeaseRequest::Release { epoch, id } => {
            (String::new(), lease::Request::Release { claim: claim(epoch, id)? })
        }
    };
    if name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        return Err(Refused::Malformed("The name of the server is too long, or not text."));
    }
    let mut tx = service.store().begin(Access::Write).await?;
    may_ingest(&mut tx, client_id).await?;
    let group = tx.sync_group(client_id).await?;
    let before = tx.lease(group).await?;
    let fresh = Guid::from_random(SystemEntropy.array());
    let decided = lease::decide(before.as_ref(), client_id, &name, &request, context.now, fresh);
    let decision = decided.map_err(Refused::Lease)?;
    tx.put_lease(group, &decision.lease).await?;
    let Tenure { epoch, id, previous } = decision.lease.tenure;
    let action = match (&request, decision.taken_from) {
        (lease::Request::Acquire { .. }, Some(_)) => Some("lease.takeover"),
        (lease::Request::Acquire { .. }, None) => Some("lease.acquire"),
        (lease::Request::Release { .. }, _) => Some("lease.release"),
        (lease::Request::Renew { .. }, _) => None,
    };
    if let Some(action) = action {
        let from = decision.taken_from.map(|from| format!(", from {from}")).unwrap_or_default();
        let target = format!("{group}, epoch {epoch}{from}");
        record(&mut tx, context, action, &client_id.to_string(), target).await?;
    }
    tx.commit().await?;
    let holder = decision.lease.holder();
    let left = holder.and_then(|holder| holder.remaining(context.now));
    Ok(LeaseResponse {
        sync_group: group.to_string(),
        epoch,
        id: id.to_string(),
        previous: previous.map(|id| id.to_string()),
        seconds: left.and_then(|left| u32::try_from(left.whole_seconds()).ok()).unwrap_or(0),
        taken_from: decision.taken_from.map(|from| from.to_string()),
    })
}

/// How a refusal is told: status, word, sentence.
pub(super) fn words(status: StatusCode, refusal: &Refusal) -> (StatusCode, &'static str, String) {
    (status, refusal.code(), format!("Not now: {refusal}."))
}
