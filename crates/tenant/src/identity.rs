//! Who the tenant is: its id, its domains, and the addresses that follow from them.

use portolan_model::{DnsName, Guid};

/// The names that stand for "whichever tenant the person belongs to"; there is one here.
const ANY_TENANT: [&str; 2] = ["common", "organizations"];

/// A tenant. Everything it listens under is a host below its initial domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// The tenant's id.
    pub id: Guid,
    /// The initial domain, `cloud.example`: hosts are named below it.
    pub domain: DnsName,
    /// The other domains whose names may sign in here.
    pub verified_domains: Vec<DnsName>,
}

impl Tenant {
    /// The host that people and applications sign in at.
    #[must_use]
    pub fn login_host(&self) -> String {
        format!("login.{}", self.domain)
    }

    /// The host of Microsoft Graph's shape.
    #[must_use]
    pub fn graph_host(&self) -> String {
        format!("graph.{}", self.domain)
    }

    /// The host that the sync server sends to.
    #[must_use]
    pub fn sync_host(&self) -> String {
        format!("sync.{}", self.domain)
    }

    /// The host that serves the revocation list.
    #[must_use]
    pub fn crl_host(&self) -> String {
        format!("crl.{}", self.domain)
    }

    /// The hosts that the server certificate names.
    #[must_use]
    pub fn hosts(&self) -> [String; 4] {
        [self.login_host(), self.graph_host(), self.sync_host(), self.crl_host()]
    }

    /// `https://login.<domain>/<tenant>`.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("https://{}/{}", self.login_host(), self.id)
    }

    /// What the tenant's tokens name as their issuer.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("{}/v2.0", self.authority())
    }

    /// Where grants are exchanged for tokens.
    #[must_use]
    pub fn token_endpoint(&self) -> String {
        format!("{}/oauth2/v2.0/token", self.authority())
    }

    /// Whether a path segment names this tenant: its id, one of its domains, or a word for any.
    #[must_use]
    pub fn answers_to(&self, name: &str) -> bool {
        ANY_TENANT.contains(&name)
            || name.parse::<Guid>().is_ok_and(|id| id == self.id)
            || name.parse::<DnsName>().is_ok_and(|domain| self.owns(&domain))
    }

    /// Whether names of this domain sign in here.
    #[must_use]
    pub fn owns(&self, domain: &DnsName) -> bool {
        self.domain == *domain || self.verified_domains.contains(domain)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn tenant() -> Tenant {
        Tenant {
            id: "11111111-2222-4333-8444-555555555555".parse().unwrap(),
            domain: "cloud.example".parse().unwrap(),
            verified_domains: vec!["corp.example".parse().unwrap()],
        }
    }

    #[test]
    fn a_tenant_answers_to_its_own_names_only() {
        for name in
            ["11111111-2222-4333-8444-555555555555", "cloud.example", "Corp.Example", "common"]
        {
            assert!(tenant().answers_to(name), "{name}");
        }
        for name in ["consumers", "other.example", "11111111-2222-4333-8444-555555555556", ""] {
            assert!(!tenant().answers_to(name), "{name}");
        }
    }

    #[test]
    fn addresses_follow_from_the_domain() {
        assert_eq!(
            tenant().issuer(),
            "https://login.cloud.example/11111111-2222-4333-8444-555555555555/v2.0"
        );
        assert_eq!(tenant().hosts()[3], "crl.cloud.example");
    }
}
