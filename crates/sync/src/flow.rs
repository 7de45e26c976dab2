//! Attribute flows: what an object of the forest becomes in the tenant.
//!
//! The table below is those of the attributes that Entra Connect documents as synchronised by default
//! ("Attributes synchronized to Microsoft Entra ID") which Microsoft Graph shows, under Graph's names.

use std::collections::BTreeMap;
use std::fmt;

use portolan_model::{DnsName, SourceAnchor, Upn};

use crate::filetime::{from_filetime, rfc3339};
use crate::forest::{ForestObject, ObjectKind};
use crate::scope::SECURITY_ENABLED;
use crate::selection::Selection;

/// `userAccountControl` bits ([MS-ADTS] 2.2.16).
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
const ACCOUNT_DISABLE: i64 = 0x0000_0002;
const DONT_EXPIRE_PASSWORD: i64 = 0x0001_0000;
const SMARTCARD_REQUIRED: i64 = 0x0004_0000;
/// `accountExpires` values that mean never ([MS-ADA1] 2.3).
const NEVER_EXPIRES: [i64; 2] = [0, i64::MAX];

/// What an object is in the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TenantKind {
    /// A user.
    User,
    /// Somebody outside, who does not sign in.
    Contact,
    /// A group.
    Group,
    /// A device.
    Device,
}

impl TenantKind {
    /// Its name in the ingest.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Contact => "contact",
            Self::Group => "group",
            Self::Device => "device",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for TenantKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The value of an attribute in the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// Several texts, in a fixed order.
    Texts(Vec<String>),
    /// A truth value.
    Boolean(bool),
}

/// An object as the tenant should hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantObject {
    /// What identifies it.
    pub anchor: SourceAnchor,
    /// What it is.
    pub kind: TenantKind,
    /// Its attributes by Graph's names; an absent one has no value.
    pub attributes: BTreeMap<&'static str, Value>,
    /// A group's members that are in scope themselves, sorted.
    pub members: Vec<SourceAnchor>,
}

/// Something an administrator should know of an object that was synchronised all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// The object's UPN suffix is not a verified domain of the tenant.
    UnverifiedSuffix {
        /// The UPN in the forest.
        found: String,
        /// The UPN in the tenant.
        used: String,
    },
    /// The object's UPN cannot be one in the tenant.
    IllegalUpn {
        /// The UPN in the forest.
        found: String,
        /// The UPN in the tenant.
        used: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnverifiedSuffix { found, used } => {
                write!(
                    f,
                    "the suffix of {found} is not a verified domain of the tenant; {used} is used"
                )
            }
            Self::IllegalUpn { found, used } => {
                write!(f, "{found:?} is no user principal name; {used} is used")
            }
        }
    }
}

/// The domains that the flows depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domains {
    /// The forest's, for users without a UPN.
    pub forest: DnsName,
    /// The tenant's own, for users whose suffix it has not verified.
    pub initial: DnsName,
    /// Those that the tenant has verified, its own among them.
    pub verified: Vec<DnsName>,
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

/// Graph's names of the attributes that a flow computes.
const COMPUTED: &[&str] = &[
    "accountEnabled",
    "businessPhones",
    "displayName",
    "mailEnabled",
    "onPremisesAccountExpiresDateTime",
    "onPremisesDistinguishedName",
    "onPremisesDomainName",
    "onPremisesPasswordChangeRequired",
    "onPremisesSecurityIdentifier",
    "onPremisesSmartCardRequired",
    "passwordPolicies",
    "proxyAddresses",
    "securityEnabled",
    "userPrincipalName",
];

/// A kind's attributes that flow as they are: the forest's name and Graph's.
#[must_use]
pub const fn copied(kind: TenantKind) -> &'static [(&'static str, &'static str)] {
    match kind {
        TenantKind::User => PERSON_TEXTS,
        TenantKind::Contact => CONTACT_TEXTS,
        TenantKind::Group => GROUP_TEXTS,
        TenantKind::Device => &[],
    }
}

/// The name of an attribute that a flow can write, as the flows spell it; `None` for any other.
#[must_use]
pub fn attribute_name(name: &str) -> Option<&'static str> {
    let copied = PERSON_TEXTS.iter().chain(CONTACT_TEXTS).chain(GROUP_TEXTS).map(|(_, to)| *to);
    copied.chain(COMPUTED.iter().copied()).find(|known| *known == name)
}

/// The object that the tenant should hold for an object in scope.
#[must_use]
pub fn project(
    object: &ForestObject,
    anchor: SourceAnchor,
    domains: &Domains,
    selection: &Selection,
) -> (TenantObject, Option<Warning>) {
    let mut attributes = BTreeMap::new();
    let mut warning = None;
    let kind = match object.kind {
        ObjectKind::User | ObjectKind::InetOrgPerson => {
            warning = person(object, domains, &mut attributes);
            TenantKind::User
        }
        ObjectKind::Contact => {
            contact(object, &mut attributes);
            TenantKind::Contact
        }
        ObjectKind::Group
        | ObjectKind::Computer
        | ObjectKind::ForeignSecurityPrincipal
        | ObjectKind::OrganizationalUnit
        | ObjectKind::Container => {
            group(object, &mut attributes);
            TenantKind::Group
        }
    };
    on_premises(object, domains, &mut attributes);
    let mut members: Vec<_> =
        object.members.iter().filter_map(|guid| selection.anchor(guid)).collect();
    members.sort_unstable();
    members.dedup();
    (TenantObject { anchor, kind, attributes, members }, warning)
}

type Attributes = BTreeMap<&'static str, Value>;

fn copy_texts(object: &ForestObject, table: &[(&str, &'static str)], attributes: &mut Attributes) {
    for (from, to) in table {
        if let Some(text) = object.text(from) {
            attributes.insert(to, Value::Text(text.to_owned()));
        }
    }
}

fn person(
    object: &ForestObject,
    domains: &Domains,
    attributes: &mut Attributes,
) -> Option<Warning> {
    copy_texts(object, PERSON_TEXTS, attributes);
    display_name(object, attributes);
    business_phones(object, attributes);
    account_state(object, attributes);
    attributes.insert("onPremisesDistinguishedName", Value::Text(object.dn.to_string()));
    let (upn, warning) = user_principal_name(object, domains);
    attributes.insert("userPrincipalName", Value::Text(upn));
    warning
}

/// The state of the account, from which the tenant decides whether it may sign in.
fn account_state(object: &ForestObject, attributes: &mut Attributes) {
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

fn contact(object: &ForestObject, attributes: &mut Attributes) {
    copy_texts(object, CONTACT_TEXTS, attributes);
    display_name(object, attributes);
    business_phones(object, attributes);
}

fn business_phones(object: &ForestObject, attributes: &mut Attributes) {
    let phones: Vec<_> = object.texts("telephoneNumber").map(str::to_owned).collect();
    if !phones.is_empty() {
        attributes.insert("businessPhones", Value::Texts(phones));
    }
}

fn group(object: &ForestObject, attributes: &mut Attributes) {
    copy_texts(object, GROUP_TEXTS, attributes);
    display_name(object, attributes);
    let security = object.number("groupType").unwrap_or_default() & SECURITY_ENABLED != 0;
    attributes.insert("securityEnabled", Value::Boolean(security));
    attributes.insert("mailEnabled", Value::Boolean(object.text("mail").is_some()));
}

fn display_name(object: &ForestObject, attributes: &mut Attributes) {
    let name = ["displayName", "name", "sAMAccountName"].iter().find_map(|name| object.text(name));
    if let Some(name) = name {
        attributes.insert("displayName", Value::Text(name.to_owned()));
    }
}

fn on_premises(object: &ForestObject, domains: &Domains, attributes: &mut Attributes) {
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
fn user_principal_name(object: &ForestObject, domains: &Domains) -> (String, Option<Warning>) {
    let account = object.text("sAMAccountName").unwrap_or_default();
    let in_forest = object
        .text("userPrincipalName")
        .map_or_else(|| format!("{account}@{}", domains.forest), str::to_owned);
    match in_forest.parse::<Upn>() {
        Ok(upn) if domains.verified.contains(upn.domain()) => (upn.to_string(), None),
        Ok(upn) => {
            let used = format!("{}@{}", upn.local(), domains.initial);
            (used.clone(), Some(Warning::UnverifiedSuffix { found: in_forest, used }))
        }
        Err(_) => {
            let used = format!("{account}@{}", domains.initial);
            (used.clone(), Some(Warning::IllegalUpn { found: in_forest, used }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::tests::object;

    fn projected(object: &ForestObject) -> (TenantObject, Option<Warning>) {
        let [forest, initial]: [DnsName; 2] =
            ["corp.example", "cloud.example"].map(|name| name.parse().unwrap());
        let verified = vec![forest.clone(), initial.clone()];
        let domains = Domains { forest, initial, verified };
        project(object, object.guid.into(), &domains, &Selection::default())
    }

    fn text(object: &TenantObject, name: &str) -> Option<String> {
        match object.attributes.get(name) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    #[test]
    fn the_upn_follows_the_suffix_rules() {
        let cases: [(&[(&str, &str)], &str, bool); 4] = [
            (&[("userPrincipalName", "alice@corp.example")], "alice@corp.example", false),
            (&[], "a@corp.example", false),
            (&[("userPrincipalName", "x@unverified.example")], "x@cloud.example", true),
            (&[("userPrincipalName", "has space@corp.example")], "a@cloud.example", true),
        ];
        for (attributes, expected, warned) in cases {
            let mut all = vec![("sAMAccountName", "a")];
            all.extend(attributes);
            let (object, warning) = projected(&object("user", "CN=a,DC=corp,DC=example", &all));
            assert_eq!(text(&object, "userPrincipalName").as_deref(), Some(expected));
            assert_eq!(warning.is_some(), warned, "{expected}");
        }
    }

    #[test]
    fn the_account_state_flows_from_its_bits_and_times() {
        let check = |attributes: &[(&str, &str)], name: &str, expected: Option<Value>| {
            let (object, _) = projected(&object("user", "CN=a,DC=x", attributes));
            assert_eq!(object.attributes.get(name).cloned(), expected, "{attributes:?}");
        };
        check(&[("userAccountControl", "512")], "accountEnabled", Some(Value::Boolean(true)));
        check(&[("userAccountControl", "514")], "accountEnabled", Some(Value::Boolean(false)));
        check(&[], "accountEnabled", Some(Value::Boolean(false)));
        let expires = "onPremisesAccountExpiresDateTime";
        check(&[("accountExpires", "0")], expires, None);
        check(&[("accountExpires", "9223372036854775807")], expires, None);
        let epoch = Some(Value::Text("1970-01-01T00:00:00Z".to_owned()));
        check(&[("accountExpires", "116444736000000000")], expires, epoch);
        let yes = Some(Value::Boolean(true));
        check(&[("pwdLastSet", "0")], "onPremisesPasswordChangeRequired", yes.clone());
        check(&[("userAccountControl", "262656")], "onPremisesSmartCardRequired", yes);
        let never = Value::Text("DisablePasswordExpiration".to_owned());
        check(&[("userAccountControl", "66048")], "passwordPolicies", Some(never));
        check(&[("userAccountControl", "512")], "passwordPolicies", None);
    }

    #[test]
    fn every_attribute_that_a_flow_writes_is_known_by_its_name() {
        let all = [
            ("sAMAccountName", "a"),
            ("userAccountControl", "328192"),
            ("accountExpires", "116444736000000000"),
            ("pwdLastSet", "116444736000000000"),
            ("telephoneNumber", "1"),
            ("proxyAddresses", "SMTP:a@corp.example"),
        ];
        for kind in ["user", "contact", "group"] {
            let (object, _) = projected(&object(kind, "CN=a,DC=x", &all));
            for name in object.attributes.keys() {
                assert_eq!(attribute_name(name), Some(*name));
            }
        }
        assert_eq!(attribute_name("isAdmin"), None);
    }

    #[test]
    fn a_security_group_is_told_by_the_sign_bit_of_its_type() {
        let cases = [("-2147483646", true), ("2", false)];
        for (group_type, expected) in cases {
            let (object, _) =
                projected(&object("group", "CN=g,DC=x", &[("groupType", group_type)]));
            let found = object.attributes.get("securityEnabled");
            assert_eq!(found, Some(&Value::Boolean(expected)), "{group_type}");
        }
    }
}
