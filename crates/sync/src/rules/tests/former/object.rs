//! An object as an import gave it: attributes by name, values as octets.

use std::collections::BTreeMap;

use portolan_model::{DistinguishedName, Guid, Sid};

use crate::forest::ObjectKind;

/// An object of the forest.
#[derive(Debug, Clone)]
pub(in super::super) struct FormerObject {
    pub(in super::super) guid: Guid,
    pub(in super::super) kind: ObjectKind,
    pub(in super::super) dn: DistinguishedName,
    pub(in super::super) members: Vec<Guid>,
    /// By name in lower case.
    pub(in super::super) attributes: BTreeMap<String, Vec<Vec<u8>>>,
}

impl FormerObject {
    pub(in super::super) fn new(
        dn: &str,
        kind: ObjectKind,
        guid: [u8; 16],
        members: Vec<Guid>,
        attributes: impl IntoIterator<Item = (String, Vec<Vec<u8>>)>,
    ) -> Self {
        let lower = |(name, values): (String, _)| (name.to_ascii_lowercase(), values);
        let attributes = attributes.into_iter().map(lower).collect();
        let guid = Guid::from_bytes_le(guid);
        Self { guid, kind, dn: dn.parse().unwrap(), members, attributes }
    }

    /// The values of an attribute; none when it is absent.
    pub(in super::super) fn values(&self, name: &str) -> &[Vec<u8>] {
        self.attributes.get(&name.to_ascii_lowercase()).map_or(&[], Vec::as_slice)
    }

    /// The first value of an attribute as text; `None` when absent, empty or not UTF-8.
    pub(in super::super) fn text(&self, name: &str) -> Option<&str> {
        let text = std::str::from_utf8(self.values(name).first()?).ok()?;
        (!text.is_empty()).then_some(text)
    }

    /// All values of an attribute that are text.
    pub(in super::super) fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values(name).iter().filter_map(|value| std::str::from_utf8(value).ok())
    }

    /// The first value of an attribute as a number (INTEGER and LargeInteger syntaxes).
    pub(in super::super) fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    /// Whether a boolean attribute is TRUE.
    pub(in super::super) fn is_true(&self, name: &str) -> bool {
        self.text(name) == Some("TRUE")
    }

    /// The object's SID.
    pub(in super::super) fn sid(&self) -> Option<Sid> {
        Sid::decode(self.values("objectSid").first()?).ok()
    }
}
