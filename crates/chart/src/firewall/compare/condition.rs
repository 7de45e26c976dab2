//! What a rule asks of a packet, in a logic of three values.

use std::collections::BTreeSet;

use crate::firewall::{Family, Prefix};

/// The numbers of protocols (RFC 5237 and IANA's list).
pub(super) mod protocol {
    pub(crate) const ICMP: u8 = 1;
    pub(crate) const TCP: u8 = 6;
    pub(crate) const UDP: u8 = 17;
    pub(crate) const ICMPV6: u8 = 58;

    /// The number of a protocol by its name in listings.
    pub(crate) fn named(name: &str) -> Option<u8> {
        let known = match name {
            "icmp" => ICMP,
            "igmp" => 2,
            "ipip" | "ipencap" => 4,
            "tcp" => TCP,
            "udp" => UDP,
            "dccp" => 33,
            "ipv6" => 41,
            "gre" => 47,
            "esp" => 50,
            "ah" => 51,
            "icmpv6" | "ipv6-icmp" => ICMPV6,
            "ospf" => 89,
            "pim" => 103,
            "vrrp" => 112,
            "sctp" => 132,
            "udplite" => 136,
            number => return number.parse().ok(),
        };
        Some(known)
    }
}

/// Yes, no, or not to be known from a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Truth {
    Yes,
    No,
    Unknown,
}

impl Truth {
    fn of(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }

    fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
        }
    }
}

/// Numbers as ranges, both ends included: in order, and apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Ranges(Vec<(u128, u128)>);

impl Ranges {
    pub(super) fn new(ranges: impl IntoIterator<Item = (u128, u128)>) -> Self {
        let mut sorted: Vec<_> = ranges.into_iter().filter(|(first, last)| first <= last).collect();
        sorted.sort_unstable();
        let mut apart: Vec<(u128, u128)> = Vec::with_capacity(sorted.len());
        for (first, last) in sorted {
            match apart.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => {
                    before.1 = before.1.max(last)
                }
                _ => apart.push((first, last)),
            }
        }
        Self(apart)
    }

    pub(super) fn contains(&self, number: u128) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < number);
        self.0.get(at).is_some_and(|(first, _)| *first <= number)
    }

    /// Whether all of a span is in it, none, or some.
    fn holds(&self, (first, last): (u128, u128)) -> Truth {
        let at = self.0.partition_point(|range| range.1 < first);
        match self.0.get(at) {
            Some(range) if range.0 <= first && last <= range.1 => Truth::Yes,
            Some(range) if range.0 <= last => Truth::Unknown,
            _ => Truth::No,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u128, u128)> {
        self.0.iter().copied()
    }
}

/// The source or the destination of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Source,
    Destination,
}

/// The state of a packet's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connection {
    New,
    Established,
}

/// Where one end of a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// At this address.
    At(u128),
    /// The host itself.
    Own,
    /// Anywhere: asks what holds whatever the address is.
    Anywhere,
}

/// A packet of which a part may be left open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet {
    pub(super) family: Family,
    pub(super) protocol: u8,
    pub(super) connection: Connection,
    /// The first of a TCP connection: SYN alone.
    pub(super) opens: bool,
    pub(super) source: (Place, Option<u16>),
    pub(super) destination: (Place, Option<u16>),
}

impl Packet {
    fn end(&self, of: Of) -> (Place, Option<u16>) {
        match of {
            Of::Source => self.source,
            Of::Destination => self.destination,
        }
    }
}

/// What a rule asks.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    Constant(bool),
    Family(Family),
    Protocol(Ranges),
    Address(Of, Ranges),
    Port(Of, Ranges),
    Connection {
        new: bool,
        established: bool,
    },
    /// SYN without ACK, RST and FIN.
    Opens,
    Not(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
    /// Something that a listing does not tell, in words.
    Unknown(String),
}

impl Condition {
    pub(super) fn protocol(number: u8) -> Self {
        Self::Protocol(Ranges::new([(u128::from(number), u128::from(number))]))
    }

    pub(super) fn not(self) -> Self {
        Self::Not(Box::new(self))
    }

    /// Whether it holds of a packet, on a host of these addresses.
    pub(super) fn truth(&self, packet: &Packet, own: &[Prefix]) -> Truth {
        match self {
            Self::Constant(value) => Truth::of(*value),
            Self::Family(family) => Truth::of(packet.family == *family),
            Self::Protocol(ranges) => Truth::of(ranges.contains(u128::from(packet.protocol))),
            Self::Address(of, ranges) => address(packet.end(*of).0, ranges, packet.family, own),
            Self::Port(of, ranges) => match packet.protocol {
                protocol::TCP | protocol::UDP => match packet.end(*of).1 {
                    Some(port) => Truth::of(ranges.contains(u128::from(port))),
                    None => match ranges.holds((1, u128::from(u16::MAX))) {
                        Truth::Yes => Truth::Yes,
                        Truth::No | Truth::Unknown => Truth::Unknown,
                    },
                },
                _ => Truth::Unknown,
            },
            Self::Connection { new, established } => Truth::of(match packet.connection {
                Connection::New => *new,
                Connection::Established => *established,
            }),
            Self::Opens => match (packet.protocol, packet.opens) {
                (protocol::TCP, true) => Truth::Yes,
                (protocol::TCP, false) => Truth::Unknown,
                _ => Truth::No,
            },
            Self::Not(inner) => inner.truth(packet, own).not(),
            Self::All(parts) => first_or(parts, Truth::No, Truth::Yes, packet, own),
            Self::Any(parts) => first_or(parts, Truth::Yes, Truth::No, packet, own),
            Self::Unknown(_) => Truth::Unknown,
        }
    }

    /// The first thing that a listing does not tell, in words.
    pub(super) fn doubt(&self, packet: &Packet, own: &[Prefix]) -> Option<String> {
        if self.truth(packet, own) != Truth::Unknown {
            return None;
        }
        match self {
            Self::Unknown(what) => Some(what.clone()),
            Self::Address(..) => Some("the host's own address".to_owned()),
            Self::Port(..) => Some("the port of the side that opens".to_owned()),
            Self::Opens => Some("the flags of TCP".to_owned()),
            Self::Not(inner) => inner.doubt(packet, own),
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().find_map(|part| part.doubt(packet, own))
            }
            _ => None,
        }
    }

    /// Where the answer may change: the first of each range, and what comes after its last.
    pub(super) fn borders(&self, family: Option<Family>, borders: &mut Borders) {
        match self {
            Self::Address(_, ranges) => {
                for (first, last) in ranges.iter() {
                    for known in
                        Family::BOTH.into_iter().filter(|it| family.is_none_or(|f| f == *it))
                    {
                        let list = borders.addresses(known);
                        list.insert(first);
                        list.extend(last.checked_add(1));
                    }
                }
            }
            Self::Port(_, ranges) => {
                for (first, last) in ranges.iter() {
                    borders.ports.insert(first);
                    borders.ports.insert(last + 1);
                }
            }
            Self::Protocol(ranges) => {
                for (first, last) in ranges.iter() {
                    borders.protocols.insert(first);
                    borders.protocols.insert(last + 1);
                }
            }
            Self::Not(inner) => inner.borders(family, borders),
            Self::All(parts) => {
                // Addresses beside a family are that family's.
                let said = parts.iter().find_map(|part| match part {
                    Self::Family(family) => Some(*family),
                    _ => None,
                });
                parts.iter().for_each(|part| part.borders(said.or(family), borders));
            }
            Self::Any(parts) => parts.iter().for_each(|part| part.borders(family, borders)),
            _ => {}
        }
    }
}

/// The numbers at which some rule's answer may change.
#[derive(Debug, Clone, Default)]
pub(super) struct Borders {
    v4: BTreeSet<u128>,
    v6: BTreeSet<u128>,
    pub(super) ports: BTreeSet<u128>,
    pub(super) protocols: BTreeSet<u128>,
}

impl Borders {
    pub(super) fn addresses(&mut self, family: Family) -> &mut BTreeSet<u128> {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }
}

/// `decisive` when a part is, `Unknown` when none is and a part is unknown, else `otherwise`.
fn first_or(
    parts: &[Condition],
    decisive: Truth,
    otherwise: Truth,
    packet: &Packet,
    own: &[Prefix],
) -> Truth {
    let mut result = otherwise;
    for part in parts {
        match part.truth(packet, own) {
            truth if truth == decisive => return decisive,
            Truth::Unknown => result = Truth::Unknown,
            _ => {}
        }
    }
    result
}

fn address(place: Place, ranges: &Ranges, family: Family, own: &[Prefix]) -> Truth {
    match place {
        Place::At(number) => Truth::of(ranges.contains(number)),
        Place::Anywhere => match ranges.holds((0, family.last())) {
            Truth::Yes => Truth::Yes,
            Truth::No if ranges.iter().next().is_none() => Truth::No,
            _ => Truth::Unknown,
        },
        Place::Own => {
            let mut truths = own
                .iter()
                .filter(|prefix| prefix.family() == family)
                .map(|prefix| ranges.holds(prefix.span()));
            match truths.next() {
                None => address(Place::Anywhere, ranges, family, own),
                Some(first) if truths.all(|truth| truth == first) => first,
                Some(_) => Truth::Unknown,
            }
        }
    }
}
