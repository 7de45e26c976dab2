//! Octets that arrived and were not used yet.

/// Capacity that an empty buffer keeps for the next octets.
const RETAINED_OCTETS_MAX: usize = 1024 * 1024;

/// A queue of octets: appended at the end, consumed at the start, moved rarely.
#[derive(Default)]
pub(crate) struct Buffer {
    octets: Vec<u8>,
    /// INVARIANT: at most `octets.len()`.
    start: usize,
}

impl Buffer {
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.octets[self.start..]
    }

    pub(crate) fn len(&self) -> usize {
        self.octets.len() - self.start
    }

    /// Adds at the end. What was consumed makes room first, once it is more than is left: each
    /// octet is moved at most once for each that was consumed.
    pub(crate) fn append(&mut self, octets: &[u8]) {
        if self.start > self.len() {
            self.octets.drain(..self.start);
            self.start = 0;
        }
        self.octets.extend_from_slice(octets);
    }

    /// Adds octets that are given away; an empty buffer takes them without a copy.
    pub(crate) fn append_owned(&mut self, octets: Vec<u8>) {
        if self.len() == 0 {
            *self = Self { octets, start: 0 };
        } else {
            self.append(&octets);
        }
    }

    /// Drops octets at the start.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.octets.len());
        if self.len() == 0 {
            self.start = 0;
            self.octets.clear();
            if self.octets.capacity() > RETAINED_OCTETS_MAX {
                self.octets = Vec::new();
            }
        }
    }
}
