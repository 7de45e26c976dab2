//! Graph's reads: users, groups, the organisation; what else there is, in modules of its own.

mod deleted;
mod devices;
mod errors;
mod extensions;
mod photo;
mod references;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use portolan_model::Guid;
use portolan_store::tenant::SqliteTransaction;
use portolan_tenant::Parameters;
use portolan_tenant::directory::{Kind, Object, Value};
use portolan_tenant::graph::device::SECURITY_ID_TYPE;
use portolan_tenant::graph::filter::Filter;
use portolan_tenant::graph::{InvalidQuery, Property, Query, Resource, View, properties};
use portolan_tenant::storage::{Access, StorageError, Store as _, Transaction as _};
use portolan_token::claims::AccessToken;
use serde_json::{Map, Value as JsonValue, json};
use time::format_description::well_known::Rfc3339;

use super::{Asked, Refused, device_named, good_token, group_named, living, user_named};
use crate::tenant::http::{Service, query};

/// Objects that a filter looks at between two reads of the store.
const SCAN_OBJECTS: u32 = 500;

/// The routes that are only read.
pub(super) fn router() -> Router<Service> {
    Router::new()
        .route("/v1.0/me", get(me))
        .route("/v1.0/users/$count", get(count_users))
        .route("/v1.0/groups/$count", get(count_groups))
        .route("/v1.0/organization", get(organization))
        .merge(deleted::router())
        .merge(devices::router())
        .merge(photo::router())
        .merge(references::router())
}

/// What all routes share of a request.
struct Call {
    service: Service,
    token: AccessToken,
    query: Query,
    /// The extensions that are selected.
    extensions: Vec<String>,
    resource: Resource,
}

impl Call {
    /// Of a list: checks the token, its person, its permission, and the query.
    async fn begin(asked: &Asked, resource: Resource, kind: Kind) -> Result<Self, Refused> {
        Self::checked(asked, resource, kind, Query::parse).await
    }

    /// The same of one object.
    async fn of_one(asked: &Asked, resource: Resource, kind: Kind) -> Result<Self, Refused> {
        Self::checked(asked, resource, kind, Query::parse_of_one).await
    }

    async fn checked(
        asked: &Asked,
        resource: Resource,
        kind: Kind,
        parse: fn(&Parameters, Kind) -> Result<Query, InvalidQuery>,
    ) -> Result<Self, Refused> {
        let Asked { service, headers, uri, .. } = asked;
        let token = good_token(asked).await?;
        if !resource.is_permitted_by(&token) {
            return Err(Refused::Permission);
        }
        let unclear = |_| Refused::Query(InvalidQuery::UnknownOption("(repeated)".to_owned()));
        let (parameters, extensions) = extensions::split(query(uri).map_err(unclear)?)?;
        extensions::check(service, &extensions, kind).await?;
        let query = parse(&parameters, kind).map_err(Refused::Query)?;
        if query.count && !is_eventual(headers) {
            return Err(Refused::Query(InvalidQuery::InvalidCount));
        }
        let view = View::of(kind, &token);
        let mut selected = query.select.iter().flatten();
        let hidden = selected.any(|name| !view.shows(name));
        let hidden = hidden || !extensions.is_empty() && view != View::Whole;
        if resource == Resource::Users && hidden {
            return Err(Refused::Permission);
        }
        // A filter tells as much of a property as showing it does.
        let filtered = query.filter.iter().flat_map(Filter::properties).collect::<Vec<_>>();
        if filtered.iter().any(|name| !view.shows(name)) {
            return Err(Refused::Permission);
        }
        Ok(Self { service: service.clone(), token, query, extensions, resource })
    }

    fn context_uri(&self, what: &str) -> String {
        format!("https://{}/v1.0/$metadata#{what}", self.service.tenant().graph_host())
    }

    /// An object as the token shows it.
    fn entity(&self, object: &Object) -> Map<String, JsonValue> {
        let view = match self.resource {
            Resource::Me => View::Whole,
            _ => View::of(object.kind, &self.token),
        };
        let mut shown = entity(object, self.query.select.as_deref(), view);
        if view == View::Whole {
            extensions::fill(&mut shown, object, &self.extensions);
        }
        shown
    }

    fn one(&self, object: &Object, set: &str) -> JsonValue {
        let mut map = Map::new();
        let context = self.context_uri(&format!("{set}/$entity"));
        map.insert("@odata.context".to_owned(), json!(context));
        map.extend(self.entity(object));
        JsonValue::Object(map)
    }

    /// A page of objects, and where the next one is.
    fn page(&self, objects: &[Object], set: &str, path: &str) -> JsonValue {
        let top = usize::try_from(self.query.top).unwrap_or(usize::MAX);
        let shown = objects.get(..top).unwrap_or(objects);
        let value: Vec<_> =
            shown.iter().map(|object| JsonValue::Object(self.entity(object))).collect();
        let mut body = json!({"@odata.context": self.context_uri(set)});
        if objects.len() > top
            && let Some(last) = shown.last()
        {
            let mut next = form_urlencoded::Serializer::new(String::new());
            if let Some(select) = &self.query.select {
                let extensions = self.extensions.iter().map(String::as_str);
                let select: Vec<_> = select.iter().copied().chain(extensions).collect();
                next.append_pair("$select", &select.join(","));
            }
            if let Some(filter) = &self.query.filter_text {
                next.append_pair("$filter", filter);
            }
            if self.query.count {
                next.append_pair("$count", "true");
            }
            next.append_pair("$top", &self.query.top.to_string());
            next.append_pair("$skiptoken", &last.id.to_string());
            let host = self.service.tenant().graph_host();
            let next = next.finish();
            body["@odata.nextLink"] = json!(format!("https://{host}/v1.0/{path}?{next}"));
        }
        body["value"] = JsonValue::from(value);
        body
    }

    /// The objects of the page and one more, and how many there are in all if that was asked for.
    async fn list(
        &self,
        tx: &mut SqliteTransaction,
        kind: Kind,
    ) -> Result<(Vec<Object>, Option<u64>), StorageError> {
        let Some(filter) = &self.query.filter else {
            let objects = tx.objects(kind, self.query.after, self.count()).await?;
            let total = if self.query.count { Some(tx.count_objects(kind).await?) } else { None };
            return Ok((objects, total));
        };
        if let Some(found) = self.by_key(tx, kind, filter).await? {
            let total = u64::try_from(found.len()).unwrap_or(u64::MAX);
            return Ok((found, self.query.count.then_some(total)));
        }
        let wanted = usize::try_from(self.count()).unwrap_or(usize::MAX);
        let (mut found, mut total, mut after) = (Vec::new(), 0_u64, None);
        // A count is of everything, wherever the page begins.
        if !self.query.count {
            after = self.query.after;
        }
        while self.query.count || found.len() < wanted {
            let page = tx.objects(kind, after, SCAN_OBJECTS).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for object in page.into_iter().filter(|object| filter.passes(object)) {
                total = total.saturating_add(1);
                let behind = self.query.after.is_none_or(|after| order(object.id) > order(after));
                if behind && found.len() < wanted {
                    found.push(object);
                }
            }
        }
        Ok((found, self.query.count.then_some(total)))
    }

    /// The objects of a filter that asks for the value of a key, which an index finds.
    async fn by_key(
        &self,
        tx: &mut SqliteTransaction,
        kind: Kind,
        filter: &Filter,
    ) -> Result<Option<Vec<Object>>, StorageError> {
        let found = match (filter.key(), kind) {
            (Some(("onPremisesImmutableId", text)), _) => match text.parse() {
                Ok(anchor) => tx.object_by_anchor(&anchor).await?,
                Err(_) => None,
            },
            (Some(("userPrincipalName", name)), Kind::User) => tx.user_by_name(name).await?,
            (Some(("deviceId", id)), Kind::Device) => match id.parse() {
                Ok(id) => tx.device_by_id(id).await?,
                Err(_) => None,
            },
            _ => return Ok(None),
        };
        let is_shown = |object: &Object| {
            let behind = self.query.after.is_none_or(|after| order(object.id) > order(after));
            object.kind == kind && object.deleted_at.is_none() && behind
        };
        Ok(Some(found.into_iter().filter(is_shown).collect()))
    }

    /// Whether the answer takes a look at more objects than it shows.
    const fn is_scan(&self) -> bool {
        self.query.filter.is_some() || self.query.count
    }

    /// One more object than the page shows, to know whether there is a next one.
    fn count(&self) -> u32 {
        self.query.top.saturating_add(1)
    }
}

/// An object as Graph shows it.
pub(super) fn entity(
    object: &Object,
    select: Option<&[&'static str]>,
    view: View,
) -> Map<String, JsonValue> {
    let value = |value: Option<Value>| match value {
        None => JsonValue::Null,
        Some(Value::Text(text)) => json!(text),
        Some(Value::Flag(flag)) => json!(flag),
        Some(Value::Texts(texts)) => json!(texts),
        Some(Value::Time(at)) => json!(at.format(&Rfc3339).ok()),
        Some(Value::Number(number)) => json!(number),
    };
    properties(object, select, view)
        .into_iter()
        .map(|(name, property)| match property {
            Property::Value(single) => (name.to_owned(), value(single)),
            Property::Within(values) => {
                let values: Map<_, _> = values
                    .into_iter()
                    .map(|(name, single)| (name.to_owned(), value(single)))
                    .collect();
                (name.to_owned(), JsonValue::Object(values))
            }
            Property::SecurityIds(keys) => {
                let id =
                    |key| json!({"type": SECURITY_ID_TYPE, "identityProvider": null, "key": key});
                (name.to_owned(), keys.into_iter().map(id).collect())
            }
        })
        .collect()
}

async fn me(asked: Asked) -> Response {
    let outcome = async {
        let call = Call::of_one(&asked, Resource::Me, Kind::User).await?;
        // An application's own token is nobody's.
        let id = call.token.oid.parse().map_err(|_| Refused::NotFound)?;
        let mut tx = asked.service.store().begin(Access::Read).await?;
        let user = living(tx.object(id).await?, Kind::User)?;
        Ok(errors::fill(&mut tx, call.one(&user, "users")).await?)
    };
    asked.respond(outcome.await)
}

pub(super) async fn users(asked: Asked) -> Response {
    let outcome = list(&asked, Resource::Users, Kind::User).await;
    asked.respond(outcome)
}

pub(super) async fn groups(asked: Asked) -> Response {
    let outcome = list(&asked, Resource::Groups, Kind::Group).await;
    asked.respond(outcome)
}

async fn list(asked: &Asked, resource: Resource, kind: Kind) -> Result<JsonValue, Refused> {
    let call = Call::begin(asked, resource, kind).await?;
    let set = match kind {
        Kind::User => "users",
        Kind::Contact => "contacts",
        Kind::Group => "groups",
        Kind::Device => "devices",
    };
    let _turn = if call.is_scan() { asked.service.scan().await } else { None };
    let mut tx = asked.service.store().begin(Access::Read).await?;
    let (objects, total) = call.list(&mut tx, kind).await?;
    let mut body = call.page(&objects, set, set);
    if let Some(total) = total {
        body["@odata.count"] = json!(total);
    }
    Ok(errors::fill(&mut tx, body).await?)
}

async fn count_users(asked: Asked) -> Response {
    count(&asked, Resource::Users, Kind::User).await
}

async fn count_groups(asked: Asked) -> Response {
    count(&asked, Resource::Groups, Kind::Group).await
}

/// How many there are, as bare digits.
async fn count(asked: &Asked, resource: Resource, kind: Kind) -> Response {
    let outcome = async {
        let mut call = Call::begin(asked, resource, kind).await?;
        if !is_eventual(&asked.headers) {
            return Err(Refused::Query(InvalidQuery::InvalidCount));
        }
        call.query.count = true;
        let _turn = asked.service.scan().await;
        let mut tx = asked.service.store().begin(Access::Read).await?;
        let (_, total) = call.list(&mut tx, kind).await?;
        Ok(total.unwrap_or_default())
    };
    match outcome.await {
        Ok(total) => ([(header::CONTENT_TYPE, "text/plain")], total.to_string()).into_response(),
        Err(refused) => asked.respond(Err(refused)),
    }
}

/// Whether a request has the header that Graph wants with counts.
fn is_eventual(headers: &HeaderMap) -> bool {
    let level = headers.get("consistencylevel").and_then(|value| value.to_str().ok());
    level.is_some_and(|level| level.eq_ignore_ascii_case("eventual"))
}

/// Pages go in the order of the ids as text.
fn order(id: Guid) -> String {
    id.to_string()
}

pub(super) async fn user(asked: Asked, Path(named): Path<String>) -> Response {
    let outcome = async {
        let call = Call::of_one(&asked, Resource::Users, Kind::User).await?;
        let mut tx = asked.service.store().begin(Access::Read).await?;
        let body = call.one(&user_named(&mut tx, &named).await?, "users");
        Ok(errors::fill(&mut tx, body).await?)
    };
    asked.respond(outcome.await)
}

pub(super) async fn group(asked: Asked, Path(named): Path<String>) -> Response {
    let outcome = async {
        let call = Call::of_one(&asked, Resource::Groups, Kind::Group).await?;
        let mut tx = asked.service.store().begin(Access::Read).await?;
        let body = call.one(&group_named(&mut tx, &named).await?, "groups");
        Ok(errors::fill(&mut tx, body).await?)
    };
    asked.respond(outcome.await)
}

pub(super) async fn group_by_unique_name(asked: Asked, Path(key): Path<String>) -> Response {
    group(asked, Path(format!("(uniqueName={key}"))).await
}

async fn organization(asked: Asked) -> Response {
    let outcome = async {
        if asked.uri.query().is_some_and(|text| !text.is_empty()) {
            let refused = InvalidQuery::UnknownOption("of /organization".to_owned());
            return Err(Refused::Query(refused));
        }
        let resource = Resource::Organization;
        let call = Call::begin(&asked, resource, Kind::Group).await?;
        let tenant = asked.service.tenant();
        let domain = |name: &str, initial: bool| {
            json!({"name": name, "isInitial": initial, "isDefault": initial, "type": "Managed",
                "capabilities": "Email"})
        };
        let verified = tenant.verified_domains.iter().map(|name| domain(name.as_str(), false));
        let domains: Vec<_> =
            std::iter::once(domain(tenant.domain.as_str(), true)).chain(verified).collect();
        let value = json!([{"id": tenant.id.to_string(), "displayName": tenant.domain.as_str(),
            "tenantType": "AAD", "onPremisesSyncEnabled": true, "verifiedDomains": domains}]);
        Ok(json!({"@odata.context": call.context_uri("organization"), "value": value}))
    };
    asked.respond(outcome.await)
}
