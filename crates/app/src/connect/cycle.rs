//! One synchronisation of objects: import, plan, export, in this order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portolan_chart::flow;
use portolan_model::DnsName;
use portolan_net::Network;
use portolan_net::tls::Fingerprint;
use portolan_store::state::{RunId, State};
use portolan_tenant::wire::TenantResponse;
use tokio::sync::Mutex;

use super::batches;
use super::config::{Config, RawConfig};
use super::domains as partitions;
use super::export::{Exported, Exporter};
use super::forest::Forest;
use super::gate::Passage;
use super::import::{self, Imported, Reading};
use super::key;
use super::lease::Lease;
use super::plan::Chosen;
use super::predecessor;
use super::profile::Extent;
use super::running::Running;
use super::scratch;
use super::secrets::Secrets;
use super::source::{self, Source};
use super::steps::Steps;
use super::synchronise::{self, Connected, Domains, Host, Overlay, Ruleset, Scope, Synchronised};
use super::target::graph::Graph;
use super::target::{Sending, Target};
use super::target_config::SystemConfig;
use super::tenant_client::{self, Tenant};
use crate::report::Failure;

/// The state of the engine, in the state directory.
pub(super) const FILE: &str = "connector-space.db";
/// The tenant's domains, as it named them last.
const DOMAINS: &str = "domains";

/// Everything that a run works with.
pub(super) struct Server {
    pub(super) config: Config,
    pub(super) network: Network,
    /// The domains of the forests, in the order of the configuration.
    pub(super) forests: Vec<Source>,
    pub(super) state: State,
    /// The numbers of the forests and of the tenant in it.
    pub(super) connected: Connected,
    pub(super) target: Target,
    /// The lease of this server's group, if it uses one.
    pub(super) lease: Lease,
    secrets: Secrets,
    /// The files of rules that are in force.
    pub(super) overlay: Overlay,
    /// What was compiled of them last, by their digest: once, and not in each step.
    compiled: Mutex<Option<(String, Arc<Ruleset>)>>,
    pub(super) directory: PathBuf,
}

impl Server {
    /// Opens a state directory.
    pub(super) async fn open(directory: &Path) -> Result<Self, Failure> {
        scratch::sweep(directory);
        RawConfig::adopt(directory, portolan_net::clock::now())?;
        // What is wrong with the configuration is said before a state is made.
        let config = Config::read(directory)?;
        let state = State::open(&directory.join(FILE)).await?;
        Self::with(config, state, directory).await
    }

    /// A server with a configuration, and with a state that is open.
    pub(super) async fn with(
        config: Config,
        state: State,
        directory: &Path,
    ) -> Result<Self, Failure> {
        let network = config.reach.network()?;
        let directory = directory.to_owned();
        let connected = Connected::of(&state, &config).await?;
        connected.check_known(&state).await?;
        let forests = source::open(&config, &connected, &directory)?;
        let secrets = Secrets::open(&directory)?;
        let key = key::current(&secrets, config.client_id)?;
        let target = match &config.system {
            SystemConfig::Tenant { ca_sha256 } => {
                let client = tenant_client::client(&network, Fingerprint::new(*ca_sha256));
                Target::Tenant(Tenant::new(client, &config, key)?)
            }
            SystemConfig::Graph(place) => {
                Target::Graph(Graph::configured(&network, &config, place, key))
            }
        };
        let overlay = Overlay::read(&directory)?;
        let compiled = Mutex::new(None);
        Ok(Self {
            config,
            network,
            forests,
            state,
            connected,
            target,
            lease: Lease::none(),
            secrets,
            overlay,
            compiled,
            directory,
        })
    }

    /// A client of the tenant with this server's key as it is now; none of a target that is no tenant.
    pub(super) fn another_tenant_client(&self) -> Result<Option<Tenant>, Failure> {
        let SystemConfig::Tenant { ca_sha256 } = &self.config.system else { return Ok(None) };
        let client = tenant_client::client(&self.network, Fingerprint::new(*ca_sha256));
        let secrets = Secrets::open(&self.directory)?;
        let key = key::current(&secrets, self.config.client_id)?;
        Tenant::new(client, &self.config, key).map(Some)
    }

    /// The rules in force, compiled.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub(super) async fn rules(&self) -> Result<Arc<Ruleset>, Failure> {
        let digest = self.overlay.digest();
        let mut compiled = self.compiled.lock().await;
        match compiled.as_ref() {
            Some((of, rules)) if *of == digest => Ok(Arc::clone(rules)),
            _ => {
                let rules = Arc::new(Ruleset::of(&self.overlay, &self.state).await?);
                *compiled = Some((digest, Arc::clone(&rules)));
                Ok(rules)
            }
        }
    }

    /// Reads the secrets of refused accounts anew: whether one of them may be tried again.
    pub(super) fn renew_secrets(&mut self) -> bool {
        let refused = self.forests.iter_mut().filter(|forest| forest.is_refused());
        let renewed: Vec<_> =
            refused.map(|forest| forest.renew_secret(&self.directory).is_ok()).collect();
        renewed.contains(&true)
    }

    /// Whether every forest refused its account with the secret in use.
    pub(super) fn is_refused(&self) -> bool {
        self.forests.iter().all(Source::is_refused)
    }

    /// Replaces this server's key when it is time, or in any case when it is told to.
    pub(super) async fn renew_key(&mut self, in_any_case: bool) -> Result<bool, Failure> {
        let (client_id, now) = (self.config.client_id, portolan_net::clock::now());
        // A command may have replaced it since.
        self.secrets = Secrets::open(&self.directory)?;
        // The key of an application of Graph is its administrator's to replace.
        let Target::Tenant(tenant) = &mut self.target else { return Ok(false) };
        tenant.use_key(key::current(&self.secrets, client_id)?);
        if !in_any_case && !key::is_due(&self.secrets, client_id, now) {
            return Ok(false);
        }
        let key = key::replace(&mut self.secrets, client_id, tenant, now).await?;
        tenant.use_key(key);
        Ok(true)
    }

    /// The name of the key by which this server proves itself.
    pub(super) fn key_id(&self) -> Result<String, Failure> {
        Ok(key::current(&self.secrets, self.config.client_id)?.kid().to_owned())
    }

    /// A domain of a forest by its place in the configuration, found anew, by the account with the secret that it
    /// has now.
    pub(super) async fn forest(&mut self, at: usize, steps: &Steps) -> Result<Forest, Failure> {
        let several = self.forests.len() > 1;
        let gone = || Failure::new("a forest is gone from the configuration");
        let source = self.forests.get_mut(at).ok_or_else(gone)?;
        if several {
            return source.find(&self.directory, &steps.of(&source.domain)).await;
        }
        source.find(&self.directory, steps).await
    }

    /// Reads forests side by side: one, or all of them. One that fails is told of and keeps what it has.
    /// `allowed` objects of a kind may be missing of a forest, above what goes without a word.
    ///
    /// # Errors
    /// When none was read.
    pub(super) async fn import(
        &mut self,
        run: &Running,
        (forest, extent): (Option<&DnsName>, Extent),
        allowed: usize,
        steps: &Steps,
    ) -> Result<Imported, Failure> {
        let rules = self.rules().await?;
        let reading = Reading::by(&rules.rules, rules.names.clone(), &self.state).await?;
        let space = (self.directory.as_path(), &self.state);
        let is_read = |of: &&mut Source| forest.is_none_or(|forest| of.config.domain == *forest);
        let sources: Vec<_> = self.forests.iter_mut().filter(is_read).collect();
        partitions::leave(&self.state, &self.connected, steps).await?;
        if extent == Extent::Full {
            for source in &sources {
                import::read_in_full_next(&self.state, source.partition).await?;
            }
        }
        source::import_all(sources, space, (&reading, run), allowed, steps).await
    }

    /// Asks the tenant for its domains, and notices one that was restored from a backup.
    pub(super) async fn prepare(&mut self, steps: &Steps) -> Result<Domains, Failure> {
        if self.renew_key(false).await? {
            steps.say(None, "replaced this server's key at the tenant by a new one");
        }
        let target = self.connected.target;
        let answer = self.description().await?;
        if let Some(last) = &answer.last_batch
            && let Target::Tenant(tenant) = &mut self.target
            && let Some(count) =
                batches::reconcile(tenant, &self.state, target, last, portolan_net::clock::now())
                    .await?
        {
            let lost = format!(
                "the tenant does not have what it acknowledged, as after a restored backup: it has \
                 {count} objects, and everything is sent again"
            );
            steps.say(None, &lost);
            synchronise::run_in_full_next(&self.state, &self.connected).await?;
        }
        let chart = self.network.chart();
        let reached = format!("signed in to tenant {} by its own key", answer.tenant_id);
        steps.over(chart, flow::CONNECT_TENANT_CRL, "the tenant's certificate is not revoked");
        steps.over(chart, flow::CONNECT_TENANT_SYNC, &reached);
        let named = serde_json::to_vec(&(&answer.initial_domain, &answer.verified_domains))
            .map_err(|error| Failure::because("cannot keep the tenant's domains", &error))?;
        self.state.remember(target, DOMAINS, &named).await?;
        self.domains(&answer).await
    }

    /// What the target says of itself.
    async fn description(&mut self) -> Result<TenantResponse, Failure> {
        let graph = match &mut self.target {
            Target::Tenant(tenant) => return tenant.domains().await,
            Target::Graph(graph) => graph,
        };
        let found = graph.describe().await?;
        if found.tenant_id != self.config.tenant_id.to_string() {
            let text = format!("Graph answers for tenant {}, which is another", found.tenant_id);
            return Err(Failure::new(text).with_hint("correct graph.id in connect.toml"));
        }
        Ok(found)
    }

    /// The domains of the forests and of the tenant, which is asked for its own and for nothing else.
    pub(super) async fn tenant_domains(&mut self) -> Result<Domains, Failure> {
        let answer = self.description().await?;
        self.domains(&answer).await
    }

    /// The domains that flows depend on, as the tenant and the forests name them.
    async fn domains(&self, answer: &TenantResponse) -> Result<Domains, Failure> {
        let forests = self.config.forest_domains();
        let domains = domains(&forests, &answer.initial_domain, &answer.verified_domains)?;
        let netbios = partitions::netbios_names(&self.state, &self.connected).await?;
        Ok(Domains { netbios, ..domains })
    }

    /// Decides about what changed, about everything, or about single objects; about everything, when the
    /// rules or what they depend on changed.
    pub(super) async fn decide(
        &self,
        run: RunId,
        (rules, domains): (&Ruleset, &Domains),
        scope: Scope<'_>,
        steps: &Steps,
    ) -> Result<Synchronised, Failure> {
        let (state, connected) = (&self.state, &self.connected);
        let work = (run, scope);
        let done = synchronise::run(state, rules, connected, domains, work, &Host).await?;
        let Synchronised { objects, changed, references } = done;
        let said = format!(
            "synchronised {objects} objects: {changed} decisions and {references} references changed"
        );
        steps.say(None, &said);
        Ok(done)
    }

    /// Sends what is pending, of a plan what was chosen, unless it takes too much away.
    pub(super) async fn export(
        &mut self,
        rules: &Ruleset,
        allowed: usize,
        chosen: Option<&Chosen>,
        steps: &Steps,
    ) -> Result<Exported, Failure> {
        let quarantine = match self.may_export(allowed, steps).await? {
            Passage::Open(quarantine) => quarantine,
            Passage::Closed(closed) => {
                steps.say(None, &closed.line());
                return Ok(Exported { closed: Some(closed), ..Exported::default() });
            }
        };
        let is_kept = self.target.tenant().is_some_and(|tenant| tenant.takes_read_up_to());
        let read_up_to = match is_kept {
            true => predecessor::read_up_to(&self.state, &self.connected).await?,
            false => None,
        };
        let mut exporter = Exporter {
            target: &mut self.target,
            sending: Sending {
                state: &self.state,
                target: self.connected.target,
                names: &rules.names,
                read_up_to: read_up_to.as_ref(),
                origin: &Host,
            },
            chosen,
            quarantine: &quarantine,
        };
        let mut exported = exporter.run().await?;
        exported.held = quarantine.iter().map(ToString::to_string).collect();
        let Exported { added, updated, deleted, references, refused, .. } = &exported;
        let sent = format!(
            "exported {added} new, {updated} changed, {deleted} deleted, {references} references; {} refused",
            refused.len()
        );
        steps.over(self.network.chart(), flow::CONNECT_TENANT_SYNC, &sent);
        Ok(exported)
    }
}

/// The domains that flows depend on, as the tenant named them last.
pub(super) async fn domains_of(
    state: &State,
    connected: &Connected,
    config: &Config,
) -> Result<Domains, Failure> {
    let named = state.remembered(connected.target, DOMAINS).await?;
    let named =
        named.and_then(|octets| serde_json::from_slice::<(String, Vec<String>)>(&octets).ok());
    let (initial, verified) = named.ok_or_else(|| {
        Failure::new("nothing was synchronised yet").with_hint("run `portolan connect run --once`")
    })?;
    let netbios = partitions::netbios_names(state, connected).await?;
    Ok(Domains { netbios, ..domains(&config.forest_domains(), &initial, &verified)? })
}

/// The domains of forests and of a tenant, as it names them.
pub(super) fn domains(
    forests: &[DnsName],
    initial: &str,
    verified: &[String],
) -> Result<Domains, Failure> {
    let initial = domain(initial)?;
    let mut all = vec![initial.clone()];
    for name in verified {
        all.push(domain(name)?);
    }
    Ok(Domains { forests: forests.to_vec(), initial, verified: all, netbios: BTreeMap::new() })
}

fn domain(name: &str) -> Result<DnsName, Failure> {
    name.parse().map_err(|error| Failure::because("the tenant names a domain that is none", &error))
}
