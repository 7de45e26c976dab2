//! What is said inside a WebSocket ([RFC 6455 section 5]): AMQP, in binary messages.
//!
//! [RFC 6455 section 5]: https://www.rfc-editor.org/rfc/rfc6455#section-5

use super::amqp::Amqp;
use super::opening::{Answer, Opening, Scene, Step};

/// Octets of a frame's payload, and of what waits to be understood.
const PAYLOAD_OCTETS_MAX: usize = 4096;
/// Opcodes (section 5.2).
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
/// The bit of a final fragment, and the bits that extensions would use.
const FINAL: u8 = 0x80;
const RESERVED: u8 = 0x70;
/// The bit of a masked payload, which every client's is (section 5.3), and the length that two octets follow.
const MASKED: u8 = 0x80;
const LONG: u8 = 126;

/// One WebSocket.
#[derive(Debug, Default)]
pub(super) struct WebSocket {
    within: Amqp,
    /// What its messages carried and AMQP has not taken yet.
    carried: Vec<u8>,
}

impl Opening for WebSocket {
    fn hear(&mut self, heard: &[u8], scene: &Scene<'_>) -> Step {
        let Frame { opcode, payload, taken } = match frame(heard) {
            Ok(Some(frame)) => frame,
            Ok(None) => return Step::More,
            Err(_) => return Step::Foreign,
        };
        match opcode {
            CONTINUATION | TEXT | BINARY => self.carry(&payload, taken, scene),
            PING => Answer::new(taken, unmasked(PONG, &payload), "a ping of a WebSocket").into(),
            PONG => Answer::new(taken, Vec::new(), "a pong of a WebSocket").into(),
            CLOSE => {
                let octets = unmasked(CLOSE, payload.get(..2).unwrap_or_default());
                Answer::last(taken, octets, "the end of a WebSocket").into()
            }
            _ => Step::Foreign,
        }
    }
}

impl WebSocket {
    fn carry(&mut self, payload: &[u8], taken: usize, scene: &Scene<'_>) -> Step {
        self.carried.extend(payload);
        if self.carried.len() > PAYLOAD_OCTETS_MAX {
            return Step::Foreign;
        }
        match self.within.hear(&self.carried, scene) {
            Step::More => Answer::new(taken, Vec::new(), "a part inside a WebSocket").into(),
            Step::Foreign => Step::Foreign,
            Step::Answer(answer) => {
                self.carried.drain(..answer.taken.min(self.carried.len()));
                Answer { taken, octets: unmasked(BINARY, &answer.octets), ..answer }.into()
            }
        }
    }
}

struct Frame {
    opcode: u8,
    payload: Vec<u8>,
    taken: usize,
}

/// Not a client's frame.
struct Foreign;

fn frame(heard: &[u8]) -> Result<Option<Frame>, Foreign> {
    let Some(([first, second], rest)) = heard.split_first_chunk::<2>() else { return Ok(None) };
    if first & RESERVED != 0 || second & MASKED == 0 {
        return Err(Foreign);
    }
    let (length, rest) = match second & !MASKED {
        LONG => match rest.split_first_chunk::<2>() {
            Some((length, rest)) => (usize::from(u16::from_be_bytes(*length)), rest),
            None => return Ok(None),
        },
        length if length < LONG => (usize::from(length), rest),
        _ => return Err(Foreign),
    };
    if length > PAYLOAD_OCTETS_MAX {
        return Err(Foreign);
    }
    let Some((mask, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
    let Some(masked) = rest.get(..length) else { return Ok(None) };
    let payload = masked.iter().zip(mask.iter().cycle()).map(|(octet, mask)| octet ^ mask);
    let taken = heard.len() - rest.len() + length;
    Ok(Some(Frame { opcode: first & 0x0f, payload: payload.collect(), taken }))
}

/// A server's frame; the payloads here are shorter than two octets of length can say.
fn unmasked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut octets = vec![FINAL | opcode];
    match u8::try_from(payload.len()) {
        Ok(length) if length < LONG => octets.push(length),
        _ => {
            octets.push(LONG);
            octets.extend(u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    octets.extend(payload);
    octets
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::super::stand_in::tests::stand_in;
    use super::*;

    fn hear(socket: &mut WebSocket, heard: &[u8]) -> Step {
        let (stand_in, now) = (stand_in(), OffsetDateTime::UNIX_EPOCH);
        let here = [192, 0, 2, 1].into();
        socket.hear(heard, &Scene { stand_in: &stand_in, here, port: 1, is_private: true, now })
    }

    fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [1, 2, 3, 4];
        let mut octets = vec![FINAL | opcode, MASKED | u8::try_from(payload.len()).unwrap()];
        octets.extend(mask);
        octets.extend(payload.iter().zip(mask.iter().cycle()).map(|(octet, mask)| octet ^ mask));
        octets
    }

    #[test]
    fn amqp_opens_inside_whatever_its_pieces() {
        let mut socket = WebSocket::default();
        let Step::Answer(answer) = hear(&mut socket, &masked(BINARY, b"AMQP")) else { panic!() };
        assert!(answer.octets.is_empty());
        let rest = masked(BINARY, b"\x03\x01\x00\x00");
        for end in 0..rest.len() {
            assert_eq!(hear(&mut socket, &rest[..end]), Step::More, "{end}");
        }
        let Step::Answer(answer) = hear(&mut socket, &rest) else { panic!() };
        assert_eq!(answer.octets[0], FINAL | BINARY);
        assert!(answer.octets[2..].starts_with(b"AMQP\x03\x01\x00\x00"));
    }

    #[test]
    fn a_ping_is_answered_and_an_end_too() {
        let mut socket = WebSocket::default();
        let Step::Answer(answer) = hear(&mut socket, &masked(PING, b"you")) else { panic!() };
        assert_eq!(answer.octets, b"\x8a\x03you");
        let Step::Answer(answer) = hear(&mut socket, &masked(CLOSE, &[3, 232])) else { panic!() };
        assert!(answer.ends);
    }

    #[test]
    fn a_frame_without_a_mask_or_too_long_ends_it() {
        for foreign in
            [&b"\x82\x04AMQP"[..], &[0x82, 0xff], &[0x82, 0xfe, 0xff, 0xff], &[0xc2, 0x84]]
        {
            assert_eq!(hear(&mut WebSocket::default(), foreign), Step::Foreign, "{foreign:?}");
        }
    }
}
