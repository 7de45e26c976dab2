//! The attributes, as one table: name, which kinds of object have it, shape, when Graph shows it.
//!
//! Names and default sets are those of Microsoft Graph's [user], [group] and [device]; a contact has the names of
//! a user. The rows that Graph
//! never shows carry the state of the account in the forest, which Graph has no names for.
//!
//! [user]: https://learn.microsoft.com/graph/api/resources/user
//! [device]: https://learn.microsoft.com/graph/api/resources/device
//! [group]: https://learn.microsoft.com/graph/api/resources/group

use super::Kind;

/// The shape of an attribute's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A text.
    Text,
    /// Yes or no.
    Flag,
    /// A list of texts.
    Texts,
    /// A moment.
    Time,
    /// A whole number.
    Number,
}

/// When Graph shows an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Always, null when unset.
    ByDefault,
    /// When `$select` names it.
    WhenSelected,
    /// Inside `onPremisesExtensionAttributes`.
    AsExtension,
    /// Never: it is for the tenant's decisions.
    Never,
}

/// A row of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    /// Graph's name for it.
    pub name: &'static str,
    /// The kinds of object that have it.
    pub kinds: &'static [Kind],
    /// The shape of its value.
    pub shape: Shape,
    /// When Graph shows it.
    pub shown: Shown,
}

impl Attribute {
    /// The row of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        ATTRIBUTES.iter().find(|attribute| attribute.name == name)
    }

    /// Whether Graph alone sets it: a group's `uniqueName` is a key that its maker chose, and what a device
    /// proves itself by is told at its registration.
    #[must_use]
    pub fn is_graphs_own(&self) -> bool {
        self.name == "uniqueName" || self.is_of_registration()
    }

    /// Whether it comes with the registration of a device, which no forest knows.
    #[must_use]
    pub fn is_of_registration(&self) -> bool {
        matches!(
            self.name,
            "alternativeSecurityIds"
                | "deviceVersion"
                | "isCompliant"
                | "isManaged"
                | "physicalIds"
        )
    }

    /// Whether Graph shows it of an object of this kind without being asked.
    #[must_use]
    pub fn is_usual(&self, kind: Kind) -> bool {
        let of_devices = kind == Kind::Device && self.name == "accountEnabled";
        self.belongs_to(kind) && (self.shown == Shown::ByDefault || of_devices)
    }

    /// Whether objects of this kind have it.
    #[must_use]
    pub fn belongs_to(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }
}

const USER: &[Kind] = &[Kind::User];
const GROUP: &[Kind] = &[Kind::Group];
const PEOPLE: &[Kind] = &[Kind::User, Kind::Contact];
const BOTH: &[Kind] = &[Kind::User, Kind::Group];
const ALL: &[Kind] = &[Kind::User, Kind::Contact, Kind::Group];
const EVERYTHING: &[Kind] = &[Kind::User, Kind::Contact, Kind::Group, Kind::Device];
const ACCOUNTS: &[Kind] = &[Kind::User, Kind::Device];
const DEVICE: &[Kind] = &[Kind::Device];

const fn row(name: &'static str, kinds: &'static [Kind], shape: Shape, shown: Shown) -> Attribute {
    Attribute { name, kinds, shape, shown }
}

/// Every attribute. The sync server may write all but those that are [Graph's own](Attribute::is_graphs_own).
pub static ATTRIBUTES: &[Attribute] = &[
    row("displayName", EVERYTHING, Shape::Text, Shown::ByDefault),
    row("mail", ALL, Shape::Text, Shown::ByDefault),
    row("userPrincipalName", USER, Shape::Text, Shown::ByDefault),
    row("givenName", PEOPLE, Shape::Text, Shown::ByDefault),
    row("surname", PEOPLE, Shape::Text, Shown::ByDefault),
    row("jobTitle", PEOPLE, Shape::Text, Shown::ByDefault),
    row("officeLocation", PEOPLE, Shape::Text, Shown::ByDefault),
    row("mobilePhone", PEOPLE, Shape::Text, Shown::ByDefault),
    row("businessPhones", PEOPLE, Shape::Texts, Shown::ByDefault),
    row("preferredLanguage", USER, Shape::Text, Shown::ByDefault),
    row("description", GROUP, Shape::Text, Shown::ByDefault),
    row("mailEnabled", GROUP, Shape::Flag, Shown::ByDefault),
    row("securityEnabled", GROUP, Shape::Flag, Shown::ByDefault),
    row("groupTypes", GROUP, Shape::Texts, Shown::ByDefault),
    row("uniqueName", GROUP, Shape::Text, Shown::WhenSelected),
    row("accountEnabled", ACCOUNTS, Shape::Flag, Shown::WhenSelected),
    row("deviceId", DEVICE, Shape::Text, Shown::ByDefault),
    row("operatingSystem", DEVICE, Shape::Text, Shown::ByDefault),
    row("operatingSystemVersion", DEVICE, Shape::Text, Shown::ByDefault),
    row("trustType", DEVICE, Shape::Text, Shown::ByDefault),
    row("alternativeSecurityIds", DEVICE, Shape::Texts, Shown::ByDefault),
    row("deviceVersion", DEVICE, Shape::Number, Shown::ByDefault),
    row("isCompliant", DEVICE, Shape::Flag, Shown::ByDefault),
    row("isManaged", DEVICE, Shape::Flag, Shown::ByDefault),
    row("physicalIds", DEVICE, Shape::Texts, Shown::ByDefault),
    row("mailNickname", ALL, Shape::Text, Shown::WhenSelected),
    row("proxyAddresses", ALL, Shape::Texts, Shown::WhenSelected),
    row("otherMails", USER, Shape::Texts, Shown::WhenSelected),
    row("imAddresses", USER, Shape::Texts, Shown::WhenSelected),
    row("faxNumber", PEOPLE, Shape::Text, Shown::WhenSelected),
    row("department", PEOPLE, Shape::Text, Shown::WhenSelected),
    row("companyName", PEOPLE, Shape::Text, Shown::WhenSelected),
    row("employeeId", USER, Shape::Text, Shown::WhenSelected),
    row("employeeType", USER, Shape::Text, Shown::WhenSelected),
    row("streetAddress", PEOPLE, Shape::Text, Shown::WhenSelected),
    row("postalCode", PEOPLE, Shape::Text, Shown::WhenSelected),
    row("city", PEOPLE, Shape::Text, Shown::WhenSelected),
    row("state", PEOPLE, Shape::Text, Shown::WhenSelected),
    row("country", PEOPLE, Shape::Text, Shown::WhenSelected),
    row("usageLocation", USER, Shape::Text, Shown::WhenSelected),
    row("passwordPolicies", USER, Shape::Text, Shown::WhenSelected),
    row("userType", USER, Shape::Text, Shown::WhenSelected),
    row("onPremisesDistinguishedName", USER, Shape::Text, Shown::WhenSelected),
    row("onPremisesDomainName", ALL, Shape::Text, Shown::WhenSelected),
    row("onPremisesNetBiosName", GROUP, Shape::Text, Shown::WhenSelected),
    row("onPremisesSamAccountName", BOTH, Shape::Text, Shown::WhenSelected),
    row("onPremisesSecurityIdentifier", BOTH, Shape::Text, Shown::WhenSelected),
    row("onPremisesUserPrincipalName", USER, Shape::Text, Shown::WhenSelected),
    row("extensionAttribute1", USER, Shape::Text, Shown::AsExtension),
    row("extensionAttribute2", USER, Shape::Text, Shown::AsExtension),
    row("extensionAttribute3", USER, Shape::Text, Shown::AsExtension),
    row("extensionAttribute4", USER, Shape::Text, Shown::AsExtension),
    row("extensionAttribute5", USER, Shape::Text, Shown::AsExtension),
    row("extensionAttribute6", USER, Shape::Text, Shown::AsExtension),
    row("extensionAttribute7", USER, Shape::Text, Shown::AsExtension),
    row("extensionAttribute8", USER, Shape::Text, Shown::AsExtension),
    row("extensionAttribute9", USER, Shape::Text, Shown::AsExtension),
    row("extensionAttribute10", USER, Shape::Text, Shown::AsExtension),
    row("extensionAttribute11", USER, Shape::Text, Shown::AsExtension),
    row("extensionAttribute12", USER, Shape::Text, Shown::AsExtension),
    row("extensionAttribute13", USER, Shape::Text, Shown::AsExtension),
    row("extensionAttribute14", USER, Shape::Text, Shown::AsExtension),
    row("extensionAttribute15", USER, Shape::Text, Shown::AsExtension),
    row("onPremisesAccountExpiresDateTime", USER, Shape::Time, Shown::Never),
    row("onPremisesPasswordExpiresDateTime", USER, Shape::Time, Shown::Never),
    row("onPremisesPasswordChangeRequired", USER, Shape::Flag, Shown::Never),
    row("onPremisesLockedOut", USER, Shape::Flag, Shown::Never),
    row("onPremisesSmartCardRequired", USER, Shape::Flag, Shown::Never),
];
