//! MIT's KDC and its password server, and Heimdal's KDC: with and without the host's account, of another
//! realm, with another clock.

use std::path::Path;
use std::process::Command;

use portolan_chart::{Flow, Transport, flow};
use portolan_probe::{DefectKind, Limits};

use super::{FOREST, check, defect, defects, found, look};
use crate::heimdal;
use crate::process::{LOOPBACK, Server, free_port, program, run, skew};

const REALM: &str = "CORP.EXAMPLE";
const BOTH: [Transport; 2] = [Transport::Udp, Transport::Tcp];

/// A KDC, a password server, and where they listen.
struct Realm {
    kdc: u16,
    kpasswd: u16,
    _servers: [Server; 2],
    _folder: tempfile::TempDir,
}

/// A KDC by Heimdal, and where it listens.
struct Heimdal {
    kdc: u16,
    _server: Server,
    _folder: tempfile::TempDir,
}

/// A fresh realm of Heimdal's after these commands of its administration.
async fn heimdal(commands: &[&[&str]], skewed: Option<&str>) -> Heimdal {
    let folder = tempfile::tempdir().unwrap();
    let kdc = free_port().await;
    heimdal::make(folder.path(), REALM, kdc);
    for words in commands {
        heimdal::administer(folder.path(), words);
    }
    let server = heimdal::kdc(folder.path(), kdc, skewed).await;
    Heimdal { kdc, _server: server, _folder: folder }
}

/// A fresh realm of MIT's with these principals, its clock off by so much, as libfaketime writes it.
async fn mit(queries: &[&str], skewed: Option<&str>) -> Realm {
    let folder = tempfile::tempdir().unwrap();
    let (at, path) = (folder.path().display(), folder.path());
    let ports = [free_port().await, free_port().await, free_port().await];
    let [kdc, kpasswd, admin] = ports;
    std::fs::write(
        path.join("krb5.conf"),
        format!(
            "[libdefaults]\n default_realm = {REALM}\n\
             [realms]\n {REALM} = {{\n  kdc = {LOOPBACK}:{kdc}\n  admin_server = {LOOPBACK}:{admin}\n }}\n\
             [logging]\n default = FILE:{at}/log\n"
        ),
    )
    .unwrap();
    std::fs::write(
        path.join("kdc.conf"),
        format!(
            "[realms]\n {REALM} = {{\n  database_name = {at}/principal\n  key_stash_file = {at}/stash\n  \
             acl_file = {at}/acl\n  kdc_listen = {LOOPBACK}:{kdc}\n  kdc_tcp_listen = {LOOPBACK}:{kdc}\n  \
             kadmind_listen = {LOOPBACK}:{admin}\n  kpasswd_listen = {LOOPBACK}:{kpasswd}\n }}\n"
        ),
    )
    .unwrap();
    std::fs::write(path.join("acl"), "").unwrap();
    run(kerberos("kdb5_util", path).args(["create", "-s", "-W", "-r", REALM, "-P", "master"]));
    for query in queries {
        run(kerberos("kadmin.local", path).args(["-r", REALM, "-q", query]));
    }
    let server = |name| {
        let mut command = kerberos(name, path);
        if let Some(by) = skewed {
            skew(&mut command, by);
        }
        command
    };
    let mut first = server("krb5kdc");
    first.args(["-n", "-r", REALM]);
    let mut second = server("kadmind");
    second.args(["-nofork", "-r", REALM]);
    let servers = [Server::start(first, kdc).await, Server::start(second, kpasswd).await];
    Realm { kdc, kpasswd, _servers: servers, _folder: folder }
}

fn kerberos(name: &str, folder: &Path) -> Command {
    let mut command = program(name);
    command.env("KRB5_CONFIG", folder.join("krb5.conf"));
    command.env("KRB5_KDC_PROFILE", folder.join("kdc.conf"));
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kdc_is_open_without_a_credential_and_its_realm_is_told_from_another() {
    let realm = mit(&[], None).await;
    for transport in BOTH {
        // It does not know the host, and its own service by that name.
        let outcome = look(flow::CONNECT_AD_KERBEROS, transport, realm.kdc).await;
        assert_eq!(defects(&outcome), [], "{transport}: {outcome:?}");

        let ports = [(flow::CONNECT_AD_KERBEROS, realm.kdc)];
        let report = check("other.example", &ports, Limits::default()).await;
        let (kind, text) = defect(found(&report, flow::CONNECT_AD_KERBEROS, transport));
        assert_eq!(kind, DefectKind::WrongKind);
        assert!(text.contains("OTHER.EXAMPLE"), "{text}");

        let outcome = look(flow::CONNECT_AD_KPASSWD, transport, realm.kpasswd).await;
        assert_eq!(defects(&outcome), [], "{transport}: {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_encryption_types_of_the_host_s_account_are_told_and_rc4_alone_is_weak() {
    let add = "addprinc +requires_preauth -randkey -e aes256-cts:normal,aes128-cts:normal DC1$";
    let strong = mit(&[add], None).await;
    let outcome = look(flow::CONNECT_AD_KERBEROS, Transport::Udp, strong.kdc).await;
    assert_eq!(defects(&outcome), [], "{outcome:?}");
    assert!(outcome.notes.iter().any(|note| note == "encryption types AES256"), "{outcome:?}");

    let add = "addprinc +requires_preauth -randkey -e arcfour-hmac:normal DC1$";
    let weak = mit(&[add], None).await;
    let outcome = look(flow::CONNECT_AD_KERBEROS, Transport::Tcp, weak.kdc).await;
    assert_eq!(defect(&outcome), (DefectKind::Weak, "it offers RC4 and no AES"), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn heimdal_s_kdc_is_open_and_its_realm_and_its_keys_are_told() {
    let stranger = heimdal(&[], None).await;
    for transport in BOTH {
        let outcome = look(flow::CONNECT_AD_KERBEROS, transport, stranger.kdc).await;
        assert_eq!(defects(&outcome), [], "{transport}: {outcome:?}");

        let ports = [(flow::CONNECT_AD_KERBEROS, stranger.kdc)];
        let report = check("other.example", &ports, Limits::default()).await;
        let (kind, text) = defect(found(&report, flow::CONNECT_AD_KERBEROS, transport));
        assert_eq!(kind, DefectKind::WrongKind);
        assert!(text.contains("OTHER.EXAMPLE"), "{text}");
    }

    let add: &[&str] =
        &["add", "--random-key", "--use-defaults", "--attributes=requires-pre-auth", "DC1$"];
    let strong = heimdal(&[add], None).await;
    let outcome = look(flow::CONNECT_AD_KERBEROS, Transport::Udp, strong.kdc).await;
    assert_eq!(defects(&outcome), [], "{outcome:?}");
    assert!(outcome.notes.iter().any(|note| note.contains("AES256")), "{outcome:?}");

    let without_aes: &[&str] = &["del_enctype", "DC1$", "aes256-cts-hmac-sha1-96"];
    let weak = heimdal(&[add, without_aes], None).await;
    let outcome = look(flow::CONNECT_AD_KERBEROS, Transport::Tcp, weak.kdc).await;
    assert_eq!(defect(&outcome), (DefectKind::Weak, "it offers RC4 and no AES"), "{outcome:?}");
}

/// Expects that a clock is named that is off by ten minutes in this direction.
async fn expect_skew(flow: Flow, port: u16, sign: &str) {
    for transport in BOTH {
        let outcome = look(flow, transport, port).await;
        let (kind, text) = defect(&outcome);
        assert_eq!(kind, DefectKind::ClockSkew, "{flow} {transport}");
        let skew: i64 = text
            .split_once(&format!("UTC: {sign}"))
            .and_then(|(_, rest)| rest.split_once(" s"))
            .unwrap_or_else(|| panic!("{text}"))
            .0
            .parse()
            .unwrap();
        assert!((590..=610).contains(&skew), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_ten_minutes_ahead_or_behind_is_named_with_this_host_s() {
    for (skewed, sign) in [("+10m", "+"), ("-10m", "-")] {
        let realm = mit(&[], Some(skewed)).await;
        expect_skew(flow::CONNECT_AD_KERBEROS, realm.kdc, sign).await;
        expect_skew(flow::CONNECT_AD_KPASSWD, realm.kpasswd, sign).await;
        let other = heimdal(&[], Some(skewed)).await;
        expect_skew(flow::CONNECT_AD_KERBEROS, other.kdc, sign).await;
    }
    assert_eq!(FOREST.to_ascii_uppercase(), REALM);
}
