//! Time ([RFC 5905]): one client packet, and the clock that the answer shows.
//!
//! [RFC 5905]: https://www.rfc-editor.org/rfc/rfc5905

use time::OffsetDateTime;

use super::clock;
use crate::{Asker, DefectKind, Outcome, Verdict, mark};

/// Octets of a packet without extensions (section 7.3).
const PACKET_OCTETS: usize = 48;
/// Leap indicator 0, version 4, mode 3: a client's packet.
const CLIENT: u8 = 0b00_100_011;
/// Mode 4: a server's.
const SERVER_MODE: u8 = 4;
/// Where the packet says when it was sent.
const TRANSMITTED_AT: usize = 40;
/// Seconds from 1900, where the protocol's time begins, to 1970.
const UNIX_EPOCH: i64 = 2_208_988_800;

/// Asks for the time.
pub(super) async fn probe(asker: &Asker<'_>) -> Outcome {
    let mut question = [0; PACKET_OCTETS];
    question[0] = CLIENT;
    match asker.datagram(&question).await {
        Ok(answer) => judge(&answer, asker.now()),
        Err(verdict) => verdict.into(),
    }
}

fn judge(answer: &[u8], now: OffsetDateTime) -> Outcome {
    let (Some(&[first, stratum]), Some(sent)) = (
        answer.first_chunk::<2>(),
        answer.get(TRANSMITTED_AT..).and_then(<[u8]>::first_chunk::<4>),
    ) else {
        return Verdict::wrong_protocol(answer).into();
    };
    if answer.len() < PACKET_OCTETS || first & 0b111 != SERVER_MODE {
        return Verdict::wrong_protocol(answer).into();
    }
    // A leap indicator of 3 is a clock that was never set, stratum 0 a kiss-o'-death (section 7.4).
    if first >> 6 == 3 || stratum == 0 {
        return Verdict::faulty(
            DefectKind::Unavailable,
            "the time server has no time to give",
            "look at its own time source",
        )
        .into();
    }
    let seconds = i64::from(u32::from_be_bytes(*sent)) - UNIX_EPOCH;
    let Ok(theirs) = OffsetDateTime::from_unix_timestamp(seconds) else {
        return Verdict::wrong_protocol(answer).into();
    };
    let note = format!("stratum {stratum}, {}", clock::note(theirs, now));
    let verdict = match clock::judge(theirs, now) {
        None => Verdict::Open,
        Some(defect) => Verdict::Faulty(vec![defect]),
    };
    Outcome::new(verdict, vec![note], mark::is_in_time(answer))
        .with_figures(clock::figures(theirs, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server's packet, sent at these seconds since 1970.
    fn packet(first: u8, stratum: u8, seconds: i64) -> Vec<u8> {
        let mut packet = vec![0; PACKET_OCTETS];
        packet[0] = first;
        packet[1] = stratum;
        let since_1900 = u32::try_from(seconds + UNIX_EPOCH).unwrap();
        packet[TRANSMITTED_AT..TRANSMITTED_AT + 4].copy_from_slice(&since_1900.to_be_bytes());
        packet
    }

    fn check(answer: &[u8], expected: &str) {
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        assert_eq!(judge(answer, now).verdict.name(), expected, "{answer:?}");
    }

    #[test]
    fn a_server_s_clock_is_judged() {
        check(&packet(0b00_100_100, 2, 1_800_000_000), "open");
        check(&packet(0b00_100_100, 2, 1_800_000_300), "open");
        check(&packet(0b00_100_100, 2, 1_800_000_301), "faulty");
        check(&packet(0b00_100_100, 2, 1_799_999_000), "faulty");
        check(&packet(0b11_100_100, 2, 1_800_000_000), "faulty");
        check(&packet(0b00_100_100, 0, 1_800_000_000), "faulty");
        check(&packet(CLIENT, 2, 1_800_000_000), "wrong-protocol");
        check(b"220 mail ESMTP\r\n", "wrong-protocol");
        check(&[], "wrong-protocol");
    }
}
