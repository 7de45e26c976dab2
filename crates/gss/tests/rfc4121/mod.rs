//! RFC 4121 section 4.2 and [MS-KILE] 3.4.5.4.1, token by token.
//!
//! [MS-KILE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-kile

use portolan_gss::{
    EncryptionType, Pdu, Protection, ProtocolKey, Rfc4121, Role, SecurityContext, UnwrapError,
    WrapError,
};
use proptest::prelude::*;

use crate::{Counter, pair, side};

fn sealed(context: &mut Rfc4121, message: &[u8]) -> Vec<u8> {
    let mut token = Vec::new();
    context.wrap(Protection::Confidentiality, message, &mut Counter(0), &mut token).unwrap();
    token
}

fn signed(context: &mut Rfc4121, message: &[u8]) -> Vec<u8> {
    let mut token = Vec::new();
    context.wrap(Protection::Integrity, message, &mut Counter(0), &mut token).unwrap();
    token
}

/// Seals a message, lets `alter` work on the token, and compares what the receiver says.
fn check(alter: impl Fn(&mut Vec<u8>), expected: Result<(), UnwrapError>) {
    let (mut initiator, mut acceptor) = pair();
    let mut token = sealed(&mut acceptor, b"a message of no round length");
    alter(&mut token);
    assert_eq!(initiator.unwrap(&mut token).map(|_| ()), expected);
}

#[test]
fn a_sealed_message_comes_out_as_it_went_in() {
    let (mut initiator, mut acceptor) = pair();
    for length in [0, 1, 15, 16, 17, 100, 65_536] {
        let message = vec![0x5a; length];
        for down in [true, false] {
            let (sender, receiver) = match down {
                true => (&mut acceptor, &mut initiator),
                false => (&mut initiator, &mut acceptor),
            };
            let mut token = sealed(sender, &message);
            assert_eq!(token.len(), length + sender.overhead(Protection::Confidentiality));
            let opened = receiver.unwrap(&mut token).unwrap();
            assert_eq!(opened.protection, Protection::Confidentiality);
            assert_eq!(opened.message, message);
        }
    }
}

#[test]
fn a_signed_message_is_legible_and_says_so() {
    let (mut initiator, mut acceptor) = pair();
    let mut token = signed(&mut acceptor, &[7, 1, 0, 0]);
    assert_eq!(token[..8], [5, 4, 5, 0xff, 0, 12, 0, 0]);
    assert_eq!(token[16..20], [7, 1, 0, 0]);
    let opened = initiator.unwrap(&mut token).unwrap();
    assert_eq!((opened.message, opened.protection), (&[7, 1, 0, 0][..], Protection::Integrity));
}

#[test]
fn any_rotation_of_the_sender_is_undone() {
    let (mut initiator, mut acceptor) = pair();
    for protection in [Protection::Confidentiality, Protection::Integrity] {
        for rotation in (0..120).chain([0x7fff, 0xffff]) {
            let mut token = Vec::new();
            acceptor.wrap(protection, b"rotated", &mut Counter(0), &mut token).unwrap();
            let length = token.len() - 16;
            token[6..8].copy_from_slice(&u16::try_from(rotation).unwrap().to_be_bytes());
            token[16..].rotate_right(rotation % length);
            assert_eq!(initiator.unwrap(&mut token).unwrap().message, b"rotated", "{rotation}");
        }
    }
}

#[test]
fn the_same_token_twice_is_refused() {
    let (mut initiator, mut acceptor) = pair();
    let mut token = sealed(&mut acceptor, b"once");
    let mut again = token.clone();
    initiator.unwrap(&mut token).unwrap();
    let replayed = UnwrapError::Replayed { expected: 7001, found: 7000 };
    assert_eq!(initiator.unwrap(&mut again), Err(replayed));
}

#[test]
fn a_token_after_a_missing_one_is_refused() {
    let (mut initiator, mut acceptor) = pair();
    initiator.unwrap(&mut sealed(&mut acceptor, b"first")).unwrap();
    sealed(&mut acceptor, b"dropped");
    let gap = UnwrapError::Gap { expected: 7001, found: 7002 };
    assert_eq!(initiator.unwrap(&mut sealed(&mut acceptor, b"third")), Err(gap));
}

#[test]
fn the_first_sequence_number_holds_when_the_handshake_told_it() {
    let mut acceptor = Rfc4121::new(side(Role::Acceptor));
    let mut established = side(Role::Initiator);
    established.first_receive = Some(6999);
    let gap = UnwrapError::Gap { expected: 6999, found: 7000 };
    let mut token = sealed(&mut acceptor, b"late");
    assert_eq!(Rfc4121::new(established).unwrap(&mut token), Err(gap));
}

#[test]
fn a_forged_token_does_not_set_the_first_sequence_number() {
    let (mut initiator, mut acceptor) = pair();
    let mut forged = sealed(&mut acceptor, b"forged");
    forged[15] = 0xff;
    initiator.unwrap(&mut forged).unwrap_err();
    let mut acceptor = Rfc4121::new(side(Role::Acceptor));
    initiator.unwrap(&mut sealed(&mut acceptor, b"real")).unwrap();
}

#[test]
fn a_changed_sequence_number_is_refused() {
    check(|token| token[15] ^= 1, Err(UnwrapError::HeaderAltered));
}

#[test]
fn a_changed_rotation_is_refused() {
    check(|token| token[7] = 28, Err(UnwrapError::ChecksumMismatch));
}

#[test]
fn a_changed_key_flag_is_refused() {
    check(|token| token[2] &= !4, Err(UnwrapError::WrongKey));
}

#[test]
fn a_token_that_claims_to_be_signed_only_is_refused() {
    check(|token| token[2] &= !2, Err(UnwrapError::ExtraCount(0)));
    check(
        |token| {
            token[2] &= !2;
            token[5] = 12;
        },
        Err(UnwrapError::ChecksumMismatch),
    );
}

#[test]
fn short_tokens_and_wild_extra_counts_are_refused() {
    check(|token| token.truncate(0), Err(UnwrapError::TooShort { needed: 16, found: 0 }));
    check(|token| token.truncate(15), Err(UnwrapError::TooShort { needed: 16, found: 15 }));
    check(|token| token.truncate(16), Err(UnwrapError::TooShort { needed: 60, found: 16 }));
    check(|token| token.truncate(20), Err(UnwrapError::TooShort { needed: 60, found: 20 }));
    check(|token| token.truncate(59), Err(UnwrapError::TooShort { needed: 60, found: 59 }));
    check(|token| token.truncate(60), Err(UnwrapError::ChecksumMismatch));
    check(|token| token[4] = 0x40, Err(UnwrapError::ExtraCount(0x4000)));
    check(|token| token[4..6].fill(0xff), Err(UnwrapError::ExtraCount(0xffff)));
    check(|token| token[5] = 28, Err(UnwrapError::HeaderAltered));
    check(|token| token[5] = 29, Err(UnwrapError::ExtraCount(29)));
}

#[test]
fn headers_of_another_form_are_refused() {
    check(|token| token[1] = 5, Err(UnwrapError::NotAWrapToken(0x0505)));
    check(|token| token[0] = 0x60, Err(UnwrapError::NotAWrapToken(0x6004)));
    check(|token| token[3] = 0, Err(UnwrapError::Filler(0)));
    check(|token| token[2] |= 8, Err(UnwrapError::UnknownFlags(0x0f)));
    check(|token| token[2] &= !1, Err(UnwrapError::Reflected));
}

#[test]
fn a_token_sent_back_to_its_sender_is_refused() {
    let (mut initiator, _) = pair();
    let mut token = sealed(&mut initiator, b"mirror");
    assert_eq!(initiator.unwrap(&mut token), Err(UnwrapError::Reflected));
    let mut token = sealed(&mut initiator, b"mirror");
    token[2] |= 1;
    assert_eq!(initiator.unwrap(&mut token), Err(UnwrapError::ChecksumMismatch));
}

#[test]
fn a_token_under_another_key_is_refused() {
    let mut established = side(Role::Acceptor);
    established.key = ProtocolKey::new(EncryptionType::Aes128CtsHmacSha1_96, &[9; 16]).unwrap();
    let mut token = sealed(&mut Rfc4121::new(established), b"stranger");
    let (mut initiator, _) = pair();
    assert_eq!(initiator.unwrap(&mut token), Err(UnwrapError::ChecksumMismatch));
}

#[test]
fn every_flipped_bit_of_a_token_is_noticed() {
    let length = sealed(&mut pair().1, b"a message").len();
    for bit in 0..8 * length {
        let (mut initiator, mut acceptor) = pair();
        let mut token = sealed(&mut acceptor, b"a message");
        token[bit / 8] ^= 1 << (bit % 8);
        assert!(initiator.unwrap(&mut token).is_err(), "bit {bit}");
    }
}

#[test]
fn the_last_sequence_number_is_not_followed_by_the_first() {
    let mut established = side(Role::Initiator);
    established.first_send = u64::MAX;
    let refused = Rfc4121::new(established).wrap(
        Protection::Confidentiality,
        b"",
        &mut Counter(0),
        &mut Vec::new(),
    );
    assert_eq!(refused, Err(WrapError::SequenceExhausted));
}

/// A fragment with its four parts in their places.
#[derive(Clone)]
struct Fragment {
    header: Vec<u8>,
    body: Vec<u8>,
    trailer: Vec<u8>,
    auth_value: Vec<u8>,
}

impl Fragment {
    fn seal(context: &mut Rfc4121, body: &[u8]) -> Self {
        let mut fragment = Self {
            header: b"a PDU header of 24 octet".to_vec(),
            body: body.to_vec(),
            trailer: vec![16, 6, 0, 0, 1, 0, 0, 0],
            auth_value: vec![0; context.auth_value_length()],
        };
        context.seal_pdu(fragment.parts(), &mut Counter(0)).unwrap();
        fragment
    }

    fn parts(&mut self) -> Pdu<'_> {
        Pdu {
            header: &self.header,
            body: &mut self.body,
            trailer: &self.trailer,
            auth_value: &mut self.auth_value,
        }
    }

    fn unseal(mut self, context: &mut Rfc4121) -> Result<Vec<u8>, UnwrapError> {
        context.unseal_pdu(self.parts())?;
        Ok(self.body)
    }
}

#[test]
fn a_fragment_has_the_layout_that_was_observed() {
    let (mut initiator, _) = pair();
    let fragment = Fragment::seal(&mut initiator, &[0x5a; 48]);
    assert_eq!(fragment.auth_value.len(), 76);
    assert_eq!(fragment.auth_value[..8], [5, 4, 6, 0xff, 0, 16, 0, 28]);
    assert_ne!(fragment.body, [0x5a; 48]);
}

#[test]
fn fragments_of_any_length_open() {
    let (mut initiator, mut acceptor) = pair();
    for length in [0, 1, 4, 16, 44, 48, 5_760] {
        let body = vec![0xa5; length];
        let fragment = Fragment::seal(&mut acceptor, &body);
        assert_eq!(fragment.unseal(&mut initiator).unwrap(), body, "{length}");
    }
}

#[test]
fn every_octet_of_a_fragment_is_protected() {
    let (mut initiator, mut acceptor) = pair();
    let fragment = Fragment::seal(&mut acceptor, b"sixteen octets..and then some");
    let mut altered = Vec::new();
    for part in 0..4 {
        let length = [24, fragment.body.len(), 8, 76][part];
        for index in 0..length {
            let mut wrong = fragment.clone();
            let parts =
                [&mut wrong.header, &mut wrong.body, &mut wrong.trailer, &mut wrong.auth_value];
            parts.into_iter().nth(part).unwrap()[index] ^= 0x10;
            altered.push(wrong);
        }
    }
    for (index, wrong) in altered.into_iter().enumerate() {
        assert!(wrong.unseal(&mut initiator).is_err(), "octet {index}");
    }
    fragment.clone().unseal(&mut initiator).unwrap();
    let replayed = UnwrapError::Replayed { expected: 7001, found: 7000 };
    assert_eq!(fragment.unseal(&mut initiator), Err(replayed));
}

fn check_fragment(alter: impl Fn(&mut Fragment), expected: UnwrapError) {
    let (mut initiator, mut acceptor) = pair();
    let mut fragment = Fragment::seal(&mut acceptor, b"sixteen octets..");
    alter(&mut fragment);
    assert_eq!(fragment.unseal(&mut initiator), Err(expected));
}

#[test]
fn fragments_of_another_form_are_refused() {
    check_fragment(|pdu| pdu.auth_value[2] &= !2, UnwrapError::NotSealed);
    check_fragment(|pdu| pdu.auth_value[7] = 0, UnwrapError::Rotation(0));
    check_fragment(|pdu| pdu.auth_value[5] = 0, UnwrapError::ExtraCount(0));
    check_fragment(|pdu| pdu.auth_value[4] = 0xff, UnwrapError::ExtraCount(0xff10));
    check_fragment(|pdu| pdu.auth_value.truncate(60), UnwrapError::ExtraCount(16));
    check_fragment(
        |pdu| pdu.auth_value.truncate(8),
        UnwrapError::TooShort { needed: 16, found: 8 },
    );
    check_fragment(|pdu| pdu.header[0] ^= 1, UnwrapError::ChecksumMismatch);
    check_fragment(|pdu| pdu.trailer[7] ^= 1, UnwrapError::ChecksumMismatch);
    check_fragment(|pdu| pdu.auth_value[15] ^= 1, UnwrapError::HeaderAltered);
}

#[test]
fn room_of_the_wrong_size_for_the_auth_value_is_an_error() {
    let (mut initiator, _) = pair();
    let pdu = Pdu { header: &[], body: &mut [], trailer: &[], auth_value: &mut [0; 75] };
    let refused = initiator.seal_pdu(pdu, &mut Counter(0));
    assert_eq!(refused, Err(WrapError::AuthValueLength { needed: 76, found: 75 }));
}

proptest! {
    #[test]
    fn arbitrary_octets_never_open(mut token in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (mut initiator, _) = pair();
        prop_assert!(initiator.unwrap(&mut token).is_err());
        // And behind a header that is in order.
        let mut behind = vec![5, 4, 7, 0xff];
        behind.extend(token);
        prop_assert!(initiator.unwrap(&mut behind).is_err());
    }
}
