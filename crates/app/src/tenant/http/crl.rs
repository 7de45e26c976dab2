//! The plain-text listener: the revocation list, and nothing else.

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use axum::routing::get;

use crate::tenant::authority::CRL_PATH;

/// The router of the plain-text listener, with the way to the current list (DER).
pub(in crate::tenant) fn crl_router(
    list: impl Fn() -> Vec<u8> + Clone + Send + Sync + 'static,
) -> Router {
    let serve = move || {
        let list = list();
        async move {
            // A day is the list's own rhythm; an hour keeps a cache from being much behind.
            let headers = [
                (header::CONTENT_TYPE, "application/pkix-crl"),
                (header::CACHE_CONTROL, "max-age=3600"),
            ];
            (headers, list)
        }
    };
    Router::new()
        .route(CRL_PATH, get(serve))
        .fallback(|| async { StatusCode::NOT_FOUND.into_response() })
        .method_not_allowed_fallback(|| async { StatusCode::NOT_FOUND.into_response() })
}
