//! One synchronisation of objects: import, plan, export, in this order.

use std::collections::BTreeMap;
use std::path::Path;

use portolan_chart::flow;
use portolan_model::{DnsName, SecretString, SourceAnchor};
use portolan_net::Network;
use portolan_net::tls::Fingerprint;
use portolan_store::connector_space::ConnectorSpace;
use portolan_sync::flow::TenantObject;
use portolan_sync::plan::{Input, Plan};
use portolan_tenant::wire::TenantResponse;
use serde::Serialize;

use super::config::Config;
use super::export::{self, Refused};
use super::forest::{self, Forest};
use super::import::{self, Imported};
use super::steps::Steps;
use super::tenant_client::{self, Tenant};
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

/// Everything that a run works with.
pub(super) struct Server {
    pub(super) config: Config,
    pub(super) network: Network,
    pub(super) space: ConnectorSpace,
    pub(super) tenant: Tenant,
}

impl Server {
    /// Opens a state directory.
    pub(super) async fn open(state: &Path) -> Result<Self, Failure> {
        let config = Config::read(state)?;
        let network = forest::network(&config.edition)?;
        let space = ConnectorSpace::open(&state.join("connector-space.db")).await?;
        let client = tenant_client::client(&network, Fingerprint::new(config.ca_sha256));
        let key = super::key::read(&config.key_file)?;
        let tenant = Tenant::new(client, &config, key)?;
        Ok(Self { config, network, space, tenant })
    }

    /// The password as the run's own copy, wiped with it.
    fn password(&self) -> SecretString {
        self.config.password.clone()
    }

    /// The forest, found anew.
    pub(super) async fn forest(&self, steps: &Steps) -> Result<Forest, Failure> {
        let Config { forest_domain, account, .. } = &self.config;
        Forest::find(&self.network, forest_domain, account, self.password(), steps).await
    }

    /// Reads the forest, and plans what the tenant lacks.
    pub(super) async fn prepare(&mut self, steps: &Steps) -> Result<(Imported, Planned), Failure> {
        let domain = self.config.forest_domain.clone();
        let forest = self.forest(steps).await?;
        let mut connection = forest.ldap(steps).await?;
        let imported = import::full(&mut connection, &domain, &self.space).await?;
        // The import is whole: how the controller takes the goodbye changes nothing.
        let _ = connection.close().await;
        let chart = self.network.chart();
        let read = format!(
            "imported {} users, {} groups with {} members, {} organizational units",
            imported.users, imported.groups, imported.members, imported.organizational_units
        );
        steps.over(chart, flow::CONNECT_AD_LDAP, &read);

        let domains = self.tenant.domains().await?;
        let chart = self.network.chart();
        let reached = format!("signed in to tenant {} by its own key", domains.tenant_id);
        steps.over(chart, flow::CONNECT_TENANT_CRL, "the tenant's certificate is not revoked");
        steps.over(chart, flow::CONNECT_TENANT_SYNC, &reached);
        let planned = self.plan(&domains).await?;
        Ok((imported, planned))
    }

    async fn plan(&self, domains: &TenantResponse) -> Result<Planned, Failure> {
        let objects = self.space.objects().await?;
        let fixed_anchors = self.space.anchors().await?;
        let exported = self.space.exported().await?;
        let initial_domain = domain(&domains.initial_domain)?;
        let mut verified = vec![initial_domain.clone()];
        for name in &domains.verified_domains {
            verified.push(domain(name)?);
        }
        let plan = Plan::compute(&Input {
            objects: &objects,
            fixed_anchors: &fixed_anchors,
            exported: &exported,
            forest_domain: &self.config.forest_domain,
            initial_domain: &initial_domain,
            verified_domains: &verified,
        });
        Ok(Planned { plan, exported })
    }

    /// One whole synchronisation; what it planned says whose passwords are replicated.
    pub(super) async fn synchronise(
        &mut self,
        allowed: usize,
        steps: &Steps,
    ) -> Result<(Summary, Plan), Failure> {
        let (imported, Planned { plan, exported }) = self.prepare(steps).await?;
        plan.check_deletions(&exported, allowed).map_err(|error| Failure::from(error).lasting())?;
        self.space.fix_anchors(&plan.anchors).await?;
        let refused = export::changes(&mut self.tenant, &self.space, &plan.changes).await?;
        let (added, updated, deleted) = plan.counts();
        let sent = format!(
            "exported {added} new, {updated} changed, {deleted} deleted; {} refused",
            refused.len()
        );
        steps.over(self.network.chart(), flow::CONNECT_TENANT_SYNC, &sent);

        let summary = Summary {
            imported,
            added,
            updated,
            deleted,
            left_out: plan.left_out.values().sum(),
            refused,
            warnings: plan
                .warnings
                .iter()
                .map(|(dn, warning)| format!("{dn}: {warning}"))
                .collect(),
            errors: plan.errors.iter().map(ToString::to_string).collect(),
        };
        Ok((summary, plan))
    }
}

/// What the tenant acknowledged, by anchor.
pub(super) type Exported = BTreeMap<SourceAnchor, TenantObject>;

/// A plan, and what it was held against.
pub(super) struct Planned {
    pub(super) plan: Plan,
    pub(super) exported: Exported,
}

fn domain(name: &str) -> Result<DnsName, Failure> {
    name.parse().map_err(|error| Failure::because("the tenant names a domain that is none", &error))
}
