//! `portolan connect run`, running.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use portolan_lab::Lab;

use crate::RoadError;

/// How long the daemon may take to come as far as is waited for.
const WAIT_TIME_MAX: Duration = Duration::from_secs(60);
/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The daemon. It is killed when this is dropped.
#[derive(Debug)]
pub struct Daemon<'lab> {
    lab: &'lab Lab,
    child: Child,
    log: PathBuf,
    pid: PathBuf,
}

impl<'lab> Daemon<'lab> {
    /// Starts a program on connect's host; what it says, and its id there, go to files in `work` of this
    /// name.
    pub(crate) fn begin(
        lab: &'lab Lab,
        program: &Path,
        arguments: &[&OsStr],
        (work, name): (&Path, &str),
    ) -> Result<Self, RoadError> {
        let (log, pid) = (work.join(format!("{name}.log")), work.join(format!("{name}.pid")));
        // A host has process ids of its own: the shell writes the one that it hands on.
        let mut command = lab.command("connect", "sh")?;
        command.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(&pid).arg(program);
        command.args(arguments);
        let io =
            |error| RoadError::Io { what: "cannot run portolan connect run".to_owned(), error };
        let file = std::fs::File::create(&log).map_err(io)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        Ok(Self { lab, child: command.spawn().map_err(io)?, log, pid })
    }

    /// What it has said.
    #[must_use]
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it has said something so many times, and gives all that it has said.
    ///
    /// # Errors
    /// [`RoadError::Daemon`] when it ends or does not say it in time.
    pub fn wait_for(&mut self, words: &str, times: usize) -> Result<String, RoadError> {
        let until = Instant::now() + WAIT_TIME_MAX;
        loop {
            let said = self.said();
            if said.matches(words).count() >= times {
                return Ok(said);
            }
            if Instant::now() > until || !matches!(self.child.try_wait(), Ok(None)) {
                return Err(RoadError::Daemon { words: words.to_owned(), said });
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Tells it to read its configuration anew (SIGHUP).
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn hang_up(&self) -> Result<(), RoadError> {
        self.signal("HUP")
    }

    /// Sends it a signal, by its name.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub fn signal(&self, name: &str) -> Result<(), RoadError> {
        let io = |error| RoadError::Io { what: format!("cannot send SIG{name}"), error };
        let pid = std::fs::read_to_string(&self.pid).map_err(io)?;
        let mut kill = self.lab.command("connect", "kill")?;
        kill.args([&format!("-{name}"), pid.trim()]).status().map_err(io)?;
        if name == "CONT" {
            // What brought it onto its host stopped with it.
            let outside = self.child.id().to_string();
            std::process::Command::new("kill").args(["-CONT", &outside]).status().map_err(io)?;
        }
        Ok(())
    }

    /// Tells it to stop (SIGTERM), and waits for its end.
    ///
    /// # Errors
    /// [`RoadError::Daemon`] when it does not end in time.
    pub fn stop(mut self) -> Result<(ExitStatus, String), RoadError> {
        let io = |error| RoadError::Io { what: "cannot wait for the daemon".to_owned(), error };
        self.signal("TERM")?;
        let until = Instant::now() + WAIT_TIME_MAX;
        loop {
            if let Some(status) = self.child.try_wait().map_err(io)? {
                return Ok((status, self.said()));
            }
            if Instant::now() > until {
                return Err(RoadError::Daemon { words: "its end".to_owned(), said: self.said() });
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
