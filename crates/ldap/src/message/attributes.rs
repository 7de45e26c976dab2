//! Attributes as requests carry them: PartialAttribute and Attribute ([RFC 4511] section 4.1.7).
//!
//! [RFC 4511]: https://www.rfc-editor.org/rfc/rfc4511#section-4.1.7

use std::fmt;

use portolan_codec::{DecodeError, Fault};
use zeroize::Zeroizing;

use super::entry::{ATTRIBUTES_MAX, VALUES_MAX};
use crate::ber::{Decoder, Encoder, Tag};

/// PartialAttribute: a description and its values. A value may be a new password, so values are wiped
/// when dropped and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct PartialAttribute {
    /// The attribute's name or object identifier, with its options.
    pub description: String,
    /// The values, none of them where an attribute is removed whole.
    pub values: Vec<Zeroizing<Vec<u8>>>,
}

impl PartialAttribute {
    /// An attribute with these values.
    #[must_use]
    pub fn new<V: AsRef<[u8]>>(
        description: impl Into<String>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let values = values.into_iter().map(|value| Zeroizing::new(value.as_ref().to_vec()));
        Self { description: description.into(), values: values.collect() }
    }

    pub(crate) fn encode(&self, encoder: &mut Encoder) {
        encoder.constructed(Tag::SEQUENCE, |attribute| {
            attribute.text(&self.description);
            attribute.constructed(Tag::SET, |set| {
                self.values.iter().for_each(|value| set.octets(value));
            });
        });
    }

    /// Takes one attribute in; `seen` is the number of values of the same request so far.
    pub(crate) fn decode(decoder: &mut Decoder<'_>, seen: &mut usize) -> Result<Self, DecodeError> {
        let mut attribute = decoder.constructed(Tag::SEQUENCE, "PartialAttribute")?;
        let description = attribute.text("type")?.to_owned();
        let mut set = attribute.constructed(Tag::SET, "vals")?;
        let mut values = Vec::new();
        while !set.is_empty() {
            at_most(*seen, VALUES_MAX, &set, "vals")?;
            *seen += 1;
            values.push(Zeroizing::new(set.octets("value")?.to_vec()));
        }
        attribute.skip_extensions("PartialAttribute")?;
        Ok(Self { description, values })
    }

    /// About how many octets it takes, headers included.
    pub(crate) fn octets_hint(&self) -> usize {
        let values = self.values.iter().map(|value| value.len() + HEADER_OCTETS);
        self.description.len() + 3 * HEADER_OCTETS + values.sum::<usize>()
    }
}

impl fmt::Debug for PartialAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} values)", self.description, self.values.len())
    }
}

/// Elements of a list one after the other, [`ATTRIBUTES_MAX`] at most.
pub(crate) fn list<T>(
    mut decoder: Decoder<'_>,
    field: &'static str,
    mut element: impl FnMut(&mut Decoder<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let mut elements = Vec::new();
    while !decoder.is_empty() {
        at_most(elements.len(), ATTRIBUTES_MAX, &decoder, field)?;
        elements.push(element(&mut decoder)?);
    }
    Ok(elements)
}

fn at_most(
    count: usize,
    limit: usize,
    decoder: &Decoder<'_>,
    field: &'static str,
) -> Result<(), DecodeError> {
    if count < limit {
        return Ok(());
    }
    let fault = Fault::AboveLimit { found: count as u64 + 1, limit: limit as u64 };
    Err(decoder.fault(field, fault))
}

/// Octets of a tag and a length of four octets, more than what is sent takes.
pub(crate) const HEADER_OCTETS: usize = 1 + 1 + 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_all_attributes_of_a_request_are_limited_together() {
        let mut encoder = Encoder::new();
        PartialAttribute::new("a", ["1", "2"]).encode(&mut encoder);
        let octets = encoder.into_vec();
        let decode = |mut seen| PartialAttribute::decode(&mut Decoder::new(&octets), &mut seen);
        assert!(decode(VALUES_MAX - 2).is_ok());
        let limit = VALUES_MAX as u64;
        let fault = decode(VALUES_MAX - 1).unwrap_err().fault;
        assert_eq!(fault, Fault::AboveLimit { found: limit + 1, limit });
    }
}
