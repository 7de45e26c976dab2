//! The attributes of the metaverse and of a tenant that are known by name, and what their values are.

use super::{Declaration, Form, Syntax, Syntaxes};
use crate::kind::TenantKind;

/// Attributes of the metaverse that no forest has, or has otherwise.
const METAVERSE: &[(&str, Syntax, bool)] = &[
    ("accountEnabled", Syntax::Boolean, true),
    ("accountExpiresAt", Syntax::Time, true),
    ("accountName", Syntax::Text, true),
    ("accountSids", Syntax::Octets, false),
    ("cloudFiltered", Syntax::Boolean, true),
    ("deviceId", Syntax::Text, true),
    ("domainFQDN", Syntax::Text, true),
    ("mailEnabled", Syntax::Boolean, true),
    ("passwordChangeRequired", Syntax::Boolean, true),
    ("passwordPolicies", Syntax::Text, true),
    ("securityEnabled", Syntax::Boolean, true),
    ("smartCardRequired", Syntax::Boolean, true),
    ("sourceAnchor", Syntax::Text, true),
    ("sourceAnchorBinary", Syntax::Octets, true),
    ("sourceObjectType", Syntax::Text, true),
    ("thumbnailPhoto", Syntax::Octets, true),
];

/// What is known of an attribute of the metaverse: its own, then the forest's of that name.
#[must_use]
pub fn of_metaverse(name: &str, forest: &Syntaxes) -> Option<Declaration> {
    let own = METAVERSE.iter().find(|(own, ..)| own.eq_ignore_ascii_case(name));
    own.map(|(_, syntax, single)| Declaration { syntax: *syntax, single: *single })
        .or_else(|| forest.of(name))
}

const USER: &[TenantKind] = &[TenantKind::User];
const GROUP: &[TenantKind] = &[TenantKind::Group];
const DEVICE: &[TenantKind] = &[TenantKind::Device];
const PEOPLE: &[TenantKind] = &[TenantKind::User, TenantKind::Contact];
const USER_AND_GROUP: &[TenantKind] = &[TenantKind::User, TenantKind::Group];
const PEOPLE_AND_GROUP: &[TenantKind] = &[TenantKind::User, TenantKind::Contact, TenantKind::Group];

/// A tenant's attributes under Graph's names: of which kinds, what they hold, and whether one value.
const TENANT: &[(&str, &[TenantKind], Form, bool)] = &[
    ("accountEnabled", &[TenantKind::User, TenantKind::Device], Form::Boolean, true),
    ("businessPhones", PEOPLE, Form::Text, false),
    ("city", PEOPLE, Form::Text, true),
    ("companyName", PEOPLE, Form::Text, true),
    ("country", PEOPLE, Form::Text, true),
    ("department", PEOPLE, Form::Text, true),
    ("description", GROUP, Form::Text, true),
    ("deviceId", DEVICE, Form::Text, true),
    (
        "displayName",
        &[TenantKind::User, TenantKind::Contact, TenantKind::Group, TenantKind::Device],
        Form::Text,
        true,
    ),
    ("employeeId", USER, Form::Text, true),
    ("faxNumber", PEOPLE, Form::Text, true),
    ("givenName", PEOPLE, Form::Text, true),
    ("jobTitle", PEOPLE, Form::Text, true),
    ("mail", PEOPLE_AND_GROUP, Form::Text, true),
    ("mailEnabled", GROUP, Form::Boolean, true),
    ("mailNickname", PEOPLE_AND_GROUP, Form::Text, true),
    ("manager", PEOPLE, Form::Reference, true),
    ("members", GROUP, Form::Reference, false),
    ("mobilePhone", PEOPLE, Form::Text, true),
    ("officeLocation", PEOPLE, Form::Text, true),
    ("onPremisesAccountExpiresDateTime", USER, Form::Text, true),
    ("onPremisesDistinguishedName", USER, Form::Text, true),
    ("onPremisesDomainName", PEOPLE_AND_GROUP, Form::Text, true),
    ("onPremisesPasswordChangeRequired", USER, Form::Boolean, true),
    ("onPremisesSamAccountName", USER_AND_GROUP, Form::Text, true),
    ("onPremisesSecurityIdentifier", USER_AND_GROUP, Form::Text, true),
    ("onPremisesSmartCardRequired", USER, Form::Boolean, true),
    ("onPremisesUserPrincipalName", USER, Form::Text, true),
    ("operatingSystem", DEVICE, Form::Text, true),
    ("operatingSystemVersion", DEVICE, Form::Text, true),
    ("passwordPolicies", USER, Form::Text, true),
    ("postalCode", PEOPLE, Form::Text, true),
    ("preferredLanguage", USER, Form::Text, true),
    ("proxyAddresses", PEOPLE_AND_GROUP, Form::Text, false),
    ("securityEnabled", GROUP, Form::Boolean, true),
    ("state", PEOPLE, Form::Text, true),
    ("streetAddress", PEOPLE, Form::Text, true),
    ("surname", PEOPLE, Form::Text, true),
    ("thumbnailPhoto", USER, Form::Octets, true),
    ("trustType", DEVICE, Form::Text, true),
    ("usageLocation", USER, Form::Text, true),
    ("userPrincipalName", USER, Form::Text, true),
];

/// Whether objects of a kind of a tenant have an attribute.
#[must_use]
pub fn is_of_tenant(name: &str, kind: TenantKind) -> bool {
    is_extension(name) || of_tenant(name, kind).is_some()
}

/// Whether a name is that of a directory extension, as Graph names it. What its values are, and whether there are
/// several, is said where it is registered: in the tenant.
#[must_use]
pub fn is_extension(name: &str) -> bool {
    name.starts_with("extension_")
}

/// What is known of an attribute of a tenant's object; `None` if the kind has none of that name, and of a directory
/// extension.
#[must_use]
pub fn of_tenant(name: &str, kind: TenantKind) -> Option<(Form, bool)> {
    let extension = name.strip_prefix("extensionAttribute").and_then(|number| number.parse().ok());
    if kind == TenantKind::User && extension.is_some_and(|number: u8| (1..=15).contains(&number)) {
        return Some((Form::Text, true));
    }
    let row = TENANT
        .iter()
        .find(|(own, kinds, ..)| own.eq_ignore_ascii_case(name) && kinds.contains(&kind));
    row.map(|(.., form, single)| (*form, *single))
}

/// A name as the tenant spells it. A dictionary spells each name as it came first, and a forest's may
/// differ in case alone, as `employeeID` does.
#[must_use]
pub fn tenant_spelling(name: &str) -> &str {
    let row = TENANT.iter().find(|(own, ..)| own.eq_ignore_ascii_case(name));
    row.map_or(name, |(own, ..)| own)
}

/// The names of a kind's attributes, without the extensions.
pub fn tenant_names(kind: TenantKind) -> impl Iterator<Item = &'static str> {
    TENANT.iter().filter(move |(_, kinds, ..)| kinds.contains(&kind)).map(|(name, ..)| *name)
}
