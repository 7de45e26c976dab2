//! Keepers: the processes that hold a host's namespaces open.
//!
//! The namespaces have no name anywhere. They live as long as their first process does, and
//! everything that runs inside dies with it. Until that process has been written down it waits for
//! a word from its maker, and ends when the maker does: a crash leaves nothing that nobody knows.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};

use crate::error::LabError;
use crate::process::{self, Process, Program};
use crate::state::Namespace;

/// The first process inside. It reaps what is orphaned and does nothing else.
const INIT: &str = "echo ready
read -r word && test \"$word\" = stay || exit 1
exec </dev/null >/dev/null 2>&1
sleep infinity & wait";

/// A keeper that has not been told to stay yet.
#[derive(Debug)]
pub(crate) struct Draft {
    /// The namespaces it holds.
    pub(crate) namespace: Namespace,
    word: ChildStdin,
}

impl Draft {
    /// Makes a set of namespaces.
    pub(crate) fn new(name: &str) -> Result<Self, LabError> {
        let failed = |source| LabError::Io { doing: format!("make namespaces for {name}"), source };
        let gone = || failed(std::io::ErrorKind::UnexpectedEof.into());
        let mut unshare = process::command("unshare");
        unshare
            .args(["--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--mount-proc"])
            .args(["--kill-child", "--", "bash", "-c", INIT])
            .current_dir("/")
            // Apart from the terminal and its signals.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = unshare.spawn().map_err(failed)?;
        let (Some(word), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(gone());
        };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).map_err(failed)?;
        if line.is_empty() {
            drop(word);
            let output = child.wait_with_output().map_err(failed)?;
            return Err(LabError::Program {
                program: process::shown(&unshare),
                status: output.status.to_string(),
                output: process::ending(&String::from_utf8_lossy(&output.stderr)),
            });
        }
        let keeper = Process::of(child.id()).ok_or_else(gone)?;
        let init = keeper.child().ok_or_else(gone)?;
        Ok(Self { namespace: Namespace { name: name.to_owned(), keeper, init }, word })
    }

    /// Lets it outlive this process.
    pub(crate) fn stay(mut self) -> Result<(), LabError> {
        self.word.write_all(b"stay\n").map_err(|source| LabError::Io {
            doing: format!("keep the namespaces of {}", self.namespace.name),
            source,
        })
    }
}

impl Namespace {
    /// A command for a program inside, which starts in `/`.
    pub(crate) fn enter(&self) -> Command {
        let mut command = process::command("nsenter");
        command.arg("--target").arg(self.init.pid.to_string());
        command.args(["--net", "--mount", "--uts", "--ipc", "--pid", "--"]);
        command
    }

    /// A program to be run to its end inside.
    pub(crate) fn program(&self, program: impl AsRef<OsStr>) -> Program {
        Program::from(self.enter()).arg(program)
    }

    /// A command for a program inside that stays when this process ends; it belongs to the
    /// namespaces alone and ends with them. `log` takes what it says.
    pub(crate) fn daemon(
        &self,
        program: impl AsRef<OsStr>,
        log: &Path,
    ) -> Result<Command, LabError> {
        let output = process::open_log(log)?;
        let errors = output.try_clone().map_err(LabError::io("open", log))?;
        let mut command = self.enter();
        command.args(["setsid", "--fork"]).arg(program);
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        Ok(command)
    }

    /// Ends everything inside, and with it the namespaces.
    pub(crate) fn end(&self) -> Result<(), LabError> {
        self.init.kill()?;
        self.keeper.kill()
    }
}
