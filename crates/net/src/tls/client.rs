//! The client's side: the handshake, then revocation, then the stream.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::chain::Verifier;
use super::error::{ChainFault, TlsError};
use super::{Revocation, Trust, provider};
use crate::network::{Link, Peer};

/// The TLS side of outgoing connections. A copy shares its revocation lists with the original.
#[derive(Debug, Clone)]
pub struct Client {
    trust: Trust,
    revocation: Revocation,
    /// What is offered by ALPN (RFC 7301); nothing where the protocol has no name there.
    protocol: Option<&'static [u8]>,
}

impl Client {
    /// A client for HTTP that believes `trust` and looks at revocation lists by `revocation`.
    #[must_use]
    pub const fn new(trust: Trust, revocation: Revocation) -> Self {
        Self { trust, revocation, protocol: Some(b"http/1.1") }
    }

    /// The same for LDAP, which TLS has no name for.
    #[must_use]
    pub const fn for_ldap(trust: Trust, revocation: Revocation) -> Self {
        Self { trust, revocation, protocol: None }
    }

    /// Performs the handshake on a connection and proves that its peer is the one meant and is not
    /// revoked. Not one octet of the application is sent before that.
    ///
    /// # Errors
    /// [`TlsError`]; the connection is closed then.
    pub async fn connect(
        &self,
        stream: TcpStream,
        peer: &Peer,
        link: &Link,
    ) -> Result<TlsStream<TcpStream>, TlsError> {
        let handshake = |error| TlsError::Handshake { link: link.clone(), error };
        let untrusted = |fault| TlsError::Untrusted { link: link.clone(), fault };
        let name = server_name(peer).map_err(&untrusted)?;
        let verifier = Arc::new(Verifier::new(self.trust.clone()));
        let config = config(Arc::<Verifier>::clone(&verifier), self.protocol)
            .map_err(|error| handshake(std::io::Error::other(error)))?;
        let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        let chain = match (connected, verifier.take()) {
            (Ok(stream), Some(Ok(chain))) => (stream, chain),
            (_, Some(Err(fault))) => return Err(untrusted(fault)),
            (Err(error), _) => return Err(handshake(error)),
            (Ok(_), None) => {
                let error = std::io::Error::other("no certificate was presented");
                return Err(handshake(error));
            }
        };
        let (stream, chain) = chain;
        self.revocation
            .check(&chain, &self.trust)
            .await
            .map_err(|fault| TlsError::Revocation { link: link.clone(), fault })?;
        Ok(stream)
    }
}

/// One connection's configuration, without resumption: every handshake presents its certificates.
fn config(
    verifier: Arc<Verifier>,
    protocol: Option<&'static [u8]>,
) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = protocol.map(<[u8]>::to_vec).into_iter().collect();
    config.resumption = Resumption::disabled();
    Ok(config)
}

pub(super) fn server_name(peer: &Peer) -> Result<ServerName<'static>, ChainFault> {
    match peer {
        Peer::Address(address) => Ok(ServerName::IpAddress((*address).into())),
        Peer::Name(name) => ServerName::try_from(name.as_str().to_owned())
            .map_err(|_| ChainFault::WrongName { name: name.to_string() }),
    }
}
