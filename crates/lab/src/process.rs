//! Running other programs: by argument vector, with their output kept for the error.
//!
//! Nothing here builds a shell command. A process of the lab is remembered by its number together
//! with its start time, so that a number which the kernel gave to someone else is never signalled.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, geteuid, pidfd_open, pidfd_send_signal, waitpid,
};
use serde::{Deserialize, Serialize};

use crate::error::LabError;

/// Where the machine's programs are.
pub(crate) const PROGRAM_DIRECTORIES: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// How much of a failed program's output an error carries, in characters from the end.
const OUTPUT_CHARACTERS_MAX: usize = 600;

/// How long a killed process may take to vanish.
const DEATH_TIME_MAX: Duration = Duration::from_secs(10);

/// A process, told apart from a later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    /// Its number in the machine's process namespace.
    pub(crate) pid: u32,
    /// When it started, in clock ticks since the machine's boot.
    pub(crate) started: u64,
}

impl Process {
    /// The living process of this number.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let stat = parse_stat(&stat)?;
        (!stat.dead).then_some(Self { pid, started: stat.started })
    }

    /// Whether it still lives.
    pub(crate) fn alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Its first child.
    pub(crate) fn child(self) -> Option<Self> {
        let pid = self.pid;
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        Self::of(children.split_whitespace().next()?.parse().ok()?)
    }

    /// Kills it, if it is still the same one, and waits until it is gone.
    pub(crate) fn kill(self) -> Result<(), LabError> {
        let failed = |error: rustix::io::Errno| LabError::Io {
            doing: format!("end the process {}", self.pid),
            source: error.into(),
        };
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return Ok(());
        };
        // The descriptor is opened first and the start time compared after: from then on the
        // signal cannot reach another process.
        let Ok(descriptor) = pidfd_open(pid, PidfdFlags::empty()) else {
            return Ok(());
        };
        if self.alive() {
            match pidfd_send_signal(&descriptor, Signal::KILL) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => return Err(failed(error)),
            }
            let limit = Timespec::try_from(DEATH_TIME_MAX).ok();
            poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], limit.as_ref()).map_err(failed)?;
        }
        // If this very process started it, it is a zombie until it was waited for.
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        Ok(())
    }
}

/// Ends a program that was started with [`Lab::command`](crate::Lab::command) as a power cut would,
/// with SIGKILL, and waits until it is gone. What was started is the way into the host; the program
/// is its child.
///
/// # Errors
/// [`LabError::Io`] when the system does not let it be killed.
pub fn end_inside(way: &mut std::process::Child) -> Result<(), LabError> {
    let failed = |source| LabError::Io { doing: "end a program in a host".to_owned(), source };
    while way.try_wait().map_err(failed)?.is_none() {
        // It forks as soon as it is inside, and ends when its child does.
        if let Some(program) = Process::of(way.id()).and_then(Process::child) {
            program.kill()?;
            way.wait().map_err(failed)?;
            return Ok(());
        }
        std::thread::yield_now();
    }
    Ok(())
}

/// Whether this process may make namespaces.
pub(crate) fn is_root() -> bool {
    geteuid().is_root()
}

/// What `/proc/PID/stat` says of a process.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    dead: bool,
    started: u64,
}

/// Parses `/proc/PID/stat`. The second field, the program's name, may hold blanks and parentheses,
/// so the fields are counted from the last parenthesis on.
/// See <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>.
fn parse_stat(text: &str) -> Option<Stat> {
    /// `starttime` is field 22; the first after the name is field 3.
    const STARTED_AFTER_NAME: usize = 22 - 3;
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let dead = matches!(fields.next()?, "Z" | "X" | "x");
    let started = fields.nth(STARTED_AFTER_NAME - 1)?.parse().ok()?;
    Some(Stat { dead, started })
}

/// A command that finds the system's programs also where the caller's `PATH` does not lead to them.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let own = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&own)
        .filter(|directory| directory.is_absolute())
        .chain(PROGRAM_DIRECTORIES.map(PathBuf::from));
    let mut command = Command::new(program);
    // Only a directory with a colon in its name cannot be joined, and none was split off with one.
    if let Ok(path) = std::env::join_paths(directories) {
        command.env("PATH", path);
    }
    command
}

/// A program to be run to its end.
#[derive(Debug)]
pub(crate) struct Program {
    command: Command,
    input: Vec<u8>,
}

impl Program {
    /// A program of the machine.
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        Self::from(command(program))
    }

    /// With one more argument.
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// With more arguments.
    pub(crate) fn args(mut self, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    /// With this on its standard input.
    pub(crate) fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Runs it and gives what it wrote to its standard output.
    pub(crate) fn run(mut self) -> Result<Vec<u8>, LabError> {
        let shown = shown(&self.command);
        let failed = |source| LabError::Io { doing: format!("run {shown}"), source };
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().map_err(failed)?;
        let output = std::thread::scope(|scope| {
            if let Some(mut stdin) = child.stdin.take() {
                let input = &self.input;
                // A program that ends without reading says why by its status.
                scope.spawn(move || drop(stdin.write_all(input)));
            }
            child.wait_with_output().map_err(failed)
        })?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = [output.stderr, output.stdout].concat();
        Err(LabError::Program {
            program: shown,
            status: output.status.to_string(),
            output: ending(&String::from_utf8_lossy(&said)),
        })
    }

    /// Runs a program that puts another into the background, with the output it was given.
    pub(crate) fn start(mut self) -> Result<(), LabError> {
        let shown = shown(&self.command);
        let status = self.command.status();
        let status =
            status.map_err(|source| LabError::Io { doing: format!("run {shown}"), source })?;
        if status.success() {
            return Ok(());
        }
        let status = status.to_string();
        Err(LabError::Program { program: shown, status, output: String::new() })
    }
}

impl From<Command> for Program {
    fn from(command: Command) -> Self {
        Self { command, input: Vec::new() }
    }
}

/// A command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The end of a text, on one line.
pub(crate) fn ending(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let skipped = line.chars().count().saturating_sub(OUTPUT_CHARACTERS_MAX);
    line.chars().skip(skipped).collect()
}

/// Reads a small text file.
pub(crate) fn read_text(path: &Path) -> Result<String, LabError> {
    std::fs::read_to_string(path).map_err(LabError::io("read", path))
}

/// Reads a small file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, LabError> {
    std::fs::read(path).map_err(LabError::io("read", path))
}

/// Writes a file whole.
pub(crate) fn write(path: &Path, contents: impl AsRef<[u8]>) -> Result<(), LabError> {
    std::fs::write(path, contents).map_err(LabError::io("write", path))
}

/// Writes a file that its owner alone may read.
pub(crate) fn write_private(path: &Path, contents: impl AsRef<[u8]>) -> Result<(), LabError> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let written =
        File::options().write(true).create(true).truncate(true).mode(0o600).open(path).and_then(
            |mut file| {
                // An earlier file keeps its mode when it is opened.
                file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
                file.write_all(contents.as_ref())
            },
        );
    written.map_err(LabError::io("write", path))
}

/// Waits until something holds; the number of seconds after which it gave up is the error.
pub(crate) fn wait_until(seconds: u64, mut holds: impl FnMut() -> bool) -> Result<(), u64> {
    /// How often it is looked at.
    const INTERVAL: Duration = Duration::from_millis(20);
    let start = Instant::now();
    while !holds() {
        if start.elapsed().as_secs() >= seconds {
            return Err(seconds);
        }
        std::thread::sleep(INTERVAL);
    }
    Ok(())
}

/// Makes a directory and its parents.
pub(crate) fn create_directory(path: &Path) -> Result<(), LabError> {
    std::fs::create_dir_all(path).map_err(LabError::io("create", path))
}

/// Removes what is in a directory, but not the directory.
pub(crate) fn empty_directory(path: &Path) -> Result<(), LabError> {
    for entry in std::fs::read_dir(path).map_err(LabError::io("read", path))? {
        let entry = entry.map_err(LabError::io("read", path))?;
        let (path, kind) = (entry.path(), entry.file_type());
        let removed = if kind.is_ok_and(|kind| kind.is_dir()) {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        removed.map_err(LabError::io("remove", &path))?;
    }
    Ok(())
}

/// Opens a log file to append to.
pub(crate) fn open_log(path: &Path) -> Result<File, LabError> {
    File::options().create(true).append(true).open(path).map_err(LabError::io("open", path))
}

/// Reads at most `limit` octets of a file.
pub(crate) fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>, LabError> {
    let file = File::open(path).map_err(LabError::io("open", path))?;
    let size = file.metadata().map_err(LabError::io("read", path))?.len();
    if size > limit {
        return Err(LabError::CaptureTooLarge { path: PathBuf::from(path), size, limit });
    }
    let mut octets = Vec::new();
    file.take(limit).read_to_end(&mut octets).map_err(LabError::io("read", path))?;
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_time_is_found_behind_any_program_name() {
        let fields = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21";
        for name in ["bash", "a b", "x) S 1 (y"] {
            let stat = parse_stat(&format!("42 ({name}) {fields}"));
            assert_eq!(stat, Some(Stat { dead: false, started: 4711 }), "{name}");
        }
    }

    #[test]
    fn a_zombie_is_dead_and_half_a_line_is_nothing() {
        let zombie = "1 (x) Z 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 5 0";
        assert_eq!(parse_stat(zombie), Some(Stat { dead: true, started: 5 }));
        assert_eq!(parse_stat("1 (x) S 1 2"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn a_process_with_another_start_time_is_not_ours() {
        let own = Process::of(std::process::id()).unwrap();
        assert!(own.alive());
        let stranger = Process { started: own.started + 1, ..own };
        assert!(!stranger.alive());
        // It would be the end of this test if the start time were not compared.
        stranger.kill().unwrap();
    }

    #[test]
    fn a_failed_program_says_what_it_wrote() {
        let error = Program::new("ls").arg("/no/such/thing").run().unwrap_err().to_string();
        assert!(error.starts_with("ls /no/such/thing failed (exit status: 2): "), "{error}");
    }

    #[test]
    fn input_reaches_the_program() {
        let input = vec![b'x'; 200_000];
        assert_eq!(Program::new("cat").input(input.clone()).run().unwrap(), input);
    }
}
