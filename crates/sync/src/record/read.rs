//! Records being read.

use super::{RECORD_OCTETS_MAX, ValueRef};
use crate::dictionary::AttributeId;
use crate::source::Source;

pub(super) const TEXT: u64 = 0;
pub(super) const INTEGER: u64 = 1;
pub(super) const FALSE: u64 = 2;
pub(super) const TRUE: u64 = 3;
pub(super) const OCTETS: u64 = 4;

/// Octets that are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the attributes do not read at octet {at}")]
pub struct InvalidRecord {
    /// Where they stop to make sense.
    pub at: usize,
}

/// The values of one attribute.
#[derive(Debug, Clone, Copy, Default)]
pub struct Values<'a> {
    encoded: &'a [u8],
    one: Option<ValueRef<'a>>,
}

impl<'a> Values<'a> {
    /// One value that stands in no record.
    #[must_use]
    pub const fn one(value: ValueRef<'a>) -> Self {
        Self { encoded: &[], one: Some(value) }
    }

    /// Their octets as they stand in a record; `None` of a value that stands in none.
    pub(super) const fn encoded(&self) -> Option<&'a [u8]> {
        if self.one.is_some() { None } else { Some(self.encoded) }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.encoded.is_empty() && self.one.is_none()
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = ValueRef<'a>;

    fn next(&mut self) -> Option<ValueRef<'a>> {
        if let Some(value) = self.one.take() {
            return Some(value);
        }
        let (value, rest) = value(self.encoded)?;
        self.encoded = rest;
        Some(value)
    }
}

/// Where the attributes of a record stand: for those who look many of them up.
#[derive(Debug, Clone)]
pub struct Index<'a> {
    ids: Vec<AttributeId>,
    bodies: Vec<&'a [u8]>,
}

impl<'a> Index<'a> {
    pub(super) fn of(octets: &'a [u8]) -> Self {
        let mut index = Self { ids: Vec::with_capacity(48), bodies: Vec::with_capacity(48) };
        for (id, body) in bodies(octets) {
            index.ids.push(id);
            index.bodies.push(body);
        }
        index
    }
}

impl Source for Index<'_> {
    fn values(&self, attribute: AttributeId) -> Values<'_> {
        match self.ids.binary_search(&attribute) {
            Ok(at) => Values { encoded: self.bodies[at], one: None },
            Err(_) => Values::default(),
        }
    }
}

/// All attributes of a record.
#[derive(Debug, Clone)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    pub(super) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (AttributeId, Values<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (id, encoded, rest) = attribute(self.rest)?;
        self.rest = rest;
        Some((id, Values { encoded, one: None }))
    }
}

/// Every attribute with its encoded values.
pub(super) fn bodies(mut octets: &[u8]) -> impl Iterator<Item = (AttributeId, &[u8])> {
    std::iter::from_fn(move || {
        let (id, body, rest) = attribute(octets)?;
        octets = rest;
        Some((id, body))
    })
}

pub(super) fn find(mut octets: &[u8], wanted: AttributeId) -> Values<'_> {
    while let Some((id, encoded, rest)) = attribute(octets) {
        if id >= wanted {
            let encoded = if id == wanted { encoded } else { &[] };
            return Values { encoded, one: None };
        }
        octets = rest;
    }
    Values::default()
}

/// Follows every length and reads every value.
pub(super) fn check(octets: &[u8]) -> Result<(), InvalidRecord> {
    let mut rest = octets;
    let mut last = None;
    let at = |rest: &[u8]| InvalidRecord { at: octets.len() - rest.len() };
    if octets.len() > RECORD_OCTETS_MAX {
        return Err(InvalidRecord { at: RECORD_OCTETS_MAX });
    }
    while !rest.is_empty() {
        let (id, mut body, after) = attribute(rest).ok_or_else(|| at(rest))?;
        if last.is_some_and(|last| id <= last) || body.is_empty() {
            return Err(at(rest));
        }
        last = Some(id);
        while !body.is_empty() {
            (_, body) = value(body).ok_or_else(|| at(rest))?;
        }
        rest = after;
    }
    Ok(())
}

fn attribute(octets: &[u8]) -> Option<(AttributeId, &[u8], &[u8])> {
    let (number, rest) = varint(octets)?;
    let (length, rest) = varint(rest)?;
    let (body, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((AttributeId(u16::try_from(number).ok()?), body, rest))
}

fn value(octets: &[u8]) -> Option<(ValueRef<'_>, &[u8])> {
    let (head, rest) = varint(octets)?;
    let (octets, rest) = rest.split_at_checked(usize::try_from(head >> 3).ok()?)?;
    let value = match head & 7 {
        TEXT => ValueRef::Text(std::str::from_utf8(octets).ok()?),
        OCTETS => ValueRef::Octets(octets),
        FALSE => ValueRef::Boolean(false),
        TRUE => ValueRef::Boolean(true),
        INTEGER => {
            let fill = if octets.last()? & 0x80 == 0 { 0 } else { 0xff };
            let mut number = [fill; 8];
            number.get_mut(..octets.len())?.copy_from_slice(octets);
            ValueRef::Integer(i64::from_le_bytes(number))
        }
        _ => return None,
    };
    Some((value, rest))
}

fn varint(octets: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (at, octet) in octets.iter().enumerate().take(9) {
        number |= u64::from(octet & 0x7f) << (7 * at);
        if octet & 0x80 == 0 {
            return Some((number, &octets[at + 1..]));
        }
    }
    None
}
