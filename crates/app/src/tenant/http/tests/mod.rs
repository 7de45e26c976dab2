//! The routes, driven in this process: a tenant with a store of its own, a clock that the test
//! moves, and a browser that keeps cookies.

mod administration;
mod attacks;
mod device_writes;
mod devices;
mod directory;
mod effort;
mod errors;
mod extensions;
mod graph_batch;
mod graph_export;
mod graph_writes;
mod keys;
mod leases;
mod lockout;
mod matching;
mod photo_writes;
mod quarantine;
mod race;
mod recycle_bin;
mod references;
mod sessions;
mod sign_in;
mod succession;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use axum::http::Method;
use portolan_legacy_crypto::NtHash;
use portolan_legacy_crypto::pph1::CredentialData;
use portolan_model::Secret;
use portolan_store::vault::MasterKeys;
use portolan_tenant::application::{Application, ROLE_INGEST};
use portolan_tenant::scope::Permission;
use portolan_tenant::storage::{Access, Store as _, Transaction as _};
use serde_json::{Value as Json, json};

use super::*;

/// RFC 7636 appendix B.
pub(super) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(super) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub(super) const REDIRECT: &str = "https://shop.example/cb";
pub(super) const LOGIN: &str = "login.cloud.example";
pub(super) const GRAPH: &str = "graph.cloud.example";
pub(super) const SYNC: &str = "sync.cloud.example";
pub(super) const ALICE: &str = "alice@corp.example";
pub(super) const PASSWORD: &str = "Al1ce-Pass!";

pub(super) struct World {
    directory: tempfile::TempDir,
    key: Vec<u8>,
    pub(super) service: Service,
    router: Router,
    seconds: Arc<AtomicI64>,
    pub(super) cookies: BTreeMap<String, String>,
    pub(super) client_id: String,
    pub(super) tenant_id: String,
    /// Where the browser is.
    pub(super) address: IpAddr,
    /// The caller's name for its requests, if it gives one.
    pub(super) correlation_id: Option<&'static str>,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Json {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{}", self.text))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// A parameter of the address that the answer redirects to.
    pub(super) fn sent(&self, name: &str) -> Option<String> {
        let (_, query) = self.header("location").split_once(['?', '#'])?;
        form_urlencoded::parse(query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    /// The value of a hidden field of the page.
    pub(super) fn field(&self, name: &str) -> String {
        let marker = format!("name=\"{name}\" value=\"");
        let at = self.text.find(&marker).unwrap_or_else(|| panic!("{}", self.text)) + marker.len();
        let value = &self.text[at..];
        let value = &value[..value.find('"').unwrap()];
        value.replace("&#38;", "&").replace("&amp;", "&")
    }
}

fn signing_key_pkcs8() -> Vec<u8> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    pair.to_pkcs8v1().unwrap().as_ref().to_vec()
}

pub(super) fn signing_key() -> SigningKey {
    SigningKey::from_pkcs8(&signing_key_pkcs8()).unwrap()
}

fn master_keys() -> MasterKeys {
    MasterKeys::new([("k1".to_owned(), Secret::new([7; 32]))]).unwrap()
}

/// The service of a tenant by a clock that the test moves.
fn service(
    store: SqliteStore,
    tenant: Tenant,
    pkcs8: &[u8],
    policy: Policy,
    seconds: &Arc<AtomicI64>,
) -> Service {
    let key = SigningKey::from_pkcs8(pkcs8).unwrap();
    let jwks = Jwks { keys: vec![key.public().clone()] };
    let mut service = Service::new(store, tenant, key, jwks, [9; 32], true, policy).unwrap();
    let clock = Arc::clone(seconds);
    Arc::get_mut(&mut service.0).unwrap().clock = Arc::new(move || {
        OffsetDateTime::from_unix_timestamp(clock.load(Ordering::SeqCst)).unwrap()
    });
    service
}

pub(super) fn credential(password: &str) -> String {
    let hash = NtHash::from_password(password);
    CredentialData::derive(&hash, *b"0123456789").to_text().expose().to_owned()
}

impl World {
    /// A tenant with one application and one user.
    pub(super) async fn new() -> Self {
        let mut world = Self::empty().await;
        let batch = json!({"batch": "00000000-0000-4000-8000-000000000001", "operations": [
            {"op": "upsert", "anchor": "alice", "kind": "user", "attributes": {
                "userPrincipalName": ALICE, "accountEnabled": true, "displayName": "Alice Ng"}},
            {"op": "credential", "anchor": "alice", "credential": credential(PASSWORD),
                "changed_at": "2026-11-01T00:00:00Z"}]});
        let answer = world.ingest(&batch).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert!(!answer.text.contains("error"), "{}", answer.text);
        world
    }

    async fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tenant.sqlite");
        let store = SqliteStore::create(&path, master_keys()).await.unwrap();
        let tenant = Tenant {
            id: "11111111-2222-4333-8444-555555555555".parse().unwrap(),
            domain: "cloud.example".parse().unwrap(),
            verified_domains: vec!["corp.example".parse().unwrap()],
        };
        let seconds = Arc::new(AtomicI64::new(1_795_000_000));
        let application = |name: &str, roles: &[&str], uris: &[&str]| Application {
            client_id: Guid::from_random(SystemEntropy.array()),
            name: name.to_owned(),
            redirect_uris: uris.iter().map(|uri| uri.parse().unwrap()).collect(),
            permissions: vec![Permission::UserRead, Permission::UserReadAll],
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            keys: vec![],
        };
        let shop = application("Shop & <Co>", &[], &[REDIRECT, "http://localhost"]);
        let mut tx = store.begin(Access::Write).await.unwrap();
        let now = OffsetDateTime::from_unix_timestamp(1_795_000_000).unwrap();
        tx.put_tenant(&tenant, now).await.unwrap();
        tx.put_application(&shop).await.unwrap();
        tx.put_application(&application("connect", &[ROLE_INGEST], &[])).await.unwrap();
        tx.commit().await.unwrap();
        let key = signing_key_pkcs8();
        let tenant_id = tenant.id.to_string();
        let service = service(store, tenant, &key, Policy::default(), &seconds);
        Self {
            directory,
            key,
            router: router(service.clone()),
            service,
            seconds,
            cookies: BTreeMap::new(),
            client_id: shop.client_id.to_string(),
            tenant_id,
            address: [192, 0, 2, 7].into(),
            correlation_id: None,
        }
    }

    /// Ends the tenant and starts it again on what it kept.
    pub(super) async fn restart(&mut self) {
        self.reopen(Policy::default()).await;
    }

    /// Ends the tenant and starts it again, with another policy.
    pub(super) async fn reopen(&mut self, policy: Policy) {
        self.service.store().close().await;
        let path = self.directory.path().join("tenant.sqlite");
        let store = SqliteStore::open(&path, master_keys()).await.unwrap();
        let tenant = self.service.tenant().clone();
        self.service = service(store, tenant, &self.key, policy, &self.seconds);
        self.router = router(self.service.clone());
    }

    /// Starts the tenant again, with Graph's limits kept.
    pub(super) async fn throttle(&mut self, limits: Limits) {
        self.service.store().close().await;
        let path = self.directory.path().join("tenant.sqlite");
        let store = SqliteStore::open(&path, master_keys()).await.unwrap();
        let tenant = self.service.tenant().clone();
        let service = service(store, tenant, &self.key, Policy::default(), &self.seconds);
        self.service = service.throttled(limits).unwrap();
        self.router = router(self.service.clone());
    }

    pub(super) fn pass(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(super) async fn send(
        &mut self,
        method: Method,
        host: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", host);
        if host == LOGIN && !self.cookies.is_empty() {
            let pairs: Vec<_> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header("cookie", pairs.join("; "));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(id) = self.correlation_id {
            request = request.header(CORRELATION_HEADER, id);
        }
        let mut request = request.body(body.into()).unwrap();
        request.extensions_mut().insert(ClientAddress((self.address, 0).into()));
        let answer = self.router.clone().oneshot(request).await.unwrap();
        for cookie in answer.headers().get_all("set-cookie") {
            let (name, rest) = cookie.to_str().unwrap().split_once('=').unwrap();
            assert!(rest.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"), "{rest}");
            match rest.split_once(';').unwrap().0 {
                "" => self.cookies.remove(name),
                value => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let octets = axum::body::to_bytes(answer.into_body(), 8 << 20).await.unwrap();
        Answer { status, headers, text: String::from_utf8(octets.to_vec()).unwrap() }
    }

    pub(super) async fn get(&mut self, host: &str, path: &str) -> Answer {
        self.send(Method::GET, host, path, &[], Body::empty()).await
    }

    pub(super) async fn get_as(&mut self, token: &str, path: &str) -> Answer {
        let header = format!("Bearer {token}");
        let headers = [("authorization", header.as_str())];
        self.send(Method::GET, GRAPH, path, &headers, Body::empty()).await
    }

    pub(super) async fn post_form(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        self.send(Method::POST, LOGIN, path, &kind, body).await
    }

    pub(super) async fn post_json(&mut self, token: &str, path: &str, body: String) -> Answer {
        let header = format!("Bearer {token}");
        let headers = [("content-type", "application/json"), ("authorization", header.as_str())];
        self.send(Method::POST, SYNC, path, &headers, body).await
    }

    /// A batch, sent by an application with the role for it.
    pub(super) async fn ingest(&mut self, batch: &Json) -> Answer {
        let token = self.application_token("connect").await;
        self.post_json(&token, "/v1.0/ingest", batch.to_string()).await
    }

    /// An application's own token for the sync host.
    pub(super) async fn application_token(&self, name: &str) -> String {
        let application = self.application(name).await;
        let roles: Vec<_> = application.roles.iter().map(String::as_str).collect();
        self.own_token(&application, SYNC, &roles)
    }

    /// A token of the shop itself with a role at Graph.
    pub(super) async fn token_with_role(&self, role: &str) -> String {
        self.own_token(&self.application("Shop & <Co>").await, GRAPH, &[role])
    }

    pub(super) async fn application(&self, name: &str) -> Application {
        let mut tx = self.service.store().begin(Access::Read).await.unwrap();
        let applications = tx.applications().await.unwrap();
        applications.into_iter().find(|app| app.name == name).unwrap()
    }

    fn own_token(&self, application: &Application, host: &str, roles: &[&str]) -> String {
        let roles = roles.iter().map(|&role| role.to_owned()).collect();
        let (now, rng) = (self.service.now(), &mut SystemEntropy);
        let (issuer, resource) = (self.service.issuer(), format!("https://{host}"));
        issuer.for_application(application, &resource, roles, now, rng).unwrap().access_token
    }

    /// The address of an authorization request, with changes.
    pub(super) fn authorize_path(&self, changes: &[(&str, &str)]) -> String {
        let mut pairs = vec![
            ("client_id", self.client_id.as_str()),
            ("redirect_uri", REDIRECT),
            ("response_type", "code"),
            ("scope", "openid profile offline_access User.Read"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("state", "st&te"),
            ("nonce", "n0nce"),
        ];
        pairs.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
        pairs.extend(changes);
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
        format!("/{}/oauth2/v2.0/authorize?{query}", self.tenant_id)
    }

    /// Opens the sign-in page and posts it.
    pub(super) async fn sign_in(&mut self, name: &str, password: &str) -> Answer {
        let path = self.authorize_path(&[("prompt", "login")]);
        let page = self.get(LOGIN, &path).await;
        assert_eq!(page.status, 200, "{}", page.text);
        self.submit(&page, name, password).await
    }

    pub(super) async fn submit(&mut self, page: &Answer, name: &str, password: &str) -> Answer {
        let (canary, request) = (page.field("canary"), page.field("request"));
        let fields = [
            ("canary", canary.as_str()),
            ("request", request.as_str()),
            ("loginfmt", name),
            ("passwd", password),
        ];
        self.post_form(&format!("/{}/login", self.tenant_id), &fields).await
    }

    /// Exchanges a grant, with changes.
    pub(super) async fn token(&mut self, fields: &[(&str, &str)]) -> Answer {
        let client_id = self.client_id.clone();
        let mut all = vec![("client_id", client_id.as_str()), ("client_info", "1")];
        all.extend(fields);
        self.post_form(&format!("/{}/oauth2/v2.0/token", self.tenant_id), &all).await
    }

    pub(super) async fn redeem(&mut self, code: &str) -> Answer {
        self.token(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ])
        .await
    }

    /// The whole road: page, password, code, tokens.
    pub(super) async fn signed_in(&mut self) -> Json {
        let answer = self.sign_in(ALICE, PASSWORD).await;
        let code = answer.sent("code").unwrap_or_else(|| panic!("{}", answer.text));
        let tokens = self.redeem(&code).await;
        assert_eq!(tokens.status, 200, "{}", tokens.text);
        tokens.json()
    }
}

pub(super) fn claims(token: &Json) -> Json {
    use base64::Engine as _;
    let part = token.as_str().unwrap().split('.').nth(1).unwrap();
    let octets = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap();
    serde_json::from_slice(&octets).unwrap()
}

/// The status and the AADSTS number of an answer in JSON.
pub(super) fn refusal(answer: &Answer) -> (u16, i64) {
    (answer.status, answer.json()["error_codes"][0].as_i64().unwrap())
}
