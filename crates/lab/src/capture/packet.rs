//! Ethernet frames down to the ports: as much as it takes to say which row a packet belongs to.
//!
//! ARP ([RFC 826](https://www.rfc-editor.org/rfc/rfc826)), IPv4
//! ([RFC 791](https://www.rfc-editor.org/rfc/rfc791)) with fragments, IPv6
//! ([RFC 8200](https://www.rfc-editor.org/rfc/rfc8200)) with extension headers, ICMP, UDP and TCP.
//! Checksums are not looked at: between virtual links they are left to be filled in later.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use portolan_codec::{DecodeError, Fault, Reader};

/// EtherTypes.
const ARP: u16 = 0x0806;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// Internet protocol numbers.
const HOP_BY_HOP: u8 = 0;
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const ICMPV6: u8 = 58;
const DESTINATION_OPTIONS: u8 = 60;

/// Extension headers that one IPv6 packet may have.
const EXTENSION_HEADERS_MAX: usize = 8;

/// TCP's control bits.
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// A frame, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'frame> {
    /// The IP addresses, if it has any.
    pub ends: Option<(IpAddr, IpAddr)>,
    /// The IP hop limit or time to live.
    pub hops: u8,
    /// The fragments that belong together bear the same number.
    pub fragment: Option<u32>,
    /// What is inside.
    pub payload: Payload<'frame>,
}

/// What is inside a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload<'frame> {
    /// An ARP question or answer.
    Arp {
        /// The address it is about.
        target: Ipv4Addr,
    },
    /// A TCP segment.
    Tcp {
        /// The ports, from and to.
        ports: (u16, u16),
        /// The number of the first octet.
        sequence: u32,
        /// Whether it starts a direction of a connection.
        synchronises: bool,
        /// Whether it acknowledges something: the first segment of a connection does not.
        acknowledges: bool,
        /// The octets.
        octets: &'frame [u8],
    },
    /// A UDP datagram, or the first fragment of one.
    Udp {
        /// The ports, from and to.
        ports: (u16, u16),
    },
    /// An ICMP message.
    Icmp {
        /// Its type.
        kind: u8,
    },
    /// An ICMPv6 message.
    Icmpv6 {
        /// Its type.
        kind: u8,
    },
    /// A fragment that is not the first: its ports are in another packet.
    LaterFragment,
    /// Another protocol above IP.
    OtherProtocol {
        /// Its number.
        number: u8,
    },
    /// Something that is not IP.
    OtherFrame {
        /// Its EtherType, or a length.
        kind: u16,
    },
}

impl<'frame> Packet<'frame> {
    /// Takes a frame apart.
    ///
    /// # Errors
    /// [`DecodeError`] when a header is not whole or contradicts itself.
    pub fn parse(frame: &'frame [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(frame);
        reader.take(6 /* destination */ + 6 /* source */, "hardware addresses")?;
        let kind = reader.u16_be("EtherType")?.unchecked("unknown ones are named as such");
        match kind {
            ARP => Self::arp(reader),
            IPV4 => Self::ipv4(reader),
            IPV6 => Self::ipv6(reader),
            _ => Ok(Self::without_addresses(Payload::OtherFrame { kind })),
        }
    }

    /// From where to where, if the packet has ports.
    #[must_use]
    pub fn sockets(&self) -> Option<(SocketAddr, SocketAddr)> {
        let (source, destination) = self.ends?;
        match self.payload {
            Payload::Tcp { ports, .. } | Payload::Udp { ports } => {
                Some((SocketAddr::new(source, ports.0), SocketAddr::new(destination, ports.1)))
            }
            _ => None,
        }
    }

    fn without_addresses(payload: Payload<'frame>) -> Self {
        Self { ends: None, hops: 0, fragment: None, payload }
    }

    fn arp(mut reader: Reader<'frame>) -> Result<Self, DecodeError> {
        reader.take(
            2 + 2 /* address spaces */ + 1 + 1 /* lengths */ + 2 /* operation */ + 6 + 4 /* sender */
                + 6, /* target's hardware address */
            "ARP head",
        )?;
        let target = Ipv4Addr::from(reader.array::<4>("ARP target")?);
        Ok(Self::without_addresses(Payload::Arp { target }))
    }

    fn ipv4(mut reader: Reader<'frame>) -> Result<Self, DecodeError> {
        const WORD: usize = 4;
        const HEADER: usize = 20;
        let version_and_length = reader.u8("version and header length")?;
        let words = version_and_length.one_of("IPv4 with 5 or more words", |octet| {
            (octet >> 4 == 4 && octet & 0x0f >= 5).then_some(octet & 0x0f)
        })?;
        let header = usize::from(words) * WORD;
        reader.take(1, "type of service")?;
        let total = reader.u16_be("total length")?.unchecked("compared below");
        let identification = reader.u16_be("identification")?.unchecked("any is legal");
        let fragmentation = reader.u16_be("fragment offset")?.unchecked("both parts are used");
        let hops = reader.u8("time to live")?.unchecked("any is legal");
        let protocol = reader.u8("protocol")?.unchecked("unknown ones are named as such");
        reader.take(2, "header checksum")?;
        let source = Ipv4Addr::from(reader.array::<4>("source")?);
        let destination = Ipv4Addr::from(reader.array::<4>("destination")?);
        reader.take(header - HEADER, "options")?;
        // A sender that leaves segmentation to the link may leave the length to it as well.
        let length = match usize::from(total) {
            0 => reader.remaining(),
            total => total.checked_sub(header).ok_or_else(|| {
                reader.fault("total length", Fault::Malformed("it is less than the header's"))
            })?,
        };
        let (offset, more) = (fragmentation & 0x1fff, fragmentation & 0x2000 != 0);
        Ok(Self {
            ends: Some((source.into(), destination.into())),
            hops,
            fragment: (more || offset > 0).then_some(u32::from(identification)),
            payload: if offset > 0 {
                Payload::LaterFragment
            } else {
                Payload::parse(protocol, reader.sub(length, "payload")?)?
            },
        })
    }

    fn ipv6(mut reader: Reader<'frame>) -> Result<Self, DecodeError> {
        let first = reader.u32_be("version, class and flow")?;
        first.one_of("IPv6", |word| (word >> 28 == 6).then_some(()))?;
        let length = reader.u16_be("payload length")?.unchecked("compared below");
        let mut next = reader.u8("next header")?.unchecked("unknown ones are named as such");
        let hops = reader.u8("hop limit")?.unchecked("any is legal");
        let source = Ipv6Addr::from(reader.array::<16>("source")?);
        let destination = Ipv6Addr::from(reader.array::<16>("destination")?);
        let ends = Some((source.into(), destination.into()));
        let mut reader = match usize::from(length) {
            0 => reader,
            length => reader.sub(length, "payload")?,
        };
        let mut fragment = None;
        for _ in 0..EXTENSION_HEADERS_MAX {
            match next {
                HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => {
                    next = reader.u8("next header")?.unchecked("looked at in the next turn");
                    let units = reader.u8("header extension length")?.unchecked("bounded below");
                    // Counted in units of 8 octets, the first not included.
                    reader.take(usize::from(units) * 8 + 6, "extension header")?;
                }
                FRAGMENT => {
                    next = reader.u8("next header")?.unchecked("looked at in the next turn");
                    reader.take(1, "reserved")?;
                    let place = reader.u16_be("fragment offset")?.unchecked("any is legal");
                    let number = reader.u32_be("identification")?.unchecked("any is legal");
                    fragment = Some(number);
                    if place >> 3 > 0 {
                        let payload = Payload::LaterFragment;
                        return Ok(Self { ends, hops, fragment, payload });
                    }
                }
                _ => {
                    let payload = Payload::parse(next, reader)?;
                    return Ok(Self { ends, hops, fragment, payload });
                }
            }
        }
        Err(reader.fault("next header", Fault::Malformed("there are too many extension headers")))
    }
}

impl<'frame> Payload<'frame> {
    fn parse(protocol: u8, mut reader: Reader<'frame>) -> Result<Self, DecodeError> {
        let ports = |reader: &mut Reader<'_>| {
            let source = reader.u16_be("source port")?.unchecked("any is legal");
            let destination = reader.u16_be("destination port")?.unchecked("any is legal");
            Ok((source, destination))
        };
        match protocol {
            TCP => {
                let ports = ports(&mut reader)?;
                let sequence = reader.u32_be("sequence number")?.unchecked("any is legal");
                reader.take(4, "acknowledgment number")?;
                const WORD: usize = 4;
                const HEADER: usize = 20;
                let words = reader
                    .u8("data offset")?
                    .one_of("5 or more words", |octet| (octet >> 4 >= 5).then_some(octet >> 4))?;
                let control = reader.u8("control bits")?.unchecked("any is legal");
                reader.take(2 + 2 + 2, "window, checksum and urgent pointer")?;
                reader.take(usize::from(words) * WORD - HEADER, "options")?;
                Ok(Self::Tcp {
                    ports,
                    sequence,
                    synchronises: control & SYN != 0,
                    acknowledges: control & ACK != 0,
                    octets: reader.rest(),
                })
            }
            UDP => Ok(Self::Udp { ports: ports(&mut reader)? }),
            ICMP => Ok(Self::Icmp { kind: reader.u8("ICMP type")?.unchecked("any is legal") }),
            ICMPV6 => {
                Ok(Self::Icmpv6 { kind: reader.u8("ICMPv6 type")?.unchecked("any is legal") })
            }
            number => Ok(Self::OtherProtocol { number }),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame with an IP packet in it.
    pub(in crate::capture) fn ip_frame(
        from: IpAddr,
        to: IpAddr,
        protocol: u8,
        payload: &[u8],
    ) -> Vec<u8> {
        let mut frame = vec![0x02; 12];
        match (from, to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                frame.extend(IPV4.to_be_bytes());
                frame.extend([0x45, 0]);
                frame.extend(u16::try_from(20 + payload.len()).unwrap().to_be_bytes());
                frame.extend([0, 9, 0, 0, 64, protocol, 0, 0]);
                frame.extend(from.octets());
                frame.extend(to.octets());
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                frame.extend(IPV6.to_be_bytes());
                frame.extend([0x60, 0, 0, 0]);
                frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
                frame.extend([protocol, 255]);
                frame.extend(from.octets());
                frame.extend(to.octets());
            }
            _ => panic!("two families"),
        }
        frame.extend(payload);
        frame
    }

    /// A frame with a TCP segment in it.
    pub(in crate::capture) fn tcp_frame(
        from: SocketAddr,
        to: SocketAddr,
        sequence: u32,
        control: u8,
        octets: &[u8],
    ) -> Vec<u8> {
        let mut segment = from.port().to_be_bytes().to_vec();
        segment.extend(to.port().to_be_bytes());
        segment.extend(sequence.to_be_bytes());
        segment.extend([0, 0, 0, 0, 0x50, control, 1, 0, 0, 0, 0, 0]);
        segment.extend(octets);
        ip_frame(from.ip(), to.ip(), TCP, &segment)
    }

    /// A frame with a UDP datagram in it.
    pub(in crate::capture) fn udp_frame(
        from: SocketAddr,
        to: SocketAddr,
        octets: &[u8],
    ) -> Vec<u8> {
        let mut datagram = from.port().to_be_bytes().to_vec();
        datagram.extend(to.port().to_be_bytes());
        datagram.extend([0, 8, 0, 0]);
        datagram.extend(octets);
        ip_frame(from.ip(), to.ip(), UDP, &datagram)
    }

    #[test]
    fn a_segment_is_found_without_the_link_s_padding() {
        let (from, to) = ("10.77.0.20:40000".parse().unwrap(), "10.77.0.10:50000".parse().unwrap());
        let mut frame = tcp_frame(from, to, 7, SYN | ACK, b"abc");
        frame.extend([0; 3]);
        let packet = Packet::parse(&frame).unwrap();
        assert_eq!(packet.sockets(), Some((from, to)));
        assert_eq!(
            packet.payload,
            Payload::Tcp {
                ports: (40000, 50000),
                sequence: 7,
                synchronises: true,
                acknowledges: true,
                octets: b"abc",
            }
        );
    }

    #[test]
    fn extension_headers_are_stepped_over() {
        // A listener report as Linux sends it: a router alert in a hop-by-hop header before it.
        let report = [&[ICMPV6, 0, 5, 2, 0, 0, 1, 0][..], &[143, 0, 0, 0]].concat();
        let frame =
            ip_frame("fe80::1".parse().unwrap(), "ff02::16".parse().unwrap(), HOP_BY_HOP, &report);
        assert_eq!(Packet::parse(&frame).unwrap().payload, Payload::Icmpv6 { kind: 143 });

        let fragment = |place: u16| {
            let mut head = vec![UDP, 0];
            head.extend(place.to_be_bytes());
            head.extend([0, 0, 0, 77, 0, 1, 0, 2, 0, 0, 0, 0]);
            ip_frame("fd77::1".parse().unwrap(), "fd77::2".parse().unwrap(), FRAGMENT, &head)
        };
        let frame = fragment(1);
        let first = Packet::parse(&frame).unwrap();
        assert_eq!((first.fragment, first.payload), (Some(77), Payload::Udp { ports: (1, 2) }));
        let frame = fragment(8);
        let later = Packet::parse(&frame).unwrap();
        assert_eq!((later.fragment, later.payload), (Some(77), Payload::LaterFragment));

        let endless = [DESTINATION_OPTIONS, 0, 0, 0, 0, 0, 0, 0].repeat(20);
        let frame = ip_frame(
            "fd77::1".parse().unwrap(),
            "fd77::2".parse().unwrap(),
            DESTINATION_OPTIONS,
            &endless,
        );
        let error = Packet::parse(&frame).unwrap_err();
        assert_eq!(error.fault, Fault::Malformed("there are too many extension headers"));
    }

    #[test]
    fn arp_and_foreign_frames_have_no_addresses() {
        let mut frame = vec![0xff; 12];
        frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        frame.extend([2, 0, 0, 0, 0, 1, 10, 77, 0, 1, 0, 0, 0, 0, 0, 0, 10, 77, 0, 254]);
        let packet = Packet::parse(&frame).unwrap();
        assert_eq!(packet.payload, Payload::Arp { target: Ipv4Addr::new(10, 77, 0, 254) });
        assert_eq!(packet.ends, None);
        let lldp = [&[2; 12][..], &[0x88, 0xcc, 1, 2]].concat();
        assert_eq!(Packet::parse(&lldp).unwrap().payload, Payload::OtherFrame { kind: 0x88cc });
    }

    proptest! {
        #[test]
        fn arbitrary_frames_never_panic(frame: Vec<u8>, kind in prop::sample::select(vec![ARP, IPV4, IPV6])) {
            let _ = Packet::parse(&frame);
            let mut typed = vec![0; 12];
            typed.extend(kind.to_be_bytes());
            typed.extend(frame);
            let _ = Packet::parse(&typed);
        }

        #[test]
        fn every_shortened_segment_is_refused_or_shorter(length in 0_usize..60) {
            let (from, to) = ("[fd77::1]:1".parse().unwrap(), "[fd77::2]:2".parse().unwrap());
            let frame = tcp_frame(from, to, 1, ACK, b"0123456789");
            if length < frame.len() {
                prop_assert!(Packet::parse(&frame[..length]).is_err());
            }
        }
    }
}
