//! Names of attributes as small numbers, the same for all systems that are connected.

use std::collections::HashMap;
use std::fmt;

/// Names that a dictionary can hold.
pub const NAMES_MAX: usize = 16_384;
/// Octets of a name: the longest `lDAPDisplayName` has 256.
pub const NAME_OCTETS_MAX: usize = 256;

/// The number of an attribute's name in a [`Dictionary`]. It means the same as long as the state lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeId(pub u16);

impl AttributeId {
    /// `distinguishedName`: the name of a staging object, which is no part of what is stored as its
    /// record, for it follows from the names above it.
    pub const DISTINGUISHED_NAME: Self = Self(0);
    /// `objectGUID`: what identifies a staging object, likewise.
    pub const OBJECT_GUID: Self = Self(1);
}

/// The names that every dictionary begins with, in the order of their numbers.
const RESERVED: [&str; 2] = ["distinguishedName", "objectGUID"];

/// The names of attributes and their numbers. A name is found whatever its case, and shown as it was
/// first written. A name that was given a number keeps it.
#[derive(Debug, Clone)]
pub struct Dictionary {
    names: Vec<String>,
    numbers: HashMap<String, AttributeId>,
}

/// Why a name has no number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameRefused {
    /// There are too many.
    #[error("more than {NAMES_MAX} attribute names")]
    TooMany,
    /// It is empty, too long, or has characters that no attribute's name has.
    #[error("{0:?} is no attribute name")]
    Illegal(String),
}

impl Default for Dictionary {
    fn default() -> Self {
        let names: Vec<_> = RESERVED.map(str::to_owned).into();
        let lower = names.iter().map(|name| name.to_ascii_lowercase());
        let numbers = lower.zip((0..).map(AttributeId)).collect();
        Self { names, numbers }
    }
}

impl Dictionary {
    /// The number of a name, if it has one.
    #[must_use]
    pub fn id(&self, name: &str) -> Option<AttributeId> {
        match self.numbers.get(name) {
            Some(id) => Some(*id),
            None => self.numbers.get(&name.to_ascii_lowercase()).copied(),
        }
    }

    /// The number of a name, which gets one if it has none.
    ///
    /// # Errors
    /// [`NameRefused`] of a name that is none, or one too many.
    pub fn intern(&mut self, name: &str) -> Result<AttributeId, NameRefused> {
        if let Some(id) = self.id(name) {
            return Ok(id);
        }
        let legal = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.;".contains(&octet);
        if name.is_empty() || name.len() > NAME_OCTETS_MAX || !name.bytes().all(legal) {
            return Err(NameRefused::Illegal(name.chars().take(NAME_OCTETS_MAX).collect()));
        }
        let number = u16::try_from(self.names.len()).ok().filter(|n| usize::from(*n) < NAMES_MAX);
        let id = AttributeId(number.ok_or(NameRefused::TooMany)?);
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_ascii_lowercase(), id);
        Ok(id)
    }

    /// The name of a number.
    #[must_use]
    pub fn name(&self, id: AttributeId) -> Option<&str> {
        self.names.get(usize::from(id.0)).map(String::as_str)
    }

    /// All names in the order of their numbers, which begin at zero and have no gaps.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// A number's name, to be shown.
    #[must_use]
    pub fn show(&self, id: AttributeId) -> impl fmt::Display + '_ {
        self.name(id).unwrap_or("?")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_in_every_case_and_is_shown_as_it_came_first() {
        let mut names = Dictionary::default();
        let mail = names.intern("mail").unwrap();
        let guid = AttributeId::OBJECT_GUID;
        assert_eq!((names.intern("MAIL"), names.intern("objectguid")), (Ok(mail), Ok(guid)));
        assert_eq!((names.id("ObjectGuid"), names.id("cn")), (Some(guid), None));
        let all: Vec<_> = names.names().collect();
        assert_eq!(all, ["distinguishedName", "objectGUID", "mail"]);
        assert_eq!(names.show(AttributeId::DISTINGUISHED_NAME).to_string(), all[0]);
    }

    #[test]
    fn what_is_no_name_gets_no_number_and_there_is_an_end_of_names() {
        let mut names = Dictionary::default();
        for text in ["", "a b", "ä", &"x".repeat(257)] {
            assert!(matches!(names.intern(text), Err(NameRefused::Illegal(_))), "{text}");
        }
        for number in RESERVED.len()..NAMES_MAX {
            names.intern(&format!("a{number}")).unwrap();
        }
        assert_eq!(names.intern("one-more"), Err(NameRefused::TooMany));
    }
}
