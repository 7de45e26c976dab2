//! RFC 4752: the negotiation of a layer.

use portolan_gss::sasl::{Layer, RECEIVE_OCTETS_MAX, SaslError, negotiate, negotiate_no_layer};
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
fn inside_tls_no_layer_is_chosen_and_a_server_that_insists_is_refused() {
    let answered = |offered: &[u8]| {
        let (mut initiator, mut acceptor) = pair();
        let mut token = offer(&mut acceptor, offered);
        let mut reply = negotiate_no_layer(&mut initiator, &mut token, &mut Counter(0))?;
        Ok(acceptor.unwrap(&mut reply).unwrap().message.to_vec())
    };
    // RFC 4752 section 3.1: without a layer the maximum is zero.
    assert_eq!(answered(&[1, 0, 0, 0]), Ok(vec![1, 0, 0, 0]));
    assert_eq!(answered(&[7, 1, 0, 0]), Ok(vec![1, 0, 0, 0]));
    assert_eq!(answered(&[6, 1, 0, 0]), Err(SaslError::LayerInsisted(6)));
    assert_eq!(answered(&[1, 0, 0]), Err(SaslError::OfferLength(3)));
    assert!(SaslError::LayerInsisted(6).hint().is_some());
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
fn the_layer_has_the_maxima_of_both_sides() {
    let (_, _, layer) = agreed(&[7, 0, 1, 0]);
    assert_eq!(layer, Layer { send_octets_max: 256, receive_octets_max: RECEIVE_MAX });
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
    fn arbitrary_octets_are_no_offer(mut offer in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (mut initiator, _) = pair();
        prop_assert!(negotiate(&mut initiator, &mut offer, RECEIVE_MAX, &mut Counter(0)).is_err());
    }
}
