//! TCP connections by flow.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use portolan_chart::{Flow, PortRange, Row, Transport};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::fault::{DialError, Fault, Link, within};
use super::{DialLimits, Network, Peer};

/// An open TCP connection, and the row that it stands on.
#[derive(Debug)]
pub struct Connection {
    /// The stream.
    pub stream: TcpStream,
    /// Who, to whom, by which row: later errors of this connection begin with it.
    pub link: Link,
}

impl Connection {
    /// Has the system leave the connection alone while nothing is said on it, so that whoever cuts idle
    /// connections does.
    ///
    /// # Errors
    /// The system's.
    pub fn leave_idle(&self) -> std::io::Result<()> {
        SockRef::from(&self.stream).set_keepalive(false)
    }
}

impl Network {
    /// Connects to a peer on the flow's port. Of a row with several ports each is tried; of a peer
    /// with several addresses each, IPv6 first, the next one beside it after a quarter of a second
    /// ([RFC 8305]). The tenant is reached by the configured proxy, if there
    /// is one.
    ///
    /// # Errors
    /// [`DialError`] with the row and what happened on it. Nothing is tried twice.
    ///
    /// [RFC 8305]: https://www.rfc-editor.org/rfc/rfc8305
    pub async fn dial(&self, flow: Flow, peer: impl Into<Peer>) -> Result<Connection, DialError> {
        let peer = peer.into();
        let row = self.row(flow, &peer, Transport::Tcp)?;
        if let Some(proxy) = self.proxy_of(row) {
            return self.tunnel(proxy, row, &peer, row.first_port()).await;
        }
        let ports: Vec<_> = row.ports.iter().filter_map(|range| range.single()).collect();
        let mut last = self.fail(&peer, row, row.first_port(), Fault::PortNotNamed);
        for port in ports {
            match self.dial_port(&peer, row, port).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Connects to a peer on a port that its endpoint mapper named, which must lie in the flow's
    /// range (the effective one: where the page prints a misprint, the chart has what is meant).
    ///
    /// # Errors
    /// [`DialError`] with the row and what happened on it; [`Fault::OutsideTheRow`] before anything
    /// is sent.
    pub async fn dial_dynamic(
        &self,
        flow: Flow,
        peer: impl Into<Peer>,
        port: u16,
    ) -> Result<Connection, DialError> {
        let peer = peer.into();
        let row = self.row(flow, &peer, Transport::Tcp)?;
        if !row.contains(port) {
            let link = range_link(&self.link(&peer, row, port, Transport::Tcp), row);
            return Err(DialError { link, fault: Fault::OutsideTheRow { port } });
        }
        self.dial_port(&peer, row, port).await
    }

    async fn dial_port(&self, peer: &Peer, row: &Row, port: u16) -> Result<Connection, DialError> {
        let limits = self.inner.limits;
        let end = Instant::now() + limits.total_time_max;
        let addresses = self.addresses(peer).await?;
        match race(&addresses, port, limits, end).await {
            Ok(stream) => {
                let link = self.link(peer, row, port, Transport::Tcp);
                Ok(Connection { stream, link })
            }
            Err(fault) => Err(self.fail(peer, row, port, fault)),
        }
    }

    /// The row of a flow, if the edition in force has one.
    pub(super) fn row(
        &self,
        flow: Flow,
        peer: &Peer,
        transport: Transport,
    ) -> Result<&Row, DialError> {
        let missing = || Link {
            from: self.inner.role,
            peer: peer.to_string(),
            row: format!("{flow} ({transport})"),
        };
        match self.inner.chart.row(flow) {
            Ok(row) if row.uses(transport) => Ok(row),
            _ => Err(DialError { link: missing(), fault: Fault::NotOnTheChart }),
        }
    }

    pub(super) fn fail(&self, peer: &Peer, row: &Row, port: u16, fault: Fault) -> DialError {
        DialError { link: self.link(peer, row, port, Transport::Tcp), fault }
    }
}

/// How long one address is tried alone before the next one is tried beside it ([RFC 8305 section 5],
/// Connection Attempt Delay).
///
/// [RFC 8305 section 5]: https://www.rfc-editor.org/rfc/rfc8305#section-5
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The first connection that comes about: an address that is silent holds nobody up, one that fails
/// gives way at once. Otherwise the fault that says most.
async fn race(
    addresses: &[IpAddr],
    port: u16,
    limits: DialLimits,
    end: Instant,
) -> Result<TcpStream, Fault> {
    let mut waiting = by_turns(addresses).into_iter();
    let mut racing = JoinSet::<Result<TcpStream, Fault>>::new();
    let mut next_at = Instant::now();
    let mut worst: Option<Fault> = None;
    loop {
        tokio::select! {
            biased;
            Some(ended) = racing.join_next() => match ended {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(fault)) => {
                    if worst.as_ref().is_none_or(|worst| worst.weight() <= fault.weight()) {
                        worst = Some(fault);
                    }
                    next_at = Instant::now();
                }
                // It is broken off with this alone.
                Err(_) => {}
            },
            () = sleep_until(next_at), if waiting.len() > 0 => {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    // What runs ends by now too, and nothing is begun any more.
                    waiting = Vec::new().into_iter();
                } else if let Some(address) = waiting.next() {
                    racing.spawn(connect(address, port, left.min(limits.address_time_max)));
                }
                next_at = Instant::now() + ATTEMPT_DELAY;
            }
            else => break,
        }
    }
    Err(worst.unwrap_or(Fault::Filtered { after: limits.total_time_max }))
}

/// The families in turn, each in its order, beginning with the first address's ([RFC 8305 section 4]).
///
/// [RFC 8305 section 4]: https://www.rfc-editor.org/rfc/rfc8305#section-4
fn by_turns(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let first = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (mut ones, mut others): (VecDeque<_>, VecDeque<_>) =
        addresses.iter().copied().partition(|address| address.is_ipv6() == first);
    let mut turns = Vec::with_capacity(addresses.len());
    while !(ones.is_empty() && others.is_empty()) {
        turns.extend(ones.pop_front());
        turns.extend(others.pop_front());
    }
    turns
}

pub(super) async fn connect(
    address: IpAddr,
    port: u16,
    limit: Duration,
) -> Result<TcpStream, Fault> {
    let stream = within(limit, TcpStream::connect(SocketAddr::new(address, port))).await?;
    // Requests are written whole: waiting for more to send would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "Cannot switch off Nagle's algorithm");
    }
    if let Err(error) = notice_death(&stream) {
        tracing::debug!(%error, "Cannot ask the system to notice a host that vanishes");
    }
    Ok(stream)
}

/// Has the system ask a silent peer's host whether it still holds the connection, and break it off when
/// the host does not say so: a server may work long on an answer, but its host does not fall silent.
fn notice_death(stream: &TcpStream) -> std::io::Result<()> {
    let socket = SockRef::from(stream);
    let probes = TcpKeepalive::new().with_time(PROBED_AFTER).with_interval(PROBED_AFTER);
    socket.set_tcp_keepalive(&probes)?;
    socket.set_tcp_user_timeout(Some(DEAD_AFTER))
}

/// How long a connection is quiet before the peer's host is asked, and asked again.
const PROBED_AFTER: Duration = Duration::from_secs(5);
/// How long a host may leave what was sent, or a question, without acknowledgement ([RFC 5482]).
///
/// [RFC 5482]: https://www.rfc-editor.org/rfc/rfc5482
const DEAD_AFTER: Duration = Duration::from_secs(15);

/// The link with its whole range in place of one port.
fn range_link(link: &Link, row: &Row) -> Link {
    let ranges = row.ports.iter().map(PortRange::to_string).collect::<Vec<_>>().join(", ");
    Link { row: format!("{}, {} {ranges}/tcp", row.table, row.protocol), ..link.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_families_take_turns_in_their_order() {
        let check = |addresses: &[&str], expected: &[&str]| {
            let parsed = |texts: &[&str]| -> Vec<IpAddr> {
                texts.iter().map(|text| text.parse().unwrap()).collect()
            };
            assert_eq!(by_turns(&parsed(addresses)), parsed(expected));
        };
        check(&["::1", "::2", "192.0.2.1"], &["::1", "192.0.2.1", "::2"]);
        check(
            &["192.0.2.1", "::1", "192.0.2.2", "192.0.2.3"],
            &["192.0.2.1", "::1", "192.0.2.2", "192.0.2.3"],
        );
        check(&[], &[]);
    }
}
