//! Two hosts in network namespaces of their own, a wire between them: a stand-in, and whoever asks it. User
//! namespaces make root needless.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::process::run;

/// The stand-in's addresses, and the peers'.
pub(crate) const THERE: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
const HERE: [&str; 2] = ["192.0.2.2/24", "2001:db8::2/64"];
/// How long a stand-in may take until it listens, and to end.
const WAIT_TIME_MAX: Duration = Duration::from_secs(20);
/// How long a peer may take.
const PEER_SECONDS_MAX: &str = "60";

/// Two hosts and the wire.
pub(crate) struct Stage {
    folder: tempfile::TempDir,
    here: Child,
    there: Child,
}

impl Stage {
    /// A stand-in for a role, known by these names.
    pub(crate) fn of(role: &str, names: &[&str], more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hosts = THERE.iter().map(|address| format!("{address} {}\n", names.join(" ")));
        std::fs::write(folder.path().join("hosts"), hosts.collect::<String>()).unwrap();
        let servers = THERE.iter().map(|address| format!("nameserver {address}\n"));
        std::fs::write(folder.path().join("resolv.conf"), servers.collect::<String>()).unwrap();
        let prepare = "mount --bind \"$0/hosts\" /etc/hosts && \
                       mount --bind \"$0/resolv.conf\" /etc/resolv.conf && \
                       ip link set lo up && echo up && exec sleep 600";
        let mut here = Command::new("unshare");
        here.args(["--user", "--map-root-user", "--net", "--mount", "sh", "-c", prepare]);
        let here = spawn(here.arg(folder.path()), &folder.path().join("here"));
        wait_for(&folder.path().join("here"), "up");

        let binary = std::env::var_os("PORTOLAN_BINARY").unwrap();
        let serve = "ip link set lo up && echo up && read go && exec \"$@\"";
        let mut there = inside(&here, &["--user"]);
        there.args(["unshare", "--net", "sh", "-c", serve, "sh"]).arg(binary);
        let known = [names, &THERE].concat().join(",");
        there.args(["chart", "respond", "--role", role, "--name", &known]);
        there.arg("--write-ca").arg(folder.path().join("ca.pem")).args(more);
        there.stdin(Stdio::piped());
        let mut there = spawn(&mut there, &folder.path().join("there"));
        wait_for(&folder.path().join("there"), "up");

        let mut wire = format!("ip link add wire type veth peer name wire netns {}", there.id());
        for address in HERE {
            let _ = write!(wire, " && ip address add {address} dev wire nodad");
        }
        let _ = write!(wire, " && ip link set wire up");
        run(inside(&here, &["--user", "--net"]).args(["sh", "-c", &wire]));
        let mut wire = "ip link set wire up".to_owned();
        for (address, length) in THERE.iter().zip(["24", "64"]) {
            let _ = write!(wire, " && ip address add {address}/{length} dev wire nodad");
        }
        let mut other = inside(&here, &["--user"]);
        other.args(["nsenter", "--target", &there.id().to_string(), "--net", "sh", "-c", &wire]);
        run(&mut other);
        drop(there.stdin.take().map(|mut go| std::io::Write::write_all(&mut go, b"go\n")));
        wait_for(&folder.path().join("there"), "ready as");
        Self { folder, here, there }
    }

    /// A program on the peers' host.
    pub(crate) fn peer(&self, words: &[&str]) -> Output {
        self.peer_with(words, &[])
    }

    pub(crate) fn peer_with(&self, words: &[&str], variables: &[(&str, &Path)]) -> Output {
        let mut command = inside(&self.here, &["--user", "--net", "--mount"]);
        command.args(["timeout", PEER_SECONDS_MAX]).args(words).stdin(Stdio::null());
        command.envs(variables.iter().copied());
        command.output().unwrap()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a script on the stand-in's host, as who administers it.
    pub(crate) fn there(&self, script: &str) {
        let mut command = inside(&self.here, &["--user"]);
        let there = self.there.id().to_string();
        run(command.args(["nsenter", "--target", &there, "--net", "sh", "-ec", script]));
    }

    /// Tells the stand-in to stop; what it said, and its exit status.
    pub(crate) fn end(&mut self) -> (Option<i32>, String) {
        run(Command::new("kill").args(["-TERM", &self.there.id().to_string()]));
        let begun = Instant::now();
        let status = loop {
            match self.there.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(begun.elapsed() < WAIT_TIME_MAX, "it does not end"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        (status.code(), std::fs::read_to_string(self.file("there")).unwrap())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for child in [&mut self.there, &mut self.here] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A program in some namespaces of a process.
pub(crate) fn inside(process: &Child, namespaces: &[&str]) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--target", &process.id().to_string(), "--preserve-credentials"]);
    command.args(namespaces);
    command
}

pub(crate) fn spawn(command: &mut Command, log: &Path) -> Child {
    let file = std::fs::File::create(log).unwrap();
    command.stderr(file.try_clone().unwrap()).stdout(file);
    command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

pub(crate) fn wait_for(log: &Path, words: &str) {
    let begun = Instant::now();
    loop {
        let said = std::fs::read_to_string(log).unwrap();
        if said.contains(words) {
            return;
        }
        assert!(begun.elapsed() < WAIT_TIME_MAX, "no {words:?} in: {said}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// All that a program said, on either stream.
pub(crate) fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|octets| String::from_utf8_lossy(octets)).concat()
}
