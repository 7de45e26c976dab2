//! The steps of a verb, each timed, and the closing summary.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::run::Failed;

/// What has run so far.
pub(crate) struct Steps {
    done: Vec<Step>,
    /// Whether what is said goes to standard error.
    aside: bool,
}

struct Step {
    name: String,
    took: Duration,
    passed: bool,
}

impl Steps {
    pub(crate) fn start() -> Self {
        Self { done: Vec::new(), aside: false }
    }

    /// Steps that leave standard output alone.
    pub(crate) fn aside() -> Self {
        Self { aside: true, ..Self::start() }
    }

    /// Prints where the steps are told.
    pub(crate) fn say(&self, text: &str) {
        if self.aside {
            eprint!("{text}");
        } else {
            print!("{text}");
        }
    }

    /// Runs one step under a heading and notes how long it took.
    pub(crate) fn step<T>(
        &mut self,
        name: &str,
        work: impl FnOnce() -> Result<T, Failed>,
    ) -> Result<T, Failed> {
        self.say(&format!("\n== {name}\n"));
        let start = Instant::now();
        let outcome = work();
        let (took, passed) = (start.elapsed(), outcome.is_ok());
        self.done.push(Step { name: name.to_owned(), took, passed });
        outcome
    }

    /// One line a step, and the sum; nothing where nothing ran.
    pub(crate) fn summary(&self) -> String {
        let mut text = String::new();
        if self.done.is_empty() {
            return text;
        }
        let mut line = |name: &str, took: Duration, verdict: &str| {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{name:<46} {:>8.1} s  {verdict}", took.as_secs_f64());
        };
        for step in &self.done {
            line(&step.name, step.took, if step.passed { "ok" } else { "FAILED" });
        }
        let passed = self.done.iter().all(|step| step.passed);
        let whole = self.done.iter().map(|step| step.took).sum();
        line("all", whole, if passed { "ok" } else { "FAILED" });
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_each_step_and_fails_with_any() {
        let mut steps = Steps::start();
        assert_eq!(steps.summary(), "");
        steps.step("first", || Ok(())).unwrap();
        assert!(steps.summary().ends_with("ok\n"));
        assert!(steps.step("second", || Err::<(), _>(Failed::new("broken"))).is_err());
        let summary = steps.summary();
        assert_eq!(summary.lines().count(), 3);
        assert!(summary.lines().next().unwrap().starts_with("first"));
        assert!(summary.ends_with("FAILED\n"));
    }
}
