//! `portolan chart respond` in a network namespace of its own, and peers that nobody here wrote in another, a
//! wire between them. The real ports of the chart are used; user namespaces make root needless.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use portolan_chart::{Chart, Flow, flow};

use super::process::run;

/// The stand-in's addresses, and the peers'.
const THERE: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
const HERE: [&str; 2] = ["192.0.2.2/24", "2001:db8::2/64"];
/// How long a stand-in may take until it listens, and to end.
const WAIT_TIME_MAX: Duration = Duration::from_secs(20);
/// How long a peer may take.
const PEER_SECONDS_MAX: &str = "60";
const MARK: &str = "portolan chart respond";

/// Two hosts and the wire.
struct Stage {
    folder: tempfile::TempDir,
    here: Child,
    there: Child,
}

impl Stage {
    /// A stand-in for a role, known by these names.
    fn of(role: &str, names: &[&str], more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hosts = THERE.iter().map(|address| format!("{address} {}\n", names.join(" ")));
        std::fs::write(folder.path().join("hosts"), hosts.collect::<String>()).unwrap();
        let servers = THERE.iter().map(|address| format!("nameserver {address}\n"));
        std::fs::write(folder.path().join("resolv.conf"), servers.collect::<String>()).unwrap();
        let prepare = "mount --bind \"$0/hosts\" /etc/hosts && \
                       mount --bind \"$0/resolv.conf\" /etc/resolv.conf && \
                       ip link set lo up && echo up && exec sleep 600";
        let mut here = Command::new("unshare");
        here.args(["--user", "--map-root-user", "--net", "--mount", "sh", "-c", prepare]);
        let here = spawn(here.arg(folder.path()), &folder.path().join("here"));
        wait_for(&folder.path().join("here"), "up");

        let binary = std::env::var_os("PORTOLAN_BINARY").unwrap();
        let serve = "ip link set lo up && echo up && read go && exec \"$@\"";
        let mut there = inside(&here, &["--user"]);
        there.args(["unshare", "--net", "sh", "-c", serve, "sh"]).arg(binary);
        let known = [names, &THERE].concat().join(",");
        there.args(["chart", "respond", "--role", role, "--name", &known]);
        there.arg("--write-ca").arg(folder.path().join("ca.pem")).args(more);
        there.stdin(Stdio::piped());
        let mut there = spawn(&mut there, &folder.path().join("there"));
        wait_for(&folder.path().join("there"), "up");

        let mut wire = format!("ip link add wire type veth peer name wire netns {}", there.id());
        for address in HERE {
            let _ = write!(wire, " && ip address add {address} dev wire nodad");
        }
        let _ = write!(wire, " && ip link set wire up");
        run(inside(&here, &["--user", "--net"]).args(["sh", "-c", &wire]));
        let mut wire = "ip link set wire up".to_owned();
        for (address, length) in THERE.iter().zip(["24", "64"]) {
            let _ = write!(wire, " && ip address add {address}/{length} dev wire nodad");
        }
        let mut other = inside(&here, &["--user"]);
        other.args(["nsenter", "--target", &there.id().to_string(), "--net", "sh", "-c", &wire]);
        run(&mut other);
        drop(there.stdin.take().map(|mut go| std::io::Write::write_all(&mut go, b"go\n")));
        wait_for(&folder.path().join("there"), "ready as");
        Self { folder, here, there }
    }

    /// A program on the peers' host.
    fn peer(&self, words: &[&str]) -> Output {
        self.peer_with(words, &[])
    }

    fn peer_with(&self, words: &[&str], variables: &[(&str, &Path)]) -> Output {
        let mut command = inside(&self.here, &["--user", "--net", "--mount"]);
        command.args(["timeout", PEER_SECONDS_MAX]).args(words).stdin(Stdio::null());
        command.envs(variables.iter().copied());
        command.output().unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Tells the stand-in to stop; what it said, and its exit status.
    fn end(&mut self) -> (Option<i32>, String) {
        run(Command::new("kill").args(["-TERM", &self.there.id().to_string()]));
        let begun = Instant::now();
        let status = loop {
            match self.there.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(begun.elapsed() < WAIT_TIME_MAX, "it does not end"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        (status.code(), std::fs::read_to_string(self.file("there")).unwrap())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for child in [&mut self.there, &mut self.here] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A program in some namespaces of a process.
pub(crate) fn inside(process: &Child, namespaces: &[&str]) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--target", &process.id().to_string(), "--preserve-credentials"]);
    command.args(namespaces);
    command
}

pub(crate) fn spawn(command: &mut Command, log: &Path) -> Child {
    let file = std::fs::File::create(log).unwrap();
    command.stderr(file.try_clone().unwrap()).stdout(file);
    command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

pub(crate) fn wait_for(log: &Path, words: &str) {
    let begun = Instant::now();
    loop {
        let said = std::fs::read_to_string(log).unwrap();
        if said.contains(words) {
            return;
        }
        assert!(begun.elapsed() < WAIT_TIME_MAX, "no {words:?} in: {said}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A host and the port of a row.
fn at(flow: Flow, host: &str) -> String {
    format!("{host}:{}", Chart::default_edition().row(flow).unwrap().first_port())
}

/// All that a program said, on either stream.
fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|octets| String::from_utf8_lossy(octets)).concat()
}

#[track_caller]
fn hears(output: &Output, expected: &[&str]) {
    let said = said(output);
    for words in expected {
        assert!(said.contains(words), "no {words:?} in: {said}");
    }
}

/// The peers' scripts, by the system's interpreter: their packages are the system's.
const PYTHON: &str = "/usr/bin/python3";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/stand_in.py");

#[test]
fn a_stand_in_for_a_domain_controller_is_understood_by_its_clients() {
    let edition = ["--edition", "2025-04-09", "--forest", "corp.example"];
    let mut stage = Stage::of("forest", &["dc1.corp.example"], &edition);
    let [four, six] = THERE;

    let service = "_ldap._tcp.dc._msdcs.corp.example";
    for (server, transport) in [(four, "+notcp"), (four, "+tcp"), (six, "+notcp"), (six, "+tcp")] {
        let at = format!("@{server}");
        let answer = stage.peer(&["dig", &at, transport, "SRV", service]);
        hears(&answer, &["status: NOERROR", "dc1.corp.example.", MARK]);
        assert!(!said(&answer).contains("malformed"), "{}", said(&answer));
    }
    hears(&stage.peer(&["dig", "+short", "AAAA", "dc1.corp.example"]), &[six]);
    hears(&stage.peer(&["dig", "example.com"]), &["status: REFUSED"]);

    for limit in [1, 1465] {
        let config = format!(
            "[libdefaults]\ndefault_realm = CORP.EXAMPLE\nudp_preference_limit = {limit}\n\
             [realms]\nCORP.EXAMPLE = {{\nkdc = {four}\n}}\n"
        );
        std::fs::write(stage.file("krb5.conf"), config).unwrap();
        let config = stage.file("krb5.conf");
        let answer =
            stage.peer_with(&["kinit", "anna@CORP.EXAMPLE"], &[("KRB5_CONFIG", config.as_path())]);
        hears(&answer, &["Client 'anna@CORP.EXAMPLE' not found in Kerberos database"]);
    }

    let url = |scheme: &str| format!("{scheme}://dc1.corp.example");
    let root = ["-x", "-LLL", "-s", "base", "-b", "", "*"];
    let search = |url: &str, more: &[&str]| {
        let authority = stage.file("ca.pem");
        let words = [&["ldapsearch", "-H", url][..], more].concat();
        stage.peer_with(&words, &[("LDAPTLS_CACERT", authority.as_path())])
    };
    for url in [url("ldap"), url("ldaps")] {
        hears(&search(&url, &root), &["defaultNamingContext: DC=corp,DC=example", MARK]);
    }
    let bind = ["-x", "-D", "CN=anna", "-w", "secret", "-s", "base", "-b", ""];
    hears(&search(&url("ldap"), &bind), &["Strong(er) authentication required"]);
    hears(&search(&url("ldaps"), &bind), &["unwilling to perform"]);

    hears(&stage.peer(&[PYTHON, SCRIPT, "mapper", four]), &["ncacn_ip_tcp:192.0.2.1[", "bound"]);
    hears(&stage.peer(&[PYTHON, SCRIPT, "smb", four]), &["0x300"]);
    hears(&stage.peer(&["smbclient", "--no-pass", "--list", four]), &["NT_STATUS_ACCESS_DENIED"]);
    hears(
        &stage.peer(&["rpcclient", "-U%", &format!("ncacn_ip_tcp:{four}"), "-c", "srvinfo"]),
        &["NT_STATUS_NOT_FOUND"],
    );
    hears(&stage.peer(&["ntpdate", "-q", four]), &["s15"]);

    let list = stage.file("list.crl").display().to_string();
    let url = "http://dc1.corp.example/respond.crl";
    hears(&stage.peer(&["curl", "-sS", "-D", "-", "-o", &list, url]), &[MARK]);
    let authority = stage.file("ca.pem").display().to_string();
    let verify =
        ["openssl", "crl", "-inform", "DER", "-in", &list, "-noout", "-CAfile", &authority];
    hears(&stage.peer(&verify), &["verify OK"]);

    let (status, lines) = stage.end();
    assert_eq!(status, Some(0), "{lines}");
    assert!(lines.contains("192.0.2.2 Table 1, DNS 53/udp: SRV _ldap._tcp.dc._msdcs"), "{lines}");
    assert!(lines.contains("never asked: "), "{lines}");
}

#[test]
fn a_stand_in_for_a_tenant_is_understood_by_its_clients() {
    let mut stage = Stage::of("tenant", &["tenant.example"], &[]);
    let authority = stage.file("ca.pem").display().to_string();
    let curl = |url: &str| stage.peer(&["curl", "-sS", "-i", "--cacert", &authority, url]);
    hears(&curl("https://tenant.example/"), &["200 OK", MARK]);
    hears(&stage.peer(&["curl", "-sS", "https://tenant.example/"]), &["certificate"]);
    let verified = [
        "openssl",
        "s_client",
        "-connect",
        &at(flow::CONNECT_TENANT_SYNC, "tenant.example"),
        "-verify_hostname",
        "tenant.example",
        "-CAfile",
        &authority,
        "-brief",
    ];
    hears(&stage.peer(&verified), &["Verification: OK", MARK]);
    hears(
        &stage.peer(&[PYTHON, SCRIPT, "websocket", "tenant.example", &authority]),
        &["amqp\n", "b'AMQP\\x03\\x01\\x00\\x00"],
    );
    hears(
        &stage.peer(&[PYTHON, SCRIPT, "amqp", "tenant.example", &authority]),
        &["amqp:unauthorized-access"],
    );
    let (status, lines) = stage.end();
    assert_eq!(status, Some(0), "{lines}");
}

#[test]
fn a_stand_in_for_a_proxy_asks_for_certificates_and_one_for_a_web_proxy_passes_nothing_on() {
    let stage = Stage::of("proxy", &["sts.example"], &[]);
    let authority = stage.file("ca.pem").display().to_string();
    let asked = [
        "openssl",
        "s_client",
        "-connect",
        &at(flow::USER_PROXY_CERTIFICATE, "sts.example"),
        "-CAfile",
        &authority,
        "-tls1_2",
    ];
    hears(
        &stage.peer(&asked),
        &["Acceptable client certificate CA names", "Verify return code: 0"],
    );

    let mut stage = Stage::of("web-proxy", &["proxy.example"], &[]);
    let proxy = format!("http://{}", at(flow::CONNECT_WEB_PROXY, "proxy.example"));
    let through = ["curl", "-sSv", "--proxy", &proxy];
    let tunnel = stage.peer(&[&through[..], &["https://tenant.example/"]].concat());
    hears(&tunnel, &["200 Connection established"]);
    assert!(!tunnel.status.success());
    let tenant = at(flow::CONNECT_TENANT_SYNC, "tenant.example");
    let plain = stage.peer(&[&through[..], &["http://elsewhere.example/"]].concat());
    hears(&plain, &["502 Bad Gateway"]);
    let (status, lines) = stage.end();
    assert_eq!(status, Some(0), "{lines}");
    assert!(lines.contains(&format!("CONNECT {tenant} (answered)")), "{lines}");
}

#[test]
fn a_check_finds_every_row_of_a_stand_in_open_and_says_what_answers() {
    let edition = ["--forest", "corp.example"];
    let stage = Stage::of("forest", &["dc1.corp.example"], &edition);
    let binary = std::env::var("PORTOLAN_BINARY").unwrap();
    let authority = stage.file("ca.pem").display().to_string();
    let check = [&binary, "chart", "check", "--role", "connect", "--ca", &authority];
    let forest = ["--forest", "corp.example", "--dns", THERE[0]];
    let output = stage.peer(&[&check[..], &forest].concat());
    let lines = said(&output);
    // The rows of other roles have no host here, and are not judged. Ten rows have one, and what is alike
    // at its addresses is said once.
    let found: Vec<_> = lines.lines().filter(|it| it.contains("dc1.corp.example (")).collect();
    assert!(found.len() >= 10, "{lines}");
    for line in found {
        assert!(line.contains(" open (") && line.contains("a stand-in answers"), "{lines}");
    }
}
