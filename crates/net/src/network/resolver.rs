//! Names to addresses and service records, by the name servers of this host.
//!
//! The servers come from `/etc/resolv.conf` (or are given), their port from the chart's DNS row. A
//! question goes by UDP, and by TCP when the answer is truncated or UDP fails ([RFC 7766 section 5]).
//! Names are asked as they stand: no search list is applied.
//!
//! [RFC 7766 section 5]: https://www.rfc-editor.org/rfc/rfc7766#section-5

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts, ServerOrderingStrategy,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use portolan_model::DnsName;

use super::dial::connect;
use super::fault::Fault;

/// How long one question to one name server may take.
const QUESTION_TIME_MAX: Duration = Duration::from_secs(2);
/// How many addresses of one name are kept.
const ADDRESSES_MAX: usize = 16;
/// How many service records of one name are kept.
const SERVICES_MAX: usize = 256;

/// One service record ([RFC 2782]).
///
/// [RFC 2782]: https://www.rfc-editor.org/rfc/rfc2782
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) priority: u16,
    pub(crate) weight: u16,
    pub(crate) target: DnsName,
}

/// What the name servers say of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Services {
    /// The hosts that offer it, in the order of the answer.
    pub(crate) offered: Vec<Service>,
    /// It is said that nobody offers it: the one record's target is the root.
    pub(crate) absent: bool,
}

/// Asks the name servers.
pub(crate) struct Resolver {
    /// By UDP, and by TCP for what was truncated; then by TCP only, for a way on which UDP fails.
    ways: [TokioResolver; 2],
    /// Which of the two answered last, and is asked first.
    first: AtomicUsize,
    pub(crate) servers: Vec<IpAddr>,
    port: u16,
    fixed: BTreeMap<DnsName, Vec<IpAddr>>,
}

impl Resolver {
    /// With the servers given, or those of `/etc/resolv.conf`.
    pub(crate) fn new(
        servers: Option<Vec<IpAddr>>,
        port: u16,
        fixed: BTreeMap<DnsName, Vec<IpAddr>>,
    ) -> Result<Self, NetError> {
        let servers = servers.unwrap_or_else(system_servers);
        let usual = resolver(&servers, port, NameServerConfig::udp_and_tcp)?;
        let stream = resolver(&servers, port, NameServerConfig::tcp)?;
        Ok(Self { ways: [usual, stream], first: AtomicUsize::new(0), servers, port, fixed })
    }

    /// The addresses of a name, IPv6 ones first.
    pub(crate) async fn addresses(&self, name: &DnsName) -> Result<Vec<IpAddr>, Fault> {
        if let Some(addresses) = self.fixed.get(name) {
            return Ok(addresses.clone());
        }
        let question = absolute(name)?;
        let mut silence = NetError::NoConnections;
        for (index, way) in self.ways() {
            match way.lookup_ip(question.clone()).await {
                Ok(answer) => {
                    self.first.store(index, Ordering::Relaxed);
                    return Ok(answer.iter().take(ADDRESSES_MAX).collect());
                }
                Err(error) if is_silence(&error) => silence = error,
                Err(_) => return Err(Fault::NoSuchName { name: name.to_string() }),
            }
        }
        Err(self.diagnose(name, &silence).await)
    }

    /// The service records of a name.
    pub(crate) async fn services(&self, name: &DnsName) -> Result<Services, Fault> {
        let question = absolute(name)?;
        let mut silence = NetError::NoConnections;
        for (index, way) in self.ways() {
            match way.lookup(question.clone(), RecordType::SRV).await {
                Ok(answer) => {
                    self.first.store(index, Ordering::Relaxed);
                    return Ok(services(answer.answers()));
                }
                Err(error) if is_silence(&error) => silence = error,
                Err(_) => return Err(Fault::NoSuchName { name: name.to_string() }),
            }
        }
        Err(self.diagnose(name, &silence).await)
    }

    /// Both ways, beginning with the one that answered last.
    fn ways(&self) -> impl Iterator<Item = (usize, &TokioResolver)> {
        let first = self.first.load(Ordering::Relaxed);
        let count = self.ways.len();
        self.ways.iter().enumerate().cycle().skip(first).take(count)
    }

    /// Why there is no answer. The library does not tell a closed port from a silent server, so the
    /// first server's port is looked at.
    async fn diagnose(&self, name: &DnsName, error: &NetError) -> Fault {
        let heard = match self.servers.first() {
            None => "this host has no name server".to_owned(),
            Some(server) => match connect(*server, self.port, QUESTION_TIME_MAX).await {
                Err(fault) => return fault,
                Ok(_) => error.to_string(),
            },
        };
        Fault::NameServerSilent { name: name.to_string(), heard }
    }
}

fn services(answers: &[Record]) -> Services {
    let absent = answers
        .iter()
        .any(|record| matches!(&record.data, RData::SRV(service) if service.target.is_root()));
    let offered: Vec<_> = answers.iter().filter_map(service).take(SERVICES_MAX).collect();
    Services { absent: absent && offered.is_empty(), offered }
}

/// What a service record says; a target that is no host name is left out.
fn service(record: &Record) -> Option<Service> {
    let RData::SRV(service) = &record.data else { return None };
    let target = service.target.to_ascii().parse().ok()?;
    Some(Service { priority: service.priority, weight: service.weight, target })
}

/// The name servers of `/etc/resolv.conf`; none if it has none.
#[must_use]
pub fn system_servers() -> Vec<IpAddr> {
    match read_system_conf() {
        Ok((config, _)) => config.name_servers().iter().map(|server| server.ip).collect(),
        Err(error) => {
            tracing::warn!(%error, "No name server in /etc/resolv.conf");
            Vec::new()
        }
    }
}

/// The name with its final dot, so that nothing is appended to it.
fn absolute(name: &DnsName) -> Result<Name, Fault> {
    Name::from_ascii(format!("{name}.")).map_err(|_| Fault::NoSuchName { name: name.to_string() })
}

/// Whether nobody answered: neither a record nor the statement that there is none.
fn is_silence(error: &NetError) -> bool {
    !error.is_nx_domain() && !error.is_no_records_found()
}

fn resolver(
    servers: &[IpAddr],
    port: u16,
    config: fn(IpAddr) -> NameServerConfig,
) -> Result<TokioResolver, NetError> {
    let servers = servers.iter().map(|address| {
        let mut config = config(*address);
        for connection in &mut config.connections {
            connection.port = port;
        }
        config
    });
    let mut options = ResolverOpts::default();
    options.timeout = QUESTION_TIME_MAX;
    options.attempts = 0;
    options.ip_strategy = LookupIpStrategy::Ipv6AndIpv4;
    options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
    let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        .with_options(options)
        .build()
}
