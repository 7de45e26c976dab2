//! AMQP 1.0 ([transport], [security]): the protocol header and the SASL mechanisms; whoever chooses one is
//! refused.
//!
//! The mechanisms offered are the mark and ANONYMOUS: nobody is invited to send a secret.
//!
//! [transport]: https://docs.oasis-open.org/amqp/core/v1.0/os/amqp-core-transport-v1.0-os.html
//! [security]: https://docs.oasis-open.org/amqp/core/v1.0/os/amqp-core-security-v1.0-os.html

use super::opening::{Answer, Opening, Scene, Step};
use crate::mark;

/// The protocol header (transport section 2.2): the name, an identifier, and version 1.0.0.
pub(super) const NAME: &[u8] = b"AMQP";
const HEADER_OCTETS: usize = 8;
const SASL: u8 = 3;
const VERSION: [u8; 3] = [1, 0, 0];
/// Octets of a frame before AMQP is open (security section 5.3.1: 512 at most).
const FRAME_OCTETS_MAX: usize = 512;
/// The type of SASL frames (security section 5.3.1), and the data offset of a frame without an extension.
const SASL_FRAME: u8 = 1;
const DATA_OFFSET: u8 = 2;
/// A described value (types section 1.2), its descriptor a small unsigned long.
const DESCRIBED: [u8; 2] = [0x00, 0x53];
/// Descriptors (security section 5.3.3).
const MECHANISMS: u8 = 0x40;
const INIT: u8 = 0x41;
const OUTCOME: u8 = 0x44;
/// Constructors (types section 1.6): list8, array8, sym8, ubyte.
const LIST: u8 = 0xc0;
const ARRAY: u8 = 0xe0;
const SYMBOL: u8 = 0xa3;
const UBYTE: u8 = 0x50;
/// sasl-code auth: the proof failed.
const NOT_PROVEN: u8 = 1;

/// One connection, or what a WebSocket carries.
#[derive(Debug, Default)]
pub(super) struct Amqp {
    /// Whether the mechanisms were sent.
    is_open: bool,
}

impl Opening for Amqp {
    fn hear(&mut self, heard: &[u8], _scene: &Scene<'_>) -> Step {
        if self.is_open { chosen(heard) } else { self.header(heard) }
    }
}

impl Amqp {
    fn header(&mut self, heard: &[u8]) -> Step {
        if !heard.iter().zip(NAME).all(|(one, other)| one == other) {
            return Step::Foreign;
        }
        let Some(header) = heard.first_chunk::<HEADER_OCTETS>() else { return Step::More };
        let mut octets = NAME.to_vec();
        octets.push(SASL);
        octets.extend(VERSION);
        let [.., identifier, major, minor, revision] = *header;
        let asked = format!("AMQP {major}.{minor}.{revision}, protocol {identifier}");
        if identifier != SASL || [major, minor, revision] != VERSION {
            // What is spoken here is said, and the connection ends (transport section 2.2).
            return Answer::last(HEADER_OCTETS, octets, asked).into();
        }
        self.is_open = true;
        octets.extend(frame(MECHANISMS, &mechanisms()));
        Answer::new(HEADER_OCTETS, octets, asked).into()
    }
}

/// The peer's choice of a mechanism.
fn chosen(heard: &[u8]) -> Step {
    let Some(length) = heard.first_chunk::<4>() else { return Step::More };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if !(HEADER_OCTETS..=FRAME_OCTETS_MAX).contains(&length) {
        return Step::Foreign;
    }
    let Some(frame) = heard.get(..length) else { return Step::More };
    let [_, _, _, _, offset, SASL_FRAME, ..] = *frame else { return Step::Foreign };
    let body = frame.get(usize::from(offset) * 4..).unwrap_or_default();
    if body.strip_prefix(&DESCRIBED).and_then(<[u8]>::first) != Some(&INIT) {
        return Step::Foreign;
    }
    let outcome = self::frame(OUTCOME, &[LIST, 3, 1, UBYTE, NOT_PROVEN]);
    Answer::last(length, outcome, "to be let in").into()
}

/// A list of one field: an array of symbols.
fn mechanisms() -> Vec<u8> {
    let names = ["ANONYMOUS", mark::MECHANISM];
    let octet = |length: usize| u8::try_from(length).unwrap_or(0);
    let mut symbols = vec![octet(names.len()), SYMBOL];
    for name in names {
        symbols.push(octet(name.len()));
        symbols.extend(name.as_bytes());
    }
    let mut field = vec![ARRAY, octet(symbols.len())];
    field.extend(symbols);
    let mut list = vec![LIST, octet(1 + field.len()), 1];
    list.extend(field);
    list
}

fn frame(descriptor: u8, list: &[u8]) -> Vec<u8> {
    let length = HEADER_OCTETS + DESCRIBED.len() + 1 + list.len();
    let mut frame = u32::try_from(length).unwrap_or(0).to_be_bytes().to_vec();
    frame.extend([DATA_OFFSET, SASL_FRAME, 0, 0]);
    frame.extend(DESCRIBED);
    frame.push(descriptor);
    frame.extend(list);
    frame
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::super::stand_in::tests::stand_in;
    use super::*;

    fn hear(amqp: &mut Amqp, heard: &[u8]) -> Step {
        let (stand_in, now) = (stand_in(), OffsetDateTime::UNIX_EPOCH);
        let here = [192, 0, 2, 1].into();
        amqp.hear(heard, &Scene { stand_in: &stand_in, here, port: 1, is_private: true, now })
    }

    #[test]
    fn mechanisms_are_offered_and_none_succeeds() {
        let mut amqp = Amqp::default();
        assert_eq!(hear(&mut amqp, b"AMQP\x03\x01"), Step::More);
        let Step::Answer(answer) = hear(&mut amqp, b"AMQP\x03\x01\x00\x00") else { panic!() };
        assert!(answer.octets.starts_with(b"AMQP\x03\x01\x00\x00"));
        let mark = mark::MECHANISM.as_bytes();
        assert!(answer.octets.windows(mark.len()).any(|window| window == mark));
        let init = frame(INIT, &[LIST, 3, 1, SYMBOL, 0]);
        assert_eq!(hear(&mut amqp, &init[..9]), Step::More);
        let Step::Answer(answer) = hear(&mut amqp, &init) else { panic!() };
        assert!(answer.ends);
        assert_eq!(answer.octets.last(), Some(&NOT_PROVEN));
    }

    #[test]
    fn other_versions_are_told_and_what_is_foreign_ends() {
        let Step::Answer(answer) = hear(&mut Amqp::default(), b"AMQP\x00\x00\x09\x01") else {
            panic!()
        };
        assert!(answer.ends);
        assert_eq!(answer.octets, b"AMQP\x03\x01\x00\x00");
        assert_eq!(hear(&mut Amqp::default(), b"GET /"), Step::Foreign);
        let mut open = Amqp { is_open: true };
        assert_eq!(hear(&mut open, &[0xff; 8]), Step::Foreign);
        assert_eq!(hear(&mut open, &[0; 8]), Step::Foreign);
    }
}
