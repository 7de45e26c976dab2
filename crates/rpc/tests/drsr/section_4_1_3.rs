//! `IDL_DRSBind` and, of section 4.1.25, `IDL_DRSUnbind`.

use portolan_rpc::Status;
use portolan_rpc::drsr::{
    DrsBindStep, DrsBinding, DrsExtensions, decode_bind_response, decode_unbind_response,
    encode_bind_request, encode_unbind_request,
};
use proptest::prelude::*;

use super::bound;
use crate::check_stub;

const RESPONSE: &[u8] = include_bytes!("../golden/drs_bind-response.bin");

#[test]
fn the_bind_is_encoded_as_samba_does() {
    let ours = encode_bind_request(DrsExtensions::client(0));
    check_stub(&ours, include_bytes!("../golden/drs_bind-request.bin"), &[0, 20]);
    let unbind = encode_unbind_request(bound().handle);
    check_stub(&unbind, include_bytes!("../golden/drs_unbind-request.bin"), &[]);
}

#[test]
fn the_servers_extensions_are_read() {
    let server = bound().server;
    assert_eq!((server.flags, server.epoch), (0x1fff_ff7f, 3));
    assert_eq!(server.site.to_string(), "e24d201a-4fd6-11d1-a3da-0000f875ae0d");
    assert!(server.suffices());
    let weak = DrsExtensions { flags: server.flags & !DrsExtensions::STRONG_ENCRYPTION, ..server };
    assert!(!weak.suffices());
}

#[test]
fn a_server_at_another_epoch_is_bound_to_again_at_its_own_and_only_once() {
    let (first, binding) = DrsBinding::begin();
    assert_eq!(first, encode_bind_request(DrsExtensions::client(0)));
    // The captured answer is of a server at epoch 3.
    let DrsBindStep::Again(second, binding) = binding.receive(RESPONSE).unwrap().unwrap() else {
        unreachable!("epoch 0 is not 3")
    };
    assert_eq!(second, encode_bind_request(DrsExtensions::client(3)));
    assert_eq!(second[second.len() - 4..], 3u32.to_le_bytes());
    let DrsBindStep::Bound(handle) = binding.receive(RESPONSE).unwrap().unwrap() else {
        unreachable!("the epochs are the same")
    };
    assert_eq!(handle, bound());
}

#[test]
fn a_server_at_no_epoch_is_bound_to_once() {
    let mut response = RESPONSE.to_vec();
    let at = response.windows(4).rposition(|window| window == 3u32.to_le_bytes()).unwrap();
    response[at..at + 4].fill(0);
    let (_, binding) = DrsBinding::begin();
    let step = binding.receive(&response).unwrap().unwrap();
    assert!(matches!(step, DrsBindStep::Bound(bound) if bound.server.epoch == 0));
}

#[test]
fn a_refused_bind_is_a_status() {
    let mut refused = vec![0; 24];
    refused.extend(Status::ACCESS_DENIED.0.to_le_bytes());
    assert_eq!(decode_bind_response(&refused).unwrap(), Err(Status::ACCESS_DENIED));
    assert_eq!(decode_unbind_response(&[0; 24]).unwrap(), Status::SUCCESS);
}

#[test]
fn every_shortened_answer_is_refused() {
    for length in 0..RESPONSE.len() {
        assert!(decode_bind_response(&RESPONSE[..length]).is_err(), "{length}");
    }
}

proptest! {
    #[test]
    fn arbitrary_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _read = decode_bind_response(&octets);
        let _unbound = decode_unbind_response(&octets);
    }
}
