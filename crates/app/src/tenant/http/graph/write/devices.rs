//! Graph's writes of devices ([create], [update], [delete], [owners], [users]).
//!
//! A device is named by its id, or by its `deviceId` in parentheses; the closing one is a part of what is
//! captured.
//!
//! [create]: https://learn.microsoft.com/graph/api/device-post-devices
//! [update]: https://learn.microsoft.com/graph/api/device-update
//! [delete]: https://learn.microsoft.com/graph/api/device-delete
//! [owners]: https://learn.microsoft.com/graph/api/device-post-registeredowners
//! [users]: https://learn.microsoft.com/graph/api/device-post-registeredusers

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{delete, patch, post};
use portolan_model::Guid;
use portolan_tenant::directory::{Kind, Reference};
use portolan_tenant::graph::device::SECURITY_IDS;
use portolan_tenant::graph::{Writes, write};

use super::{Asked, Permitted, Refused, UPSERT, device_named, good_token, reference, wanted};
use crate::tenant::http::Service;

pub(in super::super) fn router() -> Router<Service> {
    let mut router = Router::new().route("/v1.0/devices", post(create));
    for one in ["/v1.0/devices/{id}", "/v1.0/devices(deviceId={id}"] {
        router = router
            .route(one, patch(update).delete(remove))
            .route(&format!("{one}/registeredOwners/$ref"), post(add_owner))
            .route(&format!("{one}/registeredOwners/{{user}}/$ref"), delete(remove_owner))
            .route(&format!("{one}/registeredUsers/$ref"), post(add_user))
            .route(&format!("{one}/registeredUsers/{{user}}/$ref"), delete(remove_user));
    }
    router
}

async fn create(asked: Asked, body: Body) -> Response {
    let outcome = super::create(&asked, body, Kind::Device, Writes::Registrations).await;
    asked.answer(outcome)
}

async fn update(asked: Asked, Path(named): Path<String>, body: Body) -> Response {
    let outcome = async {
        let token = good_token(&asked).await?;
        let wanted = wanted(&asked, body, Kind::Device).await?;
        let what = match wanted.attribute(SECURITY_IDS) {
            Some(_) => Writes::Registrations,
            None => Writes::Devices,
        };
        let mut permitted = Permitted::begin(&asked, &token, what).await?;
        let device = device_named(&mut permitted.tx, &named).await?;
        super::update(&asked, permitted, device, wanted).await
    };
    asked.answer(outcome.await)
}

async fn remove(asked: Asked, Path(named): Path<String>) -> Response {
    let outcome = async {
        let token = good_token(&asked).await?;
        let mut permitted = Permitted::begin(&asked, &token, Writes::Devices).await?;
        let device = device_named(&mut permitted.tx, &named).await?;
        super::delete(&asked, permitted, device).await
    };
    asked.answer(outcome.await)
}

async fn add_owner(asked: Asked, Path(named): Path<String>, body: Body) -> Response {
    let outcome = add(&asked, &named, Reference::RegisteredOwners, body).await;
    asked.answer(outcome)
}

async fn add_user(asked: Asked, Path(named): Path<String>, body: Body) -> Response {
    let outcome = add(&asked, &named, Reference::RegisteredUsers, body).await;
    asked.answer(outcome)
}

async fn add(
    asked: &Asked,
    named: &str,
    whose: Reference,
    body: Body,
) -> Result<Response, Refused> {
    let token = good_token(asked).await?;
    let user = reference(asked, body).await?;
    let mut permitted = Permitted::begin(asked, &token, Writes::Devices).await?;
    let device = device_named(&mut permitted.tx, named).await?;
    write::add_reference(&mut permitted.tx, (&device, whose), user).await??;
    permitted.done(asked, UPSERT, device.id).await
}

async fn remove_owner(asked: Asked, Path((named, user)): Path<(String, String)>) -> Response {
    let outcome = take(&asked, &named, Reference::RegisteredOwners, &user).await;
    asked.answer(outcome)
}

async fn remove_user(asked: Asked, Path((named, user)): Path<(String, String)>) -> Response {
    let outcome = take(&asked, &named, Reference::RegisteredUsers, &user).await;
    asked.answer(outcome)
}

async fn take(
    asked: &Asked,
    named: &str,
    whose: Reference,
    user: &str,
) -> Result<Response, Refused> {
    let token = good_token(asked).await?;
    let user: Guid = user.parse().map_err(|_| Refused::NotFound)?;
    let mut permitted = Permitted::begin(asked, &token, Writes::Devices).await?;
    let device = device_named(&mut permitted.tx, named).await?;
    write::remove_reference(&mut permitted.tx, (&device, whose), user).await??;
    permitted.done(asked, UPSERT, device.id).await
}
