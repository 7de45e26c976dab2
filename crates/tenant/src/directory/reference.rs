//! The attributes that refer to other objects.
//!
//! Objects are referred to by anchor, so that a reference may come before its object, and counts from
//! when that arrives.

use super::Kind;

/// An attribute whose values are other objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// The members of a group.
    Members,
    /// A user's manager.
    Manager,
    /// Who joined a device to the cloud, or registered it.
    RegisteredOwners,
    /// Who uses a device.
    RegisteredUsers,
}

impl Reference {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Members, Self::Manager, Self::RegisteredOwners, Self::RegisteredUsers];

    /// Graph's name for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Members => "members",
            Self::Manager => "manager",
            Self::RegisteredOwners => "registeredOwners",
            Self::RegisteredUsers => "registeredUsers",
        }
    }

    /// From Graph's name for it.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reference| reference.as_str() == word)
    }

    /// The kind of object that has it.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Members => Kind::Group,
            Self::Manager => Kind::User,
            Self::RegisteredOwners | Self::RegisteredUsers => Kind::Device,
        }
    }

    /// Whether Graph alone sets it: no forest says who registered a device.
    #[must_use]
    pub const fn is_graphs_own(self) -> bool {
        matches!(self, Self::RegisteredOwners | Self::RegisteredUsers)
    }

    /// Whether an object has at most one: a new one takes the place of the old.
    #[must_use]
    pub const fn is_single(self) -> bool {
        matches!(self, Self::Manager)
    }
}
