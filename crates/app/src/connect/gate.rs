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
use super::lease::{self, Keeping, Role};
use super::steps::Steps;
use crate::report::Failure;

/// Remembered of the target while another server may have written to it since this one did.
const UNCONFIRMED: &str = "unconfirmed";

/// Remembered of the target: the epoch of the lease under which what it has was confirmed.
const CONFIRMED_EPOCH: &str = "confirmed-epoch";

/// Why nothing is written at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Closed {
    /// The configuration says so.
    Staging,
    /// Another server of the group writes.
    Warm {
        /// Why it is not this one, in a clause.
        why: String,
    },
}

/// What may be written.
pub(super) enum Passage {
    /// Nothing.
    Closed(Closed),
    /// Everything but what waits.
    Open(Quarantine),
}

/// Whether nothing waits for somebody's word.
///
/// # Errors
/// What waits: everything else was done.
pub(super) fn check_held(held: &[String]) -> Result<(), Failure> {
    let Some(first) = held.first() else { return Ok(()) };
    let hint = "look at `portolan connect guard status` and `portolan connect plan`; if it is right, \
                `portolan connect guard release` lets it through";
    let text = format!("held in quarantine, and nothing else: {first}");
    Err(Failure::new(text).with_hint(hint).held())
}

impl Closed {
    /// One line for the operator.
    pub(super) fn line(&self) -> String {
        match self {
            Self::Staging => {
                "staging mode: nothing is exported, and no password is replicated".to_owned()
            }
            Self::Warm { why } => {
                format!("warm: another server may write, nothing is exported. {why}")
            }
        }
    }
}

impl Server {
    /// Why this server may write nothing now; `None` when it may. What does not read closes as well. Whoever
    /// needs a lease has asked for it by then ([`Self::may_export`]).
    pub(super) fn closed(&self) -> Result<Option<Closed>, Failure> {
        if Config::read(&self.directory)?.staging {
            return Ok(Some(Closed::Staging));
        }
        if !self.lease.is_kept() {
            return Ok(None);
        }
        let held = lease::epoch(&self.lease.role(), portolan_net::clock::monotonic());
        Ok(held.err().map(|failure| Closed::Warm { why: failure.text().to_owned() }))
    }

    /// What this server may export now; it confirms first if somebody else may have written meanwhile.
    /// `allowed` deletions of a kind go through above what goes without a word.
    pub(super) async fn may_export(
        &mut self,
        allowed: usize,
        steps: &Steps,
    ) -> Result<Passage, Failure> {
        let target = self.connected.target;
        let staging = Config::read(&self.directory)?.staging;
        if staging {
            self.give_lease_back().await;
        } else {
            self.take_lease().await?;
        }
        if let Some(closed) = self.closed()? {
            self.state.remember(target, UNCONFIRMED, b"").await?;
            return Ok(Passage::Closed(closed));
        }
        if self.must_confirm().await? {
            self.confirm(steps).await?;
            self.state.forget(target, UNCONFIRMED).await?;
        }
        if let Role::Active { epoch, .. } = self.lease.role() {
            let confirmed = epoch.to_string();
            self.state.remember(target, CONFIRMED_EPOCH, confirmed.as_bytes()).await?;
        }
        let now = portolan_net::clock::now();
        let allowance = &self.config.guard;
        let quarantine = guard::quarantine(&self.state, target, allowance, allowed, now).await?;
        Ok(Passage::Open(quarantine))
    }

    /// Gives the lease back, if there is one.
    pub(super) async fn give_lease_back(&mut self) {
        let Some(tenant) = self.target.tenant() else { return };
        self.lease.release(tenant).await;
        tenant.use_lease(None);
    }

    /// Takes the lease of the group, if it uses one or has several servers.
    async fn take_lease(&mut self) -> Result<(), Failure> {
        // Of a Graph, one server writes: it has no leases.
        let Some(tenant) = self.target.tenant() else { return Ok(()) };
        let answer = tenant.domains().await?;
        let is_used = answer.uses_lease || answer.sync_servers.is_some_and(|servers| servers > 1);
        if !is_used {
            if self.lease.is_kept() {
                self.give_lease_back().await;
            }
            return lease::forget(&self.state, self.connected.target).await;
        }
        let Some(tenant) = self.another_tenant_client()? else { return Ok(()) };
        let keeping = || {
            Ok(Keeping {
                tenant,
                client_id: self.config.client_id,
                state: self.state.clone(),
                target: self.connected.target,
                directory: self.directory.clone(),
                seconds: self.config.lease_seconds,
            })
        };
        self.lease.take(keeping).await?;
        if let Some(tenant) = self.target.tenant() {
            tenant.use_lease(Some(self.lease.watch()));
        }
        Ok(())
    }

    /// Whether somebody else may have written since this server did: when nothing was written for a while,
    /// and when its lease is not the one that it confirmed under, nor the next one.
    async fn must_confirm(&self) -> Result<bool, Failure> {
        let target = self.connected.target;
        if self.state.remembered(target, UNCONFIRMED).await?.is_some() {
            return Ok(true);
        }
        let Role::Active { epoch, .. } = self.lease.role() else { return Ok(false) };
        let confirmed = self.state.remembered(target, CONFIRMED_EPOCH).await?;
        let confirmed = confirmed.and_then(|octets| String::from_utf8(octets).ok()?.parse().ok());
        let is_ours =
            |confirmed: u64| confirmed == epoch || confirmed.checked_add(1) == Some(epoch);
        Ok(!confirmed.is_some_and(is_ours))
    }
}
