//! Which objects of the forest are synchronised: the default scoping rules.

use std::fmt;

use crate::forest::{ForestObject, ObjectKind};

/// Members above which a group is left out, as in Entra Connect.
pub const GROUP_MEMBERS_MAX: usize = 250_000;

/// `sAMAccountType` of a normal user ([MS-SAMR] 2.2.1.9, SAM_USER_OBJECT).
///
/// [MS-SAMR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-samr
pub const SAM_USER_OBJECT: i64 = 0x3000_0000;

/// `msExchRecipientTypeDetails` bits of Exchange's own mailboxes.
const EXCHANGE_SYSTEM_MAILBOXES: i64 = 0x21C0_7000;

/// Account names that mark the service accounts of synchronisation itself.
const SERVICE_ACCOUNT_PREFIXES: [&str; 2] = ["AAD_", "MSOL_"];

/// The relative identifier of the account whose keys are the domain's ([MS-DTYP] 2.4.2.4, KRBTGT).
///
/// [MS-DTYP]: https://learn.microsoft.com/openspecs/windows_protocols/ms-dtyp
const KRBTGT_RID: u32 = 502;
/// Its name, and what the names of those of read-only controllers begin with.
const KRBTGT: &str = "krbtgt";
const KRBTGT_READ_ONLY_PREFIX: &str = "krbtgt_";

/// Why an object is not synchronised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OutOfScope {
    /// A place, which the tenant does not have.
    OrganizationalUnit,
    /// `isCriticalSystemObject` is TRUE: the directory's own.
    CriticalSystemObject,
    /// `krbtgt`, or that of a read-only controller: their keys are the domain's. They are critical
    /// system objects as well, but an account that may not read that attribute does not see it.
    KeyDistributionCentre,
    /// A user or group without `sAMAccountName`.
    NoAccountName,
    /// An account of a synchronisation service (`AAD_`, `MSOL_`).
    SynchronisationAccount,
    /// A mailbox of Exchange itself.
    ExchangeSystemMailbox,
    /// The losing copy of a replication conflict (`\0ACNF:` in its name).
    ReplicationConflict,
    /// A linked mailbox, whose person lives in another forest.
    LinkedMailbox,
    /// A user object that is no normal user account, such as a trust.
    NoNormalUser,
    /// A group of more than 250,000 members.
    GroupTooLarge,
}

impl fmt::Display for OutOfScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OrganizationalUnit => "organizational units are places, not exported",
            Self::CriticalSystemObject => "isCriticalSystemObject is TRUE",
            Self::KeyDistributionCentre => "krbtgt, whose keys are the domain's",
            Self::NoAccountName => "no sAMAccountName",
            Self::SynchronisationAccount => "an account of a synchronisation service",
            Self::ExchangeSystemMailbox => "a mailbox of Exchange itself",
            Self::ReplicationConflict => "the losing copy of a replication conflict",
            Self::LinkedMailbox => "a linked mailbox of an account in another forest",
            Self::NoNormalUser => "sAMAccountType is not that of a normal user",
            Self::GroupTooLarge => "a group of more than 250,000 members",
        })
    }
}

/// Whether an object is synchronised.
///
/// # Errors
/// The first rule that leaves it out.
pub fn check(object: &ForestObject) -> Result<(), OutOfScope> {
    if object.kind == ObjectKind::OrganizationalUnit {
        return Err(OutOfScope::OrganizationalUnit);
    }
    if object.is_true("isCriticalSystemObject") {
        return Err(OutOfScope::CriticalSystemObject);
    }
    if object.dn.as_str().contains("\\0ACNF:") {
        return Err(OutOfScope::ReplicationConflict);
    }
    let Some(account) = object.text("sAMAccountName") else {
        return Err(OutOfScope::NoAccountName);
    };
    if object.kind.is_person() {
        return check_person(object, account);
    }
    if object.members.len() > GROUP_MEMBERS_MAX {
        return Err(OutOfScope::GroupTooLarge);
    }
    Ok(())
}

fn check_person(object: &ForestObject, account: &str) -> Result<(), OutOfScope> {
    if is_krbtgt(object, account) {
        return Err(OutOfScope::KeyDistributionCentre);
    }
    if SERVICE_ACCOUNT_PREFIXES.iter().any(|prefix| account.starts_with(prefix)) {
        return Err(OutOfScope::SynchronisationAccount);
    }
    let details = object.number("msExchRecipientTypeDetails").unwrap_or_default();
    if details & EXCHANGE_SYSTEM_MAILBOXES != 0 {
        return Err(OutOfScope::ExchangeSystemMailbox);
    }
    if !object.values("msExchMasterAccountSID").is_empty() {
        return Err(OutOfScope::LinkedMailbox);
    }
    if object.number("sAMAccountType") != Some(SAM_USER_OBJECT) {
        return Err(OutOfScope::NoNormalUser);
    }
    Ok(())
}

fn is_krbtgt(object: &ForestObject, account: &str) -> bool {
    let account = account.to_ascii_lowercase();
    account == KRBTGT
        || account.starts_with(KRBTGT_READ_ONLY_PREFIX)
        || object.sid().is_some_and(|sid| sid.rid() == KRBTGT_RID)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A forest object for tests of this crate.
    pub(crate) fn object(kind: &str, dn: &str, attributes: &[(&str, &str)]) -> ForestObject {
        let mut guid = [0; 16];
        for (at, octet) in dn.bytes().enumerate() {
            guid[at % 16] ^= octet.rotate_left(u32::try_from(at / 16).unwrap());
        }
        let base = [
            ("objectClass".to_owned(), vec![kind.as_bytes().to_vec()]),
            ("objectGUID".to_owned(), vec![guid.to_vec()]),
        ];
        let mut all: std::collections::BTreeMap<String, Vec<Vec<u8>>> = base.into();
        for (name, value) in attributes {
            all.entry((*name).to_owned()).or_default().push(value.as_bytes().to_vec());
        }
        ForestObject::from_entry(dn, Vec::new(), all).unwrap().unwrap()
    }

    #[test]
    fn each_rule_leaves_its_object_out() {
        let user = ("sAMAccountType", "805306368");
        let cases: [(&str, &str, &[(&str, &str)], Result<(), OutOfScope>); 11] = [
            ("user", "CN=a,DC=x", &[("sAMAccountName", "a"), user], Ok(())),
            ("group", "CN=g,DC=x", &[("sAMAccountName", "g")], Ok(())),
            ("organizationalUnit", "OU=o,DC=x", &[], Err(OutOfScope::OrganizationalUnit)),
            (
                "user",
                "CN=k,DC=x",
                &[("sAMAccountName", "krbtgt"), user, ("isCriticalSystemObject", "TRUE")],
                Err(OutOfScope::CriticalSystemObject),
            ),
            (
                "user",
                "CN=hidden,DC=x",
                &[("sAMAccountName", "KRBTGT"), user],
                Err(OutOfScope::KeyDistributionCentre),
            ),
            (
                "user",
                "CN=read-only,DC=x",
                &[("sAMAccountName", "krbtgt_4711"), user],
                Err(OutOfScope::KeyDistributionCentre),
            ),
            ("user", "CN=n,DC=x", &[user], Err(OutOfScope::NoAccountName)),
            (
                "user",
                "CN=m,DC=x",
                &[("sAMAccountName", "MSOL_1"), user],
                Err(OutOfScope::SynchronisationAccount),
            ),
            (
                "user",
                "CN=a\\0ACNF:6a20fa50,DC=x",
                &[("sAMAccountName", "a"), user],
                Err(OutOfScope::ReplicationConflict),
            ),
            (
                "user",
                "CN=t,DC=x",
                &[("sAMAccountName", "t"), ("sAMAccountType", "805306370")],
                Err(OutOfScope::NoNormalUser),
            ),
            (
                "user",
                "CN=e,DC=x",
                &[("sAMAccountName", "e"), user, ("msExchRecipientTypeDetails", "4096")],
                Err(OutOfScope::ExchangeSystemMailbox),
            ),
        ];
        for (kind, dn, attributes, expected) in cases {
            assert_eq!(check(&object(kind, dn, attributes)), expected, "{dn}");
        }
    }

    #[test]
    fn krbtgt_is_told_by_its_identifier_whatever_it_is_called() {
        let sid = [1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0];
        let verdict = |rid: u32, expected| {
            let text = |name: &str, value: &str| (name.to_owned(), vec![value.as_bytes().to_vec()]);
            let attributes = [
                text("objectClass", "user"),
                text("sAMAccountName", "renamed"),
                text("sAMAccountType", "805306368"),
                ("objectGUID".to_owned(), vec![vec![7; 16]]),
                ("objectSid".to_owned(), vec![[&sid[..], &rid.to_le_bytes()].concat()]),
            ];
            let object = ForestObject::from_entry("CN=r,DC=x", Vec::new(), attributes);
            assert_eq!(check(&object.unwrap().unwrap()), expected, "{rid}");
        };
        verdict(KRBTGT_RID, Err(OutOfScope::KeyDistributionCentre));
        verdict(1_103, Ok(()));
    }
}
