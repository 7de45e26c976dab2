//! The check of OCSP over the wire, against OpenSSL's responder.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use portolan_chart::{Role, flow};
use rcgen::{CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, SerialNumber};
use time::{Duration, OffsetDateTime};

use crate::authority::{Authority, CRL_HOST, Issued};
use crate::checked::{Checked, limits, said};
use crate::nginx::{Site, serve};
use crate::process::{Server, free_port, program, skew};

const TENANT: &str = "login.tenant.example";
/// Serial numbers: of the certificate in question, and of one that nobody asks about.
const ASKED: u8 = 0x21;
const OTHER: u8 = 0x22;

/// A tenant whose certificate says that OCSP is to be had at the authority's host.
struct World {
    authority: Authority,
    folder: tempfile::TempDir,
    tenant: Site,
    _server: Server,
}

/// What a responder is like.
struct Responder<'a> {
    /// Its database: the letter of a status (valid or revoked), and a serial number.
    knows: (char, u8),
    /// Who signs.
    signer: &'a Issued,
    /// By how much its clock is off; its answers are good for five minutes.
    clock: Option<&'a str>,
}

impl World {
    async fn up() -> Self {
        let authority = Authority::up().await;
        let folder = tempfile::tempdir().unwrap();
        let issued = authority.issue_edited(TENANT, |params| {
            params.serial_number = Some(SerialNumber::from(vec![ASKED]));
            params.custom_extensions.push(ocsp_at(&format!("http://{CRL_HOST}/ocsp")));
        });
        let tenant = Site::tls(folder.path(), &issued, "").await;
        let server = serve(folder.path(), &[&tenant]).await;
        Self { authority, folder, tenant, _server: server }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Lets a responder answer, and gives what the check says.
    async fn check(&self, of: &Responder<'_>) -> String {
        let port = free_port().await;
        let (status, serial) = of.knows;
        let revoked = if status == 'R' { "260101000000Z" } else { "" };
        let index = format!("{status}\t490101000000Z\t{revoked}\t{serial:02X}\tunknown\t/CN=x\n");
        let index = self.write("index.txt", &index);
        let mut command = program("openssl");
        command.args(["ocsp", "-port", &port.to_string(), "-nmin", "5"]);
        let files: [(&str, &Path); 4] = [
            ("-index", &index),
            ("-CA", &self.write("ca.pem", &self.authority.pem())),
            ("-rsigner", &self.write("signer.pem", &of.signer.certificate)),
            ("-rkey", &self.write("signer.key", &of.signer.key)),
        ];
        for (option, path) in files {
            command.arg(option).arg(path);
        }
        if let Some(by) = of.clock {
            skew(&mut command, by);
        }
        let log = self.folder.path().join("responder.log");
        let _responder = Server::start_unasked(command, &log, "waiting for OCSP client");
        self.ask(port).await
    }

    /// What the check says of a port.
    async fn ask(&self, port: u16) -> String {
        let checked = Checked {
            edition: "2025-04-09",
            flow: flow::CONNECT_TENANT_OCSP,
            to: Role::Tenant,
            host: TENANT,
            ports: &[
                (flow::CONNECT_TENANT_OCSP, port),
                (flow::CONNECT_TENANT_SYNC, self.tenant.port),
                (flow::CONNECT_TENANT_CRL, self.authority.port),
            ],
            trusted: vec![self.authority.der()],
            limits: limits(),
            idle: false,
        };
        said(&checked.outcome().await)
    }

    /// A certificate for a responder.
    fn responder(&self, edit: impl FnOnce(&mut CertificateParams)) -> Issued {
        self.authority.issue_edited("ocsp.corp.example", edit)
    }
}

fn appoint(params: &mut CertificateParams) {
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
}

/// Authority information access (RFC 5280 section 4.2.2.1) with one place for OCSP.
fn ocsp_at(url: &str) -> CustomExtension {
    let element =
        |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
    let method = [0x06, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 1];
    let access = element(0x30, &[&method[..], &element(0x86, url.as_bytes())].concat());
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], element(0x30, &access))
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_s_answers_are_judged_by_status_time_and_signer() {
    let world = World::up().await;
    let own = world.authority.itself();
    let appointed = world.responder(appoint);
    let unappointed = world.responder(|_| {});
    let over = world.responder(|params| {
        appoint(params);
        params.not_before = OffsetDateTime::now_utc() - Duration::days(9);
        params.not_after = OffsetDateTime::now_utc() - Duration::days(1);
    });
    let stranger = Authority::up().await.itself();
    let unsigned =
        "revocation: the OCSP answer is not signed by the authority, or whom it appointed";
    let mut found = String::new();
    let mut wrong = Vec::new();
    for (knows, signer, clock, expected) in [
        (('V', ASKED), &own, None, "OCSP: good"),
        (('V', ASKED), &appointed, None, "OCSP: good"),
        (('R', ASKED), &own, None, "revocation: the peer's certificate is revoked, says OCSP"),
        (('V', OTHER), &own, None, "revocation: the OCSP responder does not know the peer's"),
        (('V', ASKED), &own, Some("-30m"), "is not of now"),
        (('V', ASKED), &own, Some("+30m"), "is not of now"),
        (('V', ASKED), &unappointed, None, unsigned),
        (('V', ASKED), &over, None, unsigned),
        (('V', ASKED), &stranger, None, unsigned),
    ] {
        let said = world.check(&Responder { knows, signer, clock }).await;
        let begins = if expected.starts_with("OCSP") { "open: " } else { "faulty: revocation: " };
        if !(said.starts_with(begins) && said.contains(expected)) {
            wrong.push(expected);
        }
        let _ = writeln!(found, "{said}");
    }
    assert!(wrong.is_empty(), "{wrong:?} are not in:\n{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_server_in_place_of_ocsp_and_nobody_are_told() {
    let world = World::up().await;
    let folder = tempfile::tempdir().unwrap();
    let other = Site::clear("").await;
    let server = serve(folder.path(), &[&other]).await;
    let found = world.ask(other.port).await;
    assert!(found.starts_with("faulty: revocation: "), "{found}");
    assert!(found.contains("in place of OCSP"), "{found}");
    drop(server);
    let found = world.ask(other.port).await;
    assert!(found.starts_with("refused: "), "{found}");
}
