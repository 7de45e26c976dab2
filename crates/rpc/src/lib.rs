//! DCE/RPC over TCP as a client speaks it, and the two interfaces that password hash
//! synchronisation needs: the endpoint mapper and directory replication.
//!
//! Octets go in and out; sockets, the Kerberos handshake and the clock are elsewhere. The tree follows
//! the specifications:
//!
//! - [`pdu`]: fragments (C706 chapter 12, [MS-RPCE] 2.2.2);
//! - [`ndr`]: the transfer syntax (C706 chapter 14);
//! - [`binding`]: the client's machine, from the bind to the reply of a call ([MS-RPCE] 3.3.1);
//! - [`epm`]: towers and `ept_map` (C706 appendices L and O);
//! - [`drsr`]: replication ([MS-DRSR]);
//! - [`interface`]: what else a domain controller offers.
//!
//! [MS-RPCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpce
//! [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr

pub mod binding;
pub mod drsr;
pub mod epm;
pub mod interface;
pub mod ndr;
pub mod pdu;
mod status;

pub use status::Status;
