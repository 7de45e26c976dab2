//! The identity of an object across forest and tenant.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::{Guid, InvalidName};

/// Characters an anchor may have: the tenant refuses 60 and more, as Entra ID does.
const ANCHOR_CHARS_MAX: usize = 59;

/// The sourceAnchor, which the tenant calls `onPremisesImmutableId`: for an object of a forest the
/// base64 text of the sixteen octets of its GUID in the order in which the directory stores them.
/// It never changes once set, and is compared with case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceAnchor(String);

impl SourceAnchor {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The GUID that this anchor is the text of; `None` of an anchor of another kind. A text that
    /// stands for the same octets otherwise is another anchor, and no GUID's.
    #[must_use]
    pub fn guid(&self) -> Option<Guid> {
        let octets = STANDARD.decode(&self.0).ok()?;
        let guid = Guid::from_bytes_le(octets.try_into().ok()?);
        (Self::from(guid) == *self).then_some(guid)
    }
}

impl From<Guid> for SourceAnchor {
    fn from(guid: Guid) -> Self {
        Self(STANDARD.encode(guid.to_bytes_le()))
    }
}

impl FromStr for SourceAnchor {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let refuse = |rule| InvalidName { noun: "sourceAnchor", text: text.to_owned(), rule };
        if text.is_empty() || text.chars().count() > ANCHOR_CHARS_MAX {
            return Err(refuse("1 to 59 characters"));
        }
        if !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err(refuse("printable ASCII without spaces"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for SourceAnchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_anchor_of_a_guid_follows_the_published_vector() {
        let guid: Guid = "12345678-9abc-def0-1122-334455667788".parse().unwrap();
        assert_eq!(SourceAnchor::from(guid).as_str(), "eFY0Erya8N4RIjNEVWZ3iA==");
    }

    #[test]
    fn an_anchor_gives_the_guid_back_that_it_was_made_of() {
        let guid: Guid = "12345678-9abc-def0-1122-334455667788".parse().unwrap();
        assert_eq!(SourceAnchor::from(guid).guid(), Some(guid));
        for text in ["first", "eFY0Erya8N4RIjNEVWZ3iB==", "eFY0Erya8N4RIjNEVWZ3iA"] {
            assert_eq!(text.parse::<SourceAnchor>().unwrap().guid(), None, "{text}");
        }
    }

    #[test]
    fn sixty_characters_are_too_many() {
        assert!("a".repeat(59).parse::<SourceAnchor>().is_ok());
        assert!("a".repeat(60).parse::<SourceAnchor>().is_err());
    }
}
