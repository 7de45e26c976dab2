//! JSON Web Keys ([RFC 7517]): the public halves, as they travel.
//!
//! Only two kinds exist here: RSA of 2048 to 4096 bits (RS256) and P-256 (ES256).
//!
//! [RFC 7517]: https://www.rfc-editor.org/rfc/rfc7517

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// Octets an RSA modulus has at least: 2048 bits.
const MODULUS_OCTETS_MIN: usize = 256;

/// Octets an RSA modulus has at most: 4096 bits, so that verifying stays cheap.
const MODULUS_OCTETS_MAX: usize = 512;

/// Octets an RSA exponent has at most: 65537 needs three.
const EXPONENT_OCTETS_MAX: usize = 4;

/// Octets of a coordinate on P-256.
const COORDINATE_OCTETS: usize = 32;

/// A public key. Unknown members are ignored, as RFC 7517 section 4 asks; a private member (`d`)
/// is refused, since a peer that sends one has lost its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// The key type: `RSA` or `EC`.
    pub kty: String,
    /// What the key is for: `sig`.
    #[serde(rename = "use", skip_serializing_if = "Option::is_none", default)]
    pub usage: Option<String>,
    /// The algorithm: `RS256` or `ES256`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub alg: Option<String>,
    /// The key's name; ours is the thumbprint of RFC 7638.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kid: Option<String>,
    /// The issuer whose tokens the key signs (an Entra ID extension).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub issuer: Option<String>,
    /// The RSA modulus, base64url.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub n: Option<String>,
    /// The RSA exponent, base64url.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub e: Option<String>,
    /// The curve: `P-256`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub crv: Option<String>,
    /// The first coordinate, base64url.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub x: Option<String>,
    /// The second coordinate, base64url.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub y: Option<String>,
    /// Never present in a public key; read only to refuse it.
    #[serde(skip_serializing, default)]
    d: Option<String>,
}

/// A set of keys ([RFC 7517] section 5).
///
/// [RFC 7517]: https://www.rfc-editor.org/rfc/rfc7517#section-5
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwks {
    /// The keys.
    pub keys: Vec<Jwk>,
}

/// Why a JWK is no key that may sign here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJwk {
    /// Neither RSA nor P-256.
    #[error("the key is neither RSA nor EC on P-256")]
    UnknownKind,
    /// The stated algorithm does not fit the key.
    #[error("the key's algorithm is not RS256 (RSA) or ES256 (P-256)")]
    AlgorithmMismatch,
    /// A number is missing or is no base64url.
    #[error("a number of the key is missing or is no base64url")]
    MissingNumber,
    /// The key is too weak or too large.
    #[error("the key is not of 2048 to 4096 bits (RSA) or 256 bits (P-256)")]
    WrongSize,
    /// The private half came along.
    #[error("the private half of the key was sent")]
    PrivateHalf,
}

impl Jwk {
    /// An RSA key from its octets.
    pub(crate) fn rsa(modulus: &[u8], exponent: &[u8]) -> Self {
        let mut jwk = Self::empty("RSA", "RS256");
        jwk.n = Some(URL_SAFE_NO_PAD.encode(modulus));
        jwk.e = Some(URL_SAFE_NO_PAD.encode(exponent));
        jwk.with_thumbprint()
    }

    /// A P-256 key from its coordinates.
    pub(crate) fn p256(x: &[u8], y: &[u8]) -> Self {
        let mut jwk = Self::empty("EC", "ES256");
        jwk.crv = Some("P-256".to_owned());
        jwk.x = Some(URL_SAFE_NO_PAD.encode(x));
        jwk.y = Some(URL_SAFE_NO_PAD.encode(y));
        jwk.with_thumbprint()
    }

    fn empty(kty: &str, alg: &str) -> Self {
        Self {
            kty: kty.to_owned(),
            usage: Some("sig".to_owned()),
            alg: Some(alg.to_owned()),
            kid: None,
            issuer: None,
            n: None,
            e: None,
            crv: None,
            x: None,
            y: None,
            d: None,
        }
    }

    fn with_thumbprint(mut self) -> Self {
        self.kid = self.thumbprint().ok();
        self
    }

    /// The thumbprint with SHA-256, base64url ([RFC 7638] section 3).
    ///
    /// # Errors
    /// When the key is not one that [`Self::check`] accepts.
    ///
    /// [RFC 7638]: https://www.rfc-editor.org/rfc/rfc7638#section-3
    pub fn thumbprint(&self) -> Result<String, InvalidJwk> {
        self.check()?;
        let member = |text: &Option<String>| text.clone().unwrap_or_default();
        let canonical = if self.kty == "RSA" {
            format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, member(&self.e), member(&self.n))
        } else {
            format!(
                r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#,
                member(&self.x),
                member(&self.y)
            )
        };
        Ok(URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, canonical.as_bytes())))
    }

    /// Checks that this is the public half of a key that may sign here.
    ///
    /// # Errors
    /// The rule it breaks.
    pub fn check(&self) -> Result<(), InvalidJwk> {
        if self.d.is_some() {
            return Err(InvalidJwk::PrivateHalf);
        }
        let alg_is = |name: &str| match self.alg.as_deref() {
            Some(alg) if alg != name => Err(InvalidJwk::AlgorithmMismatch),
            _ => Ok(()),
        };
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", None) => {
                alg_is("RS256")?;
                let (modulus, exponent) = (octets(&self.n)?, octets(&self.e)?);
                let sizes_fit = (MODULUS_OCTETS_MIN..=MODULUS_OCTETS_MAX).contains(&modulus.len())
                    && modulus.first() != Some(&0)
                    && (1..=EXPONENT_OCTETS_MAX).contains(&exponent.len());
                if sizes_fit { Ok(()) } else { Err(InvalidJwk::WrongSize) }
            }
            ("EC", Some("P-256")) => {
                alg_is("ES256")?;
                let sizes_fit = octets(&self.x)?.len() == COORDINATE_OCTETS
                    && octets(&self.y)?.len() == COORDINATE_OCTETS;
                if sizes_fit { Ok(()) } else { Err(InvalidJwk::WrongSize) }
            }
            _ => Err(InvalidJwk::UnknownKind),
        }
    }
}

/// The octets of a base64url member.
fn octets(member: &Option<String>) -> Result<Vec<u8>, InvalidJwk> {
    let text = member.as_deref().ok_or(InvalidJwk::MissingNumber)?;
    if text.len() > MODULUS_OCTETS_MAX * 2 {
        return Err(InvalidJwk::WrongSize);
    }
    URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidJwk::MissingNumber)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and thumbprint of RFC 7638 section 3.1.
    const RFC_7638_KEY: &str = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;

    #[test]
    fn the_thumbprint_follows_the_published_vector() {
        let jwk: Jwk = serde_json::from_str(RFC_7638_KEY).unwrap();
        assert_eq!(jwk.thumbprint().unwrap(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn keys_that_may_not_sign_are_refused() {
        let check = |json: &str, expected: InvalidJwk| {
            let jwk: Jwk = serde_json::from_str(json).unwrap();
            assert_eq!(jwk.check(), Err(expected), "{json}");
        };
        check(r#"{"kty":"oct","k":"AAAA"}"#, InvalidJwk::UnknownKind);
        check(r#"{"kty":"EC","crv":"P-521","x":"AA","y":"AA"}"#, InvalidJwk::UnknownKind);
        check(r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#, InvalidJwk::WrongSize);
        check(r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#, InvalidJwk::WrongSize);
        check(r#"{"kty":"RSA","e":"AQAB"}"#, InvalidJwk::MissingNumber);
        check(r#"{"kty":"RSA","n":"*","e":"AQAB"}"#, InvalidJwk::MissingNumber);
        check(&RFC_7638_KEY.replace("RS256", "HS256"), InvalidJwk::AlgorithmMismatch);
        check(&RFC_7638_KEY.replace(r#""e":"#, r#""d":"AA","e":"#), InvalidJwk::PrivateHalf);
    }
}
