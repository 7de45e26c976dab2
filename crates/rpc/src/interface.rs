//! The interfaces of a domain controller that are reached by a dynamic port, each on the one that the
//! endpoint mapper names.

use portolan_model::Guid;

use crate::drsr;
use crate::pdu::SyntaxId;

/// LSARPC ([MS-LSAT] section 1.9).
///
/// [MS-LSAT]: https://learn.microsoft.com/openspecs/windows_protocols/ms-lsat
pub const LSARPC: SyntaxId = SyntaxId { uuid: of_accounts(0xab), major: 0, minor: 0 };

/// SAMR ([MS-SAMR] section 1.9).
///
/// [MS-SAMR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-samr
pub const SAMR: SyntaxId = SyntaxId { uuid: of_accounts(0xac), major: 1, minor: 0 };

/// NETLOGON ([MS-NRPC] section 1.9).
///
/// [MS-NRPC]: https://learn.microsoft.com/openspecs/windows_protocols/ms-nrpc
pub const NETLOGON: SyntaxId = SyntaxId {
    uuid: Guid::from_fields(
        0x1234_5678,
        0x1234,
        0xabcd,
        [0xef, 0x00, 0x01, 0x23, 0x45, 0x67, 0xcf, 0xfb],
    ),
    major: 1,
    minor: 0,
};

/// All of them, by the names that people know.
pub const OF_CONTROLLER: [(&str, SyntaxId); 4] =
    [("DRSUAPI", drsr::INTERFACE), ("LSARPC", LSARPC), ("SAMR", SAMR), ("NETLOGON", NETLOGON)];

const fn of_accounts(last: u8) -> Guid {
    Guid::from_fields(0x1234_5778, 0x1234, 0xabcd, [0xef, 0x00, 0x01, 0x23, 0x45, 0x67, 0x89, last])
}
