//! The programs the lab runs, and the Debian packages that hold them.

use std::path::Path;

use crate::error::LabError;
use crate::process::{self, PROGRAM_DIRECTORIES};

/// Programs and files by package.
const REQUIREMENTS: [(&str, &str); 20] = [
    ("unshare", "util-linux"),
    ("setpriv", "util-linux"),
    ("mount", "mount"),
    ("ip", "iproute2"),
    ("sysctl", "procps"),
    ("pkill", "procps"),
    ("nft", "nftables"),
    ("tcpdump", "tcpdump"),
    ("dnsmasq", "dnsmasq-base"),
    ("tar", "tar"),
    ("zstd", "zstd"),
    ("samba", "samba"),
    ("samba_spnupdate", "samba"),
    ("samba_dnsupdate", "samba"),
    ("samba-tool", "samba-common-bin"),
    ("/usr/bin/python3", "python3"),
    ("/usr/lib/python3/dist-packages/samba/samdb.py", "python3-samba"),
    ("/usr/share/samba/setup/provision.ldif", "samba-ad-provision"),
    // Without these two, provisioning fails half-way with no word of what is missing.
    ("samba/ldb/samba_dsdb.so", "samba-dsdb-modules"),
    ("samba/vfs/acl_xattr.so", "samba-vfs-modules"),
];

/// Nothing, if this process may make a lab and the machine has all it takes.
pub(crate) fn check() -> Result<(), LabError> {
    if !process::is_root() {
        return Err(LabError::NotRoot);
    }
    let mut packages: Vec<_> = REQUIREMENTS
        .iter()
        .filter(|(program, _)| !installed(program))
        .map(|(_, package)| *package)
        .collect();
    packages.dedup();
    if packages.is_empty() { Ok(()) } else { Err(LabError::MissingPackages { packages }) }
}

fn installed(program: &str) -> bool {
    let libraries = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    // Joining an absolute path gives that path.
    let directories = PROGRAM_DIRECTORIES.into_iter().chain([libraries.as_str()]);
    directories.map(Path::new).any(|directory| directory.join(program).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_nowhere_is_missing() {
        assert!(installed("sh") && installed("/bin/sh"));
        assert!(!installed("portolan-no-such-program") && !installed("/no/such/file"));
    }
}
