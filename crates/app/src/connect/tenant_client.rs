//! The tenant as connect reaches it: enrolment, tokens, domains, ingest; all over one row.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use portolan_chart::flow;
use portolan_model::DnsName;
use portolan_net::entropy::SystemEntropy;
use portolan_net::tls::{self, Fingerprint, Revocation, Trust};
use portolan_net::{Network, http as net_http};
use portolan_tenant::lease::Claim;
use portolan_tenant::wire::{
    EnrolRequest, EnrolResponse, EnrolmentFile, ErrorResponse, HeldResponse, IngestRequest,
    IngestResponse, KeyRequest, KeyResponse, LeaseRequest, LeaseResponse, ObjectsRequest,
    ObjectsResponse, ReadUpTo, ReadUpToResponse, ReferencesResponse, SecretText, Succession,
    TenantResponse,
};
use portolan_token::{Jwk, SigningKey, assertion};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::batches::Owned;
use super::confirm::Holding;
use super::export::Ingest;
use super::key::Registrar;
use super::lease::{self, Role};
use crate::report::Failure;

/// A token is asked for anew when less than this is left of it.
const TOKEN_RESERVE: time::Duration = time::Duration::minutes(2);

/// A token is asked for anew after this long, whatever the tenant says.
const TOKEN_LIFE_MAX: time::Duration = time::Duration::days(1);

/// A client that trusts one tenant's CA and no other, with revocation lists looked at.
pub(super) fn client(network: &Network, ca: Fingerprint) -> net_http::Client {
    let revocation = Revocation::by_crl(network.clone(), flow::CONNECT_TENANT_CRL);
    let tls = tls::Client::new(Trust::Pinned(ca), revocation);
    net_http::Client::tls(network.clone(), tls, net_http::ClientLimits::default())
}

/// The application that this server was, with the keys that it may have there.
pub(super) struct Predecessor {
    pub(super) client_id: String,
    pub(super) keys: Vec<SigningKey>,
}

/// Enrols this server with a one-use secret, and returns what the tenant made of it. It succeeds the
/// application that it was, if one of its keys is still good there.
pub(super) async fn enrol(
    client: &net_http::Client,
    file: &EnrolmentFile,
    key: &SigningKey,
    was: Option<&Predecessor>,
) -> Result<EnrolResponse, Failure> {
    let tenant_host = host(&file.host)?;
    let keys = was.into_iter().flat_map(|was| was.keys.iter().map(move |key| Some((was, key))));
    let mut attempts: Vec<_> = keys.collect();
    if attempts.is_empty() {
        attempts.push(None);
    }
    let mut outcome = None;
    for attempt in attempts {
        let replaces =
            attempt.map(|(was, old)| succession(was, old, key, &file.host)).transpose()?;
        let body =
            EnrolRequest { secret: file.secret.clone(), key: key.public().clone(), replaces };
        let request = json_request("/enrol", &body, None)?;
        let response = client.send(flow::CONNECT_TENANT_SYNC, tenant_host.clone(), request).await?;
        let hint = match (is_unproven(&response), was) {
            (true, Some(was)) => format!(
                "its key at the tenant is another: make a file with `portolan tenant enrol \
                 --replace {}`",
                was.client_id
            ),
            _ => "an enrolment file works once, within an hour: make a new one with `portolan \
                  tenant enrol`"
                .to_owned(),
        };
        let enrolled = accepted(&response, "enrol this server");
        let enrolled = enrolled.map_err(|failure: Failure| failure.with_hint(hint));
        if enrolled.is_ok() || !is_unproven(&response) {
            return enrolled;
        }
        outcome = Some(enrolled);
    }
    outcome.unwrap_or_else(|| Err(Failure::new("this server did not enrol")))
}

/// The proof that this server was an application.
fn succession(
    was: &Predecessor,
    old: &SigningKey,
    new: &SigningKey,
    host: &str,
) -> Result<Succession, Failure> {
    let doing = "cannot vouch for this server's new key";
    let thumbprint = new.public().thumbprint();
    let thumbprint = thumbprint.map_err(|error| Failure::because(doing, &error))?;
    let audience = format!("https://{host}/enrol#{thumbprint}");
    let now = portolan_net::clock::now();
    let proof = assertion::sign(old, &was.client_id, &audience, now, &mut SystemEntropy)
        .map_err(|error| Failure::because(doing, &error))?;
    Ok(Succession { client_id: was.client_id.clone(), proof })
}

/// Whether the tenant does not take a key's word. It has not used the secret up then.
fn is_unproven(response: &Response<Bytes>) -> bool {
    let answer = serde_json::from_slice::<ErrorResponse>(response.body());
    answer.is_ok_and(|answer| answer.error.code == "invalidProof")
}

/// What the tenant says to who asks for a lease.
#[derive(Debug)]
pub(super) enum Leased {
    /// It is given, for so many seconds from now on.
    Given(LeaseResponse),
    /// It is another's, for so long; or what was claimed is not the newest.
    Refused { wait: Option<Duration>, why: String },
}

/// The tenant, for one run.
pub(super) struct Tenant {
    /// What this server is among those of its group; none where no lease is used.
    role: Option<watch::Receiver<Role>>,
    client: net_http::Client,
    login: DnsName,
    sync: DnsName,
    token_endpoint: String,
    client_id: String,
    key: SigningKey,
    token: Option<Token>,
    /// Whether batches may say how far the forests were read, as the tenant said last.
    takes_read_up_to: bool,
}

struct Token {
    bearer: Zeroizing<String>,
    until: OffsetDateTime,
}

#[derive(Deserialize)]
struct TokenResponse {
    access_token: SecretText,
    expires_in: i64,
}

impl Tenant {
    /// A client of the tenant as a configured server.
    pub(super) fn new(
        client: net_http::Client,
        config: &super::config::Config,
        key: SigningKey,
    ) -> Result<Self, Failure> {
        let domain = &config.tenant_domain;
        Ok(Self {
            client,
            login: host(&format!("login.{domain}"))?,
            sync: host(&format!("sync.{domain}"))?,
            token_endpoint: format!(
                "https://login.{domain}/{}/oauth2/v2.0/token",
                config.tenant_id
            ),
            client_id: config.client_id.to_string(),
            key,
            token: None,
            role: None,
            takes_read_up_to: false,
        })
    }

    /// Lets every batch carry a lease, and none be sent without it.
    pub(super) fn use_lease(&mut self, role: Option<watch::Receiver<Role>>) {
        self.role = role;
    }

    /// Asks for the lease of this server's group, for more of it, or gives it back.
    pub(super) async fn lease(&mut self, request: &LeaseRequest) -> Result<Leased, Failure> {
        let bearer = self.bearer().await?;
        let request = json_request("/v1.0/lease", request, Some(&bearer))?;
        let response =
            self.client.send(flow::CONNECT_TENANT_SYNC, self.sync.clone(), request).await?;
        if response.status() != StatusCode::CONFLICT {
            return accepted(&response, "ask for the lease").map(Leased::Given);
        }
        let wait = response.headers().get(RETRY_AFTER);
        let wait = wait.and_then(|wait| wait.to_str().ok()?.parse().ok()).map(Duration::from_secs);
        let answer = serde_json::from_slice::<ErrorResponse>(response.body());
        let why = answer
            .map_or_else(|_| "the lease is not given".to_owned(), |answer| answer.error.message);
        Ok(Leased::Refused { wait, why })
    }

    /// The tenant's domains.
    pub(super) async fn domains(&mut self) -> Result<TenantResponse, Failure> {
        let bearer = self.bearer().await?;
        let request = Request::builder()
            .uri("/v1.0/tenant")
            .header(AUTHORIZATION, authorization(&bearer)?)
            .body(Bytes::new())
            .map_err(|error| Failure::because("cannot ask the tenant for its domains", &error))?;
        let response =
            self.client.send(flow::CONNECT_TENANT_SYNC, self.sync.clone(), request).await?;
        let answer: TenantResponse = accepted(&response, "read the tenant's domains")?;
        self.takes_read_up_to = answer.takes_read_up_to;
        Ok(answer)
    }

    /// Whether batches may say how far the forests were read.
    pub(super) const fn takes_read_up_to(&self) -> bool {
        self.takes_read_up_to
    }

    /// A page of what is this server's behind an anchor, with digests: of attributes (`content`), or of
    /// `references`.
    pub(super) async fn held(
        &mut self,
        after: &str,
        with: &str,
    ) -> Result<ObjectsResponse, Failure> {
        self.get(&format!("/v1.0/objects?after={}&with={with}", form_value(after))).await
    }

    /// The attributes of some of this server's objects.
    pub(super) async fn read(&mut self, anchors: Vec<String>) -> Result<HeldResponse, Failure> {
        let bearer = self.bearer().await?;
        let request =
            json_request("/v1.0/objects/read", &ObjectsRequest { anchors }, Some(&bearer))?;
        let response =
            self.client.send(flow::CONNECT_TENANT_SYNC, self.sync.clone(), request).await?;
        accepted(&response, "read what the tenant has")
    }

    /// A page of whom one of this server's objects refers to by an attribute.
    pub(super) async fn held_references(
        &mut self,
        anchor: &str,
        attribute: &str,
        after: &str,
    ) -> Result<ReferencesResponse, Failure> {
        let (anchor, after) = (form_value(anchor), form_value(after));
        self.get(&format!("/v1.0/references?anchor={anchor}&attribute={attribute}&after={after}"))
            .await
    }

    async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, Failure> {
        let bearer = self.bearer().await?;
        let request = Request::builder()
            .uri(path)
            .header(AUTHORIZATION, authorization(&bearer)?)
            .body(Bytes::new())
            .map_err(|error| Failure::because("cannot ask the tenant what it has", &error))?;
        let response =
            self.client.send(flow::CONNECT_TENANT_SYNC, self.sync.clone(), request).await?;
        accepted(&response, "read what the tenant has")
    }

    /// Signs in with another key from here on.
    pub(super) fn use_key(&mut self, key: SigningKey) {
        if key.kid() != self.key.kid() {
            self.key = key;
            self.token = None;
        }
    }

    /// `Bearer` and a token that is still good for a while.
    async fn bearer(&mut self) -> Result<Zeroizing<String>, Failure> {
        let now = portolan_net::clock::now();
        if let Some(token) = self.token.as_ref().filter(|token| token.until > now) {
            return Ok(token.bearer.clone());
        }
        let response = self.ask_for_token(&self.key, now).await?;
        let answer: TokenResponse = accepted(&response, "sign in to the tenant")?;
        let bearer = Zeroizing::new(format!("Bearer {}", answer.access_token.0.expose()));
        let until = now + usable_for(answer.expires_in);
        self.token = Some(Token { bearer: bearer.clone(), until });
        Ok(bearer)
    }

    async fn ask_for_token(
        &self,
        key: &SigningKey,
        now: OffsetDateTime,
    ) -> Result<Response<Bytes>, Failure> {
        let signed =
            assertion::sign(key, &self.client_id, &self.token_endpoint, now, &mut SystemEntropy)
                .map_err(|error| Failure::because("cannot sign with this server's key", &error))?;
        let form = Zeroizing::new(format!(
            "grant_type=client_credentials&client_id={}&client_assertion_type={}&client_assertion={signed}&scope={}",
            self.client_id,
            form_value(assertion::ASSERTION_TYPE),
            form_value(&format!("https://{}/.default", self.sync)),
        ));
        let path = self.token_endpoint.trim_start_matches("https://");
        let path = path.split_once('/').map_or("", |(_, path)| path);
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("/{path}"))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from_owner(form))
            .map_err(|error| Failure::because("cannot ask the tenant for a token", &error))?;
        Ok(self.client.send(flow::CONNECT_TENANT_SYNC, self.login.clone(), request).await?)
    }
}

impl Ingest for Tenant {
    fn claim(&self) -> Result<Option<Claim>, Failure> {
        let Some(role) = &self.role else { return Ok(None) };
        lease::claim(&role.borrow(), portolan_net::clock::monotonic()).map(Some)
    }

    async fn ingest(&mut self, batch: &IngestRequest) -> Result<IngestResponse, Failure> {
        let bearer = self.bearer().await?;
        let request = json_request("/v1.0/ingest", batch, Some(&bearer))?;
        let response =
            self.client.send(flow::CONNECT_TENANT_SYNC, self.sync.clone(), request).await?;
        accepted(&response, "write to the tenant")
    }
}

impl Holding for Tenant {
    async fn held(&mut self, after: &str, with: &str) -> Result<ObjectsResponse, Failure> {
        Self::held(self, after, with).await
    }

    async fn read(&mut self, anchors: Vec<String>) -> Result<HeldResponse, Failure> {
        Self::read(self, anchors).await
    }

    async fn held_references(
        &mut self,
        anchor: &str,
        attribute: &str,
        after: &str,
    ) -> Result<ReferencesResponse, Failure> {
        Self::held_references(self, anchor, attribute, after).await
    }

    async fn read_up_to(&mut self) -> Result<ReadUpTo, Failure> {
        // A tenant of an earlier build keeps nothing of the kind.
        if !self.takes_read_up_to {
            return Ok(ReadUpTo::new());
        }
        self.get("/v1.0/read-up-to").await.map(|answer: ReadUpToResponse| answer.read_up_to)
    }
}

impl Owned for Tenant {
    async fn owned(&mut self, after: &str) -> Result<ObjectsResponse, Failure> {
        self.get(&format!("/v1.0/objects?after={}", form_value(after))).await
    }
}

impl Registrar for Tenant {
    async fn register(&mut self, current: &SigningKey, next: &Jwk) -> Result<(), Failure> {
        let doing = "cannot vouch for this server's new key";
        let thumbprint = next.thumbprint().map_err(|error| Failure::because(doing, &error))?;
        let audience = format!("https://{}/v1.0/key#{thumbprint}", self.sync);
        let now = portolan_net::clock::now();
        let proof = assertion::sign(current, &self.client_id, &audience, now, &mut SystemEntropy)
            .map_err(|error| Failure::because(doing, &error))?;
        let bearer = self.bearer().await?;
        let body = KeyRequest { key: next.clone(), proof };
        let request = json_request("/v1.0/key", &body, Some(&bearer))?;
        let response =
            self.client.send(flow::CONNECT_TENANT_SYNC, self.sync.clone(), request).await?;
        accepted::<KeyResponse>(&response, "register this server's new key").map(|_| ())
    }

    async fn accepts(&mut self, key: &SigningKey) -> Result<bool, Failure> {
        let response = self.ask_for_token(key, portolan_net::clock::now()).await?;
        match response.status() {
            status if status.is_success() => Ok(true),
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => Ok(false),
            _ => Err(refused(&response, "sign in to the tenant with the new key")),
        }
    }
}

/// How long a token is used that the tenant says lives for so many seconds.
pub(super) fn usable_for(expires_in: i64) -> time::Duration {
    time::Duration::seconds(expires_in).clamp(time::Duration::ZERO, TOKEN_LIFE_MAX) - TOKEN_RESERVE
}

fn host(name: &str) -> Result<DnsName, Failure> {
    name.parse().map_err(|error| Failure::because("the tenant's host has no legal name", &error))
}

fn json_request(
    path: &str,
    body: &impl serde::Serialize,
    bearer: Option<&str>,
) -> Result<Request<Bytes>, Failure> {
    let body = serde_json::to_vec(body)
        .map(Zeroizing::new)
        .map_err(|error| Failure::because("cannot write the request", &error))?;
    let mut request =
        Request::builder().method(Method::POST).uri(path).header(CONTENT_TYPE, "application/json");
    if let Some(bearer) = bearer {
        request = request.header(AUTHORIZATION, authorization(bearer)?);
    }
    request
        .body(Bytes::from_owner(body))
        .map_err(|error| Failure::because("cannot write the request", &error))
}

/// A token as a header that does not print.
pub(super) fn authorization(bearer: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(bearer)
        .map_err(|error| Failure::because("the tenant's token cannot be sent", &error))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The answer, if the tenant accepted.
fn accepted<T: DeserializeOwned>(response: &Response<Bytes>, doing: &str) -> Result<T, Failure> {
    if response.status().is_success() {
        return serde_json::from_slice(response.body()).map_err(|error| {
            Failure::because(
                &format!("cannot {doing}: the tenant's answer is not understood"),
                &error,
            )
        });
    }
    Err(refused(response, doing))
}

/// What the tenant says when it refuses: an OAuth error (RFC 6749 section 5.2) or one of the ingest.
pub(super) fn refused(response: &Response<Bytes>, doing: &str) -> Failure {
    #[derive(Deserialize)]
    struct OAuthError {
        error_description: String,
    }
    let body = response.body();
    let said = serde_json::from_slice::<ErrorResponse>(body)
        .map(|answer| {
            format!("{} (correlation id {})", answer.error.message, answer.error.correlation_id)
        })
        .or_else(|_| {
            serde_json::from_slice::<OAuthError>(body).map(|answer| answer.error_description)
        })
        .unwrap_or_else(|_| format!("status {}", response.status()));
    Failure::new(format!("cannot {doing}: {said}"))
        .with_hint("the tenant's log has more under the same correlation id")
}

/// Percent-encodes a form value (the application/x-www-form-urlencoded set of the URL standard).
pub(super) fn form_value(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
                out.push(char::from(octet));
            }
            // Writing to a String does not fail.
            _ => _ = write!(out, "%{octet:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_values_are_percent_encoded() {
        assert_eq!(form_value("urn:a/b c"), "urn%3Aa%2Fb%20c");
    }

    #[test]
    fn a_token_is_asked_for_anew_whatever_its_life_is_said_to_be() {
        let check = |expires_in, expected: i64| {
            assert_eq!(usable_for(expires_in).whole_seconds(), expected, "{expires_in}");
        };
        check(3_600, 3_480);
        check(0, -120);
        check(-1, -120);
        check(i64::MIN, -120);
        check(i64::MAX, 86_280);
    }

    #[test]
    fn a_token_does_not_print() {
        let value = authorization("Bearer eyJ0").unwrap();
        assert_eq!(
            (value.as_bytes(), format!("{value:?}").as_str()),
            (&b"Bearer eyJ0"[..], "Sensitive")
        );
        assert!(authorization("Bearer a\r\nb: c").is_err());
    }

    #[test]
    fn a_refusal_says_what_the_tenant_said() {
        let body = r#"{"error":"invalid_client","error_description":"AADSTS700027: no"}"#;
        let response = Response::builder().status(401).body(Bytes::from(body)).unwrap();
        let failure = refused(&response, "sign in");
        assert_eq!(failure.text(), "cannot sign in: AADSTS700027: no");
    }
}
