//! Objects of a forest: what they are, and what every import asks of them.

/// The attributes that every import asks a forest for, those of the lint among them, besides those that the
/// rules in force read: that a rule is added or turned off reads the forest in full for other attributes
/// alone.
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

    /// Whether it is a person who can have an account.
    #[must_use]
    pub const fn is_person(self) -> bool {
        matches!(self, Self::User | Self::InetOrgPerson)
    }

    /// From the values of `objectClass`, in whatever order; `None` of a class that is not imported.
    pub fn of_classes<'a>(classes: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let classes: Vec<_> = classes.into_iter().collect();
        let has =
            |name: &str| classes.iter().any(|class| class.eq_ignore_ascii_case(name.as_bytes()));
        // A computer and an inetOrgPerson are derived from user, so they are asked first.
        [
            Self::Computer,
            Self::InetOrgPerson,
            Self::User,
            Self::Group,
            Self::Contact,
            Self::ForeignSecurityPrincipal,
            Self::OrganizationalUnit,
        ]
        .into_iter()
        .find(|kind| has(kind.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inet_org_person_and_a_computer_are_told_from_a_user() {
        let kind = |classes: &[&str]| ObjectKind::of_classes(classes.iter().map(|c| c.as_bytes()));
        assert_eq!(kind(&["top", "person", "user"]), Some(ObjectKind::User));
        assert_eq!(kind(&["user", "inetOrgPerson", "top"]), Some(ObjectKind::InetOrgPerson));
        assert_eq!(kind(&["user", "computer"]), Some(ObjectKind::Computer));
        let foreign = kind(&["top", "foreignSecurityPrincipal"]);
        assert_eq!(foreign, Some(ObjectKind::ForeignSecurityPrincipal));
        assert_eq!(kind(&["top", "container"]), None);
    }
}
