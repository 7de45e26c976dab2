//! What a decoder says of bytes that are not what they should be.

use std::fmt;

/// A decoding failure: where in the input, in which field, and what was wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// Offset from the start of the outermost input, in octets.
    pub offset: usize,
    /// The field by the specification's own name.
    pub field: &'static str,
    /// The rule that was broken.
    pub fault: Fault,
}

/// The rule that a peer's bytes broke.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The input ended before the field did.
    Truncated {
        /// Octets the field needs.
        needed: usize,
        /// Octets that were left.
        available: usize,
    },
    /// A number is above its named limit.
    AboveLimit {
        /// The number received.
        found: u64,
        /// The limit it broke.
        limit: u64,
    },
    /// A value is not the one the specification demands here.
    Unexpected {
        /// What the specification demands.
        expected: &'static str,
        /// What was found, as a number.
        found: u64,
    },
    /// The octets do not form a value of the field's type.
    Malformed(
        /// The rule, as a clause.
        &'static str,
    ),
    /// Octets are left over after the structure's end.
    Trailing {
        /// How many octets.
        count: usize,
    },
}

impl DecodeError {
    /// An error at an offset.
    #[must_use]
    pub const fn new(offset: usize, field: &'static str, fault: Fault) -> Self {
        Self { offset, field, fault }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at offset {}: {}", self.field, self.offset, self.fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { needed, available } => {
                write!(f, "needs {needed} octets, {available} are left")
            }
            Self::AboveLimit { found, limit } => write!(f, "{found} is above the limit of {limit}"),
            Self::Unexpected { expected, found } => {
                write!(f, "expected {expected}, found {found:#x}")
            }
            Self::Malformed(rule) => f.write_str(rule),
            Self::Trailing { count } => write!(f, "{count} octets follow the end"),
        }
    }
}

impl std::error::Error for DecodeError {}
