//! `ept_map`, [MS-RPCE] 2.2.1.2.5.
//!
//! [MS-RPCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpce

use std::net::Ipv4Addr;

use portolan_rpc::epm::{
    ENDPOINTS_MAX, Endpoint, INTERFACE, Tower, decode_map_response, encode_map_request,
};
use portolan_rpc::{Status, drsr};
use proptest::prelude::*;

use crate::check_stub;

const REQUEST: &[u8] = include_bytes!("../golden/ept_map-request.bin");
const RESPONSE: &[u8] = include_bytes!("../golden/ept_map-response.bin");

#[test]
fn the_question_is_encoded_as_samba_does() {
    let mut golden = REQUEST.to_vec();
    // Samba's client names its own port and wants four towers; ours leaves the port open.
    let tower = &golden[32..32 + 75];
    let question = Tower::decode(tower).unwrap().unwrap();
    assert_eq!(question.interface, drsr::INTERFACE);
    golden[32 + 64..32 + 66].fill(0);
    let limit = u32::try_from(ENDPOINTS_MAX).unwrap();
    golden[128..].copy_from_slice(&limit.to_le_bytes());
    check_stub(&encode_map_request(drsr::INTERFACE), &golden, &[0, 20]);
}

#[test]
fn the_endpoints_of_the_interface_are_found() {
    let found = decode_map_response(RESPONSE, drsr::INTERFACE).unwrap().unwrap();
    let expected = [(49_664, 10), (50_001, 11)]
        .map(|(port, host)| Endpoint { port, address: Ipv4Addr::new(192, 0, 2, host) });
    assert_eq!(found, expected);
    let other = decode_map_response(RESPONSE, INTERFACE).unwrap().unwrap();
    assert_eq!(other, []);
}

#[test]
fn a_failure_is_a_status() {
    let mut failed = vec![0; 20 + 4];
    failed.extend([16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    failed.extend(Status::NOT_REGISTERED.0.to_le_bytes());
    let status = decode_map_response(&failed, drsr::INTERFACE).unwrap().unwrap_err();
    assert_eq!(status, Status::NOT_REGISTERED);
}

#[test]
fn more_towers_than_asked_for_are_refused() {
    let mut many = RESPONSE.to_vec();
    many[20] = 17;
    let error = decode_map_response(&many, drsr::INTERFACE).unwrap_err();
    assert_eq!(error.to_string(), "num_towers at offset 20: 17 is above the limit of 16");
}

#[test]
fn every_shortened_answer_is_refused() {
    for length in 0..RESPONSE.len() {
        assert!(decode_map_response(&RESPONSE[..length], drsr::INTERFACE).is_err(), "{length}");
    }
}

proptest! {
    #[test]
    fn a_tower_reads_as_it_was_written(port in any::<u16>(), address in any::<[u8; 4]>()) {
        let mut tower = Tower::question(drsr::INTERFACE);
        tower.endpoint = Endpoint { port, address: address.into() };
        prop_assert_eq!(Tower::decode(&tower.encode()).unwrap(), Some(tower));
    }

    #[test]
    fn altered_answers_never_panic(index in 0..216usize, octet in any::<u8>()) {
        let mut altered = RESPONSE.to_vec();
        altered[index] = octet;
        let _read = decode_map_response(&altered, drsr::INTERFACE);
    }

    #[test]
    fn arbitrary_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _read = decode_map_response(&octets, drsr::INTERFACE);
        let _tower = Tower::decode(&octets);
    }
}
