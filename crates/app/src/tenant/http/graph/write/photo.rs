//! Graph's writes of photos: octets, and not JSON.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::put;
use portolan_tenant::directory::{PHOTO_OCTETS_MAX, Photo};
use portolan_tenant::graph::fault::Fault;
use portolan_tenant::graph::{Writes, photo};

use super::{Asked, Permitted, Refused, UPSERT, good_token, read_body, user_named};
use crate::tenant::http::Service;

pub(in super::super) fn router() -> Router<Service> {
    let routes = put(set).patch(set).delete(clear);
    Router::new().route("/v1.0/users/{id}/photo/$value", routes)
}

async fn set(asked: Asked, Path(named): Path<String>, body: Body) -> Response {
    let outcome = async {
        let token = good_token(&asked).await?;
        let kind = asked.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !kind.is_some_and(|kind| kind.starts_with("image/")) {
            return Err(Fault::Malformed.into());
        }
        let octets = read_body(body, PHOTO_OCTETS_MAX).await.ok_or(Refused::Body)?;
        let photo = Photo::new(octets.to_vec()).map_err(Fault::InvalidPhoto)?;
        write(&asked, &token, &named, Some(&photo)).await?;
        Ok(StatusCode::OK.into_response())
    };
    asked.answer(outcome.await)
}

async fn clear(asked: Asked, Path(named): Path<String>) -> Response {
    let outcome = async {
        let token = good_token(&asked).await?;
        write(&asked, &token, &named, None).await
    };
    asked.answer(outcome.await)
}

async fn write(
    asked: &Asked,
    token: &portolan_token::claims::AccessToken,
    named: &str,
    photo: Option<&Photo>,
) -> Result<Response, Refused> {
    let mut permitted = Permitted::begin(asked, token, Writes::Users).await?;
    let user = user_named(&mut permitted.tx, named).await?;
    photo::put(&mut permitted.tx, &user, photo).await??;
    permitted.done(asked, UPSERT, user.id).await
}
