//! `portolan chart check` at connect's host, as a user without any right, and what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portolan_lab::Lab;
use portolan_lab::plan::{FOREST_CA, FOREST_DOMAIN, TENANT_DOMAIN};
use portolan_testsuite::Road;
use serde::Deserialize;
use serde_json::Value;

use super::impostor::Papers;

/// Seconds after which a silent row counts as filtered.
pub(super) const TIMEOUT_SECONDS: u64 = 2;

/// What this company does without: roles and flows whose rows are left out.
const WITHOUT: [&str; 7] = [
    "federation",
    "federation-and-proxy",
    "web-proxy",
    "database",
    // Registered once, when seamless sign-in is set up: nothing serves it here.
    "connect.tenant.sso-registration",
    // The lab's hosts have the machine's clock and no time server.
    "connect.forest.time",
    // Answered by revocation lists here.
    "connect.tenant.ocsp",
];

/// A check that can be run as often as wanted.
#[derive(Debug)]
pub(super) struct Checker<'lab> {
    lab: &'lab Lab,
    binary: PathBuf,
    arguments: Vec<String>,
}

impl<'lab> Checker<'lab> {
    /// A check of everything that connect opens, with every host given by name and address, so that what
    /// is wrong with the name servers hides no other row. `folder` is where others may read.
    pub(super) fn new(road: &Road<'_>, lab: &'lab Lab, (folder, papers): (&Path, &Papers)) -> Self {
        let binary = folder.join("portolan");
        std::fs::copy(std::env::var_os("PORTOLAN_BINARY").unwrap(), &binary).unwrap();
        let tenant_ca = folder.join("tenant-ca.pem");
        std::fs::copy(road.path("tenant").join("ca.pem"), &tenant_ca).unwrap();
        for readable in [&tenant_ca, &papers.believed()] {
            let for_all = std::fs::Permissions::from_mode(0o644);
            std::fs::set_permissions(readable, for_all).unwrap();
        }
        let host = |end: &str, name: &str, domain: &str, host: &str| {
            format!("--host={end}={name}.{domain}={}", addresses(lab, host))
        };
        let mut arguments = vec![
            "chart".to_owned(),
            "check".to_owned(),
            "--role=connect".to_owned(),
            format!("--edition={}", lab.chart().in_force().id),
            format!("--forest={FOREST_DOMAIN}"),
            host("forest", "dc1", FOREST_DOMAIN, "dc1"),
            host("tenant", "sync", TENANT_DOMAIN, "tenant"),
            host("connect.tenant.crl", "crl", TENANT_DOMAIN, "tenant"),
            format!("--ca={FOREST_CA}"),
            format!("--ca={}", tenant_ca.display()),
            format!("--ca={}", papers.believed().display()),
            format!("--timeout={TIMEOUT_SECONDS}"),
            "--json".to_owned(),
        ];
        arguments.extend(WITHOUT.map(|end| format!("--without={end}")));
        Self { lab, binary, arguments }
    }

    /// Checks.
    pub(super) fn check(&self) -> Report {
        let mut command = self.lab.command("connect", "setpriv").unwrap();
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]);
        command.args(["--bounding-set=-all", "--no-new-privs", "--"]).arg(&self.binary);
        let output = command.args(&self.arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let document: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {said}"));
        let report = Report::deserialize(&document).unwrap();
        let report = Report { document, ..report };
        let is_whole = report.closed == 0 && report.not_judged == 0;
        assert_eq!(output.status.success(), is_whole, "{said}");
        report
    }
}

/// The addresses of a host of the lab, as `--host` takes them.
pub(super) fn addresses(lab: &Lab, host: &str) -> String {
    let status = lab.status().unwrap();
    let host = status.hosts.iter().find(|it| it.name == host).unwrap();
    host.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// What a check said, as far as it is looked at here.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    elapsed_ms: u64,
    closed: usize,
    not_judged: usize,
    rows: Vec<Row>,
    /// All of it, for messages.
    #[serde(skip)]
    document: Value,
}

#[derive(Debug, Deserialize)]
struct Row {
    flow: String,
    findings: Vec<Finding>,
}

#[derive(Debug, Deserialize)]
struct Finding {
    transport: String,
    verdict: String,
    latency_ms: u64,
    defects: Vec<Defect>,
    stand_in: bool,
}

#[derive(Debug, Deserialize)]
struct Defect {
    kind: String,
}

/// A row by one of its transports, by their names.
pub(super) type Way = (String, String);

impl Report {
    /// What is not open: of each row by its transport, what is said of it at all its addresses.
    pub(super) fn faults(&self) -> BTreeMap<Way, String> {
        let mut faults: BTreeMap<Way, BTreeSet<String>> = BTreeMap::new();
        for row in &self.rows {
            assert!(!row.findings.is_empty(), "nobody was asked about {}", row.flow);
            for finding in &row.findings {
                assert!(!finding.stand_in, "{finding:?}");
                let way = (row.flow.clone(), finding.transport.clone());
                faults.entry(way).or_default().insert(finding.says());
            }
        }
        let said = faults
            .into_iter()
            .map(|(way, said)| (way, said.into_iter().collect::<Vec<_>>().join(" and ")));
        said.filter(|(_, said)| said != "open").collect()
    }

    /// Every row that was asked, by each of its transports.
    pub(super) fn asked(&self) -> BTreeSet<Way> {
        let ways = |row: &Row| -> Vec<Way> {
            row.findings.iter().map(|it| (row.flow.clone(), it.transport.clone())).collect()
        };
        self.rows.iter().flat_map(ways).collect()
    }

    /// All that is said of a row, for messages.
    pub(super) fn details(&self, flow: &str) -> String {
        let rows = self.document["rows"].as_array().unwrap().iter();
        let of_flow = rows.filter(|row| row["flow"] == flow);
        of_flow.map(|row| format!("{:#}\n", row["findings"])).collect()
    }

    /// From its first packet to its last verdict.
    pub(super) fn elapsed(&self) -> Duration {
        Duration::from_millis(self.elapsed_ms)
    }

    /// The longest that one question took.
    pub(super) fn slowest(&self) -> Duration {
        let findings = self.rows.iter().flat_map(|row| &row.findings);
        Duration::from_millis(findings.map(|it| it.latency_ms).max().unwrap_or_default())
    }
}

impl Finding {
    /// `refused`, or `faulty: certificate, revocation`.
    fn says(&self) -> String {
        let kinds: BTreeSet<_> = self.defects.iter().map(|defect| defect.kind.as_str()).collect();
        match kinds.is_empty() {
            true => self.verdict.clone(),
            false => {
                let kinds: Vec<_> = kinds.into_iter().collect();
                format!("{}: {}", self.verdict, kinds.join(", "))
            }
        }
    }
}
