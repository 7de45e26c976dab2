//! Whether this server may write to its target now: the one place that decides.
//!
//! A server in staging mode writes nothing, and one of several writes only while it holds their lease. What
//! would take too much away waits ([`guard`](super::guard)); all else goes out. A server that did not write
//! for a while confirms what the target has before it writes again.

use portolan_sync::guard::Quarantine;
use serde::Serialize;

use super::config::Config;
use super::cycle::Server;
use super::guard;
use super::steps::Steps;
use crate::report::Failure;

/// Remembered of the target while another server may have written to it since this one did.
const UNCONFIRMED: &str = "unconfirmed";

/// Why nothing is written at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Closed {
    /// The configuration says so.
    Staging,
}

/// What may be written.
pub(super) enum Passage {
    /// Nothing.
    Closed(Closed),
    /// Everything but what waits.
    Open(Quarantine),
}

impl Closed {
    /// One line for the operator.
    pub(super) fn line(&self) -> String {
        match self {
            Self::Staging => {
                "staging mode: nothing is exported, and no password is replicated".to_owned()
            }
        }
    }
}

impl Server {
    /// Why this server may write nothing now; `None` when it may. What does not read closes as well.
    pub(super) fn closed(&self) -> Result<Option<Closed>, Failure> {
        if Config::read(&self.directory)?.staging {
            return Ok(Some(Closed::Staging));
        }
        Ok(None)
    }

    /// What this server may export now; it confirms first if somebody else may have written meanwhile.
    /// `allowed` deletions of a kind go through above what goes without a word.
    pub(super) async fn may_export(
        &mut self,
        allowed: usize,
        steps: &Steps,
    ) -> Result<Passage, Failure> {
        let target = self.connected.target;
        let closed = self.closed()?;
        if let Some(closed) = closed {
            self.state.remember(target, UNCONFIRMED, b"").await?;
            return Ok(Passage::Closed(closed));
        }
        if self.state.remembered(target, UNCONFIRMED).await?.is_some() {
            self.confirm(steps).await?;
            self.state.forget(target, UNCONFIRMED).await?;
        }
        let now = portolan_net::clock::now();
        let allowance = &self.config.guard;
        let quarantine = guard::quarantine(&self.state, target, allowance, allowed, now).await?;
        Ok(Passage::Open(quarantine))
    }
}
