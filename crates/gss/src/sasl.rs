//! The SASL security layer over a context ([RFC 4752]): its negotiation, and the frames after it.
//!
//! Only confidentiality is ever chosen; a server that does not offer it is refused. No sockets here:
//! octets go in and out.
//!
//! [RFC 4752]: https://www.rfc-editor.org/rfc/rfc4752

use portolan_model::{Entropy, Hint};

use crate::{Protection, SecurityContext, UnwrapError, WrapError};

/// Most octets of a token that this side can be made to receive: what the negotiation can express.
pub const RECEIVE_OCTETS_MAX: usize = 0x00ff_ffff;

/// Why the security layer was refused or torn down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SaslError {
    /// The server's offer is not four octets.
    #[error("the server's offer of security layers has {0} octets instead of 4")]
    OfferLength(
        /// Octets of the offer.
        usize,
    ),
    /// The server does not offer confidentiality.
    #[error("the server does not offer confidentiality, its layers are {0:#04x}")]
    ConfidentialityNotOffered(
        /// The bit mask of layers that it offers.
        u8,
    ),
    /// The server takes tokens too small to carry anything.
    #[error("the server takes at most {0} octets in a token, too few to carry anything")]
    SendMaximum(
        /// The server's limit.
        usize,
    ),
    /// A frame is longer than what this side offered to receive.
    #[error("a frame of {found} octets is above the negotiated limit of {limit}")]
    FrameAboveLimit {
        /// The length that the frame declares.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// A frame is signed only.
    #[error("a frame is not sealed")]
    FrameNotSealed,
    /// The peer's token was refused.
    #[error("the peer's token was refused: {0}")]
    Refused(
        /// The rule that it broke.
        #[from]
        UnwrapError,
    ),
    /// No token could be made.
    #[error("no token could be made: {0}")]
    NotWrapped(
        /// The reason.
        #[from]
        WrapError,
    ),
}

impl Hint for SaslError {
    fn hint(&self) -> Option<String> {
        matches!(self, Self::ConfidentialityNotOffered(_)).then(|| {
            "let the directory server seal LDAP (ssf 56 or more), or connect to it over TLS".into()
        })
    }
}

/// Answers the server's offer of security layers, the last step of the mechanism
/// ([RFC 4752 section 3.1]): chooses confidentiality and tokens of at most `receive_max` octets.
/// Gives the token to send and the layer that is in force after the server accepted it.
///
/// # Errors
/// [`SaslError`] when the offer is not authentic or does not include confidentiality.
///
/// [RFC 4752 section 3.1]: https://www.rfc-editor.org/rfc/rfc4752#section-3.1
pub fn negotiate(
    context: &mut dyn SecurityContext,
    offer: &mut [u8],
    receive_max: usize,
    rng: &mut dyn Entropy,
) -> Result<(Vec<u8>, Layer), SaslError> {
    let offer = context.unwrap(offer)?.message;
    let &[layers, s0, s1, s2] = offer else {
        return Err(SaslError::OfferLength(offer.len()));
    };
    if layers & CONFIDENTIALITY == 0 {
        return Err(SaslError::ConfidentialityNotOffered(layers));
    }
    let send_max = u32::from_be_bytes([0, s0, s1, s2]);
    let send_max = usize::try_from(send_max).unwrap_or(RECEIVE_OCTETS_MAX);
    let message_max = send_max
        .checked_sub(context.overhead(Protection::Confidentiality))
        .filter(|octets| *octets > 0)
        .ok_or(SaslError::SendMaximum(send_max))?;
    let receive_max = receive_max.min(RECEIVE_OCTETS_MAX);
    let [.., r0, r1, r2] = receive_max.to_be_bytes();
    let mut token = Vec::new();
    // The choice itself is only signed, as the section demands.
    context.wrap(Protection::Integrity, &[CONFIDENTIALITY, r0, r1, r2], rng, &mut token)?;
    Ok((token, Layer { message_max, receive_max, received: Vec::new(), consumed: 0 }))
}

/// The layer in force: puts messages into frames and takes them out ([RFC 4752 section 3.3]; a frame
/// is a length of four octets and a token). Frames and messages of the protocol above do not
/// coincide.
///
/// [RFC 4752 section 3.3]: https://www.rfc-editor.org/rfc/rfc4752#section-3.3
#[derive(Debug)]
pub struct Layer {
    message_max: usize,
    receive_max: usize,
    received: Vec<u8>,
    consumed: usize,
}

impl Layer {
    /// Seals `octets` into as many frames as they need, appended to `output`.
    ///
    /// # Errors
    /// [`SaslError::NotWrapped`].
    pub fn seal(
        &self,
        context: &mut dyn SecurityContext,
        octets: &[u8],
        rng: &mut dyn Entropy,
        output: &mut Vec<u8>,
    ) -> Result<(), SaslError> {
        for message in octets.chunks(self.message_max) {
            let start = output.len();
            output.extend([0; LENGTH_LENGTH]);
            context.wrap(Protection::Confidentiality, message, rng, output)?;
            // INVARIANT: message_max keeps a token below the 2^24 octets that the peer can name.
            let length = u32::try_from(output.len() - start - LENGTH_LENGTH).unwrap_or(u32::MAX);
            output[start..start + LENGTH_LENGTH].copy_from_slice(&length.to_be_bytes());
        }
        Ok(())
    }

    /// Takes octets in as they came from the peer.
    pub fn receive(&mut self, octets: &[u8]) {
        self.received.drain(..self.consumed);
        self.consumed = 0;
        self.received.extend_from_slice(octets);
    }

    /// Opens the next frame that is there in full; `None` when more octets are needed.
    ///
    /// # Errors
    /// [`SaslError`] when the frame is too long, not sealed or not authentic; the connection is then
    /// to be closed.
    pub fn open(&mut self, context: &mut dyn SecurityContext) -> Result<Option<&[u8]>, SaslError> {
        let waiting = &mut self.received[self.consumed..];
        let Some((length, rest)) = waiting.split_first_chunk_mut::<LENGTH_LENGTH>() else {
            return Ok(None);
        };
        let limit = self.receive_max;
        let found = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if found > limit {
            return Err(SaslError::FrameAboveLimit { found, limit });
        }
        let Some(token) = rest.get_mut(..found) else {
            return Ok(None);
        };
        self.consumed += LENGTH_LENGTH + found;
        let opened = context.unwrap(token)?;
        if opened.protection != Protection::Confidentiality {
            return Err(SaslError::FrameNotSealed);
        }
        Ok(Some(opened.message))
    }
}

const LENGTH_LENGTH: usize = 4;
/// The bit of the layer ([RFC 4752 section 3.3]).
///
/// [RFC 4752 section 3.3]: https://www.rfc-editor.org/rfc/rfc4752#section-3.3
const CONFIDENTIALITY: u8 = 4;
