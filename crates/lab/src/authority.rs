//! The forest's certification authority: the controllers' certificates and the revocation list.
//!
//! The authority is made with the forest's archive and restored with it. Its list is signed anew
//! when a lab comes up and whenever a certificate is revoked; each controller's host serves it by
//! http, on the row of the chart for a forest's own list.

use std::collections::BTreeMap;
use std::path::PathBuf;

use portolan_chart::{Chart, flow};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevocationReason, RevokedCertParams, SerialNumber,
};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::controller::{Controller, PYTHON};
use crate::error::LabError;
use crate::plan::{FOREST_DOMAIN, Host};
use crate::process;
use crate::state::Directory;

/// Serves the list.
const SERVER: &str = include_str!("../forest/revocation.py");
/// How long certificates are valid.
const CERTIFICATE_TIME: Duration = Duration::days(3650);
/// How long a revocation list is valid: longer than a lab lives.
const LIST_TIME: Duration = Duration::days(30);
/// Before this much of the past nothing of the authority's is valid.
const BACKDATED: Duration = Duration::days(1);
/// The list's name in its URL.
const LIST: &str = "corp.crl";
/// Where the server writes its number, below a controller's files.
const SERVER_PID: &str = "run/revocation.pid";
/// How long the server may take to listen, in seconds.
const LISTEN_SECONDS_MAX: u64 = 20;

/// What kind of certificate a domain controller presents inside TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    /// One for its own names, in force.
    Good,
    /// One whose time ended an hour ago.
    Expired,
    /// One for a host of another name.
    OtherName,
}

/// What the authority remembers.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ledger {
    /// Certificates and lists are counted from 1.
    certificates: u64,
    lists: u64,
    /// The serial number of the certificate that each host has now.
    current: BTreeMap<String, u64>,
    /// Serial numbers with the time of revocation, in seconds since 1970.
    revoked: BTreeMap<u64, i64>,
}

/// The authority of a lab's forest.
#[derive(Debug)]
pub(crate) struct Authority<'lab> {
    directory: &'lab Directory,
}

impl<'lab> Authority<'lab> {
    /// The authority whose files are in a lab's directory.
    pub(crate) fn of(directory: &'lab Directory) -> Self {
        Self { directory }
    }

    /// Makes its key and certificate.
    pub(crate) fn found(&self) -> Result<(), LabError> {
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::OrganizationName, "Corp");
        params.distinguished_name.push(DnType::CommonName, "Corp lab authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let now = OffsetDateTime::now_utc();
        (params.not_before, params.not_after) = (now - BACKDATED, now + CERTIFICATE_TIME);
        let certificate = params.self_signed(&key).map_err(failed)?;
        process::create_directory(&self.public())?;
        process::write(&self.key(), key.serialize_pem())?;
        process::write(&self.directory.authority_certificate(), certificate.pem())?;
        self.write(&Ledger::default())
    }

    /// Gives a controller a key and a certificate. It presents them when it is started next.
    pub(crate) fn certify(
        &self,
        controller: &Controller<'_>,
        kind: Certificate,
    ) -> Result<(), LabError> {
        let mut ledger = self.ledger()?;
        ledger.certificates += 1;
        let key = KeyPair::generate().map_err(failed)?;
        let params = params(controller.host, kind, ledger.certificates)?;
        let certificate = params.signed_by(&key, &self.issuer()?).map_err(failed)?;
        ledger.current.insert(controller.host.name.to_owned(), ledger.certificates);
        self.write(&ledger)?;
        let tls = controller.files().join("private/tls");
        process::create_directory(&tls)?;
        // Samba refuses a key that others may read.
        process::write_private(&tls.join("key.pem"), key.serialize_pem())?;
        process::write(&tls.join("cert.pem"), certificate.pem())?;
        let ca = self.directory.authority_certificate();
        std::fs::copy(&ca, tls.join("ca.pem")).map_err(LabError::io("write", &tls)).map(drop)
    }

    /// Revokes the certificate that a host has now, and publishes it.
    pub(crate) fn revoke(&self, host: &Host) -> Result<(), LabError> {
        let mut ledger = self.ledger()?;
        if let Some(serial) = ledger.current.get(host.name) {
            ledger.revoked.insert(*serial, OffsetDateTime::now_utc().unix_timestamp());
        }
        self.write(&ledger)?;
        self.publish()
    }

    /// Signs the list anew.
    pub(crate) fn publish(&self) -> Result<(), LabError> {
        let mut ledger = self.ledger()?;
        ledger.lists += 1;
        let now = OffsetDateTime::now_utc();
        let revoked = ledger.revoked.iter().map(|(serial, at)| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: OffsetDateTime::from_unix_timestamp(*at).unwrap_or(now),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: now - Duration::HOUR,
            next_update: now + LIST_TIME,
            crl_number: ledger.lists.into(),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer()?).map_err(failed)?;
        // Whoever fetches it meanwhile gets one or the other.
        let (path, draft) = (self.public().join(LIST), self.public().join("draft"));
        process::write(&draft, list.der())?;
        std::fs::rename(&draft, &path).map_err(LabError::io("write", &path))?;
        self.write(&ledger)
    }

    /// Serves the list on a controller's host, and waits until it does.
    pub(crate) fn serve(&self, on: &Controller<'_>, chart: &Chart) -> Result<(), LabError> {
        let row = chart.row(flow::CONNECT_FOREST_CRL);
        let row = row.map_err(|error| LabError::Chart(error.to_string()))?;
        self.stop_serving(on)?;
        let pid = on.files().join(SERVER_PID);
        let log = self.directory.log(&format!("revocation-{}", on.host.name));
        let script = self.directory.authority().join("revocation.py");
        process::write(&script, SERVER)?;
        let mut server = on.namespace.daemon(PYTHON, &log)?;
        server.arg(&script).arg(row.first_port().to_string()).arg(self.public()).arg(&pid);
        process::Program::from(server).start()?;
        process::wait_until(LISTEN_SECONDS_MAX, || pid.exists()).map_err(|seconds| {
            let what = format!("{} serves no revocation list", on.host.name);
            LabError::NotReady { what, seconds, log }
        })
    }

    /// Ends the list's server on a controller's host. Nothing, if there is none.
    pub(crate) fn stop_serving(&self, on: &Controller<'_>) -> Result<(), LabError> {
        let pid = on.files().join(SERVER_PID);
        if !pid.exists() {
            return Ok(());
        }
        let number = process::read_text(&pid)?;
        on.namespace.program("kill").args(["-KILL", number.trim()]).run()?;
        std::fs::remove_file(&pid).map_err(LabError::io("remove", &pid))
    }

    fn issuer(&self) -> Result<Issuer<'static, KeyPair>, LabError> {
        let key = KeyPair::from_pem(&process::read_text(&self.key())?).map_err(failed)?;
        let certificate = process::read_text(&self.directory.authority_certificate())?;
        Issuer::from_ca_cert_pem(&certificate, key).map_err(failed)
    }

    fn ledger(&self) -> Result<Ledger, LabError> {
        let path = self.ledger_path();
        serde_json::from_str(&process::read_text(&path)?)
            .map_err(|error| LabError::Malformed { path, rule: error.to_string() })
    }

    fn write(&self, ledger: &Ledger) -> Result<(), LabError> {
        let path = self.ledger_path();
        let text = serde_json::to_vec_pretty(ledger)
            .map_err(|error| LabError::Malformed { path: path.clone(), rule: error.to_string() })?;
        process::write(&path, text)
    }

    fn ledger_path(&self) -> PathBuf {
        self.directory.authority().join("ledger.json")
    }

    fn key(&self) -> PathBuf {
        self.directory.authority().join("ca.key")
    }

    /// What is served, and nothing beside it.
    fn public(&self) -> PathBuf {
        self.directory.authority().join("public")
    }
}

fn params(host: &Host, kind: Certificate, serial: u64) -> Result<CertificateParams, LabError> {
    let name = match kind {
        Certificate::OtherName => format!("other.{FOREST_DOMAIN}"),
        Certificate::Good | Certificate::Expired => host.fqdn(),
    };
    let mut names = vec![name.clone()];
    if kind != Certificate::OtherName {
        names.push(host.domain.to_owned());
    }
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(serial.into());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let list = format!("http://{}/{LIST}", host.fqdn());
    params.crl_distribution_points = vec![CrlDistributionPoint { uris: vec![list] }];
    let now = OffsetDateTime::now_utc();
    params.not_before = now - BACKDATED;
    params.not_after = match kind {
        Certificate::Expired => now - Duration::HOUR,
        Certificate::Good | Certificate::OtherName => now + CERTIFICATE_TIME,
    };
    Ok(params)
}

fn failed(error: rcgen::Error) -> LabError {
    LabError::Authority(error.to_string())
}
