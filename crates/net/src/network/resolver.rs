//! Names to addresses and service records, by the name servers of this host.
//!
//! The servers come from `/etc/resolv.conf` (or are given), their port from the chart's DNS row. A
//! question goes by UDP, and by TCP when the answer is truncated or UDP fails ([RFC 7766 section 5]).
//! Names are asked as they stand: no search list is applied.
//!
//! [RFC 7766 section 5]: https://www.rfc-editor.org/rfc/rfc7766#section-5

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts, ServerOrderingStrategy,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use portolan_model::DnsName;

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

/// Asks the name servers.
pub(crate) struct Resolver {
    hickory: TokioResolver,
    /// The servers, as an error names them.
    pub(crate) servers: String,
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
        let configs = servers
            .iter()
            .map(|address| {
                let mut config = NameServerConfig::udp_and_tcp(*address);
                for connection in &mut config.connections {
                    connection.port = port;
                }
                config
            })
            .collect();
        let mut options = ResolverOpts::default();
        options.timeout = QUESTION_TIME_MAX;
        options.attempts = 1;
        options.try_tcp_on_error = true;
        options.ip_strategy = LookupIpStrategy::Ipv6AndIpv4;
        options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
        let config = ResolverConfig::from_parts(None, Vec::new(), configs);
        let hickory = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()?;
        let servers = servers.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ");
        Ok(Self { hickory, servers, fixed })
    }

    /// The addresses of a name, IPv6 ones first.
    pub(crate) async fn addresses(&self, name: &DnsName) -> Result<Vec<IpAddr>, Fault> {
        if let Some(addresses) = self.fixed.get(name) {
            return Ok(addresses.clone());
        }
        let question = absolute(name)?;
        let answer = self.hickory.lookup_ip(question).await.map_err(|error| fault(name, &error))?;
        Ok(answer.iter().take(ADDRESSES_MAX).collect())
    }

    /// The service records of a name, in the order of the answer.
    pub(crate) async fn services(&self, name: &DnsName) -> Result<Vec<Service>, Fault> {
        let question = absolute(name)?;
        let answer = self.hickory.lookup(question, RecordType::SRV).await;
        let answer = answer.map_err(|error| fault(name, &error))?;
        let services = answer.answers().iter().filter_map(|record| {
            let RData::SRV(service) = &record.data else { return None };
            // A target that is no host name (the root says "no such service") is left out.
            let target = service.target.to_ascii().parse().ok()?;
            Some(Service { priority: service.priority, weight: service.weight, target })
        });
        Ok(services.take(SERVICES_MAX).collect())
    }
}

/// The name servers of `/etc/resolv.conf`; none if it has none.
fn system_servers() -> Vec<IpAddr> {
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

fn fault(name: &DnsName, error: &NetError) -> Fault {
    let name = name.to_string();
    if error.is_nx_domain() || error.is_no_records_found() {
        return Fault::NoSuchName { name };
    }
    let heard = match error {
        NetError::Timeout => "no answer in time".to_owned(),
        NetError::NoConnections => "no name server to ask".to_owned(),
        NetError::Io(error) => error.kind().to_string(),
        other => other.to_string(),
    };
    Fault::NameServerSilent { name, heard }
}
