//! What the sync server writes: the only way in for synchronised attributes.
//!
//! Each operation looks before it writes, so that one that is refused leaves nothing behind.

mod names;
mod passwords;

use portolan_legacy_crypto::pph1::CredentialData;
use portolan_model::{Entropy, Guid, SourceAnchor, Upn};
use time::OffsetDateTime;

use crate::Tenant;
use crate::directory::{Attributes, InvalidAttribute, Kind, Object};
use crate::storage::{Credential, StorageError, Transaction};
use names::Names;
use passwords::Passwords;

/// An operation that is well-formed by itself.
#[derive(Debug, Clone)]
pub enum Operation {
    /// Write an object.
    Upsert {
        /// Its anchor.
        anchor: SourceAnchor,
        /// What it is.
        kind: Kind,
        /// All its attributes.
        attributes: Attributes,
        /// All its members; `None` leaves them.
        members: Option<Vec<SourceAnchor>>,
    },
    /// Delete an object.
    Delete {
        /// Its anchor.
        anchor: SourceAnchor,
        /// What it is.
        kind: Kind,
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

impl Operation {
    /// The anchor of its object.
    #[must_use]
    pub const fn anchor(&self) -> &SourceAnchor {
        match self {
            Self::Upsert { anchor, .. }
            | Self::Delete { anchor, .. }
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
    /// The object is the cloud's own, though it carries the anchor.
    #[error("the object with this anchor is the cloud's own")]
    CloudsOwn,
    /// Neither a user, a contact nor a group.
    #[error("the kind is neither user, contact nor group")]
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
    /// Members of something other than a group.
    #[error("only a group has members")]
    NotAGroup,
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
            Self::InvalidAttribute(..) => "invalidAttribute",
            Self::MissingAttribute(_) => "missingAttribute",
            Self::InvalidName => "invalidUserPrincipalName",
            Self::UnverifiedDomain => "unverifiedDomain",
            Self::NameTaken => "userPrincipalNameTaken",
            Self::NotAGroup => "notAGroup",
            Self::InvalidCredential => "invalidCredential",
        }
    }
}

/// Applies the operations of a batch in order and gives each object's id; `None` when there was
/// nothing to delete. Operations that are refused by themselves come as their fault.
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
) -> Result<Vec<Result<Option<Guid>, Fault>>, StorageError> {
    let names = Names::plan(tx, tenant, &operations).await?;
    let mut results = Vec::with_capacity(operations.len());
    let mut passwords = Passwords::default();
    for (at, operation) in operations.into_iter().enumerate() {
        if let Ok(Operation::Credential { anchor, credential, changed_at }) = operation {
            if passwords.has(&anchor) {
                results.extend(passwords.set(tx, now).await?);
            }
            passwords.add(anchor, Credential { credential, changed_at });
            continue;
        }
        results.extend(passwords.set(tx, now).await?);
        results.push(match operation {
            Ok(Operation::Delete { anchor, kind }) => delete(tx, &anchor, kind, now).await?,
            Ok(upsert) => write(tx, tenant, &names, at, &upsert, now, rng).await?,
            Err(fault) => Err(fault),
        });
    }
    results.extend(passwords.set(tx, now).await?);
    Ok(results)
}

/// Writes an object; the operation is an upsert.
async fn write<T: Transaction>(
    tx: &mut T,
    tenant: &Tenant,
    names: &Names,
    at: usize,
    operation: &Operation,
    now: OffsetDateTime,
    rng: &mut (dyn Entropy + Send),
) -> Result<Result<Option<Guid>, Fault>, StorageError> {
    let Operation::Upsert { anchor, kind, attributes, members } = operation else {
        return Ok(Ok(None));
    };
    let before = tx.object_by_anchor(anchor).await?;
    if before.as_ref().is_some_and(is_clouds_own) {
        return Ok(Err(Fault::CloudsOwn));
    }
    if let Err(fault) = check_alone(tenant, before.as_ref(), operation) {
        return Ok(Err(fault));
    }
    if let Err(fault) = names.check(tx, at, before.as_ref(), attributes).await? {
        return Ok(Err(fault));
    }
    let mut octets = [0; 16];
    rng.fill(&mut octets);
    let object = Object {
        id: before.as_ref().map_or_else(|| Guid::from_random(octets), |old| old.id),
        kind: *kind,
        anchor: Some(anchor.clone()),
        attributes: attributes.clone(),
        created_at: before.as_ref().map_or(now, |old| old.created_at),
        synchronised_at: Some(now),
        deleted_at: None,
    };
    tx.put_object(&object).await?;
    if let Some(members) = members {
        tx.put_members(object.id, members).await?;
    }
    if before.as_ref().is_some_and(|old| is_enabled(old) && !is_enabled(&object)) {
        tx.end_sessions_of(object.id, now).await?;
    }
    Ok(Ok(Some(object.id)))
}

/// Whether no sync server wrote an object: whoever made it by Graph may have given it an anchor, and it is
/// not taken over by that alone.
const fn is_clouds_own(object: &Object) -> bool {
    object.synchronised_at.is_none()
}

fn is_enabled(object: &Object) -> bool {
    object.attributes.flag("accountEnabled").unwrap_or(false)
}

/// What of an upsert can be judged without looking at other objects.
pub(crate) fn check_alone(
    tenant: &Tenant,
    before: Option<&Object>,
    operation: &Operation,
) -> Result<(), Fault> {
    let Operation::Upsert { kind, attributes, members, .. } = operation else { return Ok(()) };
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
    let name =
        attributes.text("userPrincipalName").ok_or(Fault::MissingAttribute("userPrincipalName"))?;
    // With the root's dot behind it the name would be another one to look up by, and the same one to
    // everybody who reads it.
    let upn = name.parse::<Upn>().ok().filter(|_| !name.ends_with('.'));
    let upn = upn.ok_or(Fault::InvalidName)?;
    if tenant.owns(upn.domain()) { Ok(()) } else { Err(Fault::UnverifiedDomain) }
}

async fn delete<T: Transaction>(
    tx: &mut T,
    anchor: &SourceAnchor,
    kind: Kind,
    now: OffsetDateTime,
) -> Result<Result<Option<Guid>, Fault>, StorageError> {
    let Some(mut object) = tx.object_by_anchor(anchor).await? else {
        return Ok(Ok(None));
    };
    if is_clouds_own(&object) {
        return Ok(Err(Fault::CloudsOwn));
    }
    if object.kind != kind {
        return Ok(Err(Fault::KindMismatch));
    }
    if object.deleted_at.is_none() {
        object.deleted_at = Some(now);
        object.synchronised_at = Some(now);
        tx.put_object(&object).await?;
        tx.put_members(object.id, &[]).await?;
        tx.erase_credential(object.id).await?;
        tx.end_sessions_of(object.id, now).await?;
    }
    Ok(Ok(Some(object.id)))
}
