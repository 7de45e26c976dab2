//! What a Graph and its token endpoint are reached by, and the clock and randomness beside it: all of this target
//! that a simulation has another of. What is sent, sent again and waited for is decided above it.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use portolan_chart::flow;
use portolan_model::{DnsName, Entropy};
use portolan_net::entropy::SystemEntropy;
use portolan_net::{clock, http as net_http};
use time::OffsetDateTime;

use crate::report::Failure;

/// A way to the hosts of a Graph. Copies of it are the same way, and are used side by side.
#[expect(async_fn_in_trait, reason = "one task exports, and moves to no other thread")]
pub trait Wire: Clone {
    /// What passwords and waits are drawn from.
    type Randomness: Entropy;

    /// Sends one request to a host, and gives its answer, whatever its status.
    ///
    /// # Errors
    /// When no answer came: the request may have been received.
    async fn send(
        &self,
        host: DnsName,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, Failure>;

    /// The time of day in UTC.
    fn now(&self) -> OffsetDateTime;

    /// Waits so long.
    async fn sleep(&self, duration: Duration);

    /// The randomness.
    fn entropy(&self) -> Self::Randomness;
}

/// HTTPS to real hosts, by this host's clock.
#[derive(Clone)]
pub(in crate::connect) struct Https(pub(super) net_http::Client);

impl Wire for Https {
    type Randomness = SystemEntropy;

    async fn send(
        &self,
        host: DnsName,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, Failure> {
        Ok(self.0.send(flow::CONNECT_TENANT_SYNC, host, request).await?)
    }

    fn now(&self) -> OffsetDateTime {
        clock::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn entropy(&self) -> SystemEntropy {
        SystemEntropy
    }
}
