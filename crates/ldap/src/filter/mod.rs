//! Search filters ([RFC 4511] section 4.5.1.7), as a tree.
//!
//! Their text form ([RFC 4515]) is read and printed in `text`; values that come from data are put
//! into the tree directly, so that nothing needs escaping.
//!
//! [RFC 4511]: https://www.rfc-editor.org/rfc/rfc4511#section-4.5.1.7
//! [RFC 4515]: https://www.rfc-editor.org/rfc/rfc4515

mod text;

use portolan_codec::{DecodeError, Fault};

pub use text::{FILTER_TEXT_OCTETS_MAX, InvalidFilter};

use crate::attribute::AttributeDescription;
use crate::ber::{Decoder, Encoder, Tag, utf8};

/// How deep `&`, `|` and `!` may nest.
pub const FILTER_DEPTH_MAX: usize = 24;
/// Parts that one set of filters, or one substring filter, may have.
pub const FILTER_PARTS_MAX: usize = 4096;

const AND: Tag = Tag::context_constructed(0);
const OR: Tag = Tag::context_constructed(1);
const NOT: Tag = Tag::context_constructed(2);
const EQUALITY: Tag = Tag::context_constructed(3);
const SUBSTRINGS: Tag = Tag::context_constructed(4);
const GREATER_OR_EQUAL: Tag = Tag::context_constructed(5);
const LESS_OR_EQUAL: Tag = Tag::context_constructed(6);
const PRESENT: Tag = Tag::context(7);
const APPROXIMATE: Tag = Tag::context_constructed(8);
const EXTENSIBLE: Tag = Tag::context_constructed(9);
const INITIAL: Tag = Tag::context(0);
const ANY: Tag = Tag::context(1);
const FINAL: Tag = Tag::context(2);
const MATCHING_RULE: Tag = Tag::context(1);
const TYPE: Tag = Tag::context(2);
const MATCH_VALUE: Tag = Tag::context(3);
const DN_ATTRIBUTES: Tag = Tag::context(4);

/// Filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// All of these; the empty set is always true (RFC 4526).
    And(Vec<Filter>),
    /// One of these; the empty set is never true (RFC 4526).
    Or(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
    /// A value of the attribute equals this one.
    Equality(AttributeDescription, Vec<u8>),
    /// A value of the attribute has these parts, in this order.
    Substrings(AttributeDescription, Substrings),
    /// A value of the attribute is this or follows it.
    GreaterOrEqual(AttributeDescription, Vec<u8>),
    /// A value of the attribute is this or precedes it.
    LessOrEqual(AttributeDescription, Vec<u8>),
    /// The attribute has a value.
    Present(AttributeDescription),
    /// A value of the attribute is about this one.
    Approximate(AttributeDescription, Vec<u8>),
    /// A named rule matches.
    Extensible(Extensible),
}

/// SubstringFilter: at least one part is there, and none is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Substrings {
    initial: Option<Vec<u8>>,
    any: Vec<Vec<u8>>,
    end: Option<Vec<u8>>,
}

/// MatchingRuleAssertion: a rule or an attribute is there, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extensible {
    rule: Option<AttributeDescription>,
    attribute: Option<AttributeDescription>,
    dn_attributes: bool,
    value: Vec<u8>,
}

impl Substrings {
    /// The parts: what a value begins with, has within and ends with; `None` when there is none,
    /// or one is empty.
    #[must_use]
    pub fn new(initial: Option<Vec<u8>>, any: Vec<Vec<u8>>, end: Option<Vec<u8>>) -> Option<Self> {
        let mut parts = initial.iter().chain(&any).chain(&end).peekable();
        parts.peek()?;
        let whole = parts.all(|part| !part.is_empty());
        whole.then_some(Self { initial, any, end })
    }
}

impl Extensible {
    /// An assertion by an attribute, a rule or both; `None` with neither.
    #[must_use]
    pub fn new(
        attribute: Option<AttributeDescription>,
        rule: Option<AttributeDescription>,
        dn_attributes: bool,
        value: Vec<u8>,
    ) -> Option<Self> {
        let named = attribute.is_some() || rule.is_some();
        named.then_some(Self { rule, attribute, dn_attributes, value })
    }
}

impl Filter {
    /// Writes the filter as one element.
    pub fn encode(&self, encoder: &mut Encoder) {
        let assertion = |encoder: &mut Encoder, tag, attribute: &AttributeDescription, value| {
            encoder.constructed(tag, |inner| {
                inner.text(attribute.as_str());
                inner.octets(value);
            });
        };
        let set = |encoder: &mut Encoder, tag, filters: &[Self]| {
            encoder.constructed(tag, |inner| filters.iter().for_each(|part| part.encode(inner)));
        };
        match self {
            Self::And(filters) => set(encoder, AND, filters),
            Self::Or(filters) => set(encoder, OR, filters),
            Self::Not(filter) => encoder.constructed(NOT, |inner| filter.encode(inner)),
            Self::Equality(attribute, value) => assertion(encoder, EQUALITY, attribute, value),
            Self::GreaterOrEqual(attribute, value) => {
                assertion(encoder, GREATER_OR_EQUAL, attribute, value);
            }
            Self::LessOrEqual(attribute, value) => {
                assertion(encoder, LESS_OR_EQUAL, attribute, value);
            }
            Self::Approximate(attribute, value) => {
                assertion(encoder, APPROXIMATE, attribute, value);
            }
            Self::Present(attribute) => encoder.primitive(PRESENT, attribute.as_str().as_bytes()),
            Self::Substrings(attribute, parts) => encoder.constructed(SUBSTRINGS, |inner| {
                inner.text(attribute.as_str());
                inner.constructed(Tag::SEQUENCE, |list| parts.encode(list));
            }),
            Self::Extensible(assertion) => {
                encoder.constructed(EXTENSIBLE, |inner| assertion.encode(inner));
            }
        }
    }

    /// The filter that is the next element.
    ///
    /// # Errors
    /// [`DecodeError`] when it is none, or breaks a limit of this module.
    pub fn decode(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Self::decode_at(decoder, 0)
    }

    fn decode_at(decoder: &mut Decoder<'_>, depth: usize) -> Result<Self, DecodeError> {
        limit(depth, FILTER_DEPTH_MAX, decoder)?;
        let Some(tag) = decoder.peek() else {
            return Err(decoder.fault(FIELD, Fault::Truncated { needed: 1, available: 0 }));
        };
        if tag == PRESENT {
            let offset = decoder.offset();
            return Ok(Self::Present(described(
                decoder.primitive(PRESENT, FIELD)?,
                offset,
                "present",
            )?));
        }
        let mut inner = decoder.constructed(tag, FIELD)?;
        let filter = match tag {
            AND => Self::And(set(&mut inner, depth)?),
            OR => Self::Or(set(&mut inner, depth)?),
            NOT => Self::Not(Box::new(Self::decode_at(&mut inner, depth + 1)?)),
            SUBSTRINGS => {
                let attribute = attribute(&mut inner)?;
                let mut list = inner.constructed(Tag::SEQUENCE, "substrings")?;
                Self::Substrings(attribute, Substrings::decode(&mut list)?)
            }
            EXTENSIBLE => Self::Extensible(Extensible::decode(&mut inner)?),
            EQUALITY => Self::Equality(attribute(&mut inner)?, value(&mut inner)?),
            GREATER_OR_EQUAL => Self::GreaterOrEqual(attribute(&mut inner)?, value(&mut inner)?),
            LESS_OR_EQUAL => Self::LessOrEqual(attribute(&mut inner)?, value(&mut inner)?),
            APPROXIMATE => Self::Approximate(attribute(&mut inner)?, value(&mut inner)?),
            other => {
                let expected = "a filter of RFC 4511";
                let found = other.octet().into();
                return Err(inner.fault(FIELD, Fault::Unexpected { expected, found }));
            }
        };
        inner.finish(FIELD)?;
        Ok(filter)
    }
}

impl Substrings {
    fn encode(&self, encoder: &mut Encoder) {
        if let Some(part) = &self.initial {
            encoder.primitive(INITIAL, part);
        }
        self.any.iter().for_each(|part| encoder.primitive(ANY, part));
        if let Some(part) = &self.end {
            encoder.primitive(FINAL, part);
        }
    }

    fn decode(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let initial = decoder.optional(INITIAL, "initial")?.map(<[u8]>::to_vec);
        let mut any = Vec::new();
        while let Some(part) = decoder.optional(ANY, "any")? {
            limit(any.len() + 1, FILTER_PARTS_MAX, decoder)?;
            any.push(part.to_vec());
        }
        let end = decoder.optional(FINAL, "final")?.map(<[u8]>::to_vec);
        decoder.finish("substrings")?;
        Self::new(initial, any, end).ok_or_else(|| {
            decoder.fault("substrings", Fault::Malformed("at least one part, and none empty"))
        })
    }
}

impl Extensible {
    fn encode(&self, encoder: &mut Encoder) {
        if let Some(rule) = &self.rule {
            encoder.primitive(MATCHING_RULE, rule.as_str().as_bytes());
        }
        if let Some(attribute) = &self.attribute {
            encoder.primitive(TYPE, attribute.as_str().as_bytes());
        }
        encoder.primitive(MATCH_VALUE, &self.value);
        if self.dn_attributes {
            encoder.boolean(DN_ATTRIBUTES, true);
        }
    }

    fn decode(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let offset = decoder.offset();
        let rule = decoder.optional(MATCHING_RULE, "matchingRule")?;
        let rule = rule.map(|rule| described(rule, offset, "matchingRule")).transpose()?;
        let offset = decoder.offset();
        let attribute = decoder.optional(TYPE, "type")?;
        let attribute = attribute.map(|name| described(name, offset, "type")).transpose()?;
        let value = decoder.primitive(MATCH_VALUE, "matchValue")?.to_vec();
        let dn_attributes = decoder.peek() == Some(DN_ATTRIBUTES)
            && decoder.boolean(DN_ATTRIBUTES, "dnAttributes")?;
        Self::new(attribute, rule, dn_attributes, value).ok_or_else(|| {
            decoder.fault("extensibleMatch", Fault::Malformed("a rule or an attribute is named"))
        })
    }
}

fn set(decoder: &mut Decoder<'_>, depth: usize) -> Result<Vec<Filter>, DecodeError> {
    let mut filters = Vec::new();
    while !decoder.is_empty() {
        limit(filters.len() + 1, FILTER_PARTS_MAX, decoder)?;
        filters.push(Filter::decode_at(decoder, depth + 1)?);
    }
    Ok(filters)
}

fn attribute(decoder: &mut Decoder<'_>) -> Result<AttributeDescription, DecodeError> {
    let offset = decoder.offset();
    described(decoder.octets("attributeDesc")?, offset, "attributeDesc")
}

fn value(decoder: &mut Decoder<'_>) -> Result<Vec<u8>, DecodeError> {
    decoder.octets("assertionValue").map(<[u8]>::to_vec)
}

fn described(
    octets: &[u8],
    offset: usize,
    field: &'static str,
) -> Result<AttributeDescription, DecodeError> {
    let text = utf8(octets, offset, field)?;
    text.parse()
        .map_err(|_| DecodeError::new(offset, field, Fault::Malformed("an attribute description")))
}

fn limit(found: usize, limit: usize, decoder: &Decoder<'_>) -> Result<(), DecodeError> {
    if found <= limit {
        return Ok(());
    }
    Err(decoder.fault(FIELD, Fault::AboveLimit { found: found as u64, limit: limit as u64 }))
}

/// The field that errors of this module name where no closer one does.
const FIELD: &str = "filter";

#[cfg(test)]
mod tests;
