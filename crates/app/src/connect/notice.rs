//! Noticing that a forest changed: the number of a controller's last change, asked for again and again
//! over a connection that is kept to each forest. It costs the controller one read of its root.

use std::time::Duration;

use portolan_net::ldap::LdapConnection;
use tokio::time::Instant;

use super::cycle::Server;
use super::import;
use super::steps::Steps;
use crate::report::Failure;

/// How often the number is asked for.
const INTERVAL: Duration = Duration::from_secs(1);
/// How much rarer it is asked for when others write to the forest all the time: a change that matters is
/// still seen within four seconds.
const RARER_MAX: u32 = 2;
/// How long after a failure it is not.
const PAUSE: Duration = Duration::from_secs(30);

/// What is known of the forests' last changes.
pub(super) struct Notice {
    /// One for each forest, in the order of the configuration.
    watches: Vec<Watch>,
    /// When one is asked next.
    pub(super) at: Instant,
    /// Changes in a row that were none of ours: others write to forests all the time.
    idle: u32,
    /// Whether it was asked last for the first time.
    is_first: bool,
}

/// What is known of one forest's.
struct Watch {
    connection: Option<LdapConnection>,
    seen: Option<i64>,
    at: Instant,
}

impl Notice {
    /// Nothing is known yet.
    pub(super) fn new() -> Self {
        Self { watches: Vec::new(), at: Instant::now() + INTERVAL, idle: 0, is_first: false }
    }

    /// Whether a forest changed since this was asked last. The first time it may have, behind the import of
    /// the cycle before. What fails is asked again later, over
    /// another connection: the schedule runs all the same.
    pub(super) async fn look(&mut self, server: &mut Server) -> bool {
        while self.watches.len() < server.forests.len() {
            self.watches.push(Watch { connection: None, seen: None, at: Instant::now() });
        }
        let mut is_changed = false;
        self.is_first = false;
        let interval = INTERVAL * 2_u32.saturating_pow(self.idle.min(RARER_MAX));
        for (forest, watch) in self.watches.iter_mut().enumerate() {
            if watch.at <= Instant::now() {
                self.is_first |= watch.seen.is_none();
                is_changed |= watch.look(forest, server, interval).await;
            }
        }
        let next = self.watches.iter().map(|watch| watch.at).min();
        self.at = next.unwrap_or_else(|| Instant::now() + interval);
        is_changed
    }

    /// Learns whether a cycle that this brought about had anything to do: if not, it asks more rarely.
    pub(super) fn learn(&mut self, had_work: bool) {
        let is_idle = !had_work && !self.is_first;
        self.idle = if is_idle { self.idle.saturating_add(1) } else { 0 };
    }

    /// Gives the connections back.
    pub(super) async fn close(self) {
        for connection in self.watches.into_iter().filter_map(|watch| watch.connection) {
            // How the controller takes the goodbye changes nothing.
            let _ = tokio::time::timeout(INTERVAL, connection.close()).await;
        }
    }
}

impl Watch {
    async fn look(&mut self, forest: usize, server: &mut Server, interval: Duration) -> bool {
        let found = self.ask(forest, server).await;
        let Ok(usn) = found else {
            // A refused account is the cycle's to tell of, and is not tried here again.
            (self.connection, self.at) = (None, Instant::now() + PAUSE);
            return false;
        };
        self.at = Instant::now() + interval;
        self.seen.replace(usn) != Some(usn)
    }

    async fn ask(&mut self, forest: usize, server: &mut Server) -> Result<i64, Failure> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let steps = Steps::quiet();
                none.insert(server.forest(forest, &steps).await?.ldap(&steps).await?)
            }
        };
        import::last_change(connection).await
    }
}
