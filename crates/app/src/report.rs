//! How a failed command speaks: one `error:` line, its causes, and a `hint:` line.

use std::error::Error;
use std::fmt::Write as _;

use portolan_model::Hint;

use crate::terminal::plain;

/// A failed command, ready to be printed.
#[derive(Debug)]
pub struct Failure {
    text: String,
    hint: Option<String>,
    lasting: bool,
    elsewhere: bool,
    status: u8,
}

/// What a process ends with when it failed.
const FAILED: u8 = 1;
/// What it ends with when it was asked for something that makes no sense, or could not judge.
const NOT_JUDGED: u8 = 2;
/// What it ends with when all was done but what waits for somebody's word.
const HELD: u8 = 3;

impl Failure {
    /// A failure in its own words.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), hint: None, lasting: false, elsewhere: false, status: FAILED }
    }

    /// As one after which nothing is known, and nothing is known to be wrong: the process ends with 2, as
    /// it does for a wrong command line.
    #[must_use]
    pub const fn unjudged(mut self) -> Self {
        self.status = NOT_JUDGED;
        self
    }

    /// As what was done but for what waits for somebody's word: the process ends with 3.
    #[must_use]
    pub const fn held(mut self) -> Self {
        self.status = HELD;
        self
    }

    /// What the process ends with.
    #[must_use]
    pub const fn status(&self) -> u8 {
        self.status
    }

    /// With a next step for the operator.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// As one that trying again cannot mend, and may make worse: a refused password locks an account.
    #[must_use]
    pub const fn lasting(mut self) -> Self {
        self.lasting = true;
        self
    }

    /// Whether trying again is of no use until something is changed.
    #[must_use]
    pub const fn is_lasting(&self) -> bool {
        self.lasting
    }

    /// As one of the host that was asked: another one that holds the same may do better.
    #[must_use]
    pub const fn elsewhere(mut self) -> Self {
        self.elsewhere = true;
        self
    }

    /// Whether the same may succeed with another host.
    #[must_use]
    pub const fn is_elsewhere(&self) -> bool {
        self.elsewhere
    }

    /// An error without a hint, with what was being done: `cannot read the enrolment file: …`.
    #[must_use]
    pub fn because(doing: &str, error: &(dyn Error + 'static)) -> Self {
        let mut text = doing.to_owned();
        let mut cause = Some(error);
        while let Some(error) = cause {
            // Writing to a String does not fail.
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        Self::new(text)
    }

    /// As the terminal shows it, with what others chose in it written out.
    #[must_use]
    pub fn render(&self) -> String {
        // What spans lines (a program's own words, a marked place in a file) is set in.
        let lines: Vec<_> = self.text.lines().map(plain).collect();
        let text = lines.join("\n    ");
        match &self.hint {
            Some(hint) => format!("error: {text}\n  hint: {}\n", plain(hint)),
            None => format!("error: {text}\n"),
        }
    }

    /// Tells it: as an event when the log has a form, for people's eyes otherwise.
    pub fn tell(&self) {
        if crate::log::is_structured() {
            tracing::error!(target: "portolan::run", error = self.text(), hint = self.hint(), "Failed");
        } else {
            eprint!("{}", self.render());
        }
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// What failed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl<E: Error + Hint + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let hint = error.hint();
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        Self { text, hint, lasting: false, elsewhere: false, status: FAILED }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_prints_error_and_hint_lines() {
        let failure = Failure::new("cannot bind").with_hint("renew the keytab");
        assert_eq!(failure.render(), "error: cannot bind\n  hint: renew the keytab\n");
    }

    #[test]
    fn a_peer_can_neither_move_the_cursor_nor_begin_a_line() {
        let failure = Failure::new("the tenant says: no\nerror: all is well\u{1b}[1A");
        assert_eq!(
            failure.render(),
            "error: the tenant says: no\n    error: all is well\\u{1b}[1A\n"
        );
    }
}
