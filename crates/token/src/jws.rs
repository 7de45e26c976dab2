//! JSON Web Signatures in the compact form ([RFC 7515] section 7.1): signing and checking.
//!
//! [RFC 7515]: https://www.rfc-editor.org/rfc/rfc7515#section-7.1

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{InvalidJwk, Jwk};

/// Octets a token may have: ours have under 2,000.
const TOKEN_OCTETS_MAX: usize = 16 * 1024;

/// A private key that signs tokens. `Debug` shows its name only; aws-lc wipes the key when it is
/// dropped.
pub struct SigningKey {
    pair: Pair,
    public: Jwk,
    kid: String,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
}

/// A public key that checks tokens.
#[derive(Clone)]
pub struct VerifyingKey {
    key: DecodingKey,
    algorithm: Algorithm,
}

/// Octets that are no private key of a kind that signs here (PKCS#8, RSA or P-256).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the octets are no RSA or P-256 private key in PKCS#8")]
pub struct InvalidKey;

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJws {
    /// It is longer than any token here.
    #[error("the token is longer than 16,384 octets")]
    TooLong,
    /// It is no compact JWS, or its claims are not those expected.
    #[error("the token is malformed")]
    Malformed,
    /// Its header demands an extension that nobody here understands (RFC 7515 section 4.1.11).
    #[error("the token's header has a critical extension")]
    CriticalExtension,
    /// It does not verify with the key, or names another algorithm than the key's.
    #[error("the token's signature does not verify")]
    BadSignature,
    /// Its time is over, or has not come.
    #[error("the token is not valid at this time")]
    OutOfTime,
    /// It is for someone else, or from someone else.
    #[error("the token's issuer, subject or audience is not the expected one")]
    WrongParty,
}

#[derive(Serialize)]
struct Header<'a> {
    typ: &'a str,
    alg: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
    #[serde(rename = "x5t#S256", skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
}

impl SigningKey {
    /// From PKCS#8: RSA of 2048 bits or more, or P-256.
    ///
    /// # Errors
    /// When the octets are no such key.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, InvalidKey> {
        if let Ok(pair) = RsaKeyPair::from_pkcs8(der) {
            let (modulus, exponent) = {
                let public = pair.public_key();
                (
                    public.modulus().big_endian_without_leading_zero().to_vec(),
                    public.exponent().big_endian_without_leading_zero().to_vec(),
                )
            };
            return Self::new(Pair::Rsa(pair), Jwk::rsa(&modulus, &exponent));
        }
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
            .map_err(|_| InvalidKey)?;
        // The uncompressed point: 4, x, y (SEC 1 section 2.3.3).
        let public = match pair.public_key().as_ref() {
            [4, point @ ..] if point.len() == 64 => {
                let (x, y) = point.split_at(32);
                Jwk::p256(x, y)
            }
            _ => return Err(InvalidKey),
        };
        Self::new(Pair::P256(pair), public)
    }

    fn new(pair: Pair, public: Jwk) -> Result<Self, InvalidKey> {
        let kid = public.thumbprint().map_err(|_| InvalidKey)?;
        Ok(Self { pair, public, kid })
    }

    /// The public half, with its name.
    #[must_use]
    pub const fn public(&self) -> &Jwk {
        &self.public
    }

    /// The key's name: the thumbprint of RFC 7638.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// A token with these claims.
    ///
    /// # Errors
    /// [`InvalidKey`] when the claims are not JSON or the signature cannot be made, which a key
    /// that parsed does not show.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, InvalidKey> {
        let alg = match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::P256(_) => "ES256",
        };
        let header = Header { typ: "JWT", alg, kid: Some(&self.kid), certificate: None };
        // PKCS#1 v1.5 uses no randomness; what is drawn for it is ignored.
        self.sign_as(&header, &RSA_PKCS1_SHA256, claims)
    }

    /// A token whose header names the key's certificate by its SHA-256 (RFC 7515 section 4.1.8). An RSA
    /// key signs with PSS (RFC 7518 section 3.5).
    ///
    /// # Errors
    /// As [`Self::sign`].
    pub fn sign_by_certificate(
        &self,
        certificate_sha256: &[u8; 32],
        claims: &impl Serialize,
    ) -> Result<String, InvalidKey> {
        let alg = match self.pair {
            Pair::Rsa(_) => "PS256",
            Pair::P256(_) => "ES256",
        };
        let certificate = Some(URL_SAFE_NO_PAD.encode(certificate_sha256));
        let header = Header { typ: "JWT", alg, kid: None, certificate };
        self.sign_as(&header, &RSA_PSS_SHA256, claims)
    }

    fn sign_as(
        &self,
        header: &Header<'_>,
        rsa: &'static dyn RsaEncoding,
        claims: &impl Serialize,
    ) -> Result<String, InvalidKey> {
        let part = |json: serde_json::Result<Vec<u8>>| {
            json.map(|json| URL_SAFE_NO_PAD.encode(json)).map_err(|_| InvalidKey)
        };
        let header = part(serde_json::to_vec(header))?;
        let message = format!("{header}.{}", part(serde_json::to_vec(claims))?);
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(rsa, &SystemRandom::new(), message.as_bytes(), &mut signature)
                    .map_err(|_| InvalidKey)?;
                signature
            }
            Pair::P256(pair) => pair
                .sign(&SystemRandom::new(), message.as_bytes())
                .map_err(|_| InvalidKey)?
                .as_ref()
                .to_vec(),
        };
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.kid)
    }
}

impl VerifyingKey {
    /// From a public key, which is checked.
    ///
    /// # Errors
    /// The rule that the key breaks.
    pub fn from_jwk(jwk: &Jwk) -> Result<Self, InvalidJwk> {
        jwk.check()?;
        let member = |text: &Option<String>| text.clone().unwrap_or_default();
        let (key, algorithm) = if jwk.kty == "RSA" {
            (DecodingKey::from_rsa_components(&member(&jwk.n), &member(&jwk.e)), Algorithm::RS256)
        } else {
            (DecodingKey::from_ec_components(&member(&jwk.x), &member(&jwk.y)), Algorithm::ES256)
        };
        Ok(Self { key: key.map_err(|_| InvalidJwk::MissingNumber)?, algorithm })
    }

    /// The claims of a token whose signature verifies. Times and parties are the caller's to
    /// check: they need a clock.
    ///
    /// # Errors
    /// The rule that the token breaks.
    pub fn verify<T: DeserializeOwned>(&self, token: &str) -> Result<T, InvalidJws> {
        reject_critical_extensions(token)?;
        let mut validation = Validation::new(self.algorithm);
        if self.algorithm == Algorithm::RS256 {
            // The same key, padded in the newer way (RFC 7518 section 3.5).
            validation.algorithms.push(Algorithm::PS256);
        }
        validation.required_spec_claims.clear();
        (validation.validate_exp, validation.validate_nbf, validation.validate_aud) =
            (false, false, false);
        jsonwebtoken::decode(token, &self.key, &validation).map(|token| token.claims).map_err(
            |error| match error.kind() {
                jsonwebtoken::errors::ErrorKind::Json(_)
                | jsonwebtoken::errors::ErrorKind::InvalidToken
                | jsonwebtoken::errors::ErrorKind::Base64(_)
                | jsonwebtoken::errors::ErrorKind::Utf8(_) => InvalidJws::Malformed,
                _ => InvalidJws::BadSignature,
            },
        )
    }
}

/// The name of the key that a token says it is signed with; to look the key up, never to trust.
#[must_use]
pub fn key_id_of(token: &str) -> Option<String> {
    header_of(token).ok()?.get("kid")?.as_str().map(str::to_owned)
}

fn reject_critical_extensions(token: &str) -> Result<(), InvalidJws> {
    match header_of(token)?.get("crit") {
        Some(_) => Err(InvalidJws::CriticalExtension),
        None => Ok(()),
    }
}

fn header_of(token: &str) -> Result<serde_json::Map<String, serde_json::Value>, InvalidJws> {
    if token.len() > TOKEN_OCTETS_MAX {
        return Err(InvalidJws::TooLong);
    }
    let header = token.split('.').next().unwrap_or_default();
    let json = URL_SAFE_NO_PAD.decode(header).map_err(|_| InvalidJws::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| InvalidJws::Malformed)
}

#[cfg(test)]
pub(crate) mod tests {
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::rsa::KeySize;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    pub(crate) fn rsa_key() -> SigningKey {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        SigningKey::from_pkcs8(pair.as_der().unwrap().as_ref()).unwrap()
    }

    pub(crate) fn p256_key() -> SigningKey {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        SigningKey::from_pkcs8(pair.to_pkcs8v1().unwrap().as_ref()).unwrap()
    }

    /// RFC 7515 appendix A.2: RS256.
    #[test]
    fn the_published_rs256_token_verifies() {
        let jwk: Jwk = serde_json::from_value(json!({"kty": "RSA", "e": "AQAB", "n":
            "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}))
        .unwrap();
        let token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
        let claims: Value = VerifyingKey::from_jwk(&jwk).unwrap().verify(token).unwrap();
        assert_eq!(claims["iss"], "joe");
    }

    #[test]
    fn a_token_verifies_with_its_key_alone() {
        for key in [rsa_key(), p256_key()] {
            let token = key.sign(&json!({"sub": "alice"})).unwrap();
            let verifying = VerifyingKey::from_jwk(key.public()).unwrap();
            assert_eq!(verifying.verify::<Value>(&token).unwrap()["sub"], "alice");
            assert_eq!(key_id_of(&token).as_deref(), Some(key.kid()));
            let stranger = VerifyingKey::from_jwk(p256_key().public()).unwrap();
            assert_eq!(stranger.verify::<Value>(&token), Err(InvalidJws::BadSignature));
        }
    }

    #[test]
    fn a_token_that_names_its_certificate_verifies_with_the_certificates_key() {
        for (key, alg) in [(rsa_key(), "PS256"), (p256_key(), "ES256")] {
            let token = key.sign_by_certificate(&[7; 32], &json!({"sub": "alice"})).unwrap();
            let header = header_of(&token).unwrap();
            assert_eq!(header["alg"], alg);
            assert_eq!(header["x5t#S256"], URL_SAFE_NO_PAD.encode([7; 32]));
            assert!(header.get("kid").is_none());
            let verifying = VerifyingKey::from_jwk(key.public()).unwrap();
            assert_eq!(verifying.verify::<Value>(&token).unwrap()["sub"], "alice");
            let stranger = VerifyingKey::from_jwk(rsa_key().public()).unwrap();
            assert_eq!(stranger.verify::<Value>(&token), Err(InvalidJws::BadSignature));
        }
    }

    #[test]
    fn tampered_tokens_are_refused() {
        let key = rsa_key();
        let verifying = VerifyingKey::from_jwk(key.public()).unwrap();
        let token = key.sign(&json!({"sub": "alice"})).unwrap();
        let parts: Vec<_> = token.split('.').collect();
        let header = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let check = |token: String, expected: InvalidJws| {
            assert_eq!(verifying.verify::<Value>(&token), Err(expected), "{token}");
        };
        let none = header(json!({"alg": "none"}));
        check(format!("{none}.{}.", parts[1]), InvalidJws::Malformed);
        let hmac = header(json!({"alg": "HS256"}));
        check(format!("{hmac}.{}.{}", parts[1], parts[2]), InvalidJws::BadSignature);
        let crit = header(json!({"alg": "RS256", "crit": ["b64"]}));
        check(format!("{crit}.{}.{}", parts[1], parts[2]), InvalidJws::CriticalExtension);
        let claims = header(json!({"sub": "mallory"}));
        check(format!("{}.{claims}.{}", parts[0], parts[2]), InvalidJws::BadSignature);
        check("a".repeat(TOKEN_OCTETS_MAX + 1), InvalidJws::TooLong);
        check(String::new(), InvalidJws::Malformed);
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_verifies(text in ".{0,200}") {
            let jwk = Jwk::rsa(&[0xc1; 256], &[1, 0, 1]);
            let verifying = VerifyingKey::from_jwk(&jwk).unwrap();
            prop_assert!(verifying.verify::<Value>(&text).is_err());
        }
    }
}
