//! The tenant's routes: one router a host, and what all of them share.
//!
//! A request is told apart by its host first. Its body is bounded in size and time; its answer
//! carries the headers that keep a browser from guessing. Nothing here decides: a handler turns a
//! request into the engine's terms, runs it in one transaction, and turns the outcome back.

mod answer;
mod authorize;
mod bearer;
mod crl;
mod discovery;
mod graph;
mod login;
mod pages;
mod password;
mod sync;
#[cfg(test)]
mod tests;
mod token;

use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::response::Response;
use portolan_model::{Entropy, Guid};
use portolan_net::entropy::SystemEntropy;
use portolan_net::http::ClientAddress;
use portolan_store::tenant::SqliteStore;
use portolan_tenant::account::Policy;
use portolan_tenant::graph::throttle::{Admitted, Cost, Limits, Throttle, Throttled};
use portolan_tenant::rate::Rates;
use portolan_tenant::rule::Incident;
use portolan_tenant::storage::SignInRecord;
use portolan_tenant::throttle::Client;
use portolan_tenant::{Opaque, Parameters, Rule, Tenant};
use portolan_token::{Jwks, SigningKey, VerifyingKey};
use time::OffsetDateTime;
use tokio::sync::{Semaphore, SemaphorePermit};
use tower::ServiceExt as _;
use zeroize::Zeroizing;

pub(super) use crl::crl_router;

use crate::report::Failure;

/// How long a request may take, its body included.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(60);

/// Octets that a form may have.
const FORM_OCTETS_MAX: usize = 64 * 1024;

/// Reads at a time that look at many objects, of the four that the store answers.
const SCANS_MAX: usize = 2;

/// The header by which a caller names its request.
const CORRELATION_HEADER: &str = "client-request-id";

/// What the handlers work with: what holds while the process runs, and what holds for one request and
/// changes while it runs. A copy costs nothing.
#[derive(Clone)]
pub(super) struct Service(Arc<Inner>, Arc<Current>);

/// Who the tenant is and its keys, as they are now.
struct Current {
    tenant: Tenant,
    key: SigningKey,
    jwks: Jwks,
    verifying: Vec<(String, VerifyingKey)>,
}

struct Inner {
    store: SqliteStore,
    pairwise_salt: [u8; 32],
    password_grant: bool,
    policy: Policy,
    rates: Mutex<Rates>,
    /// Graph's limits, when they are kept.
    throttle: Option<Mutex<Counts>>,
    /// Reads that look at many objects: they leave connections of the store to all others.
    scans: Semaphore,
    clock: Arc<dyn Fn() -> OffsetDateTime + Send + Sync>,
    /// What Graph's writes draw from.
    randomness: Randomness,
}

/// Gives a random source.
pub(super) type Randomness = Arc<dyn Fn() -> Box<dyn Entropy + Send> + Send + Sync>;

/// How often it is looked anew how many users there are: Graph's limits depend on it.
const USERS_KNOWN_FOR: time::Duration = time::Duration::MINUTE;

/// What is counted for Graph's limits.
struct Counts {
    throttle: Throttle,
    users: Option<(u64, OffsetDateTime)>,
}

impl Service {
    /// The same service, keeping these limits of Graph's. It is for a service that nobody shares yet.
    ///
    /// # Errors
    /// When somebody shares it: half of the requests would be counted by nobody.
    pub(super) fn throttled(self, limits: Limits) -> Result<Self, Failure> {
        let Self(inner, current) = self;
        let inner = Arc::try_unwrap(inner);
        let mut inner =
            inner.map_err(|_| Failure::new("the tenant's service is in use already"))?;
        let counts = Counts { throttle: Throttle::new(limits), users: None };
        inner.throttle = Some(Mutex::new(counts));
        Ok(Self(Arc::new(inner), current))
    }

    /// The same service by another clock and randomness. It is for a service that nobody shares yet.
    ///
    /// # Errors
    /// When somebody shares it.
    pub(super) fn at(
        self,
        clock: Arc<dyn Fn() -> OffsetDateTime + Send + Sync>,
        randomness: Randomness,
    ) -> Result<Self, Failure> {
        let Self(inner, current) = self;
        let inner = Arc::try_unwrap(inner);
        let inner = inner.map_err(|_| Failure::new("the tenant's service is in use already"))?;
        Ok(Self(Arc::new(Inner { clock, randomness, ..inner }), current))
    }

    fn counts(&self) -> Option<MutexGuard<'_, Counts>> {
        let counts = self.0.throttle.as_ref()?;
        Some(counts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many users there are, if it is known well enough.
    fn known_users(&self, now: OffsetDateTime) -> Option<u64> {
        let (users, at) = self.counts()?.users?;
        (at <= now && now - at < USERS_KNOWN_FOR).then_some(users)
    }

    fn learn_users(&self, users: u64, now: OffsetDateTime) {
        if let Some(mut counts) = self.counts() {
            counts.users = Some((users, now));
        }
    }

    /// Counts a request against Graph's limits, if they are kept.
    fn spend(
        &self,
        application: Guid,
        cost: Cost,
        users: u64,
        now: OffsetDateTime,
    ) -> Result<Admitted, Throttled> {
        match self.counts() {
            Some(mut counts) => counts.throttle.admit(application, cost, users, now),
            None => Ok(Admitted { units: cost.units, spent: None }),
        }
    }

    /// The service of a tenant, by the system's clock.
    pub(super) fn new(
        store: SqliteStore,
        tenant: Tenant,
        key: SigningKey,
        jwks: Jwks,
        pairwise_salt: [u8; 32],
        password_grant: bool,
        policy: Policy,
    ) -> Result<Self, Failure> {
        let clock = Arc::new(portolan_net::clock::now);
        let rates = Mutex::default();
        let scans = Semaphore::new(SCANS_MAX);
        let inner = Inner {
            store,
            pairwise_salt,
            password_grant,
            policy,
            rates,
            throttle: None,
            scans,
            clock,
            randomness: Arc::new(|| Box::new(SystemEntropy)),
        };
        Ok(Self(Arc::new(inner), Arc::new(Current::new(tenant, key, jwks)?)))
    }

    /// The same service with what has changed.
    pub(super) fn renewed(
        &self,
        tenant: Tenant,
        key: SigningKey,
        jwks: Jwks,
    ) -> Result<Self, Failure> {
        Ok(Self(Arc::clone(&self.0), Arc::new(Current::new(tenant, key, jwks)?)))
    }

    /// Whether this is the tenant that it serves, with these keys by their ids, oldest first.
    pub(super) fn is_current(&self, tenant: &Tenant, signer: &str, published: &[&str]) -> bool {
        let current = &self.1;
        let ids = current.verifying.iter().map(|(id, _)| id.as_str());
        current.tenant == *tenant
            && current.key.kid() == signer
            && ids.eq(published.iter().copied())
    }

    /// The tenant.
    pub(super) fn tenant(&self) -> &Tenant {
        &self.1.tenant
    }

    /// The store.
    pub(super) fn store(&self) -> &SqliteStore {
        &self.0.store
    }

    /// The name of the key that signs, and how many are published.
    #[cfg(test)]
    pub(super) fn keys(&self) -> (String, usize) {
        (self.1.key.kid().to_owned(), self.1.jwks.keys.len())
    }

    fn now(&self) -> OffsetDateTime {
        (self.0.clock)()
    }

    /// A random source for what a write draws.
    fn entropy(&self) -> Box<dyn Entropy + Send> {
        (self.0.randomness)()
    }

    fn rates(&self) -> MutexGuard<'_, Rates> {
        self.0.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The turn of a read that looks at many objects. It is given back when it is dropped.
    async fn scan(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.0.scans.acquire().await.ok()
    }

    /// Whether a request may come now. Whom it is from is not known yet; what anybody may send is
    /// limited by where it comes from.
    fn admits(&self, context: &Context, host: &str, path: &str) -> bool {
        let is_anybodys = host == self.tenant().login_host() || path == sync::ENROL_PATH;
        !is_anybodys || self.rates().requests.admit(context.client.site(), 1, context.now)
    }

    fn issuer(&self) -> portolan_tenant::issue::Issuer<'_> {
        portolan_tenant::issue::Issuer {
            tenant: &self.1.tenant,
            key: &self.1.key,
            pairwise_salt: &self.0.pairwise_salt,
            policy: self.0.policy,
        }
    }
}

impl Current {
    fn new(tenant: Tenant, key: SigningKey, jwks: Jwks) -> Result<Self, Failure> {
        let verifying = jwks
            .keys
            .iter()
            .map(|jwk| Ok((jwk.kid.clone().unwrap_or_default(), VerifyingKey::from_jwk(jwk)?)))
            .collect::<Result<_, portolan_token::InvalidJwk>>()
            .map_err(|error| Failure::because("a key of the tenant does not read", &error))?;
        Ok(Self { tenant, key, jwks, verifying })
    }
}

/// One request: its names, its time, and where it comes from.
#[derive(Debug, Clone, Copy)]
struct Context {
    trace_id: Guid,
    correlation_id: Guid,
    now: OffsetDateTime,
    client: Client,
}

impl Context {
    fn incident(&self, rule: Rule) -> Incident {
        let Self { trace_id, correlation_id, now: at, .. } = *self;
        Incident { rule, trace_id, correlation_id, at }
    }

    /// A line of the sign-in log, of nobody so far.
    fn record(&self, method: &'static str) -> SignInRecord {
        SignInRecord {
            at: self.now,
            correlation_id: self.correlation_id,
            user: None,
            client_id: None,
            address: self.client.address.to_canonical(),
            method,
            rule: None,
        }
    }
}

impl FromRequestParts<Service> for Context {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, Infallible> {
        Ok(Self::of(parts, service))
    }
}

impl Context {
    fn of(parts: &Parts, service: &Service) -> Self {
        let trace_id = Guid::from_random(SystemEntropy.array());
        let header = parts.headers.get(CORRELATION_HEADER).and_then(|value| value.to_str().ok());
        let named = || {
            let parameters = query(&parts.uri).ok()?;
            parameters.optional(CORRELATION_HEADER)?.parse().ok()
        };
        let correlation_id = header.and_then(|text| text.parse().ok()).or_else(named);
        // Every connection has a peer; a request without one came from a test.
        let peer = parts.extensions.get::<ClientAddress>();
        let address = peer.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.0.ip());
        let device = cookie(&parts.headers, login::DEVICE_COOKIE).map(|cookie| cookie.digest());
        Self {
            trace_id,
            correlation_id: correlation_id.unwrap_or(trace_id),
            now: service.now(),
            client: Client { address, device },
        }
    }
}

/// The routers of the tenant's hosts.
type Hosts = [(String, Router); 3];

/// The service that answers now. It is replaced whole: a request has one from its beginning to its end.
#[derive(Clone)]
pub(super) struct Live(Arc<RwLock<(Service, Arc<Hosts>)>>);

impl Live {
    /// The service that answers.
    pub(super) fn service(&self) -> Service {
        self.0.read().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Lets another one answer from here on.
    pub(super) fn replace(&self, service: Service) {
        let hosts = hosts(&service);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = (service, hosts);
    }

    fn now(&self) -> (Arc<Hosts>, Service) {
        let now = self.0.read().unwrap_or_else(PoisonError::into_inner);
        (Arc::clone(&now.1), now.0.clone())
    }
}

impl From<Service> for Live {
    fn from(service: Service) -> Self {
        let hosts = hosts(&service);
        Self(Arc::new(RwLock::new((service, hosts))))
    }
}

fn hosts(service: &Service) -> Arc<Hosts> {
    let tenant = service.tenant();
    Arc::new([
        (tenant.login_host(), login_router().with_state(service.clone())),
        (tenant.graph_host(), graph::router(service)),
        (tenant.sync_host(), sync::router().with_state(service.clone())),
    ])
}

/// All hosts of the tenant.
pub(super) fn router(live: impl Into<Live>) -> Router {
    let live = live.into();
    Router::new().fallback(move |request: Request| {
        let (hosts, service) = live.now();
        async move {
            let (parts, body) = request.into_parts();
            let context = Context::of(&parts, &service);
            let request = Request::from_parts(parts, body);
            let refused = |rule| with_headers(answer::oauth(&context, rule));
            let Some(host) = host_of(&request) else { return refused(Rule::InvalidRequest) };
            let router = hosts.iter().find(|(name, _)| *name == host).map(|(_, router)| router);
            let Some(router) = router else { return refused(Rule::WrongHost) };
            if !service.admits(&context, &host, request.uri().path()) {
                let rule = Rule::TooManyRequests;
                let mut answer = astray(&service, &context, request.headers(), rule);
                answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
                return with_headers(answer);
            }
            let answer = tokio::time::timeout(REQUEST_TIME_MAX, router.clone().oneshot(request));
            match answer.await {
                Ok(Ok(answer)) => with_headers(answer),
                Err(_) => refused(Rule::Unavailable),
            }
        }
    })
}

fn login_router() -> Router<Service> {
    discovery::routes()
        .merge(authorize::routes())
        .merge(login::routes())
        .merge(password::routes())
        .merge(token::routes())
        .fallback(async |State(service): State<Service>, context: Context, headers: HeaderMap| {
            astray(&service, &context, &headers, Rule::NothingHere)
        })
        .method_not_allowed_fallback(
            async |State(service): State<Service>, context: Context, headers: HeaderMap| {
                astray(&service, &context, &headers, Rule::WrongMethod)
            },
        )
}

/// The answer to a request that no handler takes: a page to a browser, JSON to a program.
fn astray(service: &Service, context: &Context, headers: &HeaderMap, rule: Rule) -> Response {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if accepted.is_some_and(|kinds| kinds.contains("text/html")) {
        return pages::error(context, service.tenant().domain.as_str(), rule);
    }
    answer::oauth(context, rule)
}

/// The host that a request is for, without its port.
fn host_of(request: &Request) -> Option<String> {
    let host = match request.uri().host() {
        Some(host) => host,
        None => request.headers().get(header::HOST)?.to_str().ok()?,
    };
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    Some(host.trim_end_matches('.').to_ascii_lowercase())
}

/// The headers of every answer, unless the handler chose others.
fn with_headers(mut answer: Response) -> Response {
    const HEADERS: [(HeaderName, &str); 6] = [
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Not `no-referrer`: with that a browser hides the origin of the sign-in form, too.
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ];
    for (name, value) in HEADERS {
        answer.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    answer
}

/// The parameters of a query string.
fn query(uri: &Uri) -> Result<Parameters, Rule> {
    decode(uri.query().unwrap_or_default())
}

/// The parameters in the encoding of forms and query strings.
fn decode(text: &str) -> Result<Parameters, Rule> {
    Parameters::from_pairs(form_urlencoded::parse(text.as_bytes()).into_owned())
}

/// The parameters of a form that was posted.
async fn form(request: Request) -> Result<Parameters, Rule> {
    decode(&Zeroizing::new(form_text(request).await?))
}

/// A form that was posted, as it came.
async fn form_text(request: Request) -> Result<String, Rule> {
    let sent = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = sent.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Rule::InvalidRequest);
    }
    let octets = body(request.into_body(), FORM_OCTETS_MAX).await.ok_or(Rule::InvalidRequest)?;
    String::from_utf8(octets.into()).map_err(|_| Rule::InvalidRequest)
}

/// A body of at most so many octets; `None` when it is longer or breaks off.
async fn body(body: Body, octets_max: usize) -> Option<axum::body::Bytes> {
    axum::body::to_bytes(body, octets_max).await.ok()
}

/// The value of a cookie.
fn cookie(headers: &HeaderMap, name: &str) -> Option<Opaque> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .and_then(|(_, value)| Opaque::from_caller(value))
}
