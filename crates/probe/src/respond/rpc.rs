//! DCE/RPC (C706, [MS-RPCE]): the endpoint mapper's answers, and a bind on the port that it names.
//!
//! Associations with security are refused, so that nobody proves a name here; a call on the dynamic port is
//! answered with a denial.
//!
//! [MS-RPCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpce

use std::net::{IpAddr, Ipv4Addr};

use portolan_chart::Speaks;
use portolan_codec::{DecodeError, Reader};
use portolan_model::Guid;
use portolan_rpc::pdu::{
    Acceptance, Call, ContextResult, Header, NDR20, PacketType, Proposal, ProposedContext,
    SyntaxId, encode_bind_nak,
};
use portolan_rpc::{Status, drsr, epm};

use super::opening::{Answer, Opening, Scene, Step};
use crate::mark;

/// authentication_type_not_recognized ([MS-RPCE] 2.2.2.5).
const NO_SECURITY: u16 = 8;
/// provider_rejection, with abstract_syntax_not_supported and proposed_transfer_syntaxes_not_supported
/// (C706 12.6.3.1).
const REJECTED: u16 = 2;
const UNKNOWN_INTERFACE: u16 = 1;
const UNKNOWN_TRANSFER: u16 = 2;
/// nca_s_op_rng_error (C706 appendix E).
const NO_SUCH_OPERATION: Status = Status(0x1c01_0002);

/// The interfaces of a domain controller that the rows of the chart are for, with their names:
/// MS-DRSR 4.1, MS-LSAD 1.9, MS-SAMR 1.9, MS-NRPC 1.9.
const INTERFACES: [(SyntaxId, &str); 4] = [
    (drsr::INTERFACE, "DRSUAPI"),
    (local_authority(0xab, 0), "LSARPC"),
    (local_authority(0xac, 1), "SAMR"),
    (
        SyntaxId {
            uuid: Guid::from_fields(
                0x1234_5678,
                0x1234,
                0xabcd,
                [0xef, 0x00, 0x01, 0x23, 0x45, 0x67, 0xcf, 0xfb],
            ),
            major: 1,
            minor: 0,
        },
        "NETLOGON",
    ),
];

const fn local_authority(last: u8, major: u16) -> SyntaxId {
    let rest = [0xef, 0x00, 0x01, 0x23, 0x45, 0x67, 0x89, last];
    SyntaxId { uuid: Guid::from_fields(0x1234_5778, 0x1234, 0xabcd, rest), major, minor: 0 }
}

/// One association.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rpc {
    /// With the endpoint mapper.
    Mapper,
    /// With the interfaces on the dynamic port.
    Interfaces,
}

impl Opening for Rpc {
    fn hear(&mut self, heard: &[u8], scene: &Scene<'_>) -> Step {
        let fragment = match Header::length_of_first(heard) {
            Ok(Some(length)) => heard.get(..length),
            Ok(None) => None,
            Err(_) => return Step::Foreign,
        };
        let Some(fragment) = fragment else { return Step::More };
        self.answer(fragment, scene).map_or(Step::Foreign, Step::Answer)
    }
}

impl Rpc {
    fn answer(self, fragment: &[u8], scene: &Scene<'_>) -> Result<Answer, DecodeError> {
        let (header, input) = Header::of(fragment)?;
        match header.packet_type {
            PacketType::Bind => self.bind(fragment.len(), header, input, scene),
            PacketType::Request => self.call(fragment.len(), header, input, scene),
            _ => Err(input.fault("PTYPE", portolan_codec::Fault::Malformed("a client's fragment"))),
        }
    }

    fn bind(
        self,
        taken: usize,
        header: Header,
        input: Reader<'_>,
        scene: &Scene<'_>,
    ) -> Result<Answer, DecodeError> {
        let proposal = Proposal::decode(header, input)?;
        let names: Vec<_> = proposal.contexts.iter().map(|it| name(it.interface)).collect();
        let asked = format!("a bind to {}", names.join(", "));
        if proposal.is_secured {
            let octets = encode_bind_nak(proposal.call_id, NO_SECURITY);
            return Ok(Answer::last(taken, octets, format!("{asked} with security")));
        }
        let results: Vec<_> = proposal.contexts.iter().map(|it| self.judge(it)).collect();
        let acceptance = Acceptance {
            call_id: proposal.call_id,
            group: mark::ASSOCIATION_GROUP,
            secondary_address: &scene.port.to_string(),
            results: &results,
        };
        Ok(Answer::new(taken, acceptance.encode(), asked))
    }

    fn judge(self, context: &ProposedContext) -> ContextResult {
        let is_known = match self {
            Self::Mapper => context.interface == epm::INTERFACE,
            Self::Interfaces => is_known(context.interface),
        };
        let none = SyntaxId { uuid: Guid::NIL, major: 0, minor: 0 };
        match (is_known, context.transfers.contains(&NDR20)) {
            (true, true) => ContextResult { result: 0, reason: 0, transfer: NDR20 },
            (true, false) => {
                ContextResult { result: REJECTED, reason: UNKNOWN_TRANSFER, transfer: none }
            }
            (false, _) => {
                ContextResult { result: REJECTED, reason: UNKNOWN_INTERFACE, transfer: none }
            }
        }
    }

    fn call(
        self,
        taken: usize,
        header: Header,
        input: Reader<'_>,
        scene: &Scene<'_>,
    ) -> Result<Answer, DecodeError> {
        let call = Call::decode(header, input)?;
        if self == Self::Interfaces {
            let asked = format!("operation {}", call.opnum);
            return Ok(Answer::last(taken, call.fault(Status::ACCESS_DENIED), asked));
        }
        if call.opnum != epm::OPNUM_EPT_MAP {
            let asked = format!("operation {} of the endpoint mapper", call.opnum);
            return Ok(Answer::new(taken, call.fault(NO_SUCH_OPERATION), asked));
        }
        let epm::MapRequest { tower, towers_max } = epm::decode_map_request(call.stub)?;
        let asked = match &tower {
            Some(tower) => format!("the port of {}", name(tower.interface)),
            None => "the port of something that is not RPC over TCP".to_owned(),
        };
        let address = match scene.here {
            IpAddr::V4(address) => address,
            IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
        };
        let port = scene.stand_in.port_of(Speaks::Rpc);
        let tower = tower.filter(|tower| is_known(tower.interface)).zip(port);
        let tower = tower.map(|(tower, port)| epm::Tower {
            endpoint: epm::Endpoint { port, address },
            transfer: NDR20,
            ..tower
        });
        let stub = epm::encode_map_response(tower.as_ref(), towers_max);
        Ok(Answer::new(taken, call.response(&stub), asked))
    }
}

fn is_known(interface: SyntaxId) -> bool {
    INTERFACES.iter().any(|(known, _)| *known == interface)
}

fn name(interface: SyntaxId) -> String {
    let known = INTERFACES.iter().chain(&[(epm::INTERFACE, "the endpoint mapper")]);
    match known.into_iter().find(|(known, _)| *known == interface) {
        Some((_, name)) => (*name).to_owned(),
        None => interface.uuid.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use portolan_codec::Writer;
    use portolan_rpc::pdu::{Bind, BindAck, Flags, Request, Response};
    use time::OffsetDateTime;

    use super::super::stand_in::tests::stand_in;
    use super::*;

    fn hear(rpc: Rpc, heard: &[u8]) -> Step {
        let (stand_in, now) = (stand_in(), OffsetDateTime::UNIX_EPOCH);
        let here = [192, 0, 2, 1].into();
        let mut rpc = rpc;
        rpc.hear(heard, &Scene { stand_in: &stand_in, here, port: 5, is_private: false, now })
    }

    fn answer(rpc: Rpc, heard: &[u8]) -> Answer {
        match hear(rpc, heard) {
            Step::Answer(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    fn bind(interface: SyntaxId, security: Option<(&[u8], u32)>) -> Vec<u8> {
        Bind { call_id: 1, context_id: 0, interface, transfer: NDR20, security }.encode()
    }

    #[test]
    fn the_mapper_names_the_one_dynamic_port() {
        let ack = answer(Rpc::Mapper, &bind(epm::INTERFACE, None));
        let (header, input) = Header::of(&ack.octets).unwrap();
        assert_eq!(BindAck::decode(header, input, 0).unwrap().results[0].result, 0);
        assert_eq!(&ack.octets[20..24], &mark::ASSOCIATION_GROUP.to_le_bytes());

        for (interface, _) in INTERFACES {
            let stub = epm::encode_map_request(interface);
            let mut out = Writer::new();
            let flags = Flags::FIRST.with(Flags::LAST);
            Request { flags, call_id: 2, alloc_hint: 0, context_id: 0, opnum: epm::OPNUM_EPT_MAP }
                .encode(&mut out);
            out.put(&stub);
            Header::patch_lengths(&mut out, 0);
            let response = answer(Rpc::Mapper, out.as_slice());
            let (_, mut input) = Header::of(&response.octets).unwrap();
            Response::decode(&mut input).unwrap();
            let found = epm::decode_map_response(input.rest(), interface).unwrap().unwrap();
            assert_eq!((found.len(), found[0].port), (1, 50_001));
        }
    }

    #[test]
    fn interfaces_are_bound_and_none_with_security() {
        let ack = answer(Rpc::Interfaces, &bind(drsr::INTERFACE, None));
        let (header, input) = Header::of(&ack.octets).unwrap();
        assert_eq!(BindAck::decode(header, input, 0).unwrap().results[0].result, 0);

        let nak = answer(Rpc::Interfaces, &bind(drsr::INTERFACE, Some((b"token", 1))));
        let (header, _) = Header::of(&nak.octets).unwrap();
        assert_eq!((header.packet_type, nak.ends), (PacketType::BindNak, true));

        let ack = answer(Rpc::Interfaces, &bind(epm::INTERFACE, None));
        let (header, input) = Header::of(&ack.octets).unwrap();
        assert_eq!(BindAck::decode(header, input, 0).unwrap().results[0].result, REJECTED);
    }

    #[test]
    fn what_is_cut_waits_and_what_is_foreign_ends() {
        let whole = bind(epm::INTERFACE, None);
        for end in 0..whole.len() {
            assert_eq!(hear(Rpc::Mapper, &whole[..end]), Step::More, "{end}");
        }
        assert_eq!(hear(Rpc::Mapper, b"GET / HTTP/1.1\r\n\r\n"), Step::Foreign);
    }
}
