//! Writing a stub.

use portolan_model::Guid;

/// Appends a stub's fields with NDR's alignment and gives pointers their referents.
#[derive(Debug, Default)]
pub struct Writer {
    output: portolan_codec::Writer,
    referents: u32,
}

impl Writer {
    /// An empty stub.
    #[must_use]
    pub const fn new() -> Self {
        Self { output: portolan_codec::Writer::new(), referents: 0 }
    }

    /// A `long` (C706 14.2.5).
    pub fn u32(&mut self, value: u32) {
        self.output.align(4);
        self.output.u32_le(value);
    }

    /// A `hyper` (C706 14.2.5).
    pub fn u64(&mut self, value: u64) {
        self.output.align(8);
        self.output.u64_le(value);
    }

    /// A UUID (C706 appendix A).
    pub fn uuid(&mut self, value: Guid) {
        self.output.align(4);
        self.output.put(&value.to_bytes_le());
    }

    /// The identifier of a pointer that refers to something: each pointer of a stub has its own, so
    /// that unique and full pointers are served alike (C706 14.3.11).
    pub fn referent(&mut self) {
        self.u32(FIRST_REFERENT + 4 * self.referents);
        self.referents += 1;
    }

    /// The identifier of a pointer that may refer to nothing.
    pub fn optional(&mut self, refers: bool) {
        if refers { self.referent() } else { self.u32(0) }
    }

    /// A count, which the caller has bounded; saturates.
    pub fn count(&mut self, value: usize) {
        self.u32(u32::try_from(value).unwrap_or(u32::MAX));
    }

    /// Octets without alignment.
    pub fn octets(&mut self, octets: &[u8]) {
        self.output.put(octets);
    }

    /// Fills up to the alignment of a structure or union arm.
    pub fn align(&mut self, alignment: usize) {
        self.output.align(alignment);
    }

    /// The stub.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.output.into_vec()
    }
}

const FIRST_REFERENT: u32 = 0x0002_0000;
