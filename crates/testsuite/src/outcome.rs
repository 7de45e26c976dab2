//! What a program on the road said, and how the road fails.

use std::process::{ExitStatus, Output};

use portolan_lab::LabError;
use serde_json::Value;

/// How a program ended, and what it said.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What was run, for messages.
    pub what: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Outcome {
    pub(crate) fn new(what: impl Into<String>, output: &Output) -> Self {
        Self {
            what: what.into(),
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Itself, if the program succeeded.
    ///
    /// # Errors
    /// [`RoadError::Failed`] with what it said.
    pub fn success(self) -> Result<Self, RoadError> {
        if self.status.success() { Ok(self) } else { Err(RoadError::Failed(Box::new(self))) }
    }

    /// Its standard output as JSON.
    ///
    /// # Errors
    /// [`RoadError::NoJson`] when it is none.
    pub fn json(&self) -> Result<Value, RoadError> {
        serde_json::from_str(&self.stdout)
            .map_err(|error| RoadError::NoJson { outcome: Box::new(self.clone()), error })
    }

    /// The `error:` line of a program that failed as an operator should see it, and its `hint:`.
    #[must_use]
    pub fn failure(&self) -> (Option<&str>, Option<&str>) {
        let line =
            |prefix| self.stderr.lines().find_map(|line| line.trim_start().strip_prefix(prefix));
        (line("error: "), line("hint: "))
    }
}

/// How the road fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoadError {
    /// A variable is not set.
    #[error("{name} is not set; run the tests by `cargo xtask test`")]
    NoVariable {
        /// Its name.
        name: &'static str,
    },
    /// The lab refused.
    #[error("the lab: {0}")]
    Lab(#[from] LabError),
    /// A program could not be run, or a file not be written.
    #[error("{what}: {error}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// A program failed.
    #[error("{} failed ({}):\n{}{}", .0.what, .0.status, .0.stdout, .0.stderr)]
    Failed(Box<Outcome>),
    /// A program did not print JSON.
    #[error("{} printed no JSON ({error}):\n{}{}", .outcome.what, .outcome.stdout, .outcome.stderr)]
    NoJson {
        /// The program.
        outcome: Box<Outcome>,
        /// Why it is none.
        error: serde_json::Error,
    },
    /// The tenant ended before it was ready.
    #[error("the tenant was not ready:\n{said}")]
    NotReady {
        /// What it printed.
        said: String,
    },
    /// The daemon did not say, or do, what was waited for.
    #[error("connect run did not come to {words:?}; it said:\n{said}")]
    Daemon {
        /// What was waited for.
        words: String,
        /// What it said.
        said: String,
    },
    /// A JSON answer lacks a field.
    #[error("{what} has no {field}")]
    NoField {
        /// The answer.
        what: &'static str,
        /// The field.
        field: &'static str,
    },
}
