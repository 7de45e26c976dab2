//! The interface between a protocol and what protects its messages.

use portolan_model::Entropy;

use crate::{UnwrapError, WrapError};

/// How a message is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// It can be read by everyone and altered by nobody.
    Integrity,
    /// It can be neither read nor altered.
    Confidentiality,
}

/// A message taken out of its token.
#[derive(Debug, PartialEq, Eq)]
pub struct Unwrapped<'t> {
    /// The message, in the token's own memory.
    pub message: &'t [u8],
    /// How it was protected. A caller that needs confidentiality checks this.
    pub protection: Protection,
}

/// The four parts of an RPC fragment whose body is sealed, and whose header and trailer are only
/// signed ([MS-RPCE] 3.3.1.5.2.2, header signing).
///
/// [MS-RPCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpce
#[derive(Debug)]
pub struct Pdu<'p> {
    /// From the start of the fragment to its body, with all lengths filled in.
    pub header: &'p [u8],
    /// The stub with its padding.
    pub body: &'p mut [u8],
    /// The sec_trailer without its auth_value.
    pub trailer: &'p [u8],
    /// The auth_value.
    pub auth_value: &'p mut [u8],
}

/// An established security context between two peers.
pub trait SecurityContext {
    /// Appends the token that carries `message` to `token`.
    ///
    /// # Errors
    /// [`WrapError`].
    fn wrap(
        &mut self,
        protection: Protection,
        message: &[u8],
        rng: &mut dyn Entropy,
        token: &mut Vec<u8>,
    ) -> Result<(), WrapError>;

    /// Takes the message out of a token, in place.
    ///
    /// # Errors
    /// [`UnwrapError`] with the rule that was broken; the connection is then to be closed.
    fn unwrap<'t>(&mut self, token: &'t mut [u8]) -> Result<Unwrapped<'t>, UnwrapError>;

    /// Octets that a token has more than its message.
    fn overhead(&self, protection: Protection) -> usize;

    /// Seals the body of a fragment in place, signs header and trailer, and fills the auth_value in,
    /// which must have [`SecurityContext::auth_value_length`] octets.
    ///
    /// # Errors
    /// [`WrapError`].
    fn seal_pdu(&mut self, pdu: Pdu<'_>, rng: &mut dyn Entropy) -> Result<(), WrapError>;

    /// Opens the body of a fragment in place, after header and trailer were verified with it.
    ///
    /// # Errors
    /// [`UnwrapError`] with the rule that was broken; the body is then worthless, and the connection
    /// is to be closed.
    fn unseal_pdu(&mut self, pdu: Pdu<'_>) -> Result<(), UnwrapError>;

    /// Octets of the auth_value of a fragment that this side seals.
    fn auth_value_length(&self) -> usize;

    /// The session key, from which protocols derive keys of their own ([MS-DRSR] 4.1.10.6.15).
    ///
    /// [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr
    fn session_key(&self) -> &[u8];
}
