//! `portolan connect run`: object cycles and password hash cycles, once or again and again ([`daemon`]).
//!
//! [`daemon`]: super::daemon

use std::path::PathBuf;
use std::time::Duration;

use portolan_chart::flow;
use serde::Serialize;

use super::cycle::Server;
use super::daemon::Daemon;
use super::gate;
use super::passwords::{NO_PASSWORDS, Replicated, Upkeep};
use super::perform::Summary;
use super::print_json;
use super::profile::{Profile, Step};
use super::running::{Counted, Counts, Running};
use super::steps::Steps;
use super::turn::Turn;
use crate::report::Failure;
use crate::signal::Stop;

/// How long a cycle may take to come to the end of a batch when this is told to stop.
const STOP_TIME_MAX: Duration = Duration::from_secs(5);

/// What `connect run` is told.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// The state directory that `connect init` wrote
    #[arg(long, default_value = super::STATE)]
    pub(super) state: PathBuf,
    /// Synchronise once, objects and then password hashes, and end; without it, again and again until
    /// it is told to stop
    #[arg(long)]
    pub(super) once: bool,
    /// Run the steps of this profile of connect.toml in place of import, sync and export
    #[arg(long, value_name = "NAME")]
    pub(super) profile: Option<String>,
    /// Seconds between two synchronisations of objects that come by the clock; one comes at once when
    /// the forest changes
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = seconds())]
    pub(super) interval: u64,
    /// Seconds between two looks for changed password hashes
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = seconds())]
    pub(super) password_interval: u64,
    /// Let this many deletions of a kind through, above what goes without a word
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(super) allow_deletions: usize,
    /// Print the summary as JSON on standard output
    #[arg(long)]
    pub(super) json: bool,
}

/// From a second to a day.
fn seconds() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=24 * 60 * 60)
}

/// What is printed of a cycle, or of two.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    #[serde(flatten)]
    pub(super) objects: Option<&'a Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) credentials: Option<&'a Replicated>,
}

impl Counted for Option<Replicated> {
    fn counts(&self) -> Counts {
        let Some(replicated) = self else { return Counts::default() };
        Counts {
            objects: Some(replicated.objects as u64),
            credentials: Some(replicated.sent as u64),
            refused: Some(replicated.refused.len() as u64),
            ..Counts::default()
        }
    }
}

/// Runs `connect run`.
pub(super) async fn run(run: Run) -> Result<(), Failure> {
    let mut server = Server::open(&run.state).await?;
    let stop = Stop::listen()?;
    if !run.once {
        return Box::pin(Daemon::begin(server, run, stop)?.keep_running()).await;
    }
    let once = Box::pin(once(&mut server, &run, &stop));
    let outcome = tokio::select! {
        outcome = once => outcome,
        () = after_stop(&stop) => Ok(()),
    };
    server.give_lease_back().await;
    outcome
}

/// Resolves a while after this was told to stop.
pub(super) async fn after_stop(stop: &Stop) {
    stop.requested().await;
    tokio::time::sleep(STOP_TIME_MAX).await;
}

/// The steps of a profile once, or both cycles in their order; the first failure ends it.
async fn once(server: &mut Server, run: &Run, stop: &Stop) -> Result<(), Failure> {
    let steps = Steps::begin();
    let profile = server.config.profile(run.profile.as_deref())?;
    let _turn = Turn::take(&run.state, &steps).await?;
    let running = Running::begin(&server.state, None, &profile.name).await?;
    let outcome = Box::pin(both(server, &running, &profile, (run, stop), &steps)).await;
    let mut counts = Counts::default();
    if let Ok((summary, replicated)) = &outcome {
        counts = summary.counts();
        counts.credentials = replicated.counts().credentials;
    }
    running.end(&outcome, counts).await?;
    let (summary, replicated) = outcome?;
    let takes_passwords = server.target.tenant().is_some();
    if run.json
        && (replicated.is_some()
            || run.profile.is_some()
            || !takes_passwords
            || summary.closed.is_some())
    {
        print_json(&Report { objects: Some(&summary), credentials: replicated.as_ref() })?;
    }
    summary.check_read()?;
    gate::check_held(&summary.held)
}

async fn both(
    server: &mut Server,
    running: &Running,
    profile: &Profile,
    (run, stop): (&Run, &Stop),
    steps: &Steps,
) -> Result<(Summary, Option<Replicated>), Failure> {
    let summary = server.perform(running, profile, run.allow_deletions, steps).await?;
    tell_objects(&summary, steps);
    if run.profile.is_some() && !profile.steps.contains(&Step::Passwords) {
        return Ok((summary, None));
    }
    if server.closed().await?.is_some() {
        return Ok((summary, None));
    }
    if server.target.tenant().is_none() {
        steps.say(None, NO_PASSWORDS);
        return Ok((summary, None));
    }
    let mut upkeep = Upkeep::new(Duration::ZERO);
    let replicated = upkeep.once(server, stop, steps);
    let replicated = Box::pin(running.step("passwords", None, replicated)).await?;
    upkeep.close().await;
    if let Some(replicated) = &replicated {
        tell_passwords(replicated, server, steps);
        for refused in &replicated.refused {
            steps.say(None, &format!("refused: {}: {}", refused.anchor, refused.why));
        }
        for faulty in &replicated.faulty {
            steps.say(None, &format!("left: {}: {}", faulty.object, faulty.why));
        }
    }
    Ok((summary, replicated))
}

/// Tells what is to be told of single objects.
pub(super) fn tell_objects(summary: &Summary, steps: &Steps) {
    for line in summary.warnings.iter().chain(&summary.errors) {
        steps.say(None, &format!("note: {line}"));
    }
    for refused in &summary.refused {
        steps.say(None, &format!("refused: {}: {}", refused.anchor, refused.why));
    }
    for held in &summary.held {
        steps.say(None, &format!("HELD: {held}; release it with `portolan connect guard release`"));
    }
}

/// Tells what became of password hashes.
pub(super) fn tell_passwords(replicated: &Replicated, server: &Server, steps: &Steps) {
    if let Some(why) = &replicated.restarted {
        steps.say(None, &format!("all password hashes were read again: {why}"));
    }
    let chart = server.network.chart();
    let read = format!(
        "replicated {} objects, {} of them with a password in scope",
        replicated.objects, replicated.hashes
    );
    steps.over(chart, flow::CONNECT_AD_RPC, &read);
    let sent = format!("sent {} credentials (PPH1_MD4)", replicated.sent);
    steps.over(chart, flow::CONNECT_TENANT_SYNC, &sent);
}
