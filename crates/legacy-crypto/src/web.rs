//! SHA-1 as two protocols of the web name things by it; neither relies on it for a proof.

use sha1::{Digest as _, Sha1};

/// How an answer to a WebSocket's upgrade is told from one to another question, before its base64
/// ([RFC 6455 section 4.2.2]).
///
/// [RFC 6455 section 4.2.2]: https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
#[must_use]
pub fn websocket_accept(key: &str) -> [u8; 20] {
    const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    Sha1::new().chain_update(key).chain_update(GUID).finalize().into()
}

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
    fn the_answer_of_rfc_6455_section_1_3_comes_out() {
        let accept = websocket_accept("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept[..4], [0xb3, 0x7a, 0x4f, 0x2c]);
        // FIPS 180-2 appendix A.1.
        assert_eq!(issuer_hash(b"abc")[..4], [0xa9, 0x99, 0x3e, 0x36]);
    }
}
