//! Arguments as their functions take them. Their types were checked against the table.

use std::borrow::Cow;
use std::ops::Range;

use time::OffsetDateTime;

use crate::expression::value::{Scalar, Slot};

/// The text of an argument, empty when there is none.
pub(super) fn text<'a>(slot: &mut Slot<'a>) -> Cow<'a, str> {
    match slot.take() {
        Some(Scalar::Text(text) | Scalar::Reference(text)) => text,
        _ => Cow::Borrowed(""),
    }
}

/// The number of an argument, if it was given.
pub(super) fn number(slot: &Slot<'_>) -> Option<i64> {
    match slot {
        Some(Scalar::Integer(number)) => Some(*number),
        _ => None,
    }
}

/// The time of an argument.
pub(super) fn time(slot: &Slot<'_>) -> Option<OffsetDateTime> {
    match slot {
        Some(Scalar::Time(at)) => Some(*at),
        _ => None,
    }
}

/// A part of a text, borrowed where the text is.
pub(super) fn slice(text: Cow<'_, str>, range: Range<usize>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(range).unwrap_or_default()),
        Cow::Owned(mut text) => {
            text.truncate(range.end);
            if range.start > 0 {
                text.drain(..range.start.min(text.len()));
            }
            Cow::Owned(text)
        }
    }
}

/// The octet at which the character begins before which so many stand; the end, when there are fewer.
pub(super) fn octet_of(text: &str, characters: usize) -> usize {
    if text.is_ascii() {
        return characters.min(text.len());
    }
    text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at)
}
