//! Connections and datagrams that fail, and how they say so.

use std::time::Duration;

use portolan_chart::{Chart, Role, flow};
use portolan_model::{DnsName, Hint};
use portolan_net::{DatagramLimits, Fault, Network, NetworkConfig, Peer};
use tokio::net::UdpSocket;

use crate::{LOOPBACK, chart, closed_port, config, dialling, listening, one};

#[tokio::test]
async fn a_refused_connection_names_its_row_and_the_way_out() {
    let port = closed_port().await;
    let network = dialling(&[(flow::CONNECT_AD_LDAP, port)], &["dc1.corp.example"]);
    let dc: DnsName = "dc1.corp.example".parse().unwrap();
    let error = network.dial(flow::CONNECT_AD_LDAP, &dc).await.unwrap_err();
    let row = format!("Table 1, LDAP {port}/tcp (configured)");
    assert_eq!(error.to_string(), format!("connect -> dc1.corp.example: {row} is refused"));
    let hint = error.hint().unwrap();
    assert!(hint.contains(&format!("open {row} from connect to dc1.corp.example")), "{hint}");
    assert!(hint.ends_with("run `portolan chart list --role connect`"), "{hint}");
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_refuses() {
    let (listener, port) =
        one(listening(Role::Tenant).listen(&[flow::CONNECT_TENANT_SYNC]).unwrap());
    let name: DnsName = "sync.cloud.example".parse().unwrap();
    let hosts = [(name.clone(), vec!["::1".parse().unwrap(), LOOPBACK])].into();
    let chart = chart(&[(flow::CONNECT_TENANT_SYNC, port)]);
    let network = Network::new(NetworkConfig { hosts, ..config(chart, Role::Connect) }).unwrap();
    let (dialled, accepted) =
        tokio::join!(network.dial(flow::CONNECT_TENANT_SYNC, &name), listener.accept());
    let local = dialled.unwrap().stream.local_addr().unwrap();
    assert_eq!(accepted.unwrap().1, local);
}

/// A port that takes no connection any more and says nothing about it, as an address that leads
/// nowhere: its queue is full.
fn black_hole(address: &str) -> (u16, Vec<socket2::Socket>) {
    use socket2::{Domain, Socket, Type};
    let socket = || Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
    let listener = socket();
    listener.set_only_v6(true).unwrap();
    let free: std::net::SocketAddr = format!("[{address}]:0").parse().unwrap();
    listener.bind(&free.into()).unwrap();
    listener.listen(0).unwrap();
    let at = listener.local_addr().unwrap();
    let mut held = vec![listener];
    for _ in 0..8 {
        let filling = socket();
        if filling.connect_timeout(&at, Duration::from_millis(50)).is_err() {
            return (at.as_socket().unwrap().port(), held);
        }
        held.push(filling);
    }
    unreachable!("a queue for one takes eight")
}

#[tokio::test]
async fn a_silent_address_holds_nobody_up_and_is_told_when_it_is_the_only_one() {
    let (port, _held) = black_hole("::1");
    let listener = tokio::net::TcpListener::bind((LOOPBACK, port)).await.unwrap();
    let name: DnsName = "sync.cloud.example".parse().unwrap();
    let silent = "::1".parse().unwrap();
    let network = |addresses: Vec<std::net::IpAddr>| {
        let hosts = [(name.clone(), addresses)].into();
        let chart = chart(&[(flow::CONNECT_TENANT_SYNC, port)]);
        Network::new(NetworkConfig { hosts, ..config(chart, Role::Connect) }).unwrap()
    };
    for addresses in [vec![silent, LOOPBACK], vec![silent, silent, LOOPBACK]] {
        let begun = std::time::Instant::now();
        let dialled = network(addresses).dial(flow::CONNECT_TENANT_SYNC, &name).await.unwrap();
        let took = begun.elapsed();
        assert_eq!(dialled.stream.peer_addr().unwrap().ip(), LOOPBACK);
        let quarter = Duration::from_millis(250);
        assert!((quarter..4 * quarter).contains(&took), "{took:?}");
        listener.accept().await.unwrap();
    }
    let error = network(vec![silent]).dial(flow::CONNECT_TENANT_SYNC, &name).await.unwrap_err();
    assert!(matches!(error.fault, Fault::Filtered { .. }), "{error}");
    drop(listener);
    // One that refuses says more than one that is silent, whichever ends first.
    let both = network(vec![silent, LOOPBACK]);
    let error = both.dial(flow::CONNECT_TENANT_SYNC, &name).await.unwrap_err();
    assert_eq!(error.fault, Fault::Refused);
}

#[tokio::test]
async fn a_flow_that_the_edition_lacks_is_not_dialled() {
    let network = dialling(&[], &[]);
    let error = network.dial(flow::CONNECT_AD_GC, Peer::Address(LOOPBACK)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "connect -> 127.0.0.1: connect.ad.gc (tcp) is not in the edition in force"
    );
}

#[tokio::test]
async fn a_dynamic_port_must_lie_in_its_row() {
    let network = dialling(&[], &[]);
    let dial = |port| network.dial_dynamic(flow::CONNECT_AD_RPC, LOOPBACK, port);
    let range = network.chart().row(flow::CONNECT_AD_RPC).unwrap().ports[0];
    let error = dial(range.start() - 1).await.unwrap_err();
    assert_eq!(error.fault, Fault::OutsideTheRow { port: range.start() - 1 });
    assert_eq!(
        error.to_string(),
        format!(
            "connect -> 127.0.0.1: Table 1, RPC {range}/tcp does not contain port {}",
            range.start() - 1
        )
    );
    let error = network.dial(flow::CONNECT_AD_RPC, LOOPBACK).await.unwrap_err();
    assert_eq!(error.fault, Fault::PortNotNamed);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_told_by_the_dns_row() {
    let server = UdpSocket::bind((LOOPBACK, 0)).await.unwrap();
    let port = server.local_addr().unwrap().port();
    let answering = tokio::spawn(async move {
        loop {
            let mut message = [0; 512];
            let (length, from) = server.recv_from(&mut message).await.unwrap();
            // RFC 1035 section 4.1.1: QR and RD; RA and RCODE 3 (the name does not exist).
            message[2] = 0x81;
            message[3] = 0x83;
            server.send_to(&message[..length], from).await.unwrap();
        }
    });
    let network = dialling(&[(flow::CONNECT_AD_DNS, port)], &[]);
    let name: DnsName = "dc9.corp.example".parse().unwrap();
    let error = network.dial(flow::CONNECT_AD_LDAP, &name).await.unwrap_err();
    answering.abort();
    assert_eq!(
        error.to_string(),
        format!(
            "connect -> 127.0.0.1: Table 1, DNS {port}/udp+tcp says that dc9.corp.example has no such record"
        )
    );
}

#[tokio::test]
async fn datagrams_are_answered_refused_or_lost() {
    let server = UdpSocket::bind((LOOPBACK, 0)).await.unwrap();
    let port = server.local_addr().unwrap().port();
    let network = dialling(&[(flow::CONNECT_AD_KERBEROS, port)], &[]);
    let limits = DatagramLimits {
        attempt_time_max: Duration::from_millis(50),
        attempts_max: 2,
        reply_octets_max: 8,
    };
    let ask = || network.exchange(flow::CONNECT_AD_KERBEROS, LOOPBACK, b"question", limits);
    let answer = |text: &'static [u8]| {
        let server = &server;
        async move {
            let mut question = [0; 16];
            let (_, from) = server.recv_from(&mut question).await.unwrap();
            server.send_to(text, from).await.unwrap();
        }
    };
    assert_eq!(tokio::join!(ask(), answer(b"answer")).0.unwrap(), b"answer");
    let error = tokio::join!(ask(), answer(b"too long an answer")).0.unwrap_err();
    assert_eq!(error.fault, Fault::ReplyTooLong);
    let error = ask().await.unwrap_err();
    assert!(matches!(error.fault, Fault::Filtered { .. }), "{error}");
    assert!(error.to_string().contains(&format!("Table 1, Kerberos {port}/udp")), "{error}");
    drop(server);
    assert_eq!(ask().await.unwrap_err().fault, Fault::Refused);
}

#[tokio::test]
async fn flows_that_share_a_port_share_a_listener() {
    let network = listening(Role::Tenant);
    let flows =
        [flow::CONNECT_TENANT_SYNC, flow::CONNECT_TENANT_CRL, flow::WORKSTATION_TENANT_HTTPS];
    let listeners = network.listen(&flows).unwrap();
    let served: Vec<_> = listeners.iter().map(|listener| listener.flows().to_vec()).collect();
    assert_eq!(
        served,
        [
            vec![flow::CONNECT_TENANT_SYNC, flow::WORKSTATION_TENANT_HTTPS],
            vec![flow::CONNECT_TENANT_CRL]
        ]
    );
    let error = network.listen(&[flow::CONNECT_AD_RPC]).unwrap_err();
    assert!(error.to_string().ends_with("it is a range of ports"), "{error}");
}

#[tokio::test]
async fn a_listener_takes_both_families_and_a_held_port_is_named() {
    let both = Network::new(NetworkConfig {
        listen_address: None,
        ephemeral_ports: true,
        ..config(Chart::default_edition(), Role::Tenant)
    });
    let (listener, port) = one(both.unwrap().listen(&[flow::CONNECT_TENANT_SYNC]).unwrap());
    let network = dialling(&[(flow::CONNECT_TENANT_SYNC, port)], &[]);
    let (dialled, accepted) =
        tokio::join!(network.dial(flow::CONNECT_TENANT_SYNC, LOOPBACK), listener.accept());
    dialled.unwrap();
    assert_eq!(accepted.unwrap().1.ip(), LOOPBACK);

    let held = chart(&[(flow::CONNECT_TENANT_SYNC, port)]);
    let again = Network::new(config(held, Role::Tenant)).unwrap();
    let error = again.listen(&[flow::CONNECT_TENANT_SYNC]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot listen on Table 2, HTTPS {port}/tcp (configured): another process holds the port"
        )
    );
}
