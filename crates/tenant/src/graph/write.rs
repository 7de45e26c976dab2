//! Writes of Graph: users, groups, devices, and whom they refer to, as far as they are the cloud's own.
//!
//! An object that a sync server writes is written by nobody else: every write of one is refused as Graph
//! refuses it. Each operation looks before it writes, so that one that is refused leaves nothing behind.
//! A password becomes the one kind of credential that the tenant checks ([`CredentialData`]), and is
//! forgotten.

use portolan_legacy_crypto::NtHash;
use portolan_legacy_crypto::pph1::CredentialData;
use portolan_model::{Entropy, Guid, SecretString, Upn};
use time::OffsetDateTime;

use super::body::{Asked, PasswordProfile, noun};
use super::fault::Fault;
use crate::Tenant;
use crate::directory::{Attributes, Kind, Object, Reference, Value};
use crate::storage::{Credential, ReferenceChange, StorageError, Transaction};

/// Members that one request may name.
pub const MEMBERS_BOUND_MAX: usize = 20;

/// Characters of a password, as Entra ID has it for the cloud's own users.
const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 8..=256;

/// Kinds of character, of four, that a strong password has.
const PASSWORD_KINDS_MIN: usize = 3;

/// The attribute that keeps a user from everything until their password is another.
const CHANGE_REQUIRED: &str = "onPremisesPasswordChangeRequired";

/// What a write came to, or why it was refused; the outer error is the store's.
pub type Outcome<T> = Result<Result<T, Fault>, StorageError>;

/// What a write may do besides, by the permissions of who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// Set the password of a user who is there.
    pub passwords: bool,
}

/// Leaves a function of this module with a refusal.
macro_rules! check {
    ($outcome:expr) => {
        match $outcome {
            Ok(value) => value,
            Err(fault) => return Ok(Err(fault)),
        }
    };
}

/// Makes a user, a device, or a group with its first members.
///
/// # Errors
/// The outer error when the store fails: the transaction is to be dropped.
pub async fn create<T: Transaction>(
    tx: &mut T,
    tenant: &Tenant,
    kind: Kind,
    asked: Asked,
    now: OffsetDateTime,
    rng: &mut (dyn Entropy + Send),
) -> Outcome<Object> {
    let mut octets = [0; 16];
    rng.fill(&mut octets);
    let mut object = Object {
        id: Guid::from_random(octets),
        kind,
        anchor: None,
        attributes: Attributes::default(),
        created_at: now,
        synchronised_at: None,
        deleted_at: None,
    };
    check!(is_complete(kind, &asked));
    check!(change(&mut object, &asked));
    check!(is_sound(tenant, &object));
    check!(are_free(tx, &object, &asked).await?);
    check!(are_there(tx, &asked.members).await?);
    let credential = match &asked.password {
        Some(profile) => check!(credential(&mut object, profile, now, rng)),
        None => None,
    };
    tx.put_object(&object).await?;
    if let Some(credential) = credential {
        tx.put_credential(object.id, &credential).await?;
    }
    if !asked.members.is_empty() {
        tx.add_references((object.id, Reference::Members), &asked.members).await?;
    }
    Ok(Ok(object))
}

/// Changes a user, a device or a group, and adds members to it.
///
/// # Errors
/// The outer error when the store fails.
pub async fn update<T: Transaction>(
    tx: &mut T,
    tenant: &Tenant,
    mut object: Object,
    asked: Asked,
    rights: Rights,
    now: OffsetDateTime,
    rng: &mut (dyn Entropy + Send),
) -> Outcome<()> {
    check!(is_clouds_own(&object));
    if is_sensitive(&asked) && is_administrator(tx, &object).await? {
        return Ok(Err(Fault::Denied));
    }
    if asked.password.is_some() && !rights.passwords {
        return Ok(Err(Fault::Denied));
    }
    let was_enabled = is_enabled(&object);
    check!(change(&mut object, &asked));
    check!(is_sound(tenant, &object));
    check!(are_free(tx, &object, &asked).await?);
    check!(are_there(tx, &asked.members).await?);
    check!(are_new(tx, (&object, Reference::Members), &asked.members).await?);
    let credential = match &asked.password {
        Some(profile) => check!(credential(&mut object, profile, now, rng)),
        None => None,
    };
    if !asked.is_of_members_alone() {
        tx.put_object(&object).await?;
    }
    if let Some(credential) = &credential {
        tx.put_credential(object.id, credential).await?;
    }
    if !asked.members.is_empty() {
        tx.add_references((object.id, Reference::Members), &asked.members).await?;
    }
    if credential.is_some() || was_enabled && !is_enabled(&object) {
        tx.end_sessions_of(object.id, now).await?;
    }
    Ok(Ok(()))
}

/// Deletes a user, a device or a group.
///
/// # Errors
/// The outer error when the store fails.
pub async fn delete<T: Transaction>(
    tx: &mut T,
    mut object: Object,
    now: OffsetDateTime,
) -> Outcome<()> {
    check!(is_clouds_own(&object));
    if is_administrator(tx, &object).await? {
        return Ok(Err(Fault::Denied));
    }
    object.deleted_at = Some(now);
    tx.put_object(&object).await?;
    let gone = Reference::ALL.map(|reference| ReferenceChange::whole(object.id, reference, &[]));
    tx.change_references(&gone).await?;
    tx.erase_credential(object.id).await?;
    tx.end_sessions_of(object.id, now).await?;
    Ok(Ok(()))
}

/// Lets an object refer to another one: puts it into a group, or makes it a device's owner or user.
///
/// # Errors
/// The outer error when the store fails.
pub async fn add_reference<T: Transaction>(
    tx: &mut T,
    (object, reference): (&Object, Reference),
    to: Guid,
) -> Outcome<()> {
    check!(is_clouds_own(object));
    check!(are_there(tx, &[to]).await?);
    let is_user = async |tx: &mut T| {
        Ok::<_, StorageError>(tx.object(to).await?.is_some_and(|found| found.kind == Kind::User))
    };
    if object.kind == Kind::Device && !is_user(tx).await? {
        return Ok(Err(Fault::not_found(to)));
    }
    check!(are_new(tx, (object, reference), &[to]).await?);
    tx.add_references((object.id, reference), &[to]).await?;
    Ok(Ok(()))
}

/// Lets an object refer to another one no more.
///
/// # Errors
/// The outer error when the store fails.
pub async fn remove_reference<T: Transaction>(
    tx: &mut T,
    (object, reference): (&Object, Reference),
    to: Guid,
) -> Outcome<()> {
    check!(is_clouds_own(object));
    let found = tx.remove_reference((object.id, reference), to).await?;
    Ok(if found { Ok(()) } else { Err(Fault::not_found(to)) })
}

/// Sets or clears a user's manager.
///
/// # Errors
/// The outer error when the store fails.
pub async fn set_manager<T: Transaction>(
    tx: &mut T,
    user: &Object,
    manager: Option<Guid>,
) -> Outcome<()> {
    check!(is_clouds_own(user));
    if let Some(manager) = manager {
        if manager == user.id {
            return Ok(Err(Fault::ToItself("manager")));
        }
        let found = tx.object(manager).await?.filter(|found| found.deleted_at.is_none());
        if found.is_none_or(|found| !matches!(found.kind, Kind::User | Kind::Contact)) {
            return Ok(Err(Fault::not_found(manager)));
        }
    }
    tx.put_manager(user.id, manager).await?;
    Ok(Ok(()))
}

/// The forest is the master of whatever a sync server wrote.
const fn is_clouds_own(object: &Object) -> Result<(), Fault> {
    if object.is_clouds_own() { Ok(()) } else { Err(Fault::MasteredOnPremises) }
}

async fn is_administrator<T: Transaction>(
    tx: &mut T,
    object: &Object,
) -> Result<bool, StorageError> {
    Ok(object.kind == Kind::User && !tx.administrators(&[object.id]).await?.is_empty())
}

fn is_enabled(object: &Object) -> bool {
    object.attributes.flag("accountEnabled").unwrap_or(false)
}

/// Whether a change could take an administrator's account away or over: [sensitive actions].
///
/// [sensitive actions]: https://learn.microsoft.com/graph/api/resources/users#who-can-perform-sensitive-actions
fn is_sensitive(asked: &Asked) -> bool {
    let named =
        ["accountEnabled", "userPrincipalName", "mobilePhone", "businessPhones", "otherMails"];
    asked.password.is_some()
        || asked.anchor.is_some()
        || named.iter().any(|name| asked.attribute(name).is_some())
}

/// Whether everything is there without which there is no such object.
fn is_complete(kind: Kind, asked: &Asked) -> Result<(), Fault> {
    let needed: &[&'static str] = match kind {
        Kind::Device => &super::device::NEEDED,
        Kind::User => &["accountEnabled", "displayName", "mailNickname", "userPrincipalName"],
        _ => &["displayName", "mailEnabled", "mailNickname", "securityEnabled"],
    };
    for &name in needed {
        if asked.attribute(name).flatten().is_none() {
            return Err(Fault::Missing(name, noun(kind)));
        }
    }
    let password = asked.password.as_ref().and_then(|profile| profile.password.as_ref());
    match (kind, password) {
        (Kind::User, None) => Err(Fault::Missing("passwordProfile", noun(kind))),
        _ => Ok(()),
    }
}

/// Sets what is asked.
fn change(object: &mut Object, asked: &Asked) -> Result<(), Fault> {
    for (name, value) in &asked.attributes {
        let is_other = object.attributes.value(name) != value.as_ref();
        match (*name, value) {
            // A key that was given is kept.
            ("uniqueName" | "deviceId", _)
                if is_other && object.attributes.value(name).is_some() =>
            {
                return Err(Fault::ReadOnly(name));
            }
            (
                "accountEnabled"
                | "displayName"
                | "mailNickname"
                | "userPrincipalName"
                | "securityEnabled"
                | "mailEnabled"
                | "operatingSystem"
                | "operatingSystemVersion"
                | "physicalIds",
                None,
            ) => {
                return Err(Fault::InvalidValue(name, noun(object.kind)));
            }
            (_, Some(value)) => {
                let set = object.attributes.set(name, value.clone());
                set.map_err(|_| Fault::InvalidValue(name, noun(object.kind)))?;
            }
            (_, None) => object.attributes.clear(name),
        }
    }
    if let Some(anchor) = &asked.anchor {
        object.anchor.clone_from(anchor);
    }
    Ok(())
}

/// What of an object can be judged without looking at others.
pub(super) fn is_sound(tenant: &Tenant, object: &Object) -> Result<(), Fault> {
    if object.kind == Kind::Group {
        let flag = |name| object.attributes.flag(name).unwrap_or(false);
        return match flag("mailEnabled") || !flag("securityEnabled") {
            true => Err(Fault::MailEnabled),
            false => Ok(()),
        };
    }
    if object.kind == Kind::Device {
        return Ok(());
    }
    let invalid = Fault::InvalidValue("userPrincipalName", noun(object.kind));
    let name = object.upn().unwrap_or_default();
    // As at the ingest: with the root's dot behind it, it would be another name to look up by.
    let upn = name.parse::<Upn>().ok().filter(|_| !name.ends_with('.')).ok_or(invalid)?;
    if tenant.owns(upn.domain()) { Ok(()) } else { Err(Fault::UnverifiedDomain) }
}

/// Whether no other object has what no two may have.
async fn are_free<T: Transaction>(tx: &mut T, object: &Object, asked: &Asked) -> Outcome<()> {
    let is_other = |found: Option<Object>| found.is_some_and(|found| found.id != object.id);
    if let (Some(Some(_)), Some(name)) = (asked.attribute("userPrincipalName"), object.upn())
        && is_other(tx.user_by_name(name).await?)
    {
        return Ok(Err(Fault::Taken("userPrincipalName")));
    }
    if let (Some(Some(_)), Some(name)) =
        (asked.attribute("uniqueName"), object.attributes.text("uniqueName"))
        && is_other(tx.group_by_unique_name(name).await?)
    {
        return Ok(Err(Fault::Taken("uniqueName")));
    }
    if let (Some(Some(_)), Some(Ok(id))) =
        (asked.attribute("deviceId"), object.attributes.text("deviceId").map(str::parse))
        && is_other(tx.device_by_id(id).await?)
    {
        return Ok(Err(Fault::Taken("deviceId")));
    }
    // One that was deleted keeps its anchor until it is forgotten: it may come back.
    if let Some(Some(anchor)) = &asked.anchor
        && is_other(tx.object_by_anchor(anchor).await?)
    {
        return Ok(Err(Fault::Taken("onPremisesImmutableId")));
    }
    Ok(Ok(()))
}

async fn are_there<T: Transaction>(tx: &mut T, members: &[Guid]) -> Outcome<()> {
    for &member in members {
        let found = tx.object(member).await?;
        if found.is_none_or(|found| found.deleted_at.is_some()) {
            return Ok(Err(Fault::not_found(member)));
        }
    }
    Ok(Ok(()))
}

async fn are_new<T: Transaction>(
    tx: &mut T,
    (object, reference): (&Object, Reference),
    to: &[Guid],
) -> Outcome<()> {
    if to.is_empty() {
        return Ok(Ok(()));
    }
    if to.contains(&object.id) {
        return Ok(Err(Fault::ToItself(reference.as_str())));
    }
    let held = tx.referred_among((object.id, reference), to).await?;
    Ok(if held.is_empty() { Ok(()) } else { Err(Fault::AlreadyReferred(reference.as_str())) })
}

/// The credential of a password that is set, and whether it is to be changed first.
fn credential(
    user: &mut Object,
    profile: &PasswordProfile,
    now: OffsetDateTime,
    rng: &mut (dyn Entropy + Send),
) -> Result<Option<Credential>, Fault> {
    if let Some(password) = &profile.password {
        let policies = user.attributes.text("passwordPolicies").unwrap_or_default();
        let any = policies.split(',').any(|word| word.trim() == "DisableStrongPassword");
        if !is_strong(password, any) {
            return Err(Fault::WeakPassword);
        }
    }
    // Graph's own default: who was given a password by somebody else changes it.
    let at_next = profile.change_at_next_sign_in;
    let at_next = at_next.or(profile.password.is_some().then_some(true));
    if let Some(at_next) = at_next {
        let set = user.attributes.set(CHANGE_REQUIRED, Value::Flag(at_next));
        set.map_err(|_| Fault::InvalidValue("passwordProfile", noun(user.kind)))?;
    }
    Ok(profile.password.as_ref().map(|password| {
        let mut salt = [0; 10];
        rng.fill(&mut salt);
        let hash = NtHash::from_password(password.expose());
        Credential { credential: CredentialData::derive(&hash, salt), changed_at: now }
    }))
}

/// Whether a password is long enough and, unless any will do, of several kinds of character.
fn is_strong(password: &SecretString, any: bool) -> bool {
    let text = password.expose();
    let kinds: [fn(char) -> bool; 4] = [
        |c| c.is_ascii_lowercase(),
        |c| c.is_ascii_uppercase(),
        |c| c.is_ascii_digit(),
        |c| !c.is_ascii_alphanumeric(),
    ];
    let has = kinds.iter().filter(|is| text.chars().any(is)).count();
    PASSWORD_CHARS.contains(&text.chars().count()) && (any || has >= PASSWORD_KINDS_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::tests::user;
    use crate::identity::tests::tenant;

    #[test]
    fn passwords_are_of_three_kinds_unless_any_will_do() {
        let check = |text: &str, any: bool, expected: bool| {
            assert_eq!(is_strong(&SecretString::new(text.to_owned()), any), expected, "{text}");
        };
        check("Abcdefg1", false, true);
        check("abcdefg1", false, false);
        check("abcdefg1", true, true);
        check("abc def!1", false, true);
        check("Abcdef1", false, false);
        check(&"Aa1".repeat(86), false, false);
        check("short", true, false);
    }

    #[test]
    fn what_a_user_cannot_be_without_is_not_taken_away() {
        let mut alice = user("alice@corp.example");
        let clear = |name| Asked { attributes: vec![(name, None)], ..Asked::default() };
        for name in ["accountEnabled", "displayName", "userPrincipalName", "mailNickname"] {
            let refused = Err(Fault::InvalidValue(name, "User"));
            assert_eq!(change(&mut alice, &clear(name)), refused);
        }
        assert_eq!(change(&mut alice, &clear("jobTitle")), Ok(()));
    }

    #[test]
    fn a_group_of_this_tenant_has_no_mail() {
        let mut group = user("x@corp.example");
        group.kind = Kind::Group;
        let mut check = |mail: bool, security: bool, expected: Result<(), Fault>| {
            group.attributes.set("mailEnabled", Value::Flag(mail)).unwrap();
            group.attributes.set("securityEnabled", Value::Flag(security)).unwrap();
            assert_eq!(is_sound(&tenant(), &group), expected);
        };
        check(false, true, Ok(()));
        check(true, true, Err(Fault::MailEnabled));
        check(false, false, Err(Fault::MailEnabled));
    }
}
