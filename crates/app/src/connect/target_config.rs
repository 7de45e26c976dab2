//! What `connect.toml` says of the target: `[tenant]`, a tenant of ours, or else `[graph]`, Microsoft Graph.

use std::path::PathBuf;

use portolan_model::{DnsName, Guid};
use portolan_net::tls::{Fingerprint, Roots};
use portolan_sync::target::TargetSystem;
use serde::{Deserialize, Serialize};

use super::config::{keep, parse_fingerprint};
use super::reach::roots;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTenant {
    /// The tenant's id.
    pub(super) id: String,
    /// The tenant's initial domain: its hosts are login, graph and sync below it.
    pub(super) domain: String,
    /// SHA-256 of the tenant's CA certificate, in hexadecimal.
    pub ca_sha256: String,
    /// This server's application id in the tenant.
    pub(super) client_id: String,
    /// Where this server's private key was in the first release. It is sealed now, and this is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key_file: Option<PathBuf>,
    /// The web proxy by which the tenant is reached: `http://host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) proxy: Option<String>,
    /// The file with name:password for the proxy, readable by its owner alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) proxy_credentials_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGraph {
    /// The tenant's id.
    pub(super) id: String,
    /// The domain that the tenant began with, as in contoso.onmicrosoft.com.
    pub(super) domain: String,
    /// The id of the application that this server is there. Its private key is sealed in the state
    /// directory.
    pub(super) client_id: String,
    /// The host of Graph, as in graph.microsoft.com.
    pub(super) graph: String,
    /// The host of the token endpoint, as in login.microsoftonline.com.
    pub(super) login: String,
    /// SHA-256 of the certificate by which the endpoint knows the key, in hexadecimal; without it, the key
    /// is known by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) certificate_sha256: Option<String>,
    /// The authorities of both hosts, as PEM; without it, those that the system believes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ca_file: Option<PathBuf>,
    /// Whether a user who comes back within 30 days of the deletion is taken out of Graph's recycle bin, with what
    /// they had there, and not refused.
    #[serde(default = "is_restored", skip_serializing_if = "is_default")]
    pub(super) restore_deleted: bool,
    /// The web proxy by which both are reached: `http://host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) proxy: Option<String>,
    /// The file with name:password for the proxy, readable by its owner alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) proxy_credentials_file: Option<PathBuf>,
}

/// The target, checked.
#[derive(Debug)]
pub(super) struct TargetConfig {
    pub(super) tenant_id: Guid,
    pub(super) tenant_domain: DnsName,
    pub(super) client_id: Guid,
    pub(super) system: SystemConfig,
}

/// How a target is reached, by what it is.
#[derive(Debug, Clone)]
pub(super) enum SystemConfig {
    /// A tenant of ours, by the fingerprint of its CA.
    Tenant {
        /// SHA-256 of the CA's certificate.
        ca_sha256: [u8; 32],
    },
    /// Microsoft Graph.
    Graph(GraphConfig),
}

/// Where a Graph is.
#[derive(Debug, Clone)]
pub(super) struct GraphConfig {
    /// The host of Graph.
    pub(super) graph: DnsName,
    /// The host of the token endpoint.
    pub(super) login: DnsName,
    /// The certificate by which the endpoint knows this server's key.
    pub(super) certificate: Option<Fingerprint>,
    /// The authorities of both hosts.
    pub(super) roots: Roots,
    /// Whether users who come back are taken out of the recycle bin.
    pub(super) restores_deleted: bool,
}

/// What is done with users in the recycle bin unless it is said.
const fn is_restored() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives the field so")]
const fn is_default(restores: &bool) -> bool {
    *restores == is_restored()
}

impl SystemConfig {
    /// What kind of system it is.
    pub(super) const fn kind(&self) -> TargetSystem {
        match self {
            Self::Tenant { .. } => TargetSystem::Tenant,
            Self::Graph(_) => TargetSystem::Graph,
        }
    }
}

/// Checks the target, and puts what is wrong with it beside the other problems.
pub(super) fn check(
    tenant: Option<&RawTenant>,
    graph: Option<&RawGraph>,
    problems: &mut Vec<String>,
) -> Option<TargetConfig> {
    match (tenant, graph) {
        (Some(tenant), None) => of_tenant(tenant, problems),
        (None, Some(graph)) => of_graph(graph, problems),
        (None, None) => {
            problems.push("tenant: a target is needed: [tenant] or [graph]".to_owned());
            None
        }
        (Some(_), Some(_)) => {
            problems.push("graph: there is one target: [tenant] or [graph]".to_owned());
            None
        }
    }
}

fn of_tenant(raw: &RawTenant, problems: &mut Vec<String>) -> Option<TargetConfig> {
    let tenant_id = keep(problems, "tenant.id", raw.id.parse());
    let tenant_domain = keep(problems, "tenant.domain", raw.domain.parse());
    let client_id = keep(problems, "tenant.client_id", raw.client_id.parse());
    let ca_sha256 = keep(problems, "tenant.ca_sha256", parse_fingerprint(&raw.ca_sha256))?;
    let system = SystemConfig::Tenant { ca_sha256 };
    Some(TargetConfig {
        tenant_id: tenant_id?,
        tenant_domain: tenant_domain?,
        client_id: client_id?,
        system,
    })
}

fn of_graph(raw: &RawGraph, problems: &mut Vec<String>) -> Option<TargetConfig> {
    let tenant_id = keep(problems, "graph.id", raw.id.parse());
    let tenant_domain = keep(problems, "graph.domain", raw.domain.parse());
    let client_id = keep(problems, "graph.client_id", raw.client_id.parse());
    let graph = keep(problems, "graph.graph", raw.graph.parse());
    let login = keep(problems, "graph.login", raw.login.parse());
    let certificate = raw.certificate_sha256.as_deref().map(parse_fingerprint).transpose();
    let certificate = keep(problems, "graph.certificate_sha256", certificate);
    let found = raw.ca_file.as_deref().map_or_else(|| Ok(Roots::of_system()), roots);
    let roots = keep(problems, "graph.ca_file", found);
    let system = SystemConfig::Graph(GraphConfig {
        graph: graph?,
        login: login?,
        certificate: certificate?.map(Fingerprint::new),
        roots: roots?,
        restores_deleted: raw.restore_deleted,
    });
    Some(TargetConfig {
        tenant_id: tenant_id?,
        tenant_domain: tenant_domain?,
        client_id: client_id?,
        system,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "id = \"6f1d0b6a-54a5-4f0e-8a0a-0f53e3f2a001\"\ndomain = \"cloud.example\"\n\
        ca_sha256 = \"00\"\nclient_id = \"6f1d0b6a-54a5-4f0e-8a0a-0f53e3f2a002\"\n";
    const GRAPH: &str = "id = \"6f1d0b6a-54a5-4f0e-8a0a-0f53e3f2a001\"\ndomain = \"cloud.example\"\n\
        client_id = \"6f1d0b6a-54a5-4f0e-8a0a-0f53e3f2a002\"\ngraph = \"graph.cloud.example\"\n\
        login = \"login.cloud.example\"\n";

    #[test]
    fn there_is_one_target_and_what_is_wrong_with_it_is_named() {
        let tenant: RawTenant =
            toml::from_str(&TENANT.replace("\"00\"", &format!("\"{}\"", "0".repeat(64)))).unwrap();
        let graph: RawGraph = toml::from_str(GRAPH).unwrap();
        let check = |tenant: Option<&RawTenant>, graph: Option<&RawGraph>| {
            let mut problems = Vec::new();
            let kind = check(tenant, graph, &mut problems).map(|found| found.system.kind());
            (kind, problems.iter().map(|text| text.split(':').next().unwrap().to_owned()).collect())
        };
        let none: Vec<String> = Vec::new();
        assert_eq!(check(Some(&tenant), None), (Some(TargetSystem::Tenant), none.clone()));
        assert_eq!(check(None, Some(&graph)), (Some(TargetSystem::Graph), none));
        assert_eq!(check(Some(&tenant), Some(&graph)), (None, vec!["graph".to_owned()]));
        assert_eq!(check(None, None), (None, vec!["tenant".to_owned()]));
        let broken = RawGraph {
            login: "not a host".to_owned(),
            certificate_sha256: Some("12".to_owned()),
            ..graph
        };
        let wrong = ["graph.login", "graph.certificate_sha256"].map(str::to_owned).to_vec();
        assert_eq!(check(None, Some(&broken)), (None, wrong));
        assert!(toml::from_str::<RawTenant>(&format!("{TENANT}port = 1")).is_err());
        let mut asked: RawGraph = toml::from_str(GRAPH).unwrap();
        assert!(asked.restore_deleted && !toml::to_string(&asked).unwrap().contains("restore"));
        asked.restore_deleted = false;
        let again: RawGraph = toml::from_str(&toml::to_string(&asked).unwrap()).unwrap();
        assert!(!again.restore_deleted, "what was said is written");
    }
}
