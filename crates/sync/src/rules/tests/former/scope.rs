//! Which objects were synchronised.

use super::FormerObject;
use crate::forest::ObjectKind;

/// Members above which a group was left out.
pub(in super::super) const GROUP_MEMBERS_MAX: usize = 250_000;

/// `sAMAccountType` of a normal user ([MS-SAMR] 2.2.1.9, SAM_USER_OBJECT).
const SAM_USER_OBJECT: i64 = 0x3000_0000;

/// `msExchRecipientTypeDetails` bits of Exchange's own mailboxes.
const EXCHANGE_SYSTEM_MAILBOXES: i64 = 0x21C0_7000;

/// `msExchRecipientTypeDetails` bit of Exchange's role groups.
const EXCHANGE_ROLE_GROUP: i64 = 0x4000_0000;

/// `groupType` bit of a security group ([MS-ADTS] 2.2.12, GROUP_TYPE_SECURITY_ENABLED).
pub(super) const SECURITY_ENABLED: i64 = 0x8000_0000;

/// The group of an earlier synchronisation service.
const LEGACY_GROUP: &str = "MSOL_AD_Sync_RichCoexistence";
/// The vendor's help account of old Windows releases.
const SUPPORT_ACCOUNT: &str = "SUPPORT_388945a0";

/// Account names that mark the service accounts of synchronisation itself.
const SERVICE_ACCOUNT_PREFIXES: [&str; 2] = ["AAD_", "MSOL_"];

/// The relative identifier of the account whose keys are the domain's ([MS-DTYP] 2.4.2.4, KRBTGT).
const KRBTGT_RID: u32 = 502;
/// Its name, and what the names of those of read-only controllers begin with.
const KRBTGT: &str = "krbtgt";
const KRBTGT_READ_ONLY_PREFIX: &str = "krbtgt_";

/// Whether an object was synchronised.
pub(in super::super) fn is_in(object: &FormerObject) -> bool {
    let kind = object.kind;
    if !kind.is_person() && !matches!(kind, ObjectKind::Group | ObjectKind::Contact) {
        return false;
    }
    if object.is_true("isCriticalSystemObject") || object.dn.as_str().contains("\\0ACNF:") {
        return false;
    }
    if kind == ObjectKind::Contact {
        return is_contact_in(object);
    }
    match object.text("sAMAccountName") {
        None => false,
        Some(account) if kind.is_person() => is_person_in(object, account),
        Some(account) => is_group_in(object, account),
    }
}

fn is_group_in(object: &FormerObject, account: &str) -> bool {
    let details = object.number("msExchRecipientTypeDetails").unwrap_or_default();
    let security = object.number("groupType").is_none_or(|kind| kind & SECURITY_ENABLED != 0);
    object.members.len() <= GROUP_MEMBERS_MAX
        && account != LEGACY_GROUP
        && details & EXCHANGE_ROLE_GROUP == 0
        && (security || has_mail_address(object))
}

fn is_contact_in(object: &FormerObject) -> bool {
    let hidden = object.is_true("msExchHideFromAddressLists");
    let made = hidden && object.text("displayName").is_some_and(|name| name.contains("(MSOL)"));
    !made
        && !is_exchange_system_name(object.text("mailNickname"))
        && object.text("mail").is_some()
        && has_mail_address(object)
}

/// Whether there are proxy addresses, and a primary address is among them or is the mail attribute.
fn has_mail_address(object: &FormerObject) -> bool {
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

fn is_person_in(object: &FormerObject, account: &str) -> bool {
    let exchange = is_exchange_system_name(object.text("mailNickname"))
        || is_exchange_system_name(Some(account).filter(|name| name.starts_with("CAS_")))
        || account == SUPPORT_ACCOUNT;
    let details = object.number("msExchRecipientTypeDetails").unwrap_or_default();
    !is_krbtgt(object, account)
        && !SERVICE_ACCOUNT_PREFIXES.iter().any(|prefix| account.starts_with(prefix))
        && !exchange
        && details & EXCHANGE_SYSTEM_MAILBOXES == 0
        && object.values("msExchMasterAccountSID").is_empty()
        && object.number("sAMAccountType") == Some(SAM_USER_OBJECT)
}

fn is_krbtgt(object: &FormerObject, account: &str) -> bool {
    let account = account.to_ascii_lowercase();
    account == KRBTGT
        || account.starts_with(KRBTGT_READ_ONLY_PREFIX)
        || object.sid().is_some_and(|sid| sid.rid() == KRBTGT_RID)
}
