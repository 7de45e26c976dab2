//! The modify operation ([RFC 4511] section 4.6): changes of one object, all or none of them.
//!
//! [RFC 4511]: https://www.rfc-editor.org/rfc/rfc4511#section-4.6

use portolan_codec::DecodeError;

use super::attributes::{HEADER_OCTETS, PartialAttribute, list};
use crate::ber::{Decoder, Encoder, Tag};

/// ModifyRequest. The server carries its changes out in their order, as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModifyRequest {
    /// The object's name.
    pub object: String,
    /// What is changed.
    pub changes: Vec<Change>,
}

/// One change of a ModifyRequest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What is done with the values.
    pub operation: ChangeOperation,
    /// The attribute with the values.
    pub modification: PartialAttribute,
}

/// What a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeOperation {
    /// add: the values must not be there yet.
    Add,
    /// delete: the values must be there; without values, the attribute goes whole.
    Delete,
    /// replace: the values take the place of all that are there.
    Replace,
}

impl ModifyRequest {
    /// A request without changes yet.
    #[must_use]
    pub fn new(object: impl Into<String>) -> Self {
        Self { object: object.into(), changes: Vec::new() }
    }

    /// With one more change.
    #[must_use]
    pub fn with<V: AsRef<[u8]>>(
        mut self,
        operation: ChangeOperation,
        attribute: &str,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let modification = PartialAttribute::new(attribute, values);
        self.changes.push(Change { operation, modification });
        self
    }

    pub(crate) fn encode(&self, encoder: &mut Encoder) {
        encoder.text(&self.object);
        encoder.constructed(Tag::SEQUENCE, |changes| {
            for change in &self.changes {
                changes.constructed(Tag::SEQUENCE, |inner| {
                    inner.integer(Tag::ENUMERATED, change.operation as i64);
                    change.modification.encode(inner);
                });
            }
        });
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let object = decoder.text("object")?.to_owned();
        let changes = decoder.constructed(Tag::SEQUENCE, "changes")?;
        let mut values = 0;
        let changes = list(changes, "changes", |changes| {
            let mut change = changes.constructed(Tag::SEQUENCE, "change")?;
            let operation = match change.enumerated(0..=2, "operation")? {
                0 => ChangeOperation::Add,
                1 => ChangeOperation::Delete,
                _ => ChangeOperation::Replace,
            };
            let modification = PartialAttribute::decode(&mut change, &mut values)?;
            change.skip_extensions("change")?;
            Ok(Change { operation, modification })
        })?;
        Ok(Self { object, changes })
    }

    /// About how many octets it takes: growing leaves no copy of a secret behind.
    pub(crate) fn octets_hint(&self) -> usize {
        let change = |change: &Change| change.modification.octets_hint() + 2 * HEADER_OCTETS;
        self.object.len() + self.changes.iter().map(change).sum::<usize>()
    }
}
