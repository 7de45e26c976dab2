//! Servers that stand where another one belongs.
//!
//! A packet to a row's port is redirected to them, and then has to pass the lab's own firewall at their port:
//! they listen where the chart lets connect reach the host and nobody else listens.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};

use portolan_chart::{Chart, Flow, Transport, flow};
use portolan_lab::Lab;
use portolan_lab::plan::{FOREST_DOMAIN, TENANT_DOMAIN};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

/// What answers in place of the row's server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A mail server's greeting.
    Banner,
    /// A datagram of words to every datagram.
    Garbage,
    /// TLS with the certificate of an authority that nobody believes.
    Stranger,
    /// TLS with an expired certificate of a believed one.
    Expired,
}

impl Kind {
    /// A server of another protocol.
    pub(super) const fn of(transport: Transport) -> Self {
        match transport {
            Transport::Tcp => Self::Banner,
            Transport::Udp => Self::Garbage,
        }
    }
}

/// A server that stands where another one belongs, until this is dropped.
#[derive(Debug)]
pub(super) struct Impostor {
    child: Child,
    stay: Option<ChildStdin>,
    port: u16,
}

impl Impostor {
    /// Starts one, and waits until it listens.
    pub(super) fn start(
        lab: &Lab,
        (python, script): (&Path, &Path),
        papers: &Papers,
        (host, kind): (&str, Kind),
    ) -> Self {
        let port = port(lab.chart(), host, kind);
        let mut command = lab.command(host, python).unwrap();
        command.arg(script).arg(port.to_string());
        match kind {
            Kind::Banner => command.arg("banner"),
            Kind::Garbage => command.arg("garbage"),
            Kind::Stranger => command.arg("tls").arg(papers.file(host, "stranger")),
            Kind::Expired => command.arg("tls").arg(papers.file(host, "expired")),
        };
        if host == "dc1" && matches!(kind, Kind::Stranger | Kind::Expired) {
            // What the controller says inside TLS it says on the other port too.
            let inside = lab.chart().row(flow::CONNECT_AD_LDAP).unwrap().first_port();
            command.arg(inside.to_string());
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "{kind:?} at {host}");
        Self { stay: child.stdin.take(), child, port }
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        // It ends when its standard input does.
        drop(self.stay.take());
        let _ = self.child.wait();
    }
}

/// A port at which the lab lets connect in and nobody serves: at the tenant that of registration, at the
/// forest one of the dynamic ports, and for datagrams that of time.
fn port(chart: &Chart, host: &str, kind: Kind) -> u16 {
    let of = |flow: Flow| chart.row(flow).unwrap();
    match (host, kind) {
        ("tenant", _) => of(flow::CONNECT_TENANT_SSO_REGISTRATION).first_port(),
        (_, Kind::Garbage) => of(flow::CONNECT_FOREST_TIME).first_port(),
        _ => of(flow::CONNECT_AD_RPC).ports[0].end() - 1,
    }
}

/// Certificates and keys of impostors in a folder, and the authority that checks are told to believe.
#[derive(Debug)]
pub(super) struct Papers {
    folder: PathBuf,
}

impl Papers {
    /// Issues them into a folder.
    pub(super) fn issue(folder: &Path) -> Self {
        let papers = Self { folder: folder.to_owned() };
        let (believed, pem) = authority("Lab Second Authority");
        std::fs::write(papers.believed(), pem).unwrap();
        let (stranger, _) = authority("Somebody Else");
        let names =
            [("dc1", format!("dc1.{FOREST_DOMAIN}")), ("tenant", format!("sync.{TENANT_DOMAIN}"))];
        for (host, name) in names {
            for (kind, issuer, left) in
                [("stranger", &stranger, Duration::DAY), ("expired", &believed, -Duration::HOUR)]
            {
                let text = server(&name, issuer, left);
                std::fs::write(papers.file(host, kind), text).unwrap();
            }
        }
        papers
    }

    /// The authority of the expired certificates, which a check is told to believe.
    pub(super) fn believed(&self) -> PathBuf {
        self.folder.join("second-ca.pem")
    }

    fn file(&self, host: &str, kind: &str) -> PathBuf {
        self.folder.join(format!("{host}-{kind}.pem"))
    }
}

fn authority(name: &str) -> (Issuer<'static, KeyPair>, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let pem = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), pem)
}

/// A server's certificate that is good for so long from now on, and its key.
fn server(name: &str, issuer: &Issuer<'_, KeyPair>, left: Duration) -> String {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let now = OffsetDateTime::now_utc();
    params.not_before = now - Duration::DAY;
    params.not_after = now + left;
    let certificate = params.signed_by(&key, issuer).unwrap();
    certificate.pem() + &key.serialize_pem()
}
