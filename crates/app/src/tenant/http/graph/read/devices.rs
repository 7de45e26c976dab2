//! Graph's routes to devices.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;
use portolan_tenant::directory::Kind;
use portolan_tenant::graph::Resource;
use portolan_tenant::storage::{Access, Store as _, Transaction as _};

use super::{Asked, Call, Refused, count, errors, list, living};
use crate::tenant::http::Service;

pub(super) fn router() -> Router<Service> {
    Router::new()
        .route("/v1.0/devices", get(devices))
        .route("/v1.0/devices/$count", get(count_devices))
        .route("/v1.0/devices/{id}", get(device))
}

async fn devices(asked: Asked) -> Response {
    let outcome = list(&asked, Resource::Devices, Kind::Device).await;
    asked.respond(outcome)
}

async fn count_devices(asked: Asked) -> Response {
    count(&asked, Resource::Devices, Kind::Device).await
}

async fn device(asked: Asked, Path(named): Path<String>) -> Response {
    let outcome = async {
        let call = Call::of_one(&asked, Resource::Devices, Kind::Device).await?;
        let id = named.parse().map_err(|_| Refused::NotFound)?;
        let mut tx = asked.service.store().begin(Access::Read).await?;
        let body = call.one(&living(tx.object(id).await?, Kind::Device)?, "devices");
        Ok(errors::fill(&mut tx, body).await?)
    };
    asked.respond(outcome.await)
}
