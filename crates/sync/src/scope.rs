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

/// `msExchRecipientTypeDetails` bit of Exchange's role groups.
const EXCHANGE_ROLE_GROUP: i64 = 0x4000_0000;

/// `groupType` bit of a security group ([MS-ADTS] 2.2.12, GROUP_TYPE_SECURITY_ENABLED).
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
pub(crate) const SECURITY_ENABLED: i64 = 0x8000_0000;

/// The group of an earlier synchronisation service.
const LEGACY_GROUP: &str = "MSOL_AD_Sync_RichCoexistence";
/// The vendor's help account of old Windows releases.
const SUPPORT_ACCOUNT: &str = "SUPPORT_388945a0";

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
    /// An organizational unit or container: a place, which the tenant does not have.
    Place,
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
    /// A contact or distribution group without a mail address that mail could be sent to.
    NoMailAddress,
    /// A role group of Exchange, or the group of an earlier synchronisation service.
    ServiceGroup,
    /// A contact that a synchronisation service made, hidden from address lists.
    SynchronisationContact,
}

impl fmt::Display for OutOfScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Place => "organizational units and containers are places, not exported",
            Self::CriticalSystemObject => "isCriticalSystemObject is TRUE",
            Self::KeyDistributionCentre => "krbtgt, whose keys are the domain's",
            Self::NoAccountName => "no sAMAccountName",
            Self::SynchronisationAccount => "an account of a synchronisation service",
            Self::ExchangeSystemMailbox => "a mailbox of Exchange itself",
            Self::ReplicationConflict => "the losing copy of a replication conflict",
            Self::LinkedMailbox => "a linked mailbox of an account in another forest",
            Self::NoNormalUser => "sAMAccountType is not that of a normal user",
            Self::GroupTooLarge => "a group of more than 250,000 members",
            Self::NoMailAddress => "a contact or distribution group without a mail address",
            Self::ServiceGroup => "a role group of Exchange or a synchronisation service",
            Self::SynchronisationContact => "a contact made by a synchronisation service",
        })
    }
}

/// Whether an object is synchronised.
///
/// # Errors
/// The first rule that leaves it out.
pub fn check(object: &ForestObject) -> Result<(), OutOfScope> {
    let kind = object.kind;
    if !kind.is_person() && !matches!(kind, ObjectKind::Group | ObjectKind::Contact) {
        return Err(OutOfScope::Place);
    }
    if object.is_true("isCriticalSystemObject") {
        return Err(OutOfScope::CriticalSystemObject);
    }
    if object.dn.as_str().contains("\\0ACNF:") {
        return Err(OutOfScope::ReplicationConflict);
    }
    if object.kind == ObjectKind::Contact {
        return check_contact(object);
    }
    let Some(account) = object.text("sAMAccountName") else {
        return Err(OutOfScope::NoAccountName);
    };
    if object.kind.is_person() {
        return check_person(object, account);
    }
    check_group(object, account)
}

fn check_group(object: &ForestObject, account: &str) -> Result<(), OutOfScope> {
    if object.members.len() > GROUP_MEMBERS_MAX {
        return Err(OutOfScope::GroupTooLarge);
    }
    let details = object.number("msExchRecipientTypeDetails").unwrap_or_default();
    if account == LEGACY_GROUP || details & EXCHANGE_ROLE_GROUP != 0 {
        return Err(OutOfScope::ServiceGroup);
    }
    let security = object.number("groupType").is_none_or(|kind| kind & SECURITY_ENABLED != 0);
    if !security && !has_mail_address(object) {
        return Err(OutOfScope::NoMailAddress);
    }
    Ok(())
}

fn check_contact(object: &ForestObject) -> Result<(), OutOfScope> {
    let hidden = object.is_true("msExchHideFromAddressLists");
    if hidden && object.text("displayName").is_some_and(|name| name.contains("(MSOL)")) {
        return Err(OutOfScope::SynchronisationContact);
    }
    if is_exchange_system_name(object.text("mailNickname")) {
        return Err(OutOfScope::ExchangeSystemMailbox);
    }
    if object.text("mail").is_none() || !has_mail_address(object) {
        return Err(OutOfScope::NoMailAddress);
    }
    Ok(())
}

/// Whether there are proxy addresses, and a primary address is among them or is the mail attribute.
fn has_mail_address(object: &ForestObject) -> bool {
    let primary = |address: &str| address.starts_with("SMTP:") && address.contains('@');
    let proxied = object.texts("proxyAddresses").any(primary);
    let mail = object.text("mail").is_some_and(|mail| mail.contains('@'));
    !object.values("proxyAddresses").is_empty() && (proxied || mail)
}

/// Names that Exchange gives to what is its own.
fn is_exchange_system_name(name: Option<&str>) -> bool {
    name.is_some_and(|name| {
        name.starts_with("SystemMailbox{") || (name.starts_with("CAS_") && name.contains('}'))
    })
}

fn check_person(object: &ForestObject, account: &str) -> Result<(), OutOfScope> {
    if is_krbtgt(object, account) {
        return Err(OutOfScope::KeyDistributionCentre);
    }
    if SERVICE_ACCOUNT_PREFIXES.iter().any(|prefix| account.starts_with(prefix)) {
        return Err(OutOfScope::SynchronisationAccount);
    }
    let named = is_exchange_system_name(object.text("mailNickname"))
        || is_exchange_system_name(Some(account).filter(|name| name.starts_with("CAS_")));
    if named || account == SUPPORT_ACCOUNT {
        return Err(OutOfScope::ExchangeSystemMailbox);
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
            ("organizationalUnit", "OU=o,DC=x", &[], Err(OutOfScope::Place)),
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
    fn contacts_and_distribution_groups_need_an_address_and_what_is_exchanges_own_stays_out() {
        let user = ("sAMAccountType", "805306368");
        let proxied = ("proxyAddresses", "SMTP:c@x.example");
        let cases: [(&str, &str, &[(&str, &str)], Result<(), OutOfScope>); 8] = [
            ("contact", "CN=c,DC=x", &[("mail", "c@x.example"), proxied], Ok(())),
            ("contact", "CN=m,DC=x", &[("mail", "c@x.example")], Err(OutOfScope::NoMailAddress)),
            ("contact", "CN=p,DC=x", &[proxied], Err(OutOfScope::NoMailAddress)),
            (
                "contact",
                "CN=h,DC=x",
                &[
                    ("mail", "c@x.example"),
                    proxied,
                    ("msExchHideFromAddressLists", "TRUE"),
                    ("displayName", "c (MSOL)"),
                ],
                Err(OutOfScope::SynchronisationContact),
            ),
            (
                "group",
                "CN=d,DC=x",
                &[("sAMAccountName", "d"), ("groupType", "8")],
                Err(OutOfScope::NoMailAddress),
            ),
            (
                "group",
                "CN=dm,DC=x",
                &[("sAMAccountName", "d"), ("groupType", "8"), ("mail", "d@x"), proxied],
                Ok(()),
            ),
            (
                "group",
                "CN=r,DC=x",
                &[("sAMAccountName", "r"), ("msExchRecipientTypeDetails", "1073741824")],
                Err(OutOfScope::ServiceGroup),
            ),
            (
                "user",
                "CN=cas,DC=x",
                &[("sAMAccountName", "CAS_{1}"), user],
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
