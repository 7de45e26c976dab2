//! Graph's routes to the photos of users: the octets alone, as they came from the forest.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use portolan_tenant::directory::{Kind, Photo};
use portolan_tenant::graph::Resource;
use portolan_tenant::storage::{Access, Store as _, Transaction as _};

use super::{Asked, Call, Refused, user_named};
use crate::tenant::http::Service;

pub(super) fn router() -> Router<Service> {
    Router::new()
        .route("/v1.0/users/{id}/photo/$value", get(photo))
        .route("/v1.0/me/photo/$value", get(my_photo))
}

async fn photo(asked: Asked, Path(named): Path<String>) -> Response {
    let outcome = read(&asked, Resource::Users, |_| named).await;
    respond(&asked, outcome)
}

async fn my_photo(asked: Asked) -> Response {
    let outcome = read(&asked, Resource::Me, |call| call.token.oid.clone()).await;
    respond(&asked, outcome)
}

async fn read(
    asked: &Asked,
    resource: Resource,
    named: impl FnOnce(&Call) -> String,
) -> Result<Photo, Refused> {
    let call = Call::of_one(asked, resource, Kind::User).await?;
    let mut tx = asked.service.store().begin(Access::Read).await?;
    let user = user_named(&mut tx, &named(&call)).await?;
    tx.photo(user.id).await?.ok_or(Refused::NotFound)
}

fn respond(asked: &Asked, outcome: Result<Photo, Refused>) -> Response {
    match outcome {
        Ok(photo) => {
            let kind = HeaderValue::from_static(photo.media_type());
            // Nobody is to take the octets for anything else than they are said to be.
            let guard = HeaderValue::from_static("nosniff");
            let headers = [(header::CONTENT_TYPE, kind), (header::X_CONTENT_TYPE_OPTIONS, guard)];
            (headers, photo.octets().to_vec()).into_response()
        }
        Err(refused) => asked.respond(Err(refused)),
    }
}
