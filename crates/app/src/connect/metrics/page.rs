//! The page: what was counted, and what the state says when it is asked.

use portolan_store::state::{State, StateError, Waiting};
use portolan_sync::engine::Side;
use time::OffsetDateTime;

use super::{Counted, Metrics};
use crate::exposition::{self, Kind, labels, number};

impl Metrics {
    /// The page of a server with this state.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub(super) async fn page(&self, state: &State) -> Result<String, StateError> {
        let mut out = String::new();
        let version = [(labels(&[("version", env!("CARGO_PKG_VERSION"))]), 1.0)];
        let help = "The release that runs.";
        exposition::family(&mut out, "portolan_connect_build_info", help, Kind::Gauge, &version);
        write(&mut out, &self.counted());
        levels(&mut out, state).await?;
        Ok(out)
    }
}

/// What was counted since the daemon began.
fn write(out: &mut String, counted: &Counted) {
    let of = |(step, forest): &(&str, String)| labels(&[("step", step), ("forest", forest)]);
    let with_outcome =
        |of: String, outcome: &str| format!("{of},{}", labels(&[("outcome", outcome)]));
    let steps = counted.steps.iter().map(|((step, o), n)| (with_outcome(of(step), o), number(*n)));
    counters(out, "steps_total", "Steps that ended, by how.", steps);
    let durations: Vec<_> =
        counted.durations.iter().map(|(step, took)| (labels(&[("step", *step)]), took)).collect();
    let help = "What a step took.";
    exposition::histograms(out, "portolan_connect_step_duration_seconds", help, &durations);
    let succeeded = counted.succeeded.iter().map(|(step, at)| (of(step), seconds(*at)));
    let help = "When a step was last done, since 1970.";
    gauges(out, "step_last_success_timestamp_seconds", help, succeeded);
    let runs = counted.runs.iter();
    let runs = runs.map(|((kind, o), n)| (labels(&[("run", kind), ("outcome", o)]), number(*n)));
    counters(out, "runs_total", "Runs that ended, by how.", runs);
    let succeeded = counted.runs_succeeded.iter();
    let succeeded = succeeded.map(|(kind, at)| (labels(&[("run", kind.as_str())]), seconds(*at)));
    let help = "When a run was last done, since 1970.";
    gauges(out, "run_last_success_timestamp_seconds", help, succeeded);
    let credentials = counted.credentials.iter();
    let credentials = credentials.map(|(o, n)| (labels(&[("outcome", *o)]), number(*n)));
    counters(
        out,
        "credentials_total",
        "Credentials that the target was sent, by its answer.",
        credentials,
    );
    let latency = [(String::new(), &counted.latency)];
    let help =
        "From a password's change to its credential in the target; of changes of the last hour.";
    exposition::histograms(out, "portolan_connect_password_latency_seconds", help, &latency);
    let held = [(String::new(), number(counted.held))];
    gauges(out, "quarantined", "Kinds of change that the last run held back in quarantine.", held);
    let reloads = counted.reloads.iter();
    let reloads = reloads.map(|(o, n)| (labels(&[("outcome", *o)]), number(*n)));
    counters(out, "reloads_total", "Changed configurations, by whether they were taken.", reloads);
    let help = "When the configuration in force was read, since 1970.";
    gauges(
        out,
        "configuration_timestamp_seconds",
        help,
        [(String::new(), seconds(counted.reloaded))],
    );
}

/// How much is where.
async fn levels(out: &mut String, state: &State) -> Result<(), StateError> {
    let (mut staged, mut exported, mut pending) = (Vec::new(), Vec::new(), Vec::new());
    let (mut refused, mut owed) = (Vec::new(), Vec::new());
    for connector in state.connectors().await? {
        let of = ("connector", connector.name.as_str());
        if connector.side == Side::Forest {
            for (kind, count) in state.object_counts(connector.id).await? {
                staged.push((labels(&[of, ("kind", kind.as_str())]), number(count)));
            }
            continue;
        }
        let figures = state.figures(connector.id).await?;
        for (kind, count) in figures.exported {
            exported.push((labels(&[of, ("kind", kind.as_str())]), number(count)));
        }
        for (kind, what, count) in figures.pending {
            let what = match what {
                Waiting::Add => "add",
                Waiting::Update => "change",
                Waiting::Delete => "delete",
            };
            let labels = labels(&[of, ("kind", kind.as_str()), ("change", what)]);
            pending.push((labels, number(count)));
        }
        pending.push((
            labels(&[of, ("kind", "reference"), ("change", "change")]),
            number(figures.references),
        ));
        refused.push((labels(&[of]), number(figures.refused)));
        owed.push((labels(&[of]), number(figures.owed)));
    }
    gauges(out, "staged_objects", "Objects of a forest as they were imported.", staged);
    gauges(out, "exported_objects", "Objects that a target has.", exported);
    gauges(out, "pending_exports", "What is to be exported to a target.", pending);
    gauges(out, "refused_objects", "Objects that a target refused.", refused);
    let help = "Users whose credential a target should have and does not.";
    gauges(out, "owed_credentials", help, owed);
    let queued = [(String::new(), number(state.pending().await?))];
    gauges(out, "queued_objects", "Objects that wait to be decided about.", queued);
    let errors = state.error_counts().await?;
    let errors = errors.iter().map(|(code, n)| (labels(&[("code", code.as_str())]), number(*n)));
    gauges(out, "object_errors", "What is wrong with single objects.", errors);
    Ok(())
}

fn gauges(
    out: &mut String,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = (String, f64)>,
) {
    let samples: Vec<_> = samples.into_iter().collect();
    exposition::family(out, &format!("portolan_connect_{name}"), help, Kind::Gauge, &samples);
}

fn counters(
    out: &mut String,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = (String, f64)>,
) {
    let samples: Vec<_> = samples.into_iter().collect();
    exposition::family(out, &format!("portolan_connect_{name}"), help, Kind::Counter, &samples);
}

fn seconds(at: OffsetDateTime) -> f64 {
    number(at.unix_timestamp().unsigned_abs())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn what_was_counted_and_what_the_state_holds_stand_on_the_page() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).await.unwrap();
        state.connector("corp.example", Side::Forest).await.unwrap();
        state.connector("cloud.example", Side::Target).await.unwrap();
        let now = OffsetDateTime::UNIX_EPOCH + Duration::from_secs(7);
        let metrics = Metrics::begin(now);
        let took = Duration::from_millis(75);
        metrics.step("import", Some("corp.example"), super::super::super::running::DONE, took, now);
        metrics.step("export", None, super::super::super::running::FAILED, took, now);
        metrics.run("cycle", super::super::super::running::FAILED, now);
        metrics.credentials(2, 1, &[Duration::from_secs(3)]);
        let page = metrics.page(&state).await.unwrap();
        for line in [
            r#"portolan_connect_steps_total{step="import",forest="corp.example",outcome="done"} 1"#,
            r#"portolan_connect_steps_total{step="export",forest="",outcome="failed"} 1"#,
            r#"portolan_connect_step_duration_seconds_bucket{step="import",le="0.1"} 1"#,
            r#"portolan_connect_step_last_success_timestamp_seconds{step="import",forest="corp.example"} 7"#,
            r#"portolan_connect_runs_total{run="cycle",outcome="failed"} 1"#,
            r#"portolan_connect_credentials_total{outcome="sent"} 2"#,
            r#"portolan_connect_password_latency_seconds_bucket{le="5"} 1"#,
            r#"portolan_connect_pending_exports{connector="cloud.example",kind="reference",change="change"} 0"#,
            "portolan_connect_queued_objects 0",
        ] {
            assert!(page.lines().any(|of| of == line), "{line}\n{page}");
        }
        assert!(!page.contains("step_last_success_timestamp_seconds{step=\"export\""), "{page}");
    }
}
