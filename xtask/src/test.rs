//! `test`: what CI runs, and what must be green before a commit is handed on.

use crate::run::{Failed, cargo, program, run};
use crate::steps::Steps;
use crate::workspace::target;
use crate::{lint, python, setup};

/// Names the variable in which the tests find the binary under test.
const BINARY: &str = "PORTOLAN_BINARY";

/// Names the variable in which the tests find the interpreter with the Python peers.
const PEERS: &str = "PORTOLAN_PEERS_PYTHON";

/// Sets the machine up (if `install`), lints, and runs every test.
pub(crate) fn all(steps: &mut Steps, install: bool) -> Result<(), Failed> {
    if install {
        setup::all(steps)?;
    }
    lint::all(steps)?;
    // Before the others, so that the last word is theirs.
    let doc = ["test", "--doc", "--workspace", "--locked", "--quiet"];
    steps.step("tests in documentation", || run(&mut cargo(&doc)))?;
    let build = ["build", "--locked", "--package", "portolan"];
    steps.step("the binary", || run(&mut cargo(&build)))?;
    steps.step("tests", || {
        let target = target()?;
        let nextest = python::tool("cargo-nextest")?;
        run(program(nextest, &["nextest", "run", "--workspace", "--locked", "--no-fail-fast"])
            .env(BINARY, target.join("debug/portolan"))
            .env(PEERS, target.join("peers/bin/python3")))
    })
}
