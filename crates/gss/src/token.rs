//! The framing of the tokens that establish a context ([RFC 4121 section 4.1]): mechanism and kind
//! before a Kerberos message. RPC sends the messages bare ([MS-KILE] 3.4.5.1).
//!
//! [RFC 4121 section 4.1]: https://www.rfc-editor.org/rfc/rfc4121#section-4.1
//! [MS-KILE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-kile

use portolan_codec::{DecodeError, Reader};

use crate::der::element;

/// The tag of AP-REP, `[APPLICATION 15]`.
pub const AP_REP: u8 = 0x6f;

/// TOK_ID of an AP-REQ.
const TOKEN_AP_REQ: [u8; 2] = [1, 0];
/// The tag of a framed token ([RFC 2743 section 3.1]).
///
/// [RFC 2743 section 3.1]: https://www.rfc-editor.org/rfc/rfc2743#section-3.1
const FRAME: u8 = 0x60;
/// The mechanism 1.2.840.113554.1.2.2, Kerberos V5, with tag and length.
const MECHANISM: [u8; 11] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02];

/// Frames an AP-REQ.
#[must_use]
pub fn frame_ap_req(message: &[u8]) -> Vec<u8> {
    let length = MECHANISM.len() + TOKEN_AP_REQ.len() + message.len();
    let mut token = vec![FRAME];
    let octets = length.to_be_bytes();
    let significant = octets.iter().skip_while(|octet| **octet == 0).copied().collect::<Vec<_>>();
    match (length, u8::try_from(significant.len())) {
        (..=0x7f, _) | (_, Err(_)) => token.extend(significant),
        (_, Ok(count)) => {
            token.push(0x80 | count);
            token.extend(significant);
        }
    }
    token.extend(MECHANISM);
    token.extend(TOKEN_AP_REQ);
    token.extend(message);
    token
}

/// The Kerberos message in a framed token: an AP-REP or a KRB-ERROR, which its own tag tells.
///
/// # Errors
/// [`DecodeError`] when it is framed otherwise.
pub fn unframe(token: &[u8]) -> Result<&[u8], DecodeError> {
    let mut outer = Reader::new(token);
    let mut frame = element(&mut outer, FRAME, "token")?;
    outer.finish("token")?;
    for octet in MECHANISM {
        frame.u8("mechanism")?.exactly(octet, "Kerberos V5")?;
    }
    frame.u16_be("TOK_ID")?.unchecked("the message has a tag of its own");
    Ok(frame.rest())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_every_length_comes_out_of_its_frame() {
        for length in [0, 1, 113, 114, 115, 242, 243, 1434, 60_000] {
            let message = vec![0x6e; length];
            let token = frame_ap_req(&message);
            assert_eq!(unframe(&token).unwrap(), message, "{length}");
            assert!(unframe(&token[..token.len() - 1]).is_err(), "{length}");
        }
        assert_eq!(frame_ap_req(&[]).len(), 15);
    }

    #[test]
    fn another_mechanism_and_what_follows_the_frame_are_refused() {
        let mut token = frame_ap_req(&[AP_REP, 0]);
        token.push(0);
        assert!(unframe(&token).is_err());
        token.pop();
        token[12] ^= 1;
        assert!(unframe(&token).is_err());
    }
}
