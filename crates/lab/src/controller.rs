//! One domain controller of the forest: its files, its configuration, its processes.
//!
//! Everything a controller keeps is below one directory, bound to the same short path on every host
//! of every lab. How a forest is made of controllers is in [`crate::forest`].

use std::path::PathBuf;

use portolan_chart::{Chart, flow};

use crate::error::LabError;
use crate::plan::{Addresses, Host, Network, PRIVATE_DIRECTORY, TENANT_DOMAIN, TENANT_SITES};
use crate::process::{self, Program};
use crate::state::{Directory, Namespace};

/// The interpreter that has Samba's modules.
pub(crate) const PYTHON: &str = "/usr/bin/python3";
/// Waits for answers.
const READY: &str = include_str!("../forest/ready.py");
/// How long a controller may take until it answers, in seconds.
const READY_SECONDS_MAX: u64 = 60;
/// How long a controller may take to end, in seconds.
const END_SECONDS_MAX: u64 = 20;
/// Directories that the controller fills anew when it starts.
pub(crate) const VOLATILE: [&str; 4] = ["cache", "lock", "log", "run"];

/// How a domain controller ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As its administrator stops it: it finishes what it does.
    Cleanly,
    /// As by a failure of power: all of its processes at once, connections are reset.
    Hard,
}

/// A domain controller in a host's namespaces.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Controller<'lab> {
    /// Where it runs.
    pub(crate) namespace: &'lab Namespace,
    /// Its host.
    pub(crate) host: &'lab Host,
    /// The lab's files.
    pub(crate) directory: &'lab Directory,
}

impl Controller<'_> {
    /// Where its files are, as the machine sees it.
    pub(crate) fn files(&self) -> PathBuf {
        self.directory.controller(self.host.name)
    }

    /// Makes the place for its files, the same path on every host.
    pub(crate) fn mount(&self) -> Result<(), LabError> {
        let place = place("");
        process::create_directory(&self.files())?;
        self.namespace.program("mkdir").arg(&place).run()?;
        let mount = self.namespace.program("mount").arg("--bind");
        mount.arg(self.files()).arg(&place).run().map(drop)
    }

    /// Makes the directories that it expects.
    pub(crate) fn make_directories(&self) -> Result<(), LabError> {
        let kept = ["etc", "private", "state"];
        for name in kept.into_iter().chain(VOLATILE).chain(["run/ncalrpc"]) {
            process::create_directory(&self.files().join(name))?;
        }
        Ok(())
    }

    /// `samba-tool`, to be run on its host.
    pub(crate) fn tool(&self, words: &[&str]) -> Program {
        self.namespace.program("samba-tool").args(words)
    }

    /// Starts it with the machine's clock.
    pub(crate) fn start(&self) -> Result<(), LabError> {
        self.start_with_clock(0)
    }

    /// Starts it with a clock that is this many seconds fast, or slow when it is negative.
    pub(crate) fn start_with_clock(&self, seconds: i64) -> Result<(), LabError> {
        let mut samba = self.namespace.daemon("env", &self.log())?;
        if seconds != 0 {
            let library = clock_library()?;
            samba.arg(format!("LD_PRELOAD={library}")).arg(format!("FAKETIME={seconds:+}s"));
            // What waits for a span of time waits for the true one.
            samba.arg("FAKETIME_DONT_FAKE_MONOTONIC=1");
        }
        samba.args(["samba", "--foreground", "--no-process-group", "--configfile"]);
        samba.arg(place("etc/smb.conf"));
        // What Samba offers by itself, `chart check` calls weak; a healthy lab has no fault.
        samba.arg("--option=tls priority=NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2");
        Program::from(samba).start()
    }

    /// Ends it and waits until none of its processes is left. One that does not run has ended.
    pub(crate) fn end(&self, end: End) -> Result<(), LabError> {
        let Some(leader) = self.leader()? else { return Ok(()) };
        match end {
            // A process that ended meanwhile is no failure; that all ended is waited for.
            End::Cleanly => drop(self.namespace.program("kill").arg(&leader).run()),
            End::Hard => drop(self.signal_all("--signal=KILL", &leader)),
        }
        let gone = || self.signal_all("--signal=0", &leader).is_err();
        process::wait_until(END_SECONDS_MAX, gone).map_err(|seconds| LabError::NotReady {
            what: format!("{} does not end", self.host.name),
            seconds,
            log: self.log(),
        })?;
        let written = self.files().join(LEADER);
        match std::fs::remove_file(&written) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(LabError::io("remove", &written)(error))
            }
            _ => Ok(()),
        }
    }

    /// Whether it was started and not ended.
    pub(crate) fn runs(&self) -> Result<bool, LabError> {
        Ok(self.leader()?.is_some())
    }

    /// Waits until the controller, and the resolver behind it, answer a host on the LAN, on every
    /// port that the chart gives the sync server.
    pub(crate) fn wait(&self, asking: &Namespace, chart: &Chart) -> Result<(), LabError> {
        let port = |flow| {
            let row = chart.row(flow).map_err(|error| LabError::Chart(error.to_string()))?;
            Ok(row.first_port().to_string())
        };
        let flows = [
            flow::CONNECT_AD_DNS,
            flow::CONNECT_AD_KERBEROS,
            flow::CONNECT_AD_LDAP,
            flow::CONNECT_AD_EPM,
            flow::CONNECT_AD_LDAPS,
        ];
        let ports = flows.into_iter().map(port).collect::<Result<Vec<_>, LabError>>()?;
        let [site, ..] = TENANT_SITES;
        let waited = asking
            .program(PYTHON)
            .args(["-", &READY_SECONDS_MAX.to_string(), &format!("{site}.{TENANT_DOMAIN}")])
            .args(ports)
            .arg("--")
            .args(self.host.addresses().iter().map(ToString::to_string))
            .input(READY)
            .run();
        match waited {
            Err(LabError::Program { output, .. }) => Err(LabError::NotReady {
                what: output,
                seconds: READY_SECONDS_MAX,
                log: self.log(),
            }),
            other => other.map(drop),
        }
    }

    /// The number of its first process, inside its namespaces. That process leads a session in
    /// which all others are.
    fn leader(&self) -> Result<Option<String>, LabError> {
        let path = self.files().join(LEADER);
        if !path.exists() {
            return Ok(None);
        }
        Ok(Some(process::read_text(&path)?.trim().to_owned()))
    }

    fn signal_all(&self, signal: &str, leader: &str) -> Result<Vec<u8>, LabError> {
        self.namespace.program("pkill").args([signal, "--session", leader]).run()
    }

    fn log(&self) -> PathBuf {
        self.directory.log(&format!("samba-{}", self.host.name))
    }
}

/// The library that shifts a program's clock: all hosts of a machine share the true one.
fn clock_library() -> Result<String, LabError> {
    let architecture = std::env::consts::ARCH;
    let library = format!("/usr/lib/{architecture}-linux-gnu/faketime/libfaketime.so.1");
    if std::path::Path::new(&library).exists() {
        return Ok(library);
    }
    Err(LabError::MissingPackages { packages: vec!["libfaketime"] })
}

/// Where a controller writes the number of its first process.
const LEADER: &str = "run/samba.pid";

/// A path of the controller's, as its own processes see it.
pub(crate) fn place(file: &str) -> String {
    format!("{PRIVATE_DIRECTORY}/forest/{file}")
}

/// A controller's configuration. Its services are those that the chart's rows lead to; it forwards
/// foreign names to the router; it tells its partner of changes within a second; the databases are
/// not flushed to disk, for a lab does not outlive its machine.
pub(crate) fn configuration(host: &Host, chart: &Chart) -> Result<String, LabError> {
    let rpc = chart.row(flow::CONNECT_AD_RPC);
    let dynamic_ports = rpc.map_err(|error| LabError::Chart(error.to_string()))?.ports_text();
    let forest = place("");
    let forest = forest.trim_end_matches('/');
    let Addresses { v4, v6 } = Network::Lan.address(1);
    let server = host.name.to_uppercase();
    let (realm, netbios, domain) = (host.realm(), host.netbios(), host.domain);
    Ok(format!(
        "[global]
\tnetbios name = {server}
\trealm = {realm}
\tworkgroup = {netbios}
\tserver role = active directory domain controller
\tserver services = rpc, ldap, cldap, kdc, drepl, kcc, dns
\tprefork children = 1
\tinterfaces = lo eth0
\tbind interfaces only = yes
\trpc server dynamic port range = {dynamic_ports}
\tdns forwarder = {v4} {v6}
\tdns update command = /usr/sbin/samba_dnsupdate --use-samba-tool
\tldap server require strong auth = yes
\tldb:nosync = true
\tdreplsrv:periodic_startup_interval = 1
\tdreplsrv:periodic_interval = 10
\tdreplsrv:notify_interval = 1
\tkccsrv:periodic_startup_interval = 1
\tkccsrv:periodic_interval = 15
\tprivate dir = {forest}/private
\tstate directory = {forest}/state
\tcache directory = {forest}/cache
\tlock directory = {forest}/lock
\tpid directory = {forest}/run
\tncalrpc dir = {forest}/run/ncalrpc
\tntp signd socket directory = {forest}/run/ntp
\tbinddns dir = {forest}/run/bind-dns
\tusershare max shares = 0
\tlog file = {forest}/log/log.%m
\tlogging = file
\tlog level = 1
\tdisable spoolss = yes
\tload printers = no
\tprinting = bsd
\tprintcap name = /dev/null

[sysvol]
\tpath = {forest}/state/sysvol
\tread only = No

[netlogon]
\tpath = {forest}/state/sysvol/{domain}/scripts
\tread only = No
"
    ))
}
