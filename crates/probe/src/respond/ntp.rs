//! Time ([RFC 5905]): the clock of this host, so far from any source that nobody follows it.
//!
//! [RFC 5905]: https://www.rfc-editor.org/rfc/rfc5905

use portolan_codec::Writer;
use time::OffsetDateTime;

use super::opening::{Answer, Scene};
use crate::mark;

/// Octets of a packet without extensions (section 7.3).
const PACKET_OCTETS: usize = 48;
/// Modes of a client and of a server (figure 10).
const CLIENT: u8 = 3;
const SERVER: u8 = 4;
/// The versions that are answered, each in itself.
const VERSIONS: std::ops::RangeInclusive<u8> = 3..=4;
/// The furthest from a source that a clock may be (figure 11).
const STRATUM: u8 = 15;
/// The exponent of two of a clock's precision in seconds: about a microsecond.
const PRECISION: u8 = 0xec;
/// One second as delay and as dispersion, in seconds of 16 bits before the point and 16 behind.
const ONE_SECOND: u32 = 0x0001_0000;
/// Where a client's packet says when it was sent.
const TRANSMITTED_AT: usize = 40;
/// Seconds from 1900, where the protocol's time begins, to 1970.
const UNIX_EPOCH: i64 = 2_208_988_800;

/// An answer has the octets of its question.
pub(super) fn datagram(question: &[u8], scene: &Scene<'_>) -> Option<Answer> {
    let (&first, &poll) = (question.first()?, question.get(2)?);
    let version = first >> 3 & 0b111;
    if question.len() < PACKET_OCTETS || first & 0b111 != CLIENT || !VERSIONS.contains(&version) {
        return None;
    }
    let sent = question.get(TRANSMITTED_AT..PACKET_OCTETS)?;
    let now = stamp(scene.now);
    let mut out = Writer::with_capacity(PACKET_OCTETS);
    out.put(&[version << 3 | SERVER, STRATUM, poll, PRECISION]);
    out.u32_be(ONE_SECOND); // root delay
    out.u32_be(ONE_SECOND); // root dispersion
    out.put(&mark::REFERENCE_ID);
    out.u64_be(now); // reference timestamp
    out.put(sent); // origin timestamp
    out.u64_be(now); // receive timestamp
    out.u64_be(now); // transmit timestamp
    Some(Answer::new(question.len(), out.into_vec(), "the time"))
}

/// Seconds since 1900 in 32 bits, which begin anew in 2036, and the fraction in 32 (section 6).
fn stamp(now: OffsetDateTime) -> u64 {
    let seconds = now.unix_timestamp() + UNIX_EPOCH;
    let fraction = (u64::from(now.nanosecond()) << 32) / 1_000_000_000;
    (seconds.cast_unsigned() << 32) | fraction
}

#[cfg(test)]
mod tests {
    use super::super::stand_in::tests::stand_in;
    use super::*;

    #[test]
    fn a_client_is_told_the_time_and_who_tells_it() {
        let stand_in = stand_in();
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        let here = [192, 0, 2, 1].into();
        let scene = Scene { stand_in: &stand_in, here, port: 1, is_private: false, now };
        let mut question = vec![0; PACKET_OCTETS];
        question[0] = 4 << 3 | CLIENT;
        question[TRANSMITTED_AT] = 77;
        let answer = datagram(&question, &scene).unwrap().octets;
        assert_eq!(answer.len(), PACKET_OCTETS);
        assert_eq!((answer[0] & 0b111, answer[24]), (SERVER, 77));
        assert!(mark::is_in_time(&answer));
        let seconds = u32::from_be_bytes(answer[40..44].try_into().unwrap());
        assert_eq!(i64::from(seconds) - UNIX_EPOCH, 1_800_000_000);
        // Neither a server's packet nor a control message gets an answer.
        for mode in [4, 6, 7] {
            question[0] = 4 << 3 | mode;
            assert!(datagram(&question, &scene).is_none());
        }
        assert!(datagram(&[4 << 3 | CLIENT; 12], &scene).is_none());
    }
}
