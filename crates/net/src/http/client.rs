//! Requests by flow: one connection a host is kept and used again, redirects are not followed.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::http::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use ::http::uri::Scheme;
use ::http::{Request, Response, StatusCode, Uri, Version};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use portolan_chart::Flow;
use portolan_model::Hint;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::network::{DialError, Fault, Link, Network, Peer, ProxyFault};
use crate::tls::{self, TlsError};

/// What a client grants its peers.
#[derive(Debug, Clone, Copy)]
pub struct ClientLimits {
    /// For a whole exchange, connecting included.
    pub exchange_time_max: Duration,
    /// Octets of a response's body.
    pub body_octets_max: usize,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self { exchange_time_max: Duration::from_secs(60), body_octets_max: 16 * 1024 * 1024 }
    }
}

/// Idle connections that are kept for one host.
const IDLE_MAX: usize = 4;

/// A client for requests over plain HTTP or over TLS.
#[derive(Clone)]
pub struct Client {
    network: Network,
    tls: Option<Arc<tls::Client>>,
    limits: ClientLimits,
    idle: Arc<Mutex<IdleByPeer>>,
}

type IdleByPeer = HashMap<(Flow, Peer), Vec<Idle>>;
type Sender = SendRequest<Full<Bytes>>;

struct Idle {
    sender: Sender,
    link: Link,
}

/// An exchange that gave no response.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The peer was not reached.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The peer was not proven to be the one meant.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The connection broke, or what came was no HTTP.
    #[error("{link} breaks off: {error}")]
    Broken {
        /// The connection.
        link: Link,
        /// What the HTTP library says.
        error: hyper::Error,
    },
    /// The response's body broke off.
    #[error("{link} breaks off in the response's body")]
    BodyBroken {
        /// The connection.
        link: Link,
    },
    /// The response's body is longer than the limit.
    #[error("{link} answers with more than {octets_max} octets")]
    BodyTooLong {
        /// The connection.
        link: Link,
        /// The limit.
        octets_max: usize,
    },
    /// The exchange took too long.
    #[error("{flow} -> {peer}: no response within {} s", after.as_secs())]
    Slow {
        /// The flow.
        flow: Flow,
        /// The peer.
        peer: Peer,
        /// The limit.
        after: Duration,
    },
    /// The peer's name cannot stand in a Host header.
    #[error("{0} cannot stand in a Host header")]
    HostHeader(Peer),
}

impl Hint for HttpError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Dial(error) => error.hint(),
            Self::Tls(error) => error.hint(),
            Self::Broken { link, .. } | Self::BodyBroken { link } => {
                Some(format!("look at the log of {}, then try again", link.peer()))
            }
            Self::Slow { peer, .. } => Some(format!("look at the log of {peer}, then try again")),
            Self::BodyTooLong { .. } | Self::HostHeader(_) => None,
        }
    }
}

impl Client {
    /// A client without TLS.
    #[must_use]
    pub fn plain(network: Network, limits: ClientLimits) -> Self {
        Self { network, tls: None, limits, idle: Arc::default() }
    }

    /// A client over TLS.
    #[must_use]
    pub fn tls(network: Network, tls: tls::Client, limits: ClientLimits) -> Self {
        Self { network, tls: Some(Arc::new(tls)), limits, idle: Arc::default() }
    }

    /// Sends a request to a peer by a flow and returns the whole response, whatever its status. The
    /// request's URI is its path and query; Host is set here. A redirect is a response like any other.
    ///
    /// A request goes out again only if a kept connection had closed before any of it was written.
    ///
    /// # Errors
    /// [`HttpError`]; the request may have been received if the connection broke after it was sent.
    pub async fn send(
        &self,
        flow: Flow,
        peer: impl Into<Peer>,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, HttpError> {
        let peer = peer.into();
        let after = self.limits.exchange_time_max;
        match timeout(after, self.exchange(flow, &peer, request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(HttpError::Slow { flow, peer, after }),
        }
    }

    async fn exchange(
        &self,
        flow: Flow,
        peer: &Peer,
        mut request: Request<Bytes>,
    ) -> Result<Response<Bytes>, HttpError> {
        *request.version_mut() = Version::HTTP_11;
        request.headers_mut().insert(HOST, self.host_header(flow, peer)?);
        self.direct_to_proxy(flow, peer, &mut request)?;
        let mut request = request.map(Full::new);
        while let Some(mut kept) = self.take(flow, peer) {
            match kept.sender.try_send_request(request).await {
                Ok(response) => return self.finish(flow, peer, kept, response).await,
                Err(mut error) => match error.take_message() {
                    // Nothing of it was written: a fresh connection may have it.
                    Some(unsent) => request = unsent,
                    None => {
                        let error = error.into_error();
                        return Err(HttpError::Broken { link: kept.link, error });
                    }
                },
            }
        }
        let mut fresh = self.connect(flow, peer).await?;
        match fresh.sender.send_request(request).await {
            Ok(response) => self.finish(flow, peer, fresh, response).await,
            Err(error) => Err(HttpError::Broken { link: fresh.link, error }),
        }
    }

    async fn finish(
        &self,
        flow: Flow,
        peer: &Peer,
        mut connection: Idle,
        response: Response<Incoming>,
    ) -> Result<Response<Bytes>, HttpError> {
        // Nobody but a proxy gives this status (RFC 9110 section 15.5.8).
        if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            let fault = Fault::Proxy(Box::new(ProxyFault::Unauthenticated));
            return Err(DialError { link: connection.link, fault }.into());
        }
        let octets_max = self.limits.body_octets_max;
        let (head, body) = response.into_parts();
        let body = match Limited::new(body, octets_max).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return Err(HttpError::BodyTooLong { link: connection.link, octets_max });
            }
            Err(_) => return Err(HttpError::BodyBroken { link: connection.link }),
        };
        if connection.sender.ready().await.is_ok() {
            self.keep(flow, peer, connection);
        }
        Ok(Response::from_parts(head, body))
    }

    async fn connect(&self, flow: Flow, peer: &Peer) -> Result<Idle, HttpError> {
        let proxy = match &self.tls {
            None => self.network.dial_proxy(flow, peer).await?,
            Some(_) => None,
        };
        let connection = match proxy {
            Some(connection) => connection,
            None => self.network.dial(flow, peer).await?,
        };
        let link = connection.link;
        let sender = match &self.tls {
            None => handshake(connection.stream).await,
            Some(tls) => handshake(tls.connect(connection.stream, peer, &link).await?).await,
        };
        match sender {
            Ok(sender) => Ok(Idle { sender, link }),
            Err(error) => Err(HttpError::Broken { link, error }),
        }
    }

    /// Without TLS, a request that goes by a proxy names its peer itself (RFC 9112 section 3.2.2).
    fn direct_to_proxy(
        &self,
        flow: Flow,
        peer: &Peer,
        request: &mut Request<Bytes>,
    ) -> Result<(), HttpError> {
        if self.tls.is_some() || !self.network.is_proxied(flow) {
            return Ok(());
        }
        let host = self.host_header(flow, peer)?;
        let refuse = || HttpError::HostHeader(peer.clone());
        let mut parts = request.uri().clone().into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(host.as_bytes().try_into().map_err(|_| refuse())?);
        *request.uri_mut() = Uri::from_parts(parts).map_err(|_| refuse())?;
        if let Some(value) = self.network.proxy_authorization() {
            request.headers_mut().insert(PROXY_AUTHORIZATION, value);
        }
        Ok(())
    }

    /// The peer, and the port if it is not the one that the scheme implies.
    fn host_header(&self, flow: Flow, peer: &Peer) -> Result<HeaderValue, HttpError> {
        let mut text = peer.in_url();
        if let Ok(row) = self.network.chart().row(flow)
            && row.configured
        {
            let _ = write!(text, ":{}", row.first_port());
        }
        HeaderValue::from_str(&text).map_err(|_| HttpError::HostHeader(peer.clone()))
    }

    fn take(&self, flow: Flow, peer: &Peer) -> Option<Idle> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle.get_mut(&(flow, peer.clone()))?;
        while let Some(connection) = kept.pop() {
            if connection.sender.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    fn keep(&self, flow: Flow, peer: &Peer, connection: Idle) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle.entry((flow, peer.clone())).or_default();
        if kept.len() < IDLE_MAX {
            kept.push(connection);
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("network", &self.network)
            .field("tls", &self.tls.is_some())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<Sender, hyper::Error> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "Connection ended early");
        }
    });
    Ok(sender)
}
