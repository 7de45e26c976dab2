//! Attribute descriptions ([RFC 4512] section 2.5) and Active Directory's range option.
//!
//! [RFC 4512]: https://www.rfc-editor.org/rfc/rfc4512#section-2.5

use std::fmt;
use std::str::FromStr;

use portolan_model::InvalidName;

/// Octets a description may have here.
pub const DESCRIPTION_OCTETS_MAX: usize = 512;

/// The name or object identifier of an attribute, with its options: `cn`, `2.5.4.3`, `cn;lang-de`.
/// Active Directory's range option is outside that grammar, and of no use in a filter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AttributeDescription(String);

impl AttributeDescription {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AttributeDescription {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let refuse = |rule| InvalidName {
            noun: "attribute description",
            text: text.chars().take(DESCRIPTION_OCTETS_MAX).collect(),
            rule,
        };
        if text.len() > DESCRIPTION_OCTETS_MAX {
            return Err(refuse("at most 512 octets"));
        }
        let mut parts = text.split(';');
        if !parts.next().is_some_and(|name| is_descriptor(name) || is_object_identifier(name)) {
            return Err(refuse("a name or a dotted object identifier comes first"));
        }
        if !parts.all(|option| option.bytes().all(is_option_octet) && !option.is_empty()) {
            return Err(refuse("an option is letters, digits and hyphens"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for AttributeDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_descriptor(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
}

/// Dotted decimal (RFC 4512 section 1.4): at least two numbers without leading zeros.
fn is_object_identifier(text: &str) -> bool {
    let number = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|octet| octet.is_ascii_digit())
            && (part.len() == 1 || !part.starts_with('0'))
    };
    text.contains('.') && text.split('.').all(number)
}

fn is_option_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || octet == b'-'
}

/// Which of an attribute's values a server sent or is to send: `range=0-1499`
/// ([MS-ADTS] section 3.1.1.3.1.3.3).
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueRange {
    /// The first value's index.
    pub low: u32,
    /// The last value's index; `None`, written `*`, when these are all up to the end.
    pub high: Option<u32>,
}

impl ValueRange {
    /// The range of an option, if it is a range option.
    #[must_use]
    pub fn of_option(option: &str) -> Option<Self> {
        let (key, range) = option.split_once('=')?;
        let (low, high) = range.split_once('-')?;
        if !key.eq_ignore_ascii_case("range") {
            return None;
        }
        let low = index(low)?;
        let high = if high == "*" { None } else { Some(index(high)?) };
        high.is_none_or(|high| low <= high).then_some(Self { low, high })
    }

    /// The range to ask for after this one; `None` when this was the last.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        let low = self.high?.checked_add(1)?;
        Some(Self { low, high: None })
    }
}

/// An index in decimal, without a sign.
fn index(text: &str) -> Option<u32> {
    text.bytes().all(|octet| octet.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl fmt::Display for ValueRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.high {
            Some(high) => write!(f, "range={}-{high}", self.low),
            None => write!(f, "range={}-*", self.low),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_follow_the_grammar() {
        for text in ["cn", "2.5.4.3", "cn;lang-de", "msDS-KeyVersionNumber"] {
            assert_eq!(text.parse::<AttributeDescription>().unwrap().as_str(), text);
        }
        for text in [
            "",
            "1cn",
            "c n",
            "2",
            "2..5",
            "02.5",
            "cn;",
            "cn;range=0-*",
            "cn;;x",
            "cn)(x",
            "c\0n",
            "ü",
        ] {
            assert!(text.parse::<AttributeDescription>().is_err(), "{text:?}");
        }
        assert!("a".repeat(513).parse::<AttributeDescription>().is_err());
    }

    #[test]
    fn range_options_are_read_and_printed() {
        let check = |option: &str, low, high| {
            let range = ValueRange::of_option(option).unwrap();
            assert_eq!(range, ValueRange { low, high });
            assert_eq!(range.to_string(), option.to_ascii_lowercase());
        };
        check("range=0-1499", 0, Some(1499));
        check("Range=1500-*", 1500, None);
        for option in [
            "range",
            "range=",
            "range=1",
            "range=-1",
            "range=+1-2",
            "lang=1-2",
            "range=*-1",
            "range=2-1",
        ] {
            assert_eq!(ValueRange::of_option(option), None, "{option}");
        }
        let first = ValueRange { low: 0, high: Some(1499) };
        assert_eq!(first.next().unwrap().to_string(), "range=1500-*");
        assert_eq!(ValueRange { low: 1500, high: None }.next(), None);
    }
}
