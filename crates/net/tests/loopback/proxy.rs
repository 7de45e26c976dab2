//! A scripted web proxy that does not pass on: why is said, and where.

use std::fmt::Write as _;

use http::Request;
use hyper::body::Bytes;
use portolan_chart::{Role, flow};
use portolan_model::SecretString;
use portolan_net::http::{Client, ClientLimits};
use portolan_net::{DialError, Network, NetworkConfig, Proxy};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::ldaps::told;
use crate::{LOOPBACK, chart, closed_port, config};

/// A proxy that gives one answer, and tells what it was asked.
async fn scripted(answer: &'static [u8]) -> (u16, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (heard, asked) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut octets = [0; 4096];
            let length = stream.read(&mut octets).await.unwrap();
            let _ = heard.send(String::from_utf8_lossy(&octets[..length]).into_owned());
            stream.write_all(answer).await.unwrap();
        }
    });
    (port, asked)
}

fn network(port: u16) -> Network {
    let proxy: Proxy = format!("http://proxy.corp.example:{port}").parse().unwrap();
    let proxy = proxy.with_credentials(SecretString::new("name:word".to_owned()));
    // The tenant's names are the proxy's to resolve.
    let hosts = [("proxy.corp.example".parse().unwrap(), vec![LOOPBACK])].into();
    let config = config(chart(&[(flow::CONNECT_WEB_PROXY, port)]), Role::Connect);
    Network::new(NetworkConfig { hosts, proxy: Some(proxy), ..config }).unwrap()
}

async fn dialled(port: u16) -> Result<(), DialError> {
    let host: portolan_model::DnsName = "sync.cloud.example".parse().unwrap();
    network(port).dial(flow::CONNECT_TENANT_SYNC, &host).await.map(drop)
}

#[tokio::test]
async fn a_proxy_that_does_not_pass_on_is_named_beside_the_row() {
    let mut said = String::new();
    for answer in [
        "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
        "HTTP/1.1 403 Forbidden\r\n\r\n<html>",
        "HTTP/1.1 502 Bad Gateway\r\n\r\n",
        "HTTP/1.1 418 Teapot\r\n\r\n",
        "220 mail.corp.example ESMTP\r\n",
        "HTTP/1.1 200 OK\r\n\r\nhello",
        "HTTP/1.1 200 O",
    ] {
        let (port, _asked) = scripted(answer.as_bytes()).await;
        let error = dialled(port).await.unwrap_err();
        let text = told(&error, &[(flow::CONNECT_WEB_PROXY, port)]);
        write!(said, "## {}\n{text}\n", answer.lines().next().unwrap()).unwrap();
    }
    let port = closed_port().await;
    let text = told(&dialled(port).await.unwrap_err(), &[(flow::CONNECT_WEB_PROXY, port)]);
    write!(said, "## closed\n{text}").unwrap();
    insta::assert_snapshot!(said);
}

#[tokio::test]
async fn a_tunnel_is_asked_for_by_name_and_with_credentials() {
    let (port, mut asked) = scripted(b"HTTP/1.1 200 Connection established\r\n\r\n").await;
    dialled(port).await.unwrap();
    assert_eq!(
        asked.recv().await.unwrap(),
        "CONNECT sync.cloud.example:443 HTTP/1.1\r\nHost: sync.cloud.example:443\r\n\
         Proxy-Authorization: Basic bmFtZTp3b3Jk\r\n\r\n"
    );
}

#[tokio::test]
async fn a_revocation_list_is_asked_for_in_absolute_form() {
    let (port, mut asked) = scripted(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlist").await;
    let client = Client::plain(network(port), ClientLimits::default());
    let host: portolan_model::DnsName = "crl.cloud.example".parse().unwrap();
    let request = Request::get("/ca.crl").body(Bytes::new()).unwrap();
    let response = client.send(flow::CONNECT_TENANT_CRL, &host, request).await.unwrap();
    assert_eq!(response.into_body(), "list");
    let asked = asked.recv().await.unwrap();
    assert!(asked.starts_with("GET http://crl.cloud.example/ca.crl HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("host: crl.cloud.example\r\n"), "{asked}");
    assert!(asked.contains("proxy-authorization: Basic bmFtZTp3b3Jk\r\n"), "{asked}");
}

#[tokio::test]
async fn a_proxy_that_wants_credentials_for_a_plain_request_is_told_from_the_peer() {
    let (port, _asked) = scripted(b"HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n").await;
    let client = Client::plain(network(port), ClientLimits::default());
    let host: portolan_model::DnsName = "crl.cloud.example".parse().unwrap();
    let request = Request::get("/ca.crl").body(Bytes::new()).unwrap();
    let error = client.send(flow::CONNECT_TENANT_CRL, &host, request).await.unwrap_err();
    assert!(
        error.to_string().ends_with("the proxy wants a name and a password, or other ones (407)"),
        "{error}"
    );
}

#[tokio::test]
async fn the_forest_is_reached_directly() {
    let (port, mut asked) = scripted(b"HTTP/1.1 200 OK\r\n\r\n").await;
    let host: portolan_model::DnsName = "dc1.corp.example".parse().unwrap();
    let error = network(port).dial(flow::CONNECT_AD_LDAP, &host).await.unwrap_err();
    assert!(!error.to_string().contains("proxy"), "{error}");
    assert!(asked.try_recv().is_err());
}
