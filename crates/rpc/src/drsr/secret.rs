//! Opening secret values, one at a time ([MS-DRSR] 4.1.10.2.20, `ENCRYPTED_PAYLOAD`).
//!
//! A value of unicodePwd has two layers: the session key's, whose checksum is verified, and that of
//! the account's relative identifier ([MS-SAMR] 2.2.11.1.3). Whoever calls this has decided that the
//! object is a user in scope.
//!
//! [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr
//! [MS-SAMR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-samr

use portolan_legacy_crypto::NtHash;
use portolan_legacy_crypto::des::RidEncryptedHash;
use portolan_legacy_crypto::drsr::decrypt_payload;
use zeroize::Zeroizing;

pub use portolan_legacy_crypto::drsr::PayloadError;

/// Why no hash came out of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The session key's layer could not be taken off.
    #[error("the value of a secret attribute could not be opened: {0}")]
    Payload(
        /// Why not.
        #[from]
        PayloadError,
    ),
    /// The opened value is no hash.
    #[error("a password hash has 16 octets, the opened value has {0}")]
    Length(
        /// Octets of the value.
        usize,
    ),
}

/// Takes the session key's layer off a secret value; `session_key` is all of
/// [`crate::binding::Binding::session_key`].
///
/// # Errors
/// [`PayloadError`].
pub fn decrypt_secret(
    session_key: &[u8],
    value: &[u8],
) -> Result<Zeroizing<Vec<u8>>, PayloadError> {
    decrypt_payload(session_key, value)
}

/// The NT hash in a value of unicodePwd of the account with the relative identifier `rid`.
///
/// # Errors
/// [`SecretError`].
pub fn nt_hash(session_key: &[u8], value: &[u8], rid: u32) -> Result<NtHash, SecretError> {
    let opened = decrypt_secret(session_key, value)?;
    let octets = opened.as_slice().try_into().map_err(|_| SecretError::Length(opened.len()))?;
    Ok(RidEncryptedHash::new(octets).decrypt(rid))
}
