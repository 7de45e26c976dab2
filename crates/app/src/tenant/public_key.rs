//! The public key by which an application proves itself, from a file that an administrator has.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portolan_token::Jwk;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use serde_json::{Value as Json, json};
use x509_parser::prelude::{FromDer as _, SubjectPublicKeyInfo};
use x509_parser::public_key::PublicKey;

use crate::files;
use crate::report::Failure;

/// Octets that the file may have.
const FILE_OCTETS_MAX: u64 = 64 * 1024;

/// Reads a JSON Web Key, or a certificate or a public key in PEM: RSA of 2048 bits or more, or P-256.
pub(super) fn read(path: &Path) -> Result<Jwk, Failure> {
    let doing = format!("cannot read {}", path.display());
    let octets = files::read_at_most(path, FILE_OCTETS_MAX)
        .map_err(|error| Failure::because(&doing, &error))?;
    parse(&octets).map_err(|why| {
        Failure::new(format!("{doing}: {why}"))
            .with_hint("give a JSON Web Key, or a certificate or public key as PEM (RSA or P-256)")
    })
}

fn parse(octets: &[u8]) -> Result<Jwk, String> {
    if octets.len() as u64 > FILE_OCTETS_MAX {
        return Err("it is too large for a public key".to_owned());
    }
    let json = match serde_json::from_slice::<Json>(octets) {
        Ok(json) => json,
        Err(_) => from_pem(octets).ok_or_else(|| "it holds no public key".to_owned())?,
    };
    let mut key: Jwk =
        serde_json::from_value(json).map_err(|_| "it is no JSON Web Key".to_owned())?;
    key.kid = Some(key.thumbprint().map_err(|error| error.to_string())?);
    Ok(key)
}

fn from_pem(octets: &[u8]) -> Option<Json> {
    if let Ok(certificate) = CertificateDer::from_pem_slice(octets) {
        let (_, certificate) = x509_parser::parse_x509_certificate(&certificate).ok()?;
        return members(certificate.public_key());
    }
    let key = SubjectPublicKeyInfoDer::from_pem_slice(octets).ok()?;
    let (_, key) = SubjectPublicKeyInfo::from_der(key.as_ref()).ok()?;
    members(&key)
}

/// The members of a JSON Web Key ([RFC 7518] section 6).
///
/// [RFC 7518]: https://www.rfc-editor.org/rfc/rfc7518#section-6
fn members(key: &SubjectPublicKeyInfo<'_>) -> Option<Json> {
    let text = |octets: &[u8]| URL_SAFE_NO_PAD.encode(octets);
    // An integer's sign stands in front as a zero (X.690 section 8.3).
    let number = |octets: &[u8]| text(octets.strip_prefix(&[0]).unwrap_or(octets));
    match key.parsed().ok()? {
        PublicKey::RSA(rsa) => {
            Some(json!({"kty": "RSA", "n": number(rsa.modulus), "e": number(rsa.exponent)}))
        }
        // The uncompressed point: 4, x, y (SEC 1 section 2.3.3).
        PublicKey::EC(point) => match point.data() {
            [4, point @ ..] if point.len() == 64 => {
                let (x, y) = point.split_at(32);
                Some(json!({"kty": "EC", "crv": "P-256", "x": text(x), "y": text(y)}))
            }
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use portolan_token::SigningKey;

    use super::*;

    #[test]
    fn a_key_is_read_from_every_form_in_which_it_is_handed_over() {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let key = SigningKey::from_pkcs8(&pair.serialize_der()).unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&pair).unwrap();
        let jwk = serde_json::to_string(key.public()).unwrap();
        for text in [pair.public_key_pem(), certificate.pem(), jwk] {
            let found = parse(text.as_bytes()).unwrap();
            assert_eq!(found.kid.as_deref(), Some(key.kid()), "{text}");
        }
    }

    #[test]
    fn what_is_no_public_key_is_refused() {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        for text in ["", "{}", "-----BEGIN CERTIFICATE-----", pair.serialize_pem().as_str()] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        let private = r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"AA"}"#;
        assert!(parse(private.as_bytes()).is_err());
    }
}
