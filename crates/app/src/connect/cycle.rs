//! One synchronisation of objects: import, plan, export, in this order.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use portolan_chart::flow;
use portolan_model::DnsName;
use portolan_net::Network;
use portolan_net::kerberos::Credential;
use portolan_net::tls::Fingerprint;
use portolan_store::connector_space::ConnectorSpace;
use portolan_sync::Selection;
use portolan_sync::flow::Domains;
use portolan_sync::plan::{Counts, Notes, Planner};
use portolan_tenant::wire::TenantResponse;
use serde::{Deserialize, Serialize};

use super::account::Identity;
use super::batches;
use super::config::{Config, RawConfig};
use super::export::{self, Refused};
use super::forest::Forest;
use super::import::{self, Imported};
use super::key;
use super::secrets::Secrets;
use super::steps::Steps;
use super::tenant_client::{self, Tenant};
use super::walk::{self, Walk};
use crate::report::Failure;

/// What a synchronisation did.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    imported: Imported,
    added: usize,
    updated: usize,
    deleted: usize,
    left_out: usize,
    pub(super) refused: Vec<Refused>,
    pub(super) warnings: Vec<String>,
    pub(super) errors: Vec<String>,
}

/// What a plan came to that was carried out: with the same objects and domains there is nothing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CarriedOut {
    made_of: String,
    warnings: Vec<String>,
    errors: Vec<String>,
}

impl CarriedOut {
    fn new(made_of: String, notes: &Notes) -> Self {
        let warning = |(dn, warning): &(String, _)| format!("{dn}: {warning}");
        let mut warnings: Vec<_> = notes.warnings.iter().map(warning).collect();
        if notes.untold > 0 {
            warnings.push(format!("and {} more notes like these", notes.untold));
        }
        let errors = notes.errors.iter().map(ToString::to_string).collect();
        Self { made_of, warnings, errors }
    }
}

/// Everything that a run works with.
pub(super) struct Server {
    pub(super) config: Config,
    pub(super) network: Network,
    /// With its tickets, which outlast a synchronisation.
    credential: Credential,
    /// Which secret of the account that is.
    secret: Identity,
    pub(super) space: ConnectorSpace,
    pub(super) tenant: Tenant,
    secrets: Secrets,
    state: PathBuf,
    /// The objects in scope, and the generation of objects that they are of.
    selected: Option<(i64, Arc<Selection>)>,
}

impl Server {
    /// Opens a state directory.
    pub(super) async fn open(state: &Path) -> Result<Self, Failure> {
        RawConfig::adopt(state, portolan_net::clock::now())?;
        let config = Config::read(state)?;
        let account = config.account(state)?;
        let secret = account.identity().clone();
        let credential = account.credential(state)?;
        let network = config.reach.network()?;
        let space = ConnectorSpace::open(&state.join("connector-space.db")).await?;
        let client = tenant_client::client(&network, Fingerprint::new(config.ca_sha256));
        let secrets = Secrets::open(state)?;
        let key = key::current(&secrets, config.client_id)?;
        let tenant = Tenant::new(client, &config, key)?;
        let (state, selected) = (state.to_owned(), None);
        Ok(Self { config, network, credential, secret, space, tenant, secrets, state, selected })
    }

    /// Reads the account's secret anew. If it is another one, or the mark of its refusal was taken away,
    /// it is used from now on.
    ///
    /// # Errors
    /// When it does not read, or was refused.
    pub(super) fn renew_secret(&mut self) -> Result<(), Failure> {
        let account = Config::read(&self.state)?.account(&self.state)?;
        let secret = account.identity().clone();
        if secret != self.secret || self.is_refused() {
            self.credential = account.credential(&self.state)?;
            self.secret = secret;
        }
        Ok(())
    }

    /// Whether the directory refused the account with the secret in use.
    pub(super) fn is_refused(&self) -> bool {
        self.credential.refusal().is_some()
    }

    /// Replaces this server's key when it is time, or in any case when it is told to.
    pub(super) async fn renew_key(&mut self, in_any_case: bool) -> Result<bool, Failure> {
        let (client_id, now) = (self.config.client_id, portolan_net::clock::now());
        // A command may have replaced it since.
        self.secrets = Secrets::open(&self.state)?;
        self.tenant.use_key(key::current(&self.secrets, client_id)?);
        if !in_any_case && !key::is_due(&self.secrets, client_id, now) {
            return Ok(false);
        }
        let key = key::replace(&mut self.secrets, client_id, &mut self.tenant, now).await?;
        self.tenant.use_key(key);
        Ok(true)
    }

    /// The name of the key by which this server proves itself.
    pub(super) fn key_id(&self) -> Result<String, Failure> {
        Ok(key::current(&self.secrets, self.config.client_id)?.kid().to_owned())
    }

    /// The forest, found anew, by the account with the secret that it has now.
    pub(super) async fn forest(&mut self, steps: &Steps) -> Result<Forest, Failure> {
        self.renew_secret()?;
        let domain = &self.config.forest_domain;
        let forest = Forest::find(&self.network, domain, self.credential.clone(), steps).await?;
        Ok(forest.over(self.config.reach.channel(&self.network)))
    }

    /// Reads the forest, and says how long that took once the account was bound. `allowed` objects of a
    /// kind may be missing, above what goes without a word.
    pub(super) async fn import(
        &mut self,
        allowed: usize,
        steps: &Steps,
    ) -> Result<(Imported, Duration), Failure> {
        let domain = self.config.forest_domain.clone();
        let forest = self.forest(steps).await?;
        let mut connection = forest.ldap(steps).await?;
        let begun = portolan_net::clock::monotonic();
        let mut failed = Vec::new();
        let imported = loop {
            let read = import::read(&mut connection, &domain, &self.space, allowed).await;
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
        let took = portolan_net::clock::monotonic().duration_since(begun);
        // The import is whole: how the controller takes the goodbye changes nothing.
        let _ = connection.close().await;
        for note in &imported.notes {
            steps.say(None, &format!("note: {note}"));
        }
        steps.over(self.network.chart(), flow::CONNECT_AD_LDAP, &imported.summary());
        Ok((imported, took))
    }

    /// Finds out what a plan is made of: the objects in scope, and the domains.
    pub(super) async fn prepare(&mut self, steps: &Steps) -> Result<Prepared, Failure> {
        if self.renew_key(false).await? {
            steps.say(None, "replaced this server's key at the tenant by a new one");
        }
        let answer = self.tenant.domains().await?;
        if let Some(last) = &answer.last_batch
            && let Some(count) = batches::reconcile(&mut self.tenant, &self.space, last).await?
        {
            let lost = format!(
                "the tenant does not have what it acknowledged, as after a restored backup: it has \
                 {count} objects, and everything is sent again"
            );
            steps.say(None, &lost);
        }
        let chart = self.network.chart();
        let reached = format!("signed in to tenant {} by its own key", answer.tenant_id);
        steps.over(chart, flow::CONNECT_TENANT_CRL, "the tenant's certificate is not revoked");
        steps.over(chart, flow::CONNECT_TENANT_SYNC, &reached);
        let domains = self.domains(&answer)?;
        let generation = self.space.generation().await?;
        let selection = match &self.selected {
            Some((of, selection)) if *of == generation => Arc::clone(selection),
            _ => Arc::new(walk::select(&self.space).await?),
        };
        self.selected = Some((generation, Arc::clone(&selection)));
        let made_of = format!("{} {generation} {domains:?}", env!("CARGO_PKG_VERSION"));
        Ok(Prepared { selection, domains, made_of })
    }

    /// The domains of the forest and of the tenant, which is asked for its own.
    pub(super) async fn tenant_domains(&mut self) -> Result<Domains, Failure> {
        let answer = self.tenant.domains().await?;
        self.domains(&answer)
    }

    fn domains(&self, answer: &TenantResponse) -> Result<Domains, Failure> {
        let initial = domain(&answer.initial_domain)?;
        let mut verified = vec![initial.clone()];
        for name in &answer.verified_domains {
            verified.push(domain(name)?);
        }
        Ok(Domains { forest: self.config.forest_domain.clone(), initial, verified })
    }

    /// Carries the plan out, unless that was done with the same objects and domains.
    async fn export(
        &mut self,
        prepared: &Prepared,
        allowed: usize,
    ) -> Result<(Counts, Vec<Refused>, CarriedOut), Failure> {
        let planned = self.space.planned().await?;
        let before = planned.and_then(|octets| serde_json::from_slice::<CarriedOut>(&octets).ok());
        if let Some(before) = before.filter(|before| before.made_of == prepared.made_of) {
            return Ok((Counts::default(), Vec::new(), before));
        }
        let mut walk = Walk::begin(&self.space, prepared.planner()).await?;
        walk.losses().check_export(allowed).map_err(|error| Failure::from(error).lasting())?;
        self.space.fix_anchors(prepared.selection.new_anchors()).await?;
        let refused = export::changes(&mut self.tenant, &self.space, &mut walk).await?;
        let done = CarriedOut::new(prepared.made_of.clone(), &walk.notes);
        if refused.is_empty() {
            let octets = serde_json::to_vec(&done)
                .map_err(|error| Failure::because("cannot write what was planned", &error))?;
            self.space.commit_planned(&octets).await?;
        }
        Ok((walk.counts, refused, done))
    }

    /// One whole synchronisation; what it planned says whose passwords are replicated.
    pub(super) async fn synchronise(
        &mut self,
        allowed: usize,
        steps: &Steps,
    ) -> Result<(Summary, Arc<Selection>), Failure> {
        let (imported, _) = self.import(allowed, steps).await?;
        let prepared = self.prepare(steps).await?;
        let (counts, refused, CarriedOut { warnings, errors, .. }) =
            self.export(&prepared, allowed).await?;
        let Counts { added, updated, deleted } = counts;
        let sent = format!(
            "exported {added} new, {updated} changed, {deleted} deleted; {} refused",
            refused.len()
        );
        steps.over(self.network.chart(), flow::CONNECT_TENANT_SYNC, &sent);

        let left_out = prepared.selection.left_out().values().sum();
        let summary =
            Summary { imported, added, updated, deleted, left_out, refused, warnings, errors };
        Ok((summary, prepared.selection))
    }
}

/// What a plan is made of.
pub(super) struct Prepared {
    pub(super) selection: Arc<Selection>,
    domains: Domains,
    /// The release, the generation of objects and the domains: what, if it is the same again, makes
    /// the same plan.
    made_of: String,
}

impl Prepared {
    /// The plan itself.
    pub(super) fn planner(&self) -> Planner<'_> {
        Planner { selection: &self.selection, domains: &self.domains }
    }
}

fn domain(name: &str) -> Result<DnsName, Failure> {
    name.parse().map_err(|error| Failure::because("the tenant names a domain that is none", &error))
}
