//! A handshake with whoever is there, to say afterwards what was presented.
//!
//! The checks of the chart want to name what is wrong with a peer's certificates, and a client that
//! refuses them learns only the first fault. Nobody is believed here: the stream that comes out is
//! for who judged [`Presented`] first, and no secret goes through it in any case.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::sign::CertifiedKey;
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, DigitallySignedStruct, ProtocolVersion,
    SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::chain::{CERTIFICATES_MAX, Chain};
use super::client::server_name;
use super::error::ChainFault;
use super::{Trust, provider};
use crate::network::Peer;

/// A handshake that came to its end.
#[derive(Debug)]
pub struct Examined<S> {
    /// The stream inside TLS.
    pub stream: TlsStream<S>,
    /// What was presented.
    pub presented: Presented,
}

/// A handshake that did not.
#[derive(Debug)]
pub struct Unfinished<S> {
    /// The stream that it was tried on.
    pub stream: S,
    /// Why it ended.
    pub fault: HandshakeFault,
    /// What was presented until then.
    pub presented: Presented,
}

/// What a server presented in its handshake.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Presented {
    /// Its certificates, leaf first, [`CERTIFICATES_MAX`] at most; none when it did not come so far.
    pub chain: Vec<CertificateDer<'static>>,
    /// How many there were.
    pub certificates: usize,
    /// The version that was agreed on: `TLS 1.3`.
    pub version: Option<&'static str>,
    /// The protocol that it chose among those that were offered (RFC 7301).
    pub protocol: Option<Vec<u8>>,
    /// Whether it asked for a certificate of the client.
    pub asks_certificate: bool,
    /// Whether it proved to hold the leaf's key, by a signature that is not too weak to prove anything.
    pub holds_key: bool,
}

/// Why a handshake ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeFault {
    /// What came is no TLS, or does not keep to its order and measure: a message out of turn or without
    /// measure, the same again and again.
    NotTls,
    /// The server speaks none of the versions 1.2 and 1.3.
    Version,
    /// The server has no cipher suite or parameter in common with us.
    NothingCommon,
    /// The server ended it by an alert.
    Alert(String),
    /// The stream ended, or broke.
    Broken(io::ErrorKind),
    /// Anything else.
    Other(String),
}

/// Performs the handshake, whatever is presented, without a certificate of our own, offering these
/// protocols by ALPN. Nothing of an application is sent.
///
/// # Errors
/// [`Unfinished`], with what was presented so far.
pub async fn examine<S>(
    stream: S,
    peer: &Peer,
    protocols: &[&[u8]],
) -> Result<Examined<S>, Box<Unfinished<S>>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let recorder = Arc::new(Recorder::new());
    let config = config(&recorder, protocols).map_err(|error| HandshakeFault::of(&error));
    let name = server_name(peer).map_err(|fault| HandshakeFault::Other(fault.to_string()));
    let (config, name) = match (config, name) {
        (Ok(config), Ok(name)) => (config, name),
        (Err(fault), _) | (_, Err(fault)) => {
            return Err(Box::new(Unfinished { stream, fault, presented: Presented::default() }));
        }
    };
    match TlsConnector::from(Arc::new(config)).connect(name, stream).into_fallible().await {
        Ok(stream) => {
            let presented = recorder.presented(Some(stream.get_ref().1));
            Ok(Examined { stream, presented })
        }
        Err((error, stream)) => {
            let fault = HandshakeFault::of_io(&error);
            Err(Box::new(Unfinished { stream, fault, presented: recorder.presented(None) }))
        }
    }
}

impl Presented {
    /// Proves that the leaf leads to what is trusted and is a TLS server's, at a moment.
    ///
    /// # Errors
    /// The first [`ChainFault`] on the way.
    pub fn verify(&self, trust: &Trust, at: OffsetDateTime) -> Result<(), ChainFault> {
        let seconds = u64::try_from(at.unix_timestamp()).unwrap_or_default();
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        self.as_chain()?.verify(trust, at, None).map(drop)
    }

    /// Proves that the leaf is for a host.
    ///
    /// # Errors
    /// [`ChainFault::WrongName`].
    pub fn verify_name(&self, peer: &Peer) -> Result<(), ChainFault> {
        self.as_chain()?.verify_name(&server_name(peer)?)
    }

    pub(super) fn as_chain(&self) -> Result<Chain, ChainFault> {
        if self.certificates > CERTIFICATES_MAX {
            return Err(ChainFault::TooLong { certificates_max: CERTIFICATES_MAX });
        }
        let (leaf, rest) = self.chain.split_first().ok_or(ChainFault::Missing)?;
        Ok(Chain::new(leaf, rest))
    }
}

impl HandshakeFault {
    /// What an error of a stream inside TLS means: a server that asked for a certificate in vain says so
    /// after the handshake.
    #[must_use]
    pub fn of_io(error: &io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        inner.map_or_else(|| Self::Broken(error.kind()), Self::of)
    }

    fn of(error: &rustls::Error) -> Self {
        use rustls::{Error, PeerMisbehaved};
        match error {
            Error::InvalidMessage(_)
            | Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::PeerMisbehaved(
                PeerMisbehaved::TooManyEmptyFragments
                | PeerMisbehaved::TooManyKeyUpdateRequests
                | PeerMisbehaved::TooManyRenegotiationRequests
                | PeerMisbehaved::TooManyWarningAlertsReceived,
            ) => Self::NotTls,
            Error::AlertReceived(AlertDescription::ProtocolVersion) => Self::Version,
            Error::AlertReceived(AlertDescription::HandshakeFailure) => Self::NothingCommon,
            Error::AlertReceived(alert) => {
                Self::Alert(alert.as_str().map_or_else(|| format!("{alert:?}"), str::to_owned))
            }
            Error::PeerIncompatible(
                rustls::PeerIncompatible::ServerDoesNotSupportTls12Or13
                | rustls::PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            ) => Self::Version,
            Error::PeerIncompatible(_) => Self::NothingCommon,
            other => Self::Other(other.to_string()),
        }
    }
}

impl fmt::Display for HandshakeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTls => f.write_str("what came is no TLS"),
            Self::Version => f.write_str("the server speaks neither TLS 1.2 nor TLS 1.3"),
            Self::NothingCommon => f.write_str("the server has no cipher suite that is offered"),
            Self::Alert(alert) => write!(f, "the server ends the handshake ({alert})"),
            Self::Broken(kind) => write!(f, "the connection broke in the handshake ({kind})"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

fn config(recorder: &Arc<Recorder>, protocols: &[&[u8]]) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::<Recorder>::clone(recorder))
        .with_client_cert_resolver(Arc::<Recorder>::clone(recorder));
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Believes everybody, and keeps what was presented.
///
/// INVARIANT: it serves one handshake only.
struct Recorder {
    algorithms: WebPkiSupportedAlgorithms,
    seen: Mutex<(Vec<CertificateDer<'static>>, usize)>,
    version: Mutex<Option<&'static str>>,
    asked: AtomicBool,
    proven: AtomicBool,
}

impl Recorder {
    fn new() -> Self {
        Self {
            algorithms: provider().signature_verification_algorithms,
            seen: Mutex::default(),
            version: Mutex::default(),
            asked: AtomicBool::new(false),
            proven: AtomicBool::new(false),
        }
    }

    fn presented(&self, connection: Option<&ClientConnection>) -> Presented {
        let (chain, certificates) =
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let agreed = connection.and_then(|connection| match connection.protocol_version()? {
            ProtocolVersion::TLSv1_2 => Some(TLS_1_2),
            ProtocolVersion::TLSv1_3 => Some(TLS_1_3),
            _ => None,
        });
        let signed = *self.version.lock().unwrap_or_else(PoisonError::into_inner);
        let protocol = connection.and_then(|connection| connection.alpn_protocol());
        Presented {
            chain,
            certificates,
            version: agreed.or(signed),
            protocol: protocol.map(<[u8]>::to_vec),
            asks_certificate: self.asked.load(Ordering::Relaxed),
            holds_key: self.proven.load(Ordering::Relaxed),
        }
    }

    /// A proof that fails is recorded, and the handshake goes on: it is one fault of several.
    fn prove(
        &self,
        version: &'static str,
        proof: Result<HandshakeSignatureValid, rustls::Error>,
    ) -> HandshakeSignatureValid {
        self.proven.store(proof.is_ok(), Ordering::Relaxed);
        *self.version.lock().unwrap_or_else(PoisonError::into_inner) = Some(version);
        HandshakeSignatureValid::assertion()
    }
}

const TLS_1_2: &str = "TLS 1.2";
const TLS_1_3: &str = "TLS 1.3";

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let all = std::iter::once(end_entity).chain(intermediates).take(CERTIFICATES_MAX);
        let chain = all.map(|certificate| certificate.clone().into_owned()).collect();
        let certificates = intermediates.len().saturating_add(1);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = (chain, certificates);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(self.prove(TLS_1_2, verify_tls12_signature(message, cert, dss, &self.algorithms)))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(self.prove(TLS_1_3, verify_tls13_signature(message, cert, dss, &self.algorithms)))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ResolvesClientCert for Recorder {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        None
    }

    /// What is asked for is only looked at by a client that could have some.
    fn has_certs(&self) -> bool {
        true
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}
