//! AMQP inside a WebSocket ([RFC 6455], AMQP's WebSocket binding section 2): the upgrade, and one frame.
//!
//! [RFC 6455]: https://www.rfc-editor.org/rfc/rfc6455

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portolan_legacy_crypto::websocket;

use crate::probes::http::message::Head;

/// The subprotocol of AMQP.
pub(super) const PROTOCOL: &str = "amqp";
/// Where a bus of Microsoft's kind listens; other servers mostly look at no path.
pub(super) const PATH: &str = "/$servicebus/websocket";
/// A last frame of binary data (section 5.2).
const FINAL_BINARY: u8 = 0x82;
/// The bit of a mask, and the lengths that one octet says.
const MASKED: u8 = 0x80;
const LENGTH_MAX: u8 = 125;

/// Why an answer to an upgrade is none.
pub(super) fn refusal(head: &Head, key: &str) -> Option<String> {
    let accept = STANDARD.encode(websocket::accept(key.as_bytes()));
    if head.status != 101 {
        return Some(format!("HTTP status {} in place of a WebSocket", head.status));
    }
    if head.value("sec-websocket-accept").map(str::trim) != Some(accept.as_str()) {
        return Some("an upgrade that does not answer the question".to_owned());
    }
    match head.value("sec-websocket-protocol").map(str::trim) {
        Some(chosen) if chosen.eq_ignore_ascii_case(PROTOCOL) => None,
        _ => Some("a WebSocket that is not AMQP's".to_owned()),
    }
}

/// A client's frame; a client masks what it sends (section 5.3).
pub(super) fn frame(payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap_or(LENGTH_MAX).min(LENGTH_MAX);
    let masked = payload.iter().zip(mask.iter().cycle()).map(|(octet, key)| octet ^ key);
    let mut frame = vec![FINAL_BINARY, MASKED | length];
    frame.extend(mask);
    frame.extend(masked.take(usize::from(length)));
    frame
}

/// The payload of a server's frame that is short and whole, and the octets of the frame; nothing until it
/// is there. Frames of more than 125 octets have longer heads, and are none of an AMQP opening.
///
/// # Errors
/// The octets' fault in words: it is no such frame.
pub fn payload(octets: &[u8]) -> Result<Option<(&[u8], usize)>, &'static str> {
    let Some(&[kind, length]) = octets.first_chunk::<2>() else { return Ok(None) };
    if kind != FINAL_BINARY || length > LENGTH_MAX {
        return Err("another frame than a short one of binary data");
    }
    let end = 2 + usize::from(length);
    Ok(octets.get(2..end).map(|payload| (payload, end)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::http::message::head;

    #[test]
    fn an_upgrade_answers_the_key_and_chooses_amqp() {
        // The key and the answer of RFC 6455 section 1.3.
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let check = |answer: &str, expected: Option<&str>| {
            let head = head(answer.as_bytes()).unwrap().unwrap();
            assert_eq!(refusal(&head, key).as_deref(), expected);
        };
        let good = "HTTP/1.1 101 S\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
        check(&format!("{good}Sec-WebSocket-Protocol: amqp\r\n\r\n"), None);
        check(&format!("{good}\r\n"), Some("a WebSocket that is not AMQP's"));
        check("HTTP/1.1 404 No\r\n\r\n", Some("HTTP status 404 in place of a WebSocket"));
        check("HTTP/1.1 101 S\r\n\r\n", Some("an upgrade that does not answer the question"));
    }

    #[test]
    fn frames_are_masked_one_way_only() {
        let sent = frame(b"AMQP", [1, 2, 3, 4]);
        assert_eq!(sent, [0x82, 0x84, 1, 2, 3, 4, b'A' ^ 1, b'M' ^ 2, b'Q' ^ 3, b'P' ^ 4]);
        assert_eq!(payload(&[0x82, 4, b'A', b'M', b'Q']), Ok(None));
        assert_eq!(payload(b"\x82\x04AMQPx"), Ok(Some((b"AMQP".as_slice(), 6))));
        assert!(payload(&[0x88, 2, 3, 0xe8]).is_err());
        assert!(payload(&[0x82, 0x84]).is_err());
    }
}
