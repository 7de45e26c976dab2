//! `ept_map` ([MS-RPCE] 2.2.1.2.5).
//!
//! [MS-RPCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpce

use portolan_codec::DecodeError;
use portolan_model::Guid;

use super::{Endpoint, Tower};
use crate::Status;
use crate::ndr::{Reader, Writer};
use crate::pdu::SyntaxId;

/// The operation number of `ept_map`.
pub const OPNUM_EPT_MAP: u16 = 3;

/// Endpoints that one answer may name; also asked for.
pub const ENDPOINTS_MAX: usize = 16;

/// The stub that asks where `interface` listens over TCP.
#[must_use]
pub fn encode_map_request(interface: SyntaxId) -> Vec<u8> {
    let mut out = Writer::new();
    out.referent(); // obj: none in particular
    out.uuid(Guid::NIL);
    out.referent(); // map_tower
    let tower = Tower::question(interface).encode();
    out.count(tower.len());
    out.count(tower.len());
    out.octets(&tower);
    out.align(4);
    out.octets(&[0; HANDLE_LENGTH]); // entry_handle: a new search
    out.count(ENDPOINTS_MAX);
    out.into_vec()
}

/// The endpoints over TCP of `interface` that an answer names, in its order, or the status of the
/// call when it failed.
///
/// # Errors
/// [`DecodeError`] when the stub is no answer.
pub fn decode_map_response(
    stub: &[u8],
    interface: SyntaxId,
) -> Result<Result<Vec<Endpoint>, Status>, DecodeError> {
    let mut input = Reader::new(stub);
    input.octets(HANDLE_LENGTH, "entry_handle")?;
    let count = input.u32("num_towers")?.at_most(ENDPOINTS_MAX)?;
    input.u32("max_count")?.unchecked("the size of the server's own array");
    input.u32("offset")?.exactly(0, "an array from its start")?;
    input.conformance(count, "actual_count")?;
    let mut present = 0;
    for _ in 0..count {
        present += usize::from(input.referent("towers")?);
    }
    let mut endpoints = Vec::new();
    for _ in 0..present {
        let length = input.u32("max_count")?.at_most(TOWER_OCTETS_MAX)?;
        input.conformance(length, "tower_length")?;
        let tower = Tower::decode(input.octets(length, "tower_octet_string")?)?;
        endpoints.extend(tower.filter(|tower| tower.interface == interface));
    }
    let status = Status(input.u32("status")?.unchecked("any status is legal"));
    input.finish("ept_map response")?;
    Ok(status.success().map(|()| endpoints.into_iter().map(|tower| tower.endpoint).collect()))
}

/// What a question asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapRequest {
    /// Whose endpoint; none for a tower of another protocol than RPC over TCP.
    pub tower: Option<Tower>,
    /// How many endpoints the answer has room for.
    pub towers_max: u32,
}

/// What a question asks for.
///
/// # Errors
/// [`DecodeError`] when the stub is no question.
pub fn decode_map_request(stub: &[u8]) -> Result<MapRequest, DecodeError> {
    let mut input = Reader::new(stub);
    if input.referent("obj")? {
        input.uuid("obj")?;
    }
    let mut tower = None;
    if input.referent("map_tower")? {
        let length = input.u32("max_count")?.at_most(TOWER_OCTETS_MAX)?;
        input.conformance(length, "tower_length")?;
        tower = Tower::decode(input.octets(length, "tower_octet_string")?)?;
    }
    input.align(4, "entry_handle")?;
    input.octets(HANDLE_LENGTH, "entry_handle")?;
    let towers_max = input.u32("max_towers")?.unchecked("an answer has one tower at most");
    input.finish("ept_map request")?;
    Ok(MapRequest { tower, towers_max })
}

/// The stub that names where an interface listens, or that it is not registered. The array of the answer
/// has the size that the question gave it.
#[must_use]
pub fn encode_map_response(tower: Option<&Tower>, towers_max: u32) -> Vec<u8> {
    let mut out = Writer::new();
    out.octets(&[0; HANDLE_LENGTH]); // entry_handle: nothing is left of the search
    let tower = tower.filter(|_| towers_max > 0);
    let count = usize::from(tower.is_some());
    out.count(count); // num_towers
    out.u32(towers_max); // max_count
    out.count(0); // offset
    out.count(count); // actual_count
    if let Some(tower) = tower {
        out.referent();
        let octets = tower.encode();
        out.count(octets.len());
        out.count(octets.len());
        out.octets(&octets);
    }
    out.u32(match tower {
        Some(_) => Status::SUCCESS.0,
        None => Status::NOT_REGISTERED.0,
    });
    out.into_vec()
}

const HANDLE_LENGTH: usize = 20;
/// Octets that a tower may have.
const TOWER_OCTETS_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::pdu::NDR20;

    #[test]
    fn question_and_answer_are_read_back() {
        let interface = crate::drsr::INTERFACE;
        let asked = decode_map_request(&encode_map_request(interface)).unwrap();
        let towers_max = u32::try_from(ENDPOINTS_MAX).unwrap();
        assert_eq!(asked, MapRequest { tower: Some(Tower::question(interface)), towers_max });

        let endpoint = Endpoint { port: 50_001, address: Ipv4Addr::new(192, 0, 2, 1) };
        let tower = Tower { interface, transfer: NDR20, endpoint };
        let answer =
            decode_map_response(&encode_map_response(Some(&tower), 16), interface).unwrap();
        assert_eq!(answer, Ok(vec![endpoint]));
        let answer = decode_map_response(&encode_map_response(None, 16), interface).unwrap();
        assert_eq!(answer, Err(Status::NOT_REGISTERED));
    }

    #[test]
    fn a_question_cut_anywhere_is_refused() {
        let whole = encode_map_request(crate::drsr::INTERFACE);
        for end in 0..whole.len() {
            assert!(decode_map_request(&whole[..end]).is_err(), "{end}");
        }
    }
}
