//! Who opens a link and who answers it.

use std::fmt;
use std::str::FromStr;

use portolan_model::Hint;

/// A part that a host plays in hybrid identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The sync server (the page's connect server).
    Connect,
    /// A domain controller of the on-premises forest.
    Forest,
    /// The cloud directory, with its certificate authority's web site and its bus.
    Tenant,
    /// A federation server (AD FS).
    Federation,
    /// A web application proxy in front of federation servers.
    Proxy,
    /// Federation and proxy servers together: Table 3 speaks of both at once.
    FederationAndProxy,
    /// A pass-through authentication agent.
    Agent,
    /// A health agent, on a federation, sync or domain server.
    Health,
    /// A person's device outside the company's network.
    User,
    /// A person's device that is a member of the forest.
    Workstation,
    /// A name server for the names that the forest does not own.
    Resolver,
    /// A clock that the forest trusts.
    TimeSource,
    /// A web proxy by which hosts reach the outside.
    WebProxy,
    /// A database server (SQL Server) that keeps what connect or a farm would otherwise keep itself.
    Database,
    /// A load balancer in front of federation or proxy servers.
    Balancer,
    /// A router between the sides: no row starts or ends there, all pass through.
    Router,
}

/// Every role, its name first, then the names that the page and its reference use, small and with hyphens.
const NAMES: [(Role, &[&str]); 16] = [
    (
        Role::Connect,
        &[
            "connect",
            "azure-ad-connect",
            "azure-ad-connect-server",
            "microsoft-entra-connect",
            "entra-connect",
        ],
    ),
    (Role::Forest, &["forest", "onprem-ad", "ad", "on-premises-ad", "active-directory", "dc"]),
    (Role::Tenant, &["tenant", "cloud", "azure-ad", "microsoft-entra-id", "entra-id", "entra"]),
    (
        Role::Federation,
        &["federation", "adfs", "ad-fs", "federation-servers", "ad-fs-federation-servers"],
    ),
    (Role::Proxy, &["proxy", "wap", "web-application-proxy", "wap-servers"]),
    (
        Role::FederationAndProxy,
        &[
            "federation-and-proxy",
            "adfs-and-wap",
            "both",
            "federation-servers/wap",
            "ad-fs-federation-servers/wap",
        ],
    ),
    (Role::Agent, &["agent", "pta-agent", "pta", "connector"]),
    (
        Role::Health,
        &[
            "health",
            "health-agent",
            "azure-ad-connect-health-agent",
            "microsoft-entra-connect-health-agent",
        ],
    ),
    (Role::User, &["user", "users"]),
    (Role::Workstation, &["workstation"]),
    (Role::Resolver, &["resolver"]),
    (Role::TimeSource, &["time-source"]),
    (Role::WebProxy, &["web-proxy"]),
    (Role::Database, &["database", "sql", "sql-server"]),
    (Role::Balancer, &["balancer", "load-balancer"]),
    (Role::Router, &["router"]),
];

impl Role {
    /// Every role, in the order of the chart.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(role, _)| *role)
    }

    /// The name that commands and data files use.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.names().first().copied().unwrap_or_default()
    }

    /// Whether a host of this role stands at the end of a row that names `other`: the same role, or
    /// one of [`Role::FederationAndProxy`] on either side.
    #[must_use]
    pub fn plays(self, other: Self) -> bool {
        let half = |role| matches!(role, Self::Federation | Self::Proxy);
        self == other
            || (self == Self::FederationAndProxy && half(other))
            || (other == Self::FederationAndProxy && half(self))
    }

    /// Its name, then the page's own for it.
    #[must_use]
    pub fn names(self) -> &'static [&'static str] {
        NAMES.iter().find(|(role, _)| *role == self).map_or(&[], |(_, names)| names)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no role of the chart")]
pub struct UnknownRole(String);

impl Hint for UnknownRole {
    fn hint(&self) -> Option<String> {
        let names: Vec<_> = Role::all().map(Role::name).collect();
        Some(format!("the roles are {}", names.join(", ")))
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    /// Any of the names, in small or capital letters, its words with hyphens, underscores or spaces.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = hyphenated(text);
        NAMES
            .iter()
            .find(|(_, names)| names.contains(&word.as_str()))
            .map(|(role, _)| *role)
            .ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

/// The text in small letters, its words joined by hyphens.
fn hyphenated(text: &str) -> String {
    let words: Vec<_> = text.split([' ', '_', '-']).filter(|word| !word.is_empty()).collect();
    words.join("-").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_parses_from_each_of_its_names() {
        for (role, names) in NAMES {
            for name in names {
                assert_eq!(name.parse(), Ok(role));
            }
            assert_eq!(role.to_string(), names[0]);
        }
    }

    #[test]
    fn the_page_s_names_are_aliases() {
        for (alias, role) in [
            ("onprem_ad", Role::Forest),
            ("cloud", Role::Tenant),
            ("wap", Role::Proxy),
            ("adfs", Role::Federation),
            ("adfs_and_wap", Role::FederationAndProxy),
            ("pta_agent", Role::Agent),
            ("health_agent", Role::Health),
            ("Azure AD Connect server", Role::Connect),
            ("On-premises AD", Role::Forest),
            ("Microsoft Entra ID", Role::Tenant),
            ("AD FS Federation Servers/WAP", Role::FederationAndProxy),
            ("Federation servers", Role::Federation),
            ("WAP servers", Role::Proxy),
            ("users", Role::User),
        ] {
            assert_eq!(alias.parse(), Ok(role));
        }
    }

    #[test]
    fn federation_and_proxy_hosts_both_stand_at_the_end_of_table_3() {
        assert!(Role::Federation.plays(Role::FederationAndProxy));
        assert!(Role::Proxy.plays(Role::FederationAndProxy));
        assert!(Role::FederationAndProxy.plays(Role::Proxy));
        assert!(!Role::Federation.plays(Role::Proxy));
        assert!(!Role::Tenant.plays(Role::FederationAndProxy));
    }

    #[test]
    fn an_unknown_role_is_answered_with_the_known_ones() {
        let error = "cloude".parse::<Role>().unwrap_err();
        assert_eq!(error.to_string(), "\"cloude\" is no role of the chart");
        assert!(error.hint().unwrap().contains("tenant"));
    }
}
