//! The encryption of secret attribute values in replication ([MS-DRSR] 4.1.10.2.20,
//! `ENCRYPTED_PAYLOAD`).
//!
//! [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr

use md5::{Digest, Md5};
use rc4::{KeyInit, Rc4, StreamCipher};
use zeroize::Zeroizing;

use crate::crc32::crc32;

/// Octets that an encrypted value has more than the value itself.
pub const OVERHEAD: usize = 16 /* Salt */ + 4 /* CheckSum */;

/// Why an encrypted value could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// The value is shorter than its salt and checksum.
    #[error("an encrypted value needs at least {OVERHEAD} octets, this one has {0}")]
    TooShort(
        /// Octets of the value.
        usize,
    ),
    /// The checksum is not that of the value: the session key is wrong or the value was damaged.
    #[error("the checksum of an encrypted value does not match")]
    ChecksumMismatch,
    /// A session key has no octets.
    #[error("the session key is empty")]
    NoSessionKey,
}

/// Opens an encrypted value with the session key of the security context that carried it, all of
/// its octets (32 for AES-256). The checksum is verified.
///
/// # Errors
/// [`PayloadError`] with the rule that was broken.
pub fn decrypt_payload(
    session_key: &[u8],
    payload: &[u8],
) -> Result<Zeroizing<Vec<u8>>, PayloadError> {
    let short = PayloadError::TooShort(payload.len());
    let (salt, sealed) = payload.split_first_chunk::<16>().ok_or(short)?;
    let mut opened = Zeroizing::new(sealed.to_vec());
    cipher(session_key, salt)?.apply_keystream(&mut opened);
    let (checksum, value) = opened.split_first_chunk::<4>().ok_or(short)?;
    if crc32(value) != u32::from_le_bytes(*checksum) {
        return Err(PayloadError::ChecksumMismatch);
    }
    opened.drain(..4);
    Ok(opened)
}

/// Seals a value as a domain controller does.
///
/// # Errors
/// [`PayloadError::NoSessionKey`].
pub fn encrypt_payload(
    session_key: &[u8],
    salt: [u8; 16],
    value: &[u8],
) -> Result<Vec<u8>, PayloadError> {
    let mut payload = Vec::with_capacity(OVERHEAD + value.len());
    payload.extend(salt);
    payload.extend(crc32(value).to_le_bytes());
    payload.extend(value);
    if let Some((_, sealed)) = payload.split_first_chunk_mut::<16>() {
        cipher(session_key, &salt)?.apply_keystream(sealed);
    }
    Ok(payload)
}

fn cipher(session_key: &[u8], salt: &[u8; 16]) -> Result<Rc4, PayloadError> {
    if session_key.is_empty() {
        return Err(PayloadError::NoSessionKey);
    }
    let key: Zeroizing<[u8; 16]> =
        Zeroizing::new(Md5::new().chain_update(session_key).chain_update(salt).finalize().into());
    Rc4::new_from_slice(key.as_slice()).map_err(|_| PayloadError::NoSessionKey)
}
