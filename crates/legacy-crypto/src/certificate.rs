//! SHA-1 as the name of a certificate, which Windows and its rules know it by: a proof of nothing.

use sha1::{Digest as _, Sha1};

/// The thumbprint of a certificate, of its DER.
#[must_use]
pub fn thumbprint(octets: &[u8]) -> [u8; 20] {
    Sha1::digest(octets).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_is_the_hash_of_fips_180_2_appendix_a_1() {
        assert_eq!(thumbprint(b"abc")[..4], [0xa9, 0x99, 0x3e, 0x36]);
    }
}
