//! From a reply to credentials: which objects are opened, and what is wrong with those that are not.
//!
//! [`select`] opens nothing. An NT hash exists in [`derive`] alone, from the opened value to the derived
//! credential, in memory that is wiped; only what [`select`] let through gets there.

use std::fmt;

use portolan_legacy_crypto::pph1::CredentialData;
use portolan_model::{Entropy, Guid, SourceAnchor};
use portolan_rpc::drsr::secret::{self, SecretError};
use portolan_rpc::drsr::{AttributeType, Object, ObjectName, Oid, Reply};
use portolan_tenant::wire::{Operation, SecretText};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What is asked for of each object: one secret, and when it was set.
pub(crate) const ATTRIBUTES: [Oid; 2] = [Oid::UNICODE_PWD, Oid::PWD_LAST_SET];

/// What one reply held.
#[derive(Default)]
pub(crate) struct Page {
    /// Objects that were sent.
    pub(crate) objects: usize,
    /// Password hashes of users in scope, as they came.
    pub(crate) sealed: Vec<Sealed>,
    /// Users in scope whose password hash was not sent: unchanged in a cycle, none when read alone.
    pub(crate) without_password: Vec<Guid>,
    /// Objects whose password hash was sent and is none of ours: not opened.
    pub(crate) unopened: Vec<Guid>,
    /// Users in scope of whom what was sent makes no sense.
    pub(crate) faulty: Vec<(Guid, Faulty)>,
}

/// A user in scope with an encrypted password hash.
pub(crate) struct Sealed {
    guid: Guid,
    dn: String,
    anchor: SourceAnchor,
    rid: u32,
    value: Vec<u8>,
    changed_at: String,
}

/// A derived credential, on its way to the tenant.
pub(crate) struct Credential {
    pub(crate) guid: Guid,
    pub(crate) operation: Operation,
}

/// An object that was left, and why: it stops no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Faulty {
    /// Its distinguished name.
    pub(crate) object: String,
    /// What is wrong with it.
    pub(crate) why: String,
}

/// What can be wrong with one object in a reply that is well-formed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Fault {
    #[error("the domain controller sent its password hash without its SID")]
    NoSid,
    #[error("its SID is malformed")]
    Sid,
    #[error("its pwdLastSet is no point in time")]
    PasswordTime,
    #[error(transparent)]
    Secret(SecretError),
}

impl Faulty {
    pub(crate) fn new(object: impl Into<String>, why: &dyn fmt::Display) -> Self {
        Self { object: object.into(), why: why.to_string() }
    }
}

/// The objects of a reply, by their objectGUIDs.
pub(crate) fn named(reply: &Reply<'_>) -> Vec<Guid> {
    reply.objects().filter_map(|object| object.name().map(|name| name.guid())).collect()
}

/// Sorts a reply's objects by what is done with them. `anchor_of` knows the users in scope that sign
/// in with their password hash; `now` stands for when a password was set where the forest does not
/// say it (pwdLastSet 0: it must be changed).
pub(crate) fn select(
    reply: &Reply<'_>,
    anchor_of: impl Fn(&Guid) -> Option<SourceAnchor>,
    now: OffsetDateTime,
) -> Page {
    let mut page = Page { objects: reply.objects().len(), ..Page::default() };
    let types = ATTRIBUTES.map(|oid| reply.table.attribute_type(&oid));
    // A table without the prefix belongs to a reply without the attribute.
    let [Some(unicode_pwd), pwd_last_set] = types else { return page };
    for object in reply.objects() {
        let Some(name) = object.name() else { continue };
        let guid = name.guid();
        let value = object.attribute(unicode_pwd).and_then(|found| found.values.first().copied());
        match (value, anchor_of(&guid)) {
            (Some(value), Some(anchor)) => {
                match seal(&object, name, anchor, value, pwd_last_set, now) {
                    Ok(sealed) => page.sealed.push(sealed),
                    Err(fault) => page.faulty.push((guid, Faulty::new(name.name(), &fault))),
                }
            }
            (Some(_), None) => page.unopened.push(guid),
            (None, Some(_)) => page.without_password.push(guid),
            (None, None) => {}
        }
    }
    page
}

fn seal(
    object: &Object<'_, '_>,
    name: &ObjectName<'_>,
    anchor: SourceAnchor,
    value: &[u8],
    pwd_last_set: Option<AttributeType>,
    now: OffsetDateTime,
) -> Result<Sealed, Fault> {
    let sid = name.sid().map_err(|_| Fault::Sid)?.ok_or(Fault::NoSid)?;
    let set = pwd_last_set
        .and_then(|attribute| object.attribute(attribute)?.values.first().copied())
        .map_or(Some(now), |octets| set_at(octets, now));
    let changed_at = set.and_then(|at| at.format(&Rfc3339).ok()).ok_or(Fault::PasswordTime)?;
    let (guid, dn, rid) = (name.guid(), name.name(), sid.rid());
    Ok(Sealed { guid, dn, anchor, rid, value: value.to_vec(), changed_at })
}

/// The time in a value of pwdLastSet; 0 says that the password must be changed, not when it was.
fn set_at(octets: &[u8], now: OffsetDateTime) -> Option<OffsetDateTime> {
    match i64::from_le_bytes(octets.try_into().ok()?) {
        0 | -1 => Some(now),
        ..-1 => None,
        intervals => portolan_sync::from_filetime(intervals),
    }
}

/// Opens password hashes under the session key and derives their credentials. It computes for long
/// (a thousand iterations each), so it belongs on a thread that may block.
pub(crate) fn derive(
    sealed: Vec<Sealed>,
    session_key: &[u8],
    rng: &mut dyn Entropy,
) -> Vec<Result<Credential, (Guid, Faulty)>> {
    let derived = sealed.into_iter().map(|Sealed { guid, dn, anchor, rid, value, changed_at }| {
        let hash = secret::nt_hash(session_key, &value, rid)
            .map_err(|error| (guid, Faulty::new(dn, &Fault::Secret(error))))?;
        let mut salt = [0; _];
        rng.fill(&mut salt);
        let credential = CredentialData::derive(&hash, salt);
        drop(hash);
        let credential = SecretText(credential.to_text());
        let operation =
            Operation::Credential { anchor: anchor.to_string(), credential, changed_at };
        Ok(Credential { guid, operation })
    });
    derived.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A captured reply with one user, alice, and its session key.
    const REPLY: &[u8] = include_bytes!("../../../../rpc/tests/golden/get_nc_changes-reply.bin");
    const SESSION_KEY: &[u8] =
        include_bytes!("../../../../rpc/tests/golden/get_nc_changes-session-key.bin");
    const OF_THREE: &[u8] =
        include_bytes!("../../../../rpc/tests/golden/get_nc_changes-reply-three.bin");
    /// Where the octets of alice's unicodePwd begin.
    const HASH_AT: usize = 4_252;
    const ALICE: &str = "b8559f48-ccf2-44f0-a046-e41d072e2989";

    /// Gives zeros.
    struct Zeros;

    impl Entropy for Zeros {
        fn fill(&mut self, out: &mut [u8]) {
            out.fill(0);
        }
    }

    fn everyone(guid: &Guid) -> Option<SourceAnchor> {
        Some(SourceAnchor::from(*guid))
    }

    fn page(octets: &[u8], anchor_of: impl Fn(&Guid) -> Option<SourceAnchor>) -> Page {
        let reply = Reply::decode(octets).unwrap().unwrap();
        select(&reply, anchor_of, OffsetDateTime::UNIX_EPOCH)
    }

    /// What is wrong with alice in a reply that was changed by `change`.
    fn check(change: impl FnOnce(&mut Vec<u8>), expected: &str) {
        let mut octets = REPLY.to_vec();
        change(&mut octets);
        let mut page = page(&octets, everyone);
        let derived = derive(std::mem::take(&mut page.sealed), SESSION_KEY, &mut Zeros);
        let late = derived.into_iter().filter_map(Result::err);
        let faulty: Vec<_> = page.faulty.into_iter().chain(late).collect();
        let [(guid, faulty)] = faulty.as_slice() else { panic!("one object: {faulty:?}") };
        assert_eq!(guid.to_string(), ALICE);
        assert_eq!(faulty.object, "CN=alice,CN=Users,DC=corp,DC=example");
        assert_eq!(faulty.why, expected);
    }

    /// Where the object's name stands: the last of the two, after the request's.
    fn name_at(octets: &[u8]) -> usize {
        let guid: Guid = ALICE.parse().unwrap();
        let guid = guid.to_bytes_le();
        octets.windows(16).rposition(|window| window == guid).unwrap()
    }

    /// Where the octets of pwdLastSet begin: behind its length, in the reply of alice.
    fn pwd_last_set_at() -> usize {
        let reply = Reply::decode(REPLY).unwrap().unwrap();
        let attribute = reply.table.attribute_type(&Oid::PWD_LAST_SET).unwrap();
        let alice = reply.objects().next().unwrap();
        let value = alice.attribute(attribute).unwrap().values[0];
        value.as_ptr() as usize - REPLY.as_ptr() as usize
    }

    #[test]
    fn a_password_of_a_user_in_scope_becomes_the_credential_of_the_password() {
        let mut page = page(REPLY, everyone);
        assert_eq!((page.objects, page.sealed.len(), page.faulty.len()), (1, 1, 0));
        let derived = derive(std::mem::take(&mut page.sealed), SESSION_KEY, &mut Zeros);
        let Some(Ok(Credential { operation: Operation::Credential { credential, .. }, .. })) =
            derived.into_iter().next()
        else {
            panic!("a credential")
        };
        let hash = portolan_legacy_crypto::NtHash::from_password("Al1ce-Pass!");
        let expected = CredentialData::derive(&hash, [0; 10]);
        assert_eq!(credential.0.expose(), expected.to_text().expose());
    }

    #[test]
    fn only_a_user_in_scope_is_opened_and_the_others_are_counted() {
        let nobody = |_: &Guid| None;
        let page_of_none = page(REPLY, nobody);
        assert_eq!((page_of_none.sealed.len(), page_of_none.unopened.len()), (0, 1));
        let of_three = page(OF_THREE, everyone);
        assert_eq!(of_three.objects, 3);
        assert_eq!(of_three.without_password.len(), 2, "the hash of the second was removed");
        assert!(page(OF_THREE, nobody).sealed.is_empty());
    }

    #[test]
    fn what_is_wrong_with_one_object_is_told_of_that_object() {
        check(
            |octets| octets[HASH_AT + 20] ^= 1,
            "the value of a secret attribute could not be opened: the checksum of an encrypted value does not match",
        );
        check(
            |octets| {
                let at = name_at(octets);
                octets[at - 4..at].fill(0);
            },
            "the domain controller sent its password hash without its SID",
        );
        check(
            |octets| {
                let at = pwd_last_set_at();
                octets[at..at + 8].copy_from_slice(&i64::MAX.to_le_bytes());
            },
            "its pwdLastSet is no point in time",
        );
        check(
            |octets| {
                let at = pwd_last_set_at();
                octets[at..at + 8].copy_from_slice(&(-2i64).to_le_bytes());
            },
            "its pwdLastSet is no point in time",
        );
    }

    #[test]
    fn a_reply_whose_structure_is_broken_is_no_reply() {
        assert!(Reply::decode(&REPLY[..REPLY.len() - 5]).is_err());
    }
}
