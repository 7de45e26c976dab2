//! TDS ([MS-TDS] section 2.2.6.5): the answer before a login, which demands encryption and ends there.
//!
//! Without that demand a client would go on with its password.
//!
//! [MS-TDS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds

use super::opening::{Answer, Opening, Scene, Step};
use crate::mark;

/// Octets of a packet before its data (section 2.2.3.1), and of a packet.
const HEADER_OCTETS: usize = 8;
const PACKET_OCTETS_MAX: usize = 4096;
/// Types of packets: PRELOGIN, and every answer (section 2.2.3.1.1).
const PRELOGIN: u8 = 0x12;
const ANSWER: u8 = 0x04;
/// The status of a message's last packet.
const LAST: u8 = 1;
/// Options, with the octets of an entry (section 2.2.6.5).
const VERSION: u8 = 0;
const ENCRYPTION: u8 = 1;
const TERMINATOR: u8 = 0xff;
const ENTRY_OCTETS: u8 = 1 /* token */ + 2 /* offset */ + 2 /* length */;
/// ENCRYPT_REQ.
const DEMANDED: u8 = 3;

/// One connection.
#[derive(Debug)]
pub(super) struct Tds;

impl Opening for Tds {
    fn hear(&mut self, heard: &[u8], _scene: &Scene<'_>) -> Step {
        if heard.first().is_some_and(|first| *first != PRELOGIN) {
            return Step::Foreign;
        }
        let Some([_, status, l0, l1, ..]) = heard.first_chunk::<HEADER_OCTETS>() else {
            return Step::More;
        };
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        if *status != LAST || !(HEADER_OCTETS..=PACKET_OCTETS_MAX).contains(&length) {
            return Step::Foreign;
        }
        match heard.len() < length {
            true => Step::More,
            false => Answer::last(length, answer(), "what comes before a login").into(),
        }
    }
}

fn answer() -> Vec<u8> {
    let version = 2 * ENTRY_OCTETS + 1 /* TERMINATOR */;
    let encryption = version + 6 /* of the version */;
    let data = [VERSION, 0, version, 0, 6, ENCRYPTION, 0, encryption, 0, 1, TERMINATOR];
    let length = HEADER_OCTETS + data.len() + mark::SERVER_VERSION.len() + 1;
    let mut octets = vec![ANSWER, LAST];
    octets.extend(u16::try_from(length).unwrap_or(0).to_be_bytes());
    octets.extend([0, 0, 1, 0]); // SPID, PacketID, Window
    octets.extend(data);
    octets.extend(mark::SERVER_VERSION);
    octets.push(DEMANDED);
    octets
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::super::stand_in::tests::stand_in;
    use super::*;

    fn hear(heard: &[u8]) -> Step {
        let (stand_in, now) = (stand_in(), OffsetDateTime::UNIX_EPOCH);
        let here = [192, 0, 2, 1].into();
        Tds.hear(heard, &Scene { stand_in: &stand_in, here, port: 1, is_private: false, now })
    }

    #[test]
    fn the_version_stands_where_the_answer_says() {
        let question = [PRELOGIN, LAST, 0, 9, 0, 0, 0, 0, TERMINATOR];
        for end in 0..question.len() {
            assert_eq!(hear(&question[..end]), Step::More, "{end}");
        }
        let Step::Answer(answer) = hear(&question) else { panic!() };
        let data = &answer.octets[HEADER_OCTETS..];
        assert_eq!(usize::from(answer.octets[3]), answer.octets.len());
        assert_eq!(data[usize::from(data[2])..][..6], mark::SERVER_VERSION);
        assert_eq!(data[usize::from(data[7])], DEMANDED);
        assert!(answer.ends);
        assert_eq!(hear(b"GET / HTTP/1.1"), Step::Foreign);
    }
}
