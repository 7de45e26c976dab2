//! What comes from npm, pinned by a lock file with hashes: the peers that the tests drive. The npm that
//! installs them is among the Python peers, so that a bare machine needs none.

use std::fs;

use crate::run::{Failed, on_file, program, run};
use crate::workspace::{root, target};

/// The folder with the list of the peers.
const PEERS: &str = "crates/testsuite/npm";

/// The files that say what is installed.
const LISTS: [&str; 2] = ["package.json", "package-lock.json"];

/// Sees to it that the npm peers are there: in `peers/npm/node_modules` under the target folder. Called
/// after [`crate::python::peers`], which brings npm.
pub(crate) fn peers() -> Result<(), Failed> {
    let peers = target()?.join("peers");
    let folder = peers.join("npm");
    let lock = LISTS[1];
    let source = root().join(PEERS).join(lock);
    let wanted = on_file("read", &source, fs::read_to_string(&source))?;
    // Written last, so that an interrupted installation is not taken for a whole one.
    let stamp = folder.join("installed-lock.json");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        println!("{} is as {PEERS}/{lock} says", folder.display());
        return Ok(());
    }
    on_file("make", &folder, fs::create_dir_all(&folder))?;
    for list in LISTS {
        let to = folder.join(list);
        on_file("write", &to, fs::copy(root().join(PEERS).join(list), &to))?;
    }
    // No package of it runs anything here when it is installed.
    let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    run(program(peers.join("bin/npm"), &arguments).current_dir(&folder))?;
    on_file("write", &stamp, fs::write(&stamp, wanted))
}
