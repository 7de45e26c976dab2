//! How connect reaches forests and the tenant, as configured: ports that are not the chart's and a web
//! proxy for all of them, LDAP sealed or inside TLS for each forest.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use portolan_chart::{Chart, Flow, Role, flow};
use portolan_net::ldap::{Channel, TlsBind};
use portolan_net::tls::{self, Revocation, Roots, Trust};
use portolan_net::{Network, NetworkConfig, Proxy};
use serde::{Deserialize, Serialize};

use super::account::read_password;
use crate::report::Failure;

/// How the forest is read, as the file has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawLdap {
    /// By 389, signed and sealed by Kerberos.
    #[default]
    Sealed,
    /// By 636, inside TLS.
    Ldaps,
}

/// How the account is proven inside TLS, as the file has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawBind {
    /// With Kerberos, bound to the TLS connection.
    #[default]
    Kerberos,
    /// By the password.
    Simple,
}

/// What holds for all peers, as the file has it.
#[derive(Debug, Default)]
pub(super) struct RawReach<'r> {
    pub(super) edition: &'r str,
    pub(super) proxy: Option<&'r str>,
    pub(super) proxy_credentials_file: Option<&'r Path>,
    pub(super) ports: BTreeMap<String, u16>,
}

/// What holds for all peers, checked.
#[derive(Debug)]
pub(super) struct Reach {
    chart: Chart,
    proxy: Option<Proxy>,
}

/// How one forest is read, checked.
#[derive(Debug, Clone)]
pub(super) struct ForestReach(Ldap);

#[derive(Debug, Clone)]
enum Ldap {
    Sealed,
    Tls { roots: Roots, bind: TlsBind },
}

/// What a command is told about how a forest is read.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct LdapArguments {
    /// Read the forest inside TLS (636), and not sealed by Kerberos (389)
    #[arg(long, requires = "ca")]
    pub(super) ldaps: bool,
    /// The certification authorities of the domain controllers' certificates, as PEM
    #[arg(long, value_name = "FILE", requires = "ldaps")]
    pub(super) ca: Option<PathBuf>,
    /// Bind by the account's password inside TLS, and not with Kerberos
    #[arg(long, requires = "ldaps")]
    pub(super) simple_bind: bool,
}

/// What `connect init` is told about how everything is reached.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct ReachArguments {
    #[command(flatten)]
    pub(super) ldap: LdapArguments,
    /// Reach the tenant by this web proxy, as in http://proxy.corp.example:PORT
    #[arg(long, value_name = "URL")]
    pub(super) proxy: Option<String>,
    /// A file whose first line is name:password for the proxy; its owner alone may read it
    #[arg(long, value_name = "FILE", requires = "proxy")]
    pub(super) proxy_credentials_file: Option<PathBuf>,
}

impl LdapArguments {
    pub(super) const fn ldap(&self) -> RawLdap {
        if self.ldaps { RawLdap::Ldaps } else { RawLdap::Sealed }
    }

    pub(super) const fn bind(&self) -> RawBind {
        if self.simple_bind { RawBind::Simple } else { RawBind::Kerberos }
    }
}

impl Reach {
    /// Checks it, and puts what is wrong beside the other problems of the file.
    pub(super) fn check(raw: RawReach<'_>, problems: &mut Vec<String>) -> Option<Self> {
        let before = problems.len();
        let mut problem = |key: &str, error: &dyn std::fmt::Display| {
            problems.push(format!("{key}: {error}"));
        };
        let proxy = match raw.proxy.map(|url| proxy(url, raw.proxy_credentials_file)) {
            None => None,
            Some(Ok(proxy)) => Some(proxy),
            Some(Err((key, error))) => {
                problem(key, &error);
                None
            }
        };
        let chart = match chart(raw.edition, &raw.ports, proxy.as_ref()) {
            Ok(chart) => Some(chart),
            Err((key, error)) => {
                problem(&key, &error);
                None
            }
        };
        (problems.len() == before).then_some(Self { chart: chart?, proxy })
    }

    /// connect's network.
    pub(super) fn network(&self) -> Result<Network, Failure> {
        self.network_with(None)
    }

    /// The same, with other name servers than the host's.
    pub(super) fn network_with(
        &self,
        name_servers: Option<Vec<IpAddr>>,
    ) -> Result<Network, Failure> {
        let config = NetworkConfig::new(self.chart.clone(), Role::Connect);
        Ok(Network::new(NetworkConfig { proxy: self.proxy.clone(), name_servers, ..config })?)
    }

    /// The chart in force, with configured ports in place.
    pub(super) const fn chart(&self) -> &Chart {
        &self.chart
    }

    /// The proxy, as its URL.
    pub(super) fn proxy(&self) -> Option<String> {
        self.proxy.as_ref().map(ToString::to_string)
    }
}

impl ForestReach {
    /// Checks it, and puts what is wrong beside the other problems of the file, whose table of this
    /// forest is `table`.
    pub(super) fn check(
        ldap: RawLdap,
        bind: RawBind,
        ca_file: Option<&Path>,
        table: &str,
        problems: &mut Vec<String>,
    ) -> Option<Self> {
        let before = problems.len();
        let mut problem = |key: &str, error: &dyn std::fmt::Display| {
            problems.push(format!("{table}.{key}: {error}"));
        };
        let checked = match (ldap, ca_file) {
            (RawLdap::Sealed, _) => Some(Ldap::Sealed),
            (RawLdap::Ldaps, None) => {
                problem("ca_file", &format!("{table}.ldap = \"ldaps\" needs it"));
                None
            }
            (RawLdap::Ldaps, Some(path)) => match roots(path) {
                Ok(roots) => Some(Ldap::Tls { roots, bind: bind.into() }),
                Err(error) => {
                    problem("ca_file", &error);
                    None
                }
            },
        };
        if ldap == RawLdap::Sealed && bind == RawBind::Simple {
            let error = format!("a password is only sent inside TLS: set {table}.ldap = \"ldaps\"");
            problem("bind", &error);
        }
        checked.filter(|_| problems.len() == before).map(Self)
    }

    /// How LDAP connections to the forest are protected.
    pub(super) fn channel(&self, network: &Network) -> Channel {
        match &self.0 {
            Ldap::Sealed => Channel::Sealed,
            Ldap::Tls { roots, bind } => {
                let revocation = Revocation::by_crl(network.clone(), flow::CONNECT_FOREST_CRL);
                let tls = tls::Client::for_ldap(Trust::Roots(roots.clone()), revocation);
                Channel::Tls { tls, bind: *bind }
            }
        }
    }

    /// Whether LDAP runs inside TLS.
    pub(super) const fn is_ldaps(&self) -> bool {
        matches!(self.0, Ldap::Tls { .. })
    }
}

impl From<RawBind> for TlsBind {
    fn from(raw: RawBind) -> Self {
        match raw {
            RawBind::Kerberos => Self::Kerberos,
            RawBind::Simple => Self::Password,
        }
    }
}

/// Certification authorities from a file.
pub(super) fn roots(path: &Path) -> Result<Roots, String> {
    let pem = crate::files::read_at_most(path, crate::files::AUTHORITIES_OCTETS_MAX)
        .map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    Roots::from_pem(&pem).map_err(|error| format!("{}: {error}", path.display()))
}

fn proxy(url: &str, credentials: Option<&Path>) -> Result<Proxy, (&'static str, String)> {
    let proxy: Proxy = url.parse().map_err(|error| ("tenant.proxy", format!("{error}")))?;
    let Some(path) = credentials else { return Ok(proxy) };
    let secret = read_password(path).map_err(|error| ("tenant.proxy_credentials_file", error))?;
    if !secret.expose().contains(':') {
        let error = format!("the first line of {} is not name:password", path.display());
        return Err(("tenant.proxy_credentials_file", error));
    }
    Ok(proxy.with_credentials(secret))
}

fn chart(
    edition: &str,
    ports: &BTreeMap<String, u16>,
    proxy: Option<&Proxy>,
) -> Result<Chart, (String, String)> {
    let mut chart =
        Chart::edition(edition).map_err(|error| ("edition".to_owned(), error.to_string()))?;
    let configured = |name: &str| format!("ports.{name:?}");
    for (name, port) in ports {
        let flow: Flow = name.parse().map_err(|error| (configured(name), format!("{error}")))?;
        let port = NonZeroU16::new(*port);
        let port = port.ok_or_else(|| (configured(name), "0 is no port".to_owned()))?;
        chart = chart.with_port(flow, port).map_err(|e| (configured(name), e.to_string()))?;
    }
    if let Some(proxy) = proxy {
        let placed = chart.with_port(flow::CONNECT_WEB_PROXY, proxy.port());
        chart = placed.map_err(|error| ("tenant.proxy".to_owned(), error.to_string()))?;
    }
    Ok(chart)
}

#[cfg(test)]
mod tests {
    use portolan_chart::Transport;

    use super::*;

    fn problems(raw: RawReach<'_>) -> Vec<String> {
        let mut problems = Vec::new();
        let reach = Reach::check(raw, &mut problems);
        assert_eq!(reach.is_none(), !problems.is_empty());
        problems
    }

    fn raw() -> RawReach<'static> {
        RawReach { edition: portolan_chart::DEFAULT_EDITION, ..RawReach::default() }
    }

    #[test]
    fn a_configured_port_takes_the_place_of_the_row_s_and_says_so() {
        let ports = BTreeMap::from([("connect.ad.ldap".to_owned(), 1389)]);
        let proxy = Some("http://proxy.corp.example:3129");
        let reach = Reach::check(RawReach { ports, proxy, ..raw() }, &mut Vec::new()).unwrap();
        let described = |flow| {
            let row = reach.chart().row(flow).unwrap();
            row.describe(row.first_port(), Transport::Tcp)
        };
        assert_eq!(described(flow::CONNECT_AD_LDAP), "Table 1, LDAP 1389/tcp (configured)");
        let expected = "Errata, HTTP proxy 3129/tcp (configured)";
        assert_eq!(described(flow::CONNECT_WEB_PROXY), expected);
    }

    #[test]
    fn what_contradicts_itself_is_named() {
        let check = |raw, expected: &str| assert_eq!(problems(raw), [expected]);
        let forest = |ldap, bind, expected: &str| {
            let mut problems = Vec::new();
            assert!(ForestReach::check(ldap, bind, None, "forest", &mut problems).is_none());
            assert_eq!(problems, [expected]);
        };
        forest(
            RawLdap::Ldaps,
            RawBind::Kerberos,
            "forest.ca_file: forest.ldap = \"ldaps\" needs it",
        );
        forest(
            RawLdap::Sealed,
            RawBind::Simple,
            "forest.bind: a password is only sent inside TLS: set forest.ldap = \"ldaps\"",
        );
        let ports = |name: &str, port| BTreeMap::from([(name.to_owned(), port)]);
        check(
            RawReach { ports: ports("connect.ad.ladp", 1), ..raw() },
            "ports.\"connect.ad.ladp\": \"connect.ad.ladp\" is no flow of the chart",
        );
        check(
            RawReach { ports: ports("connect.ad.ldap", 0), ..raw() },
            "ports.\"connect.ad.ldap\": 0 is no port",
        );
        check(
            RawReach { proxy: Some("proxy"), ..raw() },
            "tenant.proxy: \"proxy\" is no proxy: http://HOST:PORT is expected, without a name or a path",
        );
    }
}
