//! Kerberos messages and files, as far as they are read here.

use portolan_gss::krb_error::{KrbError, is_error};
use portolan_gss::{EncryptionType, ProtocolKey, encrypted, etype_info, keytab, request, token};

use crate::bytes;

/// A KDC's refusal.
pub(crate) fn refusal(octets: &[u8]) {
    match KrbError::decode(octets) {
        Ok(error) => {
            assert!(is_error(octets));
            assert!(!error.code.to_string().is_empty());
            let text = error.text.unwrap_or_default();
            assert!(!text.chars().any(char::is_control), "the KDC's words reach a terminal");
            assert!(error.keys.len() <= etype_info::ENTRIES_MAX);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// The answer of a password server: what is taken for its error is one, and in the answer.
pub(crate) fn kpasswd(octets: &[u8]) {
    match request::kpasswd_error(octets) {
        Ok(error) => assert!(is_error(error) && octets.ends_with(error)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Framed tokens, the advice on keys, and encrypted parts: nobody makes one without the key.
pub(crate) fn messages(octets: &[u8]) {
    if let Ok(message) = token::unframe(octets) {
        let framed = token::frame_ap_req(message);
        assert_eq!(token::unframe(&framed), Ok(message));
    }
    let advice = [etype_info::decode(octets), etype_info::in_method_data(octets)];
    for keys in advice.iter().flatten() {
        assert!(keys.len() <= etype_info::ENTRIES_MAX, "more advice than the limit");
    }
    let (choice, message) = bytes::choice(octets);
    let kind = EncryptionType::from_number(if choice & 1 == 0 { 17 } else { 18 });
    let secret = [0x2a; 32];
    let key = kind.and_then(|kind| ProtocolKey::new(kind, &secret[..kind.key_length()]).ok());
    assert!(key.is_some(), "the key is good");
    let Some(key) = key else { return };
    assert!(encrypted::open(&key, 7, message).is_err(), "a part without the key is opened");
}

/// Files of keys: whatever is in one, an account gets its own keys or a reason.
pub(crate) fn keys(octets: &[u8]) {
    match keytab::Keytab::decode(octets) {
        Ok(keytab) => match keytab.keys("svc_connect", "CORP.EXAMPLE") {
            Ok(keys) => {
                for kind in keys.encryption_types() {
                    assert!(keys.key(kind).is_some_and(|key| key.encryption_type() == kind));
                }
            }
            Err(missing) => assert!(!missing.to_string().is_empty()),
        },
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
