//! `portolan connect run`: one synchronisation after the other.

use std::path::PathBuf;
use std::time::Duration;

use super::cycle::{Server, Summary};
use super::print_json;
use super::steps::Steps;
use crate::report::Failure;

/// What `connect run` is told.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// The state directory that `connect init` wrote
    #[arg(long, default_value = super::STATE)]
    state: PathBuf,
    /// Synchronise once and end; without it, again and again until it is told to stop
    #[arg(long)]
    once: bool,
    /// Seconds between two synchronisations
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    interval: u64,
    /// Let this many deletions of a kind through, above what goes without a word
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    allow_deletions: usize,
    /// Print the summary as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// Runs `connect run`.
pub(super) async fn run(run: Run) -> Result<(), Failure> {
    let mut server = Server::open(&run.state).await?;
    if run.once {
        let steps = Steps::begin();
        let summary = server.synchronise(run.allow_deletions, &steps).await?;
        return report(&summary, run.json, &steps);
    }
    // A run that is broken off loses nothing: what the tenant acknowledged is in the space.
    tokio::select! {
        failure = keep_running(&mut server, &run) => Err(failure),
        stopped = crate::signal::stop() => stopped,
    }
}

/// Synchronises again and again, until something fails that another attempt cannot mend.
async fn keep_running(server: &mut Server, run: &Run) -> Failure {
    loop {
        let steps = Steps::begin();
        let outcome = server.synchronise(run.allow_deletions, &steps).await;
        match outcome.and_then(|summary| report(&summary, run.json, &steps)) {
            Ok(()) => {}
            Err(failure) if failure.is_lasting() => return failure,
            Err(failure) => eprint!("{}", failure.render()),
        }
        tokio::time::sleep(Duration::from_secs(run.interval)).await;
    }
}

fn report(summary: &Summary, json: bool, steps: &Steps) -> Result<(), Failure> {
    for line in summary.warnings.iter().chain(&summary.errors) {
        steps.say(None, &format!("note: {line}"));
    }
    for refused in summary.refused.iter().chain(&summary.credentials.refused) {
        steps.say(None, &format!("refused: {}: {}", refused.anchor, refused.why));
    }
    if json {
        print_json(summary)?;
    }
    Ok(())
}
