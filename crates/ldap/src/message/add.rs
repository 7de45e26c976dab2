//! The add operation ([RFC 4511] section 4.7): a new object.
//!
//! [RFC 4511]: https://www.rfc-editor.org/rfc/rfc4511#section-4.7

use portolan_codec::DecodeError;

use super::attributes::{PartialAttribute, list};
use crate::ber::{Decoder, Encoder, Tag};

/// AddRequest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddRequest {
    /// The name of the object to be; what stands above it has to be there.
    pub entry: String,
    /// Its attributes, each with a value at least.
    pub attributes: Vec<PartialAttribute>,
}

impl AddRequest {
    pub(crate) fn encode(&self, encoder: &mut Encoder) {
        encoder.text(&self.entry);
        encoder.constructed(Tag::SEQUENCE, |list| {
            self.attributes.iter().for_each(|attribute| attribute.encode(list));
        });
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let entry = decoder.text("entry")?.to_owned();
        let attributes = decoder.constructed(Tag::SEQUENCE, "attributes")?;
        let mut values = 0;
        let decode = |list: &mut Decoder<'_>| PartialAttribute::decode(list, &mut values);
        Ok(Self { entry, attributes: list(attributes, "attributes", decode)? })
    }

    /// About how many octets it takes: growing leaves no copy of a secret behind.
    pub(crate) fn octets_hint(&self) -> usize {
        let attributes = self.attributes.iter().map(PartialAttribute::octets_hint);
        self.entry.len() + attributes.sum::<usize>()
    }
}
