//! Active Directory Web Services: the preamble of .NET message framing ([MC-NMF]) as far as the upgrade
//! to a negotiated stream, before which nobody signs in ([MS-ADDM] section 2.1).
//!
//! [MC-NMF]: https://learn.microsoft.com/openspecs/windows_protocols/mc-nmf
//! [MS-ADDM]: https://learn.microsoft.com/openspecs/windows_protocols/ms-addm

use super::hearing::Hearing;
use crate::{Asker, DefectKind, Outcome, Verdict, mark};

/// Record types ([MC-NMF] section 2.2.1).
const VERSION: u8 = 0;
const MODE: u8 = 1;
const VIA: u8 = 2;
const KNOWN_ENCODING: u8 = 3;
const FAULT: u8 = 8;
const UPGRADE_REQUEST: u8 = 9;
const UPGRADE_RESPONSE: u8 = 10;
/// Duplex (section 2.2.3.2).
const DUPLEX: u8 = 2;
/// Binary with an in-band dictionary (section 2.2.3.4.1).
const BINARY_SESSION: u8 = 8;
/// The protocol of the upgrade ([MS-NNS] section 1.9).
const NEGOTIATE: &str = "application/negotiate";
/// Octets of a fault's name, which is a URI of [MC-NMF] section 2.2.5.
const FAULT_OCTETS_MAX: usize = 256;
/// The service that every controller has ([MS-ADDM] section 2.1).
const SERVICE: &str = "ActiveDirectoryWebServices/Windows/Resource";

/// Asks for an upgrade.
pub(super) async fn probe(asker: &Asker<'_>) -> Outcome {
    let via = format!("net.tcp://{}:{}/{SERVICE}", asker.peer(), asker.port());
    match exchange(asker, &preamble(&via)).await {
        Ok(outcome) => outcome,
        Err(verdict) => verdict.into(),
    }
}

async fn exchange(asker: &Asker<'_>, preamble: &[u8]) -> Result<Outcome, Verdict> {
    let connection = asker.connect().await?;
    let mut hearing = Hearing::new(asker, connection.stream);
    hearing.say(preamble).await?;
    let mut heard = hearing.at_least(1).await?;
    loop {
        match judge(heard) {
            Some(outcome) => return Ok(outcome),
            None => heard = hearing.more().await?,
        }
    }
}

fn preamble(via: &str) -> Vec<u8> {
    let mut octets = vec![VERSION, 1, 0, MODE, DUPLEX, VIA];
    put(&mut octets, via);
    octets.extend([KNOWN_ENCODING, BINARY_SESSION, UPGRADE_REQUEST]);
    put(&mut octets, NEGOTIATE);
    octets
}

/// A text behind its length, seven bits an octet (section 2.2.2).
fn put(octets: &mut Vec<u8>, text: &str) {
    let mut length = text.len();
    while length > 0x7f {
        octets.push(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
        length >>= 7;
    }
    octets.push(u8::try_from(length).unwrap_or_default());
    octets.extend(text.as_bytes());
}

/// What was heard so far; nothing while that is not a whole record.
#[must_use]
pub fn judge(heard: &[u8]) -> Option<Outcome> {
    match heard {
        [] => None,
        [UPGRADE_RESPONSE, rest @ ..] => {
            let stand_in = mark::is_in(rest);
            Some(Outcome { stand_in, ..Verdict::Open.into() })
        }
        [FAULT, rest @ ..] => {
            let (length, rest) = match rest {
                [] => return None,
                [low @ 0x80..=0xff, rest @ ..] => match rest {
                    [] => return None,
                    [high @ 0..=1, rest @ ..] => {
                        (usize::from(low & 0x7f) | usize::from(*high) << 7, rest)
                    }
                    _ => return Some(Verdict::wrong_protocol(heard).into()),
                },
                [length, rest @ ..] => (usize::from(*length), rest),
            };
            if length == 0 || length > FAULT_OCTETS_MAX {
                return Some(Verdict::wrong_protocol(heard).into());
            }
            let fault = std::str::from_utf8(rest.get(..length)?).ok();
            Some(fault.filter(|fault| !fault.chars().any(char::is_control)).map_or_else(
                || Verdict::wrong_protocol(heard).into(),
                |fault| {
                    Verdict::faulty(
                        DefectKind::Unavailable,
                        format!("the service refuses the connection: {fault}"),
                        "look whether the ADWS service of the domain controller has started",
                    )
                    .into()
                },
            ))
        }
        _ => Some(Verdict::wrong_protocol(heard).into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(heard: &[u8], expected: Option<&str>) {
        let judged = judge(heard).map(|outcome| outcome.verdict.name());
        assert_eq!(judged, expected, "{heard:?}");
    }

    #[test]
    fn an_upgrade_a_fault_and_another_protocol_are_told_apart() {
        check(&[], None);
        check(&[UPGRADE_RESPONSE], Some("open"));
        check(b"HTTP/1.1 400 Bad Request\r\n", Some("wrong-protocol"));
        check(b"\x08\x04fau", None);
        check(b"\x08\x04faul", Some("faulty"));
        check(b"\x08", None);
        check(b"\x08\x00", Some("wrong-protocol"));
        check(b"\x08\x80", None);
        check(b"\x08\xff\x02", Some("wrong-protocol"));
        check(b"\x08\x02\xff\xff", Some("wrong-protocol"));
        let long = [&[FAULT, 0x80, 1][..], &[b'f'; 128]].concat();
        check(&long[..long.len() - 1], None);
        check(&long, Some("faulty"));
    }

    #[test]
    fn the_preamble_is_that_of_the_specification() {
        let preamble = preamble("net.tcp://dc1/x");
        let expected = [
            &[0, 1, 0, 1, 2, 2, 15][..],
            b"net.tcp://dc1/x",
            &[3, 8, 9, 21],
            b"application/negotiate",
        ];
        assert_eq!(preamble, expected.concat());
        let long = "v".repeat(200);
        let mut octets = Vec::new();
        put(&mut octets, &long);
        assert_eq!(octets[..2], [0xc8, 1]);
    }

    proptest! {
        #[test]
        fn no_octets_make_the_judge_panic(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = judge(&octets);
            let _ = judge(&[&[FAULT][..], &octets].concat());
        }
    }
}
