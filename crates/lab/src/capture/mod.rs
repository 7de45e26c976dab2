//! What crossed the networks, packet by packet against the chart.
//!
//! A packet that is in no row is off the chart, with three exceptions: ARP, neighbour discovery and
//! ICMP errors. Everything in a recording is a stranger's: what does not parse is off the chart too.

mod packet;
mod pcap;
mod search;
mod stream;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;

use portolan_chart::firewall::{self, Host};
use portolan_chart::{Chart, Flow, Row, Transport};

pub use packet::{Packet, Payload};
pub use pcap::{Frame, Recording};
pub use search::Hit;

use crate::plan::Network;

/// Everything that crossed a lab's networks.
#[derive(Debug, Clone)]
pub struct Capture {
    /// What was in a row, by network and row.
    pub rows: Vec<RowCount>,
    /// What is on the chart without a row.
    pub excepted: Vec<ExceptedCount>,
    /// What is neither.
    pub off_chart: Vec<OffChart>,
    recordings: Vec<Recording>,
    /// The flow of every frame, in the order of the recordings.
    flows: Vec<Vec<Option<Flow>>>,
}

/// Packets of one row on one network. What is routed crosses both and is counted on both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowCount {
    /// The row's flow.
    pub flow: Flow,
    /// The row, as errors name it: `Table 1, LDAP`.
    pub row: String,
    /// The network.
    pub network: Network,
    /// Packets in both directions.
    pub packets: u64,
    /// Octets of their frames.
    pub octets: u64,
}

/// Packets that are on the chart without a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExceptedCount {
    /// Why.
    pub exception: Exception,
    /// The network.
    pub network: Network,
    /// Packets.
    pub packets: u64,
}

/// Why a packet needs no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exception {
    /// Address resolution for IPv4, RFC 826.
    Arp,
    /// Address resolution for IPv6, RFC 4861.
    NeighbourDiscovery,
    /// Words on packets that did not arrive, RFC 792 and RFC 4443.
    IcmpError,
}

impl Exception {
    /// As reports name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Arp => "ARP",
            Self::NeighbourDiscovery => "neighbour discovery",
            Self::IcmpError => "ICMP errors",
        }
    }
}

/// A packet off the chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffChart {
    /// The network.
    pub network: Network,
    /// When, in nanoseconds since the network's first frame.
    pub nanoseconds: u64,
    /// The packet: `udp 10.77.0.10:5000 -> 10.77.0.1:123`.
    pub packet: String,
    /// Octets of its frame.
    pub octets: usize,
}

impl fmt::Display for OffChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { network, nanoseconds, packet, octets } = self;
        let milliseconds = nanoseconds / 1_000_000;
        let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
        write!(f, "{} +{seconds}.{rest:03} s  {packet}  ({octets} octets)", network.name())
    }
}

/// What a packet is to the chart.
#[derive(Debug, Clone, Copy)]
enum Place<'chart> {
    In(&'chart Row),
    Excepted(Exception),
    Off,
}

impl Capture {
    /// Sorts recordings by the rows of a chart between these hosts.
    #[must_use]
    pub fn new(recordings: Vec<Recording>, chart: &Chart, hosts: &[Host]) -> Self {
        let mut tally = Tally::default();
        let mut flows = Vec::new();
        for recording in &recordings {
            let mut fragments = Fragments::default();
            let start = recording.frames().next().map_or(0, |frame| frame.nanoseconds);
            let count = |frame: Frame<'_>| {
                let parsed = Packet::parse(frame.octets);
                let place = parsed
                    .as_ref()
                    .map_or(Place::Off, |packet| fragments.place(packet, chart, hosts));
                tally.add(recording.network(), place, frame.octets.len());
                match place {
                    Place::In(row) => return Some(row.flow),
                    Place::Excepted(_) => {}
                    Place::Off => tally.off_chart.push(OffChart {
                        network: recording.network(),
                        nanoseconds: frame.nanoseconds.saturating_sub(start),
                        packet: parsed.map_or_else(|error| error.to_string(), |it| describe(&it)),
                        octets: frame.octets.len(),
                    }),
                }
                None
            };
            flows.push(recording.frames().map(count).collect());
        }
        let Tally { rows, excepted, off_chart } = tally;
        Self {
            rows: rows.into_values().collect(),
            excepted: excepted.into_values().collect(),
            off_chart,
            recordings,
            flows,
        }
    }

    /// The recordings.
    #[must_use]
    pub fn recordings(&self) -> &[Recording] {
        &self.recordings
    }

    /// Packets of a flow on both networks.
    #[must_use]
    pub fn packets(&self, flow: Flow) -> u64 {
        self.rows.iter().filter(|count| count.flow == flow).map(|count| count.packets).sum()
    }

    /// Packets of a flow by one transport, on both networks. Of a datagram in fragments only the
    /// first one says its transport.
    #[must_use]
    pub fn packets_over(&self, flow: Flow, transport: Transport) -> usize {
        let frames = self.recordings.iter().zip(&self.flows);
        let frames = frames.flat_map(|(recording, flows)| recording.frames().zip(flows));
        let of_flow = frames.filter(|(_, of)| **of == Some(flow));
        of_flow
            .filter(|(frame, _)| match Packet::parse(frame.octets).map(|it| it.payload) {
                Ok(Payload::Tcp { .. }) => transport == Transport::Tcp,
                Ok(Payload::Udp { .. }) => transport == Transport::Udp,
                _ => false,
            })
            .count()
    }

    /// Finds octets that should not be there: in the payloads of TCP put together again, and in all
    /// other packets as they are. Only packets of these `flows` are looked at; all of them, also
    /// those off the chart, when `flows` is empty. Empty needles are found nowhere.
    #[must_use]
    pub fn search(&self, needles: &[Vec<u8>], flows: &[Flow]) -> Vec<Hit> {
        search::search(&self.recordings, &self.flows, needles, flows)
    }
}

/// Numbers for the report, in the order of the chart's rows.
#[derive(Debug, Default)]
struct Tally {
    rows: BTreeMap<(bool, u16, Flow, &'static str), RowCount>,
    excepted: BTreeMap<(Exception, &'static str), ExceptedCount>,
    off_chart: Vec<OffChart>,
}

impl Tally {
    fn add(&mut self, network: Network, place: Place<'_>, octets: usize) {
        match place {
            Place::In(row) => {
                let key = (row.is_erratum(), row.number, row.flow, network.name());
                let count = self.rows.entry(key).or_insert_with(|| RowCount {
                    flow: row.flow,
                    row: format!("{}, {}", row.table, row.protocol),
                    network,
                    packets: 0,
                    octets: 0,
                });
                count.packets += 1;
                count.octets += octets as u64;
            }
            Place::Excepted(exception) => {
                let count = self
                    .excepted
                    .entry((exception, network.name()))
                    .or_insert(ExceptedCount { exception, network, packets: 0 });
                count.packets += 1;
            }
            Place::Off => {}
        }
    }
}

/// The rows of datagrams whose first fragment was seen.
#[derive(Debug, Default)]
struct Fragments<'chart> {
    rows: HashMap<(IpAddr, IpAddr, u32), &'chart Row>,
}

impl<'chart> Fragments<'chart> {
    fn place(
        &mut self,
        packet: &Packet<'_>,
        chart: &'chart Chart,
        hosts: &[Host],
    ) -> Place<'chart> {
        /// ICMP: destination unreachable, time exceeded, parameter problem.
        const ICMP_ERRORS: [u8; 3] = [3, 11, 12];
        /// ICMPv6: destination unreachable, packet too big, time exceeded, parameter problem.
        const ICMPV6_ERRORS: [u8; 4] = [1, 2, 3, 4];
        /// Router and neighbour solicitation and advertisement, never routed.
        const NEIGHBOUR_DISCOVERY: std::ops::RangeInclusive<u8> = 133..=136;
        const NEVER_ROUTED_HOPS: u8 = 255;
        let datagram = packet
            .fragment
            .zip(packet.ends)
            .map(|(number, (source, destination))| (source, destination, number));
        let (transport, opening) = match packet.payload {
            Payload::Tcp { synchronises, acknowledges, .. } => {
                (Transport::Tcp, synchronises && !acknowledges)
            }
            Payload::Udp { .. } => (Transport::Udp, false),
            Payload::LaterFragment => {
                let row = datagram.and_then(|datagram| self.rows.get(&datagram));
                return row.map_or(Place::Off, |row| Place::In(row));
            }
            Payload::Arp { .. } => return Place::Excepted(Exception::Arp),
            Payload::Icmp { kind } if ICMP_ERRORS.contains(&kind) => {
                return Place::Excepted(Exception::IcmpError);
            }
            Payload::Icmpv6 { kind } if ICMPV6_ERRORS.contains(&kind) => {
                return Place::Excepted(Exception::IcmpError);
            }
            Payload::Icmpv6 { kind }
                if NEIGHBOUR_DISCOVERY.contains(&kind) && packet.hops == NEVER_ROUTED_HOPS =>
            {
                return Place::Excepted(Exception::NeighbourDiscovery);
            }
            _ => return Place::Off,
        };
        let row = packet.sockets().and_then(|(source, destination)| {
            let packet = firewall::Packet { transport, source, destination, opening };
            firewall::classify(chart, hosts, &packet)
        });
        if let Some((datagram, row)) = datagram.zip(row) {
            self.rows.insert(datagram, row);
        }
        row.map_or(Place::Off, Place::In)
    }
}

fn describe(packet: &Packet<'_>) -> String {
    let between = |what: String| match packet.ends {
        Some((source, destination)) => format!("{what} {source} -> {destination}"),
        None => what,
    };
    match (packet.payload, packet.sockets()) {
        (Payload::Tcp { .. }, Some((source, destination))) => {
            format!("tcp {source} -> {destination}")
        }
        (Payload::Udp { .. }, Some((source, destination))) => {
            format!("udp {source} -> {destination}")
        }
        (Payload::Icmp { kind }, _) => between(format!("icmp type {kind}")),
        (Payload::Icmpv6 { kind }, _) => between(format!("icmpv6 type {kind}")),
        (Payload::OtherProtocol { number }, _) => between(format!("protocol {number}")),
        (Payload::OtherFrame { kind }, _) => format!("EtherType {kind:#06x}"),
        _ => between("fragment without a first one".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use portolan_chart::flow;

    use super::packet::tests::{ip_frame, tcp_frame, udp_frame};
    use super::pcap::tests::recording;
    use super::*;
    use crate::plan;

    const SYN: u8 = 0x02;
    const ACK: u8 = 0x10;

    fn capture(frames: &[Vec<u8>]) -> Capture {
        let hosts: Vec<_> =
            plan::hosts(plan::Controllers::One).iter().map(plan::Host::firewall).collect();
        Capture::new(vec![recording(Network::Lan, frames)], &Chart::default_edition(), &hosts)
    }

    fn connect() -> SocketAddr {
        "10.77.0.20:40000".parse().unwrap()
    }

    fn controller(flow: Flow) -> SocketAddr {
        let port = Chart::default_edition().row(flow).unwrap().first_port();
        SocketAddr::new("10.77.0.10".parse().unwrap(), port)
    }

    #[test]
    fn packets_are_counted_by_row_in_both_directions() {
        let ldap = controller(flow::CONNECT_AD_LDAP);
        let capture = capture(&[
            tcp_frame(connect(), ldap, 1, SYN, b""),
            tcp_frame(ldap, connect(), 1, SYN | ACK, b""),
            udp_frame(connect(), controller(flow::CONNECT_AD_DNS), b"q"),
        ]);
        assert_eq!(capture.packets(flow::CONNECT_AD_LDAP), 2);
        assert_eq!(capture.packets(flow::CONNECT_AD_DNS), 1);
        assert_eq!(capture.packets_over(flow::CONNECT_AD_DNS, Transport::Udp), 1);
        assert_eq!(capture.packets_over(flow::CONNECT_AD_DNS, Transport::Tcp), 0);
        assert_eq!(capture.packets_over(flow::CONNECT_AD_LDAP, Transport::Tcp), 2);
        assert_eq!(capture.rows[1].row, "Table 1, LDAP");
        assert!(capture.off_chart.is_empty());
    }

    #[test]
    fn packets_without_a_row_are_listed() {
        let ldap = controller(flow::CONNECT_AD_LDAP);
        let report = [&[58, 0, 5, 2, 0, 0, 1, 0][..], &[143, 0, 0, 0]].concat();
        let (all, own) = ("ff02::16".parse().unwrap(), "fe80::1".parse().unwrap());
        let capture = capture(&[
            tcp_frame(ldap, connect(), 1, SYN, b""),
            udp_frame(connect(), "10.77.0.99:7".parse().unwrap(), b""),
            ip_frame(own, all, 0, &report),
            ip_frame(connect().ip(), ldap.ip(), 1, &[8, 0, 0, 0]),
            vec![0; 9],
        ]);
        let listed: Vec<_> = capture.off_chart.iter().map(ToString::to_string).collect();
        let port = ldap.port();
        assert_eq!(
            listed,
            [
                format!("lan +0.000 s  tcp 10.77.0.10:{port} -> 10.77.0.20:40000  (54 octets)"),
                "lan +0.001 s  udp 10.77.0.20:40000 -> 10.77.0.99:7  (42 octets)".to_owned(),
                "lan +0.002 s  icmpv6 type 143 fe80::1 -> ff02::16  (66 octets)".to_owned(),
                "lan +0.003 s  icmp type 8 10.77.0.20 -> 10.77.0.10  (38 octets)".to_owned(),
                "lan +0.004 s  hardware addresses at offset 0: needs 12 octets, 9 are left  \
                 (9 octets)"
                    .to_owned(),
            ]
        );
    }

    #[test]
    fn resolution_and_errors_need_no_row() {
        let (from, to) = (connect().ip(), controller(flow::CONNECT_AD_LDAP).ip());
        let (from6, to6) = ("fd77::20".parse().unwrap(), "fd77::10".parse().unwrap());
        let mut routed = ip_frame(from6, to6, 58, &[135, 0, 0, 0]);
        routed[14 + 7] = 64;
        let capture = capture(&[
            ip_frame(from, to, 1, &[3, 13, 0, 0]),
            ip_frame(from6, to6, 58, &[1, 1, 0, 0]),
            ip_frame(from6, to6, 58, &[135, 0, 0, 0]),
            routed,
        ]);
        let found: Vec<_> =
            capture.excepted.iter().map(|count| (count.exception, count.packets)).collect();
        assert_eq!(found, [(Exception::NeighbourDiscovery, 1), (Exception::IcmpError, 2)]);
        assert_eq!(capture.off_chart.len(), 1, "a routed neighbour solicitation is forged");
    }

    #[test]
    fn a_later_fragment_belongs_to_its_first_one_s_row() {
        let kerberos = controller(flow::CONNECT_AD_KERBEROS);
        let mut first = udp_frame(kerberos, connect(), b"ticket");
        first[14 + 6] = 0x20;
        let mut later = udp_frame(kerberos, connect(), b"more");
        later[14 + 7] = 0x10;
        let mut stray = later.clone();
        stray[14 + 5] = 99;
        let capture = capture(&[first, later, stray]);
        assert_eq!(capture.packets(flow::CONNECT_AD_KERBEROS), 2);
        assert_eq!(capture.off_chart.len(), 1);
    }

    #[test]
    fn a_needle_is_found_across_segments_and_only_in_the_flows_asked_for() {
        let ldap = controller(flow::CONNECT_AD_LDAP);
        let capture = capture(&[
            tcp_frame(connect(), ldap, u32::MAX - 2, SYN, b""),
            tcp_frame(connect(), ldap, 2, ACK, b"ice=x"),
            tcp_frame(connect(), ldap, u32::MAX - 1, ACK, b"..al"),
            tcp_frame(connect(), ldap, u32::MAX - 1, ACK, b"..al"),
            udp_frame(connect(), controller(flow::CONNECT_AD_DNS), b"bob"),
        ]);
        let needles = [b"alice".to_vec(), b"bob".to_vec(), b"carol".to_vec(), Vec::new()];
        let found = |flows: &[Flow]| {
            let hits = capture.search(&needles, flows);
            hits.iter().map(|hit| (hit.needle, hit.flow)).collect::<Vec<_>>()
        };
        let (name, query) = ((0, Some(flow::CONNECT_AD_LDAP)), (1, Some(flow::CONNECT_AD_DNS)));
        assert_eq!(found(&[]), [name, query]);
        assert_eq!(found(&[flow::CONNECT_AD_LDAP]), [name]);
        assert_eq!(found(&[flow::CONNECT_AD_DNS]), [query]);
    }
}
