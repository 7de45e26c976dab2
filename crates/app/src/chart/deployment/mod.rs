//! What `chart check` and `chart watch` look at: the hosts at the other ends of a role's rows, and how
//! they are reached. It is said on the command line, in a [file], or in both; the command line wins.

pub(super) mod file;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portolan_chart::{Chart, EndpointName, Flow, Role, Speaks, endpoints};
use portolan_model::{DnsName, Guid, Hint};
use portolan_net::{Network, NetworkConfig, Peer, Proxy};
use portolan_probe::{Check, Deployment, Host, Limits};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use self::file::File;
use super::edition;
use crate::report::Failure;

/// What the command line says of a deployment.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Arguments {
    /// A file of the deployment (docs/deployment.toml shows every key); what is said beside it wins.
    #[arg(long, value_name = "FILE")]
    deployment: Option<PathBuf>,
    /// The role that this machine plays.
    #[arg(long, required_unless_present = "deployment")]
    role: Option<String>,
    /// The edition, by its date, or a file; without it, the one in force by default.
    #[arg(long, value_name = "DATE|FILE")]
    edition: Option<String>,
    /// The forest's DNS name; its domain controllers are found by DNS unless --host names some.
    #[arg(long, value_name = "NAME")]
    forest: Option<DnsName>,
    /// The tenant's host.
    #[arg(long, value_name = "HOST")]
    tenant: Option<String>,
    /// The id of a Microsoft Entra tenant: the vendor's own hosts, as `portolan chart endpoints` lists them,
    /// stand at the tenant's end of each row that no --host is given for.
    #[arg(long, value_name = "ID", conflicts_with = "tenant")]
    tenant_id: Option<Guid>,
    /// Another host at the end of a role's rows or of one flow, and its addresses when its name is not to
    /// be resolved: `forest=dc1.corp.example`, `federation=sts.corp.example=10.0.0.5`,
    /// `connect.tenant.crl=crl.cloud.example`. May be given often.
    #[arg(long, value_name = "ROLE|FLOW=HOST[=ADDRESS,…]")]
    host: Vec<String>,
    /// A role or a flow that this deployment does without: its rows are left out. May be given often.
    #[arg(long, value_name = "ROLE|FLOW", value_delimiter = ',')]
    without: Vec<String>,
    /// The web proxy by which the tenant is reached: http://HOST:PORT.
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// A file whose first line is name:password for the proxy; its owner alone may read it.
    #[arg(long, value_name = "FILE", requires = "proxy")]
    proxy_credentials_file: Option<PathBuf>,
    /// Certificates in PEM that are believed beside the system's. May be given often.
    #[arg(long, value_name = "FILE")]
    ca: Vec<PathBuf>,
    /// Name servers in place of those of /etc/resolv.conf.
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    dns: Vec<IpAddr>,
    /// Seconds after which a silent row counts as filtered; 5 unless said otherwise.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=TIMEOUT_SECONDS_MAX))]
    timeout: Option<u64>,
    /// Keep idle connections to see who cuts them, which takes minutes.
    #[arg(long)]
    idle: bool,
}

/// What is checked, as often as wanted.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) deployment: Deployment,
    by_flow: BTreeMap<Flow, Vec<Host>>,
}

impl Plan {
    /// A check of it.
    pub(super) fn check(&self) -> Check {
        Check::of(self.deployment.clone(), &self.by_flow)
    }
}

/// The end of a row that a host stands at.
enum End {
    Role(Role),
    Flow(Flow),
}

/// Works out what the command line and the file say together.
///
/// # Errors
/// What of it is not right; nothing was asked then.
pub(super) fn plan(args: Arguments) -> Result<Plan, Failure> {
    resolve(args).map_err(Failure::unjudged)
}

fn resolve(args: Arguments) -> Result<Plan, Failure> {
    let file = match &args.deployment {
        Some(path) => file::read(path)?,
        None => File::default(),
    };
    let role: Role = match (&args.role, file.role) {
        (Some(text), _) => text.parse()?,
        (None, Some(role)) => role,
        (None, None) => {
            return Err(Failure::new("the deployment's file has no role")
                .with_hint("add role = \"connect\", or say --role"));
        }
    };
    let chart = edition::chart(args.edition.as_deref().or(file.edition.as_deref()))?;
    let limits = limits(args.timeout.or(file.timeout_seconds));
    let proxy = proxy(&args, &file)?;
    let chart = match &proxy {
        Some(proxy) => with_proxy_port(chart, role, proxy)?,
        None => chart,
    };
    let (mut hosts, mut by_flow) = (file.hosts(), file.hosts_of_flows());
    if let Some(host) = &proxy {
        hosts.push(Host { role: Role::WebProxy, peer: proxy_peer(host)?, addresses: Vec::new() });
    }
    for tenant in args.tenant.iter().chain(&file.tenant) {
        if !hosts.iter().any(|host| host.role == Role::Tenant) {
            hosts.push(Host { role: Role::Tenant, peer: peer(tenant)?, addresses: Vec::new() });
        }
    }
    for text in &args.host {
        let (end, peer, addresses) = host(text)?;
        match end {
            End::Role(role) => hosts.push(Host { role, peer, addresses }),
            End::Flow(flow) => {
                let role = chart.row(flow)?.to;
                by_flow.entry(flow).or_default().push(Host { role, peer, addresses });
            }
        }
    }
    if let Some(id) = args.tenant_id.or(file.tenant_id) {
        for (flow, hosts) in vendor_hosts(&chart, role, id) {
            by_flow.entry(flow).or_insert(hosts);
        }
    }
    let network = network(&chart, role, (&args, &file), (proxy, limits))?;
    let mut trusted = Vec::new();
    for path in args.ca.iter().chain(&file.ca_files) {
        trusted.extend(certificates(path)?);
    }
    let chart = without(chart, args.without.iter().chain(&file.without))?;
    let deployment = Deployment {
        role,
        chart,
        forest: args.forest.or(file.forest),
        hosts,
        network,
        trusted,
        idle: args.idle || file.idle,
        limits,
    };
    if deployment.rows().next().is_none() {
        return Err(Failure::new(format!("the role {role} opens no row of this deployment"))
            .with_hint(format!("`portolan chart list --role {role}` shows its rows")));
    }
    Ok(Plan { deployment, by_flow })
}

/// The vendor's own hosts at the tenant's end of a role's rows; a pattern of names cannot be asked.
fn vendor_hosts(chart: &Chart, role: Role, tenant: Guid) -> BTreeMap<Flow, Vec<Host>> {
    let mut hosts: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for endpoint in endpoints(role, Some(tenant)) {
        if let (Ok(row), EndpointName::Host(name)) = (chart.row(endpoint.flow), endpoint.name) {
            let host = Host { role: row.to, peer: name.into(), addresses: Vec::new() };
            hosts.entry(endpoint.flow).or_default().push(host);
        }
    }
    hosts
}

/// Seconds that a row may be waited for.
pub(super) const TIMEOUT_SECONDS_MAX: u64 = 120;

fn limits(seconds: Option<u64>) -> Limits {
    let default = Limits::default();
    Limits {
        probe_time_max: seconds.map_or(default.probe_time_max, Duration::from_secs),
        ..default
    }
}

fn network(
    chart: &Chart,
    role: Role,
    (args, file): (&Arguments, &File),
    (proxy, limits): (Option<Proxy>, Limits),
) -> Result<Network, Failure> {
    let mut config = NetworkConfig::new(chart.clone(), role);
    let servers = if args.dns.is_empty() { &file.name_servers } else { &args.dns };
    // A role without a DNS row has hosts with names all the same.
    config.name_servers = Some(match servers.is_empty() {
        true => portolan_net::system_servers(),
        false => servers.clone(),
    });
    config.proxy = proxy;
    config.limits.address_time_max = limits.probe_time_max;
    config.limits.total_time_max = limits.probe_time_max;
    Ok(Network::new(config)?)
}

/// The proxy with its credentials.
fn proxy(args: &Arguments, file: &File) -> Result<Option<Proxy>, Failure> {
    let (proxy, credentials) = match (&args.proxy, &file.proxy) {
        (Some(url), _) => {
            let proxy = url.parse::<Proxy>();
            (proxy.map_err(|e| Failure::because("--proxy", &e))?, &args.proxy_credentials_file)
        }
        (None, Some(section)) => (section.url.clone(), &section.credentials_file),
        (None, None) => return Ok(None),
    };
    let Some(path) = credentials else { return Ok(Some(proxy)) };
    let secret = crate::files::read_secret_line(path).map_err(Failure::new)?;
    if !secret.expose().contains(':') {
        let text = format!("the first line of {} is not name:password", path.display());
        return Err(Failure::new(text));
    }
    Ok(Some(proxy.with_credentials(secret)))
}

/// The rows to the proxy have its port.
fn with_proxy_port(mut chart: Chart, role: Role, proxy: &Proxy) -> Result<Chart, Failure> {
    let to_proxy =
        |row: &&portolan_chart::Row| role.plays(row.from) && row.speaks == Speaks::WebProxy;
    let mut flows: Vec<_> = chart.all().filter(to_proxy).map(|row| row.flow).collect();
    // Whoever dials names this one.
    flows.push(portolan_chart::flow::CONNECT_WEB_PROXY);
    for flow in flows {
        chart = chart.with_port(flow, proxy.port())?;
    }
    Ok(chart)
}

fn proxy_peer(proxy: &Proxy) -> Result<Peer, Failure> {
    let url = proxy.to_string();
    let host = url.trim_start_matches("http://").rsplit_once(':').map_or("", |(host, _)| host);
    peer(host)
}

/// The chart without the rows that end at these roles or are these flows. A row that ends at federation
/// servers and proxies goes when there is neither.
fn without<'t>(mut chart: Chart, ends: impl Iterator<Item = &'t String>) -> Result<Chart, Failure> {
    let mut roles = Vec::new();
    for text in ends {
        match end(text)? {
            End::Flow(flow) => chart = chart.without(flow)?,
            End::Role(role) => roles.push(role),
        }
    }
    if [Role::Federation, Role::Proxy].iter().all(|half| roles.contains(half)) {
        roles.push(Role::FederationAndProxy);
    }
    let is_its = |row: &&portolan_chart::Row| roles.contains(&row.to);
    let flows: Vec<_> = chart.all().filter(is_its).map(|row| row.flow).collect();
    for flow in flows {
        chart = chart.without(flow)?;
    }
    Ok(chart)
}

fn end(text: &str) -> Result<End, Failure> {
    match text.contains('.') {
        true => Ok(End::Flow(text.parse()?)),
        false => Ok(End::Role(text.parse()?)),
    }
}

fn certificates(path: &Path) -> Result<Vec<Vec<u8>>, Failure> {
    let pem = crate::files::read_at_most(path, crate::files::AUTHORITIES_OCTETS_MAX)
        .map_err(|error| Failure::because(&format!("cannot read {}", path.display()), &error))?;
    let read = CertificateDer::pem_slice_iter(&pem).map(|read| read.map(|der| der.to_vec()));
    match read.collect::<Result<Vec<_>, _>>() {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(Failure::new(format!("{} has no certificate in PEM", path.display()))),
    }
}

fn peer(text: &str) -> Result<Peer, Failure> {
    text.parse().map_err(|error| Failure::because(&format!("{text:?} is no host"), &error))
}

fn host(text: &str) -> Result<(End, Peer, Vec<IpAddr>), Failure> {
    let malformed = || {
        Failure::new(format!("{text:?} is no host of a role"))
            .with_hint("write ROLE=HOST or FLOW=HOST, and =ADDRESS,ADDRESS behind it")
    };
    let mut parts = text.splitn(3, '=');
    let end = end(parts.next().ok_or_else(malformed)?)?;
    let peer = peer(parts.next().ok_or_else(malformed)?)?;
    let addresses = parts.next().map_or_else(
        || Ok(Vec::new()),
        |list| list.split(',').map(str::parse).collect::<Result<Vec<IpAddr>, _>>(),
    );
    Ok((end, peer, addresses.map_err(|_| malformed())?))
}

/// An error and its hint in one clause, for the reader of the file.
fn with_hint(error: &(impl std::error::Error + Hint)) -> String {
    match error.hint() {
        Some(hint) => format!("{error}: {hint}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct CommandLine {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn the_vendor_s_hosts_stand_at_the_tenant_s_end_of_rows_without_one_of_their_own() {
        let line = "check --role connect --tenant-id 11111111-2222-3333-4444-555555555555 \
                    --host connect.tenant.crl=crl.cloud.example";
        let line = CommandLine::parse_from(line.split_whitespace());
        let plan = plan(line.arguments).unwrap();
        let names = |flow| -> Vec<_> {
            plan.by_flow[&flow].iter().map(|host| host.peer.to_string()).collect()
        };
        use portolan_chart::flow;
        assert!(names(flow::CONNECT_TENANT_SYNC).contains(&"login.microsoftonline.com".to_owned()));
        assert_eq!(names(flow::CONNECT_TENANT_CRL), ["crl.cloud.example"]);
        assert!(plan.by_flow.values().flatten().all(|host| !host.peer.to_string().contains('*')));
    }

    /// The roles that rows of connect still end at.
    fn check_without(roles: &str, has_farm: bool) {
        let line = CommandLine::parse_from(["check", "--role", "connect", "--without", roles]);
        let plan = plan(line.arguments).unwrap();
        let farm = plan.deployment.rows().any(|row| row.to == Role::FederationAndProxy);
        assert_eq!(farm, has_farm, "{roles}");
    }

    #[test]
    fn rows_to_the_farm_stay_while_a_half_of_it_does() {
        check_without("database", true);
        check_without("federation", true);
        check_without("proxy,database", true);
        check_without("federation,proxy", false);
        check_without("federation-and-proxy", false);
    }
}
