//! Wrong, endless and silent services on every port of the forest's rows.

use std::time::{Duration, Instant};

use portolan_chart::{Flow, Transport, flow};
use portolan_probe::{Limits, Verdict};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

use super::{FOREST, check, found};
use crate::process::{LOOPBACK, Server, free_port, program};

const STREAMS: [Flow; 9] = [
    flow::CONNECT_AD_DNS,
    flow::CONNECT_AD_KERBEROS,
    flow::CONNECT_AD_KPASSWD,
    flow::CONNECT_AD_EPM,
    flow::CONNECT_AD_LDAP,
    flow::CONNECT_AD_GC,
    flow::CONNECT_AD_SMB,
    flow::CONNECT_AD_ADWS,
    flow::CONNECT_AD_LDAPS,
];
const DATAGRAMS: [Flow; 4] = [
    flow::CONNECT_AD_DNS,
    flow::CONNECT_AD_KERBEROS,
    flow::CONNECT_AD_KPASSWD,
    flow::CONNECT_AD_LDAP,
];
const LIMITS: Limits = Limits {
    probe_time_max: Duration::from_secs(3),
    octets_max: 64 * 1024,
    controllers_max: 1,
    idle_time_max: Duration::ZERO,
};

/// Expects that every row by this transport is of another protocol, and soon.
async fn expect_wrong(flows: &[Flow], transport: Transport, port: u16) {
    let begun = Instant::now();
    let ports: Vec<_> = flows.iter().map(|flow| (*flow, port)).collect();
    let report = check(FOREST, &ports, LIMITS).await;
    for flow in flows.iter().filter(|flow| **flow != flow::CONNECT_AD_LDAPS) {
        let outcome = found(&report, *flow, transport);
        let is_wrong = matches!(outcome.verdict, Verdict::WrongProtocol { .. });
        assert!(is_wrong, "{flow} by {transport}: {outcome:?}");
    }
    if transport == Transport::Tcp {
        let outcome = found(&report, flow::CONNECT_AD_RPC, transport);
        assert!(matches!(outcome.verdict, Verdict::Unjudged { .. }), "{outcome:?}");
    }
    assert!(begun.elapsed() < LIMITS.probe_time_max + Duration::from_secs(1));
}

/// A service that says something to whoever connects, again and again if it is to.
async fn service(says: &'static [u8], endless: bool) -> u16 {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut peer, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut question = [0; 64];
                let _ = peer.read(&mut question).await;
                while peer.write_all(says).await.is_ok() && endless {}
                // It stays, and says nothing more.
                let _ = tokio::io::copy(&mut peer, &mut tokio::io::sink()).await;
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_server_on_any_port_is_another_protocol() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port().await;
    let mut command = program("python3");
    command.args(["-m", "http.server", &port.to_string(), "--bind", &LOOPBACK.to_string()]);
    command.arg("--directory").arg(folder.path());
    let _server = Server::start(command, port).await;
    expect_wrong(&STREAMS, Transport::Tcp, port).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn banners_endless_octets_and_silence_end_as_another_protocol() {
    for (says, endless) in [
        (&b"220 mail.corp.example ESMTP\r\n"[..], false),
        (b"SSH-2.0-OpenSSH_9.2\r\n", false),
        (&[0; 4096], true),
        (&[0x30; 4096], true),
        (b"\x30\x84\xff\xff\xff\xff", false),
        (b"\x05\x00\x0c\x03\x10\0\0\0\xff\xff\0\0\x01\0\0\0", true),
        (b"", false),
    ] {
        expect_wrong(&STREAMS, Transport::Tcp, service(says, endless).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_and_noise_by_datagram_are_another_protocol() {
    for noise in [None, Some(&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..]), Some(&[0; 1024])] {
        let socket = UdpSocket::bind((LOOPBACK, 0)).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut question = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut question).await {
                let answer = noise.unwrap_or(&question[..length]);
                let _ = socket.send_to(answer, from).await;
            }
        });
        expect_wrong(&DATAGRAMS, Transport::Udp, port).await;
    }
}
