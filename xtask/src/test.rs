//! `test`: what CI runs, and what must be green before a commit is handed on.

use std::fs;
use std::path::Path;

use portolan_lab::{Lab, LabName};

use crate::run::{Failed, cargo, program, run};
use crate::steps::Steps;
use crate::workspace::target;
use crate::{fuzz, lint, python, setup};

/// Names the variable in which the tests find the binary under test.
pub(crate) const BINARY: &str = "PORTOLAN_BINARY";

/// Names the variable in which the tests find the interpreter with the Python peers.
pub(crate) const PEERS: &str = "PORTOLAN_PEERS_PYTHON";

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
    let target = target()?;
    let tests = steps.step("tests", || {
        let nextest = python::tool("cargo-nextest")?;
        run(program(nextest, &["nextest", "run", "--workspace", "--locked", "--no-fail-fast"])
            .env(BINARY, target.join("debug/portolan"))
            .env(PEERS, target.join("peers/bin/python3")))
    });
    // Whatever became of the tests: a lab of one that was killed does not outlive this verb.
    let removed = remove_labs(&target.join("tmp/labs"));
    let fuzzed = fuzz::all(steps, &fuzz::Options::of_ci());
    tests.and(removed).and(fuzzed)
}

/// Takes away the labs that killed tests left in their folder.
fn remove_labs(state: &Path) -> Result<(), Failed> {
    let Ok(entries) = fs::read_dir(state) else { return Ok(()) };
    for entry in entries.filter_map(Result::ok).filter(|entry| entry.path().is_dir()) {
        let Ok(name) = entry.file_name().to_string_lossy().parse::<LabName>() else { continue };
        println!("taking away the lab {name}, which a test left behind");
        Lab::remove(&name, state, None).map_err(|error| Failed::new(error.to_string()))?;
    }
    Ok(())
}
