//! SHA-1 where the status of a certificate is asked for: a name for its issuer, and a proof of nothing.

use sha1::{Digest as _, Sha1};

/// The name or the key of an issuer, as a question for a certificate's status has it ([RFC 6960 section
/// 4.1.1], where every responder knows this hash: [RFC 5019 section 2.1.1]).
///
/// [RFC 6960 section 4.1.1]: https://www.rfc-editor.org/rfc/rfc6960#section-4.1.1
/// [RFC 5019 section 2.1.1]: https://www.rfc-editor.org/rfc/rfc5019#section-2.1.1
#[must_use]
pub fn issuer_hash(octets: &[u8]) -> [u8; 20] {
    Sha1::digest(octets).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_fips_180_2_appendix_a_1() {
        assert_eq!(issuer_hash(b"abc")[..4], [0xa9, 0x99, 0x3e, 0x36]);
    }
}
