//! AMQP 1.0 inside TLS: the header of SASL, and the mechanisms that the bus offers. On the port of the
//! web the same stands inside a WebSocket. None of the mechanisms is begun.

pub mod frame;
pub mod websocket;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portolan_model::Entropy as _;
use portolan_net::entropy::SystemEntropy;
use tokio::io::{AsyncRead, AsyncWrite};

use self::frame::{NAME, PLAIN_HEADER, SASL_HEADER};
use super::hearing::Hearing;
use super::http::{self, Request};
use super::{https, tls};
use crate::{Asker, DefectKind, Outcome, Verdict, mark};

/// Looks for the bus.
pub(super) async fn probe(asker: &Asker<'_>) -> Outcome {
    let in_web = https::is_web_port(asker);
    let protocols: &[&[u8]] = if in_web { &[https::HTTP_1_1] } else { &[] };
    let mut session = match tls::open(asker, protocols).await {
        Ok(session) => session,
        Err(outcome) => return outcome,
    };
    let stream = &mut session.stream;
    let inside = async {
        match in_web {
            true => upgrade(asker, stream).await,
            false => greet(asker, stream).await,
        }
    };
    let (inside, sides) = tokio::join!(inside, session.examined.sides(asker));
    session.examined.finish(sides, inside)
}

/// The header and what it is answered with.
async fn greet(asker: &Asker<'_>, stream: impl AsyncRead + AsyncWrite + Unpin) -> Outcome {
    let mut hearing = Hearing::new(asker, stream);
    let heard = async {
        hearing.say(&SASL_HEADER).await?;
        let mut heard = hearing.at_least(1).await?;
        // Another protocol is told before a whole header is waited for.
        while heard.len() < SASL_HEADER.len() && is_header(heard) {
            heard = hearing.more().await?;
        }
        if let Some(verdict) = judge_header(heard) {
            return Err(verdict);
        }
        hearing.take(SASL_HEADER.len()).await?;
        let mut heard = hearing.at_least(4).await?;
        loop {
            match frame::frame_octets(heard) {
                Err(_) => return Err(Verdict::wrong_protocol(heard)),
                Ok(Some(length)) if length <= heard.len() => return hearing.take(length).await,
                Ok(_) => heard = hearing.more().await?,
            }
        }
    };
    match heard.await {
        Ok(frame) => judge(&frame),
        Err(verdict) => verdict.into(),
    }
}

fn is_header(heard: &[u8]) -> bool {
    heard.iter().zip(NAME).all(|(one, other)| one == other)
}

/// What is wrong with the header that was answered.
fn judge_header(heard: &[u8]) -> Option<Verdict> {
    if heard.starts_with(&SASL_HEADER) {
        return None;
    }
    let kind = |text: String| {
        let hint = "switch AMQP 1.0 on at the bus, with SASL (RabbitMQ has a plug-in for it)";
        Some(Verdict::faulty(DefectKind::WrongKind, text, hint))
    };
    match heard.get(NAME.len()..) {
        Some(_) if heard.starts_with(&PLAIN_HEADER) => {
            kind("the bus speaks AMQP 1.0 without SASL only".to_owned())
        }
        // AMQP 0-9-1 writes 0, 0, 9, 1; older ones 1, 1 and their version.
        Some(&[_, major, minor, revision, ..]) if heard.starts_with(NAME) => {
            kind(format!("the bus speaks AMQP {major}-{minor}-{revision} and not AMQP 1.0"))
        }
        _ => Some(Verdict::wrong_protocol(heard)),
    }
}

fn judge(frame: &[u8]) -> Outcome {
    let Ok(mechanisms) = frame::mechanisms(frame) else {
        return Verdict::wrong_protocol(frame).into();
    };
    let stand_in = mechanisms.iter().any(|mechanism| mechanism == mark::MECHANISM);
    let shown = tls::shown(&mechanisms.join(", "));
    let verdict = match mechanisms.is_empty() {
        false => Verdict::Open,
        true => Verdict::faulty(
            DefectKind::WrongKind,
            "the bus offers no SASL mechanism",
            "look at the bus's authentication",
        ),
    };
    Outcome::new(verdict, vec![format!("AMQP 1.0, SASL {shown}")], stand_in)
}

/// The upgrade to a WebSocket, and the header inside.
async fn upgrade(asker: &Asker<'_>, stream: &mut tls::Stream) -> Outcome {
    let key = STANDARD.encode(SystemEntropy.array::<16>());
    let fields = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", key.as_str()),
        ("Sec-WebSocket-Protocol", websocket::PROTOCOL),
    ];
    let request = Request { fields: &fields, ..Request::get(websocket::PATH, http::host(asker)) };
    let head = match http::ask(asker, stream, &request).await {
        Ok((head, _)) => head,
        Err(verdict) => return verdict.into(),
    };
    let (notes, stand_in) = (http::notes(&head), http::is_stand_in(&head));
    if let Some(verdict) = http::blocked(&head, asker.peer()) {
        return Outcome::new(verdict, notes, stand_in);
    }
    let verdict = match websocket::refusal(&head, &key) {
        Some(heard) => Verdict::WrongProtocol { heard },
        None => match inside(asker, stream).await {
            Ok(verdict) | Err(verdict) => verdict,
        },
    };
    Outcome::new(verdict, notes, stand_in)
}

async fn inside(asker: &Asker<'_>, stream: &mut tls::Stream) -> Result<Verdict, Verdict> {
    let mut hearing = Hearing::new(asker, stream);
    hearing.say(&websocket::frame(&SASL_HEADER, SystemEntropy.array())).await?;
    let mut heard = hearing.at_least(1).await?;
    loop {
        match websocket::payload(heard) {
            Ok(Some((header, _))) => return Ok(judge_header(header).unwrap_or(Verdict::Open)),
            Ok(None) => heard = hearing.more().await?,
            Err(fault) => return Err(Verdict::WrongProtocol { heard: fault.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_is_judged_by_its_header() {
        let check = |heard: &[u8], expected: Option<&str>| {
            assert_eq!(judge_header(heard).as_ref().map(Verdict::name), expected, "{heard:?}");
        };
        check(&SASL_HEADER, None);
        check(b"AMQP\x00\x00\x09\x01", Some("faulty"));
        check(&PLAIN_HEADER, Some("faulty"));
        check(b"HTTP/1.1 400 Bad", Some("wrong-protocol"));
        check(b"AM", Some("wrong-protocol"));
    }
}
