//! Names that no two living objects have.

use super::{Kind, Object};

/// An attribute whose value is one object's alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Naming {
    /// The user principal name of a user.
    Principal,
}

impl Naming {
    /// The attribute's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Principal => "userPrincipalName",
        }
    }

    /// From the attribute's name.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Principal].into_iter().find(|naming| naming.as_str() == word)
    }
}

/// A name, folded: two that differ in case alone are one.
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
}

impl Object {
    /// The names that this object keeps from others; none once it is deleted.
    #[must_use]
    pub fn names(&self) -> Vec<Name> {
        if self.deleted_at.is_some() || self.kind != Kind::User {
            return Vec::new();
        }
        self.upn().map(Name::principal).into_iter().collect()
    }
}
