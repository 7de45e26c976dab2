//! A run and its steps: kept in the state for `connect history`, told in the log, counted for Prometheus.
//! What a step does is others'; this says how it went.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portolan_store::state::{RunId, State, StepEnd};
use serde::Serialize;
use tracing::Instrument as _;

use super::metrics::Metrics;
use super::progress;
use crate::report::Failure;

/// How a run, a step or a reload ended.
pub(super) const DONE: &str = "done";
/// Likewise.
pub(super) const FAILED: &str = "failed";

/// What a step counted. Of what it does not count it says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    /// Whether it was about everything, and not what changed alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) full: Option<bool>,
    /// Objects that it looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) objects: Option<u64>,
    /// Objects that were new or other than before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) changed: Option<u64>,
    /// Objects that are gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) removed: Option<u64>,
    /// Objects that were made in the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) added: Option<u64>,
    /// Objects that were changed there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) updated: Option<u64>,
    /// Objects that were deleted there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deleted: Option<u64>,
    /// References that were added or removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) references: Option<u64>,
    /// Credentials that the target took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) credentials: Option<u64>,
    /// What the target refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refused: Option<u64>,
}

/// What a step gives that can be counted.
pub(super) trait Counted {
    /// What it counted.
    fn counts(&self) -> Counts;
}

/// A run under way.
#[derive(Debug)]
pub(super) struct Running {
    state: State,
    metrics: Option<Arc<Metrics>>,
    kind: String,
    id: RunId,
    begun: Instant,
}

impl Running {
    /// Begins a run of a kind: the name of a command, or of a profile.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub(super) async fn begin(
        state: &State,
        metrics: Option<Arc<Metrics>>,
        kind: &str,
    ) -> Result<Self, Failure> {
        let id = state.begin_run(kind, portolan_net::clock::now()).await?;
        let begun = portolan_net::clock::monotonic();
        Ok(Self { state: state.clone(), metrics, kind: kind.to_owned(), id, begun })
    }

    /// Which run it is.
    pub(super) const fn id(&self) -> RunId {
        self.id
    }

    /// Does a step. What is logged meanwhile names the run and the step.
    ///
    /// # Errors
    /// Those of the work, and when the state cannot be written.
    pub(super) async fn step<T: Counted>(
        &self,
        step: &'static str,
        forest: Option<&str>,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let id = self.state.begin_step(self.id, step, forest, portolan_net::clock::now()).await?;
        let begun = portolan_net::clock::monotonic();
        let span =
            tracing::info_span!(target: "portolan::run", "step", run = self.id.0, step, forest);
        let outcome = Box::pin(progress::shown(step, &self.state, work.instrument(span))).await;
        let took = portolan_net::clock::monotonic().duration_since(begun);
        let counts = outcome.as_ref().map(Counted::counts).unwrap_or_default();
        let (word, error) = judged(&outcome);
        self.tell(step, forest, word, took, counts, error);
        if let Some(metrics) = &self.metrics {
            metrics.step(step, forest, word, took, portolan_net::clock::now());
        }
        let end = StepEnd { took, outcome: word, counts: &json(&counts), error };
        let kept = self.state.end_step(id, end).await;
        let done = outcome?;
        kept?;
        Ok(done)
    }

    fn tell(
        &self,
        step: &str,
        forest: Option<&str>,
        outcome: &str,
        took: Duration,
        counts: Counts,
        error: Option<&str>,
    ) {
        let (run, seconds) = (self.id.0, took.as_secs_f64());
        let Counts { full, objects, changed, removed, .. } = counts;
        let Counts { added, updated, deleted, references, credentials, refused, .. } = counts;
        tracing::info!(
            target: "portolan::run", run, step, forest, outcome, seconds, full, objects, changed, removed,
            added, updated, deleted, references, credentials, refused, error, "Step ended"
        );
    }

    /// Ends the run as it went.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub(super) async fn end<T>(
        self,
        outcome: &Result<T, Failure>,
        counts: Counts,
    ) -> Result<(), Failure> {
        let (word, error) = judged(outcome);
        let now = portolan_net::clock::now();
        let seconds = portolan_net::clock::monotonic().duration_since(self.begun).as_secs_f64();
        let (run, kind) = (self.id.0, self.kind.as_str());
        tracing::info!(target: "portolan::run", run, kind, outcome = word, seconds, error, "Run ended");
        if let Some(metrics) = &self.metrics {
            metrics.run(kind, word, now);
        }
        Ok(self.state.end_run(self.id, word, &json(&counts), now).await?)
    }

    /// Ends a run that nobody asked for and that had nothing to do: it leaves no trace in the history.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub(super) async fn forget(self) -> Result<(), Failure> {
        if let Some(metrics) = &self.metrics {
            metrics.run(&self.kind, DONE, portolan_net::clock::now());
        }
        Ok(self.state.forget_run(self.id).await?)
    }
}

fn judged<T>(outcome: &Result<T, Failure>) -> (&'static str, Option<&str>) {
    match outcome {
        Ok(_) => (DONE, None),
        Err(failure) => (FAILED, Some(failure.text())),
    }
}

/// Counts always have a form.
fn json(counts: &Counts) -> String {
    serde_json::to_string(counts).unwrap_or_else(|_| "{}".to_owned())
}
