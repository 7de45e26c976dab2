//! Who stands where: what a check has to know of the company whose rows it looks at.

use std::net::IpAddr;
use std::time::Duration;

use portolan_chart::{Chart, Role, Row};
use portolan_model::DnsName;
use portolan_net::{Network, Peer};

/// A host at the other end of a role's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// What it is.
    pub role: Role,
    /// Its name, by which certificates are judged too.
    pub peer: Peer,
    /// Its addresses; where there are none, its name is resolved.
    pub addresses: Vec<IpAddr>,
}

/// How long a check waits, and how much it takes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For one probe from its first packet to its verdict, its peer's name resolved on the way.
    pub probe_time_max: Duration,
    /// Octets that a probe reads from one peer.
    pub octets_max: usize,
    /// Controllers of a forest that are looked at, the nearest first.
    pub controllers_max: usize,
    /// How long a connection is left idle at most, where [`Deployment::idle`] asks for it.
    pub idle_time_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            probe_time_max: Duration::from_secs(5),
            octets_max: 256 * 1024,
            controllers_max: 16,
            idle_time_max: Duration::from_secs(6 * 60),
        }
    }
}

/// What is checked, from where.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// The role that this machine plays or will play.
    pub role: Role,
    /// The edition in force.
    pub chart: Chart,
    /// The forest's name; its controllers are found by DNS unless [`Deployment::hosts`] has some.
    pub forest: Option<DnsName>,
    /// The hosts at the other ends.
    pub hosts: Vec<Host>,
    /// How this machine reaches them: name servers, and the web proxy for what goes to the tenant.
    pub network: Network,
    /// Certificates in DER that are believed beside the system's: the tenant's or the forest's own
    /// authority.
    pub trusted: Vec<Vec<u8>>,
    /// Whether idle connections are kept to see who cuts them, which takes minutes.
    pub idle: bool,
    /// How long to wait.
    pub limits: Limits,
}

impl Deployment {
    /// The rows that the role opens, in the chart's order.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.chart.all().filter(|row| self.role.plays(row.from))
    }

    /// The hosts at a row's other end.
    pub fn hosts_of(&self, row: &Row) -> impl Iterator<Item = &Host> {
        self.hosts.iter().filter(move |host| host.role.plays(row.to))
    }
}
