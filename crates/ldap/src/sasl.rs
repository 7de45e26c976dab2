//! The SASL security layer's framing ([RFC 4422] section 3.7): four octets of length, most
//! significant first, and one protected buffer, in both directions.
//!
//! What protects a buffer is behind [`SecurityLayer`]. Messages and frames know nothing of each
//! other: a message may straddle frames and a frame may hold many messages.
//!
//! [RFC 4422]: https://www.rfc-editor.org/rfc/rfc4422#section-3.7

use std::error::Error;

use portolan_codec::{DecodeError, Reader};

use crate::buffer::Buffer;

/// The largest buffer that a GSSAPI negotiation can name: 24 bits (RFC 4752 section 3.1).
pub const FRAME_OCTETS_MAX: usize = 0x00ff_ffff;
/// Octets of the length before each frame.
const LENGTH_OCTETS: usize = 4;

/// Why a security layer refused octets.
pub type LayerFault = Box<dyn Error + Send + Sync>;

/// What a SASL mechanism protects each buffer with, once it has authenticated.
pub trait SecurityLayer {
    /// Octets that [`Self::wrap`] adds at most.
    fn overhead(&self) -> usize;

    /// The protected form of `plain`.
    ///
    /// # Errors
    /// What the mechanism says; the connection is over then.
    fn wrap(&mut self, plain: &[u8]) -> Result<Vec<u8>, LayerFault>;

    /// What `token` protects.
    ///
    /// # Errors
    /// What the mechanism says; the connection is over then.
    fn unwrap(&mut self, token: &[u8]) -> Result<Vec<u8>, LayerFault>;
}

/// What is wrong with a frame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaslError {
    /// The peer takes no frame that could hold anything.
    #[error("the peer takes frames of {limit} octets, and protection alone needs {overhead}")]
    NoRoom {
        /// Octets the peer takes.
        limit: usize,
        /// Octets that protection adds.
        overhead: usize,
    },
    /// A frame is longer than the negotiated maximum.
    #[error("a SASL frame breaks the negotiated maximum")]
    FrameAboveMaximum(#[source] DecodeError),
    /// The layer made a frame that the peer would refuse.
    #[error("protection made {found} octets, the peer takes {limit}")]
    WrappedAboveMaximum {
        /// Octets it made.
        found: usize,
        /// Octets the peer takes.
        limit: usize,
    },
    /// The mechanism refused a buffer.
    #[error("the security layer refused a frame")]
    Layer(#[source] LayerFault),
}

/// The frames of one connection.
pub struct SaslFraming {
    layer: Box<dyn SecurityLayer + Send>,
    receive_octets_max: usize,
    send_octets_max: usize,
}

impl SaslFraming {
    /// Frames with the maxima that the negotiation gave: what we said we take, and what the peer
    /// takes, in octets of a protected buffer.
    ///
    /// # Errors
    /// [`SaslError::NoRoom`] when the peer takes too little for any content.
    pub fn new(
        layer: Box<dyn SecurityLayer + Send>,
        receive_octets_max: usize,
        send_octets_max: usize,
    ) -> Result<Self, SaslError> {
        let (limit, overhead) = (send_octets_max.min(FRAME_OCTETS_MAX), layer.overhead());
        if limit <= overhead {
            return Err(SaslError::NoRoom { limit, overhead });
        }
        let receive_octets_max = receive_octets_max.min(FRAME_OCTETS_MAX);
        Ok(Self { layer, receive_octets_max, send_octets_max: limit })
    }

    /// The frames that carry `plain`.
    ///
    /// # Errors
    /// [`SaslError`] from the layer, or when its overhead was more than it said.
    pub fn seal(&mut self, plain: &[u8]) -> Result<Vec<u8>, SaslError> {
        let limit = self.send_octets_max;
        let mut frames = Vec::with_capacity(plain.len() + self.layer.overhead() + LENGTH_OCTETS);
        for part in plain.chunks((limit - self.layer.overhead().min(limit - 1)).max(1)) {
            let token = self.layer.wrap(part).map_err(SaslError::Layer)?;
            let length = u32::try_from(token.len()).ok().filter(|_| token.len() <= limit);
            let found = token.len();
            let length = length.ok_or(SaslError::WrappedAboveMaximum { found, limit })?;
            frames.extend_from_slice(&length.to_be_bytes());
            frames.extend_from_slice(&token);
        }
        Ok(frames)
    }

    /// What the next whole frame of `sealed` carries, which is consumed; `None` while none is
    /// whole. A length above the maximum is refused before its frame is waited for.
    pub(crate) fn open(&mut self, sealed: &mut Buffer) -> Result<Option<Vec<u8>>, SaslError> {
        let mut reader = Reader::new(sealed.as_slice());
        let Ok(length) = reader.u32_be("SASL frame") else { return Ok(None) };
        let length =
            length.at_most(self.receive_octets_max).map_err(SaslError::FrameAboveMaximum)?;
        let Ok(token) = reader.take(length, "SASL frame") else { return Ok(None) };
        let plain = self.layer.unwrap(token).map_err(SaslError::Layer)?;
        sealed.consume(LENGTH_OCTETS + length);
        Ok(Some(plain))
    }
}
