//! The replication connection of one forest between cycles: kept while it works, made anew when it broke,
//! with another controller if there is one.

use std::time::Duration;

use portolan_net::drs::DrsConnection;
use tokio::time::{Instant, timeout};

use super::scope::Scope;
use super::upkeep::Health;
use super::{Cycle, GOODBYE_TIME_MAX, NO_PASSWORDS, Replicated, Trouble};
use crate::connect::cycle::Server;
use crate::connect::steps::Steps;
use crate::connect::target::Target;
use crate::report::Failure;
use crate::signal::Stop;

/// How often the one cycle of a run that does not keep running is attempted.
const ATTEMPTS_MAX: u32 = 3;

/// The connection to a domain of a forest, and how the last attempts went.
pub(super) struct Line {
    /// The forest's place in the configuration.
    pub(super) forest: usize,
    /// When its turn comes.
    pub(super) at: Instant,
    /// Whether there may be users in scope whose credential the cycles have passed by.
    pub(super) owed: bool,
    replica: Option<DrsConnection>,
    /// The controller that failed last.
    avoided: Option<String>,
    health: Health,
    /// Whether the last attempt failed in a way that another one cannot mend.
    lasting: bool,
}

impl Line {
    /// The line to a forest, whose turn is now.
    pub(super) fn new(forest: usize) -> Self {
        Self {
            forest,
            at: Instant::now(),
            owed: false,
            replica: None,
            avoided: None,
            health: Health::default(),
            lasting: false,
        }
    }

    /// Whether another attempt is of no use until something is changed.
    pub(super) const fn is_lasting(&self) -> bool {
        self.lasting
    }

    /// Whether the last attempt failed.
    pub(super) const fn is_failing(&self) -> bool {
        self.health.failures > 0
    }

    /// How long to wait before the next cycle.
    pub(super) fn pause(&self, interval: Duration) -> Duration {
        self.health.pause(interval)
    }

    /// Runs one cycle, over the connection of the last one if it still stands. What fails is told
    /// once, and mended by a later call; what this was told to stop gives nothing.
    ///
    /// # Errors
    /// Those that another attempt cannot mend: an account that was refused is locked by trying on.
    pub(super) async fn cycle(
        &mut self,
        server: &mut Server,
        stop: &Stop,
    ) -> Result<Option<Replicated>, Failure> {
        let steps = if self.health.failures == 0 { Steps::begin() } else { Steps::quiet() };
        let outcome = self.attempt(server, stop, &steps).await;
        let failure = match outcome {
            Ok(replicated) => {
                self.lasting = false;
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
        self.lasting = failure.is_lasting();
        if self.lasting && server.forests.len() == 1 {
            return Err(failure);
        }
        if self.health.failed(failure.text()) {
            failure.tell();
        }
        if self.lasting { Err(failure) } else { Ok(None) }
    }

    /// Runs the one cycle of a run that does not keep running. When the connection breaks, the cycle is
    /// done over, with another controller if there is one.
    ///
    /// # Errors
    /// The last attempt's, and at once those of the tenant and those that another controller cannot
    /// mend.
    pub(super) async fn once(
        &mut self,
        server: &mut Server,
        stop: &Stop,
        steps: &Steps,
    ) -> Result<Option<Replicated>, Failure> {
        for attempt in 1.. {
            match self.attempt(server, stop, steps).await {
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
        stop: &Stop,
        steps: &Steps,
    ) -> Result<Replicated, Trouble> {
        let replica = match &mut self.replica {
            Some(replica) => replica,
            none => {
                let found = server.forest(self.forest, steps).await;
                let mut forest = found.map_err(Trouble::Forest)?;
                if let Some(avoided) = &self.avoided {
                    forest.avoid(avoided);
                }
                none.insert(forest.replica(steps).await.map_err(Trouble::Forest)?)
            }
        };
        let gone = || Trouble::Forest(Failure::new("a forest is gone from the configuration"));
        let source = server.forests.get(self.forest).ok_or_else(gone)?;
        let (of, target) = (source.partition, server.connected.target);
        let Target::Tenant(tenant) = &mut server.target else {
            return Err(Trouble::Tenant(Failure::new(NO_PASSWORDS)));
        };
        let mut cycle = Cycle {
            domain: &source.domain,
            scope: Scope { state: &server.state, of, target },
            tenant,
            stop,
        };
        let replicated = cycle.run(replica, self.owed).await?;
        self.owed = false;
        Ok(replicated)
    }

    /// Gives the connection back to the controller.
    pub(super) async fn close(self) {
        if let Some(replica) = self.replica {
            // The cycle is complete: how the controller takes the goodbye changes nothing.
            let _ = timeout(GOODBYE_TIME_MAX, replica.close()).await;
        }
    }
}
