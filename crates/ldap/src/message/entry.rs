//! SearchResultEntry ([RFC 4511] section 4.5.2): one object, as the server described it.
//!
//! A full import decodes hundreds of thousands of these, so an entry is one buffer with the octets
//! as they came, and two tables of places in it. Texts and values are borrowed from it.
//!
//! [RFC 4511]: https://www.rfc-editor.org/rfc/rfc4511#section-4.5.2

use std::fmt;

use portolan_codec::{DecodeError, Fault};

use crate::attribute::ValueRange;
use crate::ber::{Decoder, Encoder, Tag, utf8};

/// Attributes one entry may have.
pub const ATTRIBUTES_MAX: usize = 8 * 1024;
/// Values one entry may have, all attributes together: a group that a server sends in one piece.
pub const VALUES_MAX: usize = 2 * 1024 * 1024;

/// One object. Names of attributes are compared without case.
#[derive(Clone)]
pub struct SearchResultEntry {
    /// The content of the protocolOp.
    ///
    /// INVARIANT: every span below lies in it; `name` and the descriptions are UTF-8.
    octets: Vec<u8>,
    name: Span,
    attributes: Vec<AttributeSpan>,
    values: Vec<Span>,
}

/// A place in the entry's octets.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    start: u32,
    end: u32,
}

#[derive(Debug, Clone, Copy)]
struct AttributeSpan {
    description: Span,
    /// Places in `values`.
    values: Span,
}

/// One attribute of an entry, with its values.
#[derive(Clone, Copy)]
pub struct Attribute<'a> {
    entry: &'a SearchResultEntry,
    description: &'a str,
    values: &'a [Span],
}

impl SearchResultEntry {
    /// An entry as a scripted server would send it.
    ///
    /// # Errors
    /// [`DecodeError`] when it is above the limits that hold for received entries.
    pub fn new(dn: &str, attributes: &[(&str, &[&[u8]])]) -> Result<Self, DecodeError> {
        let mut encoder = Encoder::new();
        encoder.text(dn);
        encoder.constructed(Tag::SEQUENCE, |list| {
            for (description, values) in attributes {
                list.constructed(Tag::SEQUENCE, |attribute| {
                    attribute.text(description);
                    attribute.constructed(Tag::SET, |set| {
                        values.iter().for_each(|value| set.octets(value));
                    });
                });
            }
        });
        Self::decode(encoder.into_vec(), 0)
    }

    /// The object's distinguished name, as the server wrote it.
    #[must_use]
    pub fn dn(&self) -> &str {
        self.str(self.name)
    }

    /// The attributes, in the server's order.
    pub fn attributes(&self) -> impl ExactSizeIterator<Item = Attribute<'_>> {
        self.attributes.iter().map(|span| self.view(*span))
    }

    /// The attribute with exactly this description: `member` is not `member;range=0-1499`.
    #[must_use]
    pub fn attribute(&self, description: &str) -> Option<Attribute<'_>> {
        let wanted = description.as_bytes();
        let same =
            |span: &&AttributeSpan| self.slice(span.description).eq_ignore_ascii_case(wanted);
        self.attributes.iter().find(same).map(|span| self.view(*span))
    }

    /// The attributes with this name, whatever options stand behind it.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Attribute<'a>> {
        self.attributes().filter(move |attribute| attribute.name().eq_ignore_ascii_case(name))
    }

    /// The first value of the attribute with exactly this description.
    #[must_use]
    pub fn octets(&self, description: &str) -> Option<&[u8]> {
        self.attribute(description)?.values().next()
    }

    /// The first value of the attribute with exactly this description, if it is UTF-8.
    #[must_use]
    pub fn text(&self, description: &str) -> Option<&str> {
        std::str::from_utf8(self.octets(description)?).ok()
    }

    /// All values of the attribute with exactly this description; none when there is none.
    pub fn all<'a>(&'a self, description: &str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.attribute(description).into_iter().flat_map(Attribute::values)
    }

    /// Octets the entry holds.
    #[must_use]
    pub fn octets_held(&self) -> usize {
        self.octets.len()
    }

    /// Takes the content of a protocolOp in, which stands `base` octets into its message.
    pub(crate) fn decode(octets: Vec<u8>, base: usize) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::at(&octets, base);
        let start = decoder.offset();
        let name = decoder.octets("objectName")?;
        utf8(name, start, "objectName")?;
        let name = Span::before(&decoder, base, name)?;
        let mut attributes = Vec::with_capacity(ATTRIBUTES_USUAL);
        let mut values = Vec::with_capacity(ATTRIBUTES_USUAL);
        let mut list = decoder.constructed(Tag::SEQUENCE, "attributes")?;
        while !list.is_empty() {
            at_most(attributes.len(), ATTRIBUTES_MAX, &list, "attributes")?;
            let mut item = list.constructed(Tag::SEQUENCE, "PartialAttribute")?;
            let start = item.offset();
            let description = item.octets("type")?;
            utf8(description, start, "type")?;
            let description = Span::before(&item, base, description)?;
            let mut set = item.constructed(Tag::SET, "vals")?;
            let first = values.len();
            while !set.is_empty() {
                at_most(values.len(), VALUES_MAX, &set, "vals")?;
                let value = set.octets("value")?;
                values.push(Span::before(&set, base, value)?);
            }
            item.skip_extensions("PartialAttribute")?;
            // VALUES_MAX keeps both far below 2^32.
            let places = Span { start: first as u32, end: values.len() as u32 };
            attributes.push(AttributeSpan { description, values: places });
        }
        decoder.skip_extensions("SearchResultEntry")?;
        Ok(Self { octets, name, attributes, values })
    }

    pub(crate) fn encode(&self, encoder: &mut Encoder) {
        encoder.encoded(&self.octets);
    }

    fn view(&self, span: AttributeSpan) -> Attribute<'_> {
        let places = span.values.start as usize..span.values.end as usize;
        Attribute {
            entry: self,
            description: self.str(span.description),
            values: self.values.get(places).unwrap_or_default(),
        }
    }

    fn slice(&self, span: Span) -> &[u8] {
        self.octets.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    fn str(&self, span: Span) -> &str {
        std::str::from_utf8(self.slice(span)).unwrap_or_default()
    }
}

impl<'a> Attribute<'a> {
    /// The description as the server wrote it, options included.
    #[must_use]
    pub const fn description(self) -> &'a str {
        self.description
    }

    /// The name, without options.
    #[must_use]
    pub fn name(self) -> &'a str {
        self.description.split(';').next().unwrap_or_default()
    }

    /// The options, without the name.
    pub fn options(self) -> impl Iterator<Item = &'a str> {
        self.description.split(';').skip(1)
    }

    /// Which part of the values this is, if the server sends them in parts.
    #[must_use]
    pub fn range(self) -> Option<ValueRange> {
        self.options().find_map(ValueRange::of_option)
    }

    /// The values, in the server's order.
    pub fn values(self) -> impl ExactSizeIterator<Item = &'a [u8]> {
        self.values.iter().map(move |span| self.entry.slice(*span))
    }
}

impl Span {
    /// The span of what `decoder` has just read.
    fn before(decoder: &Decoder<'_>, base: usize, read: &[u8]) -> Result<Self, DecodeError> {
        let end = decoder.offset() - base;
        match (u32::try_from(end - read.len()), u32::try_from(end)) {
            (Ok(start), Ok(end)) => Ok(Self { start, end }),
            _ => {
                let fault = Fault::AboveLimit { found: end as u64, limit: u32::MAX.into() };
                Err(decoder.fault("SearchResultEntry", fault))
            }
        }
    }
}

/// Room for the attributes of a usual entry, so that its tables are allocated once.
const ATTRIBUTES_USUAL: usize = 32;

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

impl PartialEq for SearchResultEntry {
    fn eq(&self, other: &Self) -> bool {
        self.dn() == other.dn() && self.attributes().eq(other.attributes())
    }
}

impl Eq for SearchResultEntry {}

impl PartialEq for Attribute<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.description == other.description && self.values().eq(other.values())
    }
}

impl Eq for Attribute<'_> {}

/// Names and counts only: values may be personal data.
impl fmt::Debug for SearchResultEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SearchResultEntry")
            .field("dn", &self.dn())
            .field("attributes", &self.attributes().collect::<Vec<_>>())
            .finish()
    }
}

impl fmt::Debug for Attribute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} values)", self.description, self.values.len())
    }
}
