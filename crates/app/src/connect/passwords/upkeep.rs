//! The replication of every forest between cycles: of each whether its turn has come, and what came of
//! all of them together.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Replicated;
use super::line::Line;
use crate::connect::cycle::Server;
use crate::connect::steps::Steps;
use crate::report::Failure;
use crate::signal::Stop;

/// How long is waited at most before the next attempt.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// How long is waited at least after a failure.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// The replication of each forest, and what was told of objects.
pub(in super::super) struct Upkeep {
    interval: Duration,
    /// One for each forest, in the order of the configuration.
    lines: Vec<Line>,
    /// What is wrong with objects, as it was told.
    told: BTreeMap<String, String>,
}

/// Whether it works, and whether that is news.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Health {
    pub(super) failures: u32,
    said: Option<String>,
}

impl Health {
    /// An attempt failed: whether that is to be said, because it worked before or because the reason
    /// is another.
    pub(in super::super) fn failed(&mut self, why: &str) -> bool {
        self.failures = self.failures.saturating_add(1);
        if self.said.as_deref() == Some(why) {
            return false;
        }
        self.said = Some(why.to_owned());
        true
    }

    /// An attempt succeeded: whether that is to be said, because the one before failed.
    pub(in super::super) fn succeeded(&mut self) -> bool {
        self.failures = 0;
        self.said.take().is_some()
    }

    /// How long to wait before the next attempt, when it is made every `interval` otherwise.
    pub(super) fn pause(&self, interval: Duration) -> Duration {
        if self.failures == 0 {
            return interval;
        }
        let factor = 1 << (self.failures - 1).min(16);
        (interval.max(PAUSE_MIN) * factor).min(PAUSE_MAX.max(interval))
    }
}

impl Upkeep {
    pub(in super::super) fn new(interval: Duration) -> Self {
        Self { interval, lines: Vec::new(), told: BTreeMap::new() }
    }

    /// How long to wait before the next cycle.
    pub(in super::super) fn pause(&self) -> Duration {
        let next = self.lines.iter().map(|line| line.at).min();
        next.map_or(self.interval, |at| at.saturating_duration_since(Instant::now()))
    }

    /// Runs one cycle of each forest whose turn has come. What fails is told once, and mended by a later
    /// call; nothing comes when none had a turn that it ended.
    ///
    /// # Errors
    /// Those that another attempt cannot mend, when every forest has one: an account that was refused is
    /// locked by trying on.
    pub(in super::super) async fn cycle(
        &mut self,
        server: &mut Server,
        owed: bool,
        stop: &Stop,
    ) -> Result<Option<Replicated>, Failure> {
        self.begin(server, owed);
        let mut all = None;
        let mut lasting = None;
        for line in &mut self.lines {
            if line.at > Instant::now() || stop.is_requested() {
                continue;
            }
            let outcome = line.cycle(server, stop).await;
            line.at = Instant::now() + line.pause(self.interval);
            match outcome {
                Ok(replicated) => Replicated::add_to(&mut all, replicated),
                Err(failure) => lasting = Some(failure),
            }
        }
        match lasting {
            Some(failure) if self.lines.iter().all(Line::is_lasting) => Err(failure),
            _ => Ok(all),
        }
    }

    /// Runs the one cycle of a run that does not keep running. When a connection breaks, the cycle is
    /// done over, with another controller if there is one.
    ///
    /// # Errors
    /// Of the only forest; of several, when no cycle of any was run.
    pub(in super::super) async fn once(
        &mut self,
        server: &mut Server,
        stop: &Stop,
        steps: &Steps,
    ) -> Result<Option<Replicated>, Failure> {
        self.begin(server, true);
        let several = self.lines.len() > 1;
        let (mut all, mut failed) = (None, None);
        for line in &mut self.lines {
            match line.once(server, stop, steps).await {
                Ok(replicated) => Replicated::add_to(&mut all, replicated),
                Err(failure) if several => {
                    let of = server.forests.get(line.forest).map(|forest| &forest.domain);
                    if let Some(domain) = of {
                        steps.of(domain).say(None, &format!("not replicated: {}", failure.text()));
                    }
                    failed = Some(failure);
                }
                Err(failure) => return Err(failure),
            }
        }
        match (all, failed) {
            (None, Some(failure)) => Err(failure),
            (all, _) => Ok(all),
        }
    }

    /// Makes a line for each forest.
    fn begin(&mut self, server: &Server, owed: bool) {
        while self.lines.len() < server.forests.len() {
            self.lines.push(Line::new(self.lines.len()));
        }
        if owed {
            self.lines.iter_mut().for_each(|line| line.owed = true);
        }
    }

    /// Whether the last attempt at some forest failed.
    pub(in super::super) fn is_failing(&self) -> bool {
        self.lines.iter().any(Line::is_failing)
    }

    /// Gives the connections back to the controllers.
    pub(in super::super) async fn close(self) {
        for line in self.lines {
            line.close().await;
        }
    }

    /// What is to be told of objects: that which was not told before.
    pub(in super::super) fn news(&mut self, replicated: &Replicated) -> Vec<String> {
        let faulty = replicated.faulty.iter().map(|faulty| (&faulty.object, &faulty.why));
        let refused = replicated.refused.iter().map(|refused| (&refused.anchor, &refused.why));
        let mut news = Vec::new();
        for (object, why) in faulty.chain(refused) {
            if self.told.get(object) != Some(why) {
                self.told.insert(object.clone(), why.clone());
                news.push(format!("{object}: {why}"));
            }
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_said_once_and_its_end_once() {
        let mut health = Health::default();
        assert!(!health.succeeded());
        assert!(health.failed("dc1 is down"));
        assert!(!health.failed("dc1 is down"));
        assert!(health.failed("the tenant is down"));
        assert!(health.succeeded());
        assert!(!health.succeeded());
        assert!(health.failed("dc1 is down"), "a new failure is news");
    }

    #[test]
    fn attempts_become_rarer_up_to_a_limit() {
        let check = |interval: u64, failures: u32, expected: u64| {
            let health = Health { failures, said: None };
            let pause = health.pause(Duration::from_secs(interval));
            assert_eq!(pause, Duration::from_secs(expected), "{interval} {failures}");
        };
        check(1, 0, 1);
        check(1, 1, 1);
        check(1, 2, 2);
        check(1, 6, 32);
        check(1, 7, 60);
        check(1, u32::MAX, 60);
        check(300, 0, 300);
        check(300, 5, 300);
    }

    #[test]
    fn an_object_is_told_of_once_until_something_else_is_wrong_with_it() {
        let mut upkeep = Upkeep::new(Duration::from_secs(1));
        let faulty = |why: &str| Replicated {
            faulty: vec![super::super::Faulty::new("CN=a", &why)],
            ..Replicated::default()
        };
        assert_eq!(upkeep.news(&faulty("no SID")), ["CN=a: no SID"]);
        assert!(upkeep.news(&faulty("no SID")).is_empty());
        assert_eq!(upkeep.news(&faulty("no hash")), ["CN=a: no hash"]);
    }
}
