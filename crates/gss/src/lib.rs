//! What protects messages once Kerberos has authenticated both sides.
//!
//! [`SecurityContext`] is what LDAP and RPC know of it; [`Rfc4121`] is its implementation for the
//! AES encryption types (RFC 4121, with the variant of [MS-KILE] for RPC), and [`sasl`] the layer
//! that LDAP negotiates over it (RFC 4752). The handshake (AP-REQ, AP-REP) is not made here, but what
//! it stands on is: [`keytab`] reads keys, [`krb_error`] refusals with the clock of who refuses,
//! [`request`] asks for them without a key, [`encrypted`] opens and seals the parts of its messages, and [`token`] frames them.
//!
//! Everything is refused that RFC 4121 lets a receiver refuse: a token that was seen before, that
//! comes out of order, from the wrong side, under the wrong key, with a length, an extra count or a
//! rotation that does not fit. After a refusal the connection is to be closed.
//!
//! [MS-KILE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-kile

mod context;
mod der;
pub mod encrypted;
mod error;
pub mod etype_info;
mod header;
pub mod keytab;
pub mod krb_error;
pub mod request;
mod rfc4121;
pub mod sasl;
pub mod token;

pub use context::{Pdu, Protection, SecurityContext, Unwrapped};
pub use error::{UnwrapError, WrapError};
pub use portolan_legacy_crypto::kerberos::{EncryptionType, KeyLengthMismatch, ProtocolKey};
pub use rfc4121::{Established, Rfc4121, Role};
