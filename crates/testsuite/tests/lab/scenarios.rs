//! The binary's own scenarios, run as an operator runs them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use portolan_lab::{Lab, LabName};
use portolan_testsuite::Tools;
use serde_json::Value;

/// The lab that the scenarios share, taken away also by a panic.
struct Shared {
    name: LabName,
    state: PathBuf,
    portolan: PathBuf,
}

impl Shared {
    fn new(name: &str) -> Self {
        let state = Path::new(env!("CARGO_TARGET_TMPDIR")).join("labs");
        let portolan = Tools::from_environment().unwrap().portolan;
        let shared = Self { name: name.parse().unwrap(), state, portolan };
        shared.remove();
        shared
    }

    fn remove(&self) {
        // There is nothing to take away but for what an earlier, killed run left.
        let _ = Lab::remove(&self.name, &self.state, None);
    }

    fn run(&self, words: &[&str]) -> Output {
        let mut command = Command::new(&self.portolan);
        command.args(["lab", "run"]).args(words);
        command.args(["--name", self.name.as_str(), "--state"]).arg(&self.state);
        command.output().unwrap()
    }

    /// Runs a scenario that comes out as expected.
    fn plays(&self, words: &[&str]) -> Value {
        let output = self.run(&[words, &["--json"]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {said}");
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told["held"], true, "{told:#}");
        assert_eq!(told["scenario"], words[0]);
        told
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Whether a host said something over a row.
fn tells(told: &Value, host: &str, row: &str, what: &str) -> bool {
    told["steps"].as_array().unwrap().iter().any(|step| {
        step["host"] == host
            && step["row"].as_str().unwrap_or_default().starts_with(row)
            && step["what"].as_str().unwrap().contains(what)
    })
}

#[test]
fn every_scenario_comes_out_as_expected_and_leaves_the_lab_as_it_was_asked_to() {
    let shared = Shared::new("scenarios");
    let told = shared.plays(&["closed", "connect.ad.epm", "--keep"]);
    let outcome = told["outcome"].as_str().unwrap();
    assert!(outcome.contains("Table 1, MS-RPC 135/tcp is refused"), "{outcome}");

    // The lab is up now, and its row is open again.
    let told = shared.plays(&["sign-in"]);
    assert!(!tells(&told, "lab", "", "hosts: "), "it is not brought up again: {told:#}");
    assert!(tells(&told, "connect", "Table 1, LDAP 389", "imported "), "{told:#}");
    assert!(tells(&told, "ws1", "Errata, HTTPS 443/tcp", "turned into tokens"), "{told:#}");
    assert!(tells(&told, "ws1", "", "alice is signed in as Alice Ångström"), "{told:#}");

    let told = shared.plays(&["closed", "connect.ad.dns", "--transport", "udp"]);
    assert_eq!(told["outcome"], "all went well without connect.ad.dns by udp");
    let told = shared.plays(&["failover"]);
    assert!(told["seconds"].as_object().unwrap().values().all(|seconds| seconds.is_f64()));
    let told = shared.plays(&["password-change"]);
    assert_eq!(told["outcome"], "the new password signs in, the old one has stopped");

    // A scenario that does not come out fails, and says what came instead.
    let lab = Lab::attach(&shared.name, &shared.state).unwrap();
    lab.stop_controller("dc1", portolan_lab::End::Hard).unwrap();
    lab.stop_controller("dc2", portolan_lab::End::Hard).unwrap();
    let output = shared.run(&["sign-in"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: "), "{output:?}");
    lab.down().unwrap();

    // A lab that was brought up for a scenario goes with it.
    shared.plays(&["sign-in"]);
    assert!(!shared.state.join(shared.name.as_str()).exists());
}

#[test]
fn a_scenario_that_is_asked_for_wrongly_brings_no_lab_up() {
    let shared = Shared::new("wrong");
    for (words, named) in [
        (&["closed"][..], "closed takes a flow"),
        (&["sign-in", "connect.ad.ldap"], "only closed takes a flow"),
        (&["closed", "forest.resolver.dns"], "is opened by neither connect nor a workstation"),
        (&["closed", "connect.ad.ladp"], "is no flow of the chart"),
        (&["signin"], "the scenarios are sign-in, closed, failover, password-change"),
        (&[], "<SCENARIO>"),
    ] {
        let output = shared.run(words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(named), "{words:?}: {said}");
    }
    assert!(!shared.state.join("wrong").exists());
    let list = shared.run(&["--list"]);
    let list = String::from_utf8(list.stdout).unwrap();
    assert_eq!(list.matches("expects: ").count(), 4, "{list}");
}
