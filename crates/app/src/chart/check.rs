//! `portolan chart check`: each row of a role asked in its own protocol.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use portolan_chart::{Chart, Role};
use portolan_model::DnsName;
use portolan_net::{Network, NetworkConfig, Peer, Proxy};
use portolan_probe::{Check, Deployment, Host, Limits, Report, Verdict};

use crate::report::Failure;

/// What `portolan chart check` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The role that this machine plays.
    #[arg(long)]
    role: String,
    /// The edition, by its date; without it, the one in force by default.
    #[arg(long, value_name = "DATE")]
    edition: Option<String>,
    /// The forest's DNS name; its domain controllers are found by DNS unless --host names some.
    #[arg(long, value_name = "NAME")]
    forest: Option<DnsName>,
    /// The tenant's host.
    #[arg(long, value_name = "HOST")]
    tenant: Option<String>,
    /// Another host at the end of a row, and its addresses when its name is not to be resolved:
    /// `forest=dc1.corp.example` or `federation=sts.corp.example=10.0.0.5`. May be given often.
    #[arg(long, value_name = "ROLE=HOST[=ADDRESS,…]")]
    host: Vec<String>,
    /// The web proxy by which the tenant is reached: http://HOST:PORT.
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// Name servers in place of those of /etc/resolv.conf.
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    dns: Vec<IpAddr>,
    /// Seconds after which a silent row counts as filtered.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=120))]
    timeout: u64,
}

/// Checks, and prints what was found.
///
/// # Errors
/// A [`Failure`] when something is not open, or cannot be asked.
pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let check = Check::prepare(deployment(args)?).await;
    let report = check.run(None).await;
    print!("{}", text(&report));
    let closed = report.rows.iter().filter(|row| !row.is_open()).count();
    match closed {
        0 => Ok(()),
        _ => Err(Failure::new(format!("{closed} of {} rows are not open", report.rows.len()))),
    }
}

fn deployment(args: Args) -> Result<Deployment, Failure> {
    let role: Role = args.role.parse()?;
    let chart = match &args.edition {
        Some(id) => Chart::edition(id)?,
        None => Chart::default_edition(),
    };
    let mut hosts = Vec::new();
    if let Some(tenant) = &args.tenant {
        hosts.push(Host { role: Role::Tenant, peer: peer(tenant)?, addresses: Vec::new() });
    }
    for text in &args.host {
        hosts.push(host(text)?);
    }
    let limits = Limits { probe_time_max: Duration::from_secs(args.timeout), ..Limits::default() };
    let mut config = NetworkConfig::new(chart.clone(), role);
    config.name_servers = (!args.dns.is_empty()).then_some(args.dns);
    config.proxy = match args.proxy.as_deref().map(str::parse::<Proxy>).transpose() {
        Ok(proxy) => proxy,
        Err(error) => return Err(Failure::because("--proxy", &error)),
    };
    config.limits.address_time_max = limits.probe_time_max;
    config.limits.total_time_max = limits.probe_time_max;
    let network = Network::new(config)?;
    let (trusted, idle) = (Vec::new(), false);
    Ok(Deployment { role, chart, forest: args.forest, hosts, network, trusted, idle, limits })
}

fn peer(text: &str) -> Result<Peer, Failure> {
    text.parse().map_err(|error| Failure::because("no host", &error))
}

fn host(text: &str) -> Result<Host, Failure> {
    let malformed = || {
        Failure::new(format!("{text:?} is no host of a role"))
            .with_hint("write ROLE=HOST, or ROLE=HOST=ADDRESS,ADDRESS")
    };
    let mut parts = text.splitn(3, '=');
    let role = parts.next().ok_or_else(malformed)?.parse::<Role>()?;
    let peer = peer(parts.next().ok_or_else(malformed)?)?;
    let addresses = parts.next().map_or_else(
        || Ok(Vec::new()),
        |list| list.split(',').map(str::parse).collect::<Result<Vec<IpAddr>, _>>(),
    );
    Ok(Host { role, peer, addresses: addresses.map_err(|_| malformed())? })
}

fn text(report: &Report) -> String {
    let mut out = String::new();
    for row in &report.rows {
        for finding in &row.findings {
            let question = &finding.question;
            let port = question.port.unwrap_or_else(|| row.row.first_port());
            let peer = question.peer.as_ref().map(Peer::to_string).unwrap_or_default();
            let at = question.address.map(|address| format!(" ({address})")).unwrap_or_default();
            let more = match &finding.outcome.verdict {
                Verdict::Unjudged { why } => why.clone(),
                Verdict::WrongProtocol { heard } => format!("heard {heard}"),
                Verdict::Faulty(defects) => {
                    let texts: Vec<_> = defects.iter().map(|defect| defect.text.as_str()).collect();
                    texts.join("; ")
                }
                _ => finding.outcome.notes.join("; "),
            };
            // Writing to a String cannot fail.
            let _ = writeln!(
                out,
                "{:14} {:>5} ms  {peer}{at}: {}  {more}",
                finding.outcome.verdict.name(),
                finding.latency.as_millis(),
                row.row.describe(port, question.transport),
            );
        }
    }
    out
}
