//! `sim`: runs seeds of the simulation of synchronisation, `crates/sim`.

use crate::run::{Failed, cargo, read, run};
use crate::steps::Steps;

/// Builds the simulator as the tests are built, with every check, and runs it with these words. A build of its
/// own would take longer than a thousand seeds.
pub(crate) fn all(steps: &mut Steps, words: &[&str]) -> Result<(), Failed> {
    let mut arguments = vec!["run", "--locked", "--quiet", "--package", "portolan-sim", "--"];
    arguments.extend(words);
    let mut command = cargo(&arguments);
    if words.contains(&"--json") {
        // A program that reads it gets nothing else on standard output.
        print!("{}", read(&mut command)?);
        return Ok(());
    }
    steps.step("seeds", || run(&mut command))
}
