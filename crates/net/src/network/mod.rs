//! The network of one role: it listens and dials by flow, and the chart in force gives the port.
//!
//! A [`Network`] is cheap to clone. Whatever fails here names the row that was to be used
//! ([`DialError`], [`ListenError`]). No caller ever names a port, but for the one that an endpoint
//! mapper gave for a row with a range ([`Network::dial_dynamic`]).

mod datagram;
mod dial;
mod endpoint;
mod fault;
mod listen;
mod peer;
mod proxy;
mod resolver;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use portolan_chart::{Chart, Role, Row, Speaks, Transport};
use portolan_model::DnsName;

pub use datagram::DatagramLimits;
pub use dial::Connection;
pub use endpoint::Endpoint;
pub(crate) use fault::within;
pub use fault::{DialError, Fault, Link};
pub use listen::{Datagrams, ListenError, ListenFault, Listener};
pub use peer::Peer;
pub use proxy::{InvalidProxy, Proxy, ProxyFault, connect_status};
pub use resolver::system_servers;
pub(crate) use resolver::{Service, Services};

use resolver::Resolver;

/// How long the network waits.
#[derive(Debug, Clone, Copy)]
pub struct DialLimits {
    /// For one address to answer.
    pub address_time_max: Duration,
    /// For all addresses of a peer together, the name's resolution included.
    pub total_time_max: Duration,
}

impl Default for DialLimits {
    fn default() -> Self {
        Self { address_time_max: Duration::from_secs(3), total_time_max: Duration::from_secs(10) }
    }
}

/// What is needed to build a [`Network`].
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// The chart in force, with configured ports in place.
    pub chart: Chart,
    /// The role that this process plays.
    pub role: Role,
    /// Name servers; `None` takes those of `/etc/resolv.conf` if the role has a DNS row, and else none.
    pub name_servers: Option<Vec<IpAddr>>,
    /// Names whose addresses are given and not asked for, as in `/etc/hosts`.
    pub hosts: BTreeMap<DnsName, Vec<IpAddr>>,
    /// The web proxy by which the tenant is reached; `None` is directly. Its port has to be the one
    /// that the chart in force gives its row.
    pub proxy: Option<Proxy>,
    /// How long to wait.
    pub limits: DialLimits,
    /// The address to listen on; `None` is every address of this host, IPv4 and IPv6.
    pub listen_address: Option<IpAddr>,
    /// Listen on ports that the system chooses, and not on those of the chart: for tests, whose
    /// peers get the port by [`Chart::with_port`].
    pub ephemeral_ports: bool,
}

impl NetworkConfig {
    /// The network of a role as its host is set up.
    #[must_use]
    pub fn new(chart: Chart, role: Role) -> Self {
        Self {
            chart,
            role,
            name_servers: None,
            hosts: BTreeMap::new(),
            proxy: None,
            limits: DialLimits::default(),
            listen_address: None,
            ephemeral_ports: false,
        }
    }
}

/// The network as one role sees it.
#[derive(Clone)]
pub struct Network {
    inner: Arc<Inner>,
}

struct Inner {
    chart: Chart,
    role: Role,
    resolver: Resolver,
    /// The row by which names are resolved, as errors name it.
    dns_row: String,
    proxy: Option<Proxy>,
    limits: DialLimits,
    listen_address: Option<IpAddr>,
    ephemeral_ports: bool,
}

/// The network could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The resolver's own failure.
    #[error("cannot set up the resolver: {0}")]
    Resolver(#[source] hickory_resolver::net::NetError),
}

impl portolan_model::Hint for NetworkError {
    fn hint(&self) -> Option<String> {
        Some("look at /etc/resolv.conf".to_owned())
    }
}

impl Network {
    /// Reads the name servers and is ready. Nothing is sent yet.
    ///
    /// # Errors
    /// When the resolver cannot be set up.
    pub fn new(config: NetworkConfig) -> Result<Self, NetworkError> {
        let NetworkConfig { chart, role, name_servers, hosts, proxy, limits, .. } = config;
        let dns = chart.all().find(|row| row.from == role && row.speaks == Speaks::Dns);
        // A role without a DNS row asks only whom it is told to, where the rows of others lead: nobody else
        // resolves for a check of its hosts.
        let servers = if dns.is_some() { name_servers } else { name_servers.or(Some(Vec::new())) };
        let port = dns.or_else(|| chart.all().find(|row| row.speaks == Speaks::Dns));
        let port = port.map_or(0, Row::first_port);
        let resolver = Resolver::new(servers, port, hosts).map_err(NetworkError::Resolver)?;
        let dns_row = dns.map_or_else(
            || "a DNS row".to_owned(),
            |row| format!("{}, {} {}/udp+tcp", row.table, row.protocol, row.ports_text()),
        );
        Ok(Self {
            inner: Arc::new(Inner {
                chart,
                role,
                resolver,
                dns_row,
                proxy,
                limits,
                listen_address: config.listen_address,
                ephemeral_ports: config.ephemeral_ports,
            }),
        })
    }

    /// The chart in force.
    #[must_use]
    pub fn chart(&self) -> &Chart {
        &self.inner.chart
    }

    /// The role of this process.
    #[must_use]
    pub fn role(&self) -> Role {
        self.inner.role
    }

    /// The name servers of this host.
    #[must_use]
    pub fn name_servers(&self) -> &[IpAddr] {
        &self.inner.resolver.servers
    }

    pub(crate) async fn services(&self, name: &DnsName) -> Result<Services, DialError> {
        let services = self.inner.resolver.services(name).await;
        services.map_err(|fault| DialError { link: self.dns_link(), fault })
    }

    async fn addresses(&self, peer: &Peer) -> Result<Vec<IpAddr>, DialError> {
        match peer {
            Peer::Address(address) => Ok(vec![*address]),
            Peer::Name(name) => {
                let addresses = self.inner.resolver.addresses(name).await;
                addresses.map_err(|fault| DialError { link: self.dns_link(), fault })
            }
        }
    }

    fn dns_link(&self) -> Link {
        let servers = &self.inner.resolver.servers;
        let peer = servers.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ");
        let peer = if peer.is_empty() { "no name server".to_owned() } else { peer };
        Link { from: self.inner.role, peer, row: self.inner.dns_row.clone() }
    }

    fn link(&self, peer: &Peer, row: &Row, port: u16, transport: Transport) -> Link {
        Link { from: self.inner.role, peer: peer.to_string(), row: row.describe(port, transport) }
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network")
            .field("edition", &self.inner.chart.in_force().id)
            .field("role", &self.inner.role)
            .finish_non_exhaustive()
    }
}
