//! `portolan connect run` that keeps running: cycles by the clock, when a forest changed, and by the schedule;
//! password hashes in between; and a changed configuration, which it takes without a restart. All in one task,
//! one after the other.

use std::sync::Arc;
use std::time::Duration;

use portolan_sync::target::TargetSystem;
use tokio::time::{Instant, sleep_until};

use super::cycle::Server;
use super::lease;
use super::metrics::{Exporter, Metrics};
use super::notice::Notice;
use super::passwords::{Health, NO_PASSWORDS, Upkeep};
use super::perform::Summary;
use super::print_json;
use super::profile::{Agenda, Profile, Step};
use super::reload::{Reloaded, Seen};
use super::run::{Report, Run, tell_objects, tell_passwords};
use super::running::{DONE, FAILED};
use super::steps::Steps;
use super::turn::Turn;
use crate::report::Failure;
use crate::signal::{HangUp, Stop};

/// How often a daemon whose account was refused looks for another secret.
const SECRET_INTERVAL: Duration = Duration::from_secs(2);
/// How long it sleeps at most before it looks at the clock: one that is set is noticed.
const CLOCK_INTERVAL: Duration = Duration::from_secs(60);

/// Everything that keeps running.
pub(super) struct Daemon {
    server: Server,
    run: Run,
    stop: Stop,
    hang_up: HangUp,
    /// What the clock runs.
    profile: Profile,
    agenda: Agenda,
    seen: Seen,
    metrics: Arc<Metrics>,
    /// Whether objects were synchronised, so that it is known whose passwords are replicated.
    synchronised: bool,
    /// Whether the target takes password hashes.
    takes_passwords: bool,
    /// Whether there may be users in scope whose credential the cycles have passed by.
    owed: bool,
    objects: Health,
    upkeep: Upkeep,
    notice: Notice,
}

impl Daemon {
    /// A daemon that has done nothing yet. Where the configuration says so, its figures are served from now
    /// on.
    ///
    /// # Errors
    /// When the profile does not exist, or the figures' address cannot be listened on.
    pub(super) fn begin(server: Server, run: Run, stop: Stop) -> Result<Self, Failure> {
        let now = portolan_net::clock::now();
        let metrics = Arc::new(Metrics::begin(now));
        if let Some(address) = server.config.metrics {
            let exporter = Exporter::listen(address, metrics.clone(), server.state.clone())?;
            tokio::spawn(exporter.serve(stop.clone()));
        }
        let interval = Duration::from_secs(run.password_interval);
        let takes_passwords = server.config.system.kind() == TargetSystem::Tenant;
        if !takes_passwords {
            Steps::begin().say(None, NO_PASSWORDS);
        }
        Ok(Self {
            profile: server.config.profile(run.profile.as_deref())?,
            agenda: Agenda::from(&server.config.schedule, now),
            seen: Seen::now(&server.directory),
            server,
            run,
            stop,
            hang_up: HangUp::listen()?,
            metrics,
            synchronised: false,
            takes_passwords,
            owed: false,
            objects: Health::default(),
            upkeep: Upkeep::new(interval),
            notice: Notice::new(),
        })
    }

    /// Runs until something fails that another attempt cannot mend, or until it is told to stop.
    ///
    /// # Errors
    /// What cannot be mended.
    pub(super) async fn keep_running(mut self) -> Result<(), Failure> {
        let outcome = Box::pin(self.run_on()).await;
        self.server.give_lease_back().await;
        self.upkeep.close().await;
        self.notice.close().await;
        outcome
    }

    /// One cycle after the other, each kind in its own rhythm.
    async fn run_on(&mut self) -> Result<(), Failure> {
        let stop = self.stop.clone();
        let (mut objects_at, mut passwords_at) = (Instant::now(), Instant::now());
        let (mut role, mut tenure) = (self.server.lease.watch(), None);
        while !stop.is_requested() {
            let scheduled_at = self.scheduled_at();
            tokio::select! {
                biased;
                () = stop.requested() => {}
                () = self.hang_up.received() => if self.reload(true).await {
                    objects_at = Instant::now();
                },
                () = sleep_until(objects_at) => {
                    tenure = self.server.lease.role().tenure();
                    self.reload(false).await;
                    let profile = self.profile.clone();
                    self.until_stopped(&profile).await?;
                    // From its end, so that however long it takes, password hashes have their turn.
                    objects_at = Instant::now() + Duration::from_secs(self.run.interval);
                }
                // Whoever takes over does not wait for the clock.
                () = lease::taken_over(&mut role, &mut tenure), if self.synchronised => {
                    objects_at = Instant::now();
                }
                () = sleep_until(scheduled_at) => self.scheduled().await?,
                () = sleep_until(self.notice.at), if self.synchronised => {
                    if self.notice.look(&mut self.server).await {
                        self.reload(false).await;
                        tokio::select! {
                            outcome = Box::pin(self.synchronise_noticed()) => outcome?,
                            () = stop.requested() => {}
                        }
                    }
                }
                () = sleep_until(passwords_at), if self.synchronised && self.takes_passwords => {
                    tokio::select! {
                        outcome = Box::pin(self.replicate()) => outcome?,
                        () = super::run::after_stop(&stop) => {}
                    }
                    passwords_at = Instant::now() + self.upkeep.pause();
                }
            }
        }
        Ok(())
    }

    /// When the schedule is looked at next.
    fn scheduled_at(&self) -> Instant {
        let wait = self.agenda.next().map_or(CLOCK_INTERVAL, |next| {
            let wait = next - portolan_net::clock::now();
            Duration::try_from(wait).unwrap_or(Duration::ZERO).min(CLOCK_INTERVAL)
        });
        Instant::now() + wait
    }

    /// Runs what is due by the schedule.
    async fn scheduled(&mut self) -> Result<(), Failure> {
        let Some(name) = self.agenda.take(portolan_net::clock::now()) else { return Ok(()) };
        self.reload(false).await;
        // A configuration that was taken a moment ago may not know it any more.
        if let Ok(profile) = self.server.config.profile(Some(&name)) {
            self.until_stopped(&profile).await?;
            self.agenda.ran(&name, portolan_net::clock::now());
        }
        Ok(())
    }

    /// A run of a profile, or the beginning of one. One that is broken off loses nothing: what the tenant
    /// acknowledged is in the state.
    async fn until_stopped(&mut self, profile: &Profile) -> Result<(), Failure> {
        let stop = self.stop.clone();
        tokio::select! {
            outcome = Box::pin(self.synchronise(profile)) => outcome,
            () = stop.requested() => Ok(()),
        }
    }

    /// Takes a changed configuration; whether it did. What is wrong with it is told, and what is in force
    /// stays.
    async fn reload(&mut self, in_any_case: bool) -> bool {
        let steps = Steps::begin();
        let reloaded = Box::pin(self.server.reload(&mut self.seen, in_any_case, &steps)).await;
        let now = portolan_net::clock::now();
        match reloaded {
            Ok(Reloaded::Same) => return false,
            Ok(Reloaded::Rules) => self.metrics.reload(DONE, now),
            Ok(Reloaded::Config) => {
                self.metrics.reload(DONE, now);
                self.agenda = Agenda::from(&self.server.config.schedule, now);
                match self.server.config.profile(self.run.profile.as_deref()) {
                    Ok(profile) => self.profile = profile,
                    Err(failure) => failure.tell(),
                }
                // What was reached before may be reached otherwise now.
                let upkeep = Upkeep::new(Duration::from_secs(self.run.password_interval));
                std::mem::replace(&mut self.upkeep, upkeep).close().await;
                std::mem::replace(&mut self.notice, Notice::new()).close().await;
            }
            Err(failure) => {
                self.metrics.reload(FAILED, now);
                failure.tell();
                steps.say(None, "going on with the configuration of before");
                return false;
            }
        }
        true
    }

    /// A run because a forest changed: told of only if there was something to do. What fails is the
    /// schedule's to do over and to tell.
    async fn synchronise_noticed(&mut self) -> Result<(), Failure> {
        let profile = self.profile.of_changes();
        let steps = Steps::quiet();
        let _turn = Turn::take(&self.server.directory, &steps).await?;
        let (metrics, allowed) = (self.metrics.clone(), self.run.allow_deletions);
        let ran = self.server.run_noticed(metrics, &profile, allowed, &steps);
        let Ok(summary) = Box::pin(ran).await else {
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

    async fn synchronise(&mut self, profile: &Profile) -> Result<(), Failure> {
        let steps = Steps::begin();
        let turn = Turn::take(&self.server.directory, &steps).await?;
        let (metrics, allowed) = (self.metrics.clone(), self.run.allow_deletions);
        let ran = Box::pin(self.server.run(Some(metrics), profile, allowed, &steps)).await;
        drop(turn);
        match ran {
            Ok(summary) => self.synchronised(profile, &summary, &steps).await,
            Err(failure) if failure.is_lasting() => self.wait_for_secret(failure).await,
            Err(failure) => {
                if self.objects.failed(failure.text()) {
                    failure.tell();
                }
                Ok(())
            }
        }
    }

    async fn synchronised(
        &mut self,
        profile: &Profile,
        summary: &Summary,
        steps: &Steps,
    ) -> Result<(), Failure> {
        if self.objects.succeeded() {
            steps.say(None, "objects are synchronised again");
        }
        tell_objects(summary, steps);
        (self.synchronised, self.owed) = (true, true);
        self.print(&Report { objects: Some(summary), credentials: None })?;
        let wanted = self.takes_passwords && profile.steps.contains(&Step::Passwords);
        if wanted { self.replicate().await } else { Ok(()) }
    }

    async fn replicate(&mut self) -> Result<(), Failure> {
        // What does not read closes as well; the next cycle tells of it.
        if !matches!(self.server.closed().await, Ok(None)) {
            return Ok(());
        }
        // Whoever has the turn gives it back, and the next cycle is soon.
        let Some(_turn) = Turn::if_free(&self.server.directory)? else { return Ok(()) };
        let begun = portolan_net::clock::monotonic();
        let cycle = self.upkeep.cycle(&mut self.server, self.owed, &self.stop);
        let replicated = match cycle.await {
            Ok(replicated) => replicated,
            Err(failure) => return self.wait_for_secret(failure).await,
        };
        let took = portolan_net::clock::monotonic().duration_since(begun);
        let now = portolan_net::clock::now();
        let Some(replicated) = replicated else {
            if self.upkeep.is_failing() {
                self.metrics.step("passwords", None, FAILED, took, now);
            }
            return Ok(());
        };
        self.metrics.step("passwords", None, DONE, took, now);
        self.metrics.credentials(replicated.sent, replicated.refused.len(), &replicated.ages);
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
        failure.tell();
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
