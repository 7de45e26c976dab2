//! Which row a captured packet belongs to.

use std::net::{IpAddr, SocketAddr};

use super::Host;
use crate::{Chart, Row, Transport};

/// The part of a captured packet that decides its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// TCP or UDP.
    pub transport: Transport,
    /// Where it comes from.
    pub source: SocketAddr,
    /// Where it goes.
    pub destination: SocketAddr,
    /// Whether it is known to open a connection (a TCP SYN without ACK): then it belongs only to a row
    /// that its sender opens. A dynamic range would otherwise take a connection against the row's
    /// direction for an answer.
    pub opening: bool,
}

/// The row a packet belongs to, in the row's direction or as an answer; `None` when it is off the
/// chart. Where several rows share their hosts and port, the first in the chart's order is given.
#[must_use]
pub fn classify<'chart>(
    chart: &'chart Chart,
    hosts: &[Host],
    packet: &Packet,
) -> Option<&'chart Row> {
    let Packet { transport, source, destination, opening } = *packet;
    let asks = |row: &Row| joins(hosts, row, source.ip(), destination) && row.uses(transport);
    let answers = |row: &Row| joins(hosts, row, destination.ip(), source) && row.uses(transport);
    chart.all().find(|row| asks(row)).or_else(|| {
        if opening {
            return None;
        }
        chart.all().find(|row| answers(row))
    })
}

/// Whether a row leads from the host at `from` to the host and port at `to`.
fn joins(hosts: &[Host], row: &Row, from: IpAddr, to: SocketAddr) -> bool {
    let is_at = |host: &Host, address: IpAddr| host.addresses.contains(&address.to_canonical());
    row.contains(to.port())
        && hosts.iter().any(|host| host.plays(row.from) && is_at(host, from))
        && hosts.iter().any(|host| host.plays(row.to) && is_at(host, to.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::nftables::tests::company;

    fn check(packet: (&str, &str, &str, bool), expected: Option<&str>) {
        let (transport, source, destination, opening) = packet;
        let transport = if transport == "udp" { Transport::Udp } else { Transport::Tcp };
        let chart = Chart::default_edition();
        let row = classify(
            &chart,
            &company(),
            &Packet {
                transport,
                source: source.parse().unwrap(),
                destination: destination.parse().unwrap(),
                opening,
            },
        );
        assert_eq!(row.map(|row| row.flow.name()), expected, "{packet:?}");
    }

    #[test]
    fn packets_are_given_their_row_in_both_directions() {
        check(("tcp", "10.1.0.20:40000", "10.1.0.10:389", true), Some("connect.ad.ldap"));
        check(("tcp", "10.1.0.10:389", "10.1.0.20:40000", false), Some("connect.ad.ldap"));
        check(("udp", "10.1.0.20:40000", "10.1.0.10:88", false), Some("connect.ad.kerberos"));
        check(("tcp", "[fd00:1::20]:40000", "[fd00:2::40]:443", true), Some("connect.tenant.sync"));
        check(("tcp", "10.1.0.30:40000", "10.2.0.40:443", true), Some("workstation.tenant.https"));
        check(("udp", "10.1.0.10:40000", "10.1.0.1:53", false), Some("forest.resolver.dns"));
    }

    #[test]
    fn packets_off_the_chart_have_no_row() {
        // A wrong port, a wrong transport, a wrong direction, a stranger.
        check(("tcp", "10.1.0.20:40000", "10.1.0.10:445", true), None);
        check(("udp", "10.1.0.20:40000", "10.1.0.10:636", false), None);
        check(("tcp", "10.2.0.40:40000", "10.1.0.10:389", true), None);
        check(("tcp", "10.1.0.99:40000", "10.1.0.10:389", true), None);
    }

    #[test]
    fn an_opening_packet_is_never_taken_for_an_answer() {
        check(("tcp", "10.1.0.10:50001", "10.1.0.20:40000", false), Some("connect.ad.rpc"));
        check(("tcp", "10.1.0.10:50001", "10.1.0.20:40000", true), None);
    }
}
