//! What every writeback reads: the tenant by Graph, the state's objects of a forest, what the account may make.

use std::path::{Path, PathBuf};

use portolan_ldap::{Filter, Scope, SearchRequest};
use portolan_model::Guid;
use portolan_net::Network;
use portolan_net::ldap::LdapConnection;
use portolan_net::tls::Fingerprint;
use portolan_store::state::State;
use portolan_sync::engine::{ConnectorId, ObjectKey, Staged};

use super::OBJECTS_AT_ONCE;
use crate::connect::config::Config;
use crate::connect::secrets::Secrets;
use crate::connect::target::graph::{Address, Graph};
use crate::connect::target::proof::Proof;
use crate::connect::target_config::SystemConfig;
use crate::connect::{key, tenant_client};
use crate::report::Failure;

/// What says which classes of object the account may make below one, worked out by the directory for
/// whoever asks ([MS-ADTS] 3.1.1.4.5.17, allowedChildClassesEffective).
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
const MAY_MAKE: &str = "allowedChildClassesEffective";

/// By which application a tenant of ours is read.
#[derive(Debug, clap::Args)]
pub(super) struct ReaderArguments {
    /// The application that reads a tenant of ours by Graph
    #[arg(long, value_name = "ID", requires = "reader_key")]
    reader: Option<Guid>,
    /// Its private key as PEM (PKCS#8; RSA or P-256); its owner alone may read it
    #[arg(long, value_name = "FILE", requires = "reader")]
    reader_key: Option<PathBuf>,
}

impl ReaderArguments {
    /// The tenant as it is read by Graph: the target, or a tenant of ours for an application that may, by
    /// this permission and the one to read users.
    pub(super) fn graph(
        self,
        config: &Config,
        network: &Network,
        directory: &Path,
        permission: &str,
    ) -> Result<Graph, Failure> {
        match (&config.system, self.reader.zip(self.reader_key)) {
            (SystemConfig::Graph(place), _) => {
                let key = key::current(&Secrets::open(directory)?, config.client_id)?;
                Ok(Graph::configured(network, config, place, key))
            }
            (SystemConfig::Tenant { ca_sha256 }, Some((reader, file))) => {
                let domain = &config.tenant_domain;
                let host = |site: &str| {
                    let name = format!("{site}.{domain}");
                    name.parse().map_err(|error| Failure::because("the tenant's host", &error))
                };
                let address = Address {
                    graph: host("graph")?,
                    login: host("login")?,
                    tenant: config.tenant_id.to_string(),
                    client_id: reader.to_string(),
                    restores_deleted: false,
                };
                let client = tenant_client::client(network, Fingerprint::new(*ca_sha256));
                Ok(Graph::new(client, address, Proof::read(&file, None)?))
            }
            (SystemConfig::Tenant { .. }, None) => Err(Failure::new(
                "this server may not read what the tenant alone has",
            )
            .with_hint(format!(
                "make an application by `portolan tenant app add` with {permission} and \
                         User.Read.All, and name it by --reader and --reader-key"
            ))),
        }
    }
}

/// Takes every object that was imported from a forest.
pub(super) async fn for_each_of(
    state: &State,
    forest: ConnectorId,
    mut take: impl FnMut(Staged),
) -> Result<(), Failure> {
    let mut after = ObjectKey(0);
    loop {
        let batch = state.staged_objects(after, OBJECTS_AT_ONCE).await?;
        let Some(last) = batch.last() else { return Ok(()) };
        after = last.key;
        batch.into_iter().filter(|object| object.connector == forest).for_each(&mut take);
    }
}

/// Whether the account may make objects of a class below one.
pub(super) async fn may_make(
    directory: &mut LdapConnection,
    above: &str,
    class: &str,
) -> Result<bool, Failure> {
    let request = SearchRequest::new(above, Scope::Base, Filter::And(vec![])).select([MAY_MAKE]);
    let mut found = directory.search(request, Vec::new()).await?;
    let entry = found.next().await?;
    let class = class.as_bytes();
    let is_class = |name: &[u8]| name.eq_ignore_ascii_case(class);
    Ok(entry.is_some_and(|entry| entry.all(MAY_MAKE).any(is_class)))
}
