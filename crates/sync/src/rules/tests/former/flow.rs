//! Which attributes an object got in the tenant.

use std::collections::BTreeMap;

use portolan_model::{DnsName, Upn};

use super::FormerObject;
use super::scope::SECURITY_ENABLED;
use crate::filetime::{from_filetime, rfc3339};
use crate::forest::ObjectKind;
use crate::kind::TenantKind;

/// `userAccountControl` bits ([MS-ADTS] 2.2.16).
const ACCOUNT_DISABLE: i64 = 0x0000_0002;
const DONT_EXPIRE_PASSWORD: i64 = 0x0001_0000;
const SMARTCARD_REQUIRED: i64 = 0x0004_0000;
/// `accountExpires` values that mean never ([MS-ADA1] 2.3).
const NEVER_EXPIRES: [i64; 2] = [0, i64::MAX];

/// The value of an attribute in the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Value {
    /// A text.
    Text(String),
    /// Several texts, in a fixed order.
    Texts(Vec<String>),
    /// A truth value.
    Boolean(bool),
}

/// The domains that the flows depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Domains {
    /// The forest's, for users without a UPN.
    pub(in super::super) forest: DnsName,
    /// The tenant's own, for users whose suffix it has not verified.
    pub(in super::super) initial: DnsName,
    /// Those that the tenant has verified, its own among them.
    pub(in super::super) verified: Vec<DnsName>,
}

/// A person's attributes that flow as they are: the forest's name and Graph's.
const PERSON_TEXTS: &[(&str, &str)] = &[
    ("givenName", "givenName"),
    ("sn", "surname"),
    ("title", "jobTitle"),
    ("department", "department"),
    ("company", "companyName"),
    ("mail", "mail"),
    ("mailNickname", "mailNickname"),
    ("mobile", "mobilePhone"),
    ("facsimileTelephoneNumber", "faxNumber"),
    ("physicalDeliveryOfficeName", "officeLocation"),
    ("streetAddress", "streetAddress"),
    ("l", "city"),
    ("st", "state"),
    ("postalCode", "postalCode"),
    ("co", "country"),
    ("c", "usageLocation"),
    ("preferredLanguage", "preferredLanguage"),
    ("employeeID", "employeeId"),
    ("extensionAttribute1", "extensionAttribute1"),
    ("extensionAttribute2", "extensionAttribute2"),
    ("extensionAttribute3", "extensionAttribute3"),
    ("extensionAttribute4", "extensionAttribute4"),
    ("extensionAttribute5", "extensionAttribute5"),
    ("extensionAttribute6", "extensionAttribute6"),
    ("extensionAttribute7", "extensionAttribute7"),
    ("extensionAttribute8", "extensionAttribute8"),
    ("extensionAttribute9", "extensionAttribute9"),
    ("extensionAttribute10", "extensionAttribute10"),
    ("extensionAttribute11", "extensionAttribute11"),
    ("extensionAttribute12", "extensionAttribute12"),
    ("extensionAttribute13", "extensionAttribute13"),
    ("extensionAttribute14", "extensionAttribute14"),
    ("extensionAttribute15", "extensionAttribute15"),
    ("sAMAccountName", "onPremisesSamAccountName"),
    ("userPrincipalName", "onPremisesUserPrincipalName"),
];

/// A contact's attributes that flow as they are.
const CONTACT_TEXTS: &[(&str, &str)] = &[
    ("givenName", "givenName"),
    ("sn", "surname"),
    ("title", "jobTitle"),
    ("department", "department"),
    ("company", "companyName"),
    ("mail", "mail"),
    ("mailNickname", "mailNickname"),
    ("mobile", "mobilePhone"),
    ("facsimileTelephoneNumber", "faxNumber"),
    ("physicalDeliveryOfficeName", "officeLocation"),
    ("streetAddress", "streetAddress"),
    ("l", "city"),
    ("st", "state"),
    ("postalCode", "postalCode"),
    ("co", "country"),
];

/// A group's attributes that flow as they are.
const GROUP_TEXTS: &[(&str, &str)] = &[
    ("description", "description"),
    ("mail", "mail"),
    ("mailNickname", "mailNickname"),
    ("sAMAccountName", "onPremisesSamAccountName"),
];

/// The object that the tenant held for one that was synchronised.
pub(in super::super) fn project(
    object: &FormerObject,
    domains: &Domains,
) -> (TenantKind, Attributes) {
    let mut attributes = BTreeMap::new();
    let kind = match object.kind {
        ObjectKind::User | ObjectKind::InetOrgPerson => {
            person(object, domains, &mut attributes);
            TenantKind::User
        }
        ObjectKind::Contact => {
            contact(object, &mut attributes);
            TenantKind::Contact
        }
        _ => {
            group(object, &mut attributes);
            TenantKind::Group
        }
    };
    on_premises(object, domains, &mut attributes);
    (kind, attributes)
}

pub(in super::super) type Attributes = BTreeMap<&'static str, Value>;

fn copy_texts(object: &FormerObject, table: &[(&str, &'static str)], attributes: &mut Attributes) {
    for (from, to) in table {
        if let Some(text) = object.text(from) {
            attributes.insert(to, Value::Text(text.to_owned()));
        }
    }
}

fn person(object: &FormerObject, domains: &Domains, attributes: &mut Attributes) {
    copy_texts(object, PERSON_TEXTS, attributes);
    display_name(object, attributes);
    business_phones(object, attributes);
    account_state(object, attributes);
    attributes.insert("onPremisesDistinguishedName", Value::Text(object.dn.to_string()));
    let name = Value::Text(user_principal_name(object, domains));
    attributes.insert("userPrincipalName", name);
}

/// The state of the account, from which the tenant decides whether it may sign in.
fn account_state(object: &FormerObject, attributes: &mut Attributes) {
    let control = object.number("userAccountControl").unwrap_or(ACCOUNT_DISABLE);
    attributes.insert("accountEnabled", Value::Boolean(control & ACCOUNT_DISABLE == 0));
    if control & SMARTCARD_REQUIRED != 0 {
        attributes.insert("onPremisesSmartCardRequired", Value::Boolean(true));
    }
    let expires = object.number("accountExpires").filter(|at| !NEVER_EXPIRES.contains(at));
    if let Some(at) = expires.and_then(from_filetime).and_then(rfc3339) {
        attributes.insert("onPremisesAccountExpiresDateTime", Value::Text(at));
    }
    if control & DONT_EXPIRE_PASSWORD != 0 {
        let never = Value::Text("DisablePasswordExpiration".to_owned());
        attributes.insert("passwordPolicies", never);
    }
    if object.number("pwdLastSet") == Some(0) {
        attributes.insert("onPremisesPasswordChangeRequired", Value::Boolean(true));
    }
}

fn contact(object: &FormerObject, attributes: &mut Attributes) {
    copy_texts(object, CONTACT_TEXTS, attributes);
    display_name(object, attributes);
    business_phones(object, attributes);
}

fn business_phones(object: &FormerObject, attributes: &mut Attributes) {
    let phones: Vec<_> = object.texts("telephoneNumber").map(str::to_owned).collect();
    if !phones.is_empty() {
        attributes.insert("businessPhones", Value::Texts(phones));
    }
}

fn group(object: &FormerObject, attributes: &mut Attributes) {
    copy_texts(object, GROUP_TEXTS, attributes);
    display_name(object, attributes);
    let security = object.number("groupType").unwrap_or_default() & SECURITY_ENABLED != 0;
    attributes.insert("securityEnabled", Value::Boolean(security));
    attributes.insert("mailEnabled", Value::Boolean(object.text("mail").is_some()));
}

fn display_name(object: &FormerObject, attributes: &mut Attributes) {
    let name = ["displayName", "name", "sAMAccountName"].iter().find_map(|name| object.text(name));
    if let Some(name) = name {
        attributes.insert("displayName", Value::Text(name.to_owned()));
    }
}

fn on_premises(object: &FormerObject, domains: &Domains, attributes: &mut Attributes) {
    let mut addresses: Vec<_> = object.texts("proxyAddresses").map(str::to_owned).collect();
    if !addresses.is_empty() {
        addresses.sort_unstable();
        attributes.insert("proxyAddresses", Value::Texts(addresses));
    }
    if let Some(sid) = object.sid() {
        attributes.insert("onPremisesSecurityIdentifier", Value::Text(sid.to_string()));
    }
    let domain = domains.forest.to_string();
    attributes.insert("onPremisesDomainName", Value::Text(domain));
}

/// The UPN in the tenant: the forest's when its suffix is verified; without one
/// `sAMAccountName@domain`; otherwise the local part at the tenant's initial domain.
fn user_principal_name(object: &FormerObject, domains: &Domains) -> String {
    let account = object.text("sAMAccountName").unwrap_or_default();
    let in_forest = object
        .text("userPrincipalName")
        .map_or_else(|| format!("{account}@{}", domains.forest), str::to_owned);
    match in_forest.parse::<Upn>() {
        Ok(upn) if domains.verified.contains(upn.domain()) => upn.to_string(),
        Ok(upn) => format!("{}@{}", upn.local(), domains.initial),
        Err(_) => format!("{account}@{}", domains.initial),
    }
}
