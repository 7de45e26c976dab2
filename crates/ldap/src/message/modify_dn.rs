//! The modify DN operation ([RFC 4511] section 4.9): an object is renamed, moved, or both.
//!
//! [RFC 4511]: https://www.rfc-editor.org/rfc/rfc4511#section-4.9

use portolan_codec::DecodeError;

use crate::ber::{Decoder, Encoder, Tag, utf8};

const NEW_SUPERIOR: Tag = Tag::context(0);

/// ModifyDNRequest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModifyDnRequest {
    /// The object's name as it is.
    pub entry: String,
    /// Its new relative name.
    pub new_rdn: String,
    /// Whether the values of the old relative name go from its attributes.
    pub delete_old_rdn: bool,
    /// The object below which it is to stand; `None` leaves it where it is.
    pub new_superior: Option<String>,
}

impl ModifyDnRequest {
    pub(crate) fn encode(&self, encoder: &mut Encoder) {
        encoder.text(&self.entry);
        encoder.text(&self.new_rdn);
        encoder.boolean(Tag::BOOLEAN, self.delete_old_rdn);
        if let Some(superior) = &self.new_superior {
            encoder.primitive(NEW_SUPERIOR, superior.as_bytes());
        }
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let entry = decoder.text("entry")?.to_owned();
        let new_rdn = decoder.text("newrdn")?.to_owned();
        let delete_old_rdn = decoder.boolean(Tag::BOOLEAN, "deleteoldrdn")?;
        let offset = decoder.offset();
        let superior = decoder.optional(NEW_SUPERIOR, "newSuperior")?;
        let superior = superior.map(|octets| utf8(octets, offset, "newSuperior")).transpose()?;
        Ok(Self { entry, new_rdn, delete_old_rdn, new_superior: superior.map(str::to_owned) })
    }
}
