//! Graph's routes to whom an object refers: members of a group, a user's manager and direct reports.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;
use portolan_tenant::directory::{Kind, Object};
use portolan_tenant::graph::{InvalidQuery, Resource};
use portolan_tenant::storage::{Access, Store as _, Transaction as _};
use serde_json::{Value as JsonValue, json};

use super::{Asked, Call, Refused, errors, group_named, user_named};
use crate::tenant::http::Service;

pub(super) fn router() -> Router<Service> {
    Router::new()
        .route("/v1.0/groups/{id}/members", get(members))
        .route("/v1.0/users/{id}/manager", get(manager))
        .route("/v1.0/users/{id}/directReports", get(direct_reports))
        .route("/v1.0/me/manager", get(my_manager))
        .route("/v1.0/me/directReports", get(my_direct_reports))
}

/// Objects of a list are of several kinds: each says which.
fn odata_type(kind: Kind) -> JsonValue {
    let name = match kind {
        Kind::Contact => "orgContact",
        kind => kind.as_str(),
    };
    json!(format!("#microsoft.graph.{name}"))
}

/// A page of objects that another one refers to.
pub(super) fn page(call: &Call, objects: &[Object], path: &str) -> JsonValue {
    let mut body = call.page(objects, "directoryObjects", path);
    let values = body["value"].as_array_mut().map(Vec::as_mut_slice).unwrap_or_default();
    for (value, object) in values.iter_mut().zip(objects) {
        value["@odata.type"] = odata_type(object.kind);
    }
    body
}

/// A request for a page of references, which neither a filter nor a count is understood of.
pub(super) async fn begin(asked: &Asked, resource: Resource, of: &str) -> Result<Call, Refused> {
    let call = Call::begin(asked, resource, Kind::User).await?;
    if call.query.filter.is_some() || call.query.count {
        let refused = InvalidQuery::UnknownOption(format!("$filter or $count of {of}"));
        return Err(Refused::Query(refused));
    }
    Ok(call)
}

async fn members(asked: Asked, Path(named): Path<String>) -> Response {
    let outcome = async {
        let call = begin(&asked, Resource::Members, "members").await?;
        let _turn = asked.service.scan().await;
        let mut tx = asked.service.store().begin(Access::Read).await?;
        let group = group_named(&mut tx, &named).await?;
        let objects = tx.members(group.id, call.query.after, call.count()).await?;
        let body = page(&call, &objects, &format!("groups/{}/members", group.id));
        Ok(errors::fill(&mut tx, body).await?)
    };
    asked.respond(outcome.await)
}

async fn manager(asked: Asked, Path(named): Path<String>) -> Response {
    let outcome = manager_of(&asked, |_| named).await;
    asked.respond(outcome)
}

async fn my_manager(asked: Asked) -> Response {
    let outcome = manager_of(&asked, |call| call.token.oid.clone()).await;
    asked.respond(outcome)
}

async fn manager_of(
    asked: &Asked,
    named: impl FnOnce(&Call) -> String,
) -> Result<JsonValue, Refused> {
    let call = Call::of_one(asked, Resource::Manager, Kind::User).await?;
    let mut tx = asked.service.store().begin(Access::Read).await?;
    let user = user_named(&mut tx, &named(&call)).await?;
    let manager = tx.manager(user.id).await?.ok_or(Refused::NotFound)?;
    let mut body = call.one(&manager, "directoryObjects");
    body["@odata.type"] = odata_type(manager.kind);
    Ok(errors::fill(&mut tx, body).await?)
}

async fn direct_reports(asked: Asked, Path(named): Path<String>) -> Response {
    let outcome = reports_of(&asked, |_| named).await;
    asked.respond(outcome)
}

async fn my_direct_reports(asked: Asked) -> Response {
    let outcome = reports_of(&asked, |call| call.token.oid.clone()).await;
    asked.respond(outcome)
}

async fn reports_of(
    asked: &Asked,
    named: impl FnOnce(&Call) -> String,
) -> Result<JsonValue, Refused> {
    let call = begin(asked, Resource::DirectReports, "directReports").await?;
    let _turn = asked.service.scan().await;
    let mut tx = asked.service.store().begin(Access::Read).await?;
    let user = user_named(&mut tx, &named(&call)).await?;
    let objects = tx.direct_reports(user.id, call.query.after, call.count()).await?;
    let body = page(&call, &objects, &format!("users/{}/directReports", user.id));
    Ok(errors::fill(&mut tx, body).await?)
}
