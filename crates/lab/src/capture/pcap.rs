//! Recordings in the form that tcpdump writes.
//!
//! See <https://datatracker.ietf.org/doc/html/draft-ietf-opsawg-pcap>. Read are both byte orders and
//! both resolutions of time, of Ethernet only. A last record that is not whole yet is left out: the
//! recorder may still be writing it.

use std::net::Ipv4Addr;
use std::ops::Range;

use portolan_codec::{DecodeError, Fault, Reader, Untrusted};

use super::packet::{Packet, Payload};
use crate::plan::Network;

/// The first four octets, as a number in the recorder's byte order.
const MAGIC_MICROSECONDS: u32 = 0xa1b2_c3d4;
const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
/// The LinkType of Ethernet.
const LINK_TYPE_ETHERNET: u32 = 1;
/// The LinkType's bits of its field; the others say whether frames end in a check sequence.
const LINK_TYPE_MASK: u32 = 0x0fff_ffff;
/// The largest frame that is believed, in octets: offloading makes frames of 64 KiB and a header.
const FRAME_OCTETS_MAX: usize = 262_144;

/// A network's recording.
#[derive(Debug, Clone)]
pub struct Recording {
    network: Network,
    octets: Vec<u8>,
    frames: Vec<Record>,
}

#[derive(Debug, Clone)]
struct Record {
    nanoseconds: u64,
    place: Range<usize>,
}

/// A frame of a recording.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'recording> {
    /// When it was recorded, in nanoseconds since 1970.
    pub nanoseconds: u64,
    /// The frame from its Ethernet header on.
    pub octets: &'recording [u8],
}

impl Recording {
    /// Parses a recording of a network.
    ///
    /// # Errors
    /// [`DecodeError`] when the head or a record's head is not what the form says.
    pub fn parse(network: Network, octets: Vec<u8>) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(&octets);
        let mut frames = Vec::new();
        if let Some(head) = Head::read(&mut reader)? {
            while let Some(record) = head.record(&mut reader)? {
                frames.push(record);
            }
        }
        Ok(Self { network, octets, frames })
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> Network {
        self.network
    }

    /// The frames in the order in which they were recorded.
    pub fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        self.frames.iter().map(|record| Frame {
            nanoseconds: record.nanoseconds,
            octets: &self.octets[record.place.clone()],
        })
    }
}

impl Frame<'_> {
    /// Whether this frame asks on the network who has an address.
    #[must_use]
    pub fn asks_for(&self, address: Ipv4Addr) -> bool {
        matches!(Packet::parse(self.octets), Ok(Packet { payload: Payload::Arp { target }, .. })
            if target == address)
    }
}

/// What the recording's head says of the records.
#[derive(Debug, Clone, Copy)]
struct Head {
    big_endian: bool,
    nanoseconds_per_tick: u64,
}

impl Head {
    /// Reads the head; `None` when the recorder has not written it whole yet.
    fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        const OCTETS: usize = 4 /* magic */ + 2 + 2 /* version */ + 4 + 4 /* reserved */
            + 4 /* snapshot length */ + 4 /* link type */;
        if reader.remaining() < OCTETS {
            return Ok(None);
        }
        let mut head = reader.sub(OCTETS, "head")?;
        let (big_endian, nanoseconds_per_tick) = head.u32_be("magic number")?.one_of(
            "the magic number of a recording",
            |magic| match (magic, magic.swap_bytes()) {
                (MAGIC_MICROSECONDS, _) => Some((true, 1000)),
                (MAGIC_NANOSECONDS, _) => Some((true, 1)),
                (_, MAGIC_MICROSECONDS) => Some((false, 1000)),
                (_, MAGIC_NANOSECONDS) => Some((false, 1)),
                _ => None,
            },
        )?;
        let this = Self { big_endian, nanoseconds_per_tick };
        head.take(16, "version, reserved and snapshot length")?;
        this.u32(&mut head, "link type")?.one_of("Ethernet", |kind| {
            (kind & LINK_TYPE_MASK == LINK_TYPE_ETHERNET).then_some(())
        })?;
        Ok(Some(this))
    }

    /// Reads a record; `None` when there is no whole one left.
    fn record(self, reader: &mut Reader<'_>) -> Result<Option<Record>, DecodeError> {
        const OCTETS: usize = 4 + 4 /* time */ + 4 /* captured length */ + 4 /* original length */;
        if reader.remaining() < OCTETS {
            return Ok(None);
        }
        let mut head = reader.sub(OCTETS, "record")?;
        let seconds = self.u32(&mut head, "seconds")?.unchecked("any time is legal");
        let fraction = self.u32(&mut head, "fraction")?.unchecked("only shown");
        let captured = self.u32(&mut head, "captured length")?.at_most(FRAME_OCTETS_MAX)?;
        let original = self.u32(&mut head, "original length")?.unchecked("compared next");
        if reader.remaining() < captured {
            return Ok(None);
        }
        if usize::try_from(original) != Ok(captured) {
            return Err(head.fault("captured length", Fault::Malformed("a frame was cut off")));
        }
        let start = reader.offset();
        reader.take(captured, "frame")?;
        let nanoseconds =
            u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * self.nanoseconds_per_tick;
        Ok(Some(Record { nanoseconds, place: start..start + captured }))
    }

    fn u32(
        self,
        reader: &mut Reader<'_>,
        field: &'static str,
    ) -> Result<Untrusted<u32>, DecodeError> {
        if self.big_endian { reader.u32_be(field) } else { reader.u32_le(field) }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A recording of these frames, a millisecond apart.
    pub(in crate::capture) fn recording(network: Network, frames: &[Vec<u8>]) -> Recording {
        Recording::parse(network, file(frames)).unwrap()
    }

    fn file(frames: &[Vec<u8>]) -> Vec<u8> {
        let mut octets = MAGIC_MICROSECONDS.to_le_bytes().to_vec();
        octets.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0]);
        for (index, frame) in frames.iter().enumerate() {
            let length = u32::try_from(frame.len()).unwrap();
            for number in [7, u32::try_from(index).unwrap() * 1000, length, length] {
                octets.extend(number.to_le_bytes());
            }
            octets.extend(frame);
        }
        octets
    }

    #[test]
    fn a_record_that_is_still_being_written_is_left_out() {
        let whole = file(&[vec![1; 60], vec![2; 80]]);
        for (cut, frames) in
            [(0, 2), (1, 1), (80, 1), (81, 1), (95, 1), (97, 0), (173, 0), (190, 0)]
        {
            let octets = whole[..whole.len() - cut].to_vec();
            let recording = Recording::parse(Network::Lan, octets).unwrap();
            assert_eq!(recording.frames().count(), frames, "{cut} octets cut off");
        }
    }

    #[test]
    fn both_byte_orders_and_resolutions_are_read() {
        let mut big = MAGIC_NANOSECONDS.to_be_bytes().to_vec();
        big.extend([0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 1]);
        big.extend([0, 0, 0, 3, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 1, 0xaa]);
        let recording = Recording::parse(Network::Wan, big).unwrap();
        let frame = recording.frames().next().unwrap();
        assert_eq!((frame.nanoseconds, frame.octets), (3_000_000_009, &[0xaa][..]));
    }

    #[test]
    fn what_is_no_recording_of_ethernet_is_refused() {
        let mut other_link = file(&[]);
        other_link[20] = 101;
        let mut cut_off = file(&[vec![0; 4]]);
        cut_off[24 + 12] = 5;
        let mut huge = file(&[vec![0; 4]]);
        huge[24 + 8 + 3] = 0x7f;
        for (octets, field) in [
            (vec![0; 24], "magic number"),
            (other_link, "link type"),
            (cut_off, "captured length"),
            (huge, "captured length"),
        ] {
            let error = Recording::parse(Network::Lan, octets).unwrap_err();
            assert_eq!(error.field, field);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_octets_never_panic(octets: Vec<u8>) {
            let _ = Recording::parse(Network::Lan, octets.clone());
            let mut behind_head = file(&[]);
            behind_head.extend(octets);
            let _ = Recording::parse(Network::Lan, behind_head);
        }

        #[test]
        fn every_frame_is_found_again(frames: Vec<Vec<u8>>) {
            let recording = recording(Network::Lan, &frames);
            let found: Vec<_> = recording.frames().map(|frame| frame.octets.to_vec()).collect();
            prop_assert_eq!(found, frames);
        }
    }
}
