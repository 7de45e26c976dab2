//! `mS-DS-ConsistencyGuid` of a person: the anchor under which it is synchronised, written to the object
//! itself, so that it keeps its anchor when it moves to another domain or forest.

use std::fmt;

use portolan_model::{Guid, SourceAnchor};

/// The attribute.
pub const ATTRIBUTE: &str = "mS-DS-ConsistencyGuid";

/// What is to be done with one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// These octets are written.
    Write([u8; 16]),
    /// They are there already.
    Written,
    /// The object is left as it is.
    Left(Left),
}

/// Why a person is left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Left {
    /// The attribute has another value, which is never written over.
    OtherValue,
    /// The anchor is no GUID: an earlier synchronisation chose another attribute.
    NoGuid,
    /// The account may not write the attribute of this object.
    NoRight,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherValue => "it has another value, which is never written over",
            Self::NoGuid => "its anchor is no GUID",
            Self::NoRight => "the account may not write it",
        })
    }
}

/// Decides about a person, given its anchor, the values that the directory holds now, and whether the
/// account may write the attribute of this object.
#[must_use]
pub fn decide(anchor: &SourceAnchor, held: &[Vec<u8>], may_write: bool) -> Decision {
    let Some(octets) = anchor.guid().map(Guid::to_bytes_le) else {
        return Decision::Left(Left::NoGuid);
    };
    match held {
        [] if may_write => Decision::Write(octets),
        [] => Decision::Left(Left::NoRight),
        [value] if value.as_slice() == octets => Decision::Written,
        _ => Decision::Left(Left::OtherValue),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_anchor_is_written_where_there_is_nothing_and_never_over_another_value() {
        let octets = [7; 16];
        let anchor = SourceAnchor::from(Guid::from_bytes_le(octets));
        let odd: SourceAnchor = "odd".parse().unwrap();
        let cases: [(&SourceAnchor, &[&[u8]], bool, Decision); 8] = [
            (&anchor, &[], true, Decision::Write(octets)),
            (&anchor, &[], false, Decision::Left(Left::NoRight)),
            (&anchor, &[&octets], true, Decision::Written),
            (&anchor, &[&octets], false, Decision::Written),
            (&anchor, &[&[8; 16]], true, Decision::Left(Left::OtherValue)),
            (&anchor, &[&[]], true, Decision::Left(Left::OtherValue)),
            (&anchor, &[&octets, &[8; 16]], true, Decision::Left(Left::OtherValue)),
            (&odd, &[], true, Decision::Left(Left::NoGuid)),
        ];
        for (anchor, held, may_write, expected) in cases {
            let held: Vec<_> = held.iter().map(|value| value.to_vec()).collect();
            assert_eq!(decide(anchor, &held, may_write), expected, "{held:?}");
        }
    }
}
