//! Becoming an application of the target: of a tenant of ours by an enrolment file, or of Microsoft Graph,
//! where an administrator made the application and gives its key.

use std::path::{Path, PathBuf};

use portolan_chart::{Chart, flow};
use portolan_model::{DnsName, Guid};
use portolan_net::Network;
use portolan_net::tls::{Fingerprint, Roots};
use portolan_sync::target::TargetSystem;
use portolan_tenant::wire::EnrolmentFile;
use zeroize::Zeroizing;

use super::config::{RawConfig, parse_fingerprint};
use super::reach::roots;
use super::secrets::{Secrets, client_key, next_client_key};
use super::steps::Steps;
use super::target::graph::{self, Address, Graph};
use super::target::proof::{self, Proof};
use super::target_config::{RawGraph, RawTenant};
use super::tenant_client::Predecessor;
use super::{key, tenant_client};
use crate::report::Failure;

/// Which target: an enrolment file of a tenant of ours, or where a Graph is and as whom.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct TargetArguments {
    /// The file that `portolan tenant enrol` wrote; it works once, within an hour
    #[arg(long, value_name = "FILE", required_unless_present = "graph", conflicts_with = "graph")]
    enrol: Option<PathBuf>,
    /// Export to the Microsoft Graph at this host, as in graph.microsoft.com, and to no tenant of ours
    #[arg(long, value_name = "HOST", requires_all = ["login", "tenant_id", "client_id", "key"])]
    graph: Option<DnsName>,
    /// The host of Graph's token endpoint, as in login.microsoftonline.com
    #[arg(long, value_name = "HOST", requires = "graph")]
    login: Option<DnsName>,
    /// The id of Graph's tenant
    #[arg(long, value_name = "ID", requires = "graph")]
    tenant_id: Option<Guid>,
    /// The id of the application that this server is there
    #[arg(long, value_name = "ID", requires = "graph")]
    client_id: Option<Guid>,
    /// The application's private key as PEM (PKCS#8; RSA or P-256); its owner alone may read it, and it
    /// may go afterwards
    #[arg(long, value_name = "FILE", requires = "graph")]
    key: Option<PathBuf>,
    /// The certificate of the key as PEM, where the endpoint knows the key by it, as Entra ID does
    #[arg(long, value_name = "FILE", requires = "graph")]
    certificate: Option<PathBuf>,
    /// The certification authorities of both hosts, as PEM [default: those that this system believes]
    #[arg(long, value_name = "FILE", requires = "graph")]
    graph_ca: Option<PathBuf>,
}

/// A target that is to be joined.
pub(super) enum Joining {
    /// A tenant of ours.
    Tenant(EnrolmentFile),
    /// A Graph.
    Graph(Box<GraphPlace>),
}

/// Where a Graph is, and who asks.
pub(super) struct GraphPlace {
    graph: DnsName,
    login: DnsName,
    tenant_id: String,
    client_id: Guid,
    private: Zeroizing<Vec<u8>>,
    certificate: Option<Fingerprint>,
    ca_file: Option<PathBuf>,
}

/// What came of it: what the file is to say of the target, and the key that is to be sealed.
pub(super) struct Joined {
    pub(super) client_id: Guid,
    pub(super) private: Zeroizing<Vec<u8>>,
    pub(super) tenant: Option<RawTenant>,
    pub(super) graph: Option<RawGraph>,
    /// Whether this server goes on as the application that it was.
    pub(super) succeeds: bool,
}

impl TargetArguments {
    /// A tenant of ours, by its enrolment file.
    #[cfg(test)]
    pub(super) fn enrolment(file: &str) -> Self {
        Self { enrol: Some(file.into()), ..Self::default() }
    }

    /// Reads the files that it names.
    pub(super) fn read(&self) -> Result<Joining, Failure> {
        if let Some(path) = &self.enrol {
            return read_enrolment(path).map(Joining::Tenant);
        }
        let lacking =
            || Failure::new("--graph, --login, --tenant-id, --client-id and --key go together");
        let place =
            GraphPlace {
                graph: self.graph.clone().ok_or_else(lacking)?,
                login: self.login.clone().ok_or_else(lacking)?,
                tenant_id: self.tenant_id.ok_or_else(lacking)?.to_string(),
                client_id: self.client_id.ok_or_else(lacking)?,
                private: key::read_file(self.key.as_deref().ok_or_else(lacking)?)?,
                certificate: self.certificate.as_deref().map(proof::certificate).transpose()?,
                ca_file: self.graph_ca.as_deref().map(std::path::absolute).transpose().map_err(
                    |error| Failure::because("cannot use the file of --graph-ca", &error),
                )?,
            };
        Ok(Joining::Graph(Box::new(place)))
    }
}

impl Joining {
    /// What the target is, and the id of its tenant.
    pub(super) fn target(&self) -> (TargetSystem, &str) {
        match self {
            Self::Tenant(file) => (TargetSystem::Tenant, &file.tenant_id),
            Self::Graph(place) => (TargetSystem::Graph, &place.tenant_id),
        }
    }

    /// Proves this server to the target.
    pub(super) async fn join(
        self,
        network: &Network,
        secrets: &Secrets,
        earlier: Option<&RawConfig>,
        steps: &Steps,
    ) -> Result<Joined, Failure> {
        match self {
            Self::Tenant(file) => enrol(file, network, secrets, earlier, steps).await,
            Self::Graph(place) => sign_in(*place, network, steps).await,
        }
    }
}

async fn enrol(
    file: EnrolmentFile,
    network: &Network,
    secrets: &Secrets,
    earlier: Option<&RawConfig>,
    steps: &Steps,
) -> Result<Joined, Failure> {
    let (key, private) = key::make()?;
    let ca = parse_fingerprint(&file.ca_sha256).map_err(Failure::new)?;
    let client = tenant_client::client(network, Fingerprint::new(ca));
    let was = earlier.and_then(|earlier| predecessor(secrets, earlier));
    let enrolled = tenant_client::enrol(&client, &file, &key, was.as_ref()).await?;
    let done = format!(
        "enrolled as application {} of tenant {}",
        enrolled.client_id, enrolled.tenant.tenant_id
    );
    tell(steps, network.chart(), &done);
    let client_id = enrolled.client_id.parse().map_err(|error| {
        Failure::because("the tenant names an application that is none", &error)
    })?;
    let tenant = RawTenant {
        id: enrolled.tenant.tenant_id,
        domain: enrolled.tenant.initial_domain,
        ca_sha256: file.ca_sha256,
        client_id: enrolled.client_id,
        key_file: None,
        proxy: None,
        proxy_credentials_file: None,
    };
    let succeeds = enrolled.replaced.is_some();
    Ok(Joined { client_id, private, tenant: Some(tenant), graph: None, succeeds })
}

async fn sign_in(place: GraphPlace, network: &Network, steps: &Steps) -> Result<Joined, Failure> {
    let GraphPlace { graph, login, tenant_id, client_id, private, certificate, ca_file } = place;
    let found = ca_file.as_deref().map_or_else(|| Ok(Roots::of_system()), roots);
    let client = graph::client(network, found.map_err(Failure::new)?);
    let address = Address {
        graph: graph.clone(),
        login: login.clone(),
        tenant: tenant_id.clone(),
        client_id: client_id.to_string(),
        restores_deleted: false,
    };
    let proof = Proof::new(key::parse(&private)?, certificate);
    let organization = Graph::new(client, address, proof).organization().await?;
    if organization.id != tenant_id {
        let text = format!("{graph} answers for tenant {}, and not {tenant_id}", organization.id);
        return Err(Failure::new(text));
    }
    let done = format!("signed in to Graph as application {client_id} of tenant {tenant_id}");
    tell(steps, network.chart(), &done);
    let raw = RawGraph {
        id: tenant_id,
        domain: organization.initial.to_string(),
        client_id: client_id.to_string(),
        graph: graph.to_string(),
        login: login.to_string(),
        certificate_sha256: certificate.map(|certificate| certificate.to_string()),
        ca_file,
        restore_deleted: true,
        proxy: None,
        proxy_credentials_file: None,
    };
    Ok(Joined { client_id, private, tenant: None, graph: Some(raw), succeeds: false })
}

fn tell(steps: &Steps, chart: &Chart, done: &str) {
    steps.over(chart, flow::CONNECT_TENANT_CRL, "the tenant's certificate is not revoked");
    steps.over(chart, flow::CONNECT_TENANT_SYNC, done);
}

/// The application that this server was, with the key in use and the one that was to take its place.
fn predecessor(secrets: &Secrets, earlier: &RawConfig) -> Option<Predecessor> {
    let tenant = earlier.tenant.as_ref()?;
    let id: Guid = tenant.client_id.parse().ok()?;
    let of_file = tenant.key_file.as_deref().and_then(|path| key::read_file(path).ok());
    let sealed = [client_key(id), next_client_key(id)];
    let sealed = sealed.iter().filter_map(|name| secrets.get(name).ok().flatten());
    let keys = of_file.into_iter().chain(sealed).filter_map(|private| key::parse(&private).ok());
    let keys: Vec<_> = keys.collect();
    (!keys.is_empty()).then_some(Predecessor { client_id: id.to_string(), keys })
}

/// Octets of the file that `tenant enrol` writes.
const ENROLMENT_OCTETS_MAX: u64 = 1024 * 1024;

fn read_enrolment(path: &Path) -> Result<EnrolmentFile, Failure> {
    let doing = format!("cannot read the enrolment file {}", path.display());
    let hint = "make one with `portolan tenant enrol` on the tenant";
    let text = crate::files::read_text_at_most(path, ENROLMENT_OCTETS_MAX)
        .map_err(|error| Failure::because(&doing, &error).with_hint(hint))?;
    serde_json::from_str(&text).map_err(|error| Failure::because(&doing, &error).with_hint(hint))
}
