//! Words and bytes: the cursors every decoder of this project reads and writes with.
//!
//! A [`Reader`] never panics and never reads past its end; what it returns of a peer's numbers is
//! [`Untrusted`] until a named limit was checked. A [`Writer`] appends to a growing buffer and can
//! patch what it has written. Protocol structures are built on these in `portolan_ldap`,
//! `portolan_rpc` and `portolan_gss`; this crate knows none of them.

mod error;
mod reader;
mod untrusted;
mod writer;

pub use error::{DecodeError, Fault};
pub use reader::Reader;
pub use untrusted::Untrusted;
pub use writer::Writer;
