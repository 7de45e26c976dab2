//! The endpoint mapper: which port an interface listens on (C706 appendices I, L and O,
//! [MS-RPCE] 2.2.1.2).
//!
//! [MS-RPCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpce

mod map;
mod tower;

pub use map::{
    ENDPOINTS_MAX, MapRequest, OPNUM_EPT_MAP, decode_map_request, decode_map_response,
    encode_map_request, encode_map_response,
};
pub use tower::{Endpoint, Tower};

use crate::pdu::SyntaxId;
use portolan_model::Guid;

/// The interface of the endpoint mapper (C706 appendix O).
pub const INTERFACE: SyntaxId = SyntaxId {
    uuid: Guid::from_fields(
        0xe1af_8308,
        0x5d1f,
        0x11c9,
        [0x91, 0xa4, 0x08, 0x00, 0x2b, 0x14, 0xa0, 0xfa],
    ),
    major: 3,
    minor: 0,
};
