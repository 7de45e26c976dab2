//! What ties an authentication to the TLS connection that it runs in: `tls-server-end-point`
//! ([RFC 5929 section 4]).
//!
//! [RFC 5929 section 4]: https://www.rfc-editor.org/rfc/rfc5929#section-4

use std::fmt;

use aws_lc_rs::digest::{Algorithm, SHA256, SHA384, SHA512, digest};
use rustls_pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use x509_parser::oid_registry::{
    OID_HASH_SHA1, OID_NIST_HASH_SHA256, OID_NIST_HASH_SHA384, OID_NIST_HASH_SHA512,
    OID_PKCS1_MD5WITHRSAENC, OID_PKCS1_SHA1WITHRSA, OID_PKCS1_SHA256WITHRSA,
    OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA256,
    OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ECDSA_WITH_SHA512, Oid,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::signature_algorithm::SignatureAlgorithm;
use x509_parser::x509::AlgorithmIdentifier;

/// The name of the binding, as it stands before the hash (RFC 5929 section 4.2).
const PREFIX: &[u8] = b"tls-server-end-point:";
/// Octets of the longest binding: the name and a SHA-512.
const OCTETS_MAX: usize = PREFIX.len() + 64;

/// The server's certificate as an authentication inside the connection names it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChannelBinding {
    octets: [u8; OCTETS_MAX],
    length: usize,
}

/// A certificate to which nothing can be bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoBinding {
    /// The connection has none, or it is not one.
    #[error("the server's certificate cannot be read")]
    NoCertificate,
    /// RFC 5929 section 4.1 leaves it undefined: no hash function, or several.
    #[error("the signature of the server's certificate names no single hash function")]
    NoHash,
}

impl portolan_model::Hint for NoBinding {
    fn hint(&self) -> Option<String> {
        Some(
            "give the server a certificate that is signed with RSA or ECDSA and a SHA-2".to_owned(),
        )
    }
}

impl ChannelBinding {
    /// The binding to the server at the other end of a connection.
    ///
    /// # Errors
    /// [`NoBinding`] for a certificate whose signature has no single hash function.
    pub fn of_server(stream: &TlsStream<TcpStream>) -> Result<Self, NoBinding> {
        let presented = stream.get_ref().1.peer_certificates();
        Self::of(presented.and_then(<[_]>::first).ok_or(NoBinding::NoCertificate)?)
    }

    /// The binding to a server with this certificate: hashed as its signature is, but with SHA-256
    /// in place of MD5 and SHA-1 (RFC 5929 section 4.1).
    ///
    /// # Errors
    /// [`NoBinding`] for a certificate whose signature has no single hash function.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, NoBinding> {
        let (_, parsed) =
            X509Certificate::from_der(certificate).map_err(|_| NoBinding::NoCertificate)?;
        let algorithm = hash_of(&parsed.signature_algorithm).ok_or(NoBinding::NoHash)?;
        let hash = digest(algorithm, certificate);
        let parts = PREFIX.iter().chain(hash.as_ref());
        let mut octets = [0; OCTETS_MAX];
        let mut length = 0;
        for (place, octet) in octets.iter_mut().zip(parts) {
            *place = *octet;
            length += 1;
        }
        Ok(Self { octets, length })
    }

    /// The application data of the channel bindings: the name and the hash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }
}

impl fmt::Debug for ChannelBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelBinding({})", self.as_bytes().escape_ascii())
    }
}

/// The hash function of a signature, if it has one.
fn hash_of(signature: &AlgorithmIdentifier<'_>) -> Option<&'static Algorithm> {
    let by_signature = |oid: &Oid<'_>| -> Option<&'static Algorithm> {
        let sha256 = [&OID_PKCS1_SHA256WITHRSA, &OID_SIG_ECDSA_WITH_SHA256, &OID_PKCS1_SHA1WITHRSA];
        if sha256.contains(&oid) || *oid == OID_PKCS1_MD5WITHRSAENC || *oid == ECDSA_WITH_SHA1 {
            Some(&SHA256)
        } else if [&OID_PKCS1_SHA384WITHRSA, &OID_SIG_ECDSA_WITH_SHA384].contains(&oid) {
            Some(&SHA384)
        } else if [&OID_PKCS1_SHA512WITHRSA, &OID_SIG_ECDSA_WITH_SHA512].contains(&oid) {
            Some(&SHA512)
        } else {
            None
        }
    };
    match SignatureAlgorithm::try_from(signature) {
        // The hash function is a parameter, and the mask's is not another one.
        Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) => {
            let hash = parameters.hash_algorithm_oid().clone();
            let mask = parameters.mask_gen_algorithm().ok()?.hash;
            if mask != hash {
                return None;
            }
            [
                (OID_NIST_HASH_SHA256, &SHA256),
                (OID_HASH_SHA1, &SHA256),
                (OID_NIST_HASH_SHA384, &SHA384),
                (OID_NIST_HASH_SHA512, &SHA512),
            ]
            .into_iter()
            .find(|(oid, _)| *oid == hash)
            .map(|(_, algorithm)| algorithm)
        }
        _ => by_signature(&signature.algorithm),
    }
}

/// `ecdsa-with-SHA1` ([RFC 3279 section 2.2.3]).
///
/// [RFC 3279 section 2.2.3]: https://www.rfc-editor.org/rfc/rfc3279#section-2.2.3
const ECDSA_WITH_SHA1: Oid<'static> = x509_parser::oid_registry::asn1_rs::oid!(1.2.840.10045.4.1);

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm as Algorithm};

    use super::*;

    fn signed(algorithm: &'static Algorithm) -> CertificateDer<'static> {
        let params = CertificateParams::new(vec!["dc1.corp.example".to_owned()]).unwrap();
        let key = KeyPair::generate_for(algorithm).unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn the_hash_is_that_of_the_signature() {
        let check = |algorithm, hash| {
            let certificate = signed(algorithm);
            let expected = [PREFIX, digest(hash, &certificate).as_ref()].concat();
            assert_eq!(ChannelBinding::of(&certificate).unwrap().as_bytes(), expected);
        };
        check(&rcgen::PKCS_ECDSA_P256_SHA256, &SHA256);
        check(&rcgen::PKCS_ECDSA_P384_SHA384, &SHA384);
        check(&rcgen::PKCS_ECDSA_P521_SHA512, &SHA512);
    }

    #[test]
    fn a_signature_without_a_hash_function_binds_nothing() {
        let certificate = signed(&rcgen::PKCS_ED25519);
        assert_eq!(ChannelBinding::of(&certificate), Err(NoBinding::NoHash));
        let garbage = CertificateDer::from(vec![1, 2, 3]);
        assert_eq!(ChannelBinding::of(&garbage), Err(NoBinding::NoCertificate));
    }
}
