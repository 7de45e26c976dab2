//! Protocol towers (C706 appendices I and L) of connection-oriented RPC over TCP.

use std::net::Ipv4Addr;

use portolan_codec::{DecodeError, Fault, Reader, Writer};
use portolan_model::Guid;

use crate::pdu::{NDR20, SyntaxId};

/// Where an interface listens: `ncacn_ip_tcp` ([MS-RPCE] 2.1.1.1).
///
/// [MS-RPCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpce
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// The TCP port.
    pub port: u16,
    /// The address that the server names; often 0.0.0.0, and not to be preferred to the one that the
    /// endpoint mapper was reached at.
    pub address: Ipv4Addr,
}

/// A tower of five floors: interface, transfer syntax, RPC, TCP, IP (C706 appendix I).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tower {
    /// The interface.
    pub interface: SyntaxId,
    /// The transfer syntax.
    pub transfer: SyntaxId,
    /// Where it listens.
    pub endpoint: Endpoint,
}

impl Tower {
    /// The tower that asks where an interface listens.
    #[must_use]
    pub const fn question(interface: SyntaxId) -> Self {
        Self {
            interface,
            transfer: NDR20,
            endpoint: Endpoint { port: 0, address: Ipv4Addr::UNSPECIFIED },
        }
    }

    /// The octet string of the tower (C706 appendix L).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u16_le(FLOORS);
        for syntax in [self.interface, self.transfer] {
            out.u16_le(UUID_LEFT_LENGTH);
            out.u8(PROTOCOL_UUID);
            out.put(&syntax.uuid.to_bytes_le());
            out.u16_le(syntax.major);
            out.u16_le(2);
            out.u16_le(syntax.minor);
        }
        out.put(&[1, 0, PROTOCOL_RPC, 2, 0, 0, 0]);
        out.put(&[1, 0, PROTOCOL_TCP, 2, 0]);
        out.u16_be(self.endpoint.port);
        out.put(&[1, 0, PROTOCOL_IP, 4, 0]);
        out.put(&self.endpoint.address.octets());
        out.into_vec()
    }

    /// Reads a tower; one of another protocol than RPC over TCP is `None`.
    ///
    /// # Errors
    /// [`DecodeError`] when the octets form no tower.
    pub fn decode(octets: &[u8]) -> Result<Option<Self>, DecodeError> {
        let mut input = Reader::new(octets);
        let floors = input.u16_le("floor count")?.at_most(FLOORS_MAX)?;
        let mut floor = || -> Result<_, DecodeError> {
            let left = input.u16_le("LHS byte count")?.at_most(FLOOR_OCTETS_MAX)?;
            let left = input.sub(left, "LHS")?;
            let right = input.u16_le("RHS byte count")?.at_most(FLOOR_OCTETS_MAX)?;
            Ok((left, input.sub(right, "RHS")?))
        };
        if floors != usize::from(FLOORS) {
            return Ok(None);
        }
        let interface = decode_syntax(floor()?)?;
        let transfer = decode_syntax(floor()?)?;
        let (mut rpc, _) = floor()?;
        let (mut tcp, mut port) = floor()?;
        let (mut ip, mut address) = floor()?;
        let mut protocols = [0; 3];
        for (protocol, left) in protocols.iter_mut().zip([&mut rpc, &mut tcp, &mut ip]) {
            *protocol = left.u8("protocol identifier")?.unchecked("compared below");
        }
        if protocols != [PROTOCOL_RPC, PROTOCOL_TCP, PROTOCOL_IP] {
            return Ok(None);
        }
        let port = port.u16_be("port")?.unchecked("any port may be named");
        let address = Ipv4Addr::from(address.array::<4>("address")?);
        Ok(Some(Self { interface, transfer, endpoint: Endpoint { port, address } }))
    }
}

fn decode_syntax((mut left, mut right): (Reader<'_>, Reader<'_>)) -> Result<SyntaxId, DecodeError> {
    left.u8("protocol identifier")?.exactly(PROTOCOL_UUID, "an interface")?;
    Ok(SyntaxId {
        uuid: Guid::from_bytes_le(left.array("UUID")?),
        major: left.u16_le("major version")?.unchecked("compared by the caller"),
        minor: match right.remaining() {
            2 => right.u16_le("minor version")?.unchecked("compared by the caller"),
            _ => return Err(right.fault("RHS", Fault::Malformed("a minor version has 2 octets"))),
        },
    })
}

const FLOORS: u16 = 5;
/// Floors that a tower may have.
const FLOORS_MAX: usize = 8;
/// Octets that either side of a floor may have.
const FLOOR_OCTETS_MAX: usize = 256;
const UUID_LEFT_LENGTH: u16 = 1 /* protocol */ + 16 /* UUID */ + 2 /* major version */;
/// Protocol identifiers (C706 appendix I).
const PROTOCOL_UUID: u8 = 0x0d;
const PROTOCOL_RPC: u8 = 0x0b;
const PROTOCOL_TCP: u8 = 0x07;
const PROTOCOL_IP: u8 = 0x09;
