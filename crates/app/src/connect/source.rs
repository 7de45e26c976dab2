//! A domain of a forest as this server reads it: its forest's configuration, the account with its tickets,
//! its naming context in the state; and the import of all of them side by side.

use std::path::Path;
use std::time::Instant;

use futures_util::future::join_all;
use portolan_chart::flow;
use portolan_model::DnsName;
use portolan_net::Network;
use portolan_net::kerberos::Credential;
use portolan_store::state::{Partition, State};

use super::account::Identity;
use super::config::Config;
use super::domains;
use super::forest::Forest;
use super::forest_config::ForestConfig;
use super::import::{self, Belief, Imported, Reading, Staging};
use super::outage::Outage;
use super::running::Running;
use super::steps::Steps;
use super::synchronise::Connected;
use crate::report::Failure;

/// A domain that is read, of a forest that may have others.
pub(super) struct Source {
    /// Its forest.
    pub(super) config: ForestConfig,
    /// The domain.
    pub(super) domain: DnsName,
    /// Its naming context in the state.
    pub(super) partition: Partition,
    /// The other domains of the forest that are read.
    others: Vec<DnsName>,
    network: Network,
    /// What its account proves itself with; `None` while that was refused, or does not read.
    proof: Option<Proof>,
    /// Whether it answers; of several forests alone.
    outage: Option<Outage>,
}

/// What an account proves itself with: once for all domains of its forest.
#[derive(Clone)]
struct Proof {
    /// With its tickets, which outlast a synchronisation.
    credential: Credential,
    /// Which secret of the account that is.
    secret: Identity,
}

/// The domains of the configuration, forest by forest, each with its naming context in the state.
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
        let network = forest.network(&config.reach)?;
        let proof = Proof::of(forest, state).map_err(|failure| failed = Some(failure)).ok();
        sources.extend(known.domains.iter().map(|(domain, partition)| Source {
            config: forest.clone(),
            domain: domain.clone(),
            partition: *partition,
            others: forest.besides(domain),
            network: network.clone(),
            proof: proof.clone(),
            outage: None,
        }));
    }
    if sources.len() > 1 {
        sources.iter_mut().for_each(|source| source.outage = Some(Outage::default()));
    }
    match failed {
        Some(failure) if sources.iter().all(|source| source.proof.is_none()) => Err(failure),
        _ => Ok(sources),
    }
}

/// Reads domains side by side. What fails of one is told, and does not keep the others from being read;
/// what that one has in the state stays as it is. Then what left one domain is looked for in the others of its
/// forest.
///
/// # Errors
/// When none was read.
pub(super) async fn import_all(
    mut sources: Vec<&mut Source>,
    space: (&Path, &State),
    (reading, run): (&Reading, &Running),
    allowed: usize,
    steps: &Steps,
) -> Result<Imported, Failure> {
    let several = sources.len() > 1;
    let imports = sources.iter_mut().map(|source| async move {
        let domain = source.domain.clone();
        let name = domain.to_string();
        let read = if several {
            let steps = steps.of(&domain);
            let read = source.import(space, reading, allowed, &steps);
            let read = Box::pin(run.step("import", Some(&name), read)).await;
            if let Err(failure) = &read {
                steps.say(None, &format!("not read: {}", failure.text()));
            }
            if let Some(outage) = &source.outage {
                outage.keep(space.1, source.partition).await?;
            }
            read
        } else {
            let read = source.import(space, reading, allowed, steps);
            Box::pin(run.step("import", Some(&name), read)).await
        };
        Ok((domain, read))
    });
    let read = join_all(imports.map(Box::pin)).await;
    let outcomes = read.into_iter().collect::<Result<Vec<_>, Failure>>()?;
    let unread: Vec<_> = outcomes.iter().filter(|(_, read)| read.is_err()).collect();
    let unread: Vec<_> = unread.into_iter().map(|(domain, _)| domain.clone()).collect();
    let mut imported = Imported::of_all(outcomes)?;
    imported.add(domains::settle(&mut sources, &unread, space, reading, steps).await?);
    Ok(imported)
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

    /// Where its objects go.
    pub(super) fn staging<'a>(&'a self, state: &'a State, reading: &'a Reading) -> Staging<'a> {
        let Self { domain, partition, others, .. } = self;
        let now = portolan_net::clock::now().unix_timestamp();
        Staging { domain, state, partition: *partition, others, reading, now }
    }

    /// Its controllers, found anew, by the account with the secret that it has now.
    ///
    /// # Errors
    /// When none answers; at once while it rests for that.
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
        let domain = &self.domain;
        let forest = Forest::find(&self.network, domain, credential, steps).await?;
        Ok(forest.over(self.config.channel(&self.network)))
    }

    /// Reads the domain. `allowed` objects of a kind may be missing, above what goes without a word.
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
            let staging = self.staging(state, reading);
            let alone = !forest.has_besides(&[connection.link().peer().to_owned()]);
            let belief = Belief { alone, ..Belief::allowing(allowed) };
            let read = import::read(&mut connection, &staging, belief).await;
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
        imported.notes.extend(domains::look(&mut connection, self, state, imported.full).await);
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
