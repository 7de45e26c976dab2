//! Reading a stub.

use portolan_codec::{DecodeError, Fault, Untrusted};
use portolan_model::Guid;

/// A bounded cursor over a stub, which keeps NDR's alignment: every number starts at a multiple of
/// its own size, counted from the start of the stub.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(portolan_codec::Reader<'a>);

impl<'a> Reader<'a> {
    /// A reader over a whole stub.
    #[must_use]
    pub const fn new(stub: &'a [u8]) -> Self {
        Self(portolan_codec::Reader::new(stub))
    }

    /// A `long` or `enum` of 32 bits (C706 14.2.5).
    ///
    /// # Errors
    /// [`Fault::Truncated`].
    pub fn u32(&mut self, field: &'static str) -> Result<Untrusted<u32>, DecodeError> {
        self.0.align(4, field)?;
        self.0.u32_le(field)
    }

    /// A `hyper` (C706 14.2.5).
    ///
    /// # Errors
    /// [`Fault::Truncated`].
    pub fn u64(&mut self, field: &'static str) -> Result<Untrusted<u64>, DecodeError> {
        self.0.align(8, field)?;
        self.0.u64_le(field)
    }

    /// A UUID (C706 appendix A).
    ///
    /// # Errors
    /// [`Fault::Truncated`].
    pub fn uuid(&mut self, field: &'static str) -> Result<Guid, DecodeError> {
        self.0.align(4, field)?;
        self.0.array(field).map(Guid::from_bytes_le)
    }

    /// Whether a unique pointer refers to something (C706 14.3.11).
    ///
    /// # Errors
    /// [`Fault::Truncated`].
    pub fn referent(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        Ok(self.u32(field)?.unchecked("any identifier but zero refers to something") != 0)
    }

    /// The number of elements of an array, at most the range of its definition, of which each takes at
    /// least `element_octets`: a number that what is left of the stub cannot hold is refused, so that
    /// no allocation exceeds it.
    ///
    /// # Errors
    /// [`Fault::AboveLimit`], [`Fault::Truncated`].
    pub fn count(
        &mut self,
        count_max: usize,
        element_octets: usize,
        field: &'static str,
    ) -> Result<usize, DecodeError> {
        let count = self.u32(field)?;
        count.at_most(count_max.min(self.0.remaining() / element_octets.max(1)))
    }

    /// The maximum count of a conformant array (C706 14.3.3.2), which must be the `expected` one that
    /// another field of the structure has named.
    ///
    /// # Errors
    /// [`Fault::Malformed`], [`Fault::Truncated`].
    pub fn conformance(&mut self, expected: usize, field: &'static str) -> Result<(), DecodeError> {
        let at = self.0;
        let found = self.u32(field)?.unchecked("compared with the expected number below");
        if usize::try_from(found) == Ok(expected) {
            return Ok(());
        }
        Err(at.fault(field, Fault::Malformed("the array's size is not the one its count names")))
    }

    /// Octets without alignment.
    ///
    /// # Errors
    /// [`Fault::Truncated`].
    pub fn octets(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], DecodeError> {
        self.0.take(count, field)
    }

    /// An array of octets without alignment.
    ///
    /// # Errors
    /// [`Fault::Truncated`].
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        self.0.array(field)
    }

    /// Skips to the alignment of a structure or union arm.
    ///
    /// # Errors
    /// [`Fault::Truncated`].
    pub fn align(&mut self, alignment: usize, field: &'static str) -> Result<(), DecodeError> {
        self.0.align(alignment, field)
    }

    /// Nothing, if the stub ends here.
    ///
    /// # Errors
    /// [`Fault::Trailing`].
    pub fn finish(&self, field: &'static str) -> Result<(), DecodeError> {
        self.0.finish(field)
    }

    /// An error at this reader's place.
    #[must_use]
    pub const fn fault(&self, field: &'static str, fault: Fault) -> DecodeError {
        self.0.fault(field, fault)
    }
}
