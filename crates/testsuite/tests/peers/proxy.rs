//! tinyproxy on the way to a tenant: HTTPS through its tunnel, revocation lists by plain requests.

use std::convert::Infallible;
use std::num::NonZeroU16;

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use portolan_chart::{Chart, Role, flow};
use portolan_model::{Hint as _, SecretString};
use portolan_net::http::{Client, ClientLimits, HttpError, ServerLimits, serve};
use portolan_net::tls::{self, Identity, Revocation, Roots, Trust};
use portolan_net::{Network, NetworkConfig, Proxy};

use crate::authority::Authority;
use crate::process::{LOOPBACK, Server, free_port, program};

/// The tenant by its address: the proxy resolves names with the system's own resolver, which knows no
/// name of this test.
const TENANT: std::net::IpAddr = LOOPBACK;

async fn tinyproxy(folder: &std::path::Path, allowed: u16) -> (Server, u16) {
    let port = free_port().await;
    let config = format!(
        "Port {port}\nListen {LOOPBACK}\nTimeout 10\nAllow {LOOPBACK}\nMaxClients 20\n\
         BasicAuth name word\nConnectPort {allowed}\nDisableViaHeader Yes\n"
    );
    let file = folder.join("tinyproxy.conf");
    std::fs::write(&file, config).unwrap();
    let mut command = program("tinyproxy");
    command.arg("-d").arg("-c").arg(file);
    (Server::start(command, port).await, port)
}

/// A tenant inside TLS; gives its port.
async fn tenant(authority: &Authority) -> u16 {
    let issued = authority.issue_for_address(&TENANT.to_string());
    let chain = rustls_pki_types::pem::PemObject::from_pem_slice(issued.certificate.as_bytes());
    let key = rustls_pki_types::pem::PemObject::from_pem_slice(issued.key.as_bytes());
    let server = tls::Server::new(Identity::from_der(vec![chain.unwrap()], key.unwrap()).unwrap());
    let network = Network::new(NetworkConfig {
        listen_address: Some(LOOPBACK),
        ephemeral_ports: true,
        name_servers: Some(Vec::new()),
        ..NetworkConfig::new(Chart::default_edition(), Role::Tenant)
    });
    let listener = network.unwrap().listen(&[flow::CONNECT_TENANT_SYNC]).unwrap().remove(0);
    let port = listener.local_address().unwrap().port();
    let hello = tower::service_fn(|_: Request<Incoming>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hello")))
    });
    let never = std::future::pending();
    tokio::spawn(serve(listener, Some(server.unwrap()), hello, ServerLimits::default(), never));
    port
}

async fn ask(
    authority: &Authority,
    tenant: u16,
    proxy: u16,
    credentials: Option<&str>,
) -> Result<StatusCode, HttpError> {
    let url: Proxy = format!("http://{LOOPBACK}:{proxy}").parse().unwrap();
    let url = match credentials {
        Some(text) => url.with_credentials(SecretString::new(text.to_owned())),
        None => url,
    };
    let ports = [
        (flow::CONNECT_TENANT_SYNC, tenant),
        (flow::CONNECT_TENANT_CRL, authority.port),
        (flow::CONNECT_WEB_PROXY, proxy),
    ];
    let chart = ports.into_iter().fold(Chart::default_edition(), |chart, (flow, port)| {
        chart.with_port(flow, NonZeroU16::new(port).unwrap()).unwrap()
    });
    let config = NetworkConfig::new(chart, Role::Connect);
    let config = NetworkConfig { name_servers: Some(Vec::new()), proxy: Some(url), ..config };
    let network = Network::new(config).unwrap();
    let roots = Trust::Roots(Roots::from_pem(authority.pem().as_bytes()).unwrap());
    let revocation = Revocation::by_crl(network.clone(), flow::CONNECT_TENANT_CRL);
    let tls = tls::Client::new(roots, revocation);
    let client = Client::tls(network, tls, ClientLimits::default());
    let request = Request::get("/").body(Bytes::new()).unwrap();
    Ok(client.send(flow::CONNECT_TENANT_SYNC, TENANT, request).await?.status())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_and_its_revocation_list_are_reached_through_tinyproxy() {
    let authority = Authority::up().await;
    let (folder, tenant) = (tempfile::tempdir().unwrap(), tenant(&authority).await);
    let (_server, proxy) = tinyproxy(folder.path(), tenant).await;
    let status = ask(&authority, tenant, proxy, Some("name:word")).await.unwrap();
    assert_eq!(status, StatusCode::OK);

    // Who it is has to be right, and where it goes.
    for credentials in [None, Some("name:other")] {
        let error = ask(&authority, tenant, proxy, credentials).await.unwrap_err();
        assert!(error.to_string().contains(&format!("by http://{LOOPBACK}:{proxy}")), "{error}");
        assert!(error.hint().is_some(), "{error}");
    }
    let elsewhere = free_port().await;
    let error = ask(&authority, elsewhere, proxy, Some("name:word")).await.unwrap_err();
    assert!(error.to_string().ends_with("the proxy forbids it (403)"), "{error}");
}
