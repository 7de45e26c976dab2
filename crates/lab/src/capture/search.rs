//! Looking for octets that should not be on a wire.

use std::net::SocketAddr;

use portolan_chart::Flow;

use super::packet::{Packet, Payload};
use super::pcap::Recording;
use super::stream::Streams;
use crate::plan::Network;

/// A place where a needle was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The needle, by its place among those searched for.
    pub needle: usize,
    /// The network.
    pub network: Network,
    /// The row of the packets it was in; `None` when they are off the chart or need none.
    pub flow: Option<Flow>,
    /// From where to where, if the packets have ports.
    pub sockets: Option<(SocketAddr, SocketAddr)>,
}

/// Finds needles in the packets of some flows, or of all. Each is found once a stream or packet.
pub(super) fn search(
    recordings: &[Recording],
    flows: &[Vec<Option<Flow>>],
    needles: &[Vec<u8>],
    wanted: &[Flow],
) -> Vec<Hit> {
    let needles = Needles::new(needles);
    let is_wanted =
        |flow: Option<Flow>| wanted.is_empty() || flow.is_some_and(|flow| wanted.contains(&flow));
    let mut hits = Vec::new();
    for (recording, flows) in recordings.iter().zip(flows) {
        let network = recording.network();
        let mut streams = Streams::default();
        let mut flow_of = std::collections::HashMap::new();
        let mut of_packets = Vec::new();
        for (frame, flow) in recording.frames().zip(flows).filter(|(_, flow)| is_wanted(**flow)) {
            let packet = Packet::parse(frame.octets).ok();
            let sockets = packet.and_then(|packet| packet.sockets());
            match (packet.map(|packet| packet.payload), sockets) {
                (Some(Payload::Tcp { sequence, synchronises, octets, .. }), Some(ends)) => {
                    streams.push(ends, sequence, synchronises, octets);
                    flow_of.insert(ends, *flow);
                }
                _ => of_packets.extend(needles.within(frame.octets).map(|needle| Hit {
                    needle,
                    network,
                    flow: *flow,
                    sockets,
                })),
            }
        }
        for stream in streams.finish() {
            let ends = (stream.source, stream.destination);
            let flow = flow_of.get(&ends).copied().flatten();
            let mut found: Vec<_> =
                stream.pieces.iter().flat_map(|piece| needles.within(piece)).collect();
            found.sort_unstable();
            found.dedup();
            hits.extend(found.into_iter().map(|needle| Hit {
                needle,
                network,
                flow,
                sockets: Some(ends),
            }));
        }
        hits.append(&mut of_packets);
    }
    hits
}

/// Needles by their first octet.
struct Needles<'needles> {
    all: &'needles [Vec<u8>],
    by_first: Vec<Vec<usize>>,
}

impl<'needles> Needles<'needles> {
    fn new(all: &'needles [Vec<u8>]) -> Self {
        let mut by_first = vec![Vec::new(); usize::from(u8::MAX) + 1];
        for (index, needle) in all.iter().enumerate() {
            if let Some(first) = needle.first() {
                by_first[usize::from(*first)].push(index);
            }
        }
        Self { all, by_first }
    }

    /// The needles in a text, each once, in their order.
    fn within(&self, text: &[u8]) -> impl Iterator<Item = usize> + use<> {
        let mut found = vec![false; self.all.len()];
        for (place, first) in text.iter().enumerate() {
            for index in &self.by_first[usize::from(*first)] {
                found[*index] = found[*index] || text[place..].starts_with(&self.all[*index]);
            }
        }
        found.into_iter().enumerate().filter_map(|(index, found)| found.then_some(index))
    }
}
