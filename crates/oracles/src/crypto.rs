//! The old algorithms, where a peer's octets reach them.

use portolan_legacy_crypto::drsr::{OVERHEAD, decrypt_payload, encrypt_payload};
use portolan_legacy_crypto::kerberos::AesCts;
use portolan_legacy_crypto::pph1::{CredentialData, ITERATIONS_MAX, ITERATIONS_MIN};
use portolan_rpc::drsr::secret::nt_hash;

use crate::bytes;

/// Values of secret attributes and encrypted messages: any length, any octet.
pub(crate) fn secrets(octets: &[u8]) {
    let (key, value) = octets.split_at(octets.len().min(32));
    assert!(decrypt_payload(&[], value).is_err(), "a secret opens without a key");
    let _ = decrypt_payload(key, value);
    let _ = nt_hash(key, value, 1103);
    if let Ok(sealed) = encrypt_payload(key, [9; 16], value) {
        assert_eq!(sealed.len(), value.len() + OVERHEAD);
        assert!(decrypt_payload(key, &sealed).is_ok_and(|opened| *opened == value));
    }
    let cipher = AesCts::aes256(&[3; 32]);
    let mut message = value.to_vec();
    if cipher.encrypt(&mut message).is_ok() {
        assert_eq!(message.len(), value.len());
        assert!(cipher.decrypt(&mut message).is_ok() && message == value);
    } else {
        assert!(cipher.decrypt(&mut message).is_err(), "decrypted what cannot be encrypted");
    }
}

/// Credentials as text: what is accepted is bounded work, and prints as what is accepted again.
pub(crate) fn credential(octets: &[u8]) {
    let text = bytes::text(octets);
    match CredentialData::parse(text) {
        Ok(data) => {
            let printed = data.to_text();
            assert!(printed.expose().eq_ignore_ascii_case(text), "the text form is not unique");
            let iterations = printed.expose().split(',').nth(2).and_then(|n| n.parse().ok());
            let bounds = ITERATIONS_MIN..=ITERATIONS_MAX;
            assert!(iterations.is_some_and(|iterations: u32| bounds.contains(&iterations)));
            assert!(!format!("{data:?}").contains(&printed.expose()[40..60]));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
