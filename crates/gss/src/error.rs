//! Why a token was not made, and why one was refused.

use portolan_legacy_crypto::kerberos::TooShort;

/// Why a message could not be wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrapError {
    /// All sequence numbers of the context are used up.
    #[error("the sequence numbers of the security context are used up")]
    SequenceExhausted,
    /// The room for the auth_value has another size than the auth_value.
    #[error("the auth_value has {needed} octets, there is room for {found}")]
    AuthValueLength {
        /// Octets of the auth_value.
        needed: usize,
        /// Octets of the room.
        found: usize,
    },
    /// The cipher refused the message.
    #[error("the message could not be encrypted: {0}")]
    Cipher(
        /// The cipher's reason.
        #[from]
        TooShort,
    ),
}

/// Why a token was refused: the rule of RFC 4121 that it broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnwrapError {
    /// The token ends before its fixed parts do.
    #[error("the token has {found} octets and needs at least {needed}")]
    TooShort {
        /// Octets that the fixed parts have.
        needed: usize,
        /// Octets of the token.
        found: usize,
    },
    /// The token is no Wrap token.
    #[error("the token is no wrap token: its identifier is {0:#06x}")]
    NotAWrapToken(
        /// The identifier found.
        u16,
    ),
    /// The filler of the header is not 0xff.
    #[error("the filler of the token header is {0:#04x}")]
    Filler(
        /// The filler found.
        u8,
    ),
    /// A flag is set that RFC 4121 does not know.
    #[error("the token has unknown flags: {0:#04x}")]
    UnknownFlags(
        /// All flags found.
        u8,
    ),
    /// The token was sent by this side: it is reflected.
    #[error("the token was made by the side that receives it")]
    Reflected,
    /// The token is protected with the other key than the one that was agreed on.
    #[error("the token names the wrong key (acceptor subkey)")]
    WrongKey,
    /// The extra count does not fit the token.
    #[error("the extra count {0} does not fit the token")]
    ExtraCount(
        /// The extra count found.
        u16,
    ),
    /// The rotation is not the one that RPC demands.
    #[error("the right rotation count is {0}, RPC demands 28")]
    Rotation(
        /// The rotation found.
        u16,
    ),
    /// The token is not encrypted where it has to be.
    #[error("the token is not sealed")]
    NotSealed,
    /// The token, or what is signed with it, was altered, or the key is another.
    #[error("the checksum of the token does not match")]
    ChecksumMismatch,
    /// The clear header is not the one that was sealed.
    #[error("the header of the token was altered")]
    HeaderAltered,
    /// The token was received before.
    #[error("the token is a replay: it has sequence number {found}, {expected} is next")]
    Replayed {
        /// The sequence number that is next.
        expected: u64,
        /// The sequence number found.
        found: u64,
    },
    /// A token before this one is missing.
    #[error("a token is missing: sequence number {found} came, {expected} is next")]
    Gap {
        /// The sequence number that is next.
        expected: u64,
        /// The sequence number found.
        found: u64,
    },
}
