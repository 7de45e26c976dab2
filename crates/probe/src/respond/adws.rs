//! The framing of Active Directory Web Services and of relays ([MC-NMF]): the preamble is acknowledged, and
//! then the mark ends the conversation.
//!
//! [MC-NMF]: https://learn.microsoft.com/openspecs/windows_protocols/mc-nmf

use portolan_codec::{DecodeError, Fault, Reader};

use super::opening::{Answer, Opening, Scene, Step};
use crate::mark;

/// Octets of a preamble.
const PREAMBLE_OCTETS_MAX: usize = 4096;
/// Records (section 2.2.1).
const VERSION: u8 = 0x00;
const MODE: u8 = 0x01;
const VIA: u8 = 0x02;
const KNOWN_ENCODING: u8 = 0x03;
const EXTENSIBLE_ENCODING: u8 = 0x04;
const FAULT: u8 = 0x08;
const UPGRADE_REQUEST: u8 = 0x09;
const UPGRADE_RESPONSE: u8 = 0x0a;
const PREAMBLE_ACK: u8 = 0x0b;
const PREAMBLE_END: u8 = 0x0c;
/// Octets of a record's length (section 2.2.2.1).
const LENGTH_OCTETS_MAX: usize = 5;

/// One connection.
#[derive(Debug)]
pub(super) struct Framing;

impl Opening for Framing {
    fn hear(&mut self, heard: &[u8], _scene: &Scene<'_>) -> Step {
        if heard.len() > PREAMBLE_OCTETS_MAX {
            return Step::Foreign;
        }
        match preamble(heard) {
            Ok(Preamble { via, upgrade, taken }) => {
                let (acknowledgement, asked) = match upgrade {
                    Some(upgrade) => (UPGRADE_RESPONSE, format!("{via}, upgraded by {upgrade}")),
                    None => (PREAMBLE_ACK, via),
                };
                let mut octets = vec![acknowledgement, FAULT];
                octets.push(u8::try_from(mark::TEXT.len()).unwrap_or(0));
                octets.extend(mark::TEXT.as_bytes());
                Answer::last(taken, octets, asked).into()
            }
            Err(DecodeError { fault: Fault::Truncated { .. }, .. }) => Step::More,
            Err(_) => Step::Foreign,
        }
    }
}

struct Preamble {
    via: String,
    upgrade: Option<String>,
    taken: usize,
}

/// The records up to the one that waits for an answer.
fn preamble(heard: &[u8]) -> Result<Preamble, DecodeError> {
    let mut input = Reader::new(heard);
    input.u8("record")?.exactly(VERSION, "a version record")?;
    input.u8("major version")?.exactly(1, "version 1")?;
    input.u8("minor version")?.exactly(0, "version 1.0")?;
    let mut via = String::new();
    loop {
        let at = input;
        let upgrade = match input.u8("record")?.unchecked("each value is handled") {
            MODE => {
                input.u8("mode")?.at_most(4)?;
                continue;
            }
            KNOWN_ENCODING => {
                input.u8("encoding")?.at_most(8)?;
                continue;
            }
            EXTENSIBLE_ENCODING => {
                text(&mut input)?;
                continue;
            }
            VIA => {
                via = text(&mut input)?;
                continue;
            }
            UPGRADE_REQUEST => Some(text(&mut input)?),
            PREAMBLE_END => None,
            _ => return Err(at.fault("record", Fault::Malformed("a record of a preamble"))),
        };
        return Ok(Preamble { via, upgrade, taken: input.position() });
    }
}

/// A text behind its length, seven bits to an octet, the lowest first (section 2.2.2.1).
fn text(input: &mut Reader<'_>) -> Result<String, DecodeError> {
    let mut length = 0;
    for place in 0..LENGTH_OCTETS_MAX {
        let octet = input.u8("length")?.unchecked("the sum is held against the limit");
        length |= usize::from(octet & 0x7f) << (7 * place);
        if octet & 0x80 == 0 {
            break;
        }
    }
    if length > PREAMBLE_OCTETS_MAX {
        return Err(input.fault("length", Fault::Malformed("a text of at most 4096 octets")));
    }
    Ok(String::from_utf8_lossy(input.take(length, "text")?).into_owned())
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::super::stand_in::tests::stand_in;
    use super::*;

    fn hear(heard: &[u8]) -> Step {
        let (stand_in, now) = (stand_in(), OffsetDateTime::UNIX_EPOCH);
        let here = [192, 0, 2, 1].into();
        Framing.hear(heard, &Scene { stand_in: &stand_in, here, port: 1, is_private: false, now })
    }

    /// A duplex preamble, as .NET sends it to a directory's web service.
    fn opened(end: &[u8]) -> Vec<u8> {
        let via = b"net.tcp://dc1.corp.example/Windows";
        let mut octets = vec![VERSION, 1, 0, MODE, 2, VIA, u8::try_from(via.len()).unwrap()];
        octets.extend(via);
        octets.extend([KNOWN_ENCODING, 8]);
        octets.extend(end);
        octets
    }

    #[test]
    fn a_preamble_is_acknowledged_and_an_upgrade_granted() {
        let Step::Answer(answer) = hear(&opened(&[PREAMBLE_END])) else { panic!() };
        assert_eq!(answer.octets[..2], [PREAMBLE_ACK, FAULT]);
        assert!(mark::is_in(&answer.octets) && answer.ends);
        assert_eq!(answer.asked, "net.tcp://dc1.corp.example/Windows");
        let upgrade = b"\x09\x15application/negotiate";
        let Step::Answer(answer) = hear(&opened(upgrade)) else { panic!() };
        assert_eq!(answer.octets[0], UPGRADE_RESPONSE);
    }

    #[test]
    fn what_is_cut_waits_and_what_is_foreign_ends() {
        let whole = opened(&[PREAMBLE_END]);
        for end in 0..whole.len() {
            assert_eq!(hear(&whole[..end]), Step::More, "{end}");
        }
        assert_eq!(hear(b"GET / HTTP/1.1"), Step::Foreign);
        assert_eq!(hear(&[VERSION, 1, 0, VIA, 0xff, 0xff, 0xff, 0xff, 0x7f]), Step::Foreign);
        assert_eq!(hear(&[0; PREAMBLE_OCTETS_MAX + 1]), Step::Foreign);
    }
}
