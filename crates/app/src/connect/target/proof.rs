//! How an application proves itself at a token endpoint: by its key, as the tenant knows it, or by the
//! certificate of that key, as Entra ID does.

use std::path::Path;

use portolan_net::entropy::SystemEntropy;
use portolan_net::tls::Fingerprint;
use portolan_token::{SigningKey, assertion};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::connect::key;
use crate::report::Failure;

/// A key, and the certificate by which the endpoint knows it.
#[derive(Debug)]
pub(in crate::connect) struct Proof {
    key: SigningKey,
    certificate: Option<Fingerprint>,
}

impl Proof {
    /// By a key, and the certificate by which the endpoint knows it.
    pub(in crate::connect) const fn new(key: SigningKey, certificate: Option<Fingerprint>) -> Self {
        Self { key, certificate }
    }

    /// Reads a private key (PEM, PKCS#8) that nobody but its owner may read, and its certificate.
    pub(in crate::connect) fn read(
        key: &Path,
        certificate: Option<&Path>,
    ) -> Result<Self, Failure> {
        let key = key::parse(&key::read_file(key)?)?;
        Ok(Self { key, certificate: certificate.map(self::certificate).transpose()? })
    }

    /// An assertion for a token endpoint.
    pub(super) fn sign(
        &self,
        client_id: &str,
        endpoint: &str,
        now: OffsetDateTime,
    ) -> Result<Zeroizing<String>, Failure> {
        let rng = &mut SystemEntropy;
        let signed = match &self.certificate {
            Some(certificate) => {
                let sha256 = certificate.as_bytes();
                assertion::sign_by_certificate(&self.key, sha256, client_id, endpoint, now, rng)
            }
            None => assertion::sign(&self.key, client_id, endpoint, now, rng),
        };
        signed
            .map(Zeroizing::new)
            .map_err(|error| Failure::because("cannot sign with the application's key", &error))
    }
}

/// The fingerprint of a certificate in a file.
pub(in crate::connect) fn certificate(path: &Path) -> Result<Fingerprint, Failure> {
    CertificateDer::from_pem_file(path)
        .map(|der| Fingerprint::of(&der))
        .map_err(|error| Failure::because(&format!("cannot read {}", path.display()), &error))
}
