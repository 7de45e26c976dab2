//! Tokens and keys.

use portolan_token::{Jwk, Jwks, SigningKey, VerifyingKey, assertion, key_id_of};
use time::OffsetDateTime;

use crate::bytes;

/// The public key of RFC 7515 appendix A.3.
const KEY: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
/// The only text that anybody signed with it here: the token of that appendix, without its signature.
const SIGNED: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

/// Tokens: nothing verifies but what was signed.
pub(crate) fn jws(octets: &[u8]) {
    let token = bytes::text(octets);
    let _ = (key_id_of(token), assertion::claimed_client(token));
    let key = serde_json::from_str::<Jwk>(KEY).ok().map(|jwk| VerifyingKey::from_jwk(&jwk));
    assert!(matches!(key, Some(Ok(_))), "the key is good");
    let Some(Ok(key)) = key else { return };
    if key.verify::<serde_json::Value>(token).is_ok() {
        let signed = token.rsplit_once('.').map(|(signed, _)| signed);
        assert_eq!(signed, Some(SIGNED), "a token verifies that nobody signed");
    }
    let now = OffsetDateTime::UNIX_EPOCH;
    let verified = assertion::verify(token, &key, "joe", &["https://login.cloud.example"], now);
    assert!(verified.is_err(), "an assertion that nobody made is accepted");
}

/// Keys as a peer sends them: a good one checks signatures and keeps its name.
pub(crate) fn keys(octets: &[u8]) {
    let _ = SigningKey::from_pkcs8(octets);
    let set = serde_json::from_slice::<Jwks>(octets).map(|set| set.keys).unwrap_or_default();
    let one = serde_json::from_slice::<Jwk>(octets).ok();
    for key in set.into_iter().chain(one) {
        let good = key.check().is_ok();
        assert_eq!(key.thumbprint().is_ok(), good);
        assert!(good || VerifyingKey::from_jwk(&key).is_err(), "a bad key checks signatures");
        if good {
            let again = serde_json::to_vec(&key).ok();
            let again = again.and_then(|text| serde_json::from_slice::<Jwk>(&text).ok());
            assert_eq!(again.as_ref(), Some(&key));
        }
    }
}
