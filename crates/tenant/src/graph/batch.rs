//! `$batch`: several requests in one ([JSON batching]).
//!
//! A batch is judged whole before anything of it runs: it names at most [`REQUESTS_MAX`] requests, each by
//! an id of its own, and depends in no circle. They run one after the other, those depended on first; a
//! request fails with 424 when one that it depends on failed.
//!
//! [JSON batching]: https://learn.microsoft.com/graph/json-batching

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use portolan_model::SecretString;
use serde::Deserialize;
use serde_json::Value as Json;

/// Requests that a batch may have.
pub const REQUESTS_MAX: usize = 20;

/// Octets that a batch may have.
pub const BODY_OCTETS_MAX: usize = 4 * 1024 * 1024;

/// Characters of a request's id.
const ID_CHARS_MAX: usize = 64;

/// Headers that a request of a batch may have.
const HEADERS_MAX: usize = 20;

/// Why a batch is refused whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBatch {
    /// The body is no batch.
    #[error("Invalid batch payload format.")]
    Malformed,
    /// There are too many.
    #[error("Number of batch request steps exceeds the maximum value of {REQUESTS_MAX}.")]
    TooMany,
    /// Two requests have one id.
    #[error("The request id '{0}' comes more than once in the batch.")]
    RepeatedId(String),
    /// A request depends on one that the batch does not have.
    #[error("The request '{0}' depends on a request that is not in the batch.")]
    UnknownDependency(String),
    /// Requests depend on each other.
    #[error("The requests of the batch depend on each other in a circle.")]
    Circle,
    /// A body that does not say what it is, or is not JSON.
    #[error("The request '{0}' has a body without the header 'Content-Type: application/json'.")]
    UntypedBody(String),
}

/// A request of a batch. Its body may hold a password, and does not print.
pub struct Request {
    /// Its id, as it was given.
    pub id: String,
    /// The method, in upper case.
    pub method: String,
    /// The address below the version: it begins with a slash.
    pub url: String,
    /// Its headers.
    pub headers: BTreeMap<String, String>,
    /// Its body, as JSON.
    pub body: Option<Vec<u8>>,
    /// The ids of those that it depends on.
    pub depends_on: Vec<String>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, method, url, depends_on, .. } = self;
        f.debug_struct("Request")
            .field("id", id)
            .field("method", method)
            .field("url", url)
            .field("depends_on", depends_on)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct RawBatch {
    requests: Vec<RawRequest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRequest {
    id: String,
    method: String,
    url: String,
    #[serde(default)]
    headers: Option<BTreeMap<String, String>>,
    #[serde(default)]
    body: Option<Json>,
    #[serde(default)]
    depends_on: Option<Vec<String>>,
}

/// Reads a batch that came to a Graph at this host; its requests in the order in which they run.
///
/// Addresses are relative to the version, as Graph's pages have it, or whole ones of this Graph, as some
/// of Microsoft's clients write them.
///
/// # Errors
/// Why it is refused whole.
pub fn parse(octets: &[u8], graph_host: &str) -> Result<Vec<Request>, InvalidBatch> {
    let raw: RawBatch = serde_json::from_slice(octets).map_err(|_| InvalidBatch::Malformed)?;
    if raw.requests.is_empty() {
        return Err(InvalidBatch::Malformed);
    }
    if raw.requests.len() > REQUESTS_MAX {
        return Err(InvalidBatch::TooMany);
    }
    let root = format!("https://{graph_host}/v1.0/");
    let requests = raw.requests.into_iter().map(|request| checked(request, &root));
    let requests = requests.collect::<Result<Vec<_>, _>>()?;
    let mut ids = BTreeSet::new();
    for request in &requests {
        if !ids.insert(fold(&request.id)) {
            return Err(InvalidBatch::RepeatedId(request.id.clone()));
        }
    }
    let unknown = requests
        .iter()
        .find(|request| request.depends_on.iter().any(|id| !ids.contains(&fold(id))));
    match unknown {
        Some(request) => Err(InvalidBatch::UnknownDependency(request.id.clone())),
        None => in_order(requests),
    }
}

/// An id as it is compared.
#[must_use]
pub fn fold(id: &str) -> String {
    id.to_lowercase()
}

fn checked(raw: RawRequest, root: &str) -> Result<Request, InvalidBatch> {
    let RawRequest { id, method, url, headers, body, depends_on } = raw;
    let headers = headers.unwrap_or_default();
    let sound = !id.is_empty()
        && id.chars().count() <= ID_CHARS_MAX
        && !method.is_empty()
        && method.bytes().all(|octet| octet.is_ascii_alphabetic())
        && headers.len() <= HEADERS_MAX;
    let url = url.strip_prefix(root).unwrap_or(&url);
    let url = if url.starts_with('/') { url.to_owned() } else { format!("/{url}") };
    // An address of another scheme or host would leave this Graph.
    let path = url.split('?').next().unwrap_or_default();
    if !sound || url.starts_with("//") || path.contains("://") {
        return Err(InvalidBatch::Malformed);
    }
    let is_json = headers.iter().any(|(name, value)| {
        let kind = value.split(';').next().unwrap_or_default().trim();
        name.eq_ignore_ascii_case("content-type") && kind.eq_ignore_ascii_case("application/json")
    });
    let body = match body {
        None | Some(Json::Null) => None,
        Some(json @ Json::Object(_)) if is_json => {
            let octets = serde_json::to_vec(&json).map_err(|_| InvalidBatch::Malformed)?;
            wipe(json);
            Some(octets)
        }
        Some(json) => {
            wipe(json);
            return Err(InvalidBatch::UntypedBody(id));
        }
    };
    let depends_on = depends_on.unwrap_or_default();
    Ok(Request { id, method: method.to_ascii_uppercase(), url, headers, body, depends_on })
}

/// Wipes the texts of a value: a body may hold a password.
fn wipe(json: Json) {
    match json {
        Json::String(text) => drop(SecretString::new(text)),
        Json::Array(values) => values.into_iter().for_each(wipe),
        Json::Object(members) => members.into_iter().for_each(|(_, value)| wipe(value)),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// Those depended on first, and otherwise as they came.
fn in_order(mut waiting: Vec<Request>) -> Result<Vec<Request>, InvalidBatch> {
    let mut ordered: Vec<Request> = Vec::with_capacity(waiting.len());
    let mut done = BTreeSet::new();
    while !waiting.is_empty() {
        let is_ready =
            |request: &Request| request.depends_on.iter().all(|id| done.contains(&fold(id)));
        let next = waiting.iter().position(is_ready).ok_or(InvalidBatch::Circle)?;
        let next = waiting.remove(next);
        done.insert(fold(&next.id));
        ordered.push(next);
    }
    Ok(ordered)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(requests: Json, expected: Result<&[&str], InvalidBatch>) {
        let batch = json!({"requests": requests});
        let found = parse(batch.to_string().as_bytes(), "graph.cloud.example");
        let found: Result<Vec<_>, _> =
            found.map(|requests| requests.into_iter().map(|request| request.id).collect());
        let expected = expected.map(|ids| ids.iter().map(|&id| id.to_owned()).collect());
        assert_eq!(found, expected, "{batch}");
    }

    fn get(id: &str, depends_on: &[&str]) -> Json {
        json!({"id": id, "method": "get", "url": "/me", "dependsOn": depends_on})
    }

    #[test]
    fn requests_run_behind_those_that_they_depend_on() {
        check(json!([get("1", &[]), get("2", &[])]), Ok(&["1", "2"]));
        check(json!([get("1", &["3"]), get("2", &[]), get("3", &["2"])]), Ok(&["2", "3", "1"]));
        check(json!([get("a", &[]), get("b", &["A"])]), Ok(&["a", "b"]));
        for url in ["me", "/me", "https://graph.cloud.example/v1.0/me"] {
            let batch = json!({"requests": [{"id": "1", "method": "GET", "url": url}]});
            let found = parse(batch.to_string().as_bytes(), "graph.cloud.example").unwrap();
            assert_eq!(found[0].url, "/me", "{url}");
        }
    }

    #[test]
    fn a_batch_that_is_not_right_is_refused_whole() {
        check(json!([]), Err(InvalidBatch::Malformed));
        check(json!([{"id": "1", "method": "GET"}]), Err(InvalidBatch::Malformed));
        check(json!([{"id": "", "method": "GET", "url": "/me"}]), Err(InvalidBatch::Malformed));
        for url in [
            "https://other.example/v1.0/me",
            "//other.example/me",
            "https://graph.cloud.example.other.example/v1.0/me?$select=id",
        ] {
            check(json!([{"id": "1", "method": "GET", "url": url}]), Err(InvalidBatch::Malformed));
        }
        let many: Vec<_> = (0..21).map(|number| get(&number.to_string(), &[])).collect();
        check(json!(many), Err(InvalidBatch::TooMany));
        let twice = InvalidBatch::RepeatedId("A".to_owned());
        check(json!([get("a", &[]), get("A", &[])]), Err(twice));
        let unknown = InvalidBatch::UnknownDependency("1".to_owned());
        check(json!([get("1", &["2"])]), Err(unknown));
        check(json!([get("1", &["2"]), get("2", &["1"])]), Err(InvalidBatch::Circle));
        check(json!([get("1", &["1"])]), Err(InvalidBatch::Circle));
        let body = |headers: Json| json!([{"id": "1", "method": "POST", "url": "/users", "headers": headers, "body": {}}]);
        check(body(json!({"content-type": "application/json; charset=utf-8"})), Ok(&["1"]));
        check(body(json!({})), Err(InvalidBatch::UntypedBody("1".to_owned())));
    }
}
