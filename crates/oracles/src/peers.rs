//! Doubles that stand where a peer or the system would: randomness, and a context that protects
//! nothing.

use portolan_gss::{Pdu, Protection, SecurityContext, UnwrapError, Unwrapped, WrapError};
use portolan_model::Entropy;

/// Randomness that is none, so that an input always does the same.
pub(crate) struct Counting(pub(crate) u8);

impl Entropy for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for octet in out {
            self.0 = self.0.wrapping_add(1);
            *octet = self.0;
        }
    }
}

/// A context that protects nothing: what is inside a fragment is then the input's own.
pub(crate) struct Transparent;

/// Octets of the auth_value of [`Transparent`].
pub(crate) const AUTH_VALUE_LENGTH: usize = 16;

impl SecurityContext for Transparent {
    fn wrap(
        &mut self,
        _: Protection,
        message: &[u8],
        _: &mut dyn Entropy,
        token: &mut Vec<u8>,
    ) -> Result<(), WrapError> {
        token.extend_from_slice(message);
        Ok(())
    }

    fn unwrap<'t>(&mut self, token: &'t mut [u8]) -> Result<Unwrapped<'t>, UnwrapError> {
        Ok(Unwrapped { message: token, protection: Protection::Confidentiality })
    }

    fn overhead(&self, _: Protection) -> usize {
        0
    }

    fn seal_pdu(&mut self, _: Pdu<'_>, _: &mut dyn Entropy) -> Result<(), WrapError> {
        Ok(())
    }

    fn unseal_pdu(&mut self, _: Pdu<'_>) -> Result<(), UnwrapError> {
        Ok(())
    }

    fn auth_value_length(&self) -> usize {
        AUTH_VALUE_LENGTH
    }

    fn session_key(&self) -> &[u8] {
        &[7; 32]
    }
}
