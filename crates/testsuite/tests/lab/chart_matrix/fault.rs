//! Faults in the way of a row: an nftables table of their own at the host at its other end, in front of the
//! lab's, which stays as it is.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use portolan_chart::{Flow, PortRange, Role, Row, TableId, Transport};
use portolan_lab::Lab;

use super::impostor::{Impostor, Kind};

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// The host answers that nothing listens there: a reset, or "port unreachable".
    Closed,
    /// Nobody answers.
    Dropped,
    /// The connection comes about, and the first data on it is answered by a reset.
    Reset,
    /// A server of another protocol listens there.
    WrongService,
    /// A TLS server with a certificate of an authority that nobody believes.
    Stranger,
    /// A TLS server with a certificate of a believed authority, expired an hour ago.
    Expired,
    /// The KDC's clock is ten minutes fast.
    Fast,
    /// It is ten minutes slow.
    Slow,
}

impl Fault {
    pub(super) const ALL: [Self; 8] = [
        Self::Closed,
        Self::Dropped,
        Self::Reset,
        Self::WrongService,
        Self::Stranger,
        Self::Expired,
        Self::Fast,
        Self::Slow,
    ];

    /// Those of a clock, which are no matter of packets.
    pub(super) const OF_CLOCKS: &[Self] = &[Self::Fast, Self::Slow];

    /// Seconds that the KDC's clock is fast.
    pub(super) const fn seconds_fast(self) -> i64 {
        match self {
            Self::Fast => 600,
            Self::Slow => -600,
            _ => 0,
        }
    }

    /// The column's head.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Dropped => "dropped",
            Self::Reset => "reset",
            Self::WrongService => "wrong service",
            Self::Stranger => "another authority's certificate",
            Self::Expired => "expired certificate",
            Self::Fast => "clock +10 min",
            Self::Slow => "clock −10 min",
        }
    }

    /// What a check has to say of the row.
    pub(super) const fn verdict(self) -> &'static str {
        match self {
            Self::Closed => "refused",
            Self::Dropped => "filtered",
            Self::Reset => "reset",
            Self::WrongService => "wrong-protocol",
            // Whoever issued it stands between the ends, for all that a check can know.
            Self::Stranger => "faulty: interception",
            Self::Expired => "faulty: certificate",
            Self::Fast | Self::Slow => "faulty: clock-skew",
        }
    }

    /// Whether such a thing can happen to a row.
    pub(super) fn applies(self, target: &Target) -> bool {
        match self {
            Self::Closed | Self::Dropped | Self::WrongService => true,
            Self::Reset => target.transport == Transport::Tcp,
            Self::Stranger | Self::Expired => target.is_tls,
            Self::Fast | Self::Slow => target.has_clock,
        }
    }
}

/// A row by one of its transports.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) flow: Flow,
    pub(super) transport: Transport,
    /// `Kerberos 88/udp`.
    pub(super) name: String,
    /// The host at the other end.
    pub(super) host: &'static str,
    pub(super) ports: Vec<PortRange>,
    is_tls: bool,
    has_clock: bool,
}

impl Target {
    /// The rows of Tables 1 and 2, by each of their transports.
    pub(super) fn all(lab: &Lab) -> Vec<Self> {
        let tables = ["1", "2"].map(|table| TableId::Page(table.to_owned()));
        let rows = lab.chart().all().filter(|row| tables.contains(&row.table));
        rows.flat_map(|row| row.transports.iter().map(|transport| Self::of(row, *transport)))
            .collect()
    }

    fn of(row: &Row, transport: Transport) -> Self {
        use portolan_chart::Speaks;
        let ports: Vec<_> = row.ports.iter().map(ToString::to_string).collect();
        Self {
            flow: row.flow,
            transport,
            name: format!("{} {}/{transport}", row.protocol, ports.join(", ")),
            host: if row.to == Role::Tenant { "tenant" } else { "dc1" },
            ports: row.ports.clone(),
            is_tls: matches!(row.speaks, Speaks::Ldaps | Speaks::Https),
            has_clock: row.speaks == Speaks::Kerberos,
        }
    }

    fn matches(&self) -> String {
        let ports: Vec<_> = self.ports.iter().map(ToString::to_string).collect();
        format!("iifname \"eth0\" {} dport {{ {} }}", self.transport, ports.join(", "))
    }
}

/// A fault that is there until this is dropped.
pub(super) struct Injected<'lab> {
    lab: &'lab Lab,
    host: &'static str,
    _impostor: Option<Impostor>,
}

impl<'lab> Injected<'lab> {
    /// Puts a fault in the way of a row. A skewed clock is no matter of packets, and is not put here.
    pub(super) fn into(
        lab: &'lab Lab,
        target: &Target,
        (fault, impostor): (Fault, impl FnOnce(Kind) -> Impostor),
    ) -> Self {
        let refusal = match target.transport {
            Transport::Tcp => "reject with tcp reset",
            Transport::Udp => "reject with icmpx type port-unreachable",
        };
        let place = target.matches();
        let (rule, impostor) = match fault {
            Fault::Closed => (filter(&format!("{place} {refusal}")), None),
            Fault::Dropped => (filter(&format!("{place} drop")), None),
            Fault::Reset => {
                (filter(&format!("{place} tcp flags & psh == psh reject with tcp reset")), None)
            }
            Fault::WrongService => redirect(&place, impostor(Kind::of(target.transport))),
            Fault::Stranger => redirect(&place, impostor(Kind::Stranger)),
            Fault::Expired => redirect(&place, impostor(Kind::Expired)),
            Fault::Fast | Fault::Slow => (String::new(), None),
        };
        if rule.contains("redirect") && target.transport == Transport::Udp {
            // Only what begins anew is redirected, and a port may be used again: see `forget_soon`.
            std::thread::sleep(2 * FORGOTTEN_AFTER);
        }
        nft(lab, target.host, &format!("table inet {TABLE} {{\n{rule}}}\n"));
        Self { lab, host: target.host, _impostor: impostor }
    }
}

impl Drop for Injected<'_> {
    fn drop(&mut self) {
        nft(self.lab, self.host, &format!("delete table inet {TABLE}\n"));
    }
}

const TABLE: &str = "fault";

/// After how long a host forgets who exchanged datagrams, in place of minutes.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(1);

/// Lets a host forget soon who exchanged datagrams.
pub(super) fn forget_soon(lab: &Lab, host: &str) {
    let mut command = lab.command(host, "sysctl").unwrap();
    let seconds = FORGOTTEN_AFTER.as_secs();
    for setting in ["udp_timeout", "udp_timeout_stream"] {
        command.arg(format!("net.netfilter.nf_conntrack_{setting}={seconds}"));
    }
    assert!(command.args(["--quiet", "--write"]).status().unwrap().success());
}

fn filter(rule: &str) -> String {
    format!("chain input {{ type filter hook input priority filter - 10;\n{rule}\n}}\n")
}

fn redirect(place: &str, impostor: Impostor) -> (String, Option<Impostor>) {
    let to = impostor.port();
    let rule = format!(
        "chain arriving {{ type nat hook prerouting priority dstnat;\n{place} redirect to :{to}\n}}\n"
    );
    (rule, Some(impostor))
}

fn nft(lab: &Lab, host: &str, rules: &str) {
    let mut command = lab.command(host, "nft").unwrap();
    let mut child = command.args(["--file", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{host}: {rules}");
}
