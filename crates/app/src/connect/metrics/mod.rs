//! Figures of a daemon for Prometheus: what its runs did is counted here as they end; how much is where is
//! read from the state when it is asked for ([`page`]). They are served where `[metrics]` in `connect.toml`
//! says ([`serve`]), on loopback unless told otherwise, and hold no name of a person and no secret.

mod page;
mod serve;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;

pub(super) use serve::{Exporter, RawMetrics};

use crate::exposition::Histogram;

/// Upper bounds of what a step takes, in seconds.
const STEP_BOUNDS: &[f64] =
    &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0];
/// Upper bounds of how old a password is when the target has it, in seconds.
const LATENCY_BOUNDS: &[f64] =
    &[0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0];

/// What was counted since the daemon began.
#[derive(Debug)]
pub(super) struct Metrics(Mutex<Counted>);

/// A step, and the forest that it was about.
type StepOf = (&'static str, String);

#[derive(Debug)]
struct Counted {
    steps: BTreeMap<(StepOf, &'static str), u64>,
    durations: BTreeMap<&'static str, Histogram>,
    succeeded: BTreeMap<StepOf, OffsetDateTime>,
    runs: BTreeMap<(String, &'static str), u64>,
    runs_succeeded: BTreeMap<String, OffsetDateTime>,
    credentials: BTreeMap<&'static str, u64>,
    latency: Histogram,
    held: u64,
    reloads: BTreeMap<&'static str, u64>,
    reloaded: OffsetDateTime,
}

impl Metrics {
    /// Counts from now on, with the configuration that was read now.
    pub(super) fn begin(now: OffsetDateTime) -> Self {
        Self(Mutex::new(Counted {
            steps: BTreeMap::new(),
            durations: BTreeMap::new(),
            succeeded: BTreeMap::new(),
            runs: BTreeMap::new(),
            runs_succeeded: BTreeMap::new(),
            credentials: BTreeMap::new(),
            latency: Histogram::new(LATENCY_BOUNDS),
            held: 0,
            reloads: BTreeMap::new(),
            reloaded: now,
        }))
    }

    /// A step ended.
    pub(super) fn step(
        &self,
        step: &'static str,
        forest: Option<&str>,
        outcome: &'static str,
        took: Duration,
        now: OffsetDateTime,
    ) {
        let mut counted = self.counted();
        let of = (step, forest.unwrap_or_default().to_owned());
        let durations = counted.durations.entry(step);
        durations.or_insert_with(|| Histogram::new(STEP_BOUNDS)).observe(took.as_secs_f64());
        if outcome == super::running::DONE {
            counted.succeeded.insert(of.clone(), now);
        }
        *counted.steps.entry((of, outcome)).or_default() += 1;
    }

    /// A run ended.
    pub(super) fn run(&self, kind: &str, outcome: &'static str, now: OffsetDateTime) {
        let mut counted = self.counted();
        if outcome == super::running::DONE {
            counted.runs_succeeded.insert(kind.to_owned(), now);
        }
        *counted.runs.entry((kind.to_owned(), outcome)).or_default() += 1;
    }

    /// So many kinds of change wait for somebody's word.
    pub(super) fn held(&self, count: usize) {
        self.counted().held = count as u64;
    }

    /// A cycle of password hashes ended: so many credentials were taken and refused, and so old were the
    /// passwords when they were taken.
    pub(super) fn credentials(&self, sent: usize, refused: usize, ages: &[Duration]) {
        let mut counted = self.counted();
        for (what, count) in [("sent", sent), ("refused", refused)] {
            *counted.credentials.entry(what).or_default() += count as u64;
        }
        for age in ages {
            counted.latency.observe(age.as_secs_f64());
        }
    }

    /// A changed configuration was taken, or was not.
    pub(super) fn reload(&self, outcome: &'static str, now: OffsetDateTime) {
        let mut counted = self.counted();
        if outcome == super::running::DONE {
            counted.reloaded = now;
        }
        *counted.reloads.entry(outcome).or_default() += 1;
    }

    /// Nothing panics while it counts.
    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
