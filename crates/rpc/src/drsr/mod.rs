//! Directory replication ([MS-DRSR]) as far as password hash synchronisation needs it.
//!
//! The tree is the specification's: a module for each method, one for each structure that they share.
//! Nothing here decides what to replicate, and no secret is opened on the way: that is a call of its
//! own, for each value ([`secret`]).
//!
//! [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr

mod attribute;
mod bind;
mod dsname;
mod get_nc_changes;
mod prefix_table;
pub mod secret;
mod up_to_date;

pub use attribute::{AttributeType, Oid};
pub use bind::{
    DrsBindStep, DrsBinding, DrsBound, DrsExtensions, DrsHandle, OPNUM_DRS_BIND, OPNUM_DRS_UNBIND,
    decode_bind_response, decode_unbind_response, encode_bind_request, encode_unbind_request,
};
pub use dsname::{DsName, ObjectName};
pub use get_nc_changes::{
    Attribute, ExtendedOperation, GetNcChanges, OPNUM_GET_NC_CHANGES, Object, PartialAttributes,
    ReplicationFlags, Reply,
};
pub use prefix_table::PrefixTable;
pub use up_to_date::{UpToDateCursor, UpToDateVector, UsnVector};

use crate::pdu::SyntaxId;
use portolan_model::Guid;

/// The interface drsuapi ([MS-DRSR] 4.1).
///
/// [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr
pub const INTERFACE: SyntaxId = SyntaxId {
    uuid: Guid::from_fields(
        0xe351_4235,
        0x4b06,
        0x11d1,
        [0xab, 0x04, 0x00, 0xc0, 0x4f, 0xc2, 0xdc, 0xd2],
    ),
    major: 4,
    minor: 0,
};
