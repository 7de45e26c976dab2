//! The replication connection between cycles: kept while it works, made anew when it broke, with
//! another controller if there is one.

use std::collections::BTreeMap;
use std::time::Duration;

use portolan_net::drs::DrsConnection;
use tokio::time::timeout;

use super::scope::Scope;
use super::{Cycle, Replicated, Trouble};
use crate::connect::cycle::Server;
use crate::connect::steps::Steps;
use crate::connect::target::Target;
use crate::report::Failure;
use crate::signal::Stop;

/// How long is waited at most before the next attempt.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// How long a controller may take to take its handle back.
const GOODBYE_TIME_MAX: Duration = Duration::from_secs(1);
/// How long is waited at least after a failure.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// Why there is no cycle where the target takes no hashes.
pub(in super::super) const NO_PASSWORDS: &str = "passwords are not replicated: Graph takes no hash";

/// How often the one cycle of a run that does not keep running is attempted.
const ATTEMPTS_MAX: u32 = 3;

/// The connection, and how the last attempts went.
pub(in super::super) struct Upkeep {
    interval: Duration,
    replica: Option<DrsConnection>,
    /// The controller that failed last.
    avoided: Option<String>,
    health: Health,
    /// What is wrong with objects, as it was told.
    told: BTreeMap<String, String>,
}

/// Whether it works, and whether that is news.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Health {
    failures: u32,
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
    fn pause(&self, interval: Duration) -> Duration {
        if self.failures == 0 {
            return interval;
        }
        let factor = 1 << (self.failures - 1).min(16);
        (interval.max(PAUSE_MIN) * factor).min(PAUSE_MAX.max(interval))
    }
}

impl Upkeep {
    pub(in super::super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            replica: None,
            avoided: None,
            health: Health::default(),
            told: BTreeMap::new(),
        }
    }

    /// How long to wait before the next cycle.
    pub(in super::super) fn pause(&self) -> Duration {
        self.health.pause(self.interval)
    }

    /// Runs one cycle, over the connection of the last one if it still stands. What fails is told
    /// once, and mended by a later call; what this was told to stop gives nothing.
    ///
    /// # Errors
    /// Those that another attempt cannot mend: an account that was refused is locked by trying on.
    pub(in super::super) async fn cycle(
        &mut self,
        server: &mut Server,
        owed: bool,
        stop: &Stop,
    ) -> Result<Option<Replicated>, Failure> {
        let steps = if self.health.failures == 0 { Steps::begin() } else { Steps::quiet() };
        let outcome = self.attempt(server, owed, stop, &steps).await;
        let failure = match outcome {
            Ok(replicated) => {
                if self.health.succeeded() {
                    let peer = self.replica.as_ref().map_or("-", |replica| replica.link().peer());
                    Steps::begin()
                        .say(None, &format!("password hashes are replicated again, from {peer}"));
                }
                return Ok(Some(replicated));
            }
            Err(Trouble::Stopped) => return Ok(None),
            Err(Trouble::Tenant(failure)) => failure,
            Err(Trouble::Forest(failure)) => {
                self.give_up();
                failure
            }
        };
        if failure.is_lasting() {
            return Err(failure);
        }
        if self.health.failed(failure.text()) {
            eprint!("{}", failure.render());
        }
        Ok(None)
    }

    /// Runs the one cycle of a run that does not keep running. When the connection breaks, the cycle is
    /// done over, with another controller if there is one.
    ///
    /// # Errors
    /// The last attempt's, and at once those of the tenant and those that another controller cannot
    /// mend.
    pub(in super::super) async fn once(
        &mut self,
        server: &mut Server,
        stop: &Stop,
        steps: &Steps,
    ) -> Result<Option<Replicated>, Failure> {
        for attempt in 1.. {
            match self.attempt(server, true, stop, steps).await {
                Ok(replicated) => return Ok(Some(replicated)),
                Err(Trouble::Stopped) => break,
                Err(Trouble::Forest(failure))
                    if self.give_up() && attempt < ATTEMPTS_MAX && !failure.is_lasting() =>
                {
                    steps.say(None, &format!("note: {}; once more", failure.text()));
                }
                Err(Trouble::Forest(failure) | Trouble::Tenant(failure)) => return Err(failure),
            }
        }
        Ok(None)
    }

    /// Gives a broken connection up, and avoids its controller; false when there was none.
    fn give_up(&mut self) -> bool {
        self.avoided = self.replica.take().map(|replica| replica.link().peer().to_owned());
        self.avoided.is_some()
    }

    async fn attempt(
        &mut self,
        server: &mut Server,
        owed: bool,
        stop: &Stop,
        steps: &Steps,
    ) -> Result<Replicated, Trouble> {
        let replica = match &mut self.replica {
            Some(replica) => replica,
            none => {
                let found = server.forest(steps).await;
                let mut forest = found.map_err(Trouble::Forest)?;
                if let Some(avoided) = &self.avoided {
                    forest.avoid(avoided);
                }
                none.insert(forest.replica(steps).await.map_err(Trouble::Forest)?)
            }
        };
        let Target::Tenant(tenant) = &mut server.target else {
            return Err(Trouble::Tenant(Failure::new(NO_PASSWORDS)));
        };
        let mut cycle = Cycle {
            domain: &server.config.forest_domain,
            scope: Scope { state: &server.state, connected: server.connected },
            tenant,
            stop,
        };
        cycle.run(replica, owed).await
    }

    /// Gives the connection back to the controller.
    pub(in super::super) async fn close(self) {
        if let Some(replica) = self.replica {
            // The cycle is complete: how the controller takes the goodbye changes nothing.
            let _ = timeout(GOODBYE_TIME_MAX, replica.close()).await;
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
