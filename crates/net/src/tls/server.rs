//! The server's side: a chain and its key, replaceable while it runs.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use portolan_model::Hint;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::provider;

/// A certificate chain and the key of its first certificate.
#[derive(Clone)]
pub struct Identity(Arc<CertifiedKey>);

/// A chain and a key that do not make an identity.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidIdentity {
    /// The text is not PEM, or lacks the certificates or the key.
    #[error("the {what} is not to be found in the PEM text")]
    Pem {
        /// What was looked for.
        what: &'static str,
    },
    /// The key does not belong to the certificate, or is of a kind that is not supported.
    #[error("the key does not serve the certificate: {0}")]
    Key(rustls::Error),
}

impl Hint for InvalidIdentity {
    fn hint(&self) -> Option<String> {
        Some("give the chain, leaf first, and the key of the leaf".to_owned())
    }
}

impl Identity {
    /// From DER: the chain with the leaf first, and the leaf's key.
    ///
    /// # Errors
    /// When the key is not the leaf's.
    pub fn from_der(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, InvalidIdentity> {
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(InvalidIdentity::Key)?;
        Ok(Self(Arc::new(key)))
    }

    /// From PEM: the chain with the leaf first, and the leaf's key.
    ///
    /// # Errors
    /// When one is not to be found, or the key is not the leaf's.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, InvalidIdentity> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|_| InvalidIdentity::Pem { what: "certificate chain" })?;
        if chain.is_empty() {
            return Err(InvalidIdentity::Pem { what: "certificate chain" });
        }
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| InvalidIdentity::Pem { what: "private key" })?;
        Self::from_der(chain, key)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({} certificates)", self.0.cert.len())
    }
}

/// The TLS side of a listener. A copy shares its identity with the original.
#[derive(Clone)]
pub struct Server {
    config: Arc<ServerConfig>,
    identity: Arc<Current>,
}

#[derive(Debug)]
struct Current(RwLock<Identity>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let identity = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&identity.0))
    }
}

impl Server {
    /// A server with an identity, for HTTP/1.1.
    ///
    /// # Errors
    /// When rustls refuses its own default versions, which it does not.
    pub fn new(identity: Identity) -> Result<Self, rustls::Error> {
        Self::with_client_verifier(identity, WebPkiClientVerifier::no_client_auth())
    }

    /// The same, and clients are asked for a certificate of this authority (RFC 8446 section 4.3.2). Who
    /// has none is let in; one of another authority ends the handshake.
    ///
    /// # Errors
    /// When the authority's certificate is none, or as [`Server::new`].
    pub fn asking_for_certificates(
        identity: Identity,
        authority: &CertificateDer<'static>,
    ) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone())?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .allow_unauthenticated()
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        Self::with_client_verifier(identity, verifier)
    }

    fn with_client_verifier(
        identity: Identity,
        verifier: Arc<dyn ClientCertVerifier>,
    ) -> Result<Self, rustls::Error> {
        let identity = Arc::new(Current(RwLock::new(identity)));
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Current>::clone(&identity);
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), identity })
    }

    /// Presents another identity from now on; open connections stay as they are.
    pub fn replace(&self, identity: Identity) {
        *self.identity.0.write().unwrap_or_else(PoisonError::into_inner) = identity;
    }

    /// Performs the handshake on an accepted connection.
    ///
    /// # Errors
    /// Those of the handshake and of the connection.
    pub async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(Arc::clone(&self.config)).accept(stream).await
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("identity", &self.identity).finish_non_exhaustive()
    }
}
