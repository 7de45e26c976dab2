//! What the checks of the chart hear from whoever is there.

use portolan_probe::probes::amqp::{frame, websocket};
use portolan_probe::probes::http::message;
use portolan_probe::probes::status::ocsp;
use portolan_probe::probes::tls::hello::{self, Answer};

/// An answer of HTTP: what is whole stays what it is when more comes.
pub(crate) fn http(octets: &[u8]) {
    let Ok(Some(head)) = message::head(octets) else { return };
    let more = [octets, b"x"].concat();
    assert_eq!(message::head(&more), Ok(Some(head.clone())));
    if let Ok(Some(body)) = head.body(octets, false) {
        assert!(body.len() <= octets.len(), "a body that was not sent");
        assert_eq!(head.body(&more, false), Ok(Some(body)));
    }
    let _ = head.body(octets, true);
}

/// The opening of AMQP.
pub(crate) fn amqp(octets: &[u8]) {
    if let Ok(Some(length)) = frame::frame_octets(octets) {
        assert!(length <= frame::FRAME_OCTETS_MAX, "a frame above the limit");
    }
    if let Ok(mechanisms) = frame::mechanisms(octets) {
        assert!(mechanisms.len() <= frame::MECHANISMS_MAX, "too many mechanisms");
    }
    if let Ok(Some((payload, length))) = websocket::payload(octets) {
        assert!(payload.len() < length && length <= octets.len(), "a frame that was not sent");
    }
}

/// A ServerHello of an old version: more octets change nothing of what was understood.
pub(crate) fn hello(octets: &[u8]) {
    let answer = hello::answer(octets);
    if answer != Answer::Unfinished {
        assert_eq!(hello::answer(&[octets, b"x"].concat()), answer);
    }
}

/// An answer of OCSP, which is about octets of its own.
pub(crate) fn ocsp(octets: &[u8]) {
    if let Ok(answer) = ocsp::read(octets) {
        let length = answer.certificate.len();
        assert!(octets.windows(length).any(|window| window == answer.certificate));
    }
}
