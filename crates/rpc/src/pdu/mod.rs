//! The fragments that the connection-oriented protocol consists of (C706 chapter 12, as
//! [MS-RPCE] 2.2.2 extends it).
//!
//! Version 5.0, little-endian, ASCII: a peer that answers otherwise is refused.
//!
//! [MS-RPCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpce

mod acceptor;
mod bind;
mod call;
mod header;
mod trailer;
mod verification;

pub use acceptor::{Acceptance, Call, Proposal, ProposedContext, encode_bind_nak};
pub(crate) use bind::encode_auth3;
pub use bind::{Bind, BindAck, BindNak, ContextResult, SyntaxId};
pub use call::{CALL_HEADER_LENGTH, Fault, Request, Response};
pub use header::{FRAGMENT_OCTETS_MAX, Flags, Header, PacketType};
pub use trailer::{AUTH_LEVEL_PRIVACY, AUTH_TYPE_KERBEROS, SecTrailer};
pub use verification::VerificationTrailer;

use portolan_model::Guid;

/// The transfer syntax NDR, version 2.0 (C706 appendix I).
pub const NDR20: SyntaxId = SyntaxId {
    uuid: Guid::from_fields(
        0x8a88_5d04,
        0x1ceb,
        0x11c9,
        [0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10, 0x48, 0x60],
    ),
    major: 2,
    minor: 0,
};
