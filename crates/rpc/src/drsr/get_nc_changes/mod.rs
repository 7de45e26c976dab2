//! `IDL_DRSGetNCChanges` ([MS-DRSR] 4.1.10).
//!
//! [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr

mod reply;
mod request;
mod skip;

pub use reply::{Attribute, Object, Reply};
pub use request::{
    ExtendedOperation, GetNcChanges, OPNUM_GET_NC_CHANGES, PartialAttributes, ReplicationFlags,
};
