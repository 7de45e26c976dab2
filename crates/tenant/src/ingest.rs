//! What the sync server writes: the only way in for synchronised attributes.
//!
//! A batch is read at once, applied in memory ([`draft`]), and written at once: what it costs the store is
//! a few statements, not some for each operation. Each operation looks before it changes anything, so
//! that one that is refused leaves nothing behind.

mod draft;
mod matching;
mod names;
mod quarantine;

use portolan_legacy_crypto::pph1::CredentialData;
use portolan_model::{Entropy, Guid, SourceAnchor, Upn};
use time::OffsetDateTime;

use crate::Tenant;
use crate::directory::{
    Attributes, InvalidAttribute, InvalidPhoto, Kind, Object, Photo, ProvisioningError, Reference,
};
use crate::storage::{StorageError, Transaction};
use draft::Draft;
pub use matching::Match;
pub use quarantine::heal;

/// An operation that is well-formed by itself.
#[derive(Debug, Clone)]
pub enum Operation {
    /// Write an object.
    Upsert(Upsert),
    /// Delete an object.
    Delete {
        /// Its anchor.
        anchor: SourceAnchor,
        /// What it is.
        kind: Kind,
    },
    /// Change whom an object refers to, by what comes and goes.
    References {
        /// The anchor of the object that refers.
        anchor: SourceAnchor,
        /// By which attribute.
        reference: Reference,
        /// Who comes.
        added: Vec<SourceAnchor>,
        /// Who goes.
        removed: Vec<SourceAnchor>,
    },
    /// Set or remove a user's photo.
    Photo {
        /// The user's anchor.
        anchor: SourceAnchor,
        /// The photo; `None` removes it.
        photo: Option<Photo>,
    },
    /// Set a user's password.
    Credential {
        /// The user's anchor.
        anchor: SourceAnchor,
        /// The derived key and its salt.
        credential: CredentialData,
        /// When the password was set in the forest.
        changed_at: OffsetDateTime,
    },
}

/// An object as it is to be.
#[derive(Debug, Clone)]
pub struct Upsert {
    /// Its anchor.
    pub anchor: SourceAnchor,
    /// What it is.
    pub kind: Kind,
    /// All its attributes.
    pub attributes: Attributes,
    /// All its members; `None` leaves them.
    pub members: Option<Vec<SourceAnchor>>,
    /// Whether whomever it referred to is forgotten first.
    pub anew: bool,
}

impl Operation {
    /// The anchor of its object.
    #[must_use]
    pub const fn anchor(&self) -> &SourceAnchor {
        match self {
            Self::Upsert(Upsert { anchor, .. })
            | Self::Delete { anchor, .. }
            | Self::References { anchor, .. }
            | Self::Photo { anchor, .. }
            | Self::Credential { anchor, .. } => anchor,
        }
    }
}

/// Why an operation is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The anchor is malformed.
    #[error("the anchor is not 1 to 59 printable ASCII characters")]
    InvalidAnchor,
    /// The directory has no living object with the anchor.
    #[error("no object has this anchor")]
    UnknownAnchor,
    /// The object is from another sync server.
    #[error("the object is from another sync server")]
    OtherServer,
    /// The object to be deleted is the cloud's own, though it carries the anchor.
    #[error("the object with this anchor is the cloud's own")]
    CloudsOwn,
    /// Neither a user, a contact, a group nor a device.
    #[error("the kind is neither user, contact, group nor device")]
    UnknownKind,
    /// The anchor is another kind's.
    #[error("the object with this anchor is of another kind")]
    KindMismatch,
    /// An attribute that objects of this kind do not have.
    #[error("objects of this kind have no attribute {0:?}")]
    UnknownAttribute(String),
    /// A value that does not fit.
    #[error("attribute {0}: {1}")]
    InvalidAttribute(&'static str, InvalidAttribute),
    /// A value of an extension that does not fit its definition.
    #[error("extension {0}: the value does not fit its definition")]
    InvalidExtension(String),
    /// An attribute that has to be there.
    #[error("attribute {0} is missing")]
    MissingAttribute(&'static str),
    /// The user principal name is malformed.
    #[error("the user principal name is malformed")]
    InvalidName,
    /// The user principal name is of a domain that is not the tenant's.
    #[error("the domain of the user principal name is not verified in this tenant")]
    UnverifiedDomain,
    /// The user principal name is another user's.
    #[error("another user has this user principal name")]
    NameTaken,
    /// The deviceId is another device's.
    #[error("another device has this deviceId")]
    DeviceIdTaken,
    /// An address is another object's.
    #[error("another object has one of the proxy addresses")]
    AddressTaken,
    /// The anchor is that of an object of the cloud, which may not be taken over.
    #[error("the object with this anchor is the cloud's own, and may not be taken over")]
    MatchBlocked,
    /// Members of something other than a group.
    #[error("only a group has members")]
    NotAGroup,
    /// An attribute that refers to no objects, or more of them than it can, or one that comes and goes.
    #[error("not a reference attribute, or not what it can hold: no object both comes and goes")]
    InvalidReferences,
    /// Not a photo that is understood.
    #[error("{0}")]
    InvalidPhoto(InvalidPhoto),
    /// The credential or its time is malformed.
    #[error("the credential is not v1;PPH1_MD4 data, or changed_at is no RFC 3339 time")]
    InvalidCredential,
}

impl Fault {
    /// The word that a program acts on.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidAnchor => "invalidAnchor",
            Self::UnknownAnchor => "unknownAnchor",
            Self::OtherServer => "otherSyncServer",
            Self::CloudsOwn => "cloudObject",
            Self::UnknownKind => "unknownKind",
            Self::KindMismatch => "kindMismatch",
            Self::UnknownAttribute(_) => "unknownAttribute",
            Self::InvalidAttribute(..) | Self::InvalidExtension(_) => "invalidAttribute",
            Self::MissingAttribute(_) => "missingAttribute",
            Self::InvalidName => "invalidUserPrincipalName",
            Self::UnverifiedDomain => "unverifiedDomain",
            Self::NameTaken => "userPrincipalNameTaken",
            Self::DeviceIdTaken => "deviceIdTaken",
            Self::AddressTaken => "proxyAddressTaken",
            Self::MatchBlocked => "matchBlocked",
            Self::NotAGroup => "notAGroup",
            Self::InvalidReferences => "invalidReferences",
            Self::InvalidPhoto(_) => "invalidPhoto",
            Self::InvalidCredential => "invalidCredential",
        }
    }
}

/// What an operation did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// The object's id; `None` when there was nothing to delete.
    pub id: Option<Guid>,
    /// How the object was found, when it was the cloud's own until now.
    pub matched: Option<Match>,
    /// What was set aside because it is another object's.
    pub set_aside: Vec<ProvisioningError>,
}

/// What a batch did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// What each operation did, or why it was refused, in order.
    pub outcomes: Vec<Result<Done, Fault>>,
    /// What was set aside once, and its object has now.
    pub healed: Vec<ProvisioningError>,
}

/// Applies the operations of a batch in order. Operations that are refused by themselves come as their fault.
///
/// A user principal name is judged by where the batch ends, not by the way there: two users swap
/// theirs, and a name passes on from a user who is deleted or renamed later in the batch.
///
/// # Errors
/// The outer error when the store fails: the whole batch is to be undone. The inner ones are the
/// operations' own.
pub async fn apply_batch<T: Transaction>(
    tx: &mut T,
    tenant: &Tenant,
    operations: Vec<Result<Operation, Fault>>,
    now: OffsetDateTime,
    rng: &mut (dyn Entropy + Send),
) -> Result<Applied, StorageError> {
    let mut draft = Draft::read(tx, &operations).await?;
    let mut outcomes = draft.apply(tenant, operations, now, rng);
    draft.settle(tx, tenant, rng).await?;
    let may_heal = draft.gives_names_up();
    draft.write(tx, now).await?;
    let healed = if may_heal { heal(tx, tenant).await? } else { Vec::new() };
    for done in outcomes.iter_mut().flatten() {
        done.set_aside.retain(|error| {
            let same = |healed: &ProvisioningError| {
                healed.object == error.object && healed.name() == error.name()
            };
            !healed.iter().any(same)
        });
    }
    Ok(Applied { outcomes, healed })
}

/// What of an upsert can be judged without looking at other objects.
fn check_alone(tenant: &Tenant, before: Option<&Object>, upsert: &Upsert) -> Result<(), Fault> {
    let Upsert { kind, attributes, members, .. } = upsert;
    if before.is_some_and(|old| old.kind != *kind) {
        return Err(Fault::KindMismatch);
    }
    if *kind == Kind::Group {
        return Ok(());
    }
    if members.is_some() {
        return Err(Fault::NotAGroup);
    }
    if *kind == Kind::Contact {
        return Ok(());
    }
    if attributes.flag("accountEnabled").is_none() {
        return Err(Fault::MissingAttribute("accountEnabled"));
    }
    if *kind == Kind::Device {
        let id = attributes.text("deviceId").ok_or(Fault::MissingAttribute("deviceId"))?;
        let wrong = Fault::InvalidAttribute("deviceId", InvalidAttribute::WrongShape);
        return id.parse::<Guid>().map(|_| ()).map_err(|_| wrong);
    }
    let name =
        attributes.text("userPrincipalName").ok_or(Fault::MissingAttribute("userPrincipalName"))?;
    // With the root's dot behind it the name would be another one to look up by, and the same one to
    // everybody who reads it.
    let upn = name.parse::<Upn>().ok().filter(|_| !name.ends_with('.'));
    let upn = upn.ok_or(Fault::InvalidName)?;
    if tenant.owns(upn.domain()) { Ok(()) } else { Err(Fault::UnverifiedDomain) }
}

fn is_enabled(object: &Object) -> bool {
    object.attributes.flag("accountEnabled").unwrap_or(false)
}
