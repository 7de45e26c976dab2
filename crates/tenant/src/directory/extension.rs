//! Directory extensions: attributes that an administrator adds to the schema, named
//! `extension_<application id without hyphens>_<name>` ([extensions]).
//!
//! [extensions]: https://learn.microsoft.com/graph/api/resources/extensionproperty

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portolan_model::Guid;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Kind;

/// Extensions of which one object has values.
pub const EXTENSIONS_MAX: usize = 100;

/// Values of one extension of one object.
const VALUES_MAX: usize = 100;

/// Characters of a text, and octets of octets.
const LENGTH_MAX: usize = 256;

/// Characters of the name behind the application's id.
const NAME_CHARS_MAX: usize = 64;

/// What the values of an extension are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataType {
    /// Texts.
    Text,
    /// Whole numbers of 64 bits.
    Integer,
    /// Yes or no.
    Flag,
    /// Moments.
    Time,
    /// Octets.
    Octets,
}

impl DataType {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Text, Self::Integer, Self::Flag, Self::Time, Self::Octets];

    /// Graph's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "String",
            Self::Integer => "Integer",
            Self::Flag => "Boolean",
            Self::Time => "DateTime",
            Self::Octets => "Binary",
        }
    }

    /// From Graph's word for it, in any case.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(word))
    }
}

/// A value of an extension. Moments and octets come as texts, and are what their definition says from
/// when they fit it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extension {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Yes or no.
    Flag(bool),
    /// A moment.
    Time(OffsetDateTime),
    /// Octets.
    Octets(Vec<u8>),
    /// Several values, none of them a list.
    List(Vec<Self>),
}

impl Extension {
    /// Octets of its texts.
    #[must_use]
    pub fn octets(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Octets(octets) => octets.len(),
            Self::List(values) => values.iter().map(Self::octets).sum(),
            Self::Integer(_) | Self::Flag(_) | Self::Time(_) => 0,
        }
    }
}

/// An extension that is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Its whole name.
    pub name: String,
    /// What its values are.
    pub data_type: DataType,
    /// Whether there are several.
    pub is_list: bool,
    /// The kinds of objects that have it.
    pub kinds: Vec<Kind>,
}

impl Definition {
    /// The whole name of an extension of an application; `None` when the name is no letters, digits and
    /// underscores, a letter first.
    #[must_use]
    pub fn whole_name(application: Guid, name: &str) -> Option<String> {
        let whole = format!("extension_{}_{name}", application.to_string().replace('-', ""));
        Self::is_name(&whole).then_some(whole)
    }

    /// Whether a word is the whole name of an extension, registered or not.
    #[must_use]
    pub fn is_name(word: &str) -> bool {
        let rest = word.strip_prefix("extension_").and_then(|rest| rest.split_once('_'));
        rest.is_some_and(|(id, name)| {
            let is_id =
                id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            is_id
                && name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.len() <= NAME_CHARS_MAX
                && name.chars().all(is_word)
        })
    }

    /// A value as the definition has it; `None` when it does not fit. A sync server does not know the definition:
    /// a value that is alone may come as it is or as a list of one, whether there can be several or not.
    #[must_use]
    pub fn fit(&self, sent: Extension) -> Option<Extension> {
        let mut values = match sent {
            Extension::List(values) => values,
            one => vec![one],
        };
        if !self.is_list {
            let only = values.pop().filter(|_| values.is_empty())?;
            return self.fit_one(only);
        }
        if values.len() > VALUES_MAX {
            return None;
        }
        let fit = values.into_iter().map(|value| self.fit_one(value));
        fit.collect::<Option<_>>().map(Extension::List)
    }

    fn fit_one(&self, sent: Extension) -> Option<Extension> {
        match (self.data_type, sent) {
            (DataType::Text, Extension::Text(text)) => {
                (text.chars().count() <= LENGTH_MAX).then_some(Extension::Text(text))
            }
            (DataType::Integer, value @ Extension::Integer(_))
            | (DataType::Flag, value @ Extension::Flag(_)) => Some(value),
            (DataType::Time, Extension::Text(text)) => {
                OffsetDateTime::parse(&text, &Rfc3339).ok().map(Extension::Time)
            }
            (DataType::Octets, Extension::Text(text)) => {
                let octets = STANDARD.decode(text).ok()?;
                (octets.len() <= LENGTH_MAX).then_some(Extension::Octets(octets))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_an_applications_id_and_a_word() {
        let id: Guid = "11111111-2222-4333-8444-5555555555ab".parse().unwrap();
        let whole = "extension_111111112222433384445555555555ab_costCentre1";
        assert_eq!(Definition::whole_name(id, "costCentre1").as_deref(), Some(whole));
        for name in ["", "1a", "a-b", "a b", "é", &"a".repeat(65)] {
            assert_eq!(Definition::whole_name(id, name), None, "{name}");
        }
        for word in ["extension_1_a", "extensionAttribute1", "extension_", &whole.to_uppercase()] {
            assert!(!Definition::is_name(word), "{word}");
        }
    }

    #[test]
    fn values_fit_their_definition_or_are_none() {
        let check = |data_type: DataType, is_list: bool, sent: Extension, fits: bool| {
            let (name, kinds) = ("x".to_owned(), vec![Kind::User]);
            let definition = Definition { name, data_type, is_list, kinds };
            assert_eq!(definition.fit(sent.clone()).is_some(), fits, "{data_type:?} {sent:?}");
        };
        let text = |text: &str| Extension::Text(text.to_owned());
        check(DataType::Text, false, text(&"ä".repeat(256)), true);
        check(DataType::Text, false, text(&"ä".repeat(257)), false);
        check(DataType::Text, false, Extension::Integer(1), false);
        check(DataType::Text, true, Extension::List(vec![text("a"), text("b")]), true);
        check(DataType::Text, true, Extension::List(vec![text("a"); 101]), false);
        check(DataType::Text, false, Extension::List(vec![text("a")]), true);
        check(DataType::Text, false, Extension::List(vec![text("a"), text("b")]), false);
        check(DataType::Text, false, Extension::List(vec![]), false);
        check(DataType::Text, true, text("a"), true);
        check(DataType::Text, true, Extension::Integer(1), false);
        check(DataType::Integer, false, Extension::Integer(-7), true);
        check(DataType::Flag, false, Extension::Flag(true), true);
        check(DataType::Time, false, text("2026-11-22T00:00:00Z"), true);
        check(DataType::Time, false, text("yesterday"), false);
        check(DataType::Octets, false, text("AAEC"), true);
        check(DataType::Octets, false, text("%%"), false);
        check(DataType::Octets, true, Extension::List(vec![Extension::List(vec![])]), false);
    }
}
