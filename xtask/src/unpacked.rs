//! Debian packages that cannot be installed beside the others: unpacked into a folder of their own, and run
//! from there.
//!
//! Heimdal's KDC and MIT's refuse to be on one machine, because some of their files have the same names.

use std::fs;
use std::path::Path;

use crate::run::{Failed, on_file, program, run};
use crate::workspace::target;

/// Heimdal's KDC, its password server, its administration, and the libraries that they need of it.
const HEIMDAL: [&str; 19] = [
    "heimdal-kdc",
    "heimdal-clients",
    "libasn1-8-heimdal",
    "libcap-ng0",
    "libedit2",
    "libgssapi3-heimdal",
    "libhcrypto5-heimdal",
    "libhdb9-heimdal",
    "libheimbase1-heimdal",
    "libheimntlm0-heimdal",
    "libhx509-5-heimdal",
    "libkadm5clnt7-heimdal",
    "libkadm5srv8-heimdal",
    "libkdc2-heimdal",
    "libkrb5-26-heimdal",
    "libotp0-heimdal",
    "libroken19-heimdal",
    "libsl0-heimdal",
    "libwind0-heimdal",
];

/// Sees to it that Heimdal is there: in `peers/heimdal` under the target folder. Called after
/// [`crate::python::peers`], which may make that folder anew.
pub(crate) fn heimdal() -> Result<(), Failed> {
    unpack(&HEIMDAL, &target()?.join("peers/heimdal"))
}

/// Unpacks packages of the machine's own archive, which proves what it hands out, unless they are there.
fn unpack(packages: &[&str], folder: &Path) -> Result<(), Failed> {
    let wanted = packages.join("\n");
    // Written last, so that an interrupted installation is not taken for a whole one.
    let stamp = folder.join("unpacked-packages.txt");
    if fs::read_to_string(&stamp).is_ok_and(|unpacked| unpacked == wanted) {
        println!("{} has all {}", folder.display(), packages.len());
        return Ok(());
    }
    let archives = folder.join("archives");
    if archives.exists() {
        on_file("empty", &archives, fs::remove_dir_all(&archives))?;
    }
    on_file("make", &archives, fs::create_dir_all(&archives))?;
    download(packages, &archives)?;
    for entry in on_file("read", &archives, fs::read_dir(&archives))? {
        let archive = on_file("read", &archives, entry)?.path();
        run(program("dpkg-deb", &["--extract"]).arg(archive).arg(folder))?;
    }
    on_file("remove", &archives, fs::remove_dir_all(&archives))?;
    on_file("write", &stamp, fs::write(&stamp, wanted))
}

fn download(packages: &[&str], folder: &Path) -> Result<(), Failed> {
    let fetch = || {
        // Whoever runs this verb fetches: the user that apt-get would become may not write here.
        let arguments = ["--quiet=2", "--option=APT::Sandbox::User=root", "download"];
        run(program("apt-get", &arguments).args(packages).current_dir(folder))
    };
    // A list may name a version that the archive no longer has.
    fetch().or_else(|_| crate::setup::update().and_then(|()| fetch()))
}
