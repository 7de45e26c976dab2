//! A lab whose maker is killed on the way up, or whose keepers die: nothing stays behind.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use portolan_testsuite::Tools;
use serde_json::Value;

/// The variable that marks all descendants of what a test started.
const MARK: &str = "PORTOLAN_CRASH_TEST";
/// How long the last descendant may take to be gone.
const GONE_TIME_MAX: Duration = Duration::from_secs(10);

/// When the maker is killed.
#[derive(Debug, Clone, Copy)]
enum At {
    /// So many milliseconds after its start.
    Milliseconds(u64),
    /// As soon as it prints that this step is done.
    Step(&'static str),
}

/// The moments: while namespaces and firewalls are made, the forest is unpacked, captures and
/// controllers start.
const MOMENTS: [At; 7] = [
    At::Milliseconds(30),
    At::Milliseconds(150),
    At::Milliseconds(600),
    At::Step(" hosts "),
    At::Step(" forest "),
    At::Step(" captures "),
    At::Milliseconds(3000),
];

struct Victim {
    portolan: PathBuf,
    state: PathBuf,
    name: &'static str,
}

impl Victim {
    fn new(name: &'static str) -> Self {
        let state = Path::new(env!("CARGO_TARGET_TMPDIR")).join("labs");
        let victim = Self { portolan: Tools::from_environment().unwrap().portolan, state, name };
        victim.lab("down").output().unwrap();
        victim
    }

    fn lab(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.portolan);
        command.args(["lab", verb, "--name", self.name, "--state"]).arg(&self.state);
        command.env(MARK, self.name).stdin(Stdio::null());
        command
    }

    fn must(&self, verb: &str) -> Output {
        let output = self.lab(verb).output().unwrap();
        assert!(output.status.success(), "{verb}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// Begins to bring the lab up, and kills that.
    fn killed_on_the_way_up(&self, at: At) {
        let mut maker =
            self.lab("up").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        match at {
            At::Milliseconds(milliseconds) => {
                std::thread::sleep(Duration::from_millis(milliseconds));
            }
            At::Step(step) => {
                let lines = BufReader::new(maker.stdout.take().unwrap()).lines();
                let done = lines.map_while(Result::ok).any(|line| line.contains(step));
                assert!(done, "{step} was never done");
            }
        }
        kill(&mut maker);
    }

    /// What is left of the lab: processes of its making or in its mounts, and its mounts and folder.
    fn left(&self) -> Vec<String> {
        let folder = self.state.join(self.name);
        let mark = format!("{MARK}={}\0", self.name);
        let mut left = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
            let has = |file: &str, what: &str| {
                read(file).windows(what.len()).any(|window| window == what.as_bytes())
            };
            let mounted = format!("{}/", folder.display());
            if has("environ", &mark) || has("mountinfo", &mounted) {
                let name = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
                left.push(format!("{}: {name}", entry.path().display()));
            }
        }
        if folder.exists() {
            left.push(folder.display().to_string());
        }
        left
    }

    /// Nothing is left, or soon nothing: what a killed maker was running ends by itself.
    fn assert_nothing_left(&self, when: &str) {
        let until = Instant::now() + GONE_TIME_MAX;
        let mut left = self.left();
        while !left.is_empty() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(50));
            left = self.left();
        }
        assert!(left.is_empty(), "{when}: {left:#?}");
    }

    fn hosts(&self) -> Vec<Value> {
        let mut status = self.lab("status");
        let status = status.arg("--json").output().unwrap();
        let status: Value = serde_json::from_slice(&status.stdout).unwrap();
        status["hosts"].as_array().unwrap().clone()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.lab("down").output();
    }
}

fn kill(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The process that another one was started by.
fn parent(pid: u64) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    line.unwrap().trim().parse().unwrap()
}

#[test]
fn a_killed_maker_leaves_nothing_that_down_or_the_next_up_does_not_take_away() {
    let victim = Victim::new("killed");
    for at in MOMENTS {
        victim.killed_on_the_way_up(at);
        // Killed before it had made anything, there is nothing to take down.
        victim.lab("down").output().unwrap();
        victim.assert_nothing_left(&format!("down after {at:?}"));
    }
    for at in [At::Milliseconds(400), At::Step(" captures ")] {
        victim.killed_on_the_way_up(at);
        victim.must("up");
        assert_eq!(victim.hosts().len(), 6, "all hosts are there after {at:?}");
        assert!(victim.left().len() > 6, "a lab that is up is seen: {:?}", victim.left());
        victim.must("down");
        victim.assert_nothing_left(&format!("up and down after {at:?}"));
    }
}

#[test]
fn a_lab_that_lost_a_keeper_or_a_first_process_is_named_broken_and_is_made_anew() {
    let victim = Victim::new("keepers");
    victim.must("up");
    for (host, of_keeper) in [("connect", true), ("dc2", false)] {
        let hosts = victim.hosts();
        let pid = hosts.iter().find(|it| it["name"] == host).unwrap()["pid"].as_u64().unwrap();
        let victims_pid = if of_keeper { parent(pid) } else { pid };
        let status = Command::new("kill").args(["-KILL", &victims_pid.to_string()]).status();
        assert!(status.unwrap().success());
        while Path::new(&format!("/proc/{pid}")).exists() {
            std::thread::yield_now();
        }
        let output = victim.lab("status").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(&format!("the lab keepers is broken: {host} is gone")), "{said}");
        assert!(said.contains("hint: `portolan lab up`"), "{said}");
        victim.must("up");
    }
    victim.must("down");
    victim.assert_nothing_left("down");
}

#[test]
fn without_root_a_lab_is_refused_in_one_line_with_its_remedy() {
    let victim = Victim::new("rootless");
    for verb in ["up", "status", "down", "capture"] {
        let mut lab = Command::new("unshare");
        lab.arg("--user").arg(&victim.portolan).args(["lab", verb, "--name", victim.name]);
        let output = lab.arg("--state").arg(&victim.state).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(said, "error: the lab needs root\n  hint: run the same command with sudo\n");
        assert!(output.stdout.is_empty());
    }
    assert!(victim.left().is_empty());
}
