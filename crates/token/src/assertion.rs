//! Client authentication by a signed assertion, `private_key_jwt` ([RFC 7523] sections 2.2 and 3).
//!
//! [RFC 7523]: https://www.rfc-editor.org/rfc/rfc7523#section-3

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portolan_model::Entropy;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::{InvalidJws, InvalidKey, SigningKey, VerifyingKey};

/// The value of `client_assertion_type` (RFC 7523 section 2.2).
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How far in the future an assertion may end.
pub const LIFETIME_MAX: Duration = Duration::minutes(10);

/// How far two clocks may be apart.
const CLOCK_SKEW: Duration = Duration::minutes(2);

/// How long our own assertions live.
const LIFETIME: Duration = Duration::minutes(5);

/// Characters a `jti` may have.
const JTI_CHARS_MAX: usize = 128;

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    jti: String,
    #[serde(default)]
    iat: Option<NumericDate>,
    #[serde(default)]
    nbf: Option<NumericDate>,
    exp: NumericDate,
}

/// Seconds since 1970 ([RFC 7519] section 2). Fractions are legal there, and some libraries write them;
/// they are cut off.
///
/// [RFC 7519]: https://www.rfc-editor.org/rfc/rfc7519#section-2
#[derive(Debug, Clone, Copy, Serialize)]
struct NumericDate(i64);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        let cut = || number.as_f64().map(|at| Duration::saturating_seconds_f64(at).whole_seconds());
        let seconds = number.as_i64().or_else(cut);
        seconds
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("a number of seconds is too large"))
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// An assertion that verified. Its `jti` is to be remembered until `expires` and accepted once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAssertion {
    /// The assertion's own name.
    pub jti: String,
    /// When the name may be forgotten: the end of the assertion and of the clocks' tolerance.
    pub expires: OffsetDateTime,
}

/// An assertion by which the application `client_id` shows to `token_endpoint` that it holds `key`.
///
/// # Errors
/// When the key cannot sign.
pub fn sign(
    key: &SigningKey,
    client_id: &str,
    token_endpoint: &str,
    now: OffsetDateTime,
    rng: &mut dyn Entropy,
) -> Result<String, InvalidKey> {
    key.sign(&claims(client_id, token_endpoint, now, rng))
}

/// The same by a key whose certificate the endpoint knows, as Entra ID has it ([certificate credentials]):
/// the header names the certificate, and an RSA key signs with PSS.
///
/// [certificate credentials]: https://learn.microsoft.com/entra/identity-platform/certificate-credentials
///
/// # Errors
/// When the key cannot sign.
pub fn sign_by_certificate(
    key: &SigningKey,
    certificate_sha256: &[u8; 32],
    client_id: &str,
    token_endpoint: &str,
    now: OffsetDateTime,
    rng: &mut dyn Entropy,
) -> Result<String, InvalidKey> {
    key.sign_by_certificate(certificate_sha256, &claims(client_id, token_endpoint, now, rng))
}

fn claims(
    client_id: &str,
    token_endpoint: &str,
    now: OffsetDateTime,
    rng: &mut dyn Entropy,
) -> Claims {
    let mut jti = [0; 16];
    rng.fill(&mut jti);
    Claims {
        iss: client_id.to_owned(),
        sub: client_id.to_owned(),
        aud: Audience::One(token_endpoint.to_owned()),
        jti: URL_SAFE_NO_PAD.encode(jti),
        iat: Some(NumericDate(now.unix_timestamp())),
        nbf: Some(NumericDate(now.unix_timestamp())),
        exp: NumericDate((now + LIFETIME).unix_timestamp()),
    }
}

/// The application that an assertion says it comes from; to look up its key, never to trust.
#[must_use]
pub fn claimed_client(assertion: &str) -> Option<String> {
    let claims = assertion.split('.').nth(1)?;
    let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    Some(claims.sub)
}

/// Checks an assertion of `client_id` for one of `audiences` (the token endpoint, the issuer).
///
/// # Errors
/// The rule that it breaks.
pub fn verify(
    assertion: &str,
    key: &VerifyingKey,
    client_id: &str,
    audiences: &[&str],
    now: OffsetDateTime,
) -> Result<ClientAssertion, InvalidJws> {
    let claims: Claims = key.verify(assertion)?;
    let for_us = |audience: &String| audiences.contains(&audience.as_str());
    let audience_fits = match &claims.aud {
        Audience::One(audience) => for_us(audience),
        // RFC 7523 section 3 lets an assertion name several; one that also names others could be
        // replayed there, so exactly one is accepted.
        Audience::Many(list) => matches!(list.as_slice(), [audience] if for_us(audience)),
    };
    if !audience_fits || claims.iss != client_id || claims.sub != client_id {
        return Err(InvalidJws::WrongParty);
    }
    if claims.jti.is_empty() || claims.jti.chars().count() > JTI_CHARS_MAX {
        return Err(InvalidJws::Malformed);
    }
    let at = |date: NumericDate| {
        OffsetDateTime::from_unix_timestamp(date.0).map_err(|_| InvalidJws::OutOfTime)
    };
    let ends = at(claims.exp)?;
    let starts = claims.nbf.or(claims.iat).map(at).transpose()?;
    let too_early = starts.is_some_and(|starts| starts > now + CLOCK_SKEW);
    if too_early || ends <= now - CLOCK_SKEW || ends > now + LIFETIME_MAX + CLOCK_SKEW {
        return Err(InvalidJws::OutOfTime);
    }
    Ok(ClientAssertion { jti: claims.jti, expires: ends + CLOCK_SKEW })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::jws::tests::p256_key;

    const ENDPOINT: &str = "https://login.cloud.example/t/oauth2/v2.0/token";
    const CLIENT: &str = "9c1f4b8e-0000-4000-8000-000000000001";

    struct Counting(u8);

    impl Entropy for Counting {
        fn fill(&mut self, out: &mut [u8]) {
            out.fill_with(|| {
                self.0 = self.0.wrapping_add(1);
                self.0
            });
        }
    }

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_795_000_000).unwrap()
    }

    #[test]
    fn an_assertion_of_ours_verifies() {
        let key = p256_key();
        let assertion = sign(&key, CLIENT, ENDPOINT, now(), &mut Counting(0)).unwrap();
        assert_eq!(claimed_client(&assertion).as_deref(), Some(CLIENT));
        let verifying = VerifyingKey::from_jwk(key.public()).unwrap();
        let checked = verify(&assertion, &verifying, CLIENT, &[ENDPOINT], now()).unwrap();
        assert_eq!(checked.jti, "AQIDBAUGBwgJCgsMDQ4PEA");
        assert_eq!(checked.expires, now() + Duration::minutes(7));
    }

    #[test]
    fn assertions_for_others_or_other_times_are_refused() {
        let key = p256_key();
        let verifying = VerifyingKey::from_jwk(key.public()).unwrap();
        let start = now().unix_timestamp();
        let good = json!({"iss": CLIENT, "sub": CLIENT, "aud": ENDPOINT, "jti": "1",
            "nbf": start, "exp": start + 600});
        let check = |member: &str, value: serde_json::Value, expected: Result<(), InvalidJws>| {
            let mut claims = good.clone();
            claims[member] = value;
            let assertion = key.sign(&claims).unwrap();
            let found = verify(&assertion, &verifying, CLIENT, &[ENDPOINT], now()).map(|_| ());
            assert_eq!(found, expected, "{claims}");
        };
        check("jti", json!("2"), Ok(()));
        check("aud", json!([ENDPOINT]), Ok(()));
        check("aud", json!([ENDPOINT, "https://other.example"]), Err(InvalidJws::WrongParty));
        check("aud", json!("https://other.example"), Err(InvalidJws::WrongParty));
        check("iss", json!("someone else"), Err(InvalidJws::WrongParty));
        check("sub", json!("someone else"), Err(InvalidJws::WrongParty));
        check("jti", json!(""), Err(InvalidJws::Malformed));
        check("jti", json!("x".repeat(129)), Err(InvalidJws::Malformed));
        check("exp", json!(start - 120), Err(InvalidJws::OutOfTime));
        check("exp", json!(start + 721), Err(InvalidJws::OutOfTime));
        check("exp", json!(i64::MAX), Err(InvalidJws::OutOfTime));
        check("nbf", json!(start + 121), Err(InvalidJws::OutOfTime));
        check("exp", json!("tomorrow"), Err(InvalidJws::Malformed));
        check("exp", json!(1_795_000_600.75), Ok(()));
        check("exp", json!(1_795_000_722.5), Err(InvalidJws::OutOfTime));
        check("exp", json!(1e300), Err(InvalidJws::OutOfTime));
    }
}
