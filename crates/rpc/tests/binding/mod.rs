//! The client's machine against a scripted server, [MS-RPCE] 3.3.1.
//!
//! [MS-RPCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpce

use portolan_gss::{
    EncryptionType, Established, Pdu, ProtocolKey, Rfc4121, Role, SecurityContext, UnwrapError,
};
use portolan_rpc::binding::{
    Acknowledged, Binding, BindingError, Fragments, Opening, REQUEST_OCTETS_MAX,
};
use portolan_rpc::{Status, drsr, epm};
use proptest::prelude::*;

use crate::Counter;

/// A fragment of a server: type, flags, auth_length, call, body.
fn fragment(packet_type: u8, flags: u8, auth_length: u16, call_id: u32, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(16 + body.len()).unwrap();
    let mut out = vec![5, 0, packet_type, flags, 0x10, 0, 0, 0];
    out.extend(length.to_le_bytes());
    out.extend(auth_length.to_le_bytes());
    out.extend(call_id.to_le_bytes());
    out.extend(body);
    out
}

const NDR20: &str = "045d888aeb1cc9119fe808002b10486002000000";

/// The body of a bind_ack: fragment sizes, group, a secondary address, one result.
fn ack_body(receive_max: u16, result: u16, transfer: &str) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend([0xd0, 0x16]);
    body.extend(receive_max.to_le_bytes());
    body.extend([1, 2, 3, 4, 4, 0]);
    body.extend(b"abc\0");
    body.extend([0, 0]); // up to a multiple of four
    body.extend([1, 0, 0, 0]);
    body.extend(result.to_le_bytes());
    body.extend([0, 0]);
    body.extend(hex::decode(transfer).unwrap());
    body
}

fn ack(flags: u8, body: Vec<u8>, token: &[u8]) -> Vec<u8> {
    let mut body = body;
    if !token.is_empty() {
        body.extend([16, 6, 0, 0, 1, 0, 0, 0]);
        body.extend(token);
    }
    fragment(12, flags, u16::try_from(token.len()).unwrap(), 1, &body)
}

fn context(role: Role) -> Rfc4121 {
    let key = ProtocolKey::new(EncryptionType::Aes256CtsHmacSha1_96, &[3; 32]).unwrap();
    let established =
        Established { key, role, acceptor_subkey: true, first_send: 42, first_receive: None };
    Rfc4121::new(established)
}

fn plain() -> Binding {
    let (_, opening) = Opening::plain(epm::INTERFACE);
    match opening.accept(&ack(3, ack_body(5_840, 0, NDR20), &[])).unwrap() {
        Acknowledged::Bound(binding) => binding,
        Acknowledged::Authenticating(_) => unreachable!("no security was asked for"),
    }
}

/// A sealed binding, and the server's side of its security context.
fn sealed() -> (Binding, Rfc4121) {
    let (_, opening) = Opening::secured(drsr::INTERFACE, b"AP-REQ").unwrap();
    let acknowledged = opening.accept(&ack(7, ack_body(5_840, 0, NDR20), b"AP-REP")).unwrap();
    let Acknowledged::Authenticating(authenticating) = acknowledged else {
        unreachable!("security was asked for")
    };
    assert_eq!(authenticating.token(), b"AP-REP");
    let context_of_client = Box::new(context(Role::Initiator));
    let (auth3, binding) = authenticating.finish(b"third", context_of_client).unwrap();
    let expected = "0500100310000000210005000100000000000000100600000100000074686972 64";
    assert_eq!(hex::encode(auth3), expected.replace(' ', ""));
    (binding, context(Role::Acceptor))
}

/// A sealed fragment of a server: the head of a response or fault, and the body.
fn seal(server: &mut Rfc4121, packet_type: u8, flags: u8, call_id: u32, stub: &[u8]) -> Vec<u8> {
    let padding = stub.len().next_multiple_of(16) - stub.len();
    let mut body = vec![0; 8];
    body.extend(stub);
    body.extend(vec![0; padding]);
    body.extend([16, 6, u8::try_from(padding).unwrap(), 0, 1, 0, 0, 0]);
    body.extend([0; 76]);
    let mut out = fragment(packet_type, flags, 76, call_id, &body);
    let (header, rest) = out.split_at_mut(24);
    let (body, rest) = rest.split_at_mut(stub.len() + padding);
    let (trailer, auth_value) = rest.split_at_mut(8);
    let pdu = Pdu { header, body, trailer, auth_value };
    server.seal_pdu(pdu, &mut Counter(9)).unwrap();
    out
}

/// Opens the request fragments of a client and gives its stub.
fn open_request(server: &mut Rfc4121, octets: &[u8]) -> Vec<u8> {
    let mut fragments = Fragments::default();
    let mut stub = Vec::new();
    let mut offered = octets;
    while !offered.is_empty() {
        offered = fragments.receive(offered);
        while let Some(fragment) = fragments.take().unwrap() {
            let body_length = fragment.len() - 24 - 8 - 76;
            let (header, rest) = fragment.split_at_mut(24);
            let (body, rest) = rest.split_at_mut(body_length);
            let (trailer, auth_value) = rest.split_at_mut(8);
            let padding = usize::from(trailer[2]);
            server.unseal_pdu(Pdu { header, body, trailer, auth_value }).unwrap();
            stub.extend_from_slice(&body[..body_length - padding]);
        }
    }
    stub
}

#[test]
fn the_bind_of_the_endpoint_mapper_has_the_form_of_c706() {
    let (bind, _) = Opening::plain(epm::INTERFACE);
    let expected = "05000b03 10000000 4800 0000 01000000 d016 d016 00000000 01000000 0000 0100 \
                    0883afe11f5dc91191a408002b14a0fa 0300 0000";
    assert_eq!(hex::encode(bind), format!("{}{NDR20}", expected.replace(' ', "")));
}

#[test]
fn a_secured_bind_asks_for_signed_headers() {
    let (bind, _) = Opening::secured(drsr::INTERFACE, b"token").unwrap();
    assert_eq!(bind[3], 0x07);
    assert_eq!(bind[8..12], [85, 0, 5, 0]);
    assert_eq!(bind[72..], *b"\x10\x06\0\0\x01\0\0\0token");
    let token = vec![0; 6_000];
    assert!(Opening::secured(drsr::INTERFACE, &token).is_err());
}

fn check_plain_refused(answer: &[u8], expected: &str) {
    let (_, opening) = Opening::plain(epm::INTERFACE);
    assert_eq!(opening.accept(answer).unwrap_err().to_string(), expected);
}

#[test]
fn answers_that_refuse_a_bind_say_why() {
    check_plain_refused(
        &fragment(13, 3, 0, 1, &[8, 0, 0]),
        "the server refuses the association, reason 8",
    );
    check_plain_refused(
        &ack(3, ack_body(5_840, 2, NDR20), &[]),
        "the server refuses the interface, result 2, reason 0",
    );
    let ndr64 = "33057171babe37498319b5dbef9ccc3601000000";
    check_plain_refused(
        &ack(3, ack_body(5_840, 0, ndr64), &[]),
        "the server refuses the interface, result 0, reason 0",
    );
    check_plain_refused(
        &ack(3, ack_body(1_431, 0, NDR20), &[]),
        "the server takes fragments of at most 1431 octets, fewer than the 1432 it must take",
    );
    check_plain_refused(
        &fragment(2, 3, 0, 1, &[0; 8]),
        "a fragment of type Response came where it does not belong",
    );
    check_plain_refused(&fragment(12, 3, 0, 7, &[]), "a fragment of call 7 came in call 1");
}

#[test]
fn headers_of_another_protocol_are_refused() {
    let good = ack(3, ack_body(5_840, 0, NDR20), &[]);
    let check = |index: usize, octet: u8, expected: &str| {
        let mut wrong = good.clone();
        wrong[index] = octet;
        let (_, opening) = Opening::plain(epm::INTERFACE);
        let error = opening.accept(&wrong).unwrap_err().to_string();
        assert_eq!(error, format!("a fragment is malformed: {expected}"));
    };
    check(0, 4, "rpc_vers at offset 0: expected version 5, found 0x4");
    check(2, 99, "PTYPE at offset 2: expected a known packet type, found 0x63");
    check(
        4,
        0,
        "packed_drep at offset 4: the data representation is not little-endian, ASCII, IEEE",
    );
    check(9, 0xff, "frag_length at offset 8: 65340 is above the limit of 5840");
    check(11, 0xff, "auth_length at offset 10: 65280 is above the limit of 60");
    check(
        10,
        40,
        "frag_length at offset 10: the fragment is shorter than its header and auth_value",
    );
    check(8, 59, "frag_length at offset 16: the fragment is another");
}

#[test]
fn a_server_that_does_not_sign_headers_or_prove_itself_is_refused() {
    let check = |answer: Vec<u8>, expected: BindingError| {
        let (_, opening) = Opening::secured(drsr::INTERFACE, b"AP-REQ").unwrap();
        assert_eq!(opening.accept(&answer).unwrap_err(), expected);
    };
    let body = ack_body(5_840, 0, NDR20);
    check(ack(3, body.clone(), b"AP-REP"), BindingError::HeaderSigningRefused);
    check(ack(7, body, &[]), BindingError::NoToken);
}

#[test]
fn a_call_without_security_goes_and_comes_back() {
    let mut binding = plain();
    let request = binding.call(3, b"stub", &mut Counter(0)).unwrap();
    let expected = "05000003 10000000 1c00 0000 02000000 04000000 0000 0300 73747562";
    assert_eq!(hex::encode(request), expected.replace(' ', ""));
    assert_eq!(binding.call(3, b"", &mut Counter(0)), Err(BindingError::CallUnderWay));
    let mut answer = fragment(2, 3, 0, 2, b"\0\0\0\0\0\0\0\0reply");
    assert_eq!(**binding.receive(&mut answer).unwrap().unwrap(), *b"reply");
    assert_eq!(binding.receive(&mut answer), Err(BindingError::NoCall));
}

#[test]
fn a_sealed_call_goes_and_comes_back_in_fragments() {
    let (mut binding, mut server) = sealed();
    assert_eq!(binding.session_key(), [3; 32]);
    for length in [0, 1, 20, 5_728, 5_729, 20_000] {
        let stub: Vec<u8> = (0..=255).cycle().take(length).collect();
        let request = binding.call(3, &stub, &mut Counter(0)).unwrap();
        let call_id = u32::from_le_bytes(request[12..16].try_into().unwrap());
        let expected = if length == 0 { verified(&stub) } else { stub };
        assert_eq!(open_request(&mut server, &request), expected, "{length}");
        let reply: Vec<u8> = (0..=250).cycle().take(2 * length + 3).collect();
        let pieces: Vec<_> = reply.chunks(5_000).collect();
        let mut received = None;
        for (index, piece) in pieces.iter().enumerate() {
            let first = u8::from(index == 0);
            let last = if index + 1 == pieces.len() { 2 } else { 0 };
            assert!(received.is_none());
            let mut sealed = seal(&mut server, 2, first | last, call_id, piece);
            received = binding.receive(&mut sealed).unwrap();
        }
        assert_eq!(*received.unwrap(), reply);
    }
}

/// A stub as the first request of a binding carries it: with the verification trailer of signed
/// headers and of the interface drsuapi ([MS-RPCE] 2.2.2.13).
fn verified(stub: &[u8]) -> Vec<u8> {
    let trailer = "8ae3137102f43671 0100 0400 01000000 0240 2800 \
                   354251e3064bd111ab0400c04fc2dcd2 04000000";
    let mut out = stub.to_vec();
    out.resize(stub.len().next_multiple_of(4), 0);
    out.extend(hex::decode(trailer.replace(' ', "") + NDR20).unwrap());
    out
}

#[test]
fn the_first_request_verifies_the_bind_in_its_last_fragment() {
    // Around the length at which stub and trailer just fit one fragment, and two.
    let around = [5_600..=5_760, 11_300..=11_520];
    for length in around.into_iter().flatten().chain([0, 1, 2, 3, 4, 60]) {
        let (mut binding, mut server) = sealed();
        let stub: Vec<u8> = (0..=255).cycle().take(length).collect();
        let request = binding.call(0, &stub, &mut Counter(0)).unwrap();
        let mut last = 0;
        while let Some(next) = request.get(last + 8..last + 10) {
            let length = usize::from(u16::from_le_bytes([next[0], next[1]]));
            if last + length == request.len() {
                break;
            }
            last += length;
        }
        // Head, trailer and signature of a fragment stand around its body.
        let body = request.len() - last - 24 - 8 - 76;
        assert!(body >= 60, "{length}: the last fragment has room for the whole trailer");
        assert_eq!(open_request(&mut server, &request), verified(&stub), "{length}");
    }
}

fn check_refused(answer: impl Fn(&mut Rfc4121) -> Vec<u8>, expected: impl Into<BindingError>) {
    let (mut binding, mut server) = sealed();
    binding.call(3, b"a stub", &mut Counter(0)).unwrap();
    let mut answer = answer(&mut server);
    assert_eq!(binding.receive(&mut answer), Err(expected.into()));
}

#[test]
fn what_is_not_sealed_is_refused_on_a_sealed_binding() {
    use portolan_rpc::pdu::PacketType;
    check_refused(
        |_| fragment(2, 3, 0, 2, b"\0\0\0\0\0\0\0\0reply"),
        BindingError::NotSealed(PacketType::Response),
    );
    check_refused(
        |server| {
            let mut short = seal(server, 2, 3, 2, b"reply");
            short.truncate(16 + 8 + 76);
            short[8] = 100;
            short
        },
        BindingError::NotSealed(PacketType::Response),
    );
}

#[test]
fn altered_fragments_are_refused() {
    let altered = |index: usize| {
        move |server: &mut Rfc4121| {
            let mut answer = seal(server, 2, 3, 2, b"reply");
            answer[index] ^= 1;
            answer
        }
    };
    check_refused(altered(3), UnwrapError::ChecksumMismatch); // flags
    check_refused(altered(16), UnwrapError::ChecksumMismatch); // alloc_hint
    check_refused(altered(24), UnwrapError::ChecksumMismatch); // body
    check_refused(altered(42), UnwrapError::ChecksumMismatch); // auth_pad_length
    check_refused(altered(48 + 15), UnwrapError::HeaderAltered); // sequence number
}

#[test]
fn fragments_of_another_call_context_or_order_are_refused() {
    check_refused(
        |server| seal(server, 2, 3, 9, b"reply"),
        BindingError::OtherCall { expected: 2, found: 9 },
    );
    check_refused(|server| seal(server, 2, 2, 2, b"reply"), BindingError::FragmentOrder);
    let (mut binding, mut server) = sealed();
    binding.call(3, b"a stub", &mut Counter(0)).unwrap();
    assert_eq!(binding.receive(&mut seal(&mut server, 2, 1, 2, b"one")), Ok(None));
    let again = binding.receive(&mut seal(&mut server, 2, 1, 2, b"one"));
    assert_eq!(again, Err(BindingError::FragmentOrder));
}

#[test]
fn a_reply_of_empty_fragments_does_not_go_on_for_ever() {
    check_refused(|server| seal(server, 2, 1, 2, b""), BindingError::EmptyFragment);
    let mut binding = plain();
    binding.call(3, b"a stub", &mut Counter(0)).unwrap();
    let mut empty = fragment(2, 1, 0, 2, &[0; 8]);
    assert_eq!(binding.receive(&mut empty), Err(BindingError::EmptyFragment));
}

#[test]
fn a_fault_ends_the_binding_and_says_whether_it_was_sealed() {
    let status = Status::ACCESS_DENIED;
    check_refused(
        |_| fragment(3, 3, 0, 2, b"\0\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0"),
        BindingError::Fault { status, sealed: false },
    );
    check_refused(
        |server| seal(server, 3, 3, 2, b"\x05\0\0\0\0\0\0\0"),
        BindingError::Fault { status, sealed: true },
    );
}

#[test]
fn padding_longer_than_the_body_is_refused() {
    let (mut binding, mut server) = sealed();
    binding.call(3, b"a stub", &mut Counter(0)).unwrap();
    let mut answer = fragment(2, 3, 76, 2, &[0; 8 + 16 + 8 + 76]);
    answer[40..48].copy_from_slice(&[16, 6, 17, 0, 1, 0, 0, 0]);
    let (header, rest) = answer.split_at_mut(24);
    let (body, rest) = rest.split_at_mut(16);
    let (trailer, auth_value) = rest.split_at_mut(8);
    server.seal_pdu(Pdu { header, body, trailer, auth_value }, &mut Counter(9)).unwrap();
    assert!(matches!(binding.receive(&mut answer), Err(BindingError::Malformed(_))));
}

#[test]
fn a_call_with_wild_parameters_is_not_sent() {
    let stub = vec![0; REQUEST_OCTETS_MAX + 1];
    let refused = plain().call(3, &stub, &mut Counter(0)).unwrap_err();
    let limit = REQUEST_OCTETS_MAX;
    assert_eq!(refused, BindingError::RequestAboveLimit { found: limit + 1, limit });
}

#[test]
fn a_stream_is_cut_into_fragments_however_it_comes() {
    let one = fragment(2, 3, 0, 2, b"\0\0\0\0\0\0\0\0one");
    let two = fragment(2, 3, 0, 2, &[7; 5_000]);
    let stream = [one.clone(), two.clone(), one.clone()].concat();
    let mut fragments = Fragments::default();
    let mut cut = Vec::new();
    for piece in stream.chunks(11) {
        assert!(fragments.receive(piece).is_empty());
        while let Some(fragment) = fragments.take().unwrap() {
            cut.push(fragment.to_vec());
        }
    }
    assert_eq!(cut, [one.clone(), two, one]);
}

#[test]
fn a_stream_of_more_than_there_is_room_for_is_taken_piece_by_piece() {
    let one = fragment(2, 3, 0, 2, &[7; 5_000]);
    let stream = one.repeat(20);
    let mut fragments = Fragments::default();
    let mut rest = stream.as_slice();
    let mut count = 0;
    while !rest.is_empty() {
        rest = fragments.receive(rest);
        while let Some(fragment) = fragments.take().unwrap() {
            assert_eq!(fragment, one);
            count += 1;
        }
    }
    assert_eq!(count, 20);
}

proptest! {
    #[test]
    fn arbitrary_answers_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        for packet_type in [2, 3, 12, 13] {
            let mut answer = fragment(packet_type, 3, 0, 1, &octets);
            let (_, opening) = Opening::plain(epm::INTERFACE);
            let _opened = opening.accept(&answer);
            answer[12] = 2;
            let mut binding = plain();
            binding.call(3, b"", &mut Counter(0)).unwrap();
            let _received = binding.receive(&mut answer);
            if let Some(auth_length) = answer.get_mut(10) {
                *auth_length = octets.first().copied().unwrap_or_default();
            }
            let (mut binding, _) = sealed();
            binding.call(3, b"", &mut Counter(0)).unwrap();
            prop_assert!(binding.receive(&mut answer).is_err());
        }
        let mut fragments = Fragments::default();
        let _rest = fragments.receive(&octets);
        let _cut = fragments.take();
    }
}
