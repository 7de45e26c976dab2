//! Values while an expression is evaluated, and what it comes to.

use std::borrow::Cow;

use time::OffsetDateTime;

use super::error::Why;
use super::kinds::Kinds;
use crate::filetime::rfc3339;
use crate::record::{Value, ValueRef};

/// A value that an expression came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Datum<'a> {
    /// A text. Times are texts as RFC 3339.
    Text(Cow<'a, str>),
    /// A number.
    Integer(i64),
    /// A truth value.
    Boolean(bool),
    /// Octets.
    Octets(Cow<'a, [u8]>),
    /// The distinguished name of an object.
    Reference(Cow<'a, str>),
}

impl Datum<'_> {
    /// The value as a record holds it; a reference is its name.
    #[must_use]
    pub fn value(&self) -> ValueRef<'_> {
        match self {
            Self::Text(text) | Self::Reference(text) => ValueRef::Text(text),
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Boolean(value) => ValueRef::Boolean(*value),
            Self::Octets(octets) => ValueRef::Octets(octets),
        }
    }
}

impl From<Datum<'_>> for Value {
    fn from(datum: Datum<'_>) -> Self {
        match datum {
            Datum::Text(text) | Datum::Reference(text) => Self::Text(text.into_owned()),
            Datum::Integer(number) => Self::Integer(number),
            Datum::Boolean(value) => Self::Boolean(value),
            Datum::Octets(octets) => Self::Octets(octets.into_owned()),
        }
    }
}

/// What an expression came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// No value: a rule of lower precedence may give one.
    Null,
    /// One value.
    One(Datum<'a>),
    /// At least two values, in the order in which they came about. They need not differ.
    Many(Vec<Datum<'a>>),
    /// No value, and no other rule's either.
    AuthoritativeNull,
    /// The attribute stays as it is.
    IgnoreThisFlow,
}

impl<'a> Outcome<'a> {
    /// The values; none of the three that have none.
    pub fn values(&self) -> impl Iterator<Item = &Datum<'a>> {
        match self {
            Self::One(datum) => std::slice::from_ref(datum).iter(),
            Self::Many(data) => data.iter(),
            Self::Null | Self::AuthoritativeNull | Self::IgnoreThisFlow => [].iter(),
        }
    }
}

/// One value in the course of an evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scalar<'a> {
    Text(Cow<'a, str>),
    Integer(i64),
    Boolean(bool),
    Octets(Cow<'a, [u8]>),
    Time(OffsetDateTime),
    Reference(Cow<'a, str>),
}

impl<'a> Scalar<'a> {
    pub(super) const fn kind(&self) -> Kinds {
        match self {
            Self::Text(_) => Kinds::TEXT,
            Self::Integer(_) => Kinds::NUMBER,
            Self::Boolean(_) => Kinds::BOOLEAN,
            Self::Octets(_) => Kinds::OCTETS,
            Self::Time(_) => Kinds::TIME,
            Self::Reference(_) => Kinds::REFERENCE,
        }
    }

    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(text.into())
    }

    /// Octets that it holds itself.
    pub(super) fn owned_octets(&self) -> usize {
        match self {
            Self::Text(Cow::Owned(text)) | Self::Reference(Cow::Owned(text)) => text.len(),
            Self::Octets(Cow::Owned(octets)) => octets.len(),
            _ => 0,
        }
    }

    /// The same value, borrowed.
    pub(super) fn borrow(&self) -> Scalar<'_> {
        match self {
            Self::Text(text) => Scalar::Text(Cow::Borrowed(text)),
            Self::Reference(name) => Scalar::Reference(Cow::Borrowed(name)),
            Self::Octets(octets) => Scalar::Octets(Cow::Borrowed(octets)),
            Self::Integer(number) => Scalar::Integer(*number),
            Self::Boolean(value) => Scalar::Boolean(*value),
            Self::Time(at) => Scalar::Time(*at),
        }
    }

    pub(super) fn into_owned(self) -> Scalar<'static> {
        match self {
            Self::Text(text) => Scalar::Text(text.into_owned().into()),
            Self::Reference(name) => Scalar::Reference(name.into_owned().into()),
            Self::Octets(octets) => Scalar::Octets(octets.into_owned().into()),
            Self::Integer(number) => Scalar::Integer(number),
            Self::Boolean(value) => Scalar::Boolean(value),
            Self::Time(at) => Scalar::Time(at),
        }
    }

    pub(super) fn into_datum(self) -> Result<Datum<'a>, Why> {
        Ok(match self {
            Self::Text(text) => Datum::Text(text),
            Self::Reference(name) => Datum::Reference(name),
            Self::Octets(octets) => Datum::Octets(octets),
            Self::Integer(number) => Datum::Integer(number),
            Self::Boolean(value) => Datum::Boolean(value),
            Self::Time(at) => Datum::Text(rfc3339(at).ok_or(Why::Overflow)?.into()),
        })
    }
}

impl<'a> From<ValueRef<'a>> for Scalar<'a> {
    fn from(value: ValueRef<'a>) -> Self {
        match value {
            ValueRef::Text(text) => Self::Text(text.into()),
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Boolean(value) => Self::Boolean(value),
            ValueRef::Octets(octets) => Self::Octets(octets.into()),
        }
    }
}

/// A value or none: the latter is NULL.
pub(super) type Slot<'a> = Option<Scalar<'a>>;

/// What a part of an expression came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Operand<'a> {
    #[default]
    Null,
    One(Scalar<'a>),
    /// Several. A function that goes over them can give none for one of them; the others keep their
    /// places, so that they pair with the values that they came of.
    Many(Vec<Slot<'a>>),
    AuthoritativeNull,
    IgnoreThisFlow,
}

impl<'a> From<Slot<'a>> for Operand<'a> {
    fn from(slot: Slot<'a>) -> Self {
        slot.map_or(Self::Null, Self::One)
    }
}

impl<'a> Operand<'a> {
    /// The values there are, without gaps.
    pub(super) fn from_values(mut values: Vec<Scalar<'a>>) -> Self {
        if values.len() > 1 {
            return Self::Many(values.into_iter().map(Some).collect());
        }
        values.pop().into()
    }

    /// The values there are, without gaps.
    pub(super) fn into_values(self) -> Vec<Scalar<'a>> {
        match self {
            Self::One(value) => vec![value],
            Self::Many(slots) => slots.into_iter().flatten().collect(),
            _ => Vec::new(),
        }
    }

    /// The values there are, where they stand.
    pub(super) fn values(&self) -> impl Iterator<Item = &Scalar<'a>> {
        let (one, many) = match self {
            Self::One(value) => (Some(value), [].as_slice()),
            Self::Many(slots) => (None, slots.as_slice()),
            _ => (None, [].as_slice()),
        };
        one.into_iter().chain(many.iter().flatten())
    }

    /// One value or none.
    pub(super) fn into_slot(self) -> Result<Slot<'a>, Why> {
        match self {
            Self::One(value) => Ok(Some(value)),
            Self::Many(_) => Err(Why::Several),
            _ => Ok(None),
        }
    }

    /// The same, borrowed.
    pub(super) fn borrow(&self) -> Operand<'_> {
        match self {
            Self::Null => Operand::Null,
            Self::One(value) => Operand::One(value.borrow()),
            Self::Many(slots) => {
                Operand::Many(slots.iter().map(|slot| slot.as_ref().map(Scalar::borrow)).collect())
            }
            Self::AuthoritativeNull => Operand::AuthoritativeNull,
            Self::IgnoreThisFlow => Operand::IgnoreThisFlow,
        }
    }

    pub(super) fn into_owned(self) -> Operand<'static> {
        match self {
            Self::Null => Operand::Null,
            Self::One(value) => Operand::One(value.into_owned()),
            Self::Many(slots) => {
                Operand::Many(slots.into_iter().map(|slot| slot.map(Scalar::into_owned)).collect())
            }
            Self::AuthoritativeNull => Operand::AuthoritativeNull,
            Self::IgnoreThisFlow => Operand::IgnoreThisFlow,
        }
    }

    /// What the whole expression came to.
    pub(super) fn into_outcome(self) -> Result<Outcome<'a>, Why> {
        Ok(match self {
            Self::Null => Outcome::Null,
            Self::One(value) => Outcome::One(value.into_datum()?),
            Self::AuthoritativeNull => Outcome::AuthoritativeNull,
            Self::IgnoreThisFlow => Outcome::IgnoreThisFlow,
            Self::Many(slots) => {
                let data: Result<Vec<_>, _> =
                    slots.into_iter().flatten().map(Scalar::into_datum).collect();
                let mut data = data?;
                match (data.len(), data.pop()) {
                    (2.., Some(last)) => {
                        data.push(last);
                        Outcome::Many(data)
                    }
                    (_, one) => one.map_or(Outcome::Null, Outcome::One),
                }
            }
        })
    }
}
