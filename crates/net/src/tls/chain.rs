//! A presented chain, and its proof.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, RevocationOptions};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::error::ChainFault;
use super::{Fingerprint, Trust, provider};

/// Certificates that a server may present.
pub const CERTIFICATES_MAX: usize = 8;

/// The certificates that a server presented, leaf first.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    leaf: CertificateDer<'static>,
    rest: Vec<CertificateDer<'static>>,
}

impl Chain {
    pub(super) fn new(leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>]) -> Self {
        Self {
            leaf: leaf.clone().into_owned(),
            rest: rest.iter().map(|certificate| certificate.clone().into_owned()).collect(),
        }
    }

    /// Proves that the leaf leads to what is trusted and is a TLS server's, at `now`. Gives the
    /// certificates on the way, leaf first and without the anchor: whatever else was presented proves
    /// nothing and is not acted on.
    pub(super) fn verify(
        &self,
        trust: &Trust,
        now: UnixTime,
        revocation: Option<RevocationOptions<'_>>,
    ) -> Result<Vec<CertificateDer<'static>>, ChainFault> {
        let pinned;
        let anchors = match trust {
            Trust::Roots(roots) => roots.anchors(),
            Trust::Pinned(pin) => {
                pinned = [self.pinned(*pin, now)?];
                &pinned
            }
        };
        let leaf = EndEntityCert::try_from(&self.leaf).map_err(ChainFault::Chain)?;
        let algorithms = provider().signature_verification_algorithms.all;
        let usage = KeyUsage::server_auth();
        let path = leaf
            .verify_for_usage(algorithms, anchors, &self.rest, now, usage, revocation, None)
            .map_err(ChainFault::Chain)?;
        let between = path.intermediate_certificates().map(|found| found.der().into_owned());
        Ok(std::iter::once(self.leaf.clone()).chain(between).collect())
    }

    /// Proves that the leaf is for a name.
    pub(super) fn verify_name(&self, name: &ServerName<'_>) -> Result<(), ChainFault> {
        let leaf = EndEntityCert::try_from(&self.leaf).map_err(ChainFault::Chain)?;
        leaf.verify_is_valid_for_subject_name(name)
            .map_err(|_| ChainFault::WrongName { name: name.to_str().into_owned() })
    }

    /// The pinned CA, found among the presented certificates.
    fn pinned(&self, pin: Fingerprint, now: UnixTime) -> Result<TrustAnchor<'_>, ChainFault> {
        let found = self.rest.iter().find(|certificate| Fingerprint::of(certificate) == pin);
        let certificate = found.ok_or(ChainFault::NotPinned { pin })?;
        let unfit = || ChainFault::PinnedUnfit { pin };
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| unfit())?;
        let seconds = i64::try_from(now.as_secs()).map_err(|_| unfit())?;
        let validity = parsed.validity();
        let valid =
            validity.not_before.timestamp() <= seconds && seconds <= validity.not_after.timestamp();
        if !parsed.is_ca() || !valid {
            return Err(unfit());
        }
        webpki::anchor_from_trusted_cert(certificate).map_err(ChainFault::Chain)
    }
}

/// Verifies one handshake's chain and keeps it, so that revocation can be looked at afterwards.
///
/// INVARIANT: it serves one connection only, which does not resume a session: what it keeps is what
/// was presented there.
pub(super) struct Verifier {
    trust: Trust,
    algorithms: WebPkiSupportedAlgorithms,
    seen: Mutex<Option<Result<Chain, ChainFault>>>,
}

impl Verifier {
    pub(super) fn new(trust: Trust) -> Self {
        let algorithms = provider().signature_verification_algorithms;
        Self { trust, algorithms, seen: Mutex::new(None) }
    }

    /// What the handshake presented: the proven chain, or what was wrong with it.
    pub(super) fn take(&self) -> Option<Result<Chain, ChainFault>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<Chain, ChainFault> {
        if rest.len() >= CERTIFICATES_MAX {
            return Err(ChainFault::TooLong { certificates_max: CERTIFICATES_MAX });
        }
        let chain = Chain::new(leaf, rest);
        chain.verify(&self.trust, now, None)?;
        chain.verify_name(name)?;
        Ok(chain)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let judged = self.judge(end_entity, intermediates, server_name, now);
        let alert = judged.as_ref().err().map(alert);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(judged);
        match alert {
            None => Ok(ServerCertVerified::assertion()),
            Some(alert) => Err(alert.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("trust", &self.trust).finish_non_exhaustive()
    }
}

/// The alert that tells the server what is wrong.
fn alert(fault: &ChainFault) -> CertificateError {
    match fault {
        ChainFault::WrongName { .. } => CertificateError::NotValidForName,
        ChainFault::NotPinned { .. } => CertificateError::UnknownIssuer,
        ChainFault::Chain(webpki::Error::CertExpired { .. }) => CertificateError::Expired,
        ChainFault::Chain(webpki::Error::UnknownIssuer) => CertificateError::UnknownIssuer,
        ChainFault::Chain(_)
        | ChainFault::PinnedUnfit { .. }
        | ChainFault::TooLong { .. }
        | ChainFault::Missing => CertificateError::ApplicationVerificationFailure,
    }
}
