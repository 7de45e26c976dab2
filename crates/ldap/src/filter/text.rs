//! The text of filters ([RFC 4515] section 3).
//!
//! [RFC 4515]: https://www.rfc-editor.org/rfc/rfc4515#section-3

use std::fmt;
use std::str::FromStr;

use super::{Extensible, FILTER_DEPTH_MAX, FILTER_PARTS_MAX, Filter, Substrings};
use crate::attribute::AttributeDescription;

/// Octets the text of a filter may have.
pub const FILTER_TEXT_OCTETS_MAX: usize = 256 * 1024;

/// A text that is no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no filter at octet {offset}: {rule}")]
pub struct InvalidFilter {
    /// Octets before the place.
    pub offset: usize,
    /// The rule that is broken there.
    pub rule: &'static str,
}

impl FromStr for Filter {
    type Err = InvalidFilter;

    fn from_str(text: &str) -> Result<Self, InvalidFilter> {
        let mut parser = Parser { text, position: 0 };
        if text.len() > FILTER_TEXT_OCTETS_MAX {
            return Err(parser.refuse("the text is above the limit of 262144 octets"));
        }
        let filter = parser.filter(0)?;
        if parser.position < text.len() {
            return Err(parser.refuse("nothing follows the last parenthesis"));
        }
        Ok(filter)
    }
}

struct Parser<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Parser<'a> {
    fn filter(&mut self, depth: usize) -> Result<Filter, InvalidFilter> {
        if depth > FILTER_DEPTH_MAX {
            return Err(self.refuse("filters nest at most 24 deep"));
        }
        self.expect(b'(', "a filter begins with a parenthesis")?;
        let filter = match self.peek() {
            Some(b'&') => Filter::And(self.set(depth)?),
            Some(b'|') => Filter::Or(self.set(depth)?),
            Some(b'!') => {
                self.position += 1;
                Filter::Not(Box::new(self.filter(depth + 1)?))
            }
            _ => self.item()?,
        };
        self.expect(b')', "a filter ends with a parenthesis")?;
        Ok(filter)
    }

    fn set(&mut self, depth: usize) -> Result<Vec<Filter>, InvalidFilter> {
        self.position += 1;
        let mut filters = Vec::new();
        while self.peek() == Some(b'(') {
            if filters.len() == FILTER_PARTS_MAX {
                return Err(self.refuse("a set has at most 4096 filters"));
            }
            filters.push(self.filter(depth + 1)?);
        }
        Ok(filters)
    }

    fn item(&mut self) -> Result<Filter, InvalidFilter> {
        let start = self.position;
        let head = self.until(|octet| matches!(octet, b'=' | b'(' | b')'));
        let (head, operator) = match head.as_bytes().last() {
            Some(octet @ (b'>' | b'<' | b'~' | b':')) => (&head[..head.len() - 1], *octet),
            _ => (head, b'='),
        };
        self.expect(b'=', "an attribute is followed by =, >=, <=, ~= or :=")?;
        if operator == b':' {
            let (attribute, rule, dn_attributes) = extensible_head(head, start)?;
            let [value] = &mut self.parts(false)?[..] else {
                return Err(self.refuse("an asterisk in a value is written \\2a"));
            };
            let assertion = Extensible::new(attribute, rule, dn_attributes, std::mem::take(value));
            let rule = "an extensible match names an attribute or a rule";
            return assertion.map(Filter::Extensible).ok_or(InvalidFilter { offset: start, rule });
        }
        let attribute = described(head, start)?;
        if operator == b'=' {
            return self.equality(attribute);
        }
        let [value] = &mut self.parts(false)?[..] else {
            return Err(self.refuse("an asterisk in a value is written \\2a"));
        };
        let value = std::mem::take(value);
        Ok(match operator {
            b'>' => Filter::GreaterOrEqual(attribute, value),
            b'<' => Filter::LessOrEqual(attribute, value),
            _ => Filter::Approximate(attribute, value),
        })
    }

    /// What follows `attribute=`: presence, substrings or a value.
    fn equality(&mut self, attribute: AttributeDescription) -> Result<Filter, InvalidFilter> {
        let mut parts = self.parts(true)?;
        if let [value] = &mut parts[..] {
            return Ok(Filter::Equality(attribute, std::mem::take(value)));
        }
        if parts.len() == 2 && parts.iter().all(Vec::is_empty) {
            return Ok(Filter::Present(attribute));
        }
        let filled = |part: Option<Vec<u8>>| part.filter(|part| !part.is_empty());
        let end = filled(parts.pop());
        let mut parts = parts.into_iter();
        let initial = filled(parts.next());
        let substrings = Substrings::new(initial, parts.collect(), end);
        let substrings =
            substrings.ok_or_else(|| self.refuse("something stands between two asterisks"))?;
        Ok(Filter::Substrings(attribute, substrings))
    }

    /// A value without its escapes, split at asterisks.
    fn parts(&mut self, asterisks: bool) -> Result<Vec<Vec<u8>>, InvalidFilter> {
        let mut parts = vec![Vec::new()];
        let octets = self.text.as_bytes();
        while let Some(octet) = self.peek() {
            let mut value = octet;
            match octet {
                b')' => break,
                b'*' if asterisks && parts.len() <= FILTER_PARTS_MAX => {
                    self.position += 1;
                    parts.push(Vec::new());
                    continue;
                }
                b'*' | b'(' | 0 => {
                    return Err(self.refuse("this octet is written as an escape in a value"));
                }
                b'\\' => {
                    let digits = octets.get(self.position + 1..self.position + 3);
                    let decoded = digits.and_then(escaped);
                    let rule = "a backslash is followed by two hexadecimal digits";
                    value = decoded.ok_or_else(|| self.refuse(rule))?;
                    self.position += 2;
                }
                _ => {}
            }
            self.position += 1;
            if let Some(part) = parts.last_mut() {
                part.push(value);
            }
        }
        Ok(parts)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    fn expect(&mut self, octet: u8, rule: &'static str) -> Result<(), InvalidFilter> {
        if self.peek() != Some(octet) {
            return Err(self.refuse(rule));
        }
        self.position += 1;
        Ok(())
    }

    /// The text up to an ASCII octet that `stop` names, or to the end.
    fn until(&mut self, stop: impl Fn(u8) -> bool) -> &'a str {
        let start = self.position;
        while self.peek().is_some_and(|octet| !stop(octet)) {
            self.position += 1;
        }
        // An ASCII octet stands there, or the end: never the inside of a character.
        &self.text[start..self.position]
    }

    const fn refuse(&self, rule: &'static str) -> InvalidFilter {
        InvalidFilter { offset: self.position, rule }
    }
}

type ExtensibleHead = (Option<AttributeDescription>, Option<AttributeDescription>, bool);

/// What stands before `:=`: `[attribute][:dn][:rule]`.
fn extensible_head(head: &str, start: usize) -> Result<ExtensibleHead, InvalidFilter> {
    let refuse = |rule| InvalidFilter { offset: start, rule };
    let mut parts = head.split(':');
    let attribute = parts.next().filter(|part| !part.is_empty());
    let attribute = attribute.map(|part| described(part, start)).transpose()?;
    let mut part = parts.next();
    let dn_attributes = part.is_some_and(|part| part.eq_ignore_ascii_case("dn"));
    if dn_attributes {
        part = parts.next();
    }
    let rule = part.map(|part| described(part, start)).transpose()?;
    if parts.next().is_some() {
        return Err(refuse("an extensible match is [attribute][:dn][:rule]:=value"));
    }
    Ok((attribute, rule, dn_attributes))
}

fn described(text: &str, offset: usize) -> Result<AttributeDescription, InvalidFilter> {
    let rule = "an attribute or a rule is a name or a dotted object identifier";
    text.parse().map_err(|_| InvalidFilter { offset, rule })
}

fn escaped(digits: &[u8]) -> Option<u8> {
    let digit = |octet: u8| char::from(octet).to_digit(16);
    let [high, low] = digits else { return None };
    u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(filters) => set(f, '&', filters),
            Self::Or(filters) => set(f, '|', filters),
            Self::Not(filter) => write!(f, "(!{filter})"),
            Self::Equality(attribute, value) => write!(f, "({attribute}={})", Escaped(value)),
            Self::GreaterOrEqual(attribute, value) => {
                write!(f, "({attribute}>={})", Escaped(value))
            }
            Self::LessOrEqual(attribute, value) => write!(f, "({attribute}<={})", Escaped(value)),
            Self::Approximate(attribute, value) => write!(f, "({attribute}~={})", Escaped(value)),
            Self::Present(attribute) => write!(f, "({attribute}=*)"),
            Self::Substrings(attribute, parts) => write!(f, "({attribute}={parts})"),
            Self::Extensible(assertion) => write!(f, "({assertion})"),
        }
    }
}

fn set(f: &mut fmt::Formatter<'_>, operator: char, filters: &[Filter]) -> fmt::Result {
    write!(f, "({operator}")?;
    filters.iter().try_for_each(|filter| write!(f, "{filter}"))?;
    f.write_str(")")
}

impl fmt::Display for Substrings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part =
            |part: &Option<Vec<u8>>| Escaped(part.as_deref().unwrap_or_default()).to_string();
        write!(f, "{}*", part(&self.initial))?;
        self.any.iter().try_for_each(|part| write!(f, "{}*", Escaped(part)))?;
        f.write_str(&part(&self.end))
    }
}

impl fmt::Display for Extensible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(attribute) = &self.attribute {
            write!(f, "{attribute}")?;
        }
        if self.dn_attributes {
            f.write_str(":dn")?;
        }
        if let Some(rule) = &self.rule {
            write!(f, ":{rule}")?;
        }
        write!(f, ":={}", Escaped(&self.value))
    }
}

/// A value as text: what the grammar reserves, control characters and what is not UTF-8 escaped.
struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '(' | ')' | '*' | '\\' => write!(f, "\\{:02x}", u32::from(c))?,
                    c if c.is_ascii_control() => write!(f, "\\{:02x}", u32::from(c))?,
                    c => write!(f, "{c}")?,
                }
            }
            chunk.invalid().iter().try_for_each(|octet| write!(f, "\\{octet:02x}"))?;
        }
        Ok(())
    }
}
