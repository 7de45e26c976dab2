//! What an object is in the tenant.

use std::fmt;

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
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::User, Self::Contact, Self::Group, Self::Device];

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
