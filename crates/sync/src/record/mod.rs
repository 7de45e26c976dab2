//! The attributes of an object in packed form: what the state keeps, what rules read, and what is
//! compared to tell a change from a repeat.
//!
//! A record has one form only: attributes ascend by number, an attribute's values ascend and differ.
//! So two records hold the same if their octets are the same. References to other objects are not in
//! a record; the state keeps them as edges.
//!
//! Form: for each attribute its number and the octets of its values, both as a varint (LEB128), then
//! the values; a value is a varint of its octets times eight plus its type, then the octets.

mod read;
mod write;

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};

pub use read::{Attributes, Index, InvalidRecord, Values};
pub use write::RecordWriter;

use crate::dictionary::AttributeId;

/// The octets that a record may have: 16 MiB, four times what a directory's largest object takes.
pub const RECORD_OCTETS_MAX: usize = 16 * 1024 * 1024;

/// Octets that are shown one by one: a SID has 28.
const OCTETS_SHOWN_MAX: usize = 40;

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// A text. Times are texts as RFC 3339.
    Text(String),
    /// A number.
    Integer(i64),
    /// A truth value.
    Boolean(bool),
    /// Octets: SIDs, GUIDs, certificates, photos.
    Octets(Vec<u8>),
}

/// A value where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ValueRef<'a> {
    /// A text.
    Text(&'a str),
    /// A number.
    Integer(i64),
    /// A truth value.
    Boolean(bool),
    /// Octets.
    Octets(&'a [u8]),
}

impl Value {
    /// The value where it stands.
    #[must_use]
    pub fn borrow(&self) -> ValueRef<'_> {
        match self {
            Self::Text(text) => ValueRef::Text(text),
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Boolean(value) => ValueRef::Boolean(*value),
            Self::Octets(octets) => ValueRef::Octets(octets),
        }
    }
}

impl<'a> ValueRef<'a> {
    /// The value of its own.
    #[must_use]
    pub fn to_value(self) -> Value {
        match self {
            Self::Text(text) => Value::Text(text.to_owned()),
            Self::Integer(number) => Value::Integer(number),
            Self::Boolean(value) => Value::Boolean(value),
            Self::Octets(octets) => Value::Octets(octets.to_vec()),
        }
    }

    /// The text; `None` of another type.
    #[must_use]
    pub const fn as_text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number; `None` of another type.
    #[must_use]
    pub const fn as_integer(self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// The value as text, whatever its type: octets in lower-case hexadecimal, TRUE and FALSE.
    #[must_use]
    pub fn to_text(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Integer(number) => Cow::Owned(number.to_string()),
            Self::Boolean(value) => Cow::Borrowed(if value { "TRUE" } else { "FALSE" }),
            Self::Octets(octets) => {
                let digits = octets.iter().flat_map(|octet| [octet >> 4, octet & 15]);
                Cow::Owned(
                    digits.map(|d| char::from(b"0123456789abcdef"[usize::from(d)])).collect(),
                )
            }
        }
    }

    /// The value as text to be shown: as [`to_text`](Self::to_text), but of octets that are no number, SID or
    /// GUID only how many they are and how their SHA-256 begins. A photo is nobody's to read as text.
    #[must_use]
    pub fn to_shown(self) -> Cow<'a, str> {
        match self {
            Self::Octets(octets) if octets.len() > OCTETS_SHOWN_MAX => {
                let digest = hex::encode(&Sha256::digest(octets)[..4]);
                Cow::Owned(format!("{} octets (SHA-256 {digest}…)", octets.len()))
            }
            other => other.to_text(),
        }
    }
}

/// The attributes of an object.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Record {
    /// INVARIANT: in the one form, checked when it came from outside.
    octets: Vec<u8>,
}

impl Record {
    /// A record from its octets, of which every length is checked. Order is not: only what a
    /// [`RecordWriter`] wrote is kept anywhere.
    ///
    /// # Errors
    /// [`InvalidRecord`] of what was never a record's.
    pub fn from_octets(octets: Vec<u8>) -> Result<Self, InvalidRecord> {
        read::check(&octets)?;
        Ok(Self { octets })
    }

    /// A staging object's record as rules read it: with its name and its objectGUID, which are stored
    /// beside it. The record has neither.
    #[must_use]
    pub fn named(&self, dn: &str, guid: &portolan_model::Guid) -> Self {
        let mut writer = RecordWriter::with_capacity(self.octets.len() + dn.len() + 32);
        writer.put(AttributeId::DISTINGUISHED_NAME, [ValueRef::Text(dn)]);
        writer.put(AttributeId::OBJECT_GUID, [ValueRef::Octets(&guid.to_bytes_le())]);
        writer.append(self);
        writer.finish()
    }

    /// Its octets.
    #[must_use]
    pub fn as_octets(&self) -> &[u8] {
        &self.octets
    }

    /// Whether it has no attribute.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// The values of an attribute; none when it is absent.
    #[must_use]
    pub fn values(&self, attribute: AttributeId) -> Values<'_> {
        read::find(&self.octets, attribute)
    }

    /// Where its attributes stand.
    #[must_use]
    pub fn index(&self) -> Index<'_> {
        Index::of(&self.octets)
    }

    /// The first value of an attribute.
    #[must_use]
    pub fn first(&self, attribute: AttributeId) -> Option<ValueRef<'_>> {
        self.values(attribute).next()
    }

    /// All attributes with their values, in the order of their numbers.
    #[must_use]
    pub fn iter(&self) -> Attributes<'_> {
        Attributes::new(&self.octets)
    }
}

impl<'a> IntoIterator for &'a Record {
    type Item = (AttributeId, Values<'a>);
    type IntoIter = Attributes<'a>;

    fn into_iter(self) -> Attributes<'a> {
        self.iter()
    }
}

impl FromIterator<(AttributeId, Vec<Value>)> for Record {
    /// Attributes in any order; of one that comes twice, all values.
    fn from_iter<I: IntoIterator<Item = (AttributeId, Vec<Value>)>>(attributes: I) -> Self {
        let mut sorted: std::collections::BTreeMap<AttributeId, Vec<Value>> = [].into();
        for (attribute, values) in attributes {
            sorted.entry(attribute).or_default().extend(values);
        }
        let mut writer = RecordWriter::default();
        for (attribute, values) in &sorted {
            writer.put(*attribute, values.iter().map(Value::borrow));
        }
        writer.finish()
    }
}

#[cfg(test)]
mod tests;
