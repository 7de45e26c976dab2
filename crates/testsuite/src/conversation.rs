//! A program that answers questions, one line of JSON each.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::RoadError;

/// A program that was started, and ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Conversation {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Conversation {
    /// Starts a program.
    pub(crate) fn begin(mut command: Command) -> Result<Self, RoadError> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().map_err(broken)?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(questions), Some(answers)) => {
                Ok(Self { child, questions, answers: BufReader::new(answers) })
            }
            _ => Err(broken(std::io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// Asks a question, and waits for the answer.
    pub(crate) fn ask(&mut self, question: &Value) -> Result<Value, RoadError> {
        writeln!(self.questions, "{question}").map_err(broken)?;
        self.answer()
    }

    /// The next line.
    pub(crate) fn answer(&mut self) -> Result<Value, RoadError> {
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(broken)?;
        serde_json::from_str(&line).map_err(|error| broken(error.into()))
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn broken(error: std::io::Error) -> RoadError {
    RoadError::Io { what: "a program does not answer".to_owned(), error }
}
