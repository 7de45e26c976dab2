//! What a TLS client believes, and what it does not.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use portolan_chart::{Flow, Role, flow};
use portolan_net::http::{Client, ClientLimits, HttpError, ServerLimits, serve};
use portolan_net::tls::{self, Fingerprint, Identity, Revocation, Roots, Trust};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    CrlDistributionPoint, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use time::{Duration, OffsetDateTime};

use crate::{closed_port, dialling, listening, one};

const HTTPS: Flow = flow::CONNECT_TENANT_SYNC;
const CRL: Flow = flow::CONNECT_TENANT_CRL;
const NAME: &str = "sync.cloud.example";
const SERIAL: u64 = 7;

pub(crate) type Issuer = CertifiedIssuer<'static, KeyPair>;

pub(crate) fn authority(name: &str) -> Issuer {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn certificate(issuer: &Issuer, points: &[&str]) -> (CertificateDer<'static>, KeyPair) {
    let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    params.serial_number = Some(SERIAL.into());
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.crl_distribution_points =
        points.iter().map(|url| CrlDistributionPoint { uris: vec![(*url).to_owned()] }).collect();
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap().der().clone(), key)
}

pub(crate) fn list(issuer: &Issuer, revoked: &[u64], next_update: OffsetDateTime) -> Vec<u8> {
    let now = OffsetDateTime::now_utc();
    let revoked_certs = revoked.iter().map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: now,
        reason_code: None,
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: now - Duration::days(2),
        next_update,
        crl_number: 1.into(),
        issuing_distribution_point: None,
        revoked_certs: revoked_certs.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(issuer).unwrap().der().to_vec()
}

pub(crate) fn tomorrow() -> OffsetDateTime {
    OffsetDateTime::now_utc() + Duration::days(1)
}

/// A tenant with a certificate, and the place that serves its revocation list.
struct Site {
    server: tls::Server,
    ports: Vec<(Flow, u16)>,
    list: Arc<Mutex<Vec<u8>>>,
    fetches: Arc<AtomicUsize>,
}

pub(crate) fn identity(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Identity {
    Identity::from_der(chain, PrivateKeyDer::Pkcs8(key.serialize_der().into())).unwrap()
}

fn site(authority: &Issuer, revocation_list: Vec<u8>) -> Site {
    let (leaf, key) = certificate(authority, &["http://crl.cloud.example/ca.crl"]);
    let server = tls::Server::new(identity(vec![leaf, authority.der().clone()], &key)).unwrap();
    let network = listening(Role::Tenant);
    let (https, https_port) = one(network.listen(&[HTTPS]).unwrap());
    let (crl, crl_port) = one(network.listen(&[CRL]).unwrap());
    let (list, fetches) = (Arc::new(Mutex::new(revocation_list)), Arc::new(AtomicUsize::new(0)));
    let never = std::future::pending::<()>;
    let hello = tower::service_fn(|_: Request<Incoming>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hello")))
    });
    tokio::spawn(serve(https, Some(server.clone()), hello, ServerLimits::default(), never()));
    let (served, counted) = (Arc::clone(&list), Arc::clone(&fetches));
    let lists = tower::service_fn(move |_: Request<Incoming>| {
        counted.fetch_add(1, Ordering::Relaxed);
        let list = served.lock().unwrap().clone();
        async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(list))) }
    });
    tokio::spawn(serve(crl, None, lists, ServerLimits::default(), never()));
    Site { server, ports: vec![(HTTPS, https_port), (CRL, crl_port)], list, fetches }
}

fn client(site: &Site, trust: Trust) -> Client {
    let network = dialling(&site.ports, &[NAME, "other.cloud.example", "crl.cloud.example"]);
    let tls = tls::Client::new(trust, Revocation::by_crl(network.clone(), CRL));
    Client::tls(network, tls, ClientLimits::default())
}

async fn get(client: &Client, name: &str) -> Result<StatusCode, HttpError> {
    let name: portolan_model::DnsName = name.parse().unwrap();
    let request = Request::get("/").header("connection", "close").body(Bytes::new()).unwrap();
    Ok(client.send(HTTPS, &name, request).await?.status())
}

fn pinned(authority: &Issuer) -> Trust {
    Trust::Pinned(Fingerprint::of(authority.der()))
}

async fn refusal(client: &Client, name: &str) -> String {
    get(client, name).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_server_under_the_pinned_ca_or_a_root_is_believed() {
    let authority = authority("CA");
    let site = site(&authority, list(&authority, &[], tomorrow()));
    let roots = Trust::Roots(Roots::from_der(&[authority.der().clone()]).unwrap());
    assert_eq!(get(&client(&site, pinned(&authority)), NAME).await.unwrap(), StatusCode::OK);
    assert_eq!(get(&client(&site, roots), NAME).await.unwrap(), StatusCode::OK);
}

#[tokio::test]
async fn a_list_is_fetched_once_until_it_is_due() {
    let authority = authority("CA");
    let site = site(&authority, list(&authority, &[], tomorrow()));
    let client = client(&site, pinned(&authority));
    for _ in 0..3 {
        get(&client, NAME).await.unwrap();
    }
    assert_eq!(site.fetches.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_certificate_beside_the_chain_has_nothing_fetched() {
    let authority = authority("CA");
    let site = site(&authority, list(&authority, &[], tomorrow()));
    let (leaf, key) = certificate(&authority, &["http://crl.cloud.example/ca.crl"]);
    let (stray, _) = certificate(&authority, &["http://other.cloud.example/steered"]);
    site.server.replace(identity(vec![leaf, stray, authority.der().clone()], &key));
    get(&client(&site, pinned(&authority)), NAME).await.unwrap();
    assert_eq!(site.fetches.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let authority = authority("CA");
    let site = site(&authority, list(&authority, &[], tomorrow()));
    let text = refusal(&client(&site, pinned(&authority)), "other.cloud.example").await;
    assert!(text.ends_with("the certificate is not for other.cloud.example"), "{text}");
}

#[tokio::test]
async fn a_server_under_another_ca_is_refused() {
    let (authority, other) = (authority("CA"), authority("CA"));
    let site = site(&authority, list(&authority, &[], tomorrow()));
    let text = refusal(&client(&site, pinned(&other)), NAME).await;
    assert!(text.ends_with("is not among them"), "{text}");
    let roots = Trust::Roots(Roots::from_der(&[other.der().clone()]).unwrap());
    let text = refusal(&client(&site, roots), NAME).await;
    assert!(text.contains("presents certificates that prove nothing"), "{text}");
}

#[tokio::test]
async fn a_pinned_ca_that_did_not_sign_the_chain_is_refused() {
    let (good, evil) = (authority("CA"), authority("CA"));
    let site = site(&evil, list(&evil, &[], tomorrow()));
    let (leaf, key) = certificate(&evil, &["http://crl.cloud.example/ca.crl"]);
    site.server.replace(identity(vec![leaf, good.der().clone()], &key));
    let text = refusal(&client(&site, pinned(&good)), NAME).await;
    assert!(text.contains("presents certificates that prove nothing"), "{text}");
}

#[tokio::test]
async fn a_pinned_leaf_is_no_ca() {
    let authority = authority("CA");
    let site = site(&authority, list(&authority, &[], tomorrow()));
    let (leaf, key) = certificate(&authority, &["http://crl.cloud.example/ca.crl"]);
    site.server.replace(identity(vec![leaf.clone(), leaf.clone()], &key));
    let text = refusal(&client(&site, Trust::Pinned(Fingerprint::of(&leaf))), NAME).await;
    assert!(text.ends_with("is no CA that is valid now"), "{text}");
}

#[tokio::test]
async fn a_revoked_certificate_is_refused() {
    let authority = authority("CA");
    let site = site(&authority, list(&authority, &[SERIAL], tomorrow()));
    let text = refusal(&client(&site, pinned(&authority)), NAME).await;
    assert!(text.ends_with("its issuer revoked it"), "{text}");
    assert!(text.starts_with("connect -> sync.cloud.example: Table 2, HTTPS"), "{text}");
}

#[tokio::test]
async fn an_overdue_list_is_refused() {
    let authority = authority("CA");
    let yesterday = OffsetDateTime::now_utc() - Duration::days(1);
    let site = site(&authority, list(&authority, &[], yesterday));
    let text = refusal(&client(&site, pinned(&authority)), NAME).await;
    assert!(text.ends_with("should have been renewed before now"), "{text}");
}

#[tokio::test]
async fn a_list_signed_by_another_is_refused_and_not_kept() {
    let (right, other) = (authority("CA"), authority("CA"));
    let site = site(&right, list(&other, &[], tomorrow()));
    let client = client(&site, pinned(&right));
    let text = refusal(&client, NAME).await;
    assert!(text.ends_with("is not signed by its issuer"), "{text}");
    *site.list.lock().unwrap() = list(&right, &[], tomorrow());
    assert_eq!(get(&client, NAME).await.unwrap(), StatusCode::OK);
}

#[tokio::test]
async fn an_unreachable_list_names_its_own_row() {
    let authority = authority("CA");
    let mut site = site(&authority, Vec::new());
    let closed = closed_port().await;
    site.ports[1].1 = closed;
    let text = refusal(&client(&site, pinned(&authority)), NAME).await;
    let row =
        format!("connect -> crl.cloud.example: Table 2, HTTP {closed}/tcp (configured) is refused");
    assert!(text.ends_with(&row), "{text}");
}

#[tokio::test]
async fn what_is_no_list_is_refused() {
    let authority = authority("CA");
    let site = site(&authority, b"<html>".to_vec());
    let text = refusal(&client(&site, pinned(&authority)), NAME).await;
    assert!(
        text.ends_with("what is at http://crl.cloud.example/ca.crl is no revocation list"),
        "{text}"
    );
}

#[tokio::test]
async fn a_certificate_without_a_place_on_the_chart_is_refused() {
    let authority = authority("CA");
    let site = site(&authority, list(&authority, &[], tomorrow()));
    let far = ["https://crl.cloud.example/ca.crl", "http://crl.cloud.example:1/ca.crl"];
    for points in [&[][..], &far[..1], &far[1..]] {
        let (leaf, key) = certificate(&authority, points);
        site.server.replace(identity(vec![leaf, authority.der().clone()], &key));
        let text = refusal(&client(&site, pinned(&authority)), NAME).await;
        assert!(text.ends_with("names no revocation list on the charted port"), "{text}");
    }
    assert_eq!(site.fetches.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_replaced_identity_is_presented_from_then_on() {
    let (before, after) = (authority("CA"), authority("CA"));
    let site = site(&before, list(&before, &[], tomorrow()));
    get(&client(&site, pinned(&before)), NAME).await.unwrap();
    let (leaf, key) = certificate(&after, &["http://crl.cloud.example/ca.crl"]);
    site.server.replace(identity(vec![leaf, after.der().clone()], &key));
    *site.list.lock().unwrap() = list(&after, &[], tomorrow());
    get(&client(&site, pinned(&after)), NAME).await.unwrap();
    get(&client(&site, pinned(&before)), NAME).await.unwrap_err();
}
