//! LDAP inside TLS: the Kerberos bind is good for the one TLS connection that it is made in.

use std::num::NonZeroU16;

use portolan_chart::{Chart, Role, flow};
use portolan_ldap::{Filter, Scope, SearchRequest};
use portolan_model::Hint as _;
use portolan_net::ldap::{Channel, LdapConnection, LdapError, LdapLimits, TlsBind};
use portolan_net::tls::{self, Identity, Revocation, Roots, Trust};
use portolan_net::{Network, NetworkConfig, Peer};

use crate::authority::{Authority, CRL_HOST};
use crate::directory::{Binding, Directory, HOST, Kdc};
use crate::process::LOOPBACK;

/// connect's network, with the directory on a port of its own.
fn network(authority: &Authority, directory: &Directory, ldaps_port: u16) -> Network {
    let ports = [
        (flow::CONNECT_AD_LDAP, directory.ldap_port),
        (flow::CONNECT_AD_LDAPS, ldaps_port),
        (flow::CONNECT_AD_KERBEROS, directory.kdc_port),
        (flow::CONNECT_FOREST_CRL, authority.port),
    ];
    let chart = ports.into_iter().fold(Chart::default_edition(), |chart, (flow, port)| {
        chart.with_port(flow, NonZeroU16::new(port).unwrap()).unwrap()
    });
    let hosts = [HOST, CRL_HOST].map(|name| (name.parse().unwrap(), vec![LOOPBACK])).into();
    let config = NetworkConfig { hosts, ..NetworkConfig::new(chart, Role::Connect) };
    Network::new(NetworkConfig { name_servers: Some(Vec::new()), ..config }).unwrap()
}

fn client(authority: &Authority, network: &Network) -> tls::Client {
    let roots = Roots::from_pem(authority.pem().as_bytes()).unwrap();
    let revocation = Revocation::by_crl(network.clone(), flow::CONNECT_FOREST_CRL);
    tls::Client::for_ldap(Trust::Roots(roots), revocation)
}

async fn bind(
    authority: &Authority,
    directory: &Directory,
    port: u16,
) -> Result<LdapConnection, LdapError> {
    let network = network(authority, directory, port);
    let channel = Channel::Tls { tls: client(authority, &network), bind: TlsBind::Kerberos };
    let (controller, credential) = (directory.controller(), directory.credential());
    let limits = LdapLimits::default();
    LdapConnection::connect(&network, &controller, &credential, &channel, limits).await
}

/// The entry that the account alone may read.
async fn base_entry(connection: &mut LdapConnection) -> Vec<String> {
    let filter: Filter = "(objectClass=dcObject)".parse().unwrap();
    let request = SearchRequest::new("dc=corp,dc=example", Scope::Base, filter);
    let mut found = connection.search(request, Vec::new()).await.unwrap();
    let mut names = Vec::new();
    while let Some(entry) = found.next().await.unwrap() {
        names.push(entry.dn().to_string());
    }
    names
}

/// Somebody in between who holds a certificate for the same name by the same authority, and passes
/// on all that is said.
async fn relay(authority: &Authority, directory: &Directory) -> u16 {
    let issued = authority.issue(HOST);
    let chain = rustls_pki_types::pem::PemObject::from_pem_slice(issued.certificate.as_bytes());
    let key = rustls_pki_types::pem::PemObject::from_pem_slice(issued.key.as_bytes());
    let server = tls::Server::new(Identity::from_der(vec![chain.unwrap()], key.unwrap()).unwrap());
    let server = server.unwrap();
    let network = network(authority, directory, directory.ldaps_port);
    let client = client(authority, &network);
    let listener = tokio::net::TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut near = server.accept(stream).await.unwrap();
            let host: Peer = HOST.parse().unwrap();
            let onward = network.dial(flow::CONNECT_AD_LDAPS, &host).await.unwrap();
            let mut far = client.connect(onward.stream, &host, &onward.link).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn slapd_accepts_a_kerberos_bind_that_is_bound_to_its_certificate() {
    let authority = Authority::up().await;
    let directory = Directory::up(&authority, Binding::Checked).await;
    let mut connection = bind(&authority, &directory, directory.ldaps_port).await.unwrap();
    assert_eq!(base_entry(&mut connection).await, ["dc=corp,dc=example"]);
    connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kerberos_bind_succeeds_with_the_tickets_of_heimdal_s_kdc() {
    let authority = Authority::up().await;
    let directory = Directory::with(Kdc::Heimdal, &authority, Binding::Checked).await;
    let mut connection = bind(&authority, &directory, directory.ldaps_port).await.unwrap();
    assert_eq!(base_entry(&mut connection).await, ["dc=corp,dc=example"]);
    connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn slapd_refuses_a_bind_that_is_bound_to_the_certificate_of_a_relay() {
    let authority = Authority::up().await;
    let directory = Directory::up(&authority, Binding::Checked).await;
    let port = relay(&authority, &directory).await;
    let error = bind(&authority, &directory, port).await.unwrap_err();
    let LdapError::Refused { refusal, .. } = &error else { panic!("{error}") };
    assert_eq!(refusal.0.code, portolan_ldap::ResultCode::InvalidCredentials, "{error}");

    // The relay itself is sound: a directory that does not look is taken in by it.
    let careless = Directory::up(&authority, Binding::NotChecked).await;
    let port = relay(&authority, &careless).await;
    let mut connection = bind(&authority, &careless, port).await.unwrap();
    assert_eq!(base_entry(&mut connection).await, ["dc=corp,dc=example"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slapd_that_does_not_seal_in_clear_is_refused() {
    let authority = Authority::up().await;
    // Its maxssf is 0: inside TLS that is enough, in clear nothing protects what follows.
    let directory = Directory::up(&authority, Binding::NotChecked).await;
    let network = network(&authority, &directory, directory.ldaps_port);
    let (controller, credential) = (directory.controller(), directory.credential());
    let limits = LdapLimits::default();
    let connected = LdapConnection::connect_sealed(&network, &controller, &credential, limits);
    let error = connected.await.unwrap_err();
    let port = directory.ldap_port;
    let row = format!("Table 1, LDAP {port}/tcp (configured)");
    let said = format!(
        "connect -> {HOST}: {row} cannot be sealed: the server does not offer confidentiality, its \
         layers are 0x01"
    );
    assert_eq!(error.to_string(), said);
    let hint = "let the directory server seal LDAP (ssf 56 or more), or connect to it over TLS";
    assert_eq!(error.hint().unwrap(), hint);
}
