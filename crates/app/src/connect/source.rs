//! A forest as this server reads it: its configuration, its account with its tickets, its number in the
//! state; and the import of all of them side by side.

use std::path::Path;
use std::time::Instant;

use futures_util::future::join_all;
use portolan_chart::flow;
use portolan_net::Network;
use portolan_net::kerberos::Credential;
use portolan_store::state::State;
use portolan_sync::engine::ConnectorId;

use super::account::Identity;
use super::config::Config;
use super::forest::Forest;
use super::forest_config::ForestConfig;
use super::import::{self, Imported, Reading, Staging};
use super::outage::Outage;
use super::running::Running;
use super::steps::Steps;
use super::synchronise::Connected;
use crate::report::Failure;

/// A forest that is read.
pub(super) struct Source {
    pub(super) config: ForestConfig,
    /// Its number in the state.
    pub(super) connector: ConnectorId,
    network: Network,
    /// What its account proves itself with; `None` while that was refused, or does not read.
    proof: Option<Proof>,
    /// Whether it answers; of several forests alone.
    outage: Option<Outage>,
}

/// What an account proves itself with.
struct Proof {
    /// With its tickets, which outlast a synchronisation.
    credential: Credential,
    /// Which secret of the account that is.
    secret: Identity,
}

/// The forests of the configuration, each with its number in the state.
///
/// # Errors
/// When the account of the only forest, or of all of them, cannot be used: one of several that cannot is told
/// of when its turn comes.
pub(super) fn open(
    config: &Config,
    connected: &Connected,
    state: &Path,
) -> Result<Vec<Source>, Failure> {
    let (mut sources, mut failed) = (Vec::new(), None);
    for (forest, known) in config.forests.iter().zip(&connected.forests) {
        let (network, config) = (forest.network(&config.reach)?, forest.clone());
        let proof = Proof::of(&config, state).map_err(|failure| failed = Some(failure)).ok();
        sources.push(Source { config, connector: known.connector, network, proof, outage: None });
    }
    if sources.len() > 1 {
        sources.iter_mut().for_each(|source| source.outage = Some(Outage::default()));
    }
    match failed {
        Some(failure) if sources.iter().all(|source| source.proof.is_none()) => Err(failure),
        _ => Ok(sources),
    }
}

/// Reads forests side by side. What fails of one is told, and does not keep the others from being read;
/// what that one has in the state stays as it is.
///
/// # Errors
/// When none was read.
pub(super) async fn import_all(
    sources: Vec<&mut Source>,
    space: (&Path, &State),
    (reading, run): (&Reading, &Running),
    allowed: usize,
    steps: &Steps,
) -> Result<Imported, Failure> {
    let several = sources.len() > 1;
    let imports = sources.into_iter().map(|source| async move {
        let domain = source.config.domain.clone();
        let name = domain.to_string();
        let read = if several {
            let steps = steps.of(&domain);
            let read = source.import(space, reading, allowed, &steps);
            let read = Box::pin(run.step("import", Some(&name), read)).await;
            if let Err(failure) = &read {
                steps.say(None, &format!("not read: {}", failure.text()));
            }
            if let Some(outage) = &source.outage {
                outage.keep(space.1, source.connector).await?;
            }
            read
        } else {
            let read = source.import(space, reading, allowed, steps);
            Box::pin(run.step("import", Some(&name), read)).await
        };
        Ok((domain, read))
    });
    let read = join_all(imports.map(Box::pin)).await;
    Imported::of_all(read.into_iter().collect::<Result<_, Failure>>()?)
}

impl Source {
    /// Reads the account's secret anew. If it is another one, or the mark of its refusal was taken away,
    /// it is used from now on.
    ///
    /// # Errors
    /// When it does not read, or was refused.
    pub(super) fn renew_secret(&mut self, state: &Path) -> Result<(), Failure> {
        let config = Config::read(state)?.forest(Some(&self.config.domain))?.clone();
        let account = config.account(state)?;
        let is_same = |proof: &Proof| {
            proof.secret == *account.identity() && proof.credential.refusal().is_none()
        };
        if !self.proof.as_ref().is_some_and(is_same) {
            self.proof = None;
            self.proof = Some(Proof::of(&config, state)?);
        }
        Ok(())
    }

    /// Whether the directory refused the account with the secret in use, or there is none.
    pub(super) fn is_refused(&self) -> bool {
        self.proof.as_ref().is_none_or(|proof| proof.credential.refusal().is_some())
    }

    /// The forest, found anew, by the account with the secret that it has now.
    ///
    /// # Errors
    /// When it does not answer; at once while it rests for that.
    pub(super) async fn find(&mut self, state: &Path, steps: &Steps) -> Result<Forest, Failure> {
        let began = portolan_net::clock::monotonic();
        if let Some(outage) = &self.outage {
            outage.check(began)?;
        }
        let found = self.look_for(state, steps).await;
        if found.is_err() {
            self.took(&found, began);
        }
        found
    }

    /// Takes what came of an attempt to reach the forest.
    fn took<T>(&mut self, outcome: &Result<T, Failure>, began: Instant) {
        let (ended, now) = (portolan_net::clock::monotonic(), portolan_net::clock::now());
        if let Some(outage) = &mut self.outage {
            outage.took(outcome, (began, ended), now);
        }
    }

    async fn look_for(&mut self, state: &Path, steps: &Steps) -> Result<Forest, Failure> {
        self.renew_secret(state)?;
        let none = || Failure::new("the account has no secret that may be tried").lasting();
        let credential = self.proof.as_ref().ok_or_else(none)?.credential.clone();
        let domain = &self.config.domain;
        let forest = Forest::find(&self.network, domain, credential, steps).await?;
        Ok(forest.over(self.config.channel(&self.network)))
    }

    /// Reads the forest. `allowed` objects of a kind may be missing, above what goes without a word.
    async fn import(
        &mut self,
        (directory, state): (&Path, &State),
        reading: &Reading,
        allowed: usize,
        steps: &Steps,
    ) -> Result<Imported, Failure> {
        let forest = self.find(directory, steps).await?;
        let began = portolan_net::clock::monotonic();
        let connected = forest.ldap(steps).await;
        self.took(&connected, began);
        let mut connection = connected?;
        let begun = portolan_net::clock::monotonic();
        let mut failed = Vec::new();
        let mut imported = loop {
            let (domain, connector) = (&self.config.domain, self.connector);
            let staging = Staging { domain, state, connector, reading };
            let read = import::read(&mut connection, &staging, allowed).await;
            let failure = match read {
                Ok(imported) => break imported,
                Err(failure) => failure,
            };
            // What was committed with its cursor stands, and is every controller's; a full read that
            // was broken off begins anew.
            failed.push(connection.link().peer().to_owned());
            if !failure.is_elsewhere() || !forest.has_besides(&failed) {
                return Err(failure);
            }
            steps.say(None, &format!("note: {}; going on elsewhere", failure.text()));
            connection = forest.ldap_except(&failed, steps).await?;
        };
        imported.took = portolan_net::clock::monotonic().duration_since(begun);
        // The import is whole: how the controller takes the goodbye changes nothing.
        let _ = connection.close().await;
        for note in &imported.notes {
            steps.say(None, &format!("note: {note}"));
        }
        steps.over(self.network.chart(), flow::CONNECT_AD_LDAP, &imported.summary());
        Ok(imported)
    }
}

impl Proof {
    /// By the secret that the account has now.
    fn of(config: &ForestConfig, state: &Path) -> Result<Self, Failure> {
        let account = config.account(state)?;
        let secret = account.identity().clone();
        Ok(Self { credential: account.credential(state)?, secret })
    }
}
