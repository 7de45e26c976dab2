//! The negotiation of the SASL security layer over a context ([RFC 4752]).
//!
//! Confidentiality is chosen, and a server that does not offer it is refused; inside TLS, no layer is
//! chosen instead. The frames of the layer are the protocol's that uses it.
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
    /// The server insists on a layer of its own inside TLS.
    #[error("the server insists on a security layer inside TLS, its layers are {0:#04x}")]
    LayerInsisted(
        /// The bit mask of layers that it offers.
        u8,
    ),
    /// The server takes tokens too small to carry anything.
    #[error("the server takes at most {0} octets in a token, too few to carry anything")]
    SendMaximum(
        /// The server's limit.
        usize,
    ),
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
        let hint = match self {
            Self::ConfidentialityNotOffered(_) => {
                "let the directory server seal LDAP (ssf 56 or more), or connect to it over TLS"
            }
            Self::LayerInsisted(_) => {
                "let the directory server count TLS as sealed (its minimal ssf), or bind by password"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// The layer that was agreed on, in octets of a token; it is in force once the server has accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// The longest token that the peer takes. It has room for at least one octet of a message.
    pub send_octets_max: usize,
    /// The longest token that was said to be taken here.
    pub receive_octets_max: usize,
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
    let send_octets_max = usize::try_from(send_max).unwrap_or(RECEIVE_OCTETS_MAX);
    if send_octets_max <= context.overhead(Protection::Confidentiality) {
        return Err(SaslError::SendMaximum(send_octets_max));
    }
    let receive_octets_max = receive_max.min(RECEIVE_OCTETS_MAX);
    let [.., r0, r1, r2] = receive_octets_max.to_be_bytes();
    let mut token = Vec::new();
    // The choice itself is only signed, as the section demands.
    context.wrap(Protection::Integrity, &[CONFIDENTIALITY, r0, r1, r2], rng, &mut token)?;
    Ok((token, Layer { send_octets_max, receive_octets_max }))
}

/// Answers the server's offer inside TLS, which protects everything already: chooses no layer, as
/// [RFC 4752 section 3.1] has it, with a maximum of zero and no authorization identity. Gives the
/// token to send.
///
/// # Errors
/// [`SaslError`] when the offer is not authentic, or the server insists on a layer.
///
/// [RFC 4752 section 3.1]: https://www.rfc-editor.org/rfc/rfc4752#section-3.1
pub fn negotiate_no_layer(
    context: &mut dyn SecurityContext,
    offer: &mut [u8],
    rng: &mut dyn Entropy,
) -> Result<Vec<u8>, SaslError> {
    let offer = context.unwrap(offer)?.message;
    let &[layers, _, _, _] = offer else {
        return Err(SaslError::OfferLength(offer.len()));
    };
    if layers & NO_LAYER == 0 {
        return Err(SaslError::LayerInsisted(layers));
    }
    let mut token = Vec::new();
    context.wrap(Protection::Integrity, &[NO_LAYER, 0, 0, 0], rng, &mut token)?;
    Ok(token)
}

/// The bit of no layer ([RFC 4752 section 3.3]).
///
/// [RFC 4752 section 3.3]: https://www.rfc-editor.org/rfc/rfc4752#section-3.3
const NO_LAYER: u8 = 1;
/// The bit of the layer ([RFC 4752 section 3.3]).
///
/// [RFC 4752 section 3.3]: https://www.rfc-editor.org/rfc/rfc4752#section-3.3
const CONFIDENTIALITY: u8 = 4;
