//! From the bind to the binding.

use portolan_gss::SecurityContext;

use super::{Binding, BindingError, PRESENTATION_CONTEXT, SECURITY_CONTEXT};
use crate::pdu::{
    Bind, BindAck, BindNak, FRAGMENT_OCTETS_MAX, Flags, Header, NDR20, PacketType, SyntaxId,
    VerificationTrailer,
};

/// A bind was sent; its acknowledgement is awaited.
#[derive(Debug)]
pub struct Opening {
    interface: SyntaxId,
    secured: bool,
}

/// The server acknowledged the bind.
#[derive(Debug)]
pub enum Acknowledged {
    /// Without security: calls can be made.
    Bound(Binding),
    /// With security: its token goes to the handshake.
    Authenticating(Authenticating),
}

/// The server's token came; the third leg of the handshake is awaited.
#[derive(Debug)]
pub struct Authenticating {
    interface: SyntaxId,
    token: Vec<u8>,
    transmit_max: usize,
}

impl Opening {
    /// A bind without security, for the endpoint mapper; gives the fragment to send.
    #[must_use]
    pub fn plain(interface: SyntaxId) -> (Vec<u8>, Self) {
        (bind(interface, None), Self { interface, secured: false })
    }

    /// A bind with Kerberos and privacy; `token` is the handshake's first (the AP-REQ, DCE style).
    /// Gives the fragment to send.
    ///
    /// # Errors
    /// [`BindingError::RequestAboveLimit`] when the token does not fit a fragment.
    pub fn secured(interface: SyntaxId, token: &[u8]) -> Result<(Vec<u8>, Self), BindingError> {
        let bind = bind(interface, Some((token, SECURITY_CONTEXT)));
        expect_room(bind.len())?;
        Ok((bind, Self { interface, secured: true }))
    }

    /// Takes the answer in.
    ///
    /// # Errors
    /// [`BindingError`] when the server refuses, or accepts less than what was asked for.
    pub fn accept(self, fragment: &[u8]) -> Result<Acknowledged, BindingError> {
        let (header, input) = Header::of(fragment)?;
        if header.call_id != BIND_CALL {
            let found = header.call_id;
            return Err(BindingError::OtherCall { expected: BIND_CALL, found });
        }
        match header.packet_type {
            PacketType::BindAck => {}
            PacketType::BindNak => {
                let BindNak { reason } = BindNak::decode(input)?;
                return Err(BindingError::AssociationRefused(reason));
            }
            other => return Err(BindingError::UnexpectedFragment(other)),
        }
        let ack = BindAck::decode(header, input, SECURITY_CONTEXT)?;
        let refused = |result, reason| Err(BindingError::InterfaceRefused { result, reason });
        match ack.results.as_slice() {
            [context] if context.result == 0 && context.transfer == NDR20 => {}
            [context] => return refused(context.result, context.reason),
            _ => return refused(u16::MAX, 0),
        }
        if ack.receive_max < RECEIVE_OCTETS_MUST {
            return Err(BindingError::ReceiveMaximum(ack.receive_max));
        }
        let transmit_max = usize::from(ack.receive_max.min(FRAGMENT_OCTETS_MAX));
        if !self.secured {
            return Ok(Acknowledged::Bound(Binding::plain(transmit_max)));
        }
        if !header.flags.contains(Flags::HEADER_SIGNING) {
            return Err(BindingError::HeaderSigningRefused);
        }
        if ack.token.is_empty() {
            return Err(BindingError::NoToken);
        }
        let (interface, token) = (self.interface, ack.token.to_vec());
        let authenticating = Authenticating { interface, token, transmit_max };
        Ok(Acknowledged::Authenticating(authenticating))
    }
}

impl Authenticating {
    /// The server's token, for the handshake.
    #[must_use]
    pub fn token(&self) -> &[u8] {
        &self.token
    }

    /// Ends the handshake with its third leg and the context that it established. Gives the fragment
    /// to send, to which there is no answer, and the binding.
    ///
    /// # Errors
    /// [`BindingError::RequestAboveLimit`] when the third leg does not fit a fragment.
    pub fn finish(
        self,
        third_leg: &[u8],
        context: Box<dyn SecurityContext + Send>,
    ) -> Result<(Vec<u8>, Binding), BindingError> {
        let auth3 = crate::pdu::encode_auth3(BIND_CALL, third_leg, SECURITY_CONTEXT);
        expect_room(auth3.len())?;
        let verification = VerificationTrailer { interface: self.interface, transfer: NDR20 };
        Ok((auth3, Binding::secured(self.transmit_max, context, verification)))
    }
}

fn bind(interface: SyntaxId, security: Option<(&[u8], u32)>) -> Vec<u8> {
    Bind {
        call_id: BIND_CALL,
        context_id: PRESENTATION_CONTEXT,
        interface,
        transfer: NDR20,
        security,
    }
    .encode()
}

fn expect_room(found: usize) -> Result<(), BindingError> {
    let limit = usize::from(FRAGMENT_OCTETS_MAX);
    if found > limit {
        return Err(BindingError::RequestAboveLimit { found, limit });
    }
    Ok(())
}

/// The call that the bind is; calls count on from it.
pub(super) const BIND_CALL: u32 = 1;
/// What every implementation must take (C706 12.6.3.1, `MustRecvFragSize`).
const RECEIVE_OCTETS_MUST: u16 = 1_432;
