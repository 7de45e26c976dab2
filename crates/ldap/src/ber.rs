//! The Basic Encoding Rules as LDAP uses them ([RFC 4511] section 5.1): definite lengths, primitive
//! strings, one-octet tags.
//!
//! A [`Decoder`] walks received octets without copying; an [`Encoder`] writes shortest lengths.
//! Neither knows an LDAP message: those are in [`crate::message`].
//!
//! [RFC 4511]: https://www.rfc-editor.org/rfc/rfc4511#section-5.1

use std::fmt;
use std::ops::RangeInclusive;

use portolan_codec::{DecodeError, Fault, Reader, Untrusted, Writer};

/// How deep constructed elements may nest.
pub const DEPTH_MAX: usize = 64;
/// Octets the length of a length may have. Windows always sends four, with leading zeros.
pub const LENGTH_OCTETS_MAX: usize = 8;
/// Octets the content of one element may have.
pub const CONTENT_OCTETS_MAX: usize = 0x7fff_ffff;
/// Octets an integer may have.
const INTEGER_OCTETS_MAX: usize = 8;

/// An identifier octet: class, form and a tag number below 31 (X.690 section 8.1.2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tag(u8);

impl Tag {
    /// BOOLEAN.
    pub const BOOLEAN: Self = Self(0x01);
    /// INTEGER.
    pub const INTEGER: Self = Self(0x02);
    /// OCTET STRING, primitive.
    pub const OCTET_STRING: Self = Self(0x04);
    /// ENUMERATED.
    pub const ENUMERATED: Self = Self(0x0a);
    /// SEQUENCE and SEQUENCE OF.
    pub const SEQUENCE: Self = Self(0x30);
    /// SET OF.
    pub const SET: Self = Self(0x31);

    /// `[APPLICATION number]` of a primitive type.
    #[must_use]
    pub const fn application(number: u8) -> Self {
        Self(0x40 | (number & 0x1f))
    }

    /// `[APPLICATION number]` of a constructed type.
    #[must_use]
    pub const fn application_constructed(number: u8) -> Self {
        Self(0x60 | (number & 0x1f))
    }

    /// `[number]` of a primitive type.
    #[must_use]
    pub const fn context(number: u8) -> Self {
        Self(0x80 | (number & 0x1f))
    }

    /// `[number]` of a constructed type.
    #[must_use]
    pub const fn context_constructed(number: u8) -> Self {
        Self(0xa0 | (number & 0x1f))
    }

    /// The octet.
    #[must_use]
    pub const fn octet(self) -> u8 {
        self.0
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({:#04x})", self.0)
    }
}

/// Octets of the first element of a stream, header included, with content of at most
/// `content_max`; `None` while its header is incomplete.
///
/// # Errors
/// [`Fault::Unexpected`] for another tag, [`Fault::AboveLimit`] for a longer content and
/// [`Fault::Malformed`] for an indefinite length.
pub fn element_octets(
    stream: &[u8],
    tag: Tag,
    content_max: usize,
    field: &'static str,
) -> Result<Option<usize>, DecodeError> {
    let mut reader = Reader::new(stream);
    let Some(first) = reader.peek() else { return Ok(None) };
    expect_tag(&reader, Tag(first), tag, field)?;
    reader.take(1, field)?;
    match length(&mut reader, field) {
        Ok(octets) => {
            let octets = Untrusted::new(octets as u64, 1, field).at_most(content_max)?;
            Ok(Some(reader.position() + octets))
        }
        Err(DecodeError { fault: Fault::Truncated { .. }, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Walks the elements of received octets. Every read names its field.
#[derive(Debug, Clone, Copy)]
pub struct Decoder<'a> {
    reader: Reader<'a>,
    depth: usize,
}

impl<'a> Decoder<'a> {
    /// A decoder over a whole input.
    #[must_use]
    pub const fn new(input: &'a [u8]) -> Self {
        Self { reader: Reader::new(input), depth: 0 }
    }

    /// A decoder over a part of an input that stands `base` octets into it.
    #[must_use]
    pub const fn at(input: &'a [u8], base: usize) -> Self {
        Self { reader: Reader::at(input, base), depth: 0 }
    }

    /// Offset of the next octet from the start of the outermost input.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.reader.offset()
    }

    /// How many constructed elements stand around this one.
    #[must_use]
    pub const fn depth(&self) -> usize {
        self.depth
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.reader.is_empty()
    }

    /// The tag of the next element, which stays.
    #[must_use]
    pub fn peek(&self) -> Option<Tag> {
        self.reader.peek().map(Tag)
    }

    /// All octets that are left, uninterpreted.
    pub fn rest(&mut self) -> &'a [u8] {
        self.reader.rest()
    }

    /// The next element, whatever its tag.
    ///
    /// # Errors
    /// [`DecodeError`] when there is none, or its header is not well-formed.
    pub fn element(&mut self, field: &'static str) -> Result<(Tag, &'a [u8]), DecodeError> {
        let tag = Tag(self.reader.u8(field)?.unchecked("the caller looks at the tag"));
        let octets = length(&mut self.reader, field)?;
        Ok((tag, self.reader.take(octets, field)?))
    }

    /// The content of the next element, which must be a primitive one of this tag.
    ///
    /// # Errors
    /// [`DecodeError`] when it is not.
    pub fn primitive(&mut self, tag: Tag, field: &'static str) -> Result<&'a [u8], DecodeError> {
        self.header(tag, field)?;
        let octets = length(&mut self.reader, field)?;
        self.reader.take(octets, field)
    }

    /// The content of the next element if it has this tag; `None`, and it stays, otherwise.
    ///
    /// # Errors
    /// [`DecodeError`] when it has the tag and is not well-formed.
    pub fn optional(
        &mut self,
        tag: Tag,
        field: &'static str,
    ) -> Result<Option<&'a [u8]>, DecodeError> {
        if self.peek() == Some(tag) { self.primitive(tag, field).map(Some) } else { Ok(None) }
    }

    /// A decoder over the next element, which must be a constructed one of this tag.
    ///
    /// # Errors
    /// [`DecodeError`] when it is not, or when it would be nested deeper than [`DEPTH_MAX`].
    pub fn constructed(&mut self, tag: Tag, field: &'static str) -> Result<Self, DecodeError> {
        self.header(tag, field)?;
        let depth = self.depth + 1;
        Untrusted::new(depth as u64, self.offset(), field).at_most(DEPTH_MAX)?;
        let octets = length(&mut self.reader, field)?;
        Ok(Self { reader: self.reader.sub(octets, field)?, depth })
    }

    /// The content of an OCTET STRING.
    ///
    /// # Errors
    /// [`DecodeError`] when the next element is none.
    pub fn octets(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        self.primitive(Tag::OCTET_STRING, field)
    }

    /// An OCTET STRING that holds UTF-8: an LDAPString (RFC 4511 section 4.1.2).
    ///
    /// # Errors
    /// [`DecodeError`] when the next element is none.
    pub fn text(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        let offset = self.offset();
        utf8(self.octets(field)?, offset, field)
    }

    /// An INTEGER within `bounds`.
    ///
    /// # Errors
    /// [`DecodeError`] when the next element is none, or out of bounds.
    pub fn integer(
        &mut self,
        bounds: RangeInclusive<i64>,
        field: &'static str,
    ) -> Result<i64, DecodeError> {
        self.number(Tag::INTEGER, bounds, field)
    }

    /// An ENUMERATED within `bounds`.
    ///
    /// # Errors
    /// [`DecodeError`] when the next element is none, or out of bounds.
    pub fn enumerated(
        &mut self,
        bounds: RangeInclusive<i64>,
        field: &'static str,
    ) -> Result<i64, DecodeError> {
        self.number(Tag::ENUMERATED, bounds, field)
    }

    /// A BOOLEAN under `tag`; any octet but zero is true (X.690 section 8.2.2).
    ///
    /// # Errors
    /// [`DecodeError`] when the next element is none.
    pub fn boolean(&mut self, tag: Tag, field: &'static str) -> Result<bool, DecodeError> {
        let offset = self.offset();
        match self.primitive(tag, field)? {
            [octet] => Ok(*octet != 0),
            _ => Err(DecodeError::new(offset, field, Fault::Malformed("a boolean is one octet"))),
        }
    }

    /// Passes over the elements that a later version of the protocol may have added at the end
    /// (RFC 4511 section 4); they only need to be well-formed.
    ///
    /// # Errors
    /// [`DecodeError`] when they are not.
    pub fn skip_extensions(&mut self, field: &'static str) -> Result<(), DecodeError> {
        while !self.is_empty() {
            self.element(field)?;
        }
        Ok(())
    }

    /// Nothing, if everything was consumed.
    ///
    /// # Errors
    /// [`Fault::Trailing`] with the number of octets left.
    pub fn finish(&self, field: &'static str) -> Result<(), DecodeError> {
        self.reader.finish(field)
    }

    /// An error at this decoder's place.
    #[must_use]
    pub const fn fault(&self, field: &'static str, fault: Fault) -> DecodeError {
        self.reader.fault(field, fault)
    }

    fn header(&mut self, tag: Tag, field: &'static str) -> Result<(), DecodeError> {
        if let Some(found) = self.reader.peek() {
            expect_tag(&self.reader, Tag(found), tag, field)?;
        }
        self.reader.take(1, field).map(|_| ())
    }

    /// A number under another tag, within `bounds`.
    ///
    /// # Errors
    /// [`DecodeError`] when the next element is none, or out of bounds.
    pub fn number(
        &mut self,
        tag: Tag,
        bounds: RangeInclusive<i64>,
        field: &'static str,
    ) -> Result<i64, DecodeError> {
        let offset = self.offset();
        let content = self.primitive(tag, field)?;
        let refuse = |fault| Err(DecodeError::new(offset, field, fault));
        let Some(first) = content.first() else {
            return refuse(Fault::Malformed("an integer has at least one octet"));
        };
        if content.len() > INTEGER_OCTETS_MAX {
            return refuse(Fault::Malformed("an integer has at most eight octets"));
        }
        let sign = if first & 0x80 == 0 { 0 } else { -1 };
        let value = content.iter().fold(sign, |value: i64, octet| value << 8 | i64::from(*octet));
        if bounds.contains(&value) {
            return Ok(value);
        }
        let expected = "an integer within its bounds";
        refuse(Fault::Unexpected { expected, found: value.cast_unsigned() })
    }
}

/// The octets as text.
///
/// # Errors
/// [`Fault::Malformed`] when they are not UTF-8.
pub fn utf8<'a>(
    octets: &'a [u8],
    offset: usize,
    field: &'static str,
) -> Result<&'a str, DecodeError> {
    std::str::from_utf8(octets)
        .map_err(|_| DecodeError::new(offset, field, Fault::Malformed("text must be UTF-8")))
}

fn expect_tag(
    reader: &Reader<'_>,
    found: Tag,
    wanted: Tag,
    field: &'static str,
) -> Result<(), DecodeError> {
    if found == wanted {
        return Ok(());
    }
    let expected = "the tag of this field";
    Err(reader.fault(field, Fault::Unexpected { expected, found: found.0.into() }))
}

/// A definite length (X.690 section 8.1.3), in either form.
fn length(reader: &mut Reader<'_>, field: &'static str) -> Result<usize, DecodeError> {
    let offset = reader.offset();
    let first = reader.u8(field)?.unchecked("both forms are handled here");
    if first < 0x80 {
        return Ok(first.into());
    }
    let count = Untrusted::new(first & 0x7f, offset, field).at_most(LENGTH_OCTETS_MAX)?;
    if count == 0 {
        let rule = "an indefinite length, which RFC 4511 section 5.1 forbids";
        return Err(DecodeError::new(offset, field, Fault::Malformed(rule)));
    }
    let octets = reader.take(count, field)?;
    let value = octets.iter().fold(0u64, |value, octet| value << 8 | u64::from(*octet));
    Untrusted::new(value, offset, field).at_most(CONTENT_OCTETS_MAX)
}

/// Writes elements with the shortest lengths, into one buffer.
#[derive(Debug, Default)]
pub struct Encoder {
    output: Writer,
}

impl Encoder {
    /// An empty encoder.
    #[must_use]
    pub const fn new() -> Self {
        Self { output: Writer::new() }
    }

    /// An empty encoder with room for `capacity` octets. A message with a secret is written into
    /// enough room, so that growing leaves no copy of it behind.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { output: Writer::with_capacity(capacity) }
    }

    /// A primitive element.
    pub fn primitive(&mut self, tag: Tag, content: &[u8]) {
        self.output.u8(tag.0);
        let (octets, from) = length_octets(content.len());
        self.output.put(&octets[from..]);
        self.output.put(content);
    }

    /// A constructed element with what `content` writes.
    pub fn constructed(&mut self, tag: Tag, content: impl FnOnce(&mut Self)) {
        self.output.u8(tag.0);
        let start = self.output.position();
        content(self);
        let (octets, from) = length_octets(self.output.position() - start);
        self.output.insert(start, &octets[from..]);
    }

    /// An OCTET STRING.
    pub fn octets(&mut self, content: &[u8]) {
        self.primitive(Tag::OCTET_STRING, content);
    }

    /// An LDAPString.
    pub fn text(&mut self, content: &str) {
        self.octets(content.as_bytes());
    }

    /// An INTEGER, or an ENUMERATED under its tag, in the fewest octets.
    pub fn integer(&mut self, tag: Tag, value: i64) {
        let octets = value.to_be_bytes();
        let redundant = octets
            .windows(2)
            .take_while(|pair| matches!((pair[0], pair[1] & 0x80), (0x00, 0x00) | (0xff, 0x80)))
            .count();
        self.primitive(tag, &octets[redundant..]);
    }

    /// A BOOLEAN under `tag`.
    pub fn boolean(&mut self, tag: Tag, value: bool) {
        self.primitive(tag, &[if value { 0xff } else { 0x00 }]);
    }

    /// Elements that are encoded already.
    pub fn encoded(&mut self, elements: &[u8]) {
        self.output.put(elements);
    }

    /// What was written.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.output.into_vec()
    }
}

/// A length in the fewest octets, right-aligned, and where it starts.
fn length_octets(length: usize) -> ([u8; 9], usize) {
    let mut octets = [0; 9];
    octets[1..].copy_from_slice(&(length as u64).to_be_bytes());
    let Some(short) = u8::try_from(length).ok().filter(|octet| *octet < 0x80) else {
        let first = octets.iter().position(|octet| *octet != 0).unwrap_or(8);
        // At most eight octets follow, so the count fits into the marker.
        octets[first - 1] = 0x80 | (9 - first) as u8;
        return (octets, first - 1);
    };
    octets[8] = short;
    (octets, 8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lengths as X.690 section 8.1.3 prints them.
    #[test]
    fn lengths_take_the_fewest_octets() {
        let check = |length: usize, expected: &[u8]| {
            let (octets, from) = length_octets(length);
            assert_eq!(&octets[from..], expected, "{length}");
        };
        check(0, &[0x00]);
        check(38, &[0x26]);
        check(127, &[0x7f]);
        check(128, &[0x81, 0x80]);
        check(201, &[0x81, 0xc9]);
        check(256, &[0x82, 0x01, 0x00]);
        check(0x1_0000, &[0x83, 0x01, 0x00, 0x00]);
    }

    #[test]
    fn integers_take_the_fewest_octets_and_return() {
        let check = |value: i64, expected: &[u8]| {
            let mut encoder = Encoder::new();
            encoder.integer(Tag::INTEGER, value);
            let encoded = encoder.into_vec();
            assert_eq!(encoded, expected, "{value}");
            let read = Decoder::new(&encoded).integer(i64::MIN..=i64::MAX, "n").unwrap();
            assert_eq!(read, value);
        };
        check(0, &[2, 1, 0]);
        check(127, &[2, 1, 127]);
        check(128, &[2, 2, 0, 0x80]);
        check(-1, &[2, 1, 0xff]);
        check(-128, &[2, 1, 0x80]);
        check(-0x8000_0000, &[2, 4, 0x80, 0, 0, 0]);
        check(i64::MIN, &[2, 8, 0x80, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn headers_that_ldap_forbids_are_refused() {
        let check = |octets: &[u8], text: &str| {
            let error = Decoder::new(octets).octets("field").unwrap_err();
            assert_eq!(error.to_string(), text, "{octets:02x?}");
        };
        check(&[], "field at offset 0: needs 1 octets, 0 are left");
        check(&[0x24, 0], "field at offset 0: expected the tag of this field, found 0x24");
        check(
            &[4, 0x80, 0, 0],
            "field at offset 1: an indefinite length, which RFC 4511 section 5.1 forbids",
        );
        check(&[4, 0xff], "field at offset 1: 127 is above the limit of 8");
        check(&[4, 0x82, 1], "field at offset 2: needs 2 octets, 1 are left");
        check(
            &[4, 0x84, 0x80, 0, 0, 0],
            "field at offset 1: 2147483648 is above the limit of 2147483647",
        );
        check(&[4, 5, 1], "field at offset 2: needs 5 octets, 1 are left");
    }

    #[test]
    fn a_long_length_with_leading_zeros_is_read_as_windows_sends_it() {
        let octets = [4, 0x84, 0, 0, 0, 2, b'h', b'i'];
        assert_eq!(Decoder::new(&octets).text("greeting").unwrap(), "hi");
    }

    #[test]
    fn nesting_ends_at_the_limit() {
        let mut nested = Vec::new();
        for _ in 0..=DEPTH_MAX {
            let mut encoder = Encoder::new();
            encoder.constructed(Tag::SEQUENCE, |inner| inner.encoded(&nested));
            nested = encoder.into_vec();
        }
        let mut decoder = Decoder::new(&nested);
        let error = loop {
            match decoder.constructed(Tag::SEQUENCE, "level") {
                Ok(inner) => decoder = inner,
                Err(error) => break error,
            }
        };
        assert_eq!(error.fault, Fault::AboveLimit { found: 65, limit: 64 });
    }

    proptest! {
        #[test]
        fn arbitrary_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut decoder = Decoder::new(&octets);
            while decoder.element("any").is_ok() {}
            let _ = element_octets(&octets, Tag::SEQUENCE, 16, "message");
            let _ = Decoder::new(&octets).integer(0..=9, "n");
        }

        #[test]
        fn every_integer_returns(value in any::<i64>()) {
            let mut encoder = Encoder::new();
            encoder.integer(Tag::ENUMERATED, value);
            let encoded = encoder.into_vec();
            let read = Decoder::new(&encoded).enumerated(i64::MIN..=i64::MAX, "n");
            prop_assert_eq!(read.unwrap(), value);
        }
    }
}
