//! Whom a client believes: a set of roots, or one CA by its fingerprint.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, TrustAnchor};

/// What a server's chain must lead to.
#[derive(Debug, Clone)]
pub enum Trust {
    /// One of these roots.
    Roots(Roots),
    /// The CA certificate with this fingerprint, which the server must present in its chain.
    Pinned(Fingerprint),
}

/// A certificate's SHA-256, over its DER; it prints as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a certificate.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate);
        let mut octets = [0; 32];
        octets.copy_from_slice(digest.as_ref());
        Self(octets)
    }

    /// From its octets.
    #[must_use]
    pub const fn new(octets: [u8; 32]) -> Self {
        Self(octets)
    }

    /// Its octets.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// A text that is no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no SHA-256 fingerprint of 64 hexadecimal digits")]
pub struct InvalidFingerprint(String);

impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    /// 64 hexadecimal digits; colons between the octets are accepted.
    fn from_str(text: &str) -> Result<Self, InvalidFingerprint> {
        let refuse = || InvalidFingerprint(text.to_owned());
        let digits: Vec<u8> = text
            .chars()
            .filter(|c| *c != ':')
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()
            .ok_or_else(refuse)?;
        let mut octets = [0; 32];
        if digits.len() != octets.len() * 2 {
            return Err(refuse());
        }
        for (octet, pair) in octets.iter_mut().zip(digits.chunks_exact(2)) {
            *octet = pair.iter().fold(0, |value, digit| value << 4 | digit);
        }
        Ok(Self(octets))
    }
}

/// Roots that a client believes.
#[derive(Debug, Clone)]
pub struct Roots(Arc<Vec<TrustAnchor<'static>>>);

/// Roots that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRoots {
    /// The text is not PEM.
    #[error("the roots are no PEM text")]
    Pem,
    /// There is none.
    #[error("there is no certificate among the roots")]
    Empty,
    /// One of them is no certificate.
    #[error("root {index} is no certificate: {error}")]
    Certificate {
        /// Which, counted from 0.
        index: usize,
        /// What is wrong with it.
        error: webpki::Error,
    },
}

impl Roots {
    /// Takes the CERTIFICATE blocks of a PEM text in.
    ///
    /// # Errors
    /// When there is none, or one is no certificate.
    pub fn from_pem(pem: &[u8]) -> Result<Self, InvalidRoots> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|_| InvalidRoots::Pem)?;
        Self::from_der(&certificates)
    }

    /// Takes certificates in.
    ///
    /// # Errors
    /// When there is none, or one is no certificate.
    pub fn from_der(certificates: &[CertificateDer<'_>]) -> Result<Self, InvalidRoots> {
        if certificates.is_empty() {
            return Err(InvalidRoots::Empty);
        }
        let anchors = certificates.iter().enumerate().map(|(index, certificate)| {
            webpki::anchor_from_trusted_cert(certificate)
                .map(|anchor| anchor.to_owned())
                .map_err(|error| InvalidRoots::Certificate { index, error })
        });
        Ok(Self(Arc::new(anchors.collect::<Result<_, _>>()?)))
    }

    /// Those of this host's bundle, as its distribution keeps it, or as `SSL_CERT_FILE` names it. What
    /// is no certificate in it is left out, and without a bundle there are none.
    #[must_use]
    pub fn of_system() -> Self {
        static SYSTEM: OnceLock<Roots> = OnceLock::new();
        SYSTEM.get_or_init(|| Self(Arc::new(read_bundle()))).clone()
    }

    /// Those that the web believes, by Mozilla's list.
    #[must_use]
    pub fn of_the_web() -> Self {
        static WEB: OnceLock<Roots> = OnceLock::new();
        WEB.get_or_init(|| Self(Arc::new(webpki_roots::TLS_SERVER_ROOTS.to_vec()))).clone()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.0
    }
}

/// Where distributions keep their bundle: Debian, Red Hat, SUSE, Alpine.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// What names another one, as OpenSSL has it.
const BUNDLE_VARIABLE: &str = "SSL_CERT_FILE";

fn read_bundle() -> Vec<TrustAnchor<'static>> {
    let named = std::env::var_os(BUNDLE_VARIABLE).map(PathBuf::from);
    let mut places = named.into_iter().chain(BUNDLES.map(PathBuf::from));
    let Some(pem) = places.find_map(|place| std::fs::read(place).ok()) else { return Vec::new() };
    let certificates = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok);
    let anchor = |certificate: CertificateDer<'_>| {
        webpki::anchor_from_trusted_cert(&certificate).ok().map(|anchor| anchor.to_owned())
    };
    certificates.filter_map(anchor).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_parses_back_from_its_text() {
        let fingerprint = Fingerprint::of(&CertificateDer::from(vec![1, 2, 3]));
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        // FIPS 180-4's own example, of "abc".
        assert_eq!(
            Fingerprint::of(&CertificateDer::from(b"abc".to_vec())).to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn what_is_no_fingerprint_is_refused() {
        for text in ["", "ba78", &"g".repeat(64), &"a".repeat(63), &"a".repeat(66)] {
            assert!(text.parse::<Fingerprint>().is_err(), "{text}");
        }
    }

    #[test]
    fn roots_without_a_certificate_are_refused() {
        assert_eq!(Roots::from_pem(b"").unwrap_err(), InvalidRoots::Empty);
    }
}
