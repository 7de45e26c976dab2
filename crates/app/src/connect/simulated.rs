//! The synchronisation without sockets and without the host's clock: what the simulator (`crates/sim`)
//! drives.
//!
//! Nothing is simulated here. These are the import, the synchronisation and the export of
//! [`cycle`](super::cycle), in its order, over whatever directory and tenant they are given.

use std::path::Path;
use std::sync::Arc;

use portolan_model::{DnsName, Guid};
use portolan_store::state::State;
pub use portolan_sync::guard::Allowance;
use portolan_sync::target::TargetSystem;
use portolan_tenant::lease::Tenure;
use portolan_tenant::wire::TenantResponse;
use portolan_token::{Jwk, SigningKey};
use time::OffsetDateTime;

use super::batches;
pub use super::batches::Owned;
use super::confirm::Confirming;
pub use super::confirm::Holding;
use super::cycle::{FILE, domains};
pub use super::export::Ingest;
use super::export::{Exported, Exporter};
use super::gate;
use super::guard;
pub use super::import::directory::{Directory, Entries, SearchError};
use super::import::{self, Behind, Belief, Imported, Reading, Staging};
use super::key;
use super::predecessor;
use super::running::DONE;
pub use super::synchronise::Origin;
use super::synchronise::{
    self, Connected, ConnectedForest, Overlay, Ruleset, Scope, Synchronisation, Synchronised,
};
use super::target::graph::{self, Address};
use super::target::proof::Proof;
pub use super::target::wire::Wire;
use super::target::{Receiver, Sending, survey};
use crate::report::Failure;

/// What a sync server asks of its tenant.
#[expect(async_fn_in_trait, reason = "one task drives a server, and moves to no other thread")]
pub trait Tenancy: Ingest + Owned + Holding {
    /// Who the tenant is, and the last batch that it has.
    async fn describe(&mut self) -> Result<TenantResponse, Failure>;
}

/// Where a Graph is, and who asks there.
#[derive(Debug, Clone)]
pub struct Place {
    /// The host of Graph.
    pub graph: DnsName,
    /// The host of the token endpoint.
    pub login: DnsName,
    /// The tenant's id.
    pub tenant: Guid,
    /// The application's id.
    pub client_id: Guid,
}

/// A key by which an application proves itself.
pub struct ApplicationKey {
    private: key::Private,
    /// Its public half.
    pub public: Jwk,
}

impl ApplicationKey {
    /// Makes one.
    ///
    /// # Errors
    /// When none can be made.
    pub fn make() -> Result<Self, Failure> {
        let (key, private) = key::make()?;
        Ok(Self { private, public: key.public().clone() })
    }

    /// As a key that signs.
    ///
    /// # Errors
    /// When it is none.
    pub fn signing(&self) -> Result<SigningKey, Failure> {
        key::parse(&self.private)
    }
}

/// A Graph as a target.
pub struct Graph<W>(graph::Graph<W>);

impl<W: Wire> Graph<W> {
    /// One that is reached by a wire, by an application with this key.
    pub fn over(wire: W, place: &Place, key: SigningKey) -> Self {
        let address = Address {
            graph: place.graph.clone(),
            login: place.login.clone(),
            tenant: place.tenant.to_string(),
            client_id: place.client_id.to_string(),
            restores_deleted: true,
        };
        Self(graph::Graph::over(wire, address, Proof::new(key, None)))
    }
}

/// Whom a cycle exports to.
trait Peer: Receiver {
    /// What it says of itself. A state to which it belies what it acknowledged is told so.
    async fn meet(
        &mut self,
        state: &State,
        connected: &Connected,
        now: OffsetDateTime,
    ) -> Result<TenantResponse, Failure>;

    /// Holds what it has against what it acknowledged.
    async fn confirm(
        &mut self,
        state: &State,
        connected: &Connected,
        origin: &dyn Origin,
    ) -> Result<(), Failure>;

    /// Learns how far whoever wrote before had read, if somebody else may have (`must`) or that is not known.
    async fn learn(
        &mut self,
        state: &State,
        connected: &Connected,
        must: bool,
    ) -> Result<(), Failure>;
}

impl<T: Tenancy> Peer for T {
    async fn meet(
        &mut self,
        state: &State,
        connected: &Connected,
        now: OffsetDateTime,
    ) -> Result<TenantResponse, Failure> {
        let answer = self.describe().await?;
        if let Some(last) = &answer.last_batch
            && batches::reconcile(self, state, connected.target, last, now).await?.is_some()
        {
            synchronise::run_in_full_next(state, connected).await?;
        }
        Ok(answer)
    }

    async fn confirm(
        &mut self,
        state: &State,
        connected: &Connected,
        origin: &dyn Origin,
    ) -> Result<(), Failure> {
        Confirming { tenant: self, state, connected, origin }.all().await.map(|_| ())
    }

    async fn learn(
        &mut self,
        state: &State,
        connected: &Connected,
        must: bool,
    ) -> Result<(), Failure> {
        predecessor::learn(self, (state, connected), must).await
    }
}

impl<W: Wire> Peer for graph::Graph<W> {
    async fn meet(
        &mut self,
        _: &State,
        _: &Connected,
        _: OffsetDateTime,
    ) -> Result<TenantResponse, Failure> {
        self.describe().await
    }

    async fn confirm(
        &mut self,
        state: &State,
        connected: &Connected,
        origin: &dyn Origin,
    ) -> Result<(), Failure> {
        let names = state.dictionary().await?;
        let (target, read_up_to) = (connected.target, None);
        let sending = Sending { state, target, names: &names, read_up_to, origin };
        survey::confirm(self, sending).await.map(|_| ())
    }

    async fn learn(&mut self, _: &State, _: &Connected, _: bool) -> Result<(), Failure> {
        Ok(())
    }
}

/// The rules and what they read, compiled once for many states that began as copies of one.
#[derive(Debug, Clone)]
pub struct Compiled {
    rules: Arc<Ruleset>,
    reading: Arc<Reading>,
}

/// Who a server is among those of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The only one.
    Alone,
    /// The one that writes, by this acquisition of the lease.
    Active(Tenure),
    /// One that writes nothing: another one may, or it is in staging mode.
    Warm,
}

/// Hours for which what is released may be lost.
const RELEASED_HOURS: u32 = 24;

/// A sync server of some forests and one tenant.
pub struct Server {
    state: State,
    compiled: Compiled,
    connected: Connected,
    forests: Vec<DnsName>,
    origin: Arc<dyn Origin + Send>,
    believes_lagging: bool,
}

/// What a cycle did.
#[derive(Debug, Clone)]
pub struct Cycle {
    /// Whether the forest was read in full.
    pub full: bool,
    /// Whether the import found nothing.
    pub nothing_read: bool,
    /// Neighbourhoods of which something else came than before, and references that changed.
    pub decided: u64,
    /// Objects and references that were sent and acknowledged.
    pub exported: usize,
    /// What was not exported because it would take too much away.
    pub held: Vec<String>,
    /// What the tenant refused: anchors, and why.
    pub refused: Vec<(String, String)>,
    /// What an administrator is told of the import.
    pub notes: Vec<String>,
    /// Forests that were not read, and why.
    pub unread: Vec<String>,
    /// Whether nothing was exported because another server may write.
    pub is_warm: bool,
    /// Domains that were read further when the tenant was written last: nothing was exported for that.
    pub behind: Vec<String>,
}

/// What a synchronisation alone did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decided {
    /// Objects that were looked at.
    pub objects: u64,
    /// Neighbourhoods of which something else came than before.
    pub changed: u64,
    /// References that are to be added or removed.
    pub references: u64,
}

impl Compiled {
    /// The default rules and the overlay of a state directory, with the numbers of its state, which is made
    /// when there is none.
    ///
    /// # Errors
    /// When the rules or the state are not right.
    pub async fn by(directory: &Path) -> Result<Self, Failure> {
        Self::of(&Overlay::read(directory)?, directory).await
    }

    /// The same with the default rules for a Graph.
    ///
    /// # Errors
    /// When the rules or the state are not right.
    pub async fn for_graph(directory: &Path) -> Result<Self, Failure> {
        Self::of(&Overlay::read_for(directory, TargetSystem::Graph)?, directory).await
    }

    async fn of(overlay: &Overlay, directory: &Path) -> Result<Self, Failure> {
        let state = State::open(&directory.join(FILE)).await?;
        let rules = Ruleset::of(overlay, &state).await?;
        let reading = Reading::by(&rules.rules, rules.names.clone(), &state).await?;
        // The reading gave numbers to names: rules read anew know them all.
        let rules = Ruleset::of(overlay, &state).await?;
        state.close().await;
        Ok(Self { rules: Arc::new(rules), reading: Arc::new(reading) })
    }
}

impl Server {
    /// Opens a state directory.
    ///
    /// # Errors
    /// When the state does not open.
    pub async fn open(
        directory: &Path,
        compiled: &Compiled,
        forests: &[DnsName],
        tenant: &DnsName,
        origin: Arc<dyn Origin + Send>,
    ) -> Result<Self, Failure> {
        let state = State::open(&directory.join(FILE)).await?;
        let connected = Connected::by(&state, forests, tenant).await?;
        let (compiled, forests) = (compiled.clone(), forests.to_vec());
        Ok(Self { state, compiled, connected, forests, origin, believes_lagging: false })
    }

    /// One that takes for gone what a controller lacks that lags behind: the bug that the protection is held
    /// against.
    #[must_use]
    pub const fn believing_who_lags(mut self, believes: bool) -> Self {
        self.believes_lagging = believes;
        self
    }

    /// Its state.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Reads the forests one after another, of which each has its directory. A server reads them side by
    /// side: what comes of that is the same, and not in the same order every time.
    async fn import(
        &self,
        directories: &mut [impl Directory],
        allowed: usize,
    ) -> Result<Imported, Failure> {
        let (state, reading) = (&self.state, &self.compiled.reading);
        let mut outcomes = Vec::with_capacity(directories.len());
        for (forest, directory) in self.connected.forests.iter().zip(directories) {
            let ConnectedForest { domain, connector, .. } = forest;
            let partition = (*connector).into();
            // Replication is a step of the simulation, and takes no time: no wait for it ends.
            let now = 0;
            let staging = Staging { domain, state, partition, others: &[], reading, now };
            let belief = Belief { missing: allowed, lagging: self.believes_lagging, alone: false };
            outcomes.push((domain.clone(), import::read(directory, &staging, belief).await));
        }
        Imported::of_all(outcomes)
    }

    /// One synchronisation: import, synchronise, export. `allowed` objects of a kind may be missing or
    /// deleted, above what goes without a word by the allowance.
    ///
    /// # Errors
    /// What broke it off.
    pub async fn synchronise(
        &self,
        directories: &mut [impl Directory],
        tenant: &mut impl Tenancy,
        allowance: (&Allowance, usize),
        turn: Turn,
    ) -> Result<Cycle, Failure> {
        self.cycle(directories, tenant, allowance, turn).await
    }

    /// The same with a Graph, to which one server alone writes. What it has is confirmed first, if that was
    /// asked for by [`Self::confirm_next`].
    ///
    /// # Errors
    /// What broke it off.
    pub async fn synchronise_with_graph(
        &self,
        directories: &mut [impl Directory],
        graph: &mut Graph<impl Wire>,
        allowance: (&Allowance, usize),
    ) -> Result<Cycle, Failure> {
        self.cycle(directories, &mut graph.0, allowance, Turn::Alone).await
    }

    /// The next cycle confirms what the target has, as a profile with that step does.
    ///
    /// # Errors
    /// When the state fails.
    pub async fn confirm_next(&self) -> Result<(), Failure> {
        gate::leave(&self.state, self.connected.target).await
    }

    async fn cycle(
        &self,
        directories: &mut [impl Directory],
        tenant: &mut impl Peer,
        (allowance, allowed): (&Allowance, usize),
        turn: Turn,
    ) -> Result<Cycle, Failure> {
        let (state, target) = (&self.state, self.connected.target);
        let imported = self.import(directories, allowed).await?;
        let answer = tenant.meet(state, &self.connected, self.origin.now()).await?;
        let domains = domains(&self.forests, &answer.initial_domain, &answer.verified_domains)?;
        let (rules, full) = (&self.compiled.rules, imported.full);
        let run = state.begin_run("cycle", self.origin.now()).await?;
        let scope = if full { Scope::Everything } else { Scope::Changes };
        let (connected, work) = (&self.connected, (run, scope));
        let synchronised =
            synchronise::run(state, rules, connected, &domains, work, &*self.origin).await?;
        state.end_run(run, DONE, "{}", self.origin.now()).await?;
        let tenure = match turn {
            Turn::Active(tenure) => Some(tenure),
            Turn::Alone | Turn::Warm => None,
        };
        let is_warm = turn == Turn::Warm;
        let mut behind = Vec::new();
        if is_warm {
            gate::leave(state, target).await?;
        } else {
            let must_confirm = gate::must_confirm(state, target, tenure).await?;
            tenant.learn(state, connected, must_confirm).await?;
            behind = predecessor::behind(state, connected).await?;
            if behind.is_empty() {
                predecessor::settle(state, connected).await?;
                if must_confirm {
                    tenant.confirm(state, connected, &*self.origin).await?;
                }
                gate::confirmed(state, target, tenure, must_confirm).await?;
                gate::settle(state, target, self.origin.now()).await?;
            }
        }
        let is_closed = is_warm || !behind.is_empty();
        let now = self.origin.now();
        let quarantine = guard::quarantine(state, target, allowance, allowed, now).await?;
        let names = &rules.names;
        let read_up_to = predecessor::read_up_to(state, connected).await?;
        let (read_up_to, origin) = (read_up_to.as_ref(), &*self.origin);
        let sending = Sending { state, target, names, read_up_to, origin };
        let quarantine = &quarantine;
        let mut exporter = Exporter { target: tenant, sending, chosen: None, quarantine };
        let exported = if is_closed { Exported::default() } else { exporter.run().await? };
        let Exported { added, updated, deleted, references, refused, .. } = exported;
        Ok(Cycle {
            held: quarantine.iter().map(ToString::to_string).collect(),
            full,
            nothing_read: imported.is_quiet(),
            decided: synchronised.changed + synchronised.references,
            exported: added + updated + deleted + references,
            refused: refused.into_iter().map(|refused| (refused.anchor, refused.why)).collect(),
            notes: imported.notes,
            is_warm,
            behind: behind.iter().map(Behind::clause).collect(),
            unread: imported.unread.into_iter().map(|unread| unread.why).collect(),
        })
    }

    /// Lets through what waits in quarantine now, for a day: what of, and how many.
    ///
    /// # Errors
    /// When the state fails.
    pub async fn release(
        &self,
        allowance: &Allowance,
    ) -> Result<Vec<(&'static str, u64)>, Failure> {
        let (state, target, now) = (&self.state, self.connected.target, self.origin.now());
        let quarantine = guard::quarantine(state, target, allowance, 0, now).await?;
        let mut released = Vec::new();
        for held in quarantine.iter() {
            let count = guard::let_through(state, target, held, RELEASED_HOURS, now).await?;
            released.push((held.toll.loss.as_str(), count));
        }
        Ok(released)
    }

    /// Synchronises alone, for a tenant with this initial domain: what changed, or `everything`.
    ///
    /// # Errors
    /// What broke it off.
    pub async fn decide(&self, initial: &str, everything: bool) -> Result<Decided, Failure> {
        let (state, rules) = (&self.state, &self.compiled.rules);
        let domains = domains(&self.forests, initial, &[])?;
        let run = state.begin_run("synchronise", self.origin.now()).await?;
        let begun = Synchronisation::begin(state, rules, &self.connected, &domains, run).await?;
        let begun = begun.with(&*self.origin);
        let done = if everything { begun.everything().await? } else { begun.changes().await? };
        let Synchronised { objects, changed, references } = done;
        Ok(Decided { objects, changed, references })
    }
}
