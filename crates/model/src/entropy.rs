//! Randomness as an argument.

/// A cryptographic random source. The IO tier implements it with the system's; a simulation or a
/// test with a seeded one.
pub trait Entropy {
    /// Fills `out` with random octets.
    fn fill(&mut self, out: &mut [u8]);

    /// An array of random octets.
    fn array<const N: usize>(&mut self) -> [u8; N]
    where
        Self: Sized,
    {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }
}
