//! The header of a Wrap token ([RFC 4121 section 4.2.6.2]).
//!
//! [RFC 4121 section 4.2.6.2]: https://www.rfc-editor.org/rfc/rfc4121#section-4.2.6.2

use crate::UnwrapError;

/// Octets of the header.
pub(crate) const HEADER_LENGTH: usize =
    2 /* TOK_ID */ + 1 /* Flags */ + 1 /* Filler */ + 2 /* EC */ + 2 /* RRC */ + 8 /* SND_SEQ */;

/// The header of a Wrap token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) flags: u8,
    pub(crate) extra_count: u16,
    pub(crate) rotation: u16,
    pub(crate) sequence: u64,
}

impl Header {
    /// The acceptor sent the token.
    pub(crate) const SENT_BY_ACCEPTOR: u8 = 1;
    /// The message is encrypted.
    pub(crate) const SEALED: u8 = 2;
    /// The key is the acceptor's subkey.
    pub(crate) const ACCEPTOR_SUBKEY: u8 = 4;

    const TOKEN_IDENTIFIER: u16 = 0x0504;
    const FILLER: u8 = 0xff;

    pub(crate) fn encode(self) -> [u8; HEADER_LENGTH] {
        let [id0, id1] = Self::TOKEN_IDENTIFIER.to_be_bytes();
        let [ec0, ec1] = self.extra_count.to_be_bytes();
        let [rrc0, rrc1] = self.rotation.to_be_bytes();
        let [s0, s1, s2, s3, s4, s5, s6, s7] = self.sequence.to_be_bytes();
        [id0, id1, self.flags, Self::FILLER, ec0, ec1, rrc0, rrc1, s0, s1, s2, s3, s4, s5, s6, s7]
    }

    /// Splits a token into its header and the rest.
    pub(crate) fn decode(token: &mut [u8]) -> Result<(Self, &mut [u8]), UnwrapError> {
        let found = token.len();
        let (header, rest) = token
            .split_first_chunk_mut::<HEADER_LENGTH>()
            .ok_or(UnwrapError::TooShort { needed: HEADER_LENGTH, found })?;
        let [id0, id1, flags, filler, ec0, ec1, rrc0, rrc1, sequence @ ..] = *header;
        let identifier = u16::from_be_bytes([id0, id1]);
        if identifier != Self::TOKEN_IDENTIFIER {
            return Err(UnwrapError::NotAWrapToken(identifier));
        }
        if filler != Self::FILLER {
            return Err(UnwrapError::Filler(filler));
        }
        if flags & !(Self::SENT_BY_ACCEPTOR | Self::SEALED | Self::ACCEPTOR_SUBKEY) != 0 {
            return Err(UnwrapError::UnknownFlags(flags));
        }
        let header = Self {
            flags,
            extra_count: u16::from_be_bytes([ec0, ec1]),
            rotation: u16::from_be_bytes([rrc0, rrc1]),
            sequence: u64::from_be_bytes(sequence),
        };
        Ok((header, rest))
    }

    pub(crate) const fn is_sealed(self) -> bool {
        self.flags & Self::SEALED != 0
    }

    pub(crate) fn extra_length(self) -> usize {
        usize::from(self.extra_count)
    }

    /// What was protected: the sender rotates after that.
    pub(crate) const fn unrotated(self) -> Self {
        Self { rotation: 0, ..self }
    }
}
