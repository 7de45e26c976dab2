//! The ingest contract, version 1.0: what the sync server sends to `sync.<domain>` and what it gets.
//!
//! Both sides use these types. Nine requests, all HTTPS and JSON:
//!
//! - `POST /enrol` with an [`EnrolRequest`] answers an [`EnrolResponse`]. The secret comes from the
//!   file ([`EnrolmentFile`]) that `portolan tenant enrol` wrote, and works once, within an hour.
//! - `GET /v1.0/tenant` answers a [`TenantResponse`].
//! - `GET /v1.0/objects?after=<anchor>` answers an [`ObjectsResponse`]: what of the directory is this
//!   server's. The anchor of the last one asks for more; the last page is empty. With `with=content` or
//!   `with=references` come digests ([`crate::held`]), by which a server confirms what it believes.
//! - `POST /v1.0/objects/read` with an [`ObjectsRequest`] answers a [`HeldResponse`]: the attributes of some
//!   of them.
//! - `GET /v1.0/references?anchor=<anchor>&attribute=<name>&after=<anchor>` answers a
//!   [`ReferencesResponse`]: whom one of them refers to.
//! - `POST /v1.0/key` with a [`KeyRequest`] answers a [`KeyResponse`]: the old key is good until the
//!   new one was used.
//! - `POST /v1.0/lease` with a [`LeaseRequest`] answers a [`LeaseResponse`].
//! - `GET /v1.0/read-up-to` answers a [`ReadUpToResponse`]: how far whoever wrote last had read the forests.
//! - `POST /v1.0/ingest` with an [`IngestRequest`] answers an [`IngestResponse`].
//!
//! All but the first need `Authorization: Bearer` with an access token of the role `Sync.Ingest`, which
//! the token endpoint gives for `grant_type=client_credentials`, `scope=https://sync.<domain>/.default`
//! and a client assertion (`portolan_token::assertion`). A refused request has a status of 400 and
//! above and an [`ErrorResponse`].
//!
//! **Batches.** At most [`OPERATIONS_MAX`] operations and [`BODY_OCTETS_MAX`] octets. A batch is
//! applied whole, in order; an operation that is refused changes nothing and the others hold. The
//! same batch id with the same content from the same sender gets the same answer again, and changes
//! nothing again; with other content, or from another sender, it is refused (409).
//!
//! **Groups and leases.** Sync servers that enrolled with a file of `portolan tenant enrol --joins` form a
//! group: what one of them wrote is all of theirs. Which of them writes is said by the group's lease
//! ([`crate::lease`]). Once one of them acquired it, each batch of the group carries `lease_epoch` and `lease_id`,
//! and one without them, or with others than the newest of the server that holds the lease, is refused whole (412,
//! `leaseRequired` or `leaseLost`). Whoever gets `leaseLost` acquires the lease anew, and confirms what
//! the tenant has before it writes, unless it did under the very lease that is `previous`. Only the tenant's clock
//! counts. A group that never asked for a lease needs none.
//!
//! **How far was read.** A batch may carry `read_up_to`: for each domain, by the invocationId of each domain
//! controller's database, the number of its last change that the sender had read of whichever controller. It is kept
//! with what the batch writes, of the whole group; a number never goes back. Of all domains together it names at most
//! [`read_up_to::DATABASES_MAX`](crate::read_up_to::DATABASES_MAX); what is not legal is refused with its batch (400).
//! A batch without vouches for nothing. Whoever takes over asks for it, and writes nothing until it has read as far.
//!
//! **Upserts** carry the whole object, at most [`OBJECT_OCTETS_MAX`] octets of text: an attribute that
//! is absent or null is unset. Names are
//! those of Microsoft Graph; texts, booleans, lists of texts, and times as RFC 3339. A user needs
//! `userPrincipalName` (of a domain of the tenant) and `accountEnabled`. Besides Graph's, a user has
//! `onPremisesAccountExpiresDateTime` and `onPremisesPasswordExpiresDateTime` (absent: never), and
//! `onPremisesPasswordChangeRequired`, `onPremisesLockedOut`, `onPremisesSmartCardRequired`; what each
//! does is in [`crate::account`]. A `userPrincipalName` is judged by where the batch ends: users of one
//! batch may swap theirs, or take that of a user whom the batch deletes.
//! Extensions that are registered (`portolan tenant extension add`) come under their whole names,
//! `extension_<application id>_<name>`: texts, whole numbers, truth values, times as RFC 3339, octets as
//! base64, or lists of these; one that is alone may come without its list.
//! `members` are all members of a group by their anchors, also of objects that come later; when it
//! is absent they stay as they are. With `anew`, whomever the object referred to and its photo are forgotten first:
//! of an object of which its server knows nothing else.
//!
//! **Matching.** An upsert whose anchor the directory does not have becomes the cloud's own object of its
//! kind with the same user principal name, or else with its primary address (`SMTP:`); and one whose anchor
//! is the `onPremisesImmutableId` of an object of the cloud becomes that one (`matched`). Switches of the
//! tenant ([`crate::feature`]) forbid either; who has a role in the directory is never matched.
//!
//! **Conflicts.** A user principal name and each proxy address are one object's alone. By the tenant's
//! switches, what is another's is refused (`userPrincipalNameTaken`, `proxyAddressTaken`), or is set aside
//! (`quarantined`) and the object written without it; it gets the value when nobody else has it any more.
//! What is set aside is no reason to send the object again.
//!
//! **References** change whom an object refers to by who comes and who goes, whatever their number:
//! `members` of a group, and `manager` of a user, who has one at most: a new one takes the place of the
//! old. Adding who is there and removing who is not is no error; the object itself has to be there, those
//! it refers to may come later. Added and removed ones are at most [`REFERENCES_MAX`] in a batch.
//!
//! **Photos** are those of users, base64 of a JPEG, PNG or GIF of at most
//! [`PHOTO_OCTETS_MAX`] octets; null removes one. An upsert leaves the photo as it is, unless it makes the
//! object, takes it over from the cloud, or is `anew`.
//!
//! **Devices** need `deviceId` (a GUID) and `accountEnabled`. One that registered in the cloud under the same
//! `deviceId` is matched by it; one of another device is refused (`deviceIdTaken`).
//!
//! **Deletes** leave a tombstone and erase the password and all references from and to the object; an
//! unknown anchor is no error. An upsert of a deleted anchor brings the object back under its old id,
//! without its password and in no group, for 30 days; after that it is a new object.
//!
//! **Credentials** end the user's sessions when `changed_at` is another than before.

mod held;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portolan_legacy_crypto::pph1::CredentialData;
use portolan_model::{SecretString, SourceAnchor};
use portolan_token::Jwk;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::directory::{
    Attribute, Attributes, Definition, Extension, InvalidAttribute, InvalidPhoto, Kind,
    PHOTO_OCTETS_MAX, Photo, Reference, Shape, Value,
};
use crate::ingest::{self, Fault, Upsert};
use crate::lease::{Claim, Refusal};

pub use held::{
    HeldObject, HeldResponse, ObjectsRequest, ObjectsResponse, OwnedObject, ReferencesResponse,
};

/// Operations that a batch may have.
pub const OPERATIONS_MAX: usize = 500;

/// Octets that a batch may have.
pub const BODY_OCTETS_MAX: usize = 4 * 1024 * 1024;

/// Objects that the reference operations of a batch may name together.
pub const REFERENCES_MAX: usize = 50_000;

/// Octets that the texts of one object may have together: a page of Graph holds 999 objects.
pub const OBJECT_OCTETS_MAX: usize = 128 * 1024;

/// What `portolan tenant enrol` writes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentFile {
    /// The tenant's id.
    pub tenant_id: String,
    /// The host to enrol at: `sync.<domain>`.
    pub host: String,
    /// The SHA-256 of the certificate authority's certificate (DER), in lower-case hexadecimal.
    pub ca_sha256: String,
    /// The one-use secret.
    pub secret: SecretText,
    /// Until when the secret works, RFC 3339.
    pub expires: String,
}

/// The body of `POST /enrol`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolRequest {
    /// The one-use secret.
    pub secret: SecretText,
    /// The public half of the sync server's key.
    pub key: Jwk,
    /// The application that this server was, and succeeds: its objects pass on, and it is removed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replaces: Option<Succession>,
}

/// What proves that a server was an application.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Succession {
    /// The application's id. One that the tenant does not know any more is succeeded by nobody.
    pub client_id: String,
    /// An assertion of a key of that application, for the audience
    /// [`client_key::succession_audience`](crate::client_key::succession_audience) of the new key.
    pub proof: String,
}

/// The answer to `POST /enrol`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolResponse {
    /// The sync server's application id.
    pub client_id: String,
    /// Where it gets its tokens.
    pub token_endpoint: String,
    /// The scope to ask for there.
    pub scope: String,
    /// Where it sends its batches.
    pub ingest_endpoint: String,
    /// The application that it succeeds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replaced: Option<String>,
    /// The tenant's domains.
    #[serde(flatten)]
    pub tenant: TenantResponse,
}

/// The body of `POST /v1.0/key`: the sync server's next key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRequest {
    /// The public half of the next key.
    pub key: Jwk,
    /// An assertion of a key that the server has, for the audience
    /// [`client_key::audience`](crate::client_key::audience) of the next one.
    pub proof: String,
}

/// The answer to `POST /v1.0/key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyResponse {
    /// The ids of the keys that are good; the next one last.
    pub key_ids: Vec<String>,
}

/// The answer to `GET /v1.0/tenant`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantResponse {
    /// The tenant's id.
    pub tenant_id: String,
    /// The initial domain, whose names always sign in.
    pub initial_domain: String,
    /// The other domains whose names sign in.
    pub verified_domains: Vec<String>,
    /// The group of sync servers whose objects this server writes; its own id when it joined none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sync_group: Option<String>,
    /// The last batch that the tenant has of this server, or of the one that it succeeded; empty when
    /// none. Another one than the server remembers says that the tenant was restored from a backup.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_batch: Option<String>,
    /// How many sync servers are in the group: with more than one, they use a lease.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sync_servers: Option<u32>,
    /// Whether the group uses a lease, so that each batch carries its epoch.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub uses_lease: bool,
    /// Whether batches may say how far the forests were read.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub takes_read_up_to: bool,
}

/// How far forests were read: of each domain, by the invocationId of each domain controller's database, the number of
/// the last change.
pub type ReadUpTo = BTreeMap<String, BTreeMap<String, u64>>;

/// The answer to `GET /v1.0/read-up-to`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadUpToResponse {
    /// How far the group had read when it last wrote; empty when no batch said.
    pub read_up_to: ReadUpTo,
}

/// The body of `POST /v1.0/ingest`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngestRequest {
    /// The batch's id, a GUID of the sender's choice.
    pub batch: String,
    /// The epoch of the lease that the sender holds; absent when its group uses none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lease_epoch: Option<u64>,
    /// The id of that lease, a GUID: it comes with the epoch.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lease_id: Option<String>,
    /// How far the forests were read on which this rests; absent when the sender does not say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub read_up_to: Option<ReadUpTo>,
    /// What to do, in order.
    pub operations: Vec<Operation>,
}

impl IngestRequest {
    /// Under which lease it was sent; none where its sender knows of none.
    ///
    /// # Errors
    /// When it carries half of one, or an id that is none: that is not the newest lease.
    pub fn claim(&self) -> Result<Option<Claim>, Refusal> {
        match (self.lease_epoch, &self.lease_id) {
            (None, None) => Ok(None),
            (Some(epoch), Some(id)) => claim(epoch, Some(id)).map(Some).ok_or(Refusal::Lost),
            _ => Err(Refusal::Required),
        }
    }
}

/// A lease as it is named on the wire; nothing when it can be none.
#[must_use]
pub fn claim(epoch: u64, id: Option<&String>) -> Option<Claim> {
    Some(Claim { epoch, id: id?.parse().ok()? })
}

/// The body of `POST /v1.0/lease`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "lowercase", deny_unknown_fields)]
pub enum LeaseRequest {
    /// Become the server that writes. Refused (409, `leaseHeld`, with `Retry-After`) while another one is.
    Acquire {
        /// What the server calls itself, for people: at most
        /// [`lease::NAME_CHARS_MAX`](crate::lease::NAME_CHARS_MAX) characters.
        name: String,
        /// For how long, from [`lease::DURATION_MIN`](crate::lease::DURATION_MIN) to
        /// [`lease::DURATION_MAX`](crate::lease::DURATION_MAX).
        seconds: u32,
    },
    /// Stay it. Refused (409, `leaseLost`) once another one is.
    Renew {
        /// What the server calls itself.
        name: String,
        /// The epoch that it was given.
        epoch: u64,
        /// The id that it was given; a request without one is lost.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        id: Option<String>,
        /// For how long from now on.
        seconds: u32,
    },
    /// Let another one be it at once.
    Release {
        /// The epoch that it was given.
        epoch: u64,
        /// The id that it was given.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        id: Option<String>,
    },
}

/// The answer to `POST /v1.0/lease`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseResponse {
    /// The group whose lease it is.
    pub sync_group: String,
    /// The epoch that the batches are to carry.
    pub epoch: u64,
    /// The id that they are to carry: drawn when the lease was acquired, and of no other one.
    pub id: String,
    /// The id of the lease before it, of whichever server; none of the first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub previous: Option<String>,
    /// For how long it is held from now on; 0 when it was released.
    pub seconds: u32,
    /// The server that held it before, when it passed from another one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub taken_from: Option<String>,
}

/// One thing to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
pub enum Operation {
    /// Write an object.
    Upsert {
        /// Its anchor.
        anchor: String,
        /// `user`, `contact`, `group` or `device`.
        kind: String,
        /// Its attributes.
        attributes: BTreeMap<String, Json>,
        /// The anchors of all members; absent when they did not change.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        members: Option<Vec<String>>,
        /// Whether its members, its manager and its photo begin anew.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        anew: bool,
    },
    /// Delete an object.
    Delete {
        /// Its anchor.
        anchor: String,
        /// `user`, `contact`, `group` or `device`.
        kind: String,
    },
    /// Change whom an object refers to.
    References {
        /// The anchor of the object that refers.
        anchor: String,
        /// `members` or `manager`.
        attribute: String,
        /// The anchors of who comes.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        added: Vec<String>,
        /// The anchors of who goes.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        removed: Vec<String>,
    },
    /// Set or remove a user's photo.
    Photo {
        /// The user's anchor.
        anchor: String,
        /// Base64 of the photo; null removes it.
        photo: Option<String>,
    },
    /// Set a user's password.
    Credential {
        /// The user's anchor.
        anchor: String,
        /// `v1;PPH1_MD4,<salt>,<iterations>,<key>;`.
        credential: SecretText,
        /// When the password was set in the forest, RFC 3339.
        changed_at: String,
    },
}

/// The answer to `POST /v1.0/ingest`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngestResponse {
    /// The batch's id.
    pub batch: String,
    /// The last batch of this server that the tenant had in front of this one; empty when none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub previous: Option<String>,
    /// What became of each operation, in order.
    pub results: Vec<OperationResult>,
}

/// What became of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationResult {
    /// The anchor that it named.
    pub anchor: String,
    /// `ok` or `error`.
    pub status: String,
    /// Which rule it broke: a word to act on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub code: Option<String>,
    /// Which rule it broke: a clause to show.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<String>,
    /// The object's id in the tenant.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub id: Option<String>,
    /// How the object was found, when it was the cloud's own until now: `hard` or `soft`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub matched: Option<String>,
    /// What was not written, though the operation holds, because it is another object's.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub quarantined: Vec<Quarantined>,
}

/// A value that an object does not have because another one has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// `userPrincipalName` or `proxyAddresses`.
    pub attribute: String,
    /// The value.
    pub value: String,
}

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorResponse {
    /// What was refused.
    pub error: ErrorBody,
}

/// What was refused, and the name by which the tenant's log finds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// A word to act on.
    pub code: String,
    /// A sentence to show.
    pub message: String,
    /// The request's name in the tenant's log.
    pub correlation_id: String,
}

/// A secret on its way: `Debug` hides it, dropping wipes it.
#[derive(Clone)]
pub struct SecretText(pub SecretString);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for SecretText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(SecretString::new(text)))
    }
}

impl Operation {
    /// The anchor as it was sent.
    #[must_use]
    pub fn anchor(&self) -> &str {
        match self {
            Self::Upsert { anchor, .. }
            | Self::Delete { anchor, .. }
            | Self::References { anchor, .. }
            | Self::Photo { anchor, .. }
            | Self::Credential { anchor, .. } => anchor,
        }
    }

    /// How many other objects it names: each is a row to write.
    #[must_use]
    pub fn named_count(&self) -> usize {
        match self {
            Self::Upsert { members: Some(members), .. } => members.len(),
            _ => self.changed_count(),
        }
    }

    /// How many references it changes: what [`REFERENCES_MAX`] counts.
    #[must_use]
    pub fn changed_count(&self) -> usize {
        match self {
            Self::References { added, removed, .. } => added.len().saturating_add(removed.len()),
            _ => 0,
        }
    }

    /// The operation in the engine's terms.
    ///
    /// # Errors
    /// The rule that it breaks by itself, before the directory is looked at.
    pub fn check(&self) -> Result<ingest::Operation, Fault> {
        let anchor = parse_anchor(self.anchor())?;
        match self {
            Self::Upsert { kind, attributes, members, anew, .. } => {
                Ok(ingest::Operation::Upsert(Upsert {
                    anchor,
                    kind: parse_kind(kind)?,
                    attributes: parse_attributes(attributes, parse_kind(kind)?)?,
                    members: members.as_deref().map(parse_anchors).transpose()?,
                    anew: *anew,
                }))
            }
            Self::References { attribute, added, removed, .. } => {
                parse_references(anchor, attribute, added, removed)
            }
            Self::Delete { kind, .. } => {
                Ok(ingest::Operation::Delete { anchor, kind: parse_kind(kind)? })
            }
            Self::Photo { photo, .. } => Ok(ingest::Operation::Photo {
                anchor,
                photo: photo.as_deref().map(parse_photo).transpose()?,
            }),
            Self::Credential { credential, changed_at, .. } => Ok(ingest::Operation::Credential {
                anchor,
                credential: CredentialData::parse(credential.0.expose())
                    .map_err(|_| Fault::InvalidCredential)?,
                changed_at: OffsetDateTime::parse(changed_at, &Rfc3339)
                    .map_err(|_| Fault::InvalidCredential)?,
            }),
        }
    }
}

fn parse_anchor(text: &str) -> Result<SourceAnchor, Fault> {
    text.parse().map_err(|_| Fault::InvalidAnchor)
}

fn parse_photo(text: &str) -> Result<Photo, Fault> {
    // Four characters for three octets.
    if text.len() > PHOTO_OCTETS_MAX / 3 * 4 + 4 {
        return Err(Fault::InvalidPhoto(InvalidPhoto::TooLarge));
    }
    let octets = STANDARD.decode(text).map_err(|_| Fault::InvalidPhoto(InvalidPhoto::NotBase64))?;
    Photo::new(octets).map_err(Fault::InvalidPhoto)
}

fn parse_anchors(texts: &[String]) -> Result<Vec<SourceAnchor>, Fault> {
    texts.iter().map(|text| parse_anchor(text)).collect()
}

fn parse_references(
    anchor: SourceAnchor,
    attribute: &str,
    added: &[String],
    removed: &[String],
) -> Result<ingest::Operation, Fault> {
    let reference = Reference::from_word(attribute)
        .filter(|reference| !reference.is_graphs_own())
        .ok_or(Fault::InvalidReferences)?;
    let (added, removed) = (parse_anchors(added)?, parse_anchors(removed)?);
    let come: BTreeSet<_> = added.iter().collect();
    let too_many = reference.is_single() && come.len() > 1;
    if too_many || removed.iter().any(|gone| come.contains(gone)) {
        return Err(Fault::InvalidReferences);
    }
    Ok(ingest::Operation::References { anchor, reference, added, removed })
}

fn parse_kind(word: &str) -> Result<Kind, Fault> {
    Kind::from_word(word).ok_or(Fault::UnknownKind)
}

fn parse_attributes(sent: &BTreeMap<String, Json>, kind: Kind) -> Result<Attributes, Fault> {
    let mut attributes = Attributes::default();
    let mut octets = 0;
    for (name, json) in sent {
        if Definition::is_name(name) {
            let Some(value) = parse_extension(json, name)? else { continue };
            octets += value.octets();
            let too_long = || Fault::InvalidExtension(name.clone());
            if octets > OBJECT_OCTETS_MAX {
                return Err(too_long());
            }
            attributes.set_extension(name, value).map_err(|_| too_long())?;
            continue;
        }
        let attribute = Attribute::named(name)
            .filter(|attribute| attribute.belongs_to(kind) && !attribute.is_graphs_own())
            .ok_or_else(|| Fault::UnknownAttribute(name.chars().take(64).collect()))?;
        if json.is_null() {
            continue;
        }
        let value = parse_value(attribute.shape, json)
            .ok_or(Fault::InvalidAttribute(attribute.name, InvalidAttribute::WrongShape))?;
        octets += value.octets();
        let refused = |rule| Fault::InvalidAttribute(attribute.name, rule);
        if octets > OBJECT_OCTETS_MAX {
            return Err(refused(InvalidAttribute::TooLong));
        }
        attributes.set(attribute.name, value).map_err(refused)?;
    }
    Ok(attributes)
}

/// The value of an extension, as far as it is known without the definition; `None` when it is unset.
fn parse_extension(json: &Json, name: &str) -> Result<Option<Extension>, Fault> {
    let wrong = || Fault::InvalidExtension(name.to_owned());
    let one = |json: &Json| match json {
        Json::String(text) => Ok(Extension::Text(text.clone())),
        Json::Bool(flag) => Ok(Extension::Flag(*flag)),
        Json::Number(number) => number.as_i64().map(Extension::Integer).ok_or_else(wrong),
        _ => Err(wrong()),
    };
    match json {
        Json::Null => Ok(None),
        Json::Array(values) => {
            let values = values.iter().map(one).collect::<Result<_, _>>()?;
            Ok(Some(Extension::List(values)))
        }
        json => one(json).map(Some),
    }
}

fn parse_value(shape: Shape, json: &Json) -> Option<Value> {
    Some(match shape {
        Shape::Text => Value::Text(json.as_str()?.to_owned()),
        Shape::Flag => Value::Flag(json.as_bool()?),
        Shape::Time => Value::Time(OffsetDateTime::parse(json.as_str()?, &Rfc3339).ok()?),
        Shape::Number => Value::Number(json.as_i64()?),
        Shape::Texts => {
            let texts = json.as_array()?.iter().map(|text| text.as_str().map(str::to_owned));
            Value::Texts(texts.collect::<Option<_>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(operation: Json, expected: Result<(), Fault>) {
        let operation: Operation = serde_json::from_value(operation).unwrap();
        assert_eq!(operation.check().map(|_| ()), expected, "{operation:?}");
    }

    #[test]
    fn operations_are_checked_by_themselves() {
        let upsert = |kind: &str, attributes: Json| {
            json!({"op": "upsert",
            "anchor": "eFY0Erya8N4RIjNEVWZ3iA==", "kind": kind, "attributes": attributes})
        };
        let wrong = |name| Err(Fault::InvalidAttribute(name, InvalidAttribute::WrongShape));
        check(upsert("user", json!({"displayName": "Alice", "surname": null})), Ok(()));
        check(upsert("group", json!({"securityEnabled": true})), Ok(()));
        check(upsert("contact", json!({"displayName": "Nina", "mail": "n@x.example"})), Ok(()));
        check(upsert("computer", json!({})), Err(Fault::UnknownKind));
        let unknown = |name: &str| Err(Fault::UnknownAttribute(name.to_owned()));
        check(upsert("user", json!({"unicodePwd": "x"})), unknown("unicodePwd"));
        check(upsert("group", json!({"accountEnabled": true})), unknown("accountEnabled"));
        check(upsert("contact", json!({"accountEnabled": true})), unknown("accountEnabled"));
        check(upsert("user", json!({"accountEnabled": "TRUE"})), wrong("accountEnabled"));
        check(upsert("user", json!({"businessPhones": ["1", 2]})), wrong("businessPhones"));
        let expires = "onPremisesAccountExpiresDateTime";
        check(upsert("user", json!({expires: "2026-11-22T00:00:00Z"})), Ok(()));
        check(upsert("user", json!({expires: "never"})), wrong(expires));
        check(json!({"op": "delete", "anchor": "a b", "kind": "user"}), Err(Fault::InvalidAnchor));
        let credential = |text: &str| {
            json!({"op": "credential", "anchor": "a",
            "credential": text, "changed_at": "2026-11-22T00:00:00Z"})
        };
        check(
            credential(
                "v1;PPH1_MD4,00010203040506070809,1000,4c56ba69061e56881a10372f6dc5d382ff937ccb36b6b94bd6159d1fc17dc223;",
            ),
            Ok(()),
        );
        check(credential("64f12cddaa88057e06a81b54e73b949b"), Err(Fault::InvalidCredential));
    }

    #[test]
    fn references_are_of_an_attribute_that_refers_and_nobody_comes_and_goes() {
        let references = |attribute: &str, added: &[&str], removed: &[&str]| {
            json!({"op": "references", "anchor": "a", "attribute": attribute,
            "added": added, "removed": removed})
        };
        check(references("members", &["b", "c", "c"], &["d"]), Ok(()));
        check(references("manager", &["b", "b"], &["d", "e"]), Ok(()));
        check(references("manager", &[], &[]), Ok(()));
        check(json!({"op": "references", "anchor": "a", "attribute": "members"}), Ok(()));
        let invalid = || Err(Fault::InvalidReferences);
        check(references("manager", &["b", "c"], &[]), invalid());
        check(references("members", &["b", "c"], &["c"]), invalid());
        check(references("owners", &["b"], &[]), invalid());
        check(references("members", &["a b"], &[]), Err(Fault::InvalidAnchor));
    }

    #[test]
    fn an_object_is_of_a_size_of_which_a_page_can_be_shown() {
        let check = |count: usize, expected: Result<(), Fault>| {
            let address = format!("smtp:{}", "x".repeat(507));
            let operation: Operation =
                serde_json::from_value(json!({"op": "upsert", "anchor": "a",
                "kind": "group", "attributes": {"proxyAddresses": vec![address; count]}}))
                .unwrap();
            assert_eq!(operation.check().map(|_| ()), expected, "{count}");
        };
        check(256, Ok(()));
        let refused = Fault::InvalidAttribute("proxyAddresses", InvalidAttribute::TooLong);
        check(257, Err(refused));
    }

    #[test]
    fn a_credential_does_not_print_itself() {
        let operation: Operation = serde_json::from_value(json!({"op": "credential",
            "anchor": "a", "credential": "v1;PPH1_MD4,geheim", "changed_at": "x"}))
        .unwrap();
        assert!(!format!("{operation:?}").contains("geheim"));
    }
}
