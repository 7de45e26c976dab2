//! Whether this server may write to its target now: the one place that decides.
//!
//! A server in staging mode writes nothing, and one of several writes only while it holds their lease. What
//! would take too much away waits ([`guard`](super::guard)); all else goes out. A server that did not write
//! for a while confirms what the target has before it writes again.

use portolan_store::state::State;
use portolan_sync::engine::ConnectorId;
use portolan_sync::guard::Quarantine;
use portolan_tenant::lease::Tenure;
use serde::Serialize;
use time::OffsetDateTime;

use super::batches::Batches;
use super::config::Config;
use super::cycle::Server;
use super::guard;
use super::import::Behind;
use super::lease::{self, Keeping};
use super::predecessor;
use super::steps::Steps;
use crate::report::Failure;

/// Remembered of the target while another server may have written to it since this one did.
const UNCONFIRMED: &str = "unconfirmed";

/// Remembered of the target: the id of the lease under which what it has was confirmed.
const CONFIRMED_LEASE: &str = "confirmed-lease";

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
    /// More of a domain was read when the target was written last than this server has read.
    Behind {
        /// Of which.
        domains: Vec<Behind>,
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
            Self::Behind { domains } => {
                let clauses: Vec<_> = domains.iter().map(Behind::clause).collect();
                format!("BEHIND: {}: nothing is exported until it is", clauses.join("; "))
            }
        }
    }
}

impl Server {
    /// Why this server may write nothing now; `None` when it may. What does not read closes as well. Whoever
    /// needs a lease has asked for it by then ([`Self::may_export`]), and for what was read before it.
    pub(super) async fn closed(&self) -> Result<Option<Closed>, Failure> {
        if let Some(closed) = self.closed_to_all()? {
            return Ok(Some(closed));
        }
        let domains = predecessor::behind(&self.state, &self.connected).await?;
        Ok((!domains.is_empty()).then_some(Closed::Behind { domains }))
    }

    /// The same, whatever was read.
    fn closed_to_all(&self) -> Result<Option<Closed>, Failure> {
        if Config::read(&self.directory)?.staging {
            return Ok(Some(Closed::Staging));
        }
        if !self.lease.is_kept() {
            return Ok(None);
        }
        let held = lease::claim(&self.lease.role(), portolan_net::clock::monotonic());
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
        if let Some(closed) = self.closed_to_all()? {
            leave(&self.state, target).await?;
            return Ok(Passage::Closed(closed));
        }
        let tenure = self.lease.role().tenure();
        let must_confirm = must_confirm(&self.state, target, tenure).await?;
        self.learn(must_confirm).await?;
        if let Some(closed) = self.closed().await? {
            return Ok(Passage::Closed(closed));
        }
        predecessor::settle(&self.state, &self.connected).await?;
        if must_confirm {
            self.confirm(steps).await?;
        }
        confirmed(&self.state, target, tenure, must_confirm).await?;
        // What was sent and never answered may have to be undone: that is held against the guard as well.
        let now = portolan_net::clock::now();
        settle(&self.state, target, now).await?;
        let allowance = &self.config.guard;
        let quarantine = guard::quarantine(&self.state, target, allowance, allowed, now).await?;
        Ok(Passage::Open(quarantine))
    }

    /// Why this server may not write to its forests what its tenant has; nothing when it may, which is when it may
    /// export.
    pub(super) async fn may_write_back(&mut self) -> Result<Option<Closed>, Failure> {
        if !Config::read(&self.directory)?.staging {
            self.take_lease().await?;
        }
        if let Some(closed) = self.closed_to_all()? {
            return Ok(Some(closed));
        }
        let tenure = self.lease.role().tenure();
        let must = must_confirm(&self.state, self.connected.target, tenure).await?;
        self.learn(must).await?;
        self.closed().await
    }

    /// Learns how far whoever wrote before had read, if somebody else may have, or that is not known.
    async fn learn(&mut self, must: bool) -> Result<(), Failure> {
        let Self { target, state, connected, .. } = self;
        match target.tenant() {
            Some(tenant) => predecessor::learn(tenant, (state, connected), must).await,
            None => Ok(()),
        }
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
}

/// Lets the opposite be done of what was sent, was never answered, and is not to be any more: of batches, and of
/// single objects. What was deleted counts as lost `now`.
pub(super) async fn settle(
    state: &State,
    target: ConnectorId,
    now: OffsetDateTime,
) -> Result<(), Failure> {
    // A tenant was asked by then which batch it has last; a Graph has none to ask for.
    Batches::suspect(state, target).await?;
    Batches::settle(state, target, now).await?;
    Ok(state.settle_doubts(target).await?)
}

/// Remembers that somebody else may write from now on.
pub(super) async fn leave(state: &State, target: ConnectorId) -> Result<(), Failure> {
    Ok(state.remember(target, UNCONFIRMED, b"").await?)
}

/// Whether somebody else may have written since this server did: when nothing was written for a while; when its
/// lease, if it has one, is not the one that it confirmed under, nor the very next one; and when it has none any
/// more. The ids of leases tell a tenant that was restored from a backup, which epochs do not: `docs/safety.md`.
pub(super) async fn must_confirm(
    state: &State,
    target: ConnectorId,
    tenure: Option<Tenure>,
) -> Result<bool, Failure> {
    if state.remembered(target, UNCONFIRMED).await?.is_some() {
        return Ok(true);
    }
    let confirmed = state.remembered(target, CONFIRMED_LEASE).await?;
    let Some(tenure) = tenure else { return Ok(confirmed.is_some()) };
    let confirmed = confirmed.and_then(|octets| String::from_utf8(octets).ok()?.parse().ok());
    Ok(!confirmed.is_some_and(|known| tenure.continues(known)))
}

/// Remembers under which lease what the target has is known, and that it was confirmed if it had to be.
pub(super) async fn confirmed(
    state: &State,
    target: ConnectorId,
    tenure: Option<Tenure>,
    had_to: bool,
) -> Result<(), Failure> {
    if had_to {
        state.forget(target, UNCONFIRMED).await?;
    }
    match tenure {
        Some(Tenure { id, .. }) => {
            state.remember(target, CONFIRMED_LEASE, id.to_string().as_bytes()).await?;
        }
        None if had_to => state.forget(target, CONFIRMED_LEASE).await?,
        None => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use portolan_model::Guid;
    use portolan_sync::engine::Side;

    use super::*;

    fn id(number: u8) -> Guid {
        Guid::from_random([number; 16])
    }

    /// A lease with an epoch, the number of its id, and that of the one before it.
    fn lease(epoch: u64, number: u8, previous: Option<u8>) -> Option<Tenure> {
        Some(Tenure { epoch, id: id(number), previous: previous.map(id) })
    }

    /// Before it exports, under each of these leases in turn, a server confirms or does not.
    async fn check(turns: &[(Option<Tenure>, bool)]) {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(&directory.path().join("space.db")).await.unwrap();
        let target = state.connector("cloud.example", Side::Target).await.unwrap();
        for (turn, (tenure, expected)) in turns.iter().enumerate() {
            let must = must_confirm(&state, target, *tenure).await.unwrap();
            assert_eq!(must, *expected, "turn {turn} of {turns:?}");
            confirmed(&state, target, *tenure, must).await.unwrap();
        }
    }

    #[tokio::test]
    async fn who_stays_the_one_that_writes_does_not_confirm() {
        let (first, renewed) = (lease(1, 1, None), lease(1, 1, None));
        check(&[(first, true), (renewed, false), (lease(2, 2, Some(1)), false)]).await;
    }

    #[tokio::test]
    async fn who_takes_over_confirms() {
        check(&[(lease(1, 1, None), true), (lease(3, 3, Some(2)), true)]).await;
    }

    #[tokio::test]
    async fn an_epoch_that_comes_again_behind_a_backup_is_confirmed_under_again() {
        let learnt = lease(2, 2, Some(1));
        check(&[(learnt, true), (lease(2, 9, Some(1)), true), (lease(3, 10, Some(9)), false)])
            .await;
        check(&[(learnt, true), (lease(3, 9, Some(8)), true)]).await;
        check(&[(learnt, true), (lease(1, 9, None), true)]).await;
    }

    #[tokio::test]
    async fn a_tenant_that_knows_of_no_lease_any_more_is_confirmed_once() {
        check(&[(None, false), (lease(1, 1, None), true), (None, true), (None, false)]).await;
    }
}
