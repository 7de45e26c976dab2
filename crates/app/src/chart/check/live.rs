//! A check on a terminal: each row's lines when its last answer came, and below them, overwritten, how far
//! it is and what it waits for.

use std::io::Write as _;

use portolan_probe::{Check, Event, Report};
use tokio::sync::mpsc;

use super::super::report::text;

/// Runs a check and shows it.
pub(super) async fn run(check: Check) -> Report {
    let mut counter = Counter { rows: check.rows(), ended: 0 };
    let (tell, mut told) = mpsc::unbounded_channel();
    counter.draw();
    let show = async {
        while let Some(event) = told.recv().await {
            if let Event::Row(_, report) = event {
                counter.ended += 1;
                let lines = text::row(&report);
                // Somebody who closed the terminal does not stop the check: its status still counts.
                let _ = write!(std::io::stdout(), "{CLEARED}{lines}");
                counter.draw();
            }
        }
        let _ = write!(std::io::stdout(), "{CLEARED}");
    };
    let (report, ()) = tokio::join!(check.run(Some(tell)), show);
    report
}

/// The beginning of the line, and nothing on it.
const CLEARED: &str = "\r\u{1b}[K";

struct Counter {
    rows: usize,
    ended: usize,
}

impl Counter {
    fn draw(&self) {
        let mut out = std::io::stdout();
        let _ = write!(out, "{CLEARED}{} of {} rows answered", self.ended, self.rows);
        let _ = out.flush();
    }
}
