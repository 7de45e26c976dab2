//! Graph's writes; those of devices are in [`devices`](mod@devices). A handler reads the body first, so that a slow sender holds no transaction; then who
//! asks is looked at in the same transaction in which is written.

mod deleted;
mod devices;
mod photo;

use axum::Json;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use portolan_model::Guid;
use portolan_store::tenant::SqliteTransaction;
use portolan_tenant::directory::{Kind, Object, Reference, Value};
use portolan_tenant::graph::body::{self, Asked as Wanted};
use portolan_tenant::graph::fault::Fault;
use portolan_tenant::graph::write::{self, Rights};
use portolan_tenant::graph::{View, Writes};
use portolan_tenant::storage::{Access, AuditRecord, Store as _, Transaction as _};
use portolan_token::claims::AccessToken;
use serde_json::{Map, json};

use super::read::entity;
use super::{Asked, Refused, device_named, good_token, group_named, unique_name, user_named};
use crate::tenant::http::body as read_body;

pub(super) use deleted::router as deleted;
pub(super) use devices::router as devices;
pub(super) use photo::router as photos;

/// Octets that a body may have.
const BODY_OCTETS_MAX: usize = 256 * 1024;

/// The lines that a write leaves in the audit log: those of the ingest, so that who writes objects
/// without end pushes nothing of what was administered out of it.
const UPSERT: &str = "object.upsert";
const DELETE: &str = "object.delete";
const CREDENTIAL: &str = "credential.set";

/// A write that is permitted, in its transaction.
struct Permitted {
    tx: SqliteTransaction,
    actor: String,
    rights: Rights,
}

impl Permitted {
    async fn begin(asked: &Asked, token: &AccessToken, what: Writes) -> Result<Self, Refused> {
        // One that says nothing of it is refused without a turn at writing.
        let client_id: Guid = token.azp.parse().map_err(|_| Refused::Token)?;
        let mut tx = asked.service.store().begin(Access::Write).await?;
        let application = tx.application(client_id).await?.ok_or(Refused::Token)?;
        if !what.is_permitted(token, &application) {
            return Err(Refused::Permission);
        }
        let rights = Rights { passwords: Writes::Passwords.is_permitted(token, &application) };
        Ok(Self { tx, actor: client_id.to_string(), rights })
    }

    async fn record(
        &mut self,
        asked: &Asked,
        action: &'static str,
        object: Guid,
    ) -> Result<(), Refused> {
        let (at, actor, target) = (asked.context.now, self.actor.clone(), object.to_string());
        tracing::info!(target: "portolan::audit", actor, action, target, "Audit");
        self.tx.record_audit(&AuditRecord { at, actor, action, target }).await?;
        Ok(())
    }

    /// Ends a write that went well.
    async fn done(
        mut self,
        asked: &Asked,
        action: &'static str,
        object: Guid,
    ) -> Result<Response, Refused> {
        self.record(asked, action, object).await?;
        self.tx.commit().await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    }
}

/// The octets of a body, which is JSON.
async fn octets(asked: &Asked, body: Body) -> Result<axum::body::Bytes, Refused> {
    let kind = asked.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Fault::Malformed.into());
    }
    read_body(body, BODY_OCTETS_MAX).await.ok_or(Refused::Body)
}

/// What the body of a write of an object asks.
async fn wanted(asked: &Asked, body: Body, kind: Kind) -> Result<Wanted, Refused> {
    let octets = octets(asked, body).await?;
    Ok(Wanted::parse(&octets, kind, &asked.service.tenant().graph_host())?)
}

pub(super) async fn create_user(asked: Asked, body: Body) -> Response {
    let outcome = create(&asked, body, Kind::User, Writes::Users).await;
    asked.answer(outcome)
}

pub(super) async fn create_group(asked: Asked, body: Body) -> Response {
    let outcome = create(&asked, body, Kind::Group, Writes::Groups).await;
    asked.answer(outcome)
}

async fn create(asked: &Asked, body: Body, kind: Kind, what: Writes) -> Result<Response, Refused> {
    let token = good_token(asked).await?;
    let wanted = wanted(asked, body, kind).await?;
    let permitted = Permitted::begin(asked, &token, what).await?;
    made(asked, permitted, kind, wanted).await
}

/// Makes an object, and shows it.
async fn made(
    asked: &Asked,
    mut permitted: Permitted,
    kind: Kind,
    wanted: Wanted,
) -> Result<Response, Refused> {
    let tenant = asked.service.tenant();
    let has_password = wanted.password.is_some();
    let (tx, now) = (&mut permitted.tx, asked.context.now);
    let mut rng = asked.service.entropy();
    let object = write::create(tx, tenant, kind, wanted, now, &mut *rng).await??;
    if has_password {
        permitted.record(asked, CREDENTIAL, object.id).await?;
    }
    permitted.done(asked, UPSERT, object.id).await?;
    Ok(shown(asked, &object))
}

/// The answer to a creation: 201, the object, and where it is.
fn shown(asked: &Asked, object: &Object) -> Response {
    let set = match object.kind {
        Kind::User => "users",
        Kind::Device => "devices",
        Kind::Group | Kind::Contact => "groups",
    };
    let root = format!("https://{}/v1.0", asked.service.tenant().graph_host());
    let mut body = Map::new();
    body.insert("@odata.context".to_owned(), json!(format!("{root}/$metadata#{set}/$entity")));
    body.extend(entity(object, None, View::Whole));
    let mut answer = (StatusCode::CREATED, Json(body)).into_response();
    if let Ok(location) = HeaderValue::try_from(format!("{root}/{set}/{}", object.id)) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    answer
}

pub(super) async fn update_user(asked: Asked, Path(named): Path<String>, body: Body) -> Response {
    let outcome = async {
        let token = good_token(&asked).await?;
        let wanted = wanted(&asked, body, Kind::User).await?;
        // Who may set passwords and nothing else names nothing else.
        let alone = wanted.attributes.is_empty() && wanted.anchor.is_none();
        let what = match wanted.password.is_some() && alone {
            true => Writes::Passwords,
            false => Writes::Users,
        };
        let mut permitted = Permitted::begin(&asked, &token, what).await?;
        let user = user_named(&mut permitted.tx, &named).await?;
        update(&asked, permitted, user, wanted).await
    };
    asked.answer(outcome.await)
}

pub(super) async fn update_group(asked: Asked, Path(named): Path<String>, body: Body) -> Response {
    if let Some(key) = named.strip_prefix("(uniqueName=") {
        let outcome = upsert(&asked, key, body).await;
        return asked.answer(outcome);
    }
    let outcome = async {
        let token = good_token(&asked).await?;
        let wanted = wanted(&asked, body, Kind::Group).await?;
        let mut permitted = Permitted::begin(&asked, &token, writes_of(&wanted)).await?;
        let group = group_named(&mut permitted.tx, &named).await?;
        update(&asked, permitted, group, wanted).await
    };
    asked.answer(outcome.await)
}

fn writes_of(wanted: &Wanted) -> Writes {
    match wanted.is_of_members_alone() {
        true => Writes::Members,
        false => Writes::Groups,
    }
}

async fn update(
    asked: &Asked,
    mut permitted: Permitted,
    object: Object,
    wanted: Wanted,
) -> Result<Response, Refused> {
    let tenant = asked.service.tenant();
    let (id, now, rights) = (object.id, asked.context.now, permitted.rights);
    let sets_password = wanted.password.is_some();
    let tx = &mut permitted.tx;
    let mut rng = asked.service.entropy();
    write::update(tx, tenant, object, wanted, rights, now, &mut *rng).await??;
    if sets_password {
        permitted.record(asked, CREDENTIAL, id).await?;
    }
    permitted.done(asked, UPSERT, id).await
}

pub(super) async fn upsert_group(asked: Asked, Path(key): Path<String>, body: Body) -> Response {
    let outcome = upsert(&asked, &key, body).await;
    asked.answer(outcome)
}

/// Changes the group of a unique name; makes it when it is missing and that is preferred ([upsert group]).
///
/// [upsert group]: https://learn.microsoft.com/graph/api/group-upsert
async fn upsert(asked: &Asked, key: &str, body: Body) -> Result<Response, Refused> {
    let token = good_token(asked).await?;
    let name = unique_name(key).ok_or(Refused::NotFound)?;
    let mut wanted = wanted(asked, body, Kind::Group).await?;
    let mut permitted = Permitted::begin(asked, &token, Writes::Groups).await?;
    if let Some(group) = permitted.tx.group_by_unique_name(&name).await? {
        return update(asked, permitted, group, wanted).await;
    }
    let prefers = asked.headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let makes = prefers
        .flat_map(|value| value.split(','))
        .any(|word| word.trim().eq_ignore_ascii_case("create-if-missing"));
    if !makes {
        return Err(Fault::NotFound(name.chars().take(128).collect()).into());
    }
    // The key names the group, and the body may say the same and nothing else.
    let said = wanted.attribute("uniqueName").flatten().cloned();
    if said.is_some_and(|said| said != Value::Text(name.clone())) {
        return Err(Fault::InvalidValue("uniqueName", "Group").into());
    }
    wanted.attributes.retain(|(attribute, _)| *attribute != "uniqueName");
    wanted.attributes.push(("uniqueName", Some(Value::Text(name))));
    made(asked, permitted, Kind::Group, wanted).await
}

pub(super) async fn delete_user(asked: Asked, Path(named): Path<String>) -> Response {
    let outcome = async {
        let token = good_token(&asked).await?;
        let mut permitted = Permitted::begin(&asked, &token, Writes::Users).await?;
        let user = user_named(&mut permitted.tx, &named).await?;
        delete(&asked, permitted, user).await
    };
    asked.answer(outcome.await)
}

pub(super) async fn delete_group(asked: Asked, Path(named): Path<String>) -> Response {
    let outcome = async {
        let token = good_token(&asked).await?;
        let mut permitted = Permitted::begin(&asked, &token, Writes::Groups).await?;
        let group = group_named(&mut permitted.tx, &named).await?;
        delete(&asked, permitted, group).await
    };
    asked.answer(outcome.await)
}

pub(super) async fn delete_group_by_unique_name(asked: Asked, Path(key): Path<String>) -> Response {
    delete_group(asked, Path(format!("(uniqueName={key}"))).await
}

async fn delete(
    asked: &Asked,
    mut permitted: Permitted,
    object: Object,
) -> Result<Response, Refused> {
    let id = object.id;
    write::delete(&mut permitted.tx, object, asked.context.now).await??;
    permitted.done(asked, DELETE, id).await
}

pub(super) async fn add_member(asked: Asked, Path(named): Path<String>, body: Body) -> Response {
    let outcome = async {
        let token = good_token(&asked).await?;
        let member = reference(&asked, body).await?;
        let mut permitted = Permitted::begin(&asked, &token, Writes::Members).await?;
        let group = group_named(&mut permitted.tx, &named).await?;
        write::add_reference(&mut permitted.tx, (&group, Reference::Members), member).await??;
        permitted.done(&asked, UPSERT, group.id).await
    };
    asked.answer(outcome.await)
}

pub(super) async fn remove_member(
    asked: Asked,
    Path((named, member)): Path<(String, String)>,
) -> Response {
    let outcome = async {
        let token = good_token(&asked).await?;
        let member = member.parse().map_err(|_| Refused::NotFound)?;
        let mut permitted = Permitted::begin(&asked, &token, Writes::Members).await?;
        let group = group_named(&mut permitted.tx, &named).await?;
        write::remove_reference(&mut permitted.tx, (&group, Reference::Members), member).await??;
        permitted.done(&asked, UPSERT, group.id).await
    };
    asked.answer(outcome.await)
}

pub(super) async fn set_manager(asked: Asked, Path(named): Path<String>, body: Body) -> Response {
    let outcome = async {
        let manager = reference(&asked, body).await?;
        manage(&asked, &named, Some(manager)).await
    };
    asked.answer(outcome.await)
}

pub(super) async fn clear_manager(asked: Asked, Path(named): Path<String>) -> Response {
    let outcome = manage(&asked, &named, None).await;
    asked.answer(outcome)
}

async fn manage(asked: &Asked, named: &str, manager: Option<Guid>) -> Result<Response, Refused> {
    let token = good_token(asked).await?;
    let mut permitted = Permitted::begin(asked, &token, Writes::Users).await?;
    let user = user_named(&mut permitted.tx, named).await?;
    write::set_manager(&mut permitted.tx, &user, manager).await??;
    permitted.done(asked, UPSERT, user.id).await
}

/// The object that a body refers to.
async fn reference(asked: &Asked, body: Body) -> Result<Guid, Refused> {
    let octets = octets(asked, body).await?;
    Ok(body::single_reference(&octets, &asked.service.tenant().graph_host())?)
}
