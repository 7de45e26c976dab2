//! Names that no two living objects have, and what is known of a conflict about one.

use std::collections::BTreeSet;

use portolan_model::Guid;
use time::OffsetDateTime;

use super::{Attributes, Kind, Object, Value};

/// An attribute whose values are one object's alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Naming {
    /// The user principal name of a user.
    Principal,
    /// An address of anybody: `SMTP:` and `smtp:` are one.
    Proxy,
    /// The key of a group that its maker chose by Graph, compared with case.
    Unique,
    /// The `deviceId` of a device.
    Device,
}

impl Naming {
    /// The attribute's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Principal => "userPrincipalName",
            Self::Proxy => "proxyAddresses",
            Self::Unique => "uniqueName",
            Self::Device => "deviceId",
        }
    }

    /// From the attribute's name.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Self::Principal, Self::Proxy, Self::Unique, Self::Device];
        all.into_iter().find(|naming| naming.as_str() == word)
    }

    /// What Graph calls it as the cause of an error ([onPremisesProvisioningError]).
    ///
    /// [onPremisesProvisioningError]: https://learn.microsoft.com/graph/api/resources/onpremisesprovisioningerror
    #[must_use]
    pub const fn as_cause(self) -> &'static str {
        match self {
            Self::Principal => "UserPrincipalName",
            Self::Proxy => "ProxyAddress",
            Self::Unique => "UniqueName",
            Self::Device => "DeviceId",
        }
    }
}

/// A name, folded: two that differ in case alone are one, but for unique names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// Of which attribute.
    pub naming: Naming,
    /// The folded value.
    pub folded: String,
}

impl Name {
    /// A user principal name.
    #[must_use]
    pub fn principal(name: &str) -> Self {
        Self { naming: Naming::Principal, folded: name.to_lowercase() }
    }

    /// An address with its type.
    #[must_use]
    pub fn proxy(address: &str) -> Self {
        Self { naming: Naming::Proxy, folded: address.to_ascii_lowercase() }
    }

    /// A group's unique name.
    #[must_use]
    pub fn unique(name: &str) -> Self {
        Self { naming: Naming::Unique, folded: name.to_owned() }
    }

    /// A device's `deviceId`.
    #[must_use]
    pub fn device(id: &str) -> Self {
        Self { naming: Naming::Device, folded: id.to_ascii_lowercase() }
    }

    /// The name of an attribute's value.
    #[must_use]
    pub fn of(naming: Naming, value: &str) -> Self {
        match naming {
            Naming::Principal => Self::principal(value),
            Naming::Proxy => Self::proxy(value),
            Naming::Unique => Self::unique(value),
            Naming::Device => Self::device(value),
        }
    }

    /// The names that an object of a kind with these attributes has.
    #[must_use]
    pub fn all(kind: Kind, attributes: &Attributes) -> BTreeSet<Self> {
        let principal = attributes.text("userPrincipalName").filter(|_| kind == Kind::User);
        let unique = attributes.text("uniqueName").filter(|_| kind == Kind::Group);
        let device = attributes.text("deviceId").filter(|_| kind == Kind::Device);
        let addresses = match attributes.value("proxyAddresses") {
            Some(Value::Texts(addresses)) => addresses.as_slice(),
            _ => &[],
        };
        let addresses = addresses.iter().map(|address| Self::proxy(address));
        let own = principal.map(Self::principal).into_iter().chain(unique.map(Self::unique));
        own.chain(device.map(Self::device)).chain(addresses).collect()
    }
}

impl Object {
    /// The names that this object keeps from others; none once it is deleted.
    #[must_use]
    pub fn names(&self) -> BTreeSet<Name> {
        match self.deleted_at {
            Some(_) => BTreeSet::new(),
            None => Name::all(self.kind, &self.attributes),
        }
    }

    /// Whether no sync server ever wrote it.
    #[must_use]
    pub const fn is_clouds_own(&self) -> bool {
        self.synchronised_at.is_none()
    }
}

/// A value that an object does not have because another one has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvisioningError {
    /// The object without the value.
    pub object: Guid,
    /// The attribute.
    pub naming: Naming,
    /// The value, as the sync server sent it.
    pub value: String,
    /// Since when.
    pub occurred_at: OffsetDateTime,
}

impl ProvisioningError {
    /// The name that it is about.
    #[must_use]
    pub fn name(&self) -> Name {
        Name::of(self.naming, &self.value)
    }
}
