//! The types of values, as sets: what an argument may be, and what a part can come to.

use std::fmt;

/// A set of types. The empty set is that of what never gives a value: NULL and Error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kinds(u8);

impl Kinds {
    /// No type.
    pub const NONE: Self = Self(0);
    /// A text: str.
    pub const TEXT: Self = Self(1);
    /// A whole number: num.
    pub const NUMBER: Self = Self(2);
    /// A truth value: bool.
    pub const BOOLEAN: Self = Self(4);
    /// Octets: bin.
    pub const OCTETS: Self = Self(8);
    /// A point in time: dt.
    pub const TIME: Self = Self(16);
    /// The name of an object: ref.
    pub const REFERENCE: Self = Self(32);
    /// Any of them: var.
    pub const ANY: Self = Self(63);
    /// What an attribute can hold.
    pub const STORED: Self = Self(15);

    const NAMES: [(Self, &'static str); 6] = [
        (Self::TEXT, "a text"),
        (Self::NUMBER, "a number"),
        (Self::BOOLEAN, "a truth value"),
        (Self::OCTETS, "octets"),
        (Self::TIME, "a time"),
        (Self::REFERENCE, "a reference"),
    ];

    /// Both sets together.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the sets have a type in common.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether it is the empty set.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ANY {
            return f.write_str("any value");
        }
        let names: Vec<_> = Self::NAMES.iter().filter(|(kind, _)| self.meets(*kind)).collect();
        let Some(((_, last), rest)) = names.split_last() else { return f.write_str("nothing") };
        for (at, (_, name)) in rest.iter().enumerate() {
            write!(f, "{}{name}", if at > 0 { ", " } else { "" })?;
        }
        write!(f, "{}{last}", if rest.is_empty() { "" } else { " or " })
    }
}
