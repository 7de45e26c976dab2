//! The trailer of fragments that carry security ([MS-RPCE] 2.2.2.11, `sec_trailer`).
//!
//! [MS-RPCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpce

use portolan_codec::{DecodeError, Reader, Writer};

/// `RPC_C_AUTHN_GSS_KERBEROS` ([MS-RPCE] 2.2.1.1.7).
///
/// [MS-RPCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpce
pub const AUTH_TYPE_KERBEROS: u8 = 0x10;

/// `RPC_C_AUTHN_LEVEL_PKT_PRIVACY` ([MS-RPCE] 2.2.1.1.8).
///
/// [MS-RPCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpce
pub const AUTH_LEVEL_PRIVACY: u8 = 0x06;

/// The sec_trailer without its auth_value. This crate speaks Kerberos with privacy only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecTrailer {
    /// Octets of padding before the trailer.
    pub auth_pad_length: u8,
    /// The security context on the connection.
    pub auth_context_id: u32,
}

impl SecTrailer {
    /// Octets of the trailer.
    pub const LENGTH: usize = 1 /* auth_type */ + 1 /* auth_level */ + 1 /* auth_pad_length */
        + 1 /* auth_reserved */ + 4 /* auth_context_id */;

    /// Appends the trailer.
    pub fn encode(self, out: &mut Writer) {
        out.put(&[AUTH_TYPE_KERBEROS, AUTH_LEVEL_PRIVACY, self.auth_pad_length, 0]);
        out.u32_le(self.auth_context_id);
    }

    /// Reads the trailer, which must be of Kerberos with privacy and of the given context.
    ///
    /// # Errors
    /// [`DecodeError`] for any other type, level or context.
    pub fn decode(input: &mut Reader<'_>, context_id: u32) -> Result<Self, DecodeError> {
        input.u8("auth_type")?.exactly(AUTH_TYPE_KERBEROS, "Kerberos (16)")?;
        input.u8("auth_level")?.exactly(AUTH_LEVEL_PRIVACY, "packet privacy (6)")?;
        let auth_pad_length = input.u8("auth_pad_length")?.unchecked("bounded by the fragment");
        input.u8("auth_reserved")?.unchecked("reserved, and covered by the signature");
        input.u32_le("auth_context_id")?.exactly(context_id, "the context of the binding")?;
        Ok(Self { auth_pad_length, auth_context_id: context_id })
    }
}
