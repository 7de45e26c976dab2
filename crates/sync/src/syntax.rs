//! The syntax of attributes: what the octets that a directory gives are as a [`Value`].
//!
//! The table is that of Active Directory's schema with Exchange's, for the classes that are
//! synchronised. An attribute that nothing is known of is text if it is UTF-8, and octets otherwise.

mod tenant;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use time::{Date, Month, PrimitiveDateTime, Time};

use crate::dictionary::{AttributeId, Dictionary};
use crate::filetime::rfc3339;
use crate::record::Value;

pub use tenant::{
    is_extension, is_of_tenant, of_metaverse, of_tenant, tenant_names, tenant_spelling,
};

/// What the values of an attribute are ([MS-ADTS] 3.1.1.2.2).
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Syntax {
    /// A text.
    Text,
    /// A number: INTEGER, LargeInteger and Enumeration.
    Integer,
    /// TRUE or FALSE.
    Boolean,
    /// Octets.
    Octets,
    /// A security identifier, as octets.
    Sid,
    /// A GUID, as sixteen octets in the directory's order.
    Guid,
    /// A point in time, as a text of RFC 3339.
    Time,
    /// Another object. References are not in records; the state keeps them as edges.
    Reference,
}

impl Syntax {
    /// Every syntax with its name in files.
    pub const NAMED: [(&'static str, Self); 8] = [
        ("text", Self::Text),
        ("integer", Self::Integer),
        ("boolean", Self::Boolean),
        ("octets", Self::Octets),
        ("sid", Self::Sid),
        ("guid", Self::Guid),
        ("time", Self::Time),
        ("reference", Self::Reference),
    ];

    /// The syntax with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(other, _)| *other == name).map(|(_, syntax)| *syntax)
    }

    /// Its name in files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::NAMED.iter().find(|(_, syntax)| *syntax == self).map_or("?", |(name, _)| name)
    }

    /// What values of this syntax are in a record. References are in none.
    #[must_use]
    pub const fn form(self) -> Form {
        match self {
            Self::Text | Self::Time => Form::Text,
            Self::Integer => Form::Integer,
            Self::Boolean => Form::Boolean,
            Self::Octets | Self::Sid | Self::Guid => Form::Octets,
            Self::Reference => Form::Reference,
        }
    }
}

/// What a value is where it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// [`Value::Text`].
    Text,
    /// [`Value::Integer`].
    Integer,
    /// [`Value::Boolean`].
    Boolean,
    /// [`Value::Octets`].
    Octets,
    /// An edge to another object.
    Reference,
}

impl Form {
    /// The form of a value.
    #[must_use]
    pub const fn of(value: &Value) -> Self {
        match value {
            Value::Text(_) => Self::Text,
            Value::Integer(_) => Self::Integer,
            Value::Boolean(_) => Self::Boolean,
            Value::Octets(_) => Self::Octets,
        }
    }

    /// Its name, to be shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "a number",
            Self::Boolean => "a truth value",
            Self::Octets => "octets",
            Self::Reference => "a reference",
        }
    }
}

/// What is known of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declaration {
    /// What its values are.
    pub syntax: Syntax,
    /// Whether it has one value at most.
    pub single: bool,
}

/// The table of the schema: a line an attribute, with its syntax and `one` or `many`.
const SCHEMA: &str = include_str!("syntax/schema.txt");

static KNOWN: LazyLock<HashMap<String, Declaration>> = LazyLock::new(|| {
    let lines = SCHEMA.lines().filter(|line| !line.starts_with('#'));
    let parsed = lines.filter_map(|line| {
        let (name, rest) = line.split_once(' ')?;
        let (syntax, count) = rest.split_once(' ')?;
        let syntax = Syntax::from_name(syntax)?;
        Some((name.to_ascii_lowercase(), Declaration { syntax, single: count == "one" }))
    });
    parsed.collect()
});

/// The syntaxes of a forest's attributes: the schema's, and those that rule files declare.
#[derive(Debug, Clone, Default)]
pub struct Syntaxes {
    declared: HashMap<String, Declaration>,
}

impl Syntaxes {
    /// What is known of an attribute; `None` if nothing is. A declaration counts more than the schema.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<Declaration> {
        let name = name.to_ascii_lowercase();
        self.declared.get(&name).or_else(|| KNOWN.get(&name)).copied()
    }

    /// Declares an attribute that the schema does not have, or has otherwise.
    pub fn declare(&mut self, name: &str, declaration: Declaration) {
        self.declared.insert(name.to_ascii_lowercase(), declaration);
    }

    /// The attributes that were declared, by name in lower case.
    pub fn declared(&self) -> impl Iterator<Item = (&str, Declaration)> {
        self.declared.iter().map(|(name, declaration)| (name.as_str(), *declaration))
    }

    /// The syntaxes by the names' numbers, for what decodes many values.
    #[must_use]
    pub fn numbered(&self, names: &Dictionary) -> NumberedSyntaxes {
        let syntaxes = names.names().map(|name| self.of(name).map(|known| known.syntax));
        NumberedSyntaxes { syntaxes: syntaxes.collect() }
    }
}

/// Syntaxes by the numbers of attributes.
#[derive(Debug, Clone)]
pub struct NumberedSyntaxes {
    syntaxes: Vec<Option<Syntax>>,
}

impl NumberedSyntaxes {
    /// The syntax of an attribute, if it is known.
    #[must_use]
    pub fn of(&self, attribute: AttributeId) -> Option<Syntax> {
        self.syntaxes.get(usize::from(attribute.0)).copied().flatten()
    }

    /// The value that a directory's octets are.
    #[must_use]
    pub fn decode(&self, attribute: AttributeId, octets: &[u8]) -> Option<Value> {
        decode(self.of(attribute), octets)
    }
}

/// The value that a directory's octets are. What is not of its syntax is text if it is UTF-8 and octets
/// otherwise, so that no value is lost; an empty one is none, as in the directory itself. References
/// have no value.
#[must_use]
pub fn decode(syntax: Option<Syntax>, octets: &[u8]) -> Option<Value> {
    if octets.is_empty() || syntax == Some(Syntax::Reference) {
        return None;
    }
    if syntax.is_some_and(|syntax| syntax.form() == Form::Octets) {
        return Some(Value::Octets(octets.to_vec()));
    }
    let Ok(text) = std::str::from_utf8(octets) else { return Some(Value::Octets(octets.to_vec())) };
    let typed = match syntax {
        Some(Syntax::Integer) => text.parse().ok().map(Value::Integer),
        Some(Syntax::Boolean) => boolean(text).map(Value::Boolean),
        Some(Syntax::Time) => generalized_time(text).map(Value::Text),
        _ => None,
    };
    Some(typed.unwrap_or_else(|| Value::Text(text.to_owned())))
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "TRUE" => Some(true),
        "FALSE" => Some(false),
        _ => None,
    }
}

/// `GeneralizedTime` as Active Directory writes it: `20240229120000.0Z` (RFC 4517 section 3.3.13), and
/// `UTCTime` with two digits of the year (section 3.3.34).
fn generalized_time(text: &str) -> Option<String> {
    let body = text.strip_suffix('Z')?;
    let (digits, _fraction) = body.split_once('.').unwrap_or((body, ""));
    let full = match digits.len() {
        14 => digits.to_owned(),
        // X.680 46.3: of two digits, those from 50 on are of the last century.
        12 if digits >= "50" => format!("19{digits}"),
        12 => format!("20{digits}"),
        _ => return None,
    };
    let part = |from: usize, to: usize| full.get(from..to)?.parse::<u8>().ok();
    let year = full.get(..4)?.parse().ok()?;
    let date =
        Date::from_calendar_date(year, Month::try_from(part(4, 6)?).ok()?, part(6, 8)?).ok()?;
    let time = Time::from_hms(part(8, 10)?, part(10, 12)?, part(12, 14)?).ok()?;
    rfc3339(PrimitiveDateTime::new(date, time).assume_utc())
}

/// Octets as lower-case hexadecimal.
#[must_use]
pub fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        // Writing to a String does not fail.
        let _ = write!(text, "{octet:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_schema_reads_and_names_are_found_in_every_case() {
        let lines = SCHEMA.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(KNOWN.len(), lines);
        let syntaxes = Syntaxes::default();
        let of = |name: &str| syntaxes.of(name).map(|known| (known.syntax, known.single));
        assert_eq!(of("OBJECTSID"), Some((Syntax::Sid, true)));
        assert_eq!(of("proxyAddresses"), Some((Syntax::Text, false)));
        assert_eq!(of("member"), Some((Syntax::Reference, false)));
        assert_eq!(of("pwdLastSet"), Some((Syntax::Integer, true)));
        assert_eq!(of("nobody"), None);
    }

    #[test]
    fn octets_become_values_by_their_syntax_and_none_is_lost() {
        let text = |text: &str| Some(Value::Text(text.to_owned()));
        let cases: [(Option<Syntax>, &[u8], Option<Value>); 13] = [
            (Some(Syntax::Integer), b"-2147483646", Some(Value::Integer(-2_147_483_646))),
            (Some(Syntax::Integer), b"9223372036854775807", Some(Value::Integer(i64::MAX))),
            (Some(Syntax::Integer), b"9223372036854775808", text("9223372036854775808")),
            (Some(Syntax::Boolean), b"TRUE", Some(Value::Boolean(true))),
            (Some(Syntax::Boolean), b"true", text("true")),
            (Some(Syntax::Sid), b"\x01\x01", Some(Value::Octets(vec![1, 1]))),
            (Some(Syntax::Time), b"20240229120000.0Z", text("2024-02-29T12:00:00Z")),
            (Some(Syntax::Time), b"20230229120000.0Z", text("20230229120000.0Z")),
            (Some(Syntax::Time), b"990101000000Z", text("1999-01-01T00:00:00Z")),
            (Some(Syntax::Reference), b"CN=a", None),
            (None, "çà".as_bytes(), text("çà")),
            (None, b"\xff", Some(Value::Octets(vec![0xff]))),
            (Some(Syntax::Text), b"", None),
        ];
        for (syntax, octets, expected) in cases {
            assert_eq!(decode(syntax, octets), expected, "{syntax:?} {octets:?}");
        }
    }

    #[test]
    fn a_declaration_counts_more_than_the_schema() {
        let mut syntaxes = Syntaxes::default();
        syntaxes.declare("Info", Declaration { syntax: Syntax::Integer, single: true });
        let mut names = Dictionary::default();
        let [info, mail] = ["info", "mail"].map(|name| names.intern(name).unwrap());
        let numbered = syntaxes.numbered(&names);
        assert_eq!(numbered.of(info), Some(Syntax::Integer));
        assert_eq!(numbered.decode(mail, b"7"), Some(Value::Text("7".to_owned())));
        assert_eq!(numbered.of(AttributeId(9)), None);
    }
}
