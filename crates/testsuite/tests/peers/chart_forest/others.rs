//! OpenLDAP, which is no domain controller; Samba's smbd with new and old dialects; and the octets of the
//! specification for Active Directory Web Services, which no server here speaks.

use std::time::Duration;

use portolan_chart::{Transport, flow};
use portolan_probe::{DefectKind, Verdict};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{defect, defects, look};
use crate::authority::Authority;
use crate::directory::{Binding, Directory};
use crate::process::{LOOPBACK, Server, free_port, program};

#[tokio::test(flavor = "multi_thread")]
async fn an_ldap_server_that_is_no_domain_controller_is_told_so() {
    let authority = Authority::up().await;
    let directory = Directory::up(&authority, Binding::NotChecked).await;
    for flow in [flow::CONNECT_AD_LDAP, flow::CONNECT_AD_GC] {
        let outcome = look(flow, Transport::Tcp, directory.ldap_port).await;
        let (kind, text) = defect(&outcome);
        assert_eq!(kind, DefectKind::WrongKind);
        assert!(text.contains("LDAP server"), "{text}");
    }
}

/// smbd with these lines of configuration.
async fn smbd(lines: &str) -> (u16, Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (port, at) = (free_port().await, folder.path().display());
    let config = format!(
        "[global]\nworkgroup = CORP\nsmb ports = {port}\ninterfaces = lo\nbind interfaces only = yes\n\
         disable spoolss = yes\nrpc start on demand helpers = no\nserver role = standalone server\n\
         log file = {at}/log\nlock directory = {at}/lock\nstate directory = {at}/state\n\
         cache directory = {at}/cache\nprivate dir = {at}/private\npid directory = {at}/pid\n\
         ncalrpc dir = {at}/ncalrpc\n{lines}\n"
    );
    let path = folder.path().join("smb.conf");
    std::fs::write(&path, config).unwrap();
    for name in ["lock", "state", "cache", "private", "pid", "ncalrpc"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    let mut command = program("smbd");
    command.args(["--foreground", "--no-process-group", "--configfile"]).arg(&path);
    let server = Server::start(command, port).await;
    (port, server, folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn samba_negotiates_its_newest_dialect_and_smb_1_alone_is_weak() {
    let (port, _server, _folder) = smbd("server signing = mandatory").await;
    let outcome = look(flow::CONNECT_AD_SMB, Transport::Tcp, port).await;
    assert_eq!(defects(&outcome), [], "{outcome:?}");
    assert_eq!(outcome.notes[..2], ["SMB 3.1.1", "signing is required"]);

    let old = "server min protocol = NT1\nserver max protocol = NT1";
    let (port, _server, _folder) = smbd(old).await;
    let outcome = look(flow::CONNECT_AD_SMB, Transport::Tcp, port).await;
    assert_eq!(defect(&outcome), (DefectKind::Weak, "it speaks SMB 1 and nothing newer"));
}

/// Who reads the preamble that [MC-NMF] section 4.1 shows, and answers these octets.
async fn framed(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut peer, _) = listener.accept().await.unwrap();
        // Version 1.0, duplex, and a Via of one octet of length.
        let mut start = [0; 7];
        peer.read_exact(&mut start).await.unwrap();
        assert_eq!(start[..6], [0, 1, 0, 1, 2, 2]);
        let mut via = vec![0; usize::from(start[6])];
        peer.read_exact(&mut via).await.unwrap();
        let via = String::from_utf8(via).unwrap();
        assert!(via.starts_with("net.tcp://dc1.corp.example:"), "{via}");
        assert!(via.ends_with("/ActiveDirectoryWebServices/Windows/Resource"), "{via}");
        let mut rest = [0; 25];
        peer.read_exact(&mut rest).await.unwrap();
        assert_eq!(&rest, b"\x03\x08\x09\x15application/negotiate");
        peer.write_all(answer).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upgrade_of_web_services_is_answered_by_the_octets_of_the_specification() {
    let outcome = look(flow::CONNECT_AD_ADWS, Transport::Tcp, framed(&[0x0a]).await).await;
    assert_eq!(outcome.verdict, Verdict::Open);
    let fault = b"\x08\x47http://schemas.microsoft.com/ws/2006/05/framing/faults/EndpointNotFound";
    let outcome = look(flow::CONNECT_AD_ADWS, Transport::Tcp, framed(fault).await).await;
    assert_eq!(defect(&outcome).0, DefectKind::Unavailable);
}
