//! Handshakes that never end and certificates without measure: bounded in time and memory, and told as
//! another protocol.

use std::time::{Duration, Instant};

use portolan_chart::{Flow, Role, flow};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::authority::Authority;
use crate::checked::{Checked, limits, said};
use crate::directory::HOST;
use crate::process::{LOOPBACK, Server, free_port, program};

/// What one probe may grow the process by, in KiB: its limit of octets, some buffers, and the code that it
/// is the first to run.
const GROWTH_KIBIBYTES_MAX: u64 = 16 * 1024;
/// Octets of a record (RFC 8446 section 5.1).
const RECORD_OCTETS_MAX: usize = 16 * 1024;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
/// A message's type.
const CERTIFICATE: u8 = 11;

/// What the check says of a port, and that it says it in time and without much memory.
async fn look(flow: Flow, port: u16, authority: &Authority) -> String {
    let before = peak_kibibytes();
    let begun = Instant::now();
    let checked = Checked {
        edition: "2025-04-09",
        flow,
        to: Role::Forest,
        host: HOST,
        ports: &[(flow, port), (flow::CONNECT_FOREST_CRL, authority.port)],
        trusted: vec![authority.der()],
        limits: limits(),
        idle: false,
    };
    let outcome = checked.outcome().await;
    assert!(begun.elapsed() < limits().probe_time_max + Duration::from_secs(1));
    let growth = peak_kibibytes() - before;
    assert!(growth < GROWTH_KIBIBYTES_MAX, "{growth} KiB more");
    said(&outcome)
}

/// The most memory that this process held so far.
fn peak_kibibytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// A record in clear.
fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[kind, 3, 3], &length[..], content].concat()
}

/// `ServerHello` of TLS 1.2 (RFC 5246 section 7.4.1.3), with ECDHE, AES-128-GCM and an RSA certificate to
/// follow.
fn server_hello() -> Vec<u8> {
    let body = [&[3, 3][..], &[7; 32], &[0, 0xc0, 0x2f, 0]].concat();
    let length = u8::try_from(body.len()).unwrap();
    record(HANDSHAKE, &[&[2, 0, 0, length], &body[..]].concat())
}

/// A server that answers a hello by a beginning, and then by the same again and again.
async fn server(beginning: Vec<u8>, again: Vec<u8>, pause: Duration) -> u16 {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut peer, _)) = listener.accept().await {
            let (beginning, again) = (beginning.clone(), again.clone());
            tokio::spawn(async move {
                let mut hello = [0; 4096];
                let _ = peer.read(&mut hello).await;
                let mut sent = peer.write_all(&beginning).await;
                while sent.is_ok() {
                    sent = peer.write_all(&again).await;
                    tokio::time::sleep(pause).await;
                }
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_without_end_or_measure_is_another_protocol() {
    let authority = Authority::up().await;
    // Ten MiB of certificates, as the message's own length says.
    let certificate = record(HANDSHAKE, &[CERTIFICATE, 0xa0, 0, 0]);
    let hello = server_hello();
    let filler = record(HANDSHAKE, &[0x30; RECORD_OCTETS_MAX]);
    let now = Duration::ZERO;
    let cases = [
        ("certificates", [&hello[..], &certificate].concat(), filler, now),
        ("requests for a hello", hello.clone(), record(HANDSHAKE, &[0, 0, 0, 0]), now),
        ("warnings", hello.clone(), record(ALERT, &[1, 90]), now),
        ("records of nothing", hello.clone(), record(HANDSHAKE, &[]), now),
        ("drops of one record", vec![HANDSHAKE, 3, 3, 0x40, 0], vec![2], Duration::from_millis(50)),
        ("hellos", hello.clone(), hello, now),
    ];
    let mut wrong = Vec::new();
    for (name, beginning, again, pause) in cases {
        let port = server(beginning, again, pause).await;
        let found = look(flow::CONNECT_AD_LDAPS, port, &authority).await;
        if !found.starts_with("wrong-protocol: ") {
            wrong.push(format!("{name}: {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mebibyte_of_certificates_by_openssl_is_another_protocol() {
    let authority = Authority::up().await;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let issued = authority.issue(HOST);
    let certificate = write("cert.pem", &issued.certificate);
    let key = write("key.pem", &issued.key);
    let chain = write("chain.pem", &authority.pem().repeat((1 << 20) / authority.der().len()));
    let port = free_port().await;
    let mut command = program("openssl");
    command.args(["s_server", "-quiet", "-tls1_3", "-accept", &format!("{LOOPBACK}:{port}")]);
    command.arg("-cert").arg(&certificate).arg("-key").arg(&key).arg("-cert_chain").arg(&chain);
    let _server = Server::start(command, port).await;
    let found = look(flow::CONNECT_AD_LDAPS, port, &authority).await;
    assert!(found.starts_with("wrong-protocol: \"\\x16\\x03\\x03"), "{found}");
}
