//! What happens in a scenario, told while it happens: one line a step, with its time and its row.

use std::io::Write as _;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};

use super::catalogue::Entry;
use crate::report::Failure;
use crate::terminal::plain;

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Step {
    /// Seconds since the scenario began.
    pub(super) at: f64,
    /// Who did it: a host, or `lab`.
    pub(super) host: String,
    /// The row it went by, if it crossed the network.
    pub(super) row: Option<String>,
    /// What was done.
    pub(super) what: String,
}

/// The running account.
#[derive(Debug)]
pub(super) struct Story {
    began: Instant,
    json: bool,
    steps: Vec<Step>,
}

/// How a scenario ended.
#[derive(Debug)]
pub(super) struct End {
    /// Whether what was expected happened.
    pub(super) held: bool,
    /// What happened, in a sentence.
    pub(super) outcome: String,
    /// Measured seconds, by name.
    pub(super) seconds: Vec<(&'static str, f64)>,
}

impl End {
    /// An end without anything measured.
    pub(super) fn new(held: bool, outcome: impl Into<String>) -> Self {
        Self { held, outcome: outcome.into(), seconds: Vec::new() }
    }
}

impl Story {
    /// Begins it. With `json` nothing is printed but the whole, at its end.
    pub(super) fn begin(json: bool) -> Self {
        Self { began: portolan_net::clock::monotonic(), json, steps: Vec::new() }
    }

    /// The time since it began.
    pub(super) fn elapsed(&self) -> Duration {
        portolan_net::clock::monotonic().duration_since(self.began)
    }

    /// Tells what was done just now.
    pub(super) fn tell(&mut self, host: &str, row: Option<&str>, what: impl Into<String>) {
        self.tell_at(self.elapsed().as_secs_f64(), host, row, what.into());
    }

    /// Tells what was done so many seconds after the beginning.
    pub(super) fn tell_at(&mut self, at: f64, host: &str, row: Option<&str>, what: String) {
        if !self.json {
            let (row, shown) = (row.unwrap_or("-"), plain(&what));
            // Progress that cannot be printed does not stop the work.
            let _ = writeln!(std::io::stdout(), "{at:8.3} s  {host:<8} {row:<28}  {shown}");
        }
        self.steps.push(Step { at, host: host.to_owned(), row: row.map(str::to_owned), what });
    }

    /// Tells the steps that connect printed, which began so many seconds after the beginning. Gives
    /// them with their own times.
    pub(super) fn relay(&mut self, since: f64, said: &str) -> Vec<Step> {
        let steps: Vec<_> = said.lines().filter_map(parse).collect();
        for step in &steps {
            self.tell_at(since + step.at, &step.host, step.row.as_deref(), step.what.clone());
        }
        steps
    }

    /// Ends it: says what came of it, and fails unless that was expected.
    pub(super) fn end(self, entry: &Entry, end: &End) -> Result<(), Failure> {
        let text = if self.json {
            format!("{:#}\n", self.value(entry, end))
        } else {
            let mut text =
                format!("\nexpected  {}\noutcome   {}\n", entry.expects, plain(&end.outcome));
            for (name, seconds) in &end.seconds {
                text.push_str(&format!("measured  {name}: {seconds:.3} s\n"));
            }
            text
        };
        std::io::stdout()
            .write_all(text.as_bytes())
            .map_err(|error| Failure::because("cannot write to standard output", &error))?;
        if end.held {
            return Ok(());
        }
        Err(Failure::new(format!("{} did not come out as expected: {}", entry.word, end.outcome)))
    }

    fn value(&self, entry: &Entry, end: &End) -> Value {
        let seconds: serde_json::Map<_, _> = end
            .seconds
            .iter()
            .map(|(name, seconds)| ((*name).to_owned(), json!(seconds)))
            .collect();
        json!({
            "scenario": entry.word,
            "expected": entry.expects,
            "held": end.held,
            "outcome": end.outcome,
            "seconds": seconds,
            "steps": self.steps,
        })
    }
}

/// A line of `portolan connect run`: the seconds since it began, the row or `-`, what was done.
fn parse(line: &str) -> Option<Step> {
    let (at, rest) = line.trim_start().split_once(" s  ")?;
    let at = at.parse().ok()?;
    let (row, what) = rest.split_once("  ")?;
    let row = Some(row.trim()).filter(|row| *row != "-").map(str::to_owned);
    Some(Step { at, host: "connect".to_owned(), row, what: what.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connect_s_own_lines_are_read_and_others_are_left() {
        let said = "   0.237 s  Table 1, DNS 53/tcp+udp                 found dc1.corp.example\n\
                    error: something\n   0.358 s  -                                       note: x\n";
        let mut story = Story::begin(true);
        let steps = story.relay(2.0, said);
        assert_eq!(steps[0].row.as_deref(), Some("Table 1, DNS 53/tcp+udp"));
        assert_eq!((steps[0].at, steps[0].what.as_str()), (0.237, "found dc1.corp.example"));
        assert_eq!((steps[1].row.as_deref(), steps[1].what.as_str()), (None, "note: x"));
        assert_eq!(steps.len(), 2);
        assert!((story.steps[0].at - 2.237).abs() < 1e-9);
    }
}
