//! Graph's recycle bin: the users who were deleted and are not forgotten yet ([list], [get]).
//!
//! [list]: https://learn.microsoft.com/graph/api/directory-deleteditems-list
//! [get]: https://learn.microsoft.com/graph/api/directory-deleteditems-get

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;
use portolan_model::Guid;
use portolan_store::tenant::SqliteTransaction;
use portolan_tenant::directory::{Kind, Object};
use portolan_tenant::graph::filter::Filter;
use portolan_tenant::graph::{Resource, restore};
use portolan_tenant::storage::{Access, StorageError, Store as _, Transaction as _};
use serde_json::json;

use super::{Asked, Call, Refused, SCAN_OBJECTS};
use crate::tenant::http::Service;

/// The type to which the items are cast: an address without one is not served, as at Graph.
const USERS: &str = "directory/deletedItems/microsoft.graph.user";

pub(super) fn router() -> Router<Service> {
    Router::new()
        .route("/v1.0/directory/deletedItems/microsoft.graph.user", get(users))
        .route("/v1.0/directory/deletedItems/{id}", get(user))
}

async fn users(asked: Asked) -> Response {
    let outcome = async {
        let call = Call::begin(&asked, Resource::Users, Kind::User).await?;
        let _turn = if call.is_scan() { asked.service.scan().await } else { None };
        let mut tx = asked.service.store().begin(Access::Read).await?;
        let (objects, total) = list(&call, &mut tx).await?;
        let mut body = call.page(&objects, USERS, USERS);
        if let Some(total) = total {
            body["@odata.count"] = json!(total);
        }
        Ok(body)
    };
    asked.respond(outcome.await)
}

async fn user(asked: Asked, Path(id): Path<String>) -> Response {
    let outcome = async {
        let call = Call::of_one(&asked, Resource::Users, Kind::User).await?;
        // The type alone, where an id stands otherwise, is a list of something that is not kept here.
        let id: Guid = id.parse().map_err(|_| Refused::NotFound)?;
        let mut tx = asked.service.store().begin(Access::Read).await?;
        let found = tx.object(id).await?.filter(restore::is_recycled);
        let mut body = call.one(&found.ok_or(Refused::NotFound)?, "directoryObjects");
        body["@odata.type"] = json!("#microsoft.graph.user");
        Ok(body)
    };
    asked.respond(outcome.await)
}

/// The users of the page and one more, and how many there are in all if that was asked for.
async fn list(
    call: &Call,
    tx: &mut SqliteTransaction,
) -> Result<(Vec<Object>, Option<u64>), Refused> {
    if let Some(filter) = &call.query.filter
        && let Some(("onPremisesImmutableId", text)) = filter.key()
    {
        let found = by_anchor(tx, text).await?;
        let total = call.query.count.then_some(u64::from(found.is_some()));
        let behind = |user: &Object| call.query.after.is_none_or(|after| is_behind(user, after));
        return Ok((found.into_iter().filter(behind).collect(), total));
    }
    let wanted = usize::try_from(call.count()).unwrap_or(usize::MAX);
    let passes = |user: &Object| call.query.filter.as_ref().is_none_or(|f: &Filter| f.passes(user));
    let (mut found, mut total) = (Vec::new(), 0_u64);
    // A count is of everything, wherever the page begins.
    let mut after = if call.query.count { None } else { call.query.after };
    while call.query.count || found.len() < wanted {
        let page = tx.deleted(Kind::User, after, SCAN_OBJECTS).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for user in page.into_iter().filter(passes) {
            total = total.saturating_add(1);
            let behind = call.query.after.is_none_or(|after| is_behind(&user, after));
            if behind && found.len() < wanted {
                found.push(user);
            }
        }
    }
    Ok((found, call.query.count.then_some(total)))
}

/// The user of an anchor, which is one user's, deleted or not.
async fn by_anchor(tx: &mut SqliteTransaction, text: &str) -> Result<Option<Object>, StorageError> {
    let Ok(anchor) = text.parse() else { return Ok(None) };
    Ok(tx.object_by_anchor(&anchor).await?.filter(restore::is_recycled))
}

fn is_behind(user: &Object, after: Guid) -> bool {
    super::order(user.id) > super::order(after)
}
