//! A directory behind a socket: an LDAP server inside TLS on loopback, in the project's own codec, that
//! answers what a scripted forest answers. So the client, its bind, its controls and its framing are those that
//! a forest meets.
//!
//! Each domain has a server of its own, as it has controllers. A search that may show much is answered in
//! pages that are shorter than those asked for, one of a whole domain names the domains below it, and one of
//! another domain is referred there, as a controller does ([MS-ADTS] 3.1.1.3.1.4).
//!
//! [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};

use portolan_chart::{Chart, Role, flow};
use portolan_ldap::control::PagedResults;
use portolan_ldap::message::{BindResponse, Message, Operation};
use portolan_ldap::{Control, LdapResult, MessageId, ResultCode, Scope, SearchResultEntry};
use portolan_model::{DistinguishedName, DnsName, Realm, SecretString};
use portolan_net::dc::DomainController;
use portolan_net::kerberos::{AccountSecret, Credential};
use portolan_net::ldap::{Channel, LdapConnection, LdapLimits, TlsBind};
use portolan_net::tls::{self, Identity, Revocation, Roots, Trust};
use portolan_net::{Network, NetworkConfig};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    CrlDistributionPoint, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair,
    KeyUsagePurpose,
};
use rustls_pki_types::PrivateKeyDer;
use time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::super::stands_in;
use super::forest::Forest;
use super::server::Asked;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Where the revocation list is.
const PKI: &str = "pki.corp.example";
/// Entries of a page: the limit of the server, below what is asked for.
const PAGE_ENTRIES: usize = 2;
/// Octets that are sent at once: no entry arrives in one piece.
const SENT_OCTETS: usize = 7;

/// The servers of a forest.
pub(super) struct Servers {
    forest: Arc<Mutex<Forest>>,
    roots: Vec<u8>,
    /// By domain, the port of its server.
    ports: BTreeMap<DnsName, u16>,
    list_port: u16,
    /// What was asked, of whom.
    pub(super) log: Arc<Mutex<Vec<String>>>,
}

impl Servers {
    /// Brings up a server for each domain.
    pub(super) async fn up(forest: Forest, domains: &[&str]) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Forest CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let now = portolan_net::clock::now();
        let list = CertificateRevocationListParams {
            this_update: now - Duration::days(1),
            next_update: now + Duration::days(1),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&authority).unwrap().der().to_vec();
        let domains: Vec<DnsName> = domains.iter().map(|name| name.parse().unwrap()).collect();
        let mut this = Self {
            forest: Arc::new(Mutex::new(forest)),
            roots: authority.der().to_vec(),
            ports: BTreeMap::new(),
            list_port: serve_list(list).await,
            log: Arc::default(),
        };
        for domain in &domains {
            let mut params = CertificateParams::new(vec![host(domain)]).unwrap();
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            let uris = vec![format!("http://{PKI}/ca.crl")];
            params.crl_distribution_points = vec![CrlDistributionPoint { uris }];
            let key = KeyPair::generate().unwrap();
            let leaf = params.signed_by(&key, &authority).unwrap().der().clone();
            let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
            let server = tls::Server::new(Identity::from_der(vec![leaf], key).unwrap()).unwrap();
            let listener = listener().await;
            this.ports.insert(domain.clone(), listener.local_addr().unwrap().port());
            let site = Site {
                domain: domain.clone(),
                others: domains.iter().filter(|other| *other != domain).cloned().collect(),
                forest: Arc::clone(&this.forest),
                log: Arc::clone(&this.log),
            };
            tokio::spawn(site.serve(listener, server));
        }
        this
    }

    /// The forest, to be changed.
    pub(super) fn forest(&self) -> std::sync::MutexGuard<'_, Forest> {
        self.forest.lock().unwrap()
    }

    /// A connection to a domain's server, bound.
    pub(super) async fn connect(&self, domain: &DnsName) -> LdapConnection {
        let ports = [
            (flow::CONNECT_AD_LDAPS, self.ports[domain]),
            (flow::CONNECT_FOREST_CRL, self.list_port),
        ];
        let chart = ports.iter().fold(Chart::default_edition(), |chart, (flow, port)| {
            chart.with_port(*flow, NonZeroU16::new(*port).unwrap()).unwrap()
        });
        let names = [host(domain), PKI.to_owned()];
        let hosts = names.iter().map(|name| (name.parse().unwrap(), vec![LOOPBACK])).collect();
        let config = NetworkConfig {
            hosts,
            name_servers: Some(vec![LOOPBACK]),
            ..NetworkConfig::new(chart, Role::Connect)
        };
        let network = Network::new(config).unwrap();
        let roots = Roots::from_der(&[self.roots.clone().into()]).unwrap();
        let revocation = Revocation::by_crl(network.clone(), flow::CONNECT_FOREST_CRL);
        let tls = tls::Client::for_ldap(Trust::Roots(roots), revocation);
        let channel = Channel::Tls { tls, bind: TlsBind::Password };
        let password = AccountSecret::Password(SecretString::new("secret".to_owned()));
        let credential = Credential::new("svc_connect".to_owned(), Realm::from(domain), password);
        let host = host(domain).parse().unwrap();
        let controller = DomainController { host, domain: domain.clone() };
        let limits = LdapLimits::default();
        let connected =
            LdapConnection::connect(&network, &controller, &credential, &channel, limits);
        connected.await.unwrap()
    }
}

fn host(domain: &DnsName) -> String {
    format!("dc1.{domain}")
}

#[expect(clippy::disallowed_methods, reason = "a controller is no role of ours with a flow")]
async fn listener() -> TcpListener {
    TcpListener::bind((LOOPBACK, 0)).await.unwrap()
}

/// Serves a revocation list to whoever asks.
async fn serve_list(list: Vec<u8>) -> u16 {
    let listener = listener().await;
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = vec![0; 4096];
            let _ = stream.read(&mut asked).await;
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                list.len()
            );
            let _ = stream.write_all(&[head.as_bytes(), &list].concat()).await;
        }
    });
    port
}

/// The server of a domain.
#[derive(Clone)]
struct Site {
    domain: DnsName,
    others: Vec<DnsName>,
    forest: Arc<Mutex<Forest>>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Site {
    async fn serve(self, listener: TcpListener, server: tls::Server) {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = server.accept(stream).await else { continue };
            let site = self.clone();
            tokio::spawn(async move {
                while let Some(octets) = message(&mut stream).await {
                    let message = Message::decode(&octets).unwrap();
                    let (id, controls) = (message.id, message.controls);
                    let answers = match message.operation {
                        Operation::BindRequest(_) => vec![bound(id)],
                        Operation::SearchRequest(request) => {
                            site.searched(id, &Asked { request, controls })
                        }
                        // A farewell, or a search that was given up.
                        _ => Vec::new(),
                    };
                    for octets in answers {
                        for part in octets.chunks(SENT_OCTETS.max(octets.len() / 3)) {
                            stream.write_all(part).await.unwrap();
                            stream.flush().await.unwrap();
                        }
                    }
                }
            });
        }
    }

    /// The messages that answer a search.
    fn searched(&self, id: MessageId, asked: &Asked) -> Vec<Vec<u8>> {
        let (base, scope) = (asked.request.base.as_str(), asked.request.scope);
        let note = format!("{} {base} {}", self.domain, asked.request.filter);
        self.log.lock().unwrap().push(note);
        // Every controller of the forest has its configuration.
        let is_configuration = base.contains("CN=Configuration,");
        let other = self.others.iter().find(|other| stands_in(base, other));
        if let Some(other) = other.filter(|_| !is_configuration) {
            let done = LdapResult {
                code: ResultCode::Referral,
                referrals: vec![url(other)],
                ..LdapResult::SUCCESS
            };
            return vec![encoded(id, Operation::SearchResultDone(done), None)];
        }
        let answer = self.forest.lock().unwrap().answer(&self.domain, asked);
        let (entries, control) = match asked.page() {
            Some(page) => a_page(answer.entries, &page),
            None => (answer.entries, answer.control),
        };
        let mut messages: Vec<_> = entries
            .into_iter()
            .map(|entry| encoded(id, Operation::SearchResultEntry(entry), None))
            .collect();
        let is_whole = base == DistinguishedName::of_domain(&self.domain).as_str();
        if is_whole && scope == Scope::Subtree {
            let suffix = format!(".{}", self.domain);
            let below = self.others.iter().filter(|other| other.as_str().ends_with(&suffix));
            for other in below {
                let reference = Operation::SearchResultReference(vec![url(other)]);
                messages.push(encoded(id, reference, None));
            }
        }
        let done = LdapResult { code: answer.code, ..LdapResult::SUCCESS };
        messages.push(encoded(id, Operation::SearchResultDone(done), control));
        messages
    }
}

/// The entries of the page that was asked for; its cookie is how many were shown before.
fn a_page(
    entries: Vec<SearchResultEntry>,
    asked: &PagedResults,
) -> (Vec<SearchResultEntry>, Option<Control>) {
    let shown: usize = std::str::from_utf8(&asked.cookie).unwrap().parse().unwrap_or_default();
    let most = PAGE_ENTRIES.min(asked.size as usize);
    let next = shown + most;
    let cookie = if next < entries.len() { next.to_string().into_bytes() } else { Vec::new() };
    let page = entries.into_iter().skip(shown).take(most).collect();
    (page, Some(PagedResults { size: 0, cookie }.control()))
}

fn url(domain: &DnsName) -> String {
    format!("ldap://{domain}/{}", DistinguishedName::of_domain(domain))
}

fn bound(id: MessageId) -> Vec<u8> {
    let response = BindResponse { result: LdapResult::SUCCESS, server_sasl_credentials: None };
    encoded(id, Operation::BindResponse(response), None)
}

fn encoded(id: MessageId, operation: Operation, control: Option<Control>) -> Vec<u8> {
    let mut message = Message::new(id, operation);
    message.controls.extend(control);
    message.encode().to_vec()
}

/// The next message; `None` when the client has closed. A length has one octet, or up to four behind one
/// that says how many.
async fn message(stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut octets = vec![0; 2];
    stream.read_exact(&mut octets).await.ok()?;
    let length = match octets[1] {
        short @ ..=0x7f => usize::from(short),
        long => {
            let mut length = vec![0; usize::from(long & 0x7f)];
            stream.read_exact(&mut length).await.ok()?;
            octets.extend_from_slice(&length);
            length.iter().fold(0, |length, octet| length << 8 | usize::from(*octet))
        }
    };
    let start = octets.len();
    octets.resize(start + length, 0);
    stream.read_exact(&mut octets[start..]).await.ok()?;
    Some(octets)
}
