//! The directory's objects: users, contacts, groups and devices, with the attributes of Microsoft Graph.

mod extension;
mod name;
mod photo;
mod reference;
mod schema;

use std::collections::BTreeMap;

use portolan_model::{Guid, SourceAnchor};
use time::OffsetDateTime;

pub use extension::{DataType, Definition, EXTENSIONS_MAX, Extension};
pub use name::{Name, Naming, ProvisioningError};
pub use photo::{InvalidPhoto, PHOTO_OCTETS_MAX, Photo};
pub use reference::Reference;
pub use schema::{ATTRIBUTES, Attribute, Shape, Shown};

/// Characters that a text may have. Distinguished names are the longest.
const TEXT_CHARS_MAX: usize = 8192;

/// Texts that a list may have.
const LIST_TEXTS_MAX: usize = 1000;

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A person.
    User,
    /// Somebody outside, who does not sign in.
    Contact,
    /// A group.
    Group,
    /// A computer that is joined to the forest.
    Device,
}

impl Kind {
    /// The word for it: `user`, `contact`, `group`, `device`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Contact => "contact",
            Self::Group => "group",
            Self::Device => "device",
        }
    }

    /// From the word for it.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Self::User, Self::Contact, Self::Group, Self::Device];
        all.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// An object of the directory, or what is left of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its id, which it keeps for ever: a restored object has its old one.
    pub id: Guid,
    /// What it is.
    pub kind: Kind,
    /// The object of the forest that it comes from.
    pub anchor: Option<SourceAnchor>,
    /// What is known of it.
    pub attributes: Attributes,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When the sync server last wrote it.
    pub synchronised_at: Option<OffsetDateTime>,
    /// When it was deleted; such an object is a tombstone that no lookup by name finds.
    pub deleted_at: Option<OffsetDateTime>,
}

impl Object {
    /// The user principal name of a user.
    #[must_use]
    pub fn upn(&self) -> Option<&str> {
        self.attributes.text("userPrincipalName")
    }

    /// The display name.
    #[must_use]
    pub fn display_name(&self) -> Option<&str> {
        self.attributes.text("displayName")
    }
}

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// Yes or no.
    Flag(bool),
    /// Texts, in the order given.
    Texts(Vec<String>),
    /// A moment.
    Time(OffsetDateTime),
    /// A whole number.
    Number(i64),
}

impl Value {
    /// Octets of its texts.
    #[must_use]
    pub fn octets(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Texts(texts) => texts.iter().map(String::len).sum(),
            Self::Flag(_) | Self::Time(_) | Self::Number(_) => 0,
        }
    }
}

/// Why an attribute cannot be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAttribute {
    /// The schema has no such attribute.
    #[error("the schema has no such attribute")]
    Unknown,
    /// The value has another shape than the schema's.
    #[error("the value has another shape than the attribute")]
    WrongShape,
    /// The value is too long.
    #[error("the value is too long")]
    TooLong,
}

/// The attributes of an object. Only names of the schema and values of their shape get in; extensions
/// are beside them, under names that are registered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes(BTreeMap<&'static str, Value>, BTreeMap<String, Extension>);

impl Attributes {
    /// Sets an attribute.
    ///
    /// # Errors
    /// When the schema has no such attribute, or the value does not fit it.
    pub fn set(&mut self, name: &str, value: Value) -> Result<(), InvalidAttribute> {
        let attribute = Attribute::named(name).ok_or(InvalidAttribute::Unknown)?;
        let shape = match &value {
            Value::Text(_) => Shape::Text,
            Value::Flag(_) => Shape::Flag,
            Value::Texts(_) => Shape::Texts,
            Value::Time(_) => Shape::Time,
            Value::Number(_) => Shape::Number,
        };
        if shape != attribute.shape {
            return Err(InvalidAttribute::WrongShape);
        }
        let text_fits = |text: &String| text.chars().count() <= TEXT_CHARS_MAX;
        let fits = match &value {
            Value::Text(text) => text_fits(text),
            Value::Texts(texts) => texts.len() <= LIST_TEXTS_MAX && texts.iter().all(text_fits),
            Value::Flag(_) | Value::Time(_) | Value::Number(_) => true,
        };
        if !fits {
            return Err(InvalidAttribute::TooLong);
        }
        self.0.insert(attribute.name, value);
        Ok(())
    }

    /// Takes an attribute's value away.
    pub fn clear(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// A value.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A yes or no.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.0.get(name) {
            Some(Value::Flag(flag)) => Some(*flag),
            _ => None,
        }
    }

    /// A moment.
    #[must_use]
    pub fn time(&self, name: &str) -> Option<OffsetDateTime> {
        match self.0.get(name) {
            Some(Value::Time(time)) => Some(*time),
            _ => None,
        }
    }

    /// Sets the value of an extension. That it is registered and fits is the caller's to see to.
    ///
    /// # Errors
    /// When it is no name of an extension, or there are too many.
    pub fn set_extension(&mut self, name: &str, value: Extension) -> Result<(), InvalidAttribute> {
        if !Definition::is_name(name) {
            return Err(InvalidAttribute::Unknown);
        }
        if self.1.len() >= EXTENSIONS_MAX && !self.1.contains_key(name) {
            return Err(InvalidAttribute::TooLong);
        }
        self.1.insert(name.to_owned(), value);
        Ok(())
    }

    /// The value of an extension.
    #[must_use]
    pub fn extension(&self, name: &str) -> Option<&Extension> {
        self.1.get(name)
    }

    /// All extensions, by name.
    pub fn extensions(&self) -> impl Iterator<Item = (&str, &Extension)> {
        self.1.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// All of them but the extensions, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(&name, value)| (name, value))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_795_000_000).unwrap()
    }

    pub(crate) fn user(upn: &str) -> Object {
        let mut attributes = Attributes::default();
        attributes.set("userPrincipalName", Value::Text(upn.to_owned())).unwrap();
        attributes.set("accountEnabled", Value::Flag(true)).unwrap();
        Object {
            id: Guid::from_random([1; 16]),
            kind: Kind::User,
            anchor: Some(SourceAnchor::from(Guid::from_random([2; 16]))),
            attributes,
            created_at: now(),
            synchronised_at: Some(now()),
            deleted_at: None,
        }
    }

    #[test]
    fn attributes_outside_the_schema_or_of_another_shape_do_not_get_in() {
        let check = |name: &str, value: Value, expected: Result<(), InvalidAttribute>| {
            assert_eq!(Attributes::default().set(name, value), expected, "{name}");
        };
        check("displayName", Value::Text("Alice".to_owned()), Ok(()));
        check("unicodePwd", Value::Text("x".to_owned()), Err(InvalidAttribute::Unknown));
        check("accountEnabled", Value::Text("TRUE".to_owned()), Err(InvalidAttribute::WrongShape));
        check("displayName", Value::Text("x".repeat(8193)), Err(InvalidAttribute::TooLong));
    }
}
