//! The road by IPv6 alone: names with an AAAA record and no other, and no octet by IPv4.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr};

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use portolan_chart::{Chart, Role, flow};
use portolan_net::http::{Client, ClientAddress, ClientLimits, ServerLimits, serve};
use portolan_net::{DatagramLimits, Network, NetworkConfig};
use tokio::net::UdpSocket;

use crate::name_server::Zone;
use crate::{chart, config, one};

const LOOPBACK: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// A network of `connect` that knows one name, by IPv6 only.
async fn dialling(flow: portolan_chart::Flow, port: u16, name: &str) -> Network {
    let name_server = Zone::default().address(name, LOOPBACK).serve().await;
    let chart = chart(&[(flow::CONNECT_AD_DNS, name_server), (flow, port)]);
    Network::new(config(chart, Role::Connect)).unwrap()
}

#[tokio::test]
async fn a_tenant_that_listens_by_ipv6_is_asked_by_it() {
    let network = Network::new(NetworkConfig {
        listen_address: Some(LOOPBACK),
        ephemeral_ports: true,
        ..config(Chart::default_edition(), Role::Tenant)
    });
    let (listener, port) = one(network.unwrap().listen(&[flow::CONNECT_TENANT_CRL]).unwrap());
    let who = tower::service_fn(|request: Request<Incoming>| async move {
        let address = request.extensions().get::<ClientAddress>().unwrap().0;
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(address.ip().to_string())))
    });
    tokio::spawn(serve(listener, None, who, ServerLimits::default(), std::future::pending()));
    let name: portolan_model::DnsName = "crl.cloud.example".parse().unwrap();
    let network = dialling(flow::CONNECT_TENANT_CRL, port, name.as_str()).await;
    let client = Client::plain(network, ClientLimits::default());
    for peer in [portolan_net::Peer::from(&name), LOOPBACK.into()] {
        let request = Request::get("/").body(Bytes::new()).unwrap();
        let response = client.send(flow::CONNECT_TENANT_CRL, peer, request).await.unwrap();
        assert_eq!(response.into_body(), "::1");
    }
}

#[tokio::test]
async fn a_datagram_goes_and_comes_by_ipv6() {
    let server = UdpSocket::bind((LOOPBACK, 0)).await.unwrap();
    let port = server.local_addr().unwrap().port();
    let name: portolan_model::DnsName = "dc1.corp.example".parse().unwrap();
    let network = dialling(flow::CONNECT_AD_LDAP, port, name.as_str()).await;
    let answering = async {
        let mut question = [0; 16];
        let (length, from) = server.recv_from(&mut question).await.unwrap();
        server.send_to(&question[..length], from).await.unwrap();
    };
    let limits = DatagramLimits::default();
    let asking = network.exchange(flow::CONNECT_AD_LDAP, &name, b"question", limits);
    assert_eq!(tokio::join!(asking, answering).0.unwrap(), b"question");
}
