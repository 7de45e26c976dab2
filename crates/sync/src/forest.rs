//! Objects as the forest gave them: the connector space's rows.

use std::collections::BTreeMap;

use portolan_model::{DistinguishedName, Guid, InvalidName, Sid};

/// The attributes that an import asks the forest for, besides the name: those that a flow, the scope
/// or the anchor reads, and no others.
pub const WANTED_ATTRIBUTES: &[&str] = &[
    "objectGUID",
    "objectClass",
    "objectSid",
    "parentGUID",
    "cn",
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
    /// An `organizationalUnit`: a place, never exported.
    OrganizationalUnit,
}

impl ObjectKind {
    /// The name under which it is stored and shown: the class's own.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::InetOrgPerson => "inetOrgPerson",
            Self::Group => "group",
            Self::OrganizationalUnit => "organizationalUnit",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::User, Self::InetOrgPerson, Self::Group, Self::OrganizationalUnit]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }

    /// Whether it becomes a user of the tenant.
    #[must_use]
    pub const fn is_person(self) -> bool {
        matches!(self, Self::User | Self::InetOrgPerson)
    }

    /// From the values of `objectClass`, in whatever order.
    fn of_classes(classes: &[Vec<u8>]) -> Option<Self> {
        let has =
            |name: &str| classes.iter().any(|class| class.eq_ignore_ascii_case(name.as_bytes()));
        if has("computer") {
            return None;
        }
        // inetOrgPerson is derived from user, so it is asked first.
        [Self::InetOrgPerson, Self::User, Self::Group, Self::OrganizationalUnit]
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
    /// A member value without the `<GUID=…>` part that was asked for.
    #[error("a member of {dn} came without its objectGUID")]
    MemberWithoutGuid {
        /// The group's name.
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
    attributes: BTreeMap<String, AttributeValues>,
}

impl ForestObject {
    /// An object from a search entry. `Ok(None)` when it is of a class that is not imported.
    ///
    /// Member values carry GUIDs (the Extended DN control's `<GUID=…>` form), because a member is held
    /// by its objectGUID and never by its name.
    ///
    /// # Errors
    /// When the entry has no objectGUID or no legal name, or a member value carries no GUID.
    pub fn from_entry(
        dn: &str,
        attributes: impl IntoIterator<Item = (String, AttributeValues)>,
    ) -> Result<Option<Self>, ForestObjectError> {
        let mut attributes: BTreeMap<String, AttributeValues> = attributes
            .into_iter()
            .map(|(name, values)| (name.to_ascii_lowercase(), values))
            .collect();
        let Some(kind) =
            attributes.get("objectclass").and_then(|classes| ObjectKind::of_classes(classes))
        else {
            return Ok(None);
        };
        let plain = plain_dn(dn);
        let guid = guid_of(attributes.remove("objectguid"))
            .ok_or_else(|| ForestObjectError::NoGuid { dn: plain.to_owned() })?;
        let parent = guid_of(attributes.remove("parentguid"));
        attributes.remove("objectclass");
        let members = attributes
            .remove("member")
            .unwrap_or_default()
            .iter()
            .map(|value| extended_dn_guid(value))
            .collect::<Option<_>>()
            .ok_or_else(|| ForestObjectError::MemberWithoutGuid { dn: plain.to_owned() })?;
        Ok(Some(Self { guid, kind, dn: plain.parse()?, parent, members, attributes }))
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

    /// All attributes by name in lower case, for the store.
    #[must_use]
    pub const fn attributes(&self) -> &BTreeMap<String, AttributeValues> {
        &self.attributes
    }

    /// The values of an attribute; none when it is absent.
    #[must_use]
    pub fn values(&self, name: &str) -> &[Vec<u8>] {
        self.attributes.get(&name.to_ascii_lowercase()).map_or(&[], Vec::as_slice)
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

/// The name behind the `<GUID=…>;<SID=…>;` parts of an extended DN ([MS-ADTS] 3.1.1.3.4.1.5), or the
/// name itself.
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
fn plain_dn(mut dn: &str) -> &str {
    while dn.starts_with('<') {
        match dn.split_once(">;") {
            Some((_, rest)) => dn = rest,
            None => break,
        }
    }
    dn
}

/// The GUID of an extended DN, in the string form (`<GUID=6a20fa50-ff39-…>`, flag 1) or the
/// hexadecimal form (`<GUID=50fa206a39ff…>`, flag 0, the octets as stored).
fn extended_dn_guid(value: &[u8]) -> Option<Guid> {
    let text = std::str::from_utf8(value).ok()?;
    let (guid, _) = text.strip_prefix("<GUID=")?.split_once('>')?;
    if guid.contains('-') {
        return guid.parse().ok();
    }
    let mut octets = [0; 16];
    if guid.len() != 32 || !guid.is_ascii() {
        return None;
    }
    for (at, octet) in octets.iter_mut().enumerate() {
        *octet = u8::from_str_radix(&guid[at * 2..at * 2 + 2], 16).ok()?;
    }
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
            pairs.iter().map(|(name, values)| {
                ((*name).to_owned(), values.iter().map(|value| value.to_vec()).collect())
            }),
        )
    }

    #[test]
    fn a_group_holds_its_members_by_guid_whichever_form_the_directory_sends() {
        let object = entry(
            "<GUID=6a20fa50-ff39-499c-a70a-5975c0e93995>;CN=Staff,DC=corp,DC=example",
            &[
                ("objectClass", &[b"top", b"group"]),
                ("objectGUID", &[&[7; 16]]),
                (
                    "member",
                    &[
                        b"<GUID=50fa206a39ff9c49a70a5975c0e93995>;CN=a,DC=corp,DC=example",
                        b"<GUID=6a20fa50-ff39-499c-a70a-5975c0e93995>;<SID=S-1-5-21-1>;CN=b,DC=x",
                    ],
                ),
            ],
        );
        let object = object.unwrap().unwrap();
        let member: Guid = "6a20fa50-ff39-499c-a70a-5975c0e93995".parse().unwrap();
        assert_eq!(object.members, [member, member]);
        assert_eq!(object.dn.as_str(), "CN=Staff,DC=corp,DC=example");
    }

    #[test]
    fn a_member_without_its_guid_is_an_error_and_not_left_out() {
        let pairs: [(&str, &[&[u8]]); 3] = [
            ("objectClass", &[b"group"]),
            ("objectGUID", &[&[7; 16]]),
            ("member", &[b"CN=without,DC=corp,DC=example"]),
        ];
        let error = entry("CN=g,DC=corp,DC=example", &pairs).unwrap_err();
        assert!(matches!(error, ForestObjectError::MemberWithoutGuid { .. }));
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
