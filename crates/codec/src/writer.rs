//! A growing buffer of octets to send.

/// Appends fields to a buffer; can align and patch what it has written.
#[derive(Debug, Default, Clone)]
pub struct Writer {
    output: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    #[must_use]
    pub const fn new() -> Self {
        Self { output: Vec::new() }
    }

    /// An empty writer with room for `capacity` octets.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { output: Vec::with_capacity(capacity) }
    }

    /// Octets written so far.
    #[must_use]
    pub fn position(&self) -> usize {
        self.output.len()
    }

    /// Appends octets.
    pub fn put(&mut self, octets: &[u8]) {
        self.output.extend_from_slice(octets);
    }

    /// Appends one octet.
    pub fn u8(&mut self, value: u8) {
        self.output.push(value);
    }

    /// Appends a number, big-endian.
    pub fn u16_be(&mut self, value: u16) {
        self.put(&value.to_be_bytes());
    }

    /// Appends a number, big-endian.
    pub fn u32_be(&mut self, value: u32) {
        self.put(&value.to_be_bytes());
    }

    /// Appends a number, big-endian.
    pub fn u64_be(&mut self, value: u64) {
        self.put(&value.to_be_bytes());
    }

    /// Appends a number, little-endian.
    pub fn u16_le(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }

    /// Appends a number, little-endian.
    pub fn u32_le(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    /// Appends a number, little-endian.
    pub fn u64_le(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }

    /// Appends zeros up to the next multiple of `alignment`, and says how many.
    pub fn align(&mut self, alignment: usize) -> usize {
        let before = self.output.len();
        self.output.resize(before.next_multiple_of(alignment), 0);
        self.output.len() - before
    }

    /// Overwrites what was written at `position`.
    ///
    /// INVARIANT: the caller patches only octets that it has written; anything past the end is
    /// appended, so that this never panics.
    pub fn patch(&mut self, position: usize, octets: &[u8]) {
        let end = (position + octets.len()).max(self.output.len());
        self.output.resize(end, 0);
        self.output[position..position + octets.len()].copy_from_slice(octets);
    }

    /// Moves what was written from `position` on to make room for octets there, such as a length
    /// that is known only now.
    ///
    /// INVARIANT: the caller inserts within what it has written; past the end is appended, so that
    /// this never panics.
    pub fn insert(&mut self, position: usize, octets: &[u8]) {
        let end = self.output.len();
        let position = position.min(end);
        self.output.resize(end + octets.len(), 0);
        self.output.copy_within(position..end, position + octets.len());
        self.output[position..position + octets.len()].copy_from_slice(octets);
    }

    /// What was written.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.output
    }

    /// What was written, by value.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alignment_and_patching_keep_the_rest() {
        let mut writer = Writer::new();
        writer.u8(1);
        assert_eq!(writer.align(4), 3);
        writer.u32_le(0);
        writer.patch(4, &7u32.to_le_bytes());
        assert_eq!(writer.into_vec(), [1, 0, 0, 0, 7, 0, 0, 0]);
    }

    #[test]
    fn inserting_moves_what_follows() {
        let mut writer = Writer::new();
        writer.put(&[1, 2, 5]);
        writer.insert(2, &[3, 4]);
        writer.insert(5, &[6]);
        assert_eq!(writer.into_vec(), [1, 2, 3, 4, 5, 6]);
    }
}
