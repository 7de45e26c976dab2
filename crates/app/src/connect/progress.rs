//! How far a long piece of work is: a counter that overwrites itself on a terminal, and a line now and
//! then elsewhere. Work that ends soon shows nothing.

use std::cell::Cell;
use std::future::Future;
use std::io::{IsTerminal as _, Write as _};
use std::pin::pin;
use std::time::{Duration, Instant};

use portolan_store::state::{State, StateError};

/// How often a step is shown, and how long is waited for what there is to show.
const STEP_EVERY: Duration = Duration::from_secs(1);
const LOOK_TIME_MAX: Duration = Duration::from_millis(200);
/// What takes a line back that stands on a terminal.
pub(super) const TAKEN_BACK: &str = "\r\u{1b}[K";

/// How long nothing is shown, on a terminal and elsewhere, and how often after that.
const TERMINAL_EVERY: Duration = Duration::from_millis(200);
const ELSEWHERE_EVERY: Duration = Duration::from_secs(10);

/// Does a step, and shows meanwhile on a terminal how long it takes, and what waits for it in the state.
pub(super) async fn shown<T>(step: &str, state: &State, work: impl Future<Output = T>) -> T {
    // Password hashes have a counter of their own.
    let is_shown = std::io::stderr().is_terminal() && !crate::log::is_structured();
    if !is_shown || step == "passwords" {
        return work.await;
    }
    let begun = portolan_net::clock::monotonic();
    let mut work = pin!(work);
    let mut drawn = false;
    loop {
        tokio::select! {
            done = &mut work => {
                if drawn {
                    let _ = write!(std::io::stderr(), "{TAKEN_BACK}");
                }
                return done;
            }
            () = tokio::time::sleep(STEP_EVERY) => {
                // The work goes on behind this, so it is not waited for long.
                let waiting = tokio::time::timeout(LOOK_TIME_MAX, waiting(step, state)).await;
                let waiting = waiting.ok().and_then(Result::ok).flatten().unwrap_or_default();
                let seconds = portolan_net::clock::monotonic().duration_since(begun).as_secs_f64();
                drawn = true;
                let line = format!("{seconds:8.0} s  {step}{waiting}");
                let _ = write!(std::io::stderr(), "{TAKEN_BACK}{line}");
            }
        }
    }
}

/// What waits for a step.
async fn waiting(step: &str, state: &State) -> Result<Option<String>, StateError> {
    Ok(match step {
        "sync" => Some(format!(": {} objects wait to be decided about", state.pending().await?)),
        "export" => {
            let mut waiting = 0;
            for connector in state.connectors().await? {
                let figures = state.figures(connector.id).await?;
                waiting += figures.pending.iter().map(|(.., count)| count).sum::<u64>();
            }
            Some(format!(": {waiting} objects wait to be sent"))
        }
        _ => None,
    })
}

/// The counter of password hash replication. Its two sides count beside each other.
#[derive(Debug)]
pub(super) struct Progress {
    terminal: bool,
    began: Instant,
    shown: Cell<Instant>,
    drawn: Cell<bool>,
    read: Cell<usize>,
    sent: Cell<usize>,
}

impl Progress {
    /// Begins to count.
    pub(super) fn begin() -> Self {
        let now = portolan_net::clock::monotonic();
        Self {
            terminal: std::io::stderr().is_terminal(),
            began: now,
            shown: Cell::new(now),
            drawn: Cell::new(false),
            read: Cell::new(0),
            sent: Cell::new(0),
        }
    }

    /// Objects were read, so many by now.
    pub(super) fn read(&self, objects: usize) {
        self.read.set(objects);
        self.show();
    }

    /// Credentials were taken by the tenant, so many by now.
    pub(super) fn sent(&self, credentials: usize) {
        self.sent.set(credentials);
        self.show();
    }

    fn show(&self) {
        if crate::log::is_structured() {
            return;
        }
        let now = portolan_net::clock::monotonic();
        let every = if self.terminal { TERMINAL_EVERY } else { ELSEWHERE_EVERY };
        if now.duration_since(self.shown.get()) < every {
            return;
        }
        self.shown.set(now);
        let seconds = now.duration_since(self.began).as_secs_f64();
        let counted = counted(seconds, self.read.get(), self.sent.get());
        // An operator who closed the terminal does not stop the work.
        let _ = if self.terminal {
            self.drawn.set(true);
            write!(std::io::stderr(), "{TAKEN_BACK}{counted}")
        } else {
            writeln!(std::io::stderr(), "{counted}")
        };
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.get() {
            let _ = write!(std::io::stderr(), "{TAKEN_BACK}");
        }
    }
}

/// In the columns of a step.
fn counted(seconds: f64, read: usize, sent: usize) -> String {
    format!("{seconds:8.3} s  {:<38}  {read} objects read, {sent} credentials sent", "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_stands_in_the_columns_of_a_step() {
        let expected = "  12.500 s  -                                       3000 objects read, 2750 credentials sent";
        assert_eq!(counted(12.5, 3_000, 2_750), expected);
    }
}
