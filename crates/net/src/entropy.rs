//! The one random source, from the cryptographic provider.

use portolan_model::Entropy;

/// The system's random source, by aws-lc-rs. A copy costs nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&mut self, out: &mut [u8]) {
        if aws_lc_rs::rand::fill(out).is_err() {
            // Without randomness no key, nonce or token may be made, and nothing can repair that.
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        assert_ne!(SystemEntropy.array::<16>(), SystemEntropy.array::<16>());
    }
}
