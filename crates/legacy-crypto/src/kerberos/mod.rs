//! Kerberos encryption with AES-CTS and HMAC-SHA1-96 (RFC 3961's simplified profile, RFC 3962).
//!
//! [`ProtocolKey`] is a key as Kerberos hands it out; [`ProtocolKey::derive`] gives the keys of one
//! usage, with all schedules computed once. Framing of messages (confounders, tokens, sequence
//! numbers) is `portolan_gss`'s.

mod cts;
mod key;
mod n_fold;

pub use cts::{AesCts, BLOCK_LENGTH, TooShort};
pub use key::{EncryptionType, KeyLengthMismatch, MAC_LENGTH, ProtocolKey, UsageKeys};
pub use n_fold::n_fold;
