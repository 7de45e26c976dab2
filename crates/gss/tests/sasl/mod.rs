//! RFC 4752: the negotiation of a layer, and its frames.

use portolan_gss::sasl::{Layer, RECEIVE_OCTETS_MAX, SaslError, negotiate};
use portolan_gss::{Protection, Rfc4121, SecurityContext, UnwrapError};
use portolan_model::Hint;
use proptest::prelude::*;

use crate::{Counter, pair};

const RECEIVE_MAX: usize = 16_384;

fn offer(acceptor: &mut Rfc4121, offer: &[u8]) -> Vec<u8> {
    let mut token = Vec::new();
    acceptor.wrap(Protection::Integrity, offer, &mut Counter(0), &mut token).unwrap();
    token
}

fn agreed(offered: &[u8]) -> (Rfc4121, Rfc4121, Layer) {
    let (mut initiator, mut acceptor) = pair();
    let mut token = offer(&mut acceptor, offered);
    let (mut reply, layer) =
        negotiate(&mut initiator, &mut token, RECEIVE_MAX, &mut Counter(0)).unwrap();
    let choice = acceptor.unwrap(&mut reply).unwrap();
    assert_eq!(choice.protection, Protection::Integrity);
    assert_eq!(choice.message, [4, 0, 0x40, 0]);
    (initiator, acceptor, layer)
}

fn frame(acceptor: &mut Rfc4121, protection: Protection, message: &[u8]) -> Vec<u8> {
    let mut token = Vec::new();
    acceptor.wrap(protection, message, &mut Counter(0), &mut token).unwrap();
    let mut frame = u32::try_from(token.len()).unwrap().to_be_bytes().to_vec();
    frame.append(&mut token);
    frame
}

fn check_refused(offered: &[u8], expected: SaslError) {
    let (mut initiator, mut acceptor) = pair();
    let mut token = offer(&mut acceptor, offered);
    let refused = negotiate(&mut initiator, &mut token, RECEIVE_MAX, &mut Counter(0));
    assert_eq!(refused.map(|_| ()), Err(expected));
}

#[test]
fn only_confidentiality_is_chosen() {
    agreed(&[7, 1, 0, 0]);
    agreed(&[4, 1, 0, 0]);
    check_refused(&[3, 1, 0, 0], SaslError::ConfidentialityNotOffered(3));
    check_refused(&[0, 0, 0, 0], SaslError::ConfidentialityNotOffered(0));
    assert!(SaslError::ConfidentialityNotOffered(3).hint().is_some());
}

#[test]
fn an_offer_of_another_form_is_refused() {
    check_refused(&[], SaslError::OfferLength(0));
    check_refused(&[7, 1, 0, 0, 0], SaslError::OfferLength(5));
    check_refused(&[7, 0, 0, 60], SaslError::SendMaximum(60));
}

#[test]
fn a_forged_offer_is_refused() {
    let (mut initiator, mut acceptor) = pair();
    let mut token = offer(&mut acceptor, &[1, 1, 0, 0]);
    token[16] = 7;
    let refused = negotiate(&mut initiator, &mut token, RECEIVE_MAX, &mut Counter(0));
    let expected = SaslError::Refused(UnwrapError::ChecksumMismatch);
    assert_eq!(refused.map(|_| ()), Err(expected));
}

#[test]
fn no_frame_is_longer_than_the_server_takes() {
    let (mut initiator, mut acceptor, layer) = agreed(&[7, 0, 1, 0]);
    let message: Vec<u8> = (0..=255).cycle().take(1_000).collect();
    let mut output = Vec::new();
    layer.seal(&mut initiator, &message, &mut Counter(0), &mut output).unwrap();
    let mut opened: Vec<u8> = Vec::new();
    let mut rest = output.as_mut_slice();
    while let Some((length, more)) = rest.split_first_chunk_mut::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap();
        assert!(length <= 256);
        let (token, more) = more.split_at_mut(length);
        opened.extend(acceptor.unwrap(token).unwrap().message);
        rest = more;
    }
    assert_eq!(opened, message);
}

#[test]
fn frames_come_out_however_the_stream_is_cut() {
    let (mut initiator, mut acceptor, mut layer) = agreed(&[7, 1, 0, 0]);
    let mut stream = Vec::new();
    let messages: [&[u8]; 4] = [b"one", b"", b"three", &[7; 5_000]];
    for message in messages {
        stream.extend(frame(&mut acceptor, Protection::Confidentiality, message));
    }
    let mut opened = Vec::new();
    for piece in stream.chunks(7) {
        layer.receive(piece);
        while let Some(message) = layer.open(&mut initiator).unwrap() {
            opened.push(message.to_vec());
        }
    }
    assert_eq!(opened, messages);
}

#[test]
fn two_frames_in_one_piece_both_come_out() {
    let (mut initiator, mut acceptor, mut layer) = agreed(&[7, 1, 0, 0]);
    let mut stream = frame(&mut acceptor, Protection::Confidentiality, b"one");
    stream.extend(frame(&mut acceptor, Protection::Confidentiality, b"two"));
    layer.receive(&stream);
    assert_eq!(layer.open(&mut initiator).unwrap(), Some(&b"one"[..]));
    assert_eq!(layer.open(&mut initiator).unwrap(), Some(&b"two"[..]));
    assert_eq!(layer.open(&mut initiator).unwrap(), None);
}

#[test]
fn a_frame_above_the_limit_is_refused_before_it_is_there() {
    let (mut initiator, _, mut layer) = agreed(&[7, 1, 0, 0]);
    layer.receive(&[0, 0, 0x40, 1]);
    let expected = SaslError::FrameAboveLimit { found: 16_385, limit: 16_384 };
    assert_eq!(layer.open(&mut initiator), Err(expected));
}

#[test]
fn a_frame_that_is_not_sealed_is_refused() {
    let (mut initiator, mut acceptor, mut layer) = agreed(&[7, 1, 0, 0]);
    layer.receive(&frame(&mut acceptor, Protection::Integrity, b"legible"));
    assert_eq!(layer.open(&mut initiator), Err(SaslError::FrameNotSealed));
    layer.receive(&[0, 0, 0, 0]);
    let short = UnwrapError::TooShort { needed: 16, found: 0 };
    assert_eq!(layer.open(&mut initiator), Err(SaslError::Refused(short)));
}

#[test]
fn the_limit_offered_is_one_that_the_negotiation_can_express() {
    let (mut initiator, mut acceptor) = pair();
    let mut token = offer(&mut acceptor, &[4, 0xff, 0xff, 0xff]);
    let (mut reply, _) =
        negotiate(&mut initiator, &mut token, usize::MAX, &mut Counter(0)).unwrap();
    assert_eq!(acceptor.unwrap(&mut reply).unwrap().message, [4, 0xff, 0xff, 0xff]);
    assert_eq!(RECEIVE_OCTETS_MAX, 0x00ff_ffff);
}

proptest! {
    #[test]
    fn arbitrary_octets_never_open(
        stream in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let (mut initiator, _, mut layer) = agreed(&[7, 1, 0, 0]);
        layer.receive(&stream);
        prop_assert!(!matches!(layer.open(&mut initiator), Ok(Some(_))));
    }
}
