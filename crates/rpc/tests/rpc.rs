//! The protocol against encodings that another implementation made, and against hostile peers.

#![expect(clippy::unwrap_used, reason = "a golden that cannot be read fails its test")]

mod binding;
mod drsr;
mod epm;

use portolan_model::Entropy;

/// A generator that repeats itself.
struct Counter(u8);

impl Entropy for Counter {
    fn fill(&mut self, out: &mut [u8]) {
        for octet in out {
            self.0 = self.0.wrapping_add(1);
            *octet = self.0;
        }
    }
}

/// Compares a stub of ours with a golden one, after the golden's identifiers of pointers were replaced:
/// ours are numbered from 0x00020000 on, in their order, at the given offsets.
fn check_stub(ours: &[u8], golden: &[u8], referents: &[usize]) {
    let mut golden = golden.to_vec();
    for (index, offset) in referents.iter().enumerate() {
        let identifier = 0x0002_0000 + 4 * u32::try_from(index).unwrap();
        assert_ne!(golden[*offset..offset + 4], [0; 4], "a pointer at {offset}");
        golden[*offset..offset + 4].copy_from_slice(&identifier.to_le_bytes());
    }
    assert_eq!(hex::encode(ours), hex::encode(golden));
}
