//! The checks of the rows of the web, against nginx, OpenSSL and tinyproxy.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use portolan_chart::{Flow, Role, flow};
use portolan_probe::Limits;
use rcgen::{CertificateParams, KeyPair, SerialNumber};
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::authority::{Authority, CRL_HOST, Issued, ListOf};
use crate::checked::{Checked, limits, said};
use crate::nginx::{Site, serve};
use crate::process::{LOOPBACK, Server, free_port, program, run};

const TENANT: &str = "login.tenant.example";
const EDITION: &str = "2017-02-15";
/// The number that a list revokes.
const REVOKED: u8 = 77;

/// A web server of the authority's own, with its list, or another one.
struct World {
    authority: Authority,
    folder: tempfile::TempDir,
    lists: Site,
}

impl World {
    async fn new() -> Self {
        let authority = Authority::up().await;
        let folder = tempfile::tempdir().unwrap();
        let list = authority.list(&ListOf { hours: [-1, 20], revoked: &[REVOKED] });
        std::fs::write(folder.path().join("ca.crl"), list).unwrap();
        Self { authority, folder, lists: Site::clear("").await }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    async fn site(&self, issued: &Issued, directives: &str) -> Site {
        Site::tls(self.path(), issued, directives).await
    }

    async fn check(&self, flow: Flow, port: u16) -> String {
        self.check_with(flow, port, self.lists.port, vec![self.authority.der()]).await
    }

    async fn check_with(&self, flow: Flow, port: u16, lists: u16, trusted: Vec<Vec<u8>>) -> String {
        let to = portolan_chart::Chart::edition(EDITION).unwrap().row(flow).unwrap().to;
        let ports = [
            (flow::CONNECT_TENANT_CRL, lists),
            (flow::CONNECT_TENANT_SYNC, free_port().await),
            (flow, port),
        ];
        let checked = Checked {
            edition: EDITION,
            flow,
            to: if to == Role::FederationAndProxy { Role::Federation } else { to },
            host: TENANT,
            ports: if flow == flow::CONNECT_TENANT_CRL { &ports[..1] } else { &ports },
            trusted,
            limits: limits(),
            idle: false,
        };
        said(&checked.outcome().await)
    }
}

fn assert_said(said: &str, begins: &str, words: &[&str]) {
    assert!(said.starts_with(begins), "{begins}: {said}");
    for word in words {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_nginx_s_certificates_is_named() {
    let world = World::new().await;
    let authority = &world.authority;
    let now = OffsetDateTime::now_utc();
    let edited = |edit: &dyn Fn(&mut CertificateParams)| authority.issue_edited(TENANT, edit);
    let expired = edited(&|params| {
        params.not_before = now - time::Duration::days(40);
        params.not_after = now - time::Duration::days(3) - time::Duration::hours(1);
    });
    let early = edited(&|params| params.not_before = now + time::Duration::days(5));
    let revoked = edited(&|params| params.serial_number = Some(SerialNumber::from(vec![REVOKED])));
    let homeless = edited(&|params| params.crl_distribution_points.clear());
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec![TENANT.to_owned()]).unwrap().self_signed(&key).unwrap();
    let own = Issued { certificate: own.pem(), key: key.serialize_pem() };
    let stranger = Authority::named("Inspecting Middlebox CA").await;

    let good = world.site(&authority.issue(TENANT), "").await;
    let other_name = world.site(&authority.issue("www.other.example"), "").await;
    let expired = world.site(&expired, "").await;
    let early = world.site(&early, "").await;
    let revoked = world.site(&revoked, "").await;
    let homeless = world.site(&homeless, "").await;
    let own = world.site(&own, "").await;
    let foreign = world.site(&stranger.issue(TENANT), "").await;
    let short = world.site(&short_key(world.path(), authority), ALL_CIPHERS).await;
    let sites = [&good, &other_name, &expired, &early, &revoked, &homeless, &own, &foreign, &short];
    let _server = serve(world.path(), &[&sites[..], &[&world.lists]].concat()).await;

    let check = |site: &Site| world.check(flow::CONNECT_TENANT_SYNC, site.port);
    let found = check(&good).await;
    assert_said(&found, "open: ", &["TLS 1.3", "issued by CN=Forest CA", " days", "not revoked"]);
    assert_said(&found, "open: ", &["HTTP status", "server nginx"]);
    let words = ["certificate: its certificate is for www.other.example, and not for login.tenant"];
    assert_said(&check(&other_name).await, "faulty: ", &words);
    assert_said(&check(&expired).await, "faulty: certificate: ", &["expired 3 days ago, on 20"]);
    assert_said(&check(&early).await, "faulty: certificate: ", &["is valid from 20", "in 4 days"]);
    assert_said(&check(&revoked).await, "faulty: revocation: ", &["its issuer revoked it"]);
    assert_said(&check(&homeless).await, "faulty: revocation: ", &["names no revocation list"]);
    assert_said(&check(&own).await, "faulty: certificate: ", &["is self-signed"]);
    let words = ["issued by CN=Inspecting Middlebox CA; expected was CN=Forest CA"];
    assert_said(&check(&foreign).await, "faulty: interception: ", &words);
    let words = ["weak: its RSA key has 1024 bits, and 2048 are the least", "signed with SHA-1"];
    assert_said(&check(&short).await, "faulty: ", &words);

    // Without anybody who is trusted, a private host's authority is unknown, and nobody intercepts.
    let unknown =
        world.check_with(flow::CONNECT_TENANT_SYNC, good.port, world.lists.port, Vec::new());
    assert_said(&unknown.await, "faulty: certificate: ", &["whom this machine does not believe"]);
}

/// Lets OpenSSL take what it holds to be too weak.
const ALL_CIPHERS: &str = "ssl_ciphers ALL:@SECLEVEL=0;";

/// A certificate as they were made long ago, by OpenSSL; it is signed by itself.
fn short_key(folder: &Path, _: &Authority) -> Issued {
    let (certificate, key) = (folder.join("short.pem"), folder.join("short.key"));
    run(Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:1024", "-nodes", "-sha1", "-days", "30"])
        .args(["-subj", "/CN=old", "-addext"])
        .arg(format!("subjectAltName=DNS:{TENANT}"))
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate));
    let read = |path| std::fs::read_to_string(path).unwrap();
    Issued { certificate: read(&certificate), key: read(&key) }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_versions_of_tls_are_found_beside_new_ones_and_alone() {
    let world = World::new().await;
    let issued = world.authority.issue(TENANT);
    let with = |versions: &str| format!("ssl_protocols {versions};\n{ALL_CIPHERS}");
    let both = world.site(&issued, &with("TLSv1 TLSv1.1 TLSv1.2 TLSv1.3")).await;
    let alone = world.site(&issued, &with("TLSv1 TLSv1.1")).await;
    let oldest = world.site(&issued, &with("TLSv1")).await;
    let floor = world.site(&issued, &with("TLSv1.2")).await;
    let sites = [&both, &alone, &oldest, &floor, &world.lists];
    let _server = serve(world.path(), &sites).await;
    let check = |site: &Site| world.check(flow::CONNECT_TENANT_SYNC, site.port);
    let words = ["weak: it still speaks TLS 1.1 and TLS 1.0"];
    assert_said(&check(&both).await, "faulty: ", &words);
    let words = ["weak: it speaks TLS 1.1 and TLS 1.0 and nothing newer"];
    assert_said(&check(&alone).await, "faulty: ", &words);
    let words = ["weak: it speaks TLS 1.0 and nothing newer"];
    assert_said(&check(&oldest).await, "faulty: ", &words);
    assert_said(&check(&floor).await, "open: ", &["TLS 1.2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_list_is_judged_where_the_tenant_s_certificate_says_it_is() {
    let world = World::new().await;
    let site = world.site(&world.authority.issue(TENANT), "").await;
    let list = |name: &str, octets: Vec<u8>| {
        let folder = world.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("ca.crl"), octets).unwrap();
        Site::clear(Box::leak(format!("location / {{ root {}; }}", folder.display()).into()))
    };
    let stale = world.authority.list(&ListOf { hours: [-50, -2], revoked: &[] });
    let stale = list("stale", stale).await;
    let stranger = Authority::up().await;
    let forged = stranger.list(&ListOf { hours: [-1, 20], revoked: &[] });
    let forged = list("forged", forged).await;
    let page = list("page", b"<html>Welcome".to_vec()).await;
    let missing = Site::clear("location / { return 404; }").await;
    let sites = [&site, &stale, &forged, &page, &missing, &world.lists];
    let _server = serve(world.path(), &sites).await;
    let check = async |lists: u16, tls: u16| {
        let ports = [(flow::CONNECT_TENANT_CRL, lists), (flow::CONNECT_TENANT_SYNC, tls)];
        let checked = Checked {
            edition: EDITION,
            flow: flow::CONNECT_TENANT_CRL,
            to: Role::Tenant,
            host: TENANT,
            ports: &ports,
            trusted: vec![world.authority.der()],
            limits: limits(),
            idle: false,
        };
        said(&checked.outcome().await)
    };
    let found = check(world.lists.port, site.port).await;
    let url = format!("http://{CRL_HOST}/ca.crl");
    let words = [url.as_str(), "of CN=Forest CA, 1 revoked", "within 19 h"];
    assert_said(&found, "open: ", &words);
    let words = ["revocation: the revocation list at", "renewed 2 hours ago"];
    assert_said(&check(stale.port, site.port).await, "faulty: ", &words);
    assert_said(&check(forged.port, site.port).await, "faulty: ", &["is not signed by CN=Forest"]);
    assert_said(&check(page.port, site.port).await, "faulty: ", &["is no revocation list (13"]);
    assert_said(&check(missing.port, site.port).await, "faulty: ", &["answers with status 404"]);
    // Without a certificate nobody knows which list: HTTP alone proves nothing.
    let dead = free_port().await;
    let words = ["HTTP is answered", "shows no certificate: refused"];
    assert_said(&check(world.lists.port, dead).await, "unjudged: ", &words);
    assert_said(&check(dead, site.port).await, "refused: ", &[]);

    // The list of the row inside TLS is judged there as well, but not for being out of reach.
    let inside = |lists| {
        let trusted = vec![world.authority.der()];
        world.check_with(flow::CONNECT_TENANT_SYNC, site.port, lists, trusted)
    };
    assert_said(&inside(stale.port).await, "faulty: revocation: ", &["should have been renewed"]);
    assert_said(&inside(forged.port).await, "faulty: revocation: ", &["not signed by its issuer"]);
    assert_said(&inside(dead).await, "open: ", &["was not fetched"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_a_client_certificate_is_told_from_one_that_does_not() {
    let world = World::new().await;
    let issued = world.authority.issue(TENANT);
    let roots = world.path().join("roots.pem");
    std::fs::write(&roots, world.authority.pem()).unwrap();
    let asks = format!("ssl_client_certificate {};\nssl_verify_client on;\n", roots.display());
    let newest = world.site(&issued, &asks).await;
    let older = world.site(&issued, &format!("{asks}ssl_protocols TLSv1.2;")).await;
    let silent = world.site(&issued, "").await;
    let _server = serve(world.path(), &[&newest, &older, &silent, &world.lists]).await;
    // A server that ends the handshake itself when there is none.
    let strict = free_port().await;
    let certificate = world.path().join(format!("{}.pem", silent.port));
    let mut command = program("openssl");
    command.args(["s_server", "-quiet", "-Verify", "1", "-verify_return_error", "-tls1_2"]);
    command.args(["-accept", &format!("{LOOPBACK}:{strict}"), "-www", "-cert"]).arg(&certificate);
    command.arg("-key").arg(certificate.with_extension("key"));
    let _strict = Server::start(command, strict).await;

    let check = |port| world.check(flow::USER_PROXY_CERTIFICATE, port);
    let found = check(newest.port).await;
    assert_said(&found, "open: ", &["asks for a client certificate in the TLS 1.3 handshake"]);
    let found = check(older.port).await;
    assert_said(&found, "open: ", &["asks for a client certificate in the TLS 1.2 handshake"]);
    assert_said(&check(strict).await, "open: ", &["asks for a client certificate in the TLS 1.2"]);
    let words = ["wrong-kind: the server does not ask for a client certificate"];
    assert_said(&check(silent.port).await, "faulty: ", &words);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_on_a_row_s_port_is_told_by_what_is_heard() {
    let world = World::new().await;
    let plain = Site::clear("location / { return 200 hello; }").await;
    let inside = world.site(&world.authority.issue(TENANT), "").await;
    let _server = serve(world.path(), &[&plain, &inside, &world.lists]).await;
    let banner = banner(b"SSH-2.0-OpenSSH_9.2\r\n", 1).await;
    let endless = self::banner(&[b'x'; 4096], usize::MAX).await;
    let bomb = self::banner(b"\x16\x03\x03\x40\x00\x0b\xff\xff\xff", usize::MAX).await;
    let reset = reset_after_connect().await;
    let rows = [
        flow::CONNECT_TENANT_SYNC,
        flow::USER_PROXY_CERTIFICATE,
        flow::HEALTH_TENANT_BUS,
        flow::PROXY_FEDERATION_ADFSPIP,
        flow::AGENT_TENANT_RELAY,
    ];
    for row in rows {
        let heard = world.check(row, plain.port).await;
        assert_said(&heard, "wrong-protocol: ", &["HTTP/1.1 400 Bad Request"]);
        assert_said(&world.check(row, banner).await, "wrong-protocol: ", &["SSH-2.0-OpenSSH"]);
        assert_said(&world.check(row, endless).await, "wrong-protocol: ", &["xxxxxxxx"]);
        assert_said(&world.check(row, reset).await, "reset: ", &[]);
        let found = world.check(row, bomb).await;
        assert!(!found.starts_with("open"), "{found}");
        assert_said(&world.check(row, free_port().await).await, "refused: ", &[]);
    }
    for row in [flow::CONNECT_FEDERATION_WINRM, flow::CONNECT_TENANT_CRL] {
        for port in [banner, endless] {
            let found = world.check_with(row, port, port, Vec::new()).await;
            assert_said(&found, "wrong-protocol: ", &[]);
        }
        let found = world.check_with(row, reset, reset, Vec::new()).await;
        assert_said(&found, "reset: ", &[]);
    }
    // A web server is no WS-Management, and one inside TLS no bus, no directory, no federation server.
    let words = ["HTTP status 404", "WS-Management"];
    let found = world.check(flow::CONNECT_FEDERATION_WINRM, inside.port).await;
    assert!(found.starts_with("wrong-protocol"), "{found}");
    let found = world.check(flow::CONNECT_FEDERATION_WINRM, world.lists.port).await;
    assert_said(&found, "wrong-protocol: ", &words);
    for row in [flow::HEALTH_TENANT_BUS, flow::AGENT_TENANT_RELAY] {
        let found = world.check(row, inside.port).await;
        assert_said(&found, "wrong-protocol: ", &["HTTP/1.1 400 Bad Request"]);
    }
    let found = world.check(flow::PROXY_FEDERATION_ADFSPIP, inside.port).await;
    assert_said(&found, "faulty: ", &["wrong-kind: ", "status 404"]);
}

/// Somebody who says the same so many times to everybody, and waits.
async fn banner(octets: &'static [u8], times: usize) -> u16 {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                for _ in 0..times {
                    if stream.write_all(octets).await.is_err() {
                        return;
                    }
                }
                let _ = stream.read_to_end(&mut Vec::new()).await;
            });
        }
    });
    port
}

/// Somebody who takes a connection and breaks it off.
async fn reset_after_connect() -> u16 {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Time for the question to arrive: what is closed unread is reset.
            tokio::time::sleep(Duration::from_millis(50)).await;
            drop(stream);
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn tinyproxy_is_judged_by_what_it_does_with_connect() {
    let folder = tempfile::tempdir().unwrap();
    let open = tinyproxy(folder.path(), "open", "").await;
    let wanting = tinyproxy(folder.path(), "wanting", "BasicAuth name word\n").await;
    let closed = tinyproxy(folder.path(), "closed", &format!("ConnectPort {}\n", open.1)).await;
    let site = Site::clear("").await;
    let _server = serve(folder.path(), &[&site]).await;
    let check = async |port| {
        let checked = Checked {
            edition: EDITION,
            flow: flow::CONNECT_WEB_PROXY,
            to: Role::WebProxy,
            host: "proxy.corp.example",
            ports: &[(flow::CONNECT_WEB_PROXY, port)],
            trusted: Vec::new(),
            limits: limits(),
            idle: false,
        };
        said(&checked.outcome().await)
    };
    assert_said(&check(open.1).await, "open: ", &["HTTP status 500", "tinyproxy"]);
    let words = ["proxy: the proxy wants authentication by Basic (407)"];
    assert_said(&check(wanting.1).await, "faulty: ", &words);
    assert_said(&check(closed.1).await, "faulty: ", &["proxy: the proxy forbids CONNECT"]);
    let words = ["a web server and no proxy", "server nginx"];
    assert_said(&check(site.port).await, "wrong-protocol: ", &words);
    assert_said(&check(free_port().await).await, "refused: ", &[]);
}

async fn tinyproxy(folder: &Path, name: &str, more: &str) -> (Server, u16) {
    let port = free_port().await;
    let config = format!("Port {port}\nListen {LOOPBACK}\nTimeout 10\nAllow {LOOPBACK}\n{more}");
    let file = folder.join(format!("{name}.conf"));
    std::fs::write(&file, config).unwrap();
    let mut command = program("tinyproxy");
    command.arg("-d").arg("-c").arg(file).stdout(Stdio::null());
    (Server::start(command, port).await, port)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cuts_idle_connections_is_timed() {
    let world = World::new().await;
    let issued = world.authority.issue(TENANT);
    let patient = world.site(&issued, "keepalive_timeout 60s; client_header_timeout 60s;").await;
    let hasty = world.site(&issued, "keepalive_timeout 1s; client_header_timeout 1s;").await;
    let _server = serve(world.path(), &[&patient, &hasty, &world.lists]).await;
    let forgetful = forgetful(patient.port, Duration::from_millis(700)).await;
    let check = async |port| {
        let ports =
            [(flow::CONNECT_TENANT_SYNC, port), (flow::CONNECT_TENANT_CRL, world.lists.port)];
        let limits = Limits {
            idle_time_max: Duration::from_millis(2400),
            probe_time_max: Duration::from_secs(3),
            ..Limits::default()
        };
        let checked = Checked {
            edition: EDITION,
            flow: flow::CONNECT_TENANT_SYNC,
            to: Role::Tenant,
            host: TENANT,
            ports: &ports,
            trusted: vec![world.authority.der()],
            limits,
            idle: true,
        };
        said(&checked.outcome().await)
    };
    assert_said(
        &check(patient.port).await,
        "open: ",
        &["an idle connection lives for 2 s and lon"],
    );
    assert_said(&check(hasty.port).await, "open: ", &["is closed in order after 1 s"]);
    let words = ["idle: an idle connection is dropped without a word between 0 s and 1 s"];
    assert_said(&check(forgetful).await, "faulty: ", &words);
}

/// A middlebox that passes nothing on any more once a connection was quiet for a while.
async fn forgetful(onward: u16, patience: Duration) -> u16 {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut far = tokio::net::TcpStream::connect((LOOPBACK, onward)).await.unwrap();
                let (mut up, mut down) = ([0; 4096], [0; 4096]);
                loop {
                    let moved = tokio::time::timeout(patience, async {
                        tokio::select! {
                            read = near.read(&mut up) => {
                                let count = read?;
                                far.write_all(&up[..count]).await?;
                                std::io::Result::Ok(count)
                            }
                            read = far.read(&mut down) => {
                                let count = read?;
                                near.write_all(&down[..count]).await?;
                                std::io::Result::Ok(count)
                            }
                        }
                    });
                    match moved.await {
                        Ok(Ok(1..)) => {}
                        Ok(_) => return,
                        Err(_) => break,
                    }
                }
                // It holds on to both, and says nothing.
                tokio::time::sleep(Duration::from_secs(30)).await;
                drop((near, far));
            });
        }
    });
    port
}
