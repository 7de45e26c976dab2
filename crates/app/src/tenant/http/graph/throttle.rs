//! Counts each request against Graph's limits, when the tenant was told to keep them.

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use portolan_model::Guid;
use portolan_tenant::directory::Kind;
use portolan_tenant::graph::throttle::{Admitted, Cost, Throttled};
use portolan_tenant::storage::{Access, StorageError, Store as _, Transaction as _};

use super::{bearer, named};
use crate::tenant::http::{Context, Service, answer};

const UNITS: HeaderName = HeaderName::from_static("x-ms-resource-unit");
const SPENT: HeaderName = HeaderName::from_static("x-ms-throttle-limit-percentage");
const SCOPE: HeaderName = HeaderName::from_static("x-ms-throttle-scope");
const INFORMATION: HeaderName = HeaderName::from_static("x-ms-throttle-information");

/// Lets a request pass, or says when it may.
pub(super) async fn admit(
    State(service): State<Service>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let context = Context::of(&parts, &service);
    let host = service.tenant().graph_host();
    // Whoever shows no good token is refused behind this.
    let token = match service.0.throttle {
        Some(_) => bearer(&service, &context, &parts.headers, &host),
        None => None,
    };
    let application = token.and_then(|token| token.azp.parse::<Guid>().ok());
    let Some(application) = application else {
        return next.run(Request::from_parts(parts, body)).await;
    };
    let query: Vec<_> = parts.uri.query().unwrap_or_default().split('&').collect();
    let options: Vec<_> = query
        .iter()
        .map(|option| option.split_once('=').unwrap_or((option, "")))
        .map(|(name, value)| (name.strip_prefix("%24").map_or(name, dollar), value))
        .collect();
    let path = parts.uri.path();
    let path = path.strip_prefix("/v1.0").unwrap_or(path);
    let cost = Cost::of(parts.method.as_str(), path, &options);
    match counted(&service, &context, application, cost).await {
        Ok(Ok(admitted)) => told(next.run(Request::from_parts(parts, body)).await, admitted),
        Ok(Err(throttled)) => refused(&service, &context, application, throttled),
        Err(error) => {
            answer::unavailable(&context, &error);
            let message = "The service is not available for the moment. Try again.";
            let status = StatusCode::SERVICE_UNAVAILABLE;
            named(&context, answer::graph(&context, status, "ServiceNotAvailable", message))
        }
    }
}

/// An option's name whose dollar sign was encoded.
fn dollar(name: &str) -> &str {
    match name {
        "select" => "$select",
        "top" => "$top",
        "expand" => "$expand",
        other => other,
    }
}

async fn counted(
    service: &Service,
    context: &Context,
    application: Guid,
    cost: Cost,
) -> Result<Result<Admitted, Throttled>, StorageError> {
    let users = match service.known_users(context.now) {
        Some(users) => users,
        None => {
            let mut tx = service.store().begin(Access::Read).await?;
            let users = tx.count_objects(Kind::User).await?;
            service.learn_users(users, context.now);
            users
        }
    };
    Ok(service.spend(application, cost, users, context.now))
}

fn told(mut answer: Response, admitted: Admitted) -> Response {
    let headers = answer.headers_mut();
    headers.insert(UNITS, HeaderValue::from(admitted.units));
    if let Some(spent) = admitted.spent
        && let Ok(value) = HeaderValue::try_from(format!("{spent:.2}"))
    {
        headers.insert(SPENT, value);
    }
    answer
}

fn refused(
    service: &Service,
    context: &Context,
    application: Guid,
    throttled: Throttled,
) -> Response {
    let (status, code) = (StatusCode::TOO_MANY_REQUESTS, "TooManyRequests");
    let message = "Too many requests. Try again after the time in the header Retry-After.";
    let mut answer = answer::graph(context, status, code, message);
    let scope = throttled.scope_text(application, service.tenant().id);
    let headers = answer.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from(throttled.retry_after_seconds));
    headers.insert(INFORMATION, HeaderValue::from_static(throttled.information()));
    if let Ok(scope) = HeaderValue::try_from(scope) {
        headers.insert(SCOPE, scope);
    }
    named(context, answer)
}
