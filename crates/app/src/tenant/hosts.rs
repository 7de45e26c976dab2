//! The tenant's hosts without sockets, by a clock and randomness that are given: what the simulator (`crates/sim`)
//! asks. Nothing is simulated here: these are the routes that are served, over the store.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, Response, header};
use axum::{Router, body};
use bytes::Bytes;
use portolan_model::{DnsName, Entropy};
use portolan_store::tenant::SqliteStore;
use portolan_tenant::Tenant;
use portolan_tenant::account::Policy;
use portolan_tenant::graph::throttle::Limits;
use portolan_token::{Jwks, SigningKey};
use time::OffsetDateTime;
use tower::ServiceExt as _;

use super::http::{self, Service};
use crate::report::Failure;

/// Octets that an answer may have.
const ANSWER_OCTETS_MAX: usize = 64 * 1024 * 1024;

/// What is mixed into pairwise names: nobody signs in here.
const SALT: [u8; 32] = [0; 32];

/// The hosts of a tenant.
#[derive(Debug, Clone)]
pub struct Hosts(Router);

impl Hosts {
    /// Those of a tenant with this store and this signing key, which keeps these limits of Graph's.
    ///
    /// # Errors
    /// When the key is none.
    pub fn of(
        store: SqliteStore,
        tenant: Tenant,
        key: SigningKey,
        limits: Limits,
        clock: Arc<dyn Fn() -> OffsetDateTime + Send + Sync>,
        randomness: Arc<dyn Fn() -> Box<dyn Entropy + Send> + Send + Sync>,
    ) -> Result<Self, Failure> {
        let keys = Jwks { keys: vec![key.public().clone()] };
        let service = Service::new(store, tenant, key, keys, SALT, false, Policy::default())?;
        let service = service.at(clock, randomness)?.throttled(limits)?;
        Ok(Self(http::router(service)))
    }

    /// The answer of one of them to a request.
    ///
    /// # Errors
    /// When the answer breaks off.
    pub async fn answer(
        &self,
        host: &DnsName,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, Failure> {
        let (mut parts, sent) = request.into_parts();
        let name = header::HeaderValue::try_from(host.to_string())
            .map_err(|error| Failure::because("the name of a host", &error))?;
        parts.headers.insert(header::HOST, name);
        let request = Request::from_parts(parts, Body::from(sent));
        let answer = match self.0.clone().oneshot(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
        let (parts, body) = answer.into_parts();
        let octets = body::to_bytes(body, ANSWER_OCTETS_MAX).await;
        let octets = octets.map_err(|error| Failure::because("an answer broke off", &error))?;
        Ok(Response::from_parts(parts, octets))
    }
}
