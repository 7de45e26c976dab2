//! The vectors of `tests/vectors/vectors.json`, which other implementations made and checked.

#![expect(clippy::unwrap_used, reason = "a vector that cannot be read fails its test")]

use portolan_legacy_crypto::NtHash;
use portolan_legacy_crypto::des::{RidEncryptedHash, encrypt_block, expand_key, keys_of_rid};
use portolan_legacy_crypto::drsr::{PayloadError, decrypt_payload, encrypt_payload};
use portolan_legacy_crypto::pph1::{CredentialData, InvalidCredentialData};
use portolan_model::SecretString;
use proptest::prelude::*;
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors/vectors.json")).unwrap()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap()
}

fn octets<const N: usize>(value: &Value, field: &str) -> [u8; N] {
    hex::decode(text(value, field)).unwrap().try_into().unwrap()
}

fn secret(text: &str) -> SecretString {
    SecretString::new(text.to_owned())
}

#[test]
fn synchronised_passwords_are_derived_and_verified() {
    for vector in vectors()["phs"].as_array().unwrap() {
        let password = text(vector, "password");
        let hash = NtHash::from_password(password);
        assert_eq!(hash.expose(), &octets(vector, "nt_hash"), "{password}");
        let data = CredentialData::derive(&hash, octets(vector, "salt"));
        assert_eq!(data.to_text().expose(), text(vector, "credential_data"), "{password}");
        assert!(data.verify(&secret(password)));
        assert!(!data.verify(&secret("Password2")));
    }
}

#[test]
fn the_rc4_key_of_an_account_is_its_hash() {
    let account = &vectors()["kerberos_ssoacc"];
    let hash = NtHash::from_password(text(account, "password"));
    assert_eq!(hash.expose(), &octets(account, "rc4_hmac"));
}

#[test]
fn the_hash_is_stretched_in_upper_case() {
    let all = vectors();
    let derived =
        CredentialData::derive(&NtHash::from_password("Password1"), octets(&all["phs"][0], "salt"));
    let wrong = text(&all, "phs_negative_lowercase_hex");
    assert!(!derived.to_text().expose().contains(wrong));
}

#[test]
fn credential_data_is_read_in_either_case() {
    let all = vectors();
    let lower = text(&all["phs"][0], "credential_data");
    let (head, tail) = lower.split_at("v1;PPH1_MD4,".len());
    let upper = format!("{head}{}", tail.to_uppercase());
    for form in [lower, &upper] {
        let data = CredentialData::parse(form).unwrap();
        assert!(data.verify(&secret("Password1")));
        assert_eq!(data.to_text().expose(), lower);
    }
}

#[test]
fn credential_data_that_breaks_a_rule_is_refused() {
    use InvalidCredentialData::{Form, Iterations, Key, Salt};
    let key = "4c56ba69061e56881a10372f6dc5d382ff937ccb36b6b94bd6159d1fc17dc223";
    let check = |form: String, expected| {
        assert_eq!(CredentialData::parse(&form).unwrap_err(), expected, "{form}");
    };
    check(format!("v1;PPH1_MD4,00010203040506070809,1000,{key}"), Form);
    check(format!("v2;PPH1_MD4,00010203040506070809,1000,{key};"), Form);
    check(format!("v1;PPH1_MD4,00010203040506070809,1000,{key},;"), Form);
    check("v1;PPH1_MD4,00010203040506070809,1000;".to_owned(), Form);
    check(String::new(), Form);
    check(format!("v1;PPH1_MD4,0001020304050607080,1000,{key};"), Salt);
    check(format!("v1;PPH1_MD4,000102030405060708,1000,{key};"), Salt);
    for iterations in ["0", "999", "100001", "01000", "+1000", "-1000", "", "99999999999999999999"]
    {
        check(format!("v1;PPH1_MD4,00010203040506070809,{iterations},{key};"), Iterations);
    }
    check(format!("v1;PPH1_MD4,00010203040506070809,1000,{}zz;", &key[2..]), Key);
}

#[test]
fn the_layer_of_the_relative_identifier_goes_on_and_off() {
    let all = vectors();
    let vector = &all["rid_des"];
    let rid = u32::try_from(vector["rid"].as_u64().unwrap()).unwrap();
    let [first, second] = keys_of_rid(rid);
    assert_eq!((first, second), (octets(vector, "key1"), octets(vector, "key2")));
    assert_eq!(expand_key(first), octets(vector, "key1_des"));
    assert_eq!(expand_key(second), octets(vector, "key2_des"));
    let hash = NtHash::from_octets(octets(vector, "nt_hash"));
    let encrypted = RidEncryptedHash::encrypt(&hash, rid);
    assert_eq!(encrypted.expose(), &octets(vector, "rid_encrypted"));
    assert_eq!(encrypted.decrypt(rid), hash);
    assert_ne!(encrypted.decrypt(rid + 1), hash);
    let half: [u8; 8] = hash.expose()[..8].try_into().unwrap();
    assert_eq!(encrypt_block(first, half), encrypted.expose()[..8]);
}

#[test]
fn replicated_secrets_open_with_keys_of_either_size() {
    let all = vectors();
    let salt = octets(&all["drsr"], "salt");
    let plain = octets::<16>(&all["drsr"], "plaintext_rid_encrypted");
    for name in ["drsr", "drsr_16byte_key"] {
        let key = hex::decode(text(&all[name], "session_key")).unwrap();
        let payload = hex::decode(text(&all[name], "encrypted_payload")).unwrap();
        assert_eq!(encrypt_payload(&key, salt, &plain).unwrap(), payload);
        assert_eq!(*decrypt_payload(&key, &payload).unwrap(), plain);
        let mut wrong = payload.clone();
        wrong[20] ^= 1;
        assert_eq!(decrypt_payload(&key, &wrong), Err(PayloadError::ChecksumMismatch));
        assert_eq!(decrypt_payload(&key[1..], &payload), Err(PayloadError::ChecksumMismatch));
        assert_eq!(decrypt_payload(&key, &payload[..19]), Err(PayloadError::TooShort(19)));
        assert_eq!(decrypt_payload(&[], &payload), Err(PayloadError::NoSessionKey));
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        if let Ok(data) = CredentialData::parse(&text) {
            let written = data.to_text();
            prop_assert!(written.expose().eq_ignore_ascii_case(&text));
        }
    }

    #[test]
    fn any_payload_is_opened_or_refused(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
        prop_assert!(decrypt_payload(&[7; 32], &payload).is_err());
    }
}
