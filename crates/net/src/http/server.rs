//! The accept loop: connections of one listener, with TLS or without, to one service.
//!
//! It limits what a peer can hold: the number of connections, the time for the TLS handshake, for a
//! request's head, and for the connection as a whole, which bounds slow bodies and slow readers as
//! well. The size of a body is the service's to limit, as is a shorter time. On shutdown it stops accepting, lets each
//! connection end its request, and closes what is left after a while.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::{Service, ServiceExt as _};

use crate::network::Listener;
use crate::tls;

/// What a listener grants its peers.
#[derive(Debug, Clone, Copy)]
pub struct ServerLimits {
    /// Connections at a time; more wait in the system's queue.
    pub connections_max: usize,
    /// For the TLS handshake.
    pub handshake_time_max: Duration,
    /// For a request's head to arrive, and for an idle connection to send one.
    pub head_time_max: Duration,
    /// For a connection, however busy: then it ends its request and is closed.
    pub connection_time_max: Duration,
    /// Octets of a request's head.
    pub head_octets_max: usize,
    /// For open requests to end after the shutdown or the end of their connection's time.
    pub drain_time_max: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            handshake_time_max: Duration::from_secs(10),
            head_time_max: Duration::from_secs(15),
            connection_time_max: Duration::from_secs(300),
            head_octets_max: 64 * 1024,
            drain_time_max: Duration::from_secs(10),
        }
    }
}

/// Who sent a request: an extension of every request that a service is called with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub SocketAddr);

/// How long accepting rests after the system refused it, for want of file descriptors mostly.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Serves HTTP/1.1 on a listener until `shutdown` resolves, then drains.
///
/// Errors of single connections are logged at DEBUG: they are their peers' business.
pub async fn serve<S, B>(
    listener: Listener,
    tls: Option<tls::Server>,
    service: S,
    limits: ServerLimits,
    shutdown: impl Future<Output = ()>,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let next = async {
            // INVARIANT: the semaphore is never closed.
            let slot = Arc::clone(&slots).acquire_owned().await.ok();
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            next = next => next,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, row = listener.row(), "Cannot accept a connection");
                sleep(ACCEPT_REST).await;
                continue;
            }
        };
        let (tls, service, stopped) = (tls.clone(), service.clone(), stopped.clone());
        connections.spawn(async move {
            serve_one(stream, peer, tls, service, limits, stopped).await;
            drop(slot);
        });
    }
    drop(listener);
    // Nobody listening means that no connection is left.
    let _ = stop.send(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    if timeout(limits.drain_time_max, drained).await.is_err() {
        tracing::debug!("Closing connections that did not end in time");
    }
}

async fn serve_one<S, B>(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<tls::Server>,
    service: S,
    limits: ServerLimits,
    stopped: watch::Receiver<bool>,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "Cannot switch off Nagle's algorithm");
    }
    let Some(tls) = tls else {
        return serve_http(stream, peer, service, limits, stopped).await;
    };
    match timeout(limits.handshake_time_max, tls.accept(stream)).await {
        Ok(Ok(stream)) => serve_http(stream, peer, service, limits, stopped).await,
        Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
    }
}

async fn serve_http<S, B>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    service: S,
    limits: ServerLimits,
    mut stopped: watch::Receiver<bool>,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let answer = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ClientAddress(peer));
        let answer = service.clone().oneshot(request);
        async move { Ok::<_, Infallible>(answer.await?.map(|body| body.boxed_unsync())) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time_max)
        .max_buf_size(limits.head_octets_max)
        .serve_connection(TokioIo::new(stream), answer);
    tokio::pin!(connection);
    let stopping = async { drop(stopped.wait_for(|stopped| *stopped).await) };
    let ended = tokio::select! {
        ended = &mut connection => Ok(ended),
        () = async { drop(timeout(limits.connection_time_max, stopping).await) } => {
            connection.as_mut().graceful_shutdown();
            timeout(limits.drain_time_max, connection).await
        }
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%peer, %error, "Connection ended early"),
        Err(_) => tracing::debug!(%peer, "Connection took too long"),
    }
}
