//! A scripted directory inside TLS: what is wrong with it is said in one sentence, with what to do.

use std::convert::Infallible;
use std::fmt::Write as _;

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use portolan_chart::{Flow, Role, flow};
use portolan_ldap::message::{BindResponse, LdapResult, Message, Operation, SearchResultEntry};
use portolan_ldap::{ChangeOperation, DelRequest, ModifyRequest, ResultCode, Scope, SearchRequest};
use portolan_model::{Hint, Realm, SecretString};
use portolan_net::dc::DomainController;
use portolan_net::http::{ServerLimits, serve};
use portolan_net::kerberos::{AccountSecret, Credential};
use portolan_net::ldap::{Channel, LdapConnection, LdapError, LdapLimits, TlsBind};
use portolan_net::tls::{self, Revocation, Roots, Trust};
use rcgen::{CertificateParams, CrlDistributionPoint, ExtendedKeyUsagePurpose, KeyPair};
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::tls::{Issuer, authority, identity, list, tomorrow};
use crate::{LOOPBACK, closed_port, dialling, listening, one};

const DC: &str = "dc1.corp.example";
const PKI: &str = "pki.corp.example";
const SERIAL: u64 = 9;

/// A directory that can be wrong in one way.
struct Site {
    authority: Issuer,
    params: CertificateParams,
    list: Vec<u8>,
    /// Whom the client believes.
    believed: Vec<u8>,
    /// Whether the list's port is open.
    serves_list: bool,
    bind: LdapResult,
    search: Vec<Operation>,
    /// What is answered in place of the rest.
    octets: Option<&'static [u8]>,
}

/// What an operator reads of a directory that answers the bind with these octets.
pub(crate) async fn answered_with(octets: &'static [u8]) -> String {
    Site { octets: Some(octets), ..site() }.said().await
}

fn site() -> Site {
    let authority = authority("Forest CA");
    let mut params = CertificateParams::new(vec![DC.to_owned()]).unwrap();
    params.serial_number = Some(SERIAL.into());
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let uris = vec![format!("http://{PKI}/ca.crl")];
    params.crl_distribution_points = vec![CrlDistributionPoint { uris }];
    Site {
        list: list(&authority, &[], tomorrow()),
        believed: authority.der().to_vec(),
        authority,
        params,
        serves_list: true,
        bind: LdapResult::SUCCESS,
        search: Vec::new(),
        octets: None,
    }
}

fn refusal(code: u32, text: &str) -> LdapResult {
    let code = ResultCode::from_number(code);
    LdapResult { code, diagnostic: text.to_owned(), ..LdapResult::SUCCESS }
}

impl Site {
    /// Serves, and gives the ports.
    async fn up(&self) -> Vec<(Flow, u16)> {
        let key = KeyPair::generate().unwrap();
        let leaf = self.params.signed_by(&key, &self.authority).unwrap().der().clone();
        let server = tls::Server::new(identity(vec![leaf], &key)).unwrap();
        let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
        let ldaps_port = listener.local_addr().unwrap().port();
        let (bind, search, hostile) = (self.bind.clone(), self.search.clone(), self.octets);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = server.accept(stream).await else { continue };
                let mut octets = vec![0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut octets).await {
                    if let Some(hostile) = hostile {
                        stream.write_all(hostile).await.unwrap();
                        continue;
                    }
                    let Ok(request) = Message::decode(&octets[..length]) else { break };
                    let answers = match request.operation {
                        Operation::BindRequest(_) => vec![Operation::BindResponse(BindResponse {
                            result: bind.clone(),
                            server_sasl_credentials: None,
                        })],
                        _ => search.clone(),
                    };
                    for operation in answers {
                        let answer = Message::new(request.id, operation).encode();
                        stream.write_all(&answer).await.unwrap();
                    }
                }
            }
        });
        vec![(flow::CONNECT_AD_LDAPS, ldaps_port), (flow::CONNECT_FOREST_CRL, self.lists().await)]
    }

    async fn lists(&self) -> u16 {
        if !self.serves_list {
            return closed_port().await;
        }
        let network = listening(Role::Tenant);
        let (listener, port) = one(network.listen(&[flow::CONNECT_FOREST_CRL]).unwrap());
        let list = self.list.clone();
        let lists = tower::service_fn(move |_: Request<Incoming>| {
            let list = list.clone();
            async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(list))) }
        });
        tokio::spawn(serve(listener, None, lists, ServerLimits::default(), std::future::pending()));
        port
    }

    async fn bind(&self, ports: &[(Flow, u16)]) -> Result<LdapConnection, LdapError> {
        let network = dialling(ports, &[DC, PKI]);
        let roots = Roots::from_der(&[self.believed.clone().into()]).unwrap();
        let revocation = Revocation::by_crl(network.clone(), flow::CONNECT_FOREST_CRL);
        let tls = tls::Client::for_ldap(Trust::Roots(roots), revocation);
        let channel = Channel::Tls { tls, bind: TlsBind::Password };
        let domain = "corp.example".parse().unwrap();
        let password = AccountSecret::Password(SecretString::new("secret".to_owned()));
        let credential = Credential::new("svc_connect".to_owned(), Realm::from(&domain), password);
        let controller = DomainController { host: DC.parse().unwrap(), domain };
        let limits = LdapLimits::default();
        LdapConnection::connect(&network, &controller, &credential, &channel, limits).await
    }

    /// What an operator reads, with the chart's ports in place of the test's.
    async fn said(&self) -> String {
        let ports = self.up().await;
        let error = self.bind(&ports).await.unwrap_err();
        told(&error, &ports)
    }
}

pub(crate) fn told(error: &(impl std::error::Error + Hint), ports: &[(Flow, u16)]) -> String {
    let mut text = format!("error: {error}\n");
    if let Some(hint) = error.hint() {
        writeln!(text, "  hint: {hint}").unwrap();
    }
    let chart = portolan_chart::Chart::default_edition();
    for (flow, port) in ports {
        let own = chart.row(*flow).unwrap().first_port();
        let configured = |transport| format!("{port}/{transport} (configured)");
        text = text.replace(&configured("tcp"), &format!("{own}/tcp"));
        text = text.replace(&format!(":{port}"), ":PORT");
    }
    text
}

/// One snapshot of all of them: each is one sentence and a hint.
#[tokio::test]
async fn each_thing_that_can_be_wrong_with_ldaps_is_said_in_one_sentence_with_a_hint() {
    let mut said = String::new();
    let mut say = |what: &str, text: String| write!(said, "## {what}\n{text}\n").unwrap();
    let other = authority("Forest CA").der().to_vec();
    say("another authority", Site { believed: other, ..site() }.said().await);
    let mut expired = site();
    expired.params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    expired.params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    say("expired", expired.said().await);
    let mut early = site();
    early.params.not_before = rcgen::date_time_ymd(2100, 1, 1);
    early.params.not_after = rcgen::date_time_ymd(2101, 1, 1);
    say("not valid yet", early.said().await);
    let mut misnamed = site();
    misnamed.params.subject_alt_names =
        vec![rcgen::SanType::DnsName("dc9.example".try_into().unwrap())];
    say("another name", misnamed.said().await);
    let mut revoked = site();
    revoked.list = list(&revoked.authority, &[SERIAL], tomorrow());
    say("revoked", revoked.said().await);
    say("list out of reach", Site { serves_list: false, ..site() }.said().await);
    let mut stale = site();
    stale.list = list(&stale.authority, &[], OffsetDateTime::now_utc() - Duration::days(1));
    say("stale list", stale.said().await);
    let forged = list(&authority("Forest CA"), &[], tomorrow());
    say("list of another authority", Site { list: forged, ..site() }.said().await);
    say("no list", Site { list: b"<html>".to_vec(), ..site() }.said().await);
    let mut silent = site();
    silent.params.crl_distribution_points = Vec::new();
    say("no place of a list", silent.said().await);

    let strong = refusal(8, "BindSimple: Transport encryption required.");
    say("wants more", Site { bind: strong, ..site() }.said().await);
    let wrong = refusal(49, "80090308: LdapErr: DSID-0C09044E, comment: x, data 52e, v4563\0");
    say("wrong password", Site { bind: wrong, ..site() }.said().await);
    say("busy", Site { bind: refusal(51, ""), ..site() }.said().await);

    let site = site();
    let ports = [(flow::CONNECT_AD_LDAPS, closed_port().await)];
    let closed = site.bind(&ports).await.unwrap_err();
    say("closed port", told(&closed, &ports));
    let clear = crate::http::plain_port().await;
    let ports = [(flow::CONNECT_AD_LDAPS, clear)];
    let clear = site.bind(&ports).await.unwrap_err();
    say("no TLS there", told(&clear, &ports));
    insta::assert_snapshot!(said);
}

async fn search(site: Site) -> (LdapConnection, SearchRequest) {
    let ports = site.up().await;
    let connection = site.bind(&ports).await.unwrap();
    let filter = "(objectClass=*)".parse().unwrap();
    (connection, SearchRequest::new("dc=corp,dc=example", Scope::Subtree, filter))
}

#[tokio::test]
async fn a_reference_to_elsewhere_is_counted_and_not_followed() {
    let elsewhere = "ldap://other.corp.example/dc=other,dc=corp,dc=example".to_owned();
    let entry = SearchResultEntry::new("dc=corp,dc=example", &[]).unwrap();
    let search_answers = vec![
        Operation::SearchResultReference(vec![elsewhere]),
        Operation::SearchResultEntry(entry),
        Operation::SearchResultDone(LdapResult::SUCCESS),
    ];
    // The name of the other server is in no table: asking it would fail the search.
    let (mut connection, request) = search(Site { search: search_answers, ..site() }).await;
    let mut found = connection.search(request, Vec::new()).await.unwrap();
    assert_eq!(found.next().await.unwrap().unwrap().dn(), "dc=corp,dc=example");
    assert!(found.next().await.unwrap().is_none());
    assert_eq!(found.end().unwrap().references, 1);
}

#[tokio::test]
async fn a_referral_ends_a_search_and_is_not_followed() {
    let referral = LdapResult {
        code: ResultCode::Referral,
        referrals: vec!["ldap://other.corp.example/".to_owned()],
        ..LdapResult::SUCCESS
    };
    let search_answers = vec![Operation::SearchResultDone(referral)];
    let (mut connection, request) = search(Site { search: search_answers, ..site() }).await;
    let mut found = connection.search(request, Vec::new()).await.unwrap();
    let error = found.next().await.unwrap_err();
    assert!(error.to_string().contains("the directory answered referral (10)"), "{error}");
    assert!(error.hint().unwrap().contains("held elsewhere"));
}

#[tokio::test]
async fn a_connection_that_breaks_in_a_search_names_its_controller() {
    let entry = SearchResultEntry::new("dc=corp,dc=example", &[]).unwrap();
    let garbage = Operation::AbandonRequest(portolan_ldap::MessageId::UNSOLICITED);
    let search_answers = vec![Operation::SearchResultEntry(entry), garbage];
    let (mut connection, request) = search(Site { search: search_answers, ..site() }).await;
    assert_eq!(connection.link().peer(), DC);
    let mut found = connection.search(request, Vec::new()).await.unwrap();
    found.next().await.unwrap().unwrap();
    let error = found.next().await.unwrap_err();
    assert!(
        error.to_string().starts_with("connect -> dc1.corp.example: Table 1, LDAP/SSL"),
        "{error}"
    );
}

fn mail_change() -> ModifyRequest {
    ModifyRequest::new("cn=a,dc=corp,dc=example")
        .with(ChangeOperation::Delete, "mail", ["old@corp.example"])
        .with(ChangeOperation::Add, "mail", ["new@corp.example"])
}

#[tokio::test]
async fn a_refused_update_is_told_in_full_and_the_connection_goes_on() {
    let refused = LdapResult {
        matched_dn: "dc=corp,dc=example".to_owned(),
        ..refusal(32, "0000208D: NameErr")
    };
    let answers = vec![Operation::ModifyResponse(refused)];
    let (mut connection, _) = search(Site { search: answers, ..site() }).await;
    for _ in 0..2 {
        let error = connection.modify(mail_change(), Vec::new()).await.unwrap_err();
        let text = error.to_string();
        for part in [
            "refuses the change of \"cn=a,dc=corp,dc=example\"",
            "noSuchObject (32), known as far as dc=corp,dc=example: 0000208D: NameErr",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(error.hint().unwrap().contains("moved, renamed or deleted"));
    }
}

#[tokio::test]
async fn an_update_succeeds_by_its_own_response_and_by_no_other() {
    let taken = vec![Operation::ModifyResponse(LdapResult::SUCCESS)];
    let (mut connection, _) = search(Site { search: taken, ..site() }).await;
    connection.modify(mail_change(), Vec::new()).await.unwrap();
    let delete = DelRequest { entry: "cn=a,dc=corp,dc=example".to_owned() };
    let error = connection.delete(delete, Vec::new()).await.unwrap_err();
    assert!(error.to_string().contains("with a message of another kind"), "{error}");
    let error = connection.modify(mail_change(), Vec::new()).await.unwrap_err();
    assert!(error.to_string().contains("the LDAP session has ended"), "{error}");
}
