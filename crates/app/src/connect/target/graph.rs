//! Microsoft Graph: sends what an [`Exporter`] says, and tells it what came back.
//!
//! The application proves itself by an assertion of its key, for a token that is asked for anew in time.
//! It is reached by a [`Wire`], which is HTTPS. Nothing is decided here: what a reply means, what is sent again and how
//! long is waited is the exporter's.

use std::task::Poll;

use bytes::Bytes;
use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt as _, poll};
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use portolan_chart::flow;
use portolan_model::DnsName;
use portolan_net::tls::{self, Revocation, Roots, Trust};
use portolan_net::{Network, http as net_http};
use portolan_sync::target::graph::organization::{self, Organization};
use portolan_sync::target::graph::{
    Action, Alone, Batch, Change, Conversation, Exporter, Known, List, Looked, Lookups, Outcome,
    Reply, Settings, first_pages, read_page,
};
use portolan_tenant::wire::{SecretText, TenantResponse};
use portolan_token::SigningKey;
use portolan_token::assertion::ASSERTION_TYPE;
use serde::Deserialize;
use serde_json::Value as Json;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::proof::Proof;
use super::record::Record;
use super::wire::{Https, Wire};
use crate::connect::config::Config;
use crate::connect::target_config::GraphConfig;
use crate::connect::tenant_client::{authorization, form_value, refused, usable_for};
use crate::report::Failure;

/// Batches that are under way at a time.
const BATCHES_MAX: usize = 4;

/// How often a request is sent that Graph does not answer well: some ten minutes.
const ATTEMPTS_MAX: u32 = 14;

/// Pages that are read of one kind of object: a million objects, and as many again.
pub(super) const PAGES_MAX: usize = 2_500;

/// Seconds that are waited at most, whatever Graph says.
const PAUSE_SECONDS_MAX: u32 = 3_600;

/// How often a page is asked for.
const PAGE_ATTEMPTS_MAX: u32 = 8;

/// Where a Graph is, and who asks.
#[derive(Debug)]
pub(in crate::connect) struct Address {
    /// The host of Graph.
    pub(in crate::connect) graph: DnsName,
    /// The host of the token endpoint.
    pub(in crate::connect) login: DnsName,
    /// The tenant's id or name there.
    pub(in crate::connect) tenant: String,
    /// The application's id there.
    pub(in crate::connect) client_id: String,
    /// Whether users who come back are taken out of its recycle bin.
    pub(in crate::connect) restores_deleted: bool,
}

/// A client that trusts these authorities, with revocation lists looked at.
pub(in crate::connect) fn client(network: &Network, roots: Roots) -> net_http::Client {
    let revocation = Revocation::by_crl(network.clone(), flow::CONNECT_TENANT_CRL);
    let tls = tls::Client::new(Trust::Roots(roots), revocation);
    net_http::Client::tls(network.clone(), tls, net_http::ClientLimits::default())
}

/// A Graph, for one export.
pub(in crate::connect) struct Graph<W = Https> {
    wire: W,
    address: Address,
    proof: Proof,
    token: Option<(Zeroizing<String>, OffsetDateTime)>,
    /// Nothing is sent in front of this moment: Graph said so last.
    paused_until: Option<OffsetDateTime>,
    /// Where what is asked and answered is written.
    record: Option<Record>,
}

#[derive(Deserialize)]
struct TokenResponse {
    access_token: SecretText,
    expires_in: i64,
}

impl Graph {
    pub(in crate::connect) const fn new(
        client: net_http::Client,
        address: Address,
        proof: Proof,
    ) -> Self {
        Self::over(Https(client), address, proof)
    }

    /// A client of the Graph of a configured server.
    pub(in crate::connect) fn configured(
        network: &Network,
        config: &Config,
        place: &GraphConfig,
        key: SigningKey,
    ) -> Self {
        let address = Address {
            graph: place.graph.clone(),
            login: place.login.clone(),
            tenant: config.tenant_id.to_string(),
            client_id: config.client_id.to_string(),
            restores_deleted: place.restores_deleted,
        };
        let proof = Proof::new(key, place.certificate);
        Self::new(client(network, place.roots.clone()), address, proof)
    }
}

impl<W: Wire> Graph<W> {
    /// One that is reached by this.
    pub(in crate::connect) const fn over(wire: W, address: Address, proof: Proof) -> Self {
        Self { wire, address, proof, token: None, paused_until: None, record: None }
    }

    /// Writes from now on what is asked and answered.
    pub(super) fn keep_record(&mut self, record: Record) {
        self.record = Some(record);
    }

    /// The tenant and its domains.
    pub(in crate::connect) async fn organization(&mut self) -> Result<Organization, Failure> {
        let response = self.page(organization::PATH).await?;
        Organization::read(response.body())
            .map_err(|error| Failure::because("cannot read which tenant Graph has", &error))
    }

    /// What it says of itself, as a tenant of ours says it.
    pub(in crate::connect) async fn describe(&mut self) -> Result<TenantResponse, Failure> {
        let found = self.organization().await?;
        Ok(TenantResponse {
            tenant_id: found.id,
            initial_domain: found.initial.to_string(),
            verified_domains: found.verified.iter().map(ToString::to_string).collect(),
            sync_group: None,
            last_batch: None,
            sync_servers: None,
            uses_lease: false,
            takes_read_up_to: false,
        })
    }

    pub(super) fn base(&self) -> String {
        format!("https://{}/v1.0", self.address.graph)
    }

    /// What is at the target, by anchors.
    pub(in crate::connect) async fn known(&mut self) -> Result<Known, Failure> {
        let (mut known, base) = (Known::new(), self.base());
        for first in first_pages() {
            let mut path = first.to_owned();
            for _ in 0..PAGES_MAX {
                let response = self.page(&path).await?;
                let page = read_page(response.body(), &base)
                    .map_err(|error| Failure::because("cannot read what Graph has", &error))?;
                known.extend(page.known);
                match page.next {
                    Some(next) => path = next,
                    None => break,
                }
            }
        }
        Ok(known)
    }

    /// The objects of a list, page by page.
    pub(in crate::connect) async fn list(&mut self, first: &str) -> Result<Vec<Json>, Failure> {
        let (mut objects, mut path) = (Vec::new(), first.to_owned());
        for _ in 0..PAGES_MAX {
            let list = self.list_page(&path).await?;
            objects.extend(list.objects);
            match list.next {
                Some(next) => path = next,
                None => break,
            }
        }
        Ok(objects)
    }

    /// A page of a list, as it came.
    pub(super) async fn list_page(&mut self, path: &str) -> Result<List, Failure> {
        let response = self.page(path).await?;
        List::read(response.body(), &self.base())
            .map_err(|error| Failure::because("cannot read what Graph has", &error))
    }

    /// One page. Reading it twice harms nothing, so it is asked for again when it does not come.
    async fn page(&mut self, path: &str) -> Result<Response<Bytes>, Failure> {
        let mut attempt = 1;
        loop {
            self.wait_as_told().await;
            let bearer = self.bearer().await?;
            let request = Request::builder()
                .uri(format!("/v1.0{path}"))
                .header(AUTHORIZATION, authorization(&bearer)?)
                .body(Bytes::new())
                .map_err(|error| Failure::because("cannot ask Graph what it has", &error))?;
            let graph = self.address.graph.clone();
            match self.wire.send(graph, request).await {
                Ok(response) if response.status().is_success() => return Ok(response),
                Ok(response) => {
                    let status = response.status();
                    if status == StatusCode::UNAUTHORIZED {
                        self.token = None;
                    }
                    let is_passing = status == StatusCode::TOO_MANY_REQUESTS
                        || status == StatusCode::UNAUTHORIZED
                        || status.is_server_error();
                    let told = retry_after(&response).and_then(|text| text.parse().ok());
                    self.pause(told.unwrap_or(1));
                    if !is_passing || attempt >= PAGE_ATTEMPTS_MAX {
                        return Err(refused(&response, "read what Graph has"));
                    }
                }
                Err(error) if attempt >= PAGE_ATTEMPTS_MAX => return Err(error),
                Err(_) => self.pause(1 << attempt),
            }
            attempt += 1;
        }
    }

    /// Nothing is sent for so many seconds.
    fn pause(&mut self, seconds: u32) {
        let seconds = seconds.clamp(1, PAUSE_SECONDS_MAX);
        let until = self.wire.now() + time::Duration::seconds(seconds.into());
        self.paused_until = self.paused_until.max(Some(until));
    }

    /// Waits as Graph said last, whatever it was asked then.
    async fn wait_as_told(&mut self) {
        let Some(until) = self.paused_until.take() else { return };
        let wait = until - self.wire.now();
        self.wire.sleep(wait.try_into().unwrap_or_default()).await;
    }

    /// Makes these changes at a target of which this is known. What became of each, in their order, and
    /// what is known now.
    pub(in crate::connect) async fn export(
        &mut self,
        changes: Vec<Change>,
        known: Known,
    ) -> Result<(Vec<Outcome>, Known), Failure> {
        let mut exporter = Exporter::new(changes, known, self.settings());
        self.converse(&mut exporter).await?;
        Ok(exporter.finish())
    }

    /// Reads these addresses; what each gave, in their order.
    pub(super) async fn look_up(&mut self, paths: Vec<String>) -> Result<Vec<Looked>, Failure> {
        let mut lookups = Lookups::new(paths, self.settings());
        self.converse(&mut lookups).await?;
        Ok(lookups.finish())
    }

    fn settings(&self) -> Settings {
        Settings {
            base: self.base(),
            batches_max: BATCHES_MAX,
            attempts_max: ATTEMPTS_MAX,
            restores_deleted: self.address.restores_deleted,
        }
    }

    /// Sends what a conversation says until it is done.
    async fn converse(&mut self, with: &mut impl Conversation) -> Result<(), Failure> {
        self.wait_as_told().await;
        let (wire, mut under_way) = (self.wire.clone(), FuturesUnordered::new());
        loop {
            match with.next(wire.now(), &mut wire.entropy()) {
                Action::Done => {
                    self.paused_until = with.paused_until();
                    return Ok(());
                }
                Action::Send(batch) => {
                    let (number, request) = (batch.number, self.request(batch).await?);
                    let (wire, graph) = (wire.clone(), self.address.graph.clone());
                    let mut sent =
                        Box::pin(async move { (number, wire.send(graph, request).await) });
                    // It goes out now, and not when the next answer is looked for: that may say to wait.
                    match poll!(&mut sent) {
                        Poll::Ready((number, sent)) => self.take(with, number, sent)?,
                        Poll::Pending => under_way.push(sent),
                    }
                }
                Action::Wait { until } => {
                    let wait = until.map(|until| until - wire.now());
                    let wait = wait.map(|wait| wait.try_into().unwrap_or_default());
                    tokio::select! {
                        biased;
                        Some((number, sent)) = under_way.next() => self.take(with, number, sent)?,
                        () = sleep(&wire, wait) => {}
                    }
                }
            }
        }
    }

    async fn request(&mut self, batch: Batch) -> Result<Request<Bytes>, Failure> {
        let bearer = self.bearer().await?;
        tracing::debug!(batch = batch.number, requests = batch.requests, "Sending to Graph");
        if let Some(Alone { method, path, media_type, octets }) = batch.alone {
            let request = Request::builder().method(method).uri(format!("/v1.0{path}"));
            let request = request.header(AUTHORIZATION, authorization(&bearer)?);
            let request = match media_type {
                Some(media_type) => request.header(CONTENT_TYPE, media_type),
                None => request,
            };
            return request
                .body(Bytes::from(octets))
                .map_err(|error| Failure::because("cannot write the request to Graph", &error));
        }
        if let Some(record) = &mut self.record {
            record.asked(batch.number, &batch.body);
        }
        Request::builder()
            .method(Method::POST)
            .uri("/v1.0/$batch")
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, authorization(&bearer)?)
            .body(Bytes::from_owner(batch.body))
            .map_err(|error| Failure::because("cannot write the request to Graph", &error))
    }

    /// Tells a conversation what became of a batch.
    fn take(
        &mut self,
        with: &mut impl Conversation,
        number: u64,
        sent: Result<Response<Bytes>, Failure>,
    ) -> Result<(), Failure> {
        let (now, rng) = (self.wire.now(), &mut self.wire.entropy());
        match sent {
            Ok(response) => {
                if response.status() == StatusCode::UNAUTHORIZED {
                    self.token = None;
                }
                let reply = Reply {
                    status: response.status().as_u16(),
                    retry_after: retry_after(&response),
                    body: response.into_body().to_vec(),
                };
                if let Some(record) = &mut self.record {
                    record.answered(number, &reply.body)?;
                }
                with.answered(number, &reply, now, rng);
            }
            Err(error) => {
                tracing::warn!(batch = number, error = error.text(), "No answer from Graph");
                if let Some(record) = &mut self.record {
                    record.lost(number);
                }
                with.lost(number, now, rng);
            }
        }
        Ok(())
    }

    /// `Bearer` and a token that is still good for a while.
    async fn bearer(&mut self) -> Result<Zeroizing<String>, Failure> {
        let now = self.wire.now();
        if let Some((bearer, _)) = self.token.as_ref().filter(|(_, until)| *until > now) {
            return Ok(bearer.clone());
        }
        let Address { graph, login, tenant, client_id, .. } = &self.address;
        let path = format!("/{tenant}/oauth2/v2.0/token");
        let signed = self.proof.sign(client_id, &format!("https://{login}{path}"), now)?;
        let form = Zeroizing::new(format!(
            "grant_type=client_credentials&client_id={client_id}&client_assertion_type={}\
             &client_assertion={}&scope={}",
            form_value(ASSERTION_TYPE),
            signed.as_str(),
            form_value(&format!("https://{graph}/.default")),
        ));
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from_owner(form))
            .map_err(|error| Failure::because("cannot ask for a token for Graph", &error))?;
        let response = self.wire.send(login.clone(), request).await?;
        if !response.status().is_success() {
            return Err(refused(&response, "sign in to Graph"));
        }
        let answer: TokenResponse = serde_json::from_slice(response.body())
            .map_err(|error| Failure::because("the token for Graph does not read", &error))?;
        let bearer = Zeroizing::new(format!("Bearer {}", answer.access_token.0.expose()));
        self.token = Some((bearer.clone(), now + usable_for(answer.expires_in)));
        Ok(bearer)
    }
}

fn retry_after(response: &Response<Bytes>) -> Option<String> {
    let value = response.headers().get(RETRY_AFTER)?;
    value.to_str().ok().map(str::to_owned)
}

/// Sleeps so long; without an end when there is none.
async fn sleep(wire: &impl Wire, wait: Option<std::time::Duration>) {
    match wait {
        Some(wait) => wire.sleep(wait).await,
        None => std::future::pending().await,
    }
}
