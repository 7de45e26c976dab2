//! Noticing that the forest changed: the number of a controller's last change, asked for again and again
//! over a connection that is kept. It costs the controller one read of its root.

use std::time::Duration;

use portolan_net::ldap::LdapConnection;
use tokio::time::Instant;

use super::cycle::Server;
use super::import;
use super::steps::Steps;
use crate::report::Failure;

/// How often the number is asked for.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long after a failure it is not.
const PAUSE: Duration = Duration::from_secs(30);

/// What is known of the forest's last change.
pub(super) struct Notice {
    connection: Option<LdapConnection>,
    seen: Option<i64>,
    /// When it is asked for next.
    pub(super) at: Instant,
    /// Changes in a row that were none of ours: others write to the forest all the time.
    idle: u32,
}

impl Notice {
    /// Nothing is known yet.
    pub(super) fn new() -> Self {
        Self { connection: None, seen: None, at: Instant::now() + INTERVAL, idle: 0 }
    }

    /// Whether the forest changed since this was asked last. What fails is asked again later, over
    /// another connection: the schedule runs all the same.
    pub(super) async fn look(&mut self, server: &mut Server) -> bool {
        let found = self.ask(server).await;
        let Ok(usn) = found else {
            // A refused account is the cycle's to tell of, and is not tried here again.
            (self.connection, self.at) = (None, Instant::now() + PAUSE);
            return false;
        };
        self.at = Instant::now() + INTERVAL * 2_u32.saturating_pow(self.idle.min(5));
        let before = self.seen.replace(usn);
        before.is_some_and(|before| before != usn)
    }

    /// Learns whether a cycle that this brought about had anything to do: if not, it asks more rarely.
    pub(super) fn learn(&mut self, had_work: bool) {
        self.idle = if had_work { 0 } else { self.idle.saturating_add(1) };
    }

    async fn ask(&mut self, server: &mut Server) -> Result<i64, Failure> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let steps = Steps::quiet();
                none.insert(server.forest(&steps).await?.ldap(&steps).await?)
            }
        };
        import::last_change(connection).await
    }

    /// Gives the connection back.
    pub(super) async fn close(self) {
        if let Some(connection) = self.connection {
            // How the controller takes the goodbye changes nothing.
            let _ = tokio::time::timeout(INTERVAL, connection.close()).await;
        }
    }
}
