//! Objects as the forest gave them: the connector space's rows.

use std::collections::BTreeMap;

use portolan_model::{DistinguishedName, Guid, InvalidName, Sid};

/// The attributes that an import asks the forest for, besides the name: those that a flow, the scope,
/// the anchor or a rule of the lint reads, and no others.
pub const WANTED_ATTRIBUTES: &[&str] = &[
    "objectGUID",
    "objectClass",
    "objectSid",
    "parentGUID",
    "name",
    "sAMAccountName",
    "sAMAccountType",
    "isCriticalSystemObject",
    "mS-DS-ConsistencyGuid",
    "msExchMasterAccountSID",
    "msExchRecipientTypeDetails",
    "userPrincipalName",
    "userAccountControl",
    "accountExpires",
    "pwdLastSet",
    "displayName",
    "givenName",
    "sn",
    "initials",
    "title",
    "department",
    "company",
    "description",
    "mail",
    "mailNickname",
    "proxyAddresses",
    "targetAddress",
    "telephoneNumber",
    "mobile",
    "facsimileTelephoneNumber",
    "physicalDeliveryOfficeName",
    "streetAddress",
    "l",
    "st",
    "postalCode",
    "co",
    "c",
    "preferredLanguage",
    "employeeID",
    "extensionAttribute1",
    "extensionAttribute2",
    "extensionAttribute3",
    "extensionAttribute4",
    "extensionAttribute5",
    "extensionAttribute6",
    "extensionAttribute7",
    "extensionAttribute8",
    "extensionAttribute9",
    "extensionAttribute10",
    "extensionAttribute11",
    "extensionAttribute12",
    "extensionAttribute13",
    "extensionAttribute14",
    "extensionAttribute15",
    "msExchHideFromAddressLists",
    "groupType",
    "member",
];

/// What an object is, by its most derived class among those that are imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// A `user` that is a person: signs in with its password hash.
    User,
    /// An `inetOrgPerson`: synchronised as a user, but its password hash is not replicated.
    InetOrgPerson,
    /// A `group`.
    Group,
    /// A `contact`: somebody outside, who does not sign in.
    Contact,
    /// A `computer`: a device, when it has a certificate.
    Computer,
    /// A `foreignSecurityPrincipal`: stands for an account of another forest in this one's groups.
    ForeignSecurityPrincipal,
    /// An `organizationalUnit`: a place, never exported.
    OrganizationalUnit,
    /// Anything else that stands above an imported object, and is in its name: never exported.
    Container,
}

impl ObjectKind {
    /// The name under which it is stored and shown: the class's own.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::InetOrgPerson => "inetOrgPerson",
            Self::Group => "group",
            Self::Contact => "contact",
            Self::Computer => "computer",
            Self::ForeignSecurityPrincipal => "foreignSecurityPrincipal",
            Self::OrganizationalUnit => "organizationalUnit",
            Self::Container => "container",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::User,
        Self::InetOrgPerson,
        Self::Group,
        Self::Contact,
        Self::Computer,
        Self::ForeignSecurityPrincipal,
        Self::OrganizationalUnit,
        Self::Container,
    ];

    /// Whether it becomes a user of the tenant.
    #[must_use]
    pub const fn is_person(self) -> bool {
        matches!(self, Self::User | Self::InetOrgPerson)
    }

    /// From the values of `objectClass`, in whatever order; `None` of a class that is not imported.
    pub fn of_classes<'a>(classes: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let classes: Vec<_> = classes.into_iter().collect();
        let has =
            |name: &str| classes.iter().any(|class| class.eq_ignore_ascii_case(name.as_bytes()));
        if has("computer") {
            return None;
        }
        // inetOrgPerson is derived from user, so it is asked first.
        [Self::InetOrgPerson, Self::User, Self::Group, Self::Contact, Self::OrganizationalUnit]
            .into_iter()
            .find(|kind| has(kind.as_str()))
    }
}

/// The values of one attribute, as octets.
pub type AttributeValues = Vec<Vec<u8>>;

/// Why an entry of the directory is no object of the connector space.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForestObjectError {
    /// The entry has no `objectGUID` of sixteen octets.
    #[error("the entry {dn} has no objectGUID of sixteen octets")]
    NoGuid {
        /// The entry's name.
        dn: String,
    },
    /// The entry's name is no distinguished name.
    #[error(transparent)]
    Name(#[from] InvalidName),
}

/// One object of the forest, as imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForestObject {
    /// Its objectGUID: what identifies it within the forest.
    pub guid: Guid,
    /// What it is.
    pub kind: ObjectKind,
    /// Its name at the time of the import.
    pub dn: DistinguishedName,
    /// The objectGUID of the object above it, when the directory told it.
    pub parent: Option<Guid>,
    /// The objectGUIDs of a group's members.
    pub members: Vec<Guid>,
    /// Its attributes by name in lower case.
    pub(crate) attributes: BTreeMap<String, AttributeValues>,
}

impl ForestObject {
    /// An object from an entry of the directory: its plain name, its members' objectGUIDs, and its
    /// other attributes. `Ok(None)` when it is of a class that is not imported.
    ///
    /// # Errors
    /// When the entry has no objectGUID or no legal name.
    pub fn from_entry(
        dn: &str,
        members: Vec<Guid>,
        attributes: impl IntoIterator<Item = (String, AttributeValues)>,
    ) -> Result<Option<Self>, ForestObjectError> {
        let mut attributes: BTreeMap<String, AttributeValues> = attributes
            .into_iter()
            .map(|(name, values)| (name.to_ascii_lowercase(), values))
            .collect();
        let Some(kind) = attributes
            .get("objectclass")
            .and_then(|classes| ObjectKind::of_classes(classes.iter().map(Vec::as_slice)))
        else {
            return Ok(None);
        };
        let guid = guid_of(attributes.remove("objectguid"))
            .ok_or_else(|| ForestObjectError::NoGuid { dn: dn.to_owned() })?;
        let parent = guid_of(attributes.remove("parentguid"));
        attributes.remove("objectclass");
        Ok(Some(Self { guid, kind, dn: dn.parse()?, parent, members, attributes }))
    }

    /// An object as the store kept it.
    #[must_use]
    pub const fn restore(
        guid: Guid,
        kind: ObjectKind,
        dn: DistinguishedName,
        parent: Option<Guid>,
        members: Vec<Guid>,
        attributes: BTreeMap<String, AttributeValues>,
    ) -> Self {
        Self { guid, kind, dn, parent, members, attributes }
    }

    /// An entry that stands above imported objects, of whatever class.
    ///
    /// # Errors
    /// When the entry has no objectGUID or no legal name.
    pub fn above(
        dn: &str,
        guid: Option<Guid>,
        parent: Option<Guid>,
    ) -> Result<Self, ForestObjectError> {
        let guid = guid.ok_or_else(|| ForestObjectError::NoGuid { dn: dn.to_owned() })?;
        let (members, attributes) = (Vec::new(), BTreeMap::new());
        Ok(Self { guid, kind: ObjectKind::Container, dn: dn.parse()?, parent, members, attributes })
    }

    /// All attributes by name in lower case, for the store.
    #[must_use]
    pub const fn attributes(&self) -> &BTreeMap<String, AttributeValues> {
        &self.attributes
    }

    /// The values of an attribute; none when it is absent.
    #[must_use]
    pub fn values(&self, name: &str) -> &[Vec<u8>] {
        let found = match self.attributes.get(name) {
            None if name.bytes().any(|octet| octet.is_ascii_uppercase()) => {
                self.attributes.get(&name.to_ascii_lowercase())
            }
            found => found,
        };
        found.map_or(&[], Vec::as_slice)
    }

    /// The first value of an attribute as text; `None` when absent, empty or not UTF-8.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let text = std::str::from_utf8(self.values(name).first()?).ok()?;
        (!text.is_empty()).then_some(text)
    }

    /// All values of an attribute that are text.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values(name).iter().filter_map(|value| std::str::from_utf8(value).ok())
    }

    /// The first value of an attribute as a number (INTEGER and LargeInteger syntaxes).
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    /// Whether a boolean attribute is TRUE.
    #[must_use]
    pub fn is_true(&self, name: &str) -> bool {
        self.text(name) == Some("TRUE")
    }

    /// The object's SID.
    #[must_use]
    pub fn sid(&self) -> Option<Sid> {
        Sid::decode(self.values("objectSid").first()?).ok()
    }
}

fn guid_of(values: Option<AttributeValues>) -> Option<Guid> {
    let values = values?;
    let octets = <[u8; 16]>::try_from(values.first()?.as_slice()).ok()?;
    Some(Guid::from_bytes_le(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(
        dn: &str,
        pairs: &[(&str, &[&[u8]])],
    ) -> Result<Option<ForestObject>, ForestObjectError> {
        ForestObject::from_entry(
            dn,
            Vec::new(),
            pairs.iter().map(|(name, values)| {
                ((*name).to_owned(), values.iter().map(|value| value.to_vec()).collect())
            }),
        )
    }

    #[test]
    fn an_inet_org_person_is_told_from_a_user_and_a_computer_is_not_imported() {
        let kind = |classes: &[&[u8]]| {
            entry("CN=x,DC=y", &[("objectClass", classes), ("objectGUID", &[&[1; 16]])])
                .unwrap()
                .map(|object| object.kind)
        };
        assert_eq!(kind(&[b"top", b"person", b"user"]), Some(ObjectKind::User));
        assert_eq!(kind(&[b"user", b"inetOrgPerson", b"top"]), Some(ObjectKind::InetOrgPerson));
        assert_eq!(kind(&[b"user", b"computer"]), None);
    }

    #[test]
    fn an_entry_without_a_guid_is_an_error() {
        let error = entry("CN=x,DC=y", &[("objectClass", &[b"user"])]).unwrap_err();
        assert_eq!(error.to_string(), "the entry CN=x,DC=y has no objectGUID of sixteen octets");
    }
}
