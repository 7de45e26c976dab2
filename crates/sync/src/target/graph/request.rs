//! Graph's requests: the addresses and bodies of what an export asks.

use std::fmt::Write as _;

use portolan_model::{Entropy, Guid, SourceAnchor};
use serde_json::{Map, Value as Json, json};

use super::capability::{self, EXTENSION_CHARS_MAX};
use super::change::{Desired, Inability, Picture};
use super::exporter::Alone;
use crate::TenantKind;
use crate::target::graph::change::Value;

/// Characters of a random password.
const PASSWORD_CHARS: usize = 32;

/// The characters that it is drawn from: 64, so that each octet's six lowest bits choose one evenly.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What makes a password one of all four kinds of character, whatever is drawn.
const ALL_KINDS: &str = "aA1!";

/// Characters that no alias has.
const NOT_IN_NICKNAMES: &str = "@()\\[]\";:<>, ";

/// A request of a batch, without its place there.
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) url: String,
    pub(super) body: Option<Json>,
    /// Whether what is missing is to be made.
    pub(super) creates_if_missing: bool,
    /// Whether an index may answer that is a little behind.
    pub(super) is_eventual: bool,
}

impl Request {
    fn new(method: &'static str, url: String) -> Self {
        Self { method, url, body: None, creates_if_missing: false, is_eventual: false }
    }

    fn with(method: &'static str, url: String, body: Json) -> Self {
        Self { body: Some(body), ..Self::new(method, url) }
    }

    pub(super) fn into_json(self, id: &str, depends_on: Option<&str>) -> Json {
        let mut request = json!({"id": id, "method": self.method, "url": self.url});
        let mut headers = Map::new();
        if let Some(body) = self.body {
            headers.insert("Content-Type".to_owned(), json!("application/json"));
            request["body"] = body;
        }
        if self.creates_if_missing {
            headers.insert("Prefer".to_owned(), json!("create-if-missing"));
        }
        if self.is_eventual {
            headers.insert("ConsistencyLevel".to_owned(), json!("eventual"));
        }
        if !headers.is_empty() {
            request["headers"] = Json::Object(headers);
        }
        if let Some(depends_on) = depends_on {
            request["dependsOn"] = json!([depends_on]);
        }
        request
    }
}

/// The set that objects of a kind are in.
pub(super) const fn set(kind: TenantKind) -> &'static str {
    match kind {
        TenantKind::Group => "groups",
        TenantKind::Device => "devices",
        TenantKind::User | TenantKind::Contact => "users",
    }
}

/// Makes a user, with a password that is drawn here and kept nowhere.
pub(super) fn create_user(desired: &Desired, rng: &mut dyn Entropy) -> Request {
    let mut body = attributes(desired);
    let text = |name: &str| match desired.attributes.get(name) {
        Some(Some(Value::Text(text))) if !text.trim().is_empty() => Some(text.as_str()),
        _ => None,
    };
    let name = text("userPrincipalName").unwrap_or_default();
    let local = name.split('@').next().unwrap_or_default();
    let shown = text("displayName").unwrap_or(if name.is_empty() { "-" } else { name });
    body.insert("displayName".to_owned(), json!(shown));
    let alias = nickname(text("mailNickname").unwrap_or(local));
    body.insert("mailNickname".to_owned(), json!(alias));
    body.entry("accountEnabled").or_insert(Json::Bool(false));
    body.insert("onPremisesImmutableId".to_owned(), json!(desired.anchor.as_str()));
    body.insert(
        "passwordProfile".to_owned(),
        json!({"password": password(rng), "forceChangePasswordNextSignIn": true}),
    );
    body.retain(|_, value| !value.is_null());
    Request::with("POST", "/users".to_owned(), Json::Object(body))
}

/// Looks up who has an anchor.
pub(super) fn find_user(anchor: &SourceAnchor) -> Request {
    let quoted = encoded(&anchor.as_str().replace('\'', "''"));
    let url = format!(
        "/users?$filter=onPremisesImmutableId%20eq%20'{quoted}'&$select=id,onPremisesImmutableId"
    );
    Request::new("GET", url)
}

/// Looks up who has an anchor in the recycle bin ([deleted items]): an advanced query, as all of a derived type are.
///
/// [deleted items]: https://learn.microsoft.com/graph/api/directory-deleteditems-list
pub(super) fn find_deleted(anchor: &SourceAnchor) -> Request {
    let quoted = encoded(&anchor.as_str().replace('\'', "''"));
    let url = format!(
        "/directory/deletedItems/microsoft.graph.user?$filter=onPremisesImmutableId%20eq%20'{quoted}'\
         &$select=id,onPremisesImmutableId&$count=true"
    );
    Request { is_eventual: true, ..Request::new("GET", url) }
}

/// Takes a user out of the recycle bin.
pub(super) fn restore(id: Guid) -> Request {
    Request::new("POST", format!("/directory/deletedItems/{id}/restore"))
}

pub(super) fn by_unique_name(anchor: &SourceAnchor) -> String {
    format!("/groups(uniqueName='{}')", encoded(&anchor.as_str().replace('\'', "''")))
}

/// Makes a group if none has its unique name, and changes it otherwise.
pub(super) fn upsert_group(desired: &Desired) -> Request {
    let mut body = attributes(desired);
    let text = |name: &str| match desired.attributes.get(name) {
        Some(Some(Value::Text(text))) if !text.trim().is_empty() => Some(text.as_str()),
        _ => None,
    };
    let shown = text("displayName").unwrap_or(desired.anchor.as_str());
    body.insert("displayName".to_owned(), json!(shown));
    let alias = nickname(text("mailNickname").unwrap_or(shown));
    body.insert("mailNickname".to_owned(), json!(alias));
    body.insert("mailEnabled".to_owned(), Json::Bool(false));
    body.insert("securityEnabled".to_owned(), Json::Bool(true));
    body.retain(|_, value| !value.is_null());
    let url = by_unique_name(&desired.anchor);
    Request { creates_if_missing: true, ..Request::with("PATCH", url, Json::Object(body)) }
}

pub(super) fn find_group(anchor: &SourceAnchor) -> Request {
    Request::new("GET", format!("{}?$select=id,uniqueName", by_unique_name(anchor)))
}

/// Changes what is named; `None` when nothing of it is exported.
pub(super) fn update(desired: &Desired, id: Guid) -> Option<Request> {
    let mut body = attributes(desired);
    if desired.kind == TenantKind::Group {
        body.remove("securityEnabled");
    }
    let empty = body.is_empty();
    let url = format!("/{}/{id}", set(desired.kind));
    (!empty).then(|| Request::with("PATCH", url, Json::Object(body)))
}

pub(super) fn delete(kind: TenantKind, id: Guid) -> Request {
    Request::new("DELETE", format!("/{}/{id}", set(kind)))
}

/// Puts several members into a group at once.
pub(super) fn bind(base: &str, group: Guid, members: &[Guid]) -> Request {
    let members: Vec<_> = members.iter().map(|member| address(base, *member)).collect();
    let body = json!({"members@odata.bind": members});
    Request::with("PATCH", format!("/groups/{group}"), body)
}

pub(super) fn add_member(base: &str, group: Guid, member: Guid) -> Request {
    let body = json!({"@odata.id": address(base, member)});
    Request::with("POST", format!("/groups/{group}/members/$ref"), body)
}

pub(super) fn remove_member(group: Guid, member: Guid) -> Request {
    Request::new("DELETE", format!("/groups/{group}/members/{member}/$ref"))
}

pub(super) fn set_manager(base: &str, user: Guid, manager: Guid) -> Request {
    let body = json!({"@odata.id": format!("{base}/users/{manager}")});
    Request::with("PUT", format!("/users/{user}/manager/$ref"), body)
}

pub(super) fn clear_manager(user: Guid) -> Request {
    Request::new("DELETE", format!("/users/{user}/manager/$ref"))
}

/// Sets a user's photo, or takes it away ([update], [delete]): octets, which no batch takes as they are.
///
/// [update]: https://learn.microsoft.com/graph/api/profilephoto-update
/// [delete]: https://learn.microsoft.com/graph/api/profilephoto-delete
pub(super) fn photo(user: Guid, photo: Option<&Picture>) -> Alone {
    Alone {
        method: if photo.is_some() { "PUT" } else { "DELETE" },
        path: format!("/users/{user}/photo/$value"),
        media_type: photo.map(|photo| photo.media_type),
        octets: photo.map(|photo| photo.octets.clone()).unwrap_or_default(),
    }
}

fn address(base: &str, id: Guid) -> String {
    format!("{base}/directoryObjects/{id}")
}

/// What an object is exported without.
pub(super) fn inabilities(desired: &Desired) -> Vec<Inability> {
    let unable = desired.attributes.iter().filter_map(|(name, value)| {
        // That a group has no mail, and that it guards something, is what is exported.
        let is_implied = match (name.as_str(), value) {
            ("mailEnabled", Some(Value::Boolean(is))) => !is,
            ("groupTypes", Some(Value::Texts(types))) => types.is_empty(),
            (_, None) => true,
            _ => false,
        };
        match json_of(name, value.as_ref(), desired.kind) {
            Ok(_) => None,
            Err(Inability::ReadOnly(_) | Inability::NotSent(_)) if is_implied => None,
            Err(unable) => Some(unable),
        }
    });
    unable.collect()
}

/// The attributes as Graph takes them.
fn attributes(desired: &Desired) -> Map<String, Json> {
    let (mut body, mut extensions) = (Map::new(), Map::new());
    for (name, value) in &desired.attributes {
        if let Ok(value) = json_of(name, value.as_ref(), desired.kind) {
            let map = if capability::is_extension(name) { &mut extensions } else { &mut body };
            map.insert(name.clone(), value);
        }
    }
    if !extensions.is_empty() {
        body.insert("onPremisesExtensionAttributes".to_owned(), Json::Object(extensions));
    }
    body
}

/// A value as Graph takes it.
pub(super) fn json_of(
    name: &str,
    value: Option<&Value>,
    kind: TenantKind,
) -> Result<Json, Inability> {
    let (chars_max, texts_max) = match capability::property(name, kind) {
        Some(row) => (row.chars_max, row.texts_max),
        None if kind == TenantKind::User && capability::is_extension(name) => {
            (EXTENSION_CHARS_MAX, 1)
        }
        None if capability::is_not_sent(name) => {
            return Err(Inability::NotSent(name.to_owned()));
        }
        None => return Err(Inability::ReadOnly(name.to_owned())),
    };
    let fits = |text: &String| text.chars().count() <= chars_max;
    let json = match value {
        None if capability::is_list(name) => json!([]),
        None => Json::Null,
        Some(Value::Boolean(is)) if chars_max == 0 => json!(is),
        Some(Value::Text(text)) if name == "mailNickname" => json!(nickname(text)),
        Some(Value::Text(text)) if fits(text) => json!(text),
        Some(Value::Texts(texts)) if texts.len() <= texts_max && texts.iter().all(fits) => {
            json!(texts)
        }
        Some(_) => return Err(Inability::DoesNotFit(name.to_owned())),
    };
    Ok(json)
}

/// An alias that Graph takes: ASCII without the characters that none has, at most 64.
fn nickname(text: &str) -> String {
    let is_legal = |c: &char| c.is_ascii_graphic() && !NOT_IN_NICKNAMES.contains(*c);
    let alias: String = text.chars().filter(is_legal).take(64).collect();
    if alias.is_empty() { "unnamed".to_owned() } else { alias }
}

fn password(rng: &mut dyn Entropy) -> String {
    let mut octets = [0; PASSWORD_CHARS];
    rng.fill(&mut octets);
    let mut password = String::with_capacity(PASSWORD_CHARS + ALL_KINDS.len());
    password.extend(octets.iter().map(|octet| {
        let place = usize::from(octet & 63);
        ALPHABET.get(place).copied().map_or('A', char::from)
    }));
    octets.fill(0);
    password.push_str(ALL_KINDS);
    password
}

/// A text inside an address (RFC 3986 section 2.3: what is not unreserved is encoded).
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'\'' => {
                out.push(char::from(octet));
            }
            // Writing to a String does not fail.
            _ => _ = write!(out, "%{octet:02X}"),
        }
    }
    out
}
