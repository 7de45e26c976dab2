//! SHA-1 where a WebSocket begins ([RFC 6455 section 4.2.2]): a proof that the server understood the
//! request, and of nothing else.
//!
//! [RFC 6455 section 4.2.2]: https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2

use sha1::{Digest as _, Sha1};

/// What the server appends to the client's key.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The digest whose base64 is `Sec-WebSocket-Accept`, of `Sec-WebSocket-Key` as it was sent.
#[must_use]
pub fn accept(key: &[u8]) -> [u8; 20] {
    Sha1::new().chain_update(key).chain_update(GUID).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_one_of_the_specification() {
        // Section 1.3's own example; its text form is s3pPLMBiTxaQ9kYGzzhZRbK+xOo=.
        assert_eq!(
            accept(b"dGhlIHNhbXBsZSBub25jZQ=="),
            [
                0xb3, 0x7a, 0x4f, 0x2c, 0xc0, 0x62, 0x4f, 0x16, 0x90, 0xf6, 0x46, 0x06, 0xcf, 0x38,
                0x59, 0x45, 0xb2, 0xbe, 0xc4, 0xea
            ]
        );
    }
}
