//! What a client says again inside the protected part of a request ([MS-RPCE] 2.2.2.13, the
//! verification trailer): that the bind asked for signed headers, and which presentation context it
//! negotiated. A server so notices a bind, which nothing protects, that was changed on the way.
//!
//! [MS-RPCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpce

use portolan_codec::Writer;

use super::SyntaxId;

/// The trailer of a client that asks for signed headers: `rpc_sec_vt_bitmask` and
/// `rpc_sec_vt_pcontext`. The third command, `rpc_sec_vt_header2`, is for headers that are not signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerificationTrailer {
    /// The interface that the bind named.
    pub interface: SyntaxId,
    /// The transfer syntax that the bind named.
    pub transfer: SyntaxId,
}

impl VerificationTrailer {
    /// Octets of the trailer.
    pub const LENGTH: usize = SIGNATURE.len()
        + 4 /* command, length */ + 4 /* bits */
        + 4 /* command, length */ + 20 /* InterfaceId */ + 20 /* TransferSyntax */;

    /// Appends the trailer, with the padding before it: its place is a multiple of four, counted from
    /// the start of the fragment or of the stub.
    pub fn encode(&self, out: &mut Writer) {
        out.align(ALIGNMENT);
        out.put(&SIGNATURE);
        out.u16_le(COMMAND_BITMASK);
        out.u16_le(4);
        out.u32_le(CLIENT_SUPPORT_HEADER_SIGNING);
        out.u16_le(COMMAND_PCONTEXT | COMMAND_END);
        out.u16_le(40);
        self.interface.encode(out);
        self.transfer.encode(out);
    }
}

/// [MS-RPCE] 2.2.2.13.1: octets by which a server finds the trailer.
///
/// [MS-RPCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpce
const SIGNATURE: [u8; 8] = [0x8a, 0xe3, 0x13, 0x71, 0x02, 0xf4, 0x36, 0x71];
/// [MS-RPCE] 2.2.2.13.2, `SEC_VT_COMMAND_BITMASK_1`.
///
/// [MS-RPCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpce
const COMMAND_BITMASK: u16 = 0x0001;
const CLIENT_SUPPORT_HEADER_SIGNING: u32 = 0x0000_0001;
/// [MS-RPCE] 2.2.2.13.4.
///
/// [MS-RPCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpce
const COMMAND_PCONTEXT: u16 = 0x0002;
/// `SEC_VT_COMMAND_END`: no command follows.
const COMMAND_END: u16 = 0x4000;
const ALIGNMENT: usize = 4;
