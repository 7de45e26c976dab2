//! Why a peer was not reached, by the chart row on which it was to be reached.

use std::fmt;
use std::io;
use std::time::Duration;

use portolan_chart::Role;
use portolan_model::Hint;
use tokio::time::timeout;

use super::proxy::ProxyFault;
use crate::clock;

/// The end of a sentence about one connection: who, to whom, by which row. It prints as
/// `connect -> dc1.corp.example: Table 1, LDAP 389/tcp`, and every driver's errors begin with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub(crate) from: Role,
    pub(crate) peer: String,
    pub(crate) row: String,
}

impl Link {
    /// The role that opens the connection.
    #[must_use]
    pub const fn from(&self) -> Role {
        self.from
    }

    /// The peer, as it was asked for.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// The row, as the chart describes it: `Table 1, LDAP 389/tcp`.
    #[must_use]
    pub fn row(&self) -> &str {
        &self.row
    }

    /// What to do when this row is closed.
    #[must_use]
    pub fn open_it(&self) -> String {
        let Self { from, peer, row } = self;
        format!("open {row} from {from} to {peer}, or run `portolan chart list --role {from}`")
    }

    /// What to do when the peer broke off.
    pub(crate) fn look_at_peer(&self) -> String {
        format!("look whether {} is up, then try again", self.peer)
    }

    /// What to do about a peer that does not speak the row's protocol.
    pub(crate) fn other_service(&self) -> String {
        let Self { peer, row, .. } = self;
        format!(
            "look whether {peer} itself answers on {row}, and no other service and nothing in between"
        )
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}: {}", self.from, self.peer, self.row)
    }
}

/// A connection or an exchange that did not come about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{link} {fault}")]
pub struct DialError {
    /// Who, to whom, by which row.
    pub link: Link,
    /// What happened.
    pub fault: Fault,
}

/// What happened to a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The host, or a firewall in its name, answered that nothing listens there.
    Refused,
    /// A firewall on the way, or this host's own, answered that it does not let it pass.
    Rejected,
    /// Nobody answered.
    Filtered {
        /// How long was waited.
        after: Duration,
    },
    /// The peer, or something in its name, broke the connection off.
    Reset,
    /// The host does not answer on its own network.
    HostDown,
    /// This host has no route there.
    NoRoute,
    /// The name does not exist, or has no address.
    NoSuchName {
        /// The name that was asked for.
        name: String,
    },
    /// No name server answered.
    NameServerSilent {
        /// The name that was asked for.
        name: String,
        /// What was heard instead of an answer.
        heard: String,
    },
    /// The edition in force has no such flow.
    NotOnTheChart,
    /// The row names a range, and the port to use was not given.
    PortNotNamed,
    /// The port lies outside the row's range.
    OutsideTheRow {
        /// The port that was named.
        port: u16,
    },
    /// The datagram that came back was longer than the limit.
    ReplyTooLong,
    /// A web proxy on the way did not pass it on.
    Proxy(
        /// What it did.
        Box<ProxyFault>,
    ),
    /// Anything else the system says.
    System {
        /// The system's own words.
        text: String,
    },
}

/// What the system gives within the limit. Beyond it the peer counts as silent.
pub(crate) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = io::Result<T>>,
) -> Result<T, Fault> {
    let begun = clock::monotonic();
    match timeout(limit, work).await {
        Ok(outcome) => outcome.map_err(|error| Fault::of(&error, begun.elapsed())),
        Err(_) => Err(Fault::Filtered { after: limit }),
    }
}

/// An unreachable host is believed to be down when the system took this long to say so: address
/// resolution gives up after seconds, a firewall rejects at once.
const HOST_DOWN_AFTER_MIN: Duration = Duration::from_millis(900);

impl Fault {
    /// What the system's error means, if it came `elapsed` after the beginning.
    #[must_use]
    pub fn of(error: &io::Error, elapsed: Duration) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::PermissionDenied => Self::Rejected,
            io::ErrorKind::HostUnreachable if elapsed < HOST_DOWN_AFTER_MIN => Self::Rejected,
            io::ErrorKind::HostUnreachable => Self::HostDown,
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => Self::NoRoute,
            io::ErrorKind::TimedOut => Self::Filtered { after: elapsed },
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Self::Reset,
            _ => Self::System { text: error.to_string() },
        }
    }

    /// How much this tells the operator, when several addresses failed in different ways.
    pub(crate) const fn weight(&self) -> u8 {
        match self {
            Self::NoRoute | Self::System { .. } => 0,
            Self::HostDown => 1,
            Self::Filtered { .. } => 2,
            _ => 3,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("is refused"),
            Self::Rejected => f.write_str("is rejected by a firewall"),
            Self::Filtered { after } => {
                write!(f, "is filtered (no answer in {:.1} s)", after.as_secs_f32())
            }
            Self::Reset => f.write_str("was broken off by the peer"),
            Self::HostDown => f.write_str("finds its host down"),
            Self::NoRoute => f.write_str("has no route"),
            Self::NoSuchName { name } => write!(f, "says that {name} has no such record"),
            Self::NameServerSilent { name, heard } => {
                write!(f, "gives no answer for {name} ({heard})")
            }
            Self::NotOnTheChart => f.write_str("is not in the edition in force"),
            Self::PortNotNamed => f.write_str("is a range, and no port of it was named"),
            Self::OutsideTheRow { port } => write!(f, "does not contain port {port}"),
            Self::ReplyTooLong => f.write_str("sent an answer above the limit"),
            Self::Proxy(fault) => write!(f, "is not reached: {fault}"),
            Self::System { text } => write!(f, "fails: {text}"),
        }
    }
}

impl Hint for DialError {
    fn hint(&self) -> Option<String> {
        let Link { from, peer, row } = &self.link;
        Some(match &self.fault {
            Fault::Refused => format!(
                "look whether the service of {row} runs on {peer}, and {}",
                self.link.open_it()
            ),
            Fault::Rejected
            | Fault::Filtered { .. }
            | Fault::Reset
            | Fault::NameServerSilent { .. } => self.link.open_it(),
            Fault::HostDown => format!("look whether {peer} is up and on this network"),
            Fault::NoRoute => format!("give {from} an address and a route to {peer}"),
            Fault::NoSuchName { name } => {
                format!("look at the name {name}, and at the name servers in /etc/resolv.conf")
            }
            Fault::NotOnTheChart => {
                "choose an edition that has the flow: `portolan chart list`".to_owned()
            }
            Fault::OutsideTheRow { .. } => format!(
                "pin the peer's port into the range of {row}, or choose the edition whose range has it"
            ),
            Fault::Proxy(fault) => return fault.hint(),
            Fault::ReplyTooLong => self.link.other_service(),
            Fault::PortNotNamed | Fault::System { .. } => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(number: i32, elapsed_ms: u64, expected: &str) {
        let error = io::Error::from_raw_os_error(number);
        let fault = Fault::of(&error, Duration::from_millis(elapsed_ms));
        assert_eq!(fault.to_string(), expected, "{error}");
    }

    /// Linux's numbers (errno.h), as `connect` gives them for what a firewall answers.
    #[test]
    fn what_a_firewall_answers_is_told_from_what_a_host_answers() {
        check(111, 0, "is refused");
        // An administrative prohibition by ICMPv4, ICMPv6, and of the host's own firewall.
        check(113, 1, "is rejected by a firewall");
        check(13, 1, "is rejected by a firewall");
        check(1, 0, "is rejected by a firewall");
        // No answer to address resolution, after seconds.
        check(113, 3000, "finds its host down");
        check(101, 0, "has no route");
        check(110, 2500, "is filtered (no answer in 2.5 s)");
        check(104, 5, "was broken off by the peer");
        check(24, 0, "fails: Too many open files (os error 24)");
    }

    #[test]
    fn each_fault_of_a_row_has_its_way_out() {
        let hint = |fault| {
            let link = Link {
                from: Role::Connect,
                peer: "dc1.corp.example".to_owned(),
                row: "Table 1, LDAP".to_owned(),
            };
            DialError { link, fault }.hint().unwrap_or_default()
        };
        let open = "open Table 1, LDAP from connect to dc1.corp.example, or run \
                    `portolan chart list --role connect`";
        assert_eq!(hint(Fault::Rejected), open);
        assert_eq!(hint(Fault::Filtered { after: Duration::ZERO }), open);
        assert!(hint(Fault::Refused).ends_with(open));
        assert!(hint(Fault::OutsideTheRow { port: 1 }).contains("range of Table 1, LDAP"));
        assert_eq!(hint(Fault::System { text: String::new() }), "");
    }
}
