//! Graph's recycle bin: a user who was deleted comes back ([restore]).
//!
//! [restore]: https://learn.microsoft.com/graph/api/directory-deleteditems-restore

use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use portolan_model::Guid;
use portolan_tenant::graph::restore as bin;
use portolan_tenant::graph::{View, Writes};
use portolan_tenant::storage::Transaction as _;
use serde_json::{Map, json};

use super::{Asked, Permitted, Refused, UPSERT, entity, good_token};
use crate::tenant::http::Service;

pub(in super::super) fn router() -> Router<Service> {
    Router::new().route("/v1.0/directory/deletedItems/{id}/restore", post(restore))
}

async fn restore(asked: Asked, Path(id): Path<String>) -> Response {
    let outcome = async {
        let token = good_token(&asked).await?;
        let id: Guid = id.parse().map_err(|_| Refused::NotFound)?;
        let mut permitted = Permitted::begin(&asked, &token, Writes::Users).await?;
        let found = permitted.tx.object(id).await?.filter(bin::is_recycled);
        let found = found.ok_or(Refused::NotFound)?;
        let tenant = asked.service.tenant();
        let user = bin::restore(&mut permitted.tx, tenant, found).await??;
        permitted.done(&asked, UPSERT, id).await?;
        let root = format!("https://{}/v1.0", tenant.graph_host());
        let mut body = Map::new();
        let context = format!("{root}/$metadata#directoryObjects/$entity");
        body.insert("@odata.context".to_owned(), json!(context));
        body.insert("@odata.type".to_owned(), json!("#microsoft.graph.user"));
        body.extend(entity(&user, None, View::Whole));
        Ok(Json(body).into_response())
    };
    asked.answer(outcome.await)
}
