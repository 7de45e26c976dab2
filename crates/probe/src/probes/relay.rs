//! The one-way relay of the tenant's bus: TLS, and inside it the preamble of message framing
//! ([MC-NMF] section 2.2.3); where TLS does not begin, the same preamble in clear.
//!
//! What the relay says behind its preamble has no public specification, and is not judged.
//!
//! [MC-NMF]: https://learn.microsoft.com/openspecs/windows_protocols/mc-nmf

use portolan_net::Peer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::hearing::Hearing;
use super::tls;
use crate::{Asker, Outcome, Verdict};

/// Version 1.0, and the duplex mode (sections 2.2.3.1 and 2.2.3.2).
const VERSION_AND_MODE: [u8; 5] = [0x00, 1, 0, 0x01, 2];
/// The record of the address (section 2.2.3.3).
const VIA: u8 = 0x02;
/// Binary encoding with a dictionary (section 2.2.3.4), and the preamble's end (section 2.2.3.7).
const ENCODING_AND_END: [u8; 3] = [0x03, 8, 0x0c];
/// The octets of an address whose length takes one octet (section 2.2.2).
const VIA_OCTETS_MAX: usize = 0x7f;
/// What a receiver answers: a fault, an upgrade, an acknowledgement (section 2.2.3).
const FAULT: u8 = 0x08;
const UPGRADE: u8 = 0x0a;
const ACKNOWLEDGEMENT: u8 = 0x0b;

/// Looks for the relay.
pub(super) async fn probe(asker: &Asker<'_>) -> Outcome {
    let session = match tls::try_open(asker, &[]).await {
        Ok(session) => session,
        Err(outcome) => return outcome,
    };
    match session {
        Ok(mut session) => {
            let (inside, sides) =
                tokio::join!(greet(asker, &mut session.stream), session.examined.sides(asker));
            session.examined.finish(sides, inside)
        }
        Err(failed) if failed.is_tls() => failed.outcome(asker).await,
        Err(failed) => match asker.connect().await {
            Ok(connection) => match greet(asker, connection.stream).await {
                found @ Outcome { verdict: Verdict::Open, .. } => found,
                _ => failed.outcome(asker).await,
            },
            Err(verdict) => verdict.into(),
        },
    }
}

async fn greet(asker: &Asker<'_>, stream: impl AsyncRead + AsyncWrite + Unpin) -> Outcome {
    let mut hearing = Hearing::new(asker, stream);
    if let Err(verdict) = hearing.say(&preamble(asker.peer())).await {
        return verdict.into();
    }
    // Somebody who says nothing leaves time for a verdict of its own.
    let limit = asker.deployment().limits.probe_time_max / 4;
    let heard = match timeout(limit, hearing.at_least(1)).await {
        Ok(Ok(octets)) => octets.to_vec(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    judge(&heard)
}

/// The preamble with an address of the relay's own kind.
fn preamble(peer: &Peer) -> Vec<u8> {
    let via = format!("sb://{}/", super::http::in_url(peer));
    let via = via.as_bytes().get(..VIA_OCTETS_MAX).unwrap_or(via.as_bytes());
    let length = u8::try_from(via.len()).unwrap_or_default();
    [&VERSION_AND_MODE, [VIA, length].as_slice(), via, &ENCODING_AND_END].concat()
}

fn judge(heard: &[u8]) -> Outcome {
    let note = match heard.first() {
        Some(&ACKNOWLEDGEMENT) => "the preamble is acknowledged",
        Some(&UPGRADE) => "the preamble is answered by an upgrade",
        Some(&FAULT) => "the preamble is answered by a fault, as to anybody without a token",
        Some(_) => return Verdict::wrong_protocol(heard).into(),
        None => {
            let why = "the relay says nothing to a preamble without a token; what it says to others \
                       has no public specification";
            return Verdict::Unjudged { why: why.to_owned() }.into();
        }
    };
    Outcome::new(Verdict::Open, vec![note.to_owned()], false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preamble_names_its_address_with_its_length() {
        let preamble = preamble(&"bus.tenant.example".parse().unwrap());
        assert_eq!(&preamble[..7], [0, 1, 0, 1, 2, 2, 24]);
        assert_eq!(&preamble[7..31], b"sb://bus.tenant.example/");
        assert_eq!(&preamble[31..], ENCODING_AND_END);
    }

    #[test]
    fn a_relay_is_known_by_the_record_that_it_answers() {
        let check =
            |heard: &[u8], expected: &str| assert_eq!(judge(heard).verdict.name(), expected);
        check(&[ACKNOWLEDGEMENT], "open");
        check(&[FAULT, 3, b'a', b'b', b'c'], "open");
        check(b"HTTP/1.1 400 Bad Request\r\n", "wrong-protocol");
        check(&[], "unjudged");
    }
}
