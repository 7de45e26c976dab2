//! The encrypted parts of Kerberos messages: the simplified profile of [RFC 3961 section 5.3].
//!
//! [RFC 3961 section 5.3]: https://www.rfc-editor.org/rfc/rfc3961#section-5.3

use portolan_legacy_crypto::kerberos::{BLOCK_LENGTH, MAC_LENGTH, ProtocolKey, TooShort};
use portolan_model::Entropy;
use zeroize::Zeroizing;

/// The key usages of a client ([RFC 4120 section 7.5.1]).
///
/// [RFC 4120 section 7.5.1]: https://www.rfc-editor.org/rfc/rfc4120#section-7.5.1
pub mod usage {
    /// The encrypted part of an AS-REP, under the account's key.
    pub const AS_REP: u32 = 3;
    /// The checksum of a TGS-REQ's body, under the session key of the ticket-granting ticket.
    pub const TGS_REQ_CHECKSUM: u32 = 6;
    /// The encrypted part of a TGS-REP, under the session key of the ticket-granting ticket.
    pub const TGS_REP: u32 = 8;
    /// The encrypted part of an AP-REP, under the ticket's session key.
    pub const AP_REP: u32 = 12;
}

/// Opens { confounder | message | code }.
///
/// # Errors
/// [`NotOpened`] when the key is another or a bit was altered.
pub fn open(key: &ProtocolKey, usage: u32, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotOpened> {
    let (cipher, code) = sealed.split_last_chunk::<MAC_LENGTH>().ok_or(NotOpened)?;
    let keys = key.derive(usage);
    let mut plain = Zeroizing::new(cipher.to_vec());
    keys.encryption().decrypt(&mut plain).map_err(|TooShort| NotOpened)?;
    if !keys.has_integrity(&[&plain], code) {
        return Err(NotOpened);
    }
    plain.copy_within(BLOCK_LENGTH.., 0);
    let length = plain.len() - BLOCK_LENGTH;
    plain.truncate(length);
    Ok(plain)
}

/// Seals a message.
///
/// # Errors
/// [`TooShort`], which a message with its confounder never is.
pub fn seal(
    key: &ProtocolKey,
    usage: u32,
    message: &[u8],
    rng: &mut dyn Entropy,
) -> Result<Vec<u8>, TooShort> {
    let keys = key.derive(usage);
    let mut sealed = vec![0; BLOCK_LENGTH];
    rng.fill(&mut sealed);
    sealed.extend(message);
    let code = keys.integrity(&[&sealed]);
    keys.encryption().encrypt(&mut sealed)?;
    sealed.extend(code);
    Ok(sealed)
}

/// Something sealed did not open: it was sealed with another key, or altered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it was sealed with another key, or altered")]
pub struct NotOpened;

#[cfg(test)]
mod tests {
    use portolan_legacy_crypto::kerberos::EncryptionType;

    use super::*;

    struct Zero;

    impl Entropy for Zero {
        fn fill(&mut self, out: &mut [u8]) {
            out.fill(0);
        }
    }

    /// The known answers of MIT krb5's t_decrypt.
    #[test]
    fn what_mit_krb5_sealed_opens() {
        let check = |key: &str, usage, message: &str, sealed: &str| {
            let key = hex::decode(key).unwrap();
            let number = if key.len() == 16 { 17 } else { 18 };
            let encryption_type = EncryptionType::from_number(number).unwrap();
            let key = ProtocolKey::new(encryption_type, &key).unwrap();
            let opened = open(&key, usage, &hex::decode(sealed).unwrap()).unwrap();
            assert_eq!(opened.as_slice(), message.as_bytes());
        };
        check(
            "5a5c0f0ba54f3828b2195e66ca24a289",
            0,
            "",
            "49ff8e11c173d9583a3254fbe7b1f1df36c538e8416784a1672e6676",
        );
        check(
            "f1c795e9248a09338d82c3f8d5b567040b0110736845041347235b1404231398",
            4,
            "30 bytes bytes bytes bytes byt",
            "d1137a4d634cfece924dbc3bf6790648bd5cff7de0e7b99460211d0daef3d79a\
             295c688858f3b34b9cbd6eebae81daf6b734d4d498b6714f1c1d",
        );
    }

    #[test]
    fn messages_of_every_length_open_and_none_that_was_altered() {
        let key = ProtocolKey::new(EncryptionType::Aes256CtsHmacSha1_96, &[3; 32]).unwrap();
        for length in 0..70 {
            let message = vec![7; length];
            let mut sealed = seal(&key, 4, &message, &mut Zero).unwrap();
            assert_eq!(open(&key, 4, &sealed).unwrap().as_slice(), message);
            assert_eq!(open(&key, 5, &sealed).unwrap_err(), NotOpened);
            let middle = sealed.len() / 2;
            sealed[middle] ^= 1;
            assert_eq!(open(&key, 4, &sealed).unwrap_err(), NotOpened);
        }
        for length in 0..28 {
            assert_eq!(open(&key, 4, &vec![0; length]).unwrap_err(), NotOpened);
        }
    }
}
