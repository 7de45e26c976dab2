//! A ClientHello of TLS 1.1 or 1.0 by hand ([RFC 4346 section 7.4.1.2]), and what is answered: our own
//! library speaks neither, and a peer that does is weaker than what [RFC 8996] allows.
//!
//! [RFC 4346 section 7.4.1.2]: https://www.rfc-editor.org/rfc/rfc4346#section-7.4.1.2
//! [RFC 8996]: https://www.rfc-editor.org/rfc/rfc8996

/// The versions that nobody should speak any more, newest first, and their names.
pub(super) const OLD_VERSIONS: [(u16, &str); 2] = [(0x0302, "TLS 1.1"), (0x0301, "TLS 1.0")];

const HANDSHAKE: u8 = 22;
const ALERT: u8 = 21;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
/// Octets of a record's head: type, version, length.
const RECORD_HEAD: usize = 1 + 2 + 2;
/// Octets of a message's head: type, length.
const MESSAGE_HEAD: usize = 1 + 3;
/// Where the version of a ServerHello stands that begins a record.
const VERSION_AT: usize = RECORD_HEAD + MESSAGE_HEAD;
/// ECDHE and RSA key exchange with AES and SHA-1, by ECDSA and by RSA, and 3DES: all that these versions
/// have and servers still offer.
const SUITES: [u16; 7] = [0xc00a, 0xc009, 0xc014, 0xc013, 0x0035, 0x002f, 0x000a];
/// The curves P-256, P-384 and P-521 (RFC 8422 section 5.1.1).
const CURVES: [u16; 3] = [23, 24, 25];
const SERVER_NAME: u16 = 0;
const SUPPORTED_GROUPS: u16 = 10;
const POINT_FORMATS: u16 = 11;

/// What was answered to a ClientHello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// More octets are needed.
    Unfinished,
    /// The server went on with this version.
    Accepted(u16),
    /// An alert, or what is no TLS.
    Refused,
}

/// A ClientHello that offers nothing above a version. Without a name there is no SNI.
pub(super) fn client_hello(version: u16, random: [u8; 32], name: Option<&str>) -> Vec<u8> {
    let mut extensions = Vec::new();
    if let Some(name) = name {
        // One name, of the type host_name (RFC 6066 section 3).
        let entry = [&[0], vector16(name.as_bytes()).as_slice()].concat();
        extensions.extend(extension(SERVER_NAME, &vector16(&entry)));
    }
    let curves: Vec<u8> = CURVES.iter().flat_map(|curve| curve.to_be_bytes()).collect();
    extensions.extend(extension(SUPPORTED_GROUPS, &vector16(&curves)));
    // One format: uncompressed.
    extensions.extend(extension(POINT_FORMATS, &[1, 0]));
    let suites: Vec<u8> = SUITES.iter().flat_map(|suite| suite.to_be_bytes()).collect();
    let mut body = version.to_be_bytes().to_vec();
    body.extend(random);
    // No session.
    body.push(0);
    body.extend(vector16(&suites));
    // One compression method: none.
    body.extend([1, 0]);
    body.extend(vector16(&extensions));
    let mut message = vec![CLIENT_HELLO, 0];
    message.extend(vector16(&body));
    let mut record = vec![HANDSHAKE, 3, 1];
    record.extend(vector16(&message));
    record
}

/// What the octets that came so far say.
#[must_use]
pub fn answer(octets: &[u8]) -> Answer {
    match octets.first() {
        None => return Answer::Unfinished,
        Some(&HANDSHAKE) => {}
        Some(_) => return Answer::Refused,
    }
    if octets.get(RECORD_HEAD).is_some_and(|kind| *kind != SERVER_HELLO) {
        return Answer::Refused;
    }
    match octets.get(VERSION_AT..).and_then(<[u8]>::first_chunk::<2>) {
        Some(version) => Answer::Accepted(u16::from_be_bytes(*version)),
        None => Answer::Unfinished,
    }
}

/// Whether the octets begin like a record of TLS.
pub(super) fn is_record(octets: &[u8]) -> bool {
    matches!(octets, [HANDSHAKE | ALERT, 3, ..] | [HANDSHAKE | ALERT] | [])
}

fn extension(number: u16, body: &[u8]) -> Vec<u8> {
    [&number.to_be_bytes(), vector16(body).as_slice()].concat()
}

/// With its length before it; what is longer than a length can say is never made here.
fn vector16(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_say_what_follows() {
        let hello = client_hello(0x0302, [7; 32], Some("sts.corp.example"));
        let length = |at: usize| usize::from(u16::from_be_bytes([hello[at], hello[at + 1]]));
        assert_eq!(length(3), hello.len() - RECORD_HEAD);
        assert_eq!(length(RECORD_HEAD + 2), hello.len() - VERSION_AT);
        assert_eq!(hello[VERSION_AT..VERSION_AT + 2], [3, 2]);
    }

    #[test]
    fn an_answer_names_the_version_that_the_server_goes_on_with() {
        let hello = [22, 3, 2, 0, 50, 2, 0, 0, 46, 3, 2, 9, 9];
        for length in 0..VERSION_AT + 2 {
            assert_eq!(answer(&hello[..length]), Answer::Unfinished, "{length}");
        }
        assert_eq!(answer(&hello), Answer::Accepted(0x0302));
        // protocol_version, fatal.
        assert_eq!(answer(&[21, 3, 1, 0, 2, 2, 70]), Answer::Refused);
        assert_eq!(answer(b"SSH-2.0-x"), Answer::Refused);
        assert_eq!(answer(&[22, 3, 1, 0, 4, 0, 0, 0, 0]), Answer::Refused);
    }
}
