//! A bounded cursor over received octets.

use crate::error::{DecodeError, Fault};
use crate::untrusted::Untrusted;

/// Reads fields from a slice. Every read names its field, so that an error says where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    input: &'a [u8],
    position: usize,
    base: usize,
}

macro_rules! number {
    ($($name:ident $type:ty, $from:ident, $width:literal, $order:literal;)*) => {$(
        #[doc = concat!("A ", stringify!($type), ", ", $order, ".")]
        ///
        /// # Errors
        /// [`Fault::Truncated`] when fewer octets are left.
        pub fn $name(&mut self, field: &'static str) -> Result<Untrusted<$type>, DecodeError> {
            let offset = self.offset();
            let octets: [u8; $width] = self.array(field)?;
            Ok(Untrusted::new(<$type>::$from(octets), offset, field))
        }
    )*};
}

impl<'a> Reader<'a> {
    /// A reader over a whole input.
    #[must_use]
    pub const fn new(input: &'a [u8]) -> Self {
        Self { input, position: 0, base: 0 }
    }

    /// A reader over a part of an input that stands `base` octets into it.
    #[must_use]
    pub const fn at(input: &'a [u8], base: usize) -> Self {
        Self { input, position: 0, base }
    }

    /// Offset of the next octet from the start of the outermost input.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.base + self.position
    }

    /// Octets consumed by this reader.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.position
    }

    /// Octets that are left.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.input.len() - self.position
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// The next octet, which stays.
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.input.get(self.position).copied()
    }

    /// The next `count` octets. `count` must have been checked against a limit already; that the
    /// input has them is checked here.
    ///
    /// # Errors
    /// [`Fault::Truncated`] when fewer octets are left.
    pub fn take(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let available = self.remaining();
        if count > available {
            return Err(self.fault(field, Fault::Truncated { needed: count, available }));
        }
        let taken = &self.input[self.position..self.position + count];
        self.position += count;
        Ok(taken)
    }

    /// The next `count` octets as a reader that keeps the offsets.
    ///
    /// # Errors
    /// [`Fault::Truncated`] when fewer octets are left.
    pub fn sub(&mut self, count: usize, field: &'static str) -> Result<Reader<'a>, DecodeError> {
        let base = self.offset();
        Ok(Reader::at(self.take(count, field)?, base))
    }

    /// The next `N` octets as an array.
    ///
    /// # Errors
    /// [`Fault::Truncated`] when fewer octets are left.
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N, field)?);
        Ok(out)
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        let rest = &self.input[self.position..];
        self.position = self.input.len();
        rest
    }

    /// Skips to the next multiple of `alignment`, counted from this reader's own start.
    ///
    /// # Errors
    /// [`Fault::Truncated`] when the padding is not there.
    pub fn align(&mut self, alignment: usize, field: &'static str) -> Result<(), DecodeError> {
        let padding = self.position.next_multiple_of(alignment) - self.position;
        self.take(padding, field).map(|_| ())
    }

    /// Nothing, if everything was consumed.
    ///
    /// # Errors
    /// [`Fault::Trailing`] with the number of octets left.
    pub fn finish(&self, field: &'static str) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            count => Err(self.fault(field, Fault::Trailing { count })),
        }
    }

    /// An error at this reader's place.
    #[must_use]
    pub const fn fault(&self, field: &'static str, fault: Fault) -> DecodeError {
        DecodeError::new(self.offset(), field, fault)
    }

    number! {
        u8 u8, from_be_bytes, 1, "one octet";
        u16_be u16, from_be_bytes, 2, "big-endian";
        u32_be u32, from_be_bytes, 4, "big-endian";
        u64_be u64, from_be_bytes, 8, "big-endian";
        u16_le u16, from_le_bytes, 2, "little-endian";
        u32_le u32, from_le_bytes, 4, "little-endian";
        u64_le u64, from_le_bytes, 8, "little-endian";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_past_the_end_names_field_and_offset() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.u16_be("a").unwrap().unchecked("test"), 0x0102);
        let error = reader.u32_le("b").unwrap_err();
        assert_eq!(error.to_string(), "b at offset 2: needs 4 octets, 1 are left");
    }

    #[test]
    fn a_number_above_its_limit_is_refused() {
        let mut reader = Reader::new(&[0xff, 0xff]);
        let error = reader.u16_le("count").unwrap().at_most(100).unwrap_err();
        assert_eq!(error.to_string(), "count at offset 0: 65535 is above the limit of 100");
    }

    #[test]
    fn a_sub_reader_keeps_outer_offsets_and_aligns_to_its_own_start() {
        let mut reader = Reader::new(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        reader.take(2, "head").unwrap();
        let mut sub = reader.sub(8, "body").unwrap();
        sub.u8("x").unwrap().unchecked("test");
        sub.align(4, "pad").unwrap();
        assert_eq!((sub.offset(), sub.position(), reader.is_empty()), (6, 4, true));
    }

    #[test]
    fn leftovers_are_counted() {
        let error = Reader::new(&[0; 3]).finish("pdu").unwrap_err();
        assert_eq!(error.fault, Fault::Trailing { count: 3 });
    }
}
