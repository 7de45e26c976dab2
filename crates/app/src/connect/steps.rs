//! What an operator sees of a run: one line a step, with the time and the row it used.

use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use portolan_chart::{Chart, Flow};
use portolan_model::DnsName;

use super::progress::TAKEN_BACK;
use crate::terminal::plain;

/// The running account of a command, on standard error.
#[derive(Debug)]
pub(super) struct Steps {
    started: Instant,
    quiet: bool,
    /// The forest that it is about, where there are several.
    forest: Option<String>,
    /// What was said of circumstances that last for the whole of a run.
    noted: Mutex<BTreeSet<String>>,
}

impl Steps {
    /// Begins an account.
    pub(super) fn begin() -> Self {
        let started = portolan_net::clock::monotonic();
        Self { started, quiet: false, forest: None, noted: Mutex::default() }
    }

    /// The part of this account that is about one forest of several.
    pub(super) fn of(&self, forest: &DnsName) -> Self {
        let (started, quiet) = (self.started, self.quiet);
        Self { started, quiet, forest: Some(forest.to_string()), noted: Mutex::default() }
    }

    /// An account that is not shown: of what was shown before.
    pub(super) fn quiet() -> Self {
        Self { quiet: true, ..Self::begin() }
    }

    /// Says what was done, and over which row if it crossed the network.
    pub(super) fn say(&self, row: Option<&str>, done: &str) {
        if self.quiet {
            return;
        }
        if crate::log::is_structured() {
            tracing::info!(target: "portolan::run", row, "{}", plain(done));
            return;
        }
        let elapsed = portolan_net::clock::monotonic().duration_since(self.started);
        let row = row.unwrap_or("-");
        let done = match &self.forest {
            Some(forest) => plain(&format!("{forest}: {done}")).into_owned(),
            None => plain(done).into_owned(),
        };
        // A counter may stand where this line is to stand.
        let before = if std::io::stderr().is_terminal() { TAKEN_BACK } else { "" };
        let elapsed = elapsed.as_secs_f64();
        // An operator who closed the terminal does not stop a run.
        let _ = writeln!(std::io::stderr(), "{before}{elapsed:8.3} s  {row:<38}  {done}");
    }

    /// Says something of a flow's row that lasts, once however often it is met with.
    pub(super) fn note_over(&self, chart: &Chart, flow: Flow, noted: &str) {
        let mut before = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if before.insert(noted.to_owned()) {
            self.over(chart, flow, noted);
        }
    }

    /// Says what was done over a flow's row, as the edition in force names it.
    pub(super) fn over(&self, chart: &Chart, flow: Flow, done: &str) {
        let row = chart.row(flow).ok();
        let row = row.map(|row| {
            format!(
                "{}, {} {}/{}",
                row.table,
                row.protocol,
                row.ports_text(),
                row.transports_text()
            )
        });
        self.say(row.as_deref(), done);
    }
}
