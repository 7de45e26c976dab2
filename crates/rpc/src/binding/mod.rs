//! The client's machine: from the bind to the reply of a call ([MS-RPCE] 3.3.1, C706 chapter 12).
//!
//! Each state is a type. An interface that needs no security goes from [`Opening`] to [`Binding`]
//! at once; with security the driver hands the server's token to the handshake in between:
//!
//! ```text
//! Opening::plain ----------- bind, bind_ack ------------------------> Binding
//! Opening::secured(token) -- bind, bind_ack --> Authenticating(token) -- auth3 --> Binding
//! ```
//!
//! A binding with security refuses whatever is not sealed. After any error the connection is to be
//! closed: no state recovers.
//!
//! [MS-RPCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpce

mod bound;
mod error;
mod fragments;
mod open;

pub use bound::{Binding, REQUEST_OCTETS_MAX, RESPONSE_OCTETS_MAX};
pub use error::BindingError;
pub use fragments::Fragments;
pub use open::{Acknowledged, Authenticating, Opening};

/// The identifier of the one presentation context.
const PRESENTATION_CONTEXT: u16 = 0;
/// The identifier of the one security context.
const SECURITY_CONTEXT: u32 = 1;
