//! The vendor's own hosts, as `chart check --tenant-id` asks them: in a network namespace where BIND gives their
//! names one address, and nginx answers there with a certificate for all of them; and by tinyproxy.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use portolan_chart::{Chart, EndpointName, Flow, Role, Row, Speaks, endpoints, flow};
use portolan_model::Guid;
use rcgen::SanType;
use serde_json::Value;

use crate::authority::{Authority, CRL_HOST, ListOf};
use crate::process::{LOOPBACK, program};
use crate::stage::{inside, spawn, wait_for};

const TENANT_ID: &str = "11111111-2222-3333-4444-555555555555";
/// A host of every role's list that the name server does not know.
const UNKNOWN: &str = "login.windows.net";

/// The rows and hosts of a role that an edition has, patterns left out.
fn hosts(role: Role) -> Vec<(Row, String)> {
    let (chart, id) = (Chart::default_edition(), TENANT_ID.parse::<Guid>().unwrap());
    let host = |endpoint: portolan_chart::Endpoint| match endpoint.name {
        EndpointName::Host(name) => {
            Some((chart.row(endpoint.flow).ok()?.clone(), name.to_string()))
        }
        EndpointName::Below(_) => None,
    };
    endpoints(role, Some(id)).into_iter().filter_map(host).collect()
}

/// What is ended with the test.
struct Net {
    children: Vec<Child>,
    folder: tempfile::TempDir,
}

impl Net {
    /// A namespace with its own loopback, in which nothing runs yet.
    fn up() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("unshare");
        std::fs::write(folder.path().join("resolv.conf"), format!("nameserver {LOOPBACK}\n"))
            .unwrap();
        let prepare = "mount --bind \"$0/resolv.conf\" /etc/resolv.conf && \
                       ip link set lo up && echo up && exec sleep 600";
        command.args(["--user", "--map-root-user", "--net", "--mount", "sh", "-c", prepare]);
        command.arg(folder.path());
        let log = folder.path().join("net");
        let children = vec![spawn(&mut command, &log)];
        wait_for(&log, "up");
        Self { children, folder }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.folder().join(name), text).unwrap();
    }

    /// A program inside.
    fn inside(&self, program: &Command) -> Command {
        let mut command = inside(&self.children[0], &["--user", "--net", "--mount"]);
        command.arg(program.get_program()).args(program.get_args()).stdin(Stdio::null());
        command
    }

    /// A server inside, until it says these words.
    fn serve(&mut self, program: &Command, words: &str) {
        let log = self.folder().join(program.get_program().to_string_lossy().replace('/', "-"));
        let child = spawn(&mut self.inside(program), &log);
        self.children.push(child);
        wait_for(&log, words);
    }

    /// BIND, with these names in the zone above all others.
    fn name_server(&mut self, names: &BTreeSet<&str>) {
        let mut zone = format!(
            "$TTL 60\n@ SOA ns.example. hostmaster.example. 1 900 600 86400 60\n@ NS ns.example.\n\
             ns.example. A {LOOPBACK}\n"
        );
        for name in names {
            writeln!(zone, "{name}. A {LOOPBACK}").unwrap();
        }
        self.write("zone", zone);
        let at = self.folder().display();
        let config = format!(
            "options {{ directory \"{at}\"; pid-file none; session-keyfile none; recursion no;\n\
             listen-on {{ {LOOPBACK}; }}; listen-on-v6 {{ none; }}; dnssec-validation no; }};\n\
             controls {{ }};\n\
             zone \".\" {{ type primary; file \"{at}/zone\"; check-integrity no; }};\n"
        );
        self.write("named.conf", config);
        let mut named = program("named");
        named.args(["-g", "-n", "1", "-c"]).arg(self.folder().join("named.conf"));
        self.serve(&named, "running");
    }

    /// nginx on the ports of these rows, as the one user that the namespace has. It notes of each request its port, the name in the handshake, and
    /// the host that was asked for.
    fn tenant<'r>(&mut self, rows: impl Iterator<Item = &'r Row>) {
        let listens: BTreeSet<_> = rows
            .map(|row| {
                let inside_tls = if row.speaks == Speaks::Https { " ssl" } else { "" };
                format!("listen {LOOPBACK}:{}{inside_tls};\n", row.first_port())
            })
            .collect();
        let listens: String = listens.into_iter().collect();
        let mut temporary = String::new();
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            writeln!(temporary, "{kind}_temp_path {kind};").unwrap();
        }
        let at = self.folder().display();
        let config = format!(
            "daemon off;\nmaster_process off;\nuser root root;\npid nginx.pid;\nerror_log stderr notice;\nevents {{}}\n\
             http {{\n{temporary}log_format asked '$server_port $ssl_server_name $host';\n\
             server {{\n{listens}access_log {at}/asked asked;\nroot {at};\n\
             ssl_certificate {at}/tenant.pem;\nssl_certificate_key {at}/tenant.key;\n\
             ssl_protocols TLSv1.2 TLSv1.3;\nlocation / {{ return 204; }}\nlocation = /ca.crl {{ }}\n\
             }}\n}}\n"
        );
        self.write("nginx.conf", config);
        let mut nginx = program("nginx");
        nginx.arg("-p").arg(self.folder()).arg("-c").arg(self.folder().join("nginx.conf"));
        nginx.args(["-e", "stderr"]);
        self.serve(&nginx, "event method");
    }

    /// tinyproxy, for who knows its password; gives its URL.
    fn web_proxy(&mut self) -> String {
        let chart = Chart::default_edition();
        let port = |flow| chart.row(flow).unwrap().first_port();
        let (own, allowed) = (port(flow::CONNECT_WEB_PROXY), port(flow::CONNECT_TENANT_SYNC));
        let config = format!(
            "Port {own}\nListen {LOOPBACK}\nTimeout 10\nAllow {LOOPBACK}\nMaxClients 20\n\
             BasicAuth name word\nConnectPort {allowed}\nDisableViaHeader Yes\n"
        );
        self.write("tinyproxy.conf", config);
        let mut proxy = program("tinyproxy");
        proxy.arg("-d").arg("-c").arg(self.folder().join("tinyproxy.conf"));
        self.serve(&proxy, "Starting main loop");
        format!("http://{LOOPBACK}:{own}")
    }

    /// What a check finds, by row and host.
    fn check(&self, role: Role, words: &[&str]) -> BTreeMap<(Flow, String), Vec<Value>> {
        let mut check = Command::new(std::env::var_os("PORTOLAN_BINARY").unwrap());
        check.args(["chart", "check", "--role", role.name(), "--format", "json"]);
        check.args(["--dns", &LOOPBACK.to_string()]).args(words);
        check.arg("--ca").arg(self.folder().join("ca.pem"));
        let output = self.inside(&check).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {output:?}"));
        let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for row in report["rows"].as_array().unwrap() {
            let flow: Flow = row["flow"].as_str().unwrap().parse().unwrap();
            for finding in row["findings"].as_array().unwrap() {
                if let Some(peer) = finding["peer"].as_str() {
                    found.entry((flow, peer.to_owned())).or_default().push(finding.clone());
                }
            }
        }
        found
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A name server and a tenant for these names and rows.
async fn up<'r>(names: &BTreeSet<&str>, rows: impl Iterator<Item = &'r Row>) -> Net {
    let mut net = Net::up();
    let authority = Authority::up().await;
    let issued = authority.issue_edited(CRL_HOST, |params| {
        let names = names.iter().map(|name| SanType::DnsName((*name).try_into().unwrap()));
        params.subject_alt_names = names.collect();
    });
    net.write("ca.pem", authority.pem());
    net.write("ca.crl", authority.list(&ListOf { hours: [-1, 1], revoked: &[] }));
    net.write("tenant.pem", issued.certificate);
    net.write("tenant.key", issued.key);
    net.name_server(names);
    net.tenant(rows);
    net
}

#[tokio::test(flavor = "multi_thread")]
async fn each_host_of_the_vendor_is_asked_by_its_own_name() {
    const ROLES: [Role; 2] = [Role::Connect, Role::Health];
    let all: Vec<_> = ROLES.into_iter().flat_map(hosts).collect();
    let mut names: BTreeSet<_> = all.iter().map(|(_, name)| name.as_str()).collect();
    assert!(names.remove(UNKNOWN));
    names.insert(CRL_HOST);

    let net = up(&names, all.iter().map(|(row, _)| row)).await;
    for role in ROLES {
        let log = || std::fs::read_to_string(net.folder().join("asked")).unwrap();
        let before = log().len();
        let mut found = net.check(role, &["--tenant-id", TENANT_ID]);
        let asked = log().split_off(before);
        for (row, name) in hosts(role) {
            let findings = found.remove(&(row.flow, name.clone())).unwrap_or_default();
            assert!(!findings.is_empty(), "{role}: {} {name}", row.flow);
            for finding in findings {
                if name == UNKNOWN {
                    assert_eq!(finding["verdict"], "unjudged", "{finding}");
                    assert!(finding["why"].as_str().unwrap().contains(UNKNOWN), "{finding}");
                    continue;
                }
                assert_eq!(finding["address"], LOOPBACK.to_string(), "{finding}");
                assert_eq!(finding["stand_in"], false, "{finding}");
                if row.speaks == Speaks::Https {
                    assert_eq!(finding["verdict"], "open", "{finding}");
                    assert!(finding["certificate_days_left"].as_i64() > Some(0), "{finding}");
                    let line = format!("{} {name} {name}\n", finding["port"]);
                    assert!(asked.contains(&line), "no {line:?} in: {asked}");
                }
            }
        }
        // Patterns are nobody's name, and what is nobody's is not asked.
        let others: Vec<_> = found.keys().collect();
        assert!(others.is_empty(), "{role}: {others:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_s_row_is_judged_by_the_tunnel_of_a_web_proxy() {
    const TENANT: &str = "login.microsoftonline.com";
    let all = hosts(Role::Connect);
    let mut net = up(&BTreeSet::from([TENANT, CRL_HOST]), all.iter().map(|(row, _)| row)).await;
    let url = net.web_proxy();
    let words = ["--tenant", TENANT, "--proxy", &url];
    let row = |words: &[&str]| {
        let mut found = net.check(Role::Connect, words);
        found.remove(&(flow::CONNECT_TENANT_SYNC, TENANT.to_owned())).unwrap().remove(0)
    };
    let stranger = row(&words);
    assert_eq!(stranger["verdict"], "faulty", "{stranger}");
    assert_eq!(stranger["defects"][0]["kind"], "proxy", "{stranger}");
    assert!(stranger["defects"][0]["text"].as_str().unwrap().contains("407"), "{stranger}");

    net.write("password", "name:word\n");
    let file = net.folder().join("password");
    let only_owner = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, only_owner).unwrap();
    let file = file.display().to_string();
    let known = row(&[&words[..], &["--proxy-credentials-file", &file]].concat());
    assert_eq!(known["verdict"], "open", "{known}");
    assert!(known["address"].is_null(), "{known}");
    assert!(known["certificate_days_left"].as_i64() > Some(0), "{known}");
    let asked = std::fs::read_to_string(net.folder().join("asked")).unwrap();
    let port = all.iter().find(|(row, _)| row.flow == flow::CONNECT_TENANT_SYNC).unwrap();
    let line = format!("{} {TENANT} {TENANT}\n", port.0.first_port());
    assert!(asked.contains(&line), "no {line:?} in: {asked}");
}
