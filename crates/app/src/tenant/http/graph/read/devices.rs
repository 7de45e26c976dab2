//! Graph's routes to devices, and to who registered them.
//!
//! A device is named by its id, or by its `deviceId` in parentheses; the closing one is a part of what is captured.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;
use portolan_tenant::directory::{Kind, Reference};
use portolan_tenant::graph::Resource;
use portolan_tenant::storage::{Access, Store as _, Transaction as _};
use serde_json::Value as JsonValue;

use super::references::{begin, page};
use super::{Asked, Call, Refused, count, device_named, errors, list};
use crate::tenant::http::Service;

pub(super) fn router() -> Router<Service> {
    Router::new()
        .route("/v1.0/devices", get(devices))
        .route("/v1.0/devices/$count", get(count_devices))
        .route("/v1.0/devices/{id}", get(device))
        .route("/v1.0/devices(deviceId={id}", get(device))
        .route("/v1.0/devices/{id}/registeredOwners", get(owners))
        .route("/v1.0/devices(deviceId={id}/registeredOwners", get(owners))
        .route("/v1.0/devices/{id}/registeredUsers", get(users))
        .route("/v1.0/devices(deviceId={id}/registeredUsers", get(users))
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
        let mut tx = asked.service.store().begin(Access::Read).await?;
        let body = call.one(&device_named(&mut tx, &named).await?, "devices");
        Ok(errors::fill(&mut tx, body).await?)
    };
    asked.respond(outcome.await)
}

async fn owners(asked: Asked, Path(named): Path<String>) -> Response {
    let outcome = registered(&asked, &named, Reference::RegisteredOwners).await;
    asked.respond(outcome)
}

async fn users(asked: Asked, Path(named): Path<String>) -> Response {
    let outcome = registered(&asked, &named, Reference::RegisteredUsers).await;
    asked.respond(outcome)
}

async fn registered(
    asked: &Asked,
    named: &str,
    reference: Reference,
) -> Result<JsonValue, Refused> {
    let call = begin(asked, Resource::Devices, reference.as_str()).await?;
    let _turn = asked.service.scan().await;
    let mut tx = asked.service.store().begin(Access::Read).await?;
    let device = device_named(&mut tx, named).await?;
    let objects = tx.referred((device.id, reference), call.query.after, call.count()).await?;
    let path = format!("devices/{}/{}", device.id, reference.as_str());
    Ok(errors::fill(&mut tx, page(&call, &objects, &path)).await?)
}
