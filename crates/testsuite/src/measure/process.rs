//! A process while it runs: when it says what, and what it has used by then.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Outcome, RoadError};

/// The kernel's ticks a second in `/proc/PID/stat`, the same on every Linux (`USER_HZ`).
const TICKS_A_SECOND: u64 = 100;

/// What a process had used at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// The moment.
    pub at: Instant,
    /// Time on processors, its own and the kernel's for it, in steps of 10 ms.
    pub cpu: Duration,
    /// The most memory that was resident at once (VmHWM), in KiB.
    pub peak_kib: u64,
}

/// A line of standard error, and what the process had used when it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Marked {
    /// The line.
    pub line: String,
    /// What was used.
    pub reading: Reading,
}

/// Runs a command to its end, with a reading at each line of its standard error; what it says on its
/// standard output is lost. The command must become the process it starts; of one by `Lab::command`,
/// which enters a host first, the process on that host is read.
///
/// # Errors
/// When it cannot be run. How it ended is the caller's to judge.
pub fn watch(mut command: Command) -> Result<(Outcome, Vec<Marked>), RoadError> {
    let what = format!("{command:?}");
    let io = |error| RoadError::Io { what: format!("cannot run {what}"), error };
    // Nobody reads its standard output, so it gets no pipe that could fill up and stop it.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(io)?;
    let mut marked = Vec::new();
    let mut worker = child.id();
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).lines() {
            let line = line.map_err(io)?;
            if worker == child.id() {
                worker = on_host(worker);
            }
            if let Some(reading) = Reading::of(worker) {
                marked.push(Marked { line, reading });
            }
        }
    }
    let output = child.wait_with_output().map_err(io)?;
    Ok((Outcome::new(what.clone(), &output), marked))
}

/// The process that does the work: `nsenter` has a child in the host's process namespace do it.
fn on_host(process: u32) -> u32 {
    let name = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    if name.trim_end() == "nsenter" { child_of(process).unwrap_or(process) } else { process }
}

/// A child of a process.
fn child_of(process: u32) -> Option<u32> {
    let numbers = fs::read_dir("/proc")
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    numbers.into_iter().find(|number| {
        let stat = fs::read_to_string(format!("/proc/{number}/stat"));
        stat.is_ok_and(|stat| parent(&stat) == Some(process))
    })
}

/// ppid, the 4th field.
fn parent(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

impl Reading {
    /// This process's usage now; `None` where the system does not tell.
    #[must_use]
    pub fn own() -> Option<Self> {
        Self::of(std::process::id())
    }

    /// The process's usage now; `None` when it has ended.
    fn of(process: u32) -> Option<Self> {
        let at = Instant::now();
        let file = |name: &str| fs::read_to_string(format!("/proc/{process}/{name}")).ok();
        let cpu = cpu(&file("stat")?)?;
        let peak_kib = peak_kib(&file("status")?)?;
        Some(Self { at, cpu, peak_kib })
    }
}

/// utime and stime, the 14th and 15th field (proc(5)). The second, the program's name in brackets,
/// may hold anything.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().ok());
    let ticks: u64 = ticks.sum::<Option<u64>>()?;
    Some(Duration::from_millis(ticks * 1_000 / TICKS_A_SECOND))
}

fn peak_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_past_a_program_s_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 1 0 0 0 25 17 9 9 20 0 1 0 5 6 7";
        assert_eq!(cpu(stat), Some(Duration::from_millis(420)));
        assert_eq!(peak_kib("VmPeak:\t 9 kB\nVmHWM:\t  1234 kB\n"), Some(1234));
    }

    #[test]
    fn the_child_that_does_the_work_is_found() {
        let mut shell = Command::new("/bin/sh");
        let mut shell =
            shell.args(["-c", "sleep 60 & echo; wait"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut begun = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut begun).unwrap();
        let child = child_of(shell.id()).unwrap();
        let name = fs::read_to_string(format!("/proc/{child}/comm")).unwrap();
        Command::new("kill").arg(child.to_string()).status().unwrap();
        shell.wait().unwrap();
        assert_ne!(child, shell.id());
        assert!(["sleep", "sh"].contains(&name.trim_end()), "{name}");
        assert_eq!(on_host(std::process::id()), std::process::id());
    }

    #[test]
    fn each_line_has_what_was_used_by_then() {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "echo one >&2; echo out; sleep 0.1; echo two >&2; sleep 0.2"]);
        let (outcome, marked) = watch(shell).unwrap();
        assert!(outcome.status.success());
        let lines: Vec<_> = marked.iter().map(|marked| marked.line.as_str()).collect();
        assert_eq!(lines, ["one", "two"]);
        assert!(marked[1].reading.at > marked[0].reading.at);
        assert!(marked[0].reading.peak_kib > 0);
    }
}
