//! `portolan connect run`: object cycles and password hash cycles, in one task, one after the other.

use std::path::PathBuf;
use std::time::Duration;

use portolan_chart::flow;
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::cycle::{Server, Summary};
use super::lease;
use super::notice::Notice;
use super::passwords::{Health, Replicated, Upkeep};
use super::print_json;
use super::steps::Steps;
use crate::report::Failure;
use crate::signal::Stop;

/// How long a cycle may take to come to the end of a batch when this is told to stop.
const STOP_TIME_MAX: Duration = Duration::from_secs(5);
/// How often a daemon whose account was refused looks for another secret.
const SECRET_INTERVAL: Duration = Duration::from_secs(2);

/// What `connect run` is told.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// The state directory that `connect init` wrote
    #[arg(long, default_value = super::STATE)]
    state: PathBuf,
    /// Synchronise once, objects and then password hashes, and end; without it, again and again until
    /// it is told to stop
    #[arg(long)]
    once: bool,
    /// Seconds between two synchronisations of objects that come by the clock; one comes at once when
    /// the forest changes
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = seconds())]
    interval: u64,
    /// Seconds between two looks for changed password hashes
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = seconds())]
    password_interval: u64,
    /// Let this many deletions of a kind through, above what goes without a word
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    allow_deletions: usize,
    /// Print the summary as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// From a second to a day.
fn seconds() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=24 * 60 * 60)
}

/// What is printed of a cycle, or of two.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    objects: Option<&'a Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials: Option<&'a Replicated>,
}

/// Runs `connect run`.
pub(super) async fn run(run: Run) -> Result<(), Failure> {
    let mut server = Server::open(&run.state).await?;
    let stop = Stop::listen()?;
    if run.once {
        let once = Box::pin(once(&mut server, &run, &stop));
        let outcome = tokio::select! {
            outcome = once => outcome,
            () = after_stop(&stop) => Ok(()),
        };
        server.give_lease_back().await;
        return outcome;
    }
    let password_interval = Duration::from_secs(run.password_interval);
    let mut daemon = Daemon {
        server,
        run,
        stop,
        synchronised: false,
        owed: false,
        objects: Health::default(),
        upkeep: Upkeep::new(password_interval),
        notice: Notice::new(),
    };
    let outcome = Box::pin(daemon.keep_running()).await;
    daemon.server.give_lease_back().await;
    daemon.upkeep.close().await;
    daemon.notice.close().await;
    outcome
}

/// Resolves a while after this was told to stop.
async fn after_stop(stop: &Stop) {
    stop.requested().await;
    tokio::time::sleep(STOP_TIME_MAX).await;
}

/// Both cycles once, in their order; the first failure ends it.
async fn once(server: &mut Server, run: &Run, stop: &Stop) -> Result<(), Failure> {
    let steps = Steps::begin();
    let summary = server.synchronise(run.allow_deletions, &steps).await?;
    tell_objects(&summary, &steps);
    if server.closed()?.is_some() {
        return if run.json {
            print_json(&Report { objects: Some(&summary), credentials: None })
        } else {
            Ok(())
        };
    }
    let mut upkeep = Upkeep::new(Duration::ZERO);
    let replicated = upkeep.once(server, stop, &steps).await?;
    upkeep.close().await;
    let Some(replicated) = replicated else { return summary.check_read() };
    tell_passwords(&replicated, server, &steps);
    for refused in &replicated.refused {
        steps.say(None, &format!("refused: {}: {}", refused.anchor, refused.why));
    }
    for faulty in &replicated.faulty {
        steps.say(None, &format!("left: {}: {}", faulty.object, faulty.why));
    }
    if run.json {
        print_json(&Report { objects: Some(&summary), credentials: Some(&replicated) })?;
    }
    summary.check_read()?;
    summary.check_held()
}

/// Everything that keeps running.
struct Daemon {
    server: Server,
    run: Run,
    stop: Stop,
    /// Whether objects were synchronised, so that it is known whose passwords are replicated.
    synchronised: bool,
    /// Whether there may be users in scope whose credential the cycles have passed by.
    owed: bool,
    objects: Health,
    upkeep: Upkeep,
    notice: Notice,
}

impl Daemon {
    /// Runs one cycle after the other, each kind in its own rhythm, until something fails that
    /// another attempt cannot mend, or until it is told to stop.
    async fn keep_running(&mut self) -> Result<(), Failure> {
        let stop = self.stop.clone();
        let (mut objects_at, mut passwords_at) = (Instant::now(), Instant::now());
        let (mut role, mut epoch) = (self.server.lease.watch(), None);
        while !stop.is_requested() {
            tokio::select! {
                biased;
                () = stop.requested() => {}
                () = sleep_until(objects_at) => {
                    epoch = self.server.lease.role().epoch();
                    // A synchronisation that is broken off loses nothing: what the tenant
                    // acknowledged is in the space.
                    tokio::select! {
                        outcome = Box::pin(self.synchronise()) => outcome?,
                        () = stop.requested() => {}
                    }
                    // From its end, so that however long it takes, password hashes have their turn.
                    objects_at = Instant::now() + Duration::from_secs(self.run.interval);
                }
                // Whoever takes over does not wait for the clock.
                () = lease::taken_over(&mut role, &mut epoch), if self.synchronised => {
                    objects_at = Instant::now();
                }
                () = sleep_until(self.notice.at), if self.synchronised => {
                    if self.notice.look(&mut self.server).await {
                        tokio::select! {
                            outcome = Box::pin(self.synchronise_noticed()) => outcome?,
                            () = stop.requested() => {}
                        }
                    }
                }
                () = sleep_until(passwords_at), if self.synchronised => {
                    tokio::select! {
                        outcome = Box::pin(self.replicate()) => outcome?,
                        () = after_stop(&stop) => {}
                    }
                    passwords_at = Instant::now() + self.upkeep.pause();
                }
            }
        }
        Ok(())
    }

    /// A synchronisation because the forest changed: told of only if there was something to do. What
    /// fails is the schedule's to do over and to tell.
    async fn synchronise_noticed(&mut self) -> Result<(), Failure> {
        let Ok(summary) = self.server.synchronise(self.run.allow_deletions, &Steps::quiet()).await
        else {
            self.notice.learn(false);
            return Ok(());
        };
        self.notice.learn(!summary.is_quiet());
        if summary.is_quiet() {
            return Ok(());
        }
        let steps = Steps::begin();
        steps.say(None, &summary.line());
        tell_objects(&summary, &steps);
        self.owed = true;
        self.print(&Report { objects: Some(&summary), credentials: None })
    }

    async fn synchronise(&mut self) -> Result<(), Failure> {
        let steps = Steps::begin();
        match self.server.synchronise(self.run.allow_deletions, &steps).await {
            Ok(summary) => {
                if self.objects.succeeded() {
                    steps.say(None, "objects are synchronised again");
                }
                tell_objects(&summary, &steps);
                (self.synchronised, self.owed) = (true, true);
                self.print(&Report { objects: Some(&summary), credentials: None })
            }
            Err(failure) if failure.is_lasting() => self.wait_for_secret(failure).await,
            Err(failure) => {
                if self.objects.failed(failure.text()) {
                    eprint!("{}", failure.render());
                }
                Ok(())
            }
        }
    }

    async fn replicate(&mut self) -> Result<(), Failure> {
        if self.server.closed().is_ok_and(|closed| closed.is_some()) {
            return Ok(());
        }
        let cycle = self.upkeep.cycle(&mut self.server, self.owed, &self.stop);
        let replicated = match cycle.await {
            Ok(replicated) => replicated,
            Err(failure) => return self.wait_for_secret(failure).await,
        };
        let Some(replicated) = replicated else { return Ok(()) };
        self.owed = false;
        let news = self.upkeep.news(&replicated);
        if replicated.is_quiet() && news.is_empty() {
            return Ok(());
        }
        let steps = Steps::begin();
        tell_passwords(&replicated, &self.server, &steps);
        for line in news {
            steps.say(None, &format!("left: {line}"));
        }
        self.print(&Report { objects: None, credentials: Some(&replicated) })
    }

    /// What else is lasting ends the daemon. When the account was refused it stays, asks nothing, and
    /// goes on with another secret.
    async fn wait_for_secret(&mut self, failure: Failure) -> Result<(), Failure> {
        if !self.server.is_refused() {
            return Err(failure);
        }
        eprint!("{}", failure.render());
        let steps = Steps::begin();
        steps.say(None, "waiting until the account has another secret");
        while !self.stop.is_requested() {
            tokio::select! {
                () = self.stop.requested() => {}
                () = tokio::time::sleep(SECRET_INTERVAL) => {
                    // One that is just being written reads the next time.
                    if self.server.renew_secrets() {
                        steps.say(None, "the account has another secret");
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn print(&self, report: &Report<'_>) -> Result<(), Failure> {
        if self.run.json { print_json(report) } else { Ok(()) }
    }
}

fn tell_objects(summary: &Summary, steps: &Steps) {
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

fn tell_passwords(replicated: &Replicated, server: &Server, steps: &Steps) {
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
