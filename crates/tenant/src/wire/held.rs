//! What of the directory is a sync server's, as it is told: a list with digests, and what is behind them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// The answer to `GET /v1.0/objects`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectsResponse {
    /// Living objects in the order of their anchors.
    pub objects: Vec<OwnedObject>,
    /// Whether the digests of photos are told: always by a tenant of this release, when those of attributes
    /// were asked for. Of one that does not, no photo is confirmed.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub with_photos: bool,
}

/// An object that is a sync server's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedObject {
    /// Its anchor.
    pub anchor: String,
    /// `user`, `contact`, `group` or `device`.
    pub kind: String,
    /// The digest of its attributes ([`held::content`](crate::held::content)), when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content: Option<String>,
    /// The digest of its photo ([`held::photo`](crate::held::photo)), when it has one and its digest was
    /// asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub photo: Option<String>,
    /// Whether it has a password, when its digest was asked for.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub password: bool,
    /// The digest of whom it refers to ([`held::References`](crate::held::References)), when it was asked
    /// for and there is somebody: of objects that are living and of the same group of sync servers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub references: Option<String>,
}

/// The body of `POST /v1.0/objects/read`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectsRequest {
    /// Of which objects; at most [`OPERATIONS_MAX`](super::OPERATIONS_MAX).
    pub anchors: Vec<String>,
}

/// The answer to `POST /v1.0/objects/read`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldResponse {
    /// Those of the objects that are there and the server's.
    pub objects: Vec<HeldObject>,
    /// How many of the first anchors that covers: at least one. The others are to be asked for again.
    pub answered: usize,
}

/// An object as the directory has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldObject {
    /// Its anchor.
    pub anchor: String,
    /// Its attributes, as the server would send them.
    pub attributes: BTreeMap<String, Json>,
}

/// The answer to `GET /v1.0/references`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferencesResponse {
    /// The anchors of those whom the object refers to, in their order: living objects of the same group of
    /// sync servers.
    pub anchors: Vec<String>,
    /// Behind which anchor to go on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<String>,
}
