//! The forest: a Samba domain controller, provisioned once and restored from an archive after that.
//!
//! The archive's name is a digest of all that went into it, so a change of a person, an option or
//! of Samba itself makes a new one. Everything the controller keeps is below one directory, bound
//! to the same short path in every lab.

use std::fs::File;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use portolan_chart::{Chart, Role, flow};

use crate::error::LabError;
use crate::plan::{
    ADMINISTRATOR_PASSWORD, FOREST_DOMAIN, FOREST_NETBIOS, FOREST_REALM, Host, Network,
    PRIVATE_DIRECTORY, TENANT_DOMAIN, TENANT_SITES, host_of,
};
use crate::process::{self, Program};
use crate::state::{Directory, Namespace};

/// Fills the database.
const POPULATE: &str = include_str!("../forest/populate.py");
/// Waits for answers.
const READY: &str = include_str!("../forest/ready.py");
/// The interpreter that has Samba's modules.
const PYTHON: &str = "/usr/bin/python3";
/// How long the forest may take until it answers, in seconds.
const READY_SECONDS_MAX: u64 = 60;
/// How long the lab's certificates are valid, in days.
const CERTIFICATE_DAYS: &str = "3650";

/// Changes whenever the steps from nothing to an archive do, so that older archives are not used.
const RECIPE: &str = "2";

/// Identities that would otherwise differ from one provisioning to the next.
const FIXED_IDENTITIES: [&str; 6] = [
    "--domain-sid=S-1-5-21-1111111111-2222222222-3333333333",
    "--domain-guid=5b486a16-5ca8-4b74-8b88-14bfe892c682",
    "--ntds-guid=6a20fa50-ff39-499c-a70a-5975c0e93995",
    "--invocationid=e28c18cf-1e6c-4dd5-a350-861a7d3e2c08",
    "--krbtgtpass=Krbtgt-Fixed-1!",
    "--machinepass=Mach1ne-Fixed-1!",
];

/// A domain controller to be put into a host's namespaces.
#[derive(Debug)]
pub(crate) struct Forest<'lab> {
    namespace: &'lab Namespace,
    directory: &'lab Directory,
    host: Host,
    configuration: String,
    extra_users: u32,
}

impl<'lab> Forest<'lab> {
    /// The controller of a lab, on ports that the chart allows.
    pub(crate) fn new(
        namespace: &'lab Namespace,
        directory: &'lab Directory,
        chart: &Chart,
        extra_users: u32,
    ) -> Result<Self, LabError> {
        let dynamic = chart
            .row(flow::CONNECT_AD_RPC)
            .map_err(|error| LabError::Chart(error.to_string()))?
            .ports_text();
        Ok(Self {
            namespace,
            directory,
            host: host_of(Role::Forest)?,
            configuration: configuration(&dynamic),
            extra_users,
        })
    }

    /// Makes the place for the controller's files, the same path in every lab.
    pub(crate) fn mount(&self) -> Result<(), LabError> {
        let place = place("");
        process::create_directory(&self.directory.forest())?;
        self.namespace.program("mkdir").arg(&place).run()?;
        let mount = self.namespace.program("mount").arg("--bind");
        mount.arg(self.directory.forest()).arg(&place).run().map(drop)
    }

    /// The archive of this forest in `cache`, made if it is not there. `report` is told that making
    /// it takes a while.
    pub(crate) fn archive(
        &self,
        cache: &Path,
        report: &mut dyn FnMut(&str),
    ) -> Result<PathBuf, LabError> {
        process::create_directory(cache)?;
        let archive = cache.join(format!("forest-{}.tar.zst", self.digest()?));
        // Two labs that start at once make it once.
        let lock = cache.join("lock");
        let held = File::create(&lock).map_err(LabError::io("create", &lock))?;
        held.lock().map_err(LabError::io("lock", &lock))?;
        if !archive.exists() {
            report("provisioning a new one, once");
            self.provision()?;
            self.certify()?;
            self.populate()?;
            self.name_services()?;
            let draft = archive.with_extension("draft");
            self.pack(&draft)?;
            std::fs::rename(&draft, &archive).map_err(LabError::io("write", &archive))?;
            process::empty_directory(&self.directory.forest())?;
        }
        Ok(archive)
    }

    /// Puts the archived databases in place.
    pub(crate) fn restore(&self, archive: &Path) -> Result<(), LabError> {
        let tar = Program::new("tar").args(TAR_OPTIONS).arg("--directory");
        tar.arg(self.directory.forest()).arg("--extract").arg("--file").arg(archive).run()?;
        self.make_directories()
    }

    /// Starts the controller.
    pub(crate) fn start(&self) -> Result<(), LabError> {
        let mut samba = self.namespace.daemon("samba", &self.directory.log("samba"))?;
        samba.args(["--foreground", "--no-process-group", "--configfile"]);
        samba.arg(place("etc/smb.conf"));
        Program::from(samba).start()
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
                log: self.directory.log("samba"),
            }),
            other => other.map(drop),
        }
    }

    fn digest(&self) -> Result<String, LabError> {
        /// Hexadecimal digits of the archive's name.
        const DIGITS: usize = 16;
        let samba = Program::new("samba").arg("--version").run()?;
        let arguments = self.provision_arguments().join("\n");
        let inputs = [
            RECIPE.as_bytes(),
            self.configuration.as_bytes(),
            arguments.as_bytes(),
            POPULATE.as_bytes(),
            &self.extra_users.to_be_bytes(),
            &samba,
        ];
        let inputs: Vec<u8> = inputs.join(&[0][..]);
        let mut name = hex::encode(digest(&SHA256, &inputs));
        name.truncate(DIGITS);
        Ok(name)
    }

    fn provision_arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("--realm={FOREST_REALM}"),
            format!("--domain={FOREST_NETBIOS}"),
            format!("--host-name={}", self.host.name),
            format!("--adminpass={ADMINISTRATOR_PASSWORD}"),
            "--server-role=dc".to_owned(),
            "--dns-backend=SAMBA_INTERNAL".to_owned(),
        ];
        for address in self.host.addresses() {
            let option = if address.is_ipv4() { "--host-ip" } else { "--host-ip6" };
            arguments.push(format!("{option}={address}"));
        }
        arguments.extend(FIXED_IDENTITIES.map(str::to_owned));
        arguments
    }

    fn provision(&self) -> Result<(), LabError> {
        process::empty_directory(&self.directory.forest())?;
        self.make_directories()?;
        // Provisioning merges the configuration it is given with what it believes of the machine;
        // ours is put back afterwards.
        let seed = self.directory.forest().join("seed.conf");
        process::write(&seed, &self.configuration)?;
        let tool = self.namespace.program("samba-tool").args(["domain", "provision", "--quiet"]);
        tool.arg(format!("--configfile={}", place("seed.conf")))
            .arg(format!("--targetdir={}", place("")))
            .args(self.provision_arguments())
            .run()?;
        std::fs::remove_file(&seed).map_err(LabError::io("remove", &seed))?;
        process::write(&self.directory.forest().join("etc/smb.conf"), &self.configuration)
    }

    /// Gives the controller a certificate for its names, by an authority of the lab's own: the one
    /// that Samba would make has no subject alternative name.
    fn certify(&self) -> Result<(), LabError> {
        let request = |key: &str, certificate: &str, subject: &str| {
            let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"]
                .into_iter()
                .map(str::to_owned)
                .chain(["-keyout".to_owned(), place(key), "-out".to_owned(), place(certificate)]);
            let openssl = self.namespace.program("openssl").args(["req", "-x509"]).args(key);
            openssl.args(["-days", CERTIFICATE_DAYS, "-subj", subject])
        };
        let tls = self.directory.forest().join("private/tls");
        process::create_directory(&tls)?;
        request("private/tls/ca.key", "private/tls/ca.pem", "/O=Corp/CN=Corp lab authority")
            .args(["-addext", "keyUsage=critical,keyCertSign,cRLSign"])
            .run()?;
        let fqdn = self.host.fqdn();
        request("private/tls/key.pem", "private/tls/cert.pem", &format!("/CN={fqdn}"))
            .args(["-CA", &place("private/tls/ca.pem"), "-CAkey", &place("private/tls/ca.key")])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-addext", "extendedKeyUsage=serverAuth"])
            .args(["-addext", &format!("subjectAltName=DNS:{fqdn},DNS:{FOREST_DOMAIN}")])
            .run()
            .map(drop)
    }

    fn populate(&self) -> Result<(), LabError> {
        let python = self.namespace.program(PYTHON).args(["-", &place("etc/smb.conf")]);
        python.arg(self.extra_users.to_string()).input(POPULATE).run().map(drop)
    }

    /// Gives the controller's account its service names: the service that would do so when it runs
    /// is not among the lab's.
    fn name_services(&self) -> Result<(), LabError> {
        let tool = self.namespace.program("samba_spnupdate");
        tool.args(["--configfile", &place("etc/smb.conf")]).run().map(drop)
    }

    fn pack(&self, archive: &Path) -> Result<(), LabError> {
        let tar = Program::new("tar").args(TAR_OPTIONS).arg("--directory");
        tar.arg(self.directory.forest())
            .args(VOLATILE.map(|name| format!("--exclude=./{name}")))
            .args(["--sparse", "--create", "--file"])
            .arg(archive)
            .arg(".")
            .run()
            .map(drop)
    }

    fn make_directories(&self) -> Result<(), LabError> {
        let kept = ["etc", "private", "state"];
        for name in kept.into_iter().chain(VOLATILE).chain(["run/ncalrpc"]) {
            process::create_directory(&self.directory.forest().join(name))?;
        }
        Ok(())
    }
}

/// Directories that the controller fills anew when it starts.
const VOLATILE: [&str; 4] = ["cache", "lock", "log", "run"];

/// Access lists live in extended attributes.
const TAR_OPTIONS: [&str; 5] =
    ["--xattrs", "--xattrs-include=*", "--acls", "--numeric-owner", "--zstd"];

/// A path of the controller's, as its own processes see it.
fn place(file: &str) -> String {
    format!("{PRIVATE_DIRECTORY}/forest/{file}")
}

/// The controller's configuration. Its services are those that the chart's rows lead to; it forwards
/// foreign names to the router; the databases are not flushed to disk, for a lab does not outlive
/// its machine.
fn configuration(dynamic_ports: &str) -> String {
    let forest = place("");
    let forest = forest.trim_end_matches('/');
    let forwarder = Network::Lan.address(1).v4;
    let server = "DC1";
    format!(
        "[global]
\tnetbios name = {server}
\trealm = {FOREST_REALM}
\tworkgroup = {FOREST_NETBIOS}
\tserver role = active directory domain controller
\tserver services = rpc, ldap, cldap, kdc, drepl, kcc, dns
\tprefork children = 1
\tinterfaces = lo eth0
\tbind interfaces only = yes
\trpc server dynamic port range = {dynamic_ports}
\tdns forwarder = {forwarder}
\tdns update command = /usr/sbin/samba_dnsupdate --use-samba-tool
\tldap server require strong auth = yes
\tldb:nosync = true
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
\tpath = {forest}/state/sysvol/{FOREST_DOMAIN}/scripts
\tread only = No
"
    )
}
