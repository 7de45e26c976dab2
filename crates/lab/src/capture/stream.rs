//! TCP payloads put together again, each direction of each connection by itself.

use std::collections::HashMap;
use std::net::SocketAddr;

/// One direction of a TCP connection.
#[derive(Debug)]
pub(super) struct Stream {
    /// Who sent it.
    pub(super) source: SocketAddr,
    /// To whom.
    pub(super) destination: SocketAddr,
    /// The octets in order; a new piece starts where some were not recorded.
    pub(super) pieces: Vec<Vec<u8>>,
}

/// Segments as they come.
#[derive(Debug, Default)]
pub(super) struct Streams<'frame> {
    connections: Vec<Connection<'frame>>,
    /// The latest connection of a pair of sockets: ports are used again.
    latest: HashMap<(SocketAddr, SocketAddr), usize>,
}

#[derive(Debug)]
struct Connection<'frame> {
    ends: (SocketAddr, SocketAddr),
    /// The sequence number that the others are counted from.
    base: u32,
    /// Distance from the base, and the octets.
    segments: Vec<(i32, &'frame [u8])>,
}

impl<'frame> Streams<'frame> {
    /// Takes a segment in.
    pub(super) fn push(
        &mut self,
        ends: (SocketAddr, SocketAddr),
        sequence: u32,
        synchronises: bool,
        octets: &'frame [u8],
    ) {
        // The first octet follows the SYN, which has a number of its own.
        let first = if synchronises { sequence.wrapping_add(1) } else { sequence };
        let known = self.latest.get(&ends).copied().filter(|index| {
            !synchronises || self.connections.get(*index).is_some_and(|known| known.base == first)
        });
        let index = known.unwrap_or_else(|| {
            self.connections.push(Connection { ends, base: first, segments: Vec::new() });
            self.connections.len() - 1
        });
        self.latest.insert(ends, index);
        if let (false, Some(connection)) = (octets.is_empty(), self.connections.get_mut(index)) {
            // Numbers wrap; a segment may also have been sent before the first one recorded.
            let distance = first.wrapping_sub(connection.base).cast_signed();
            connection.segments.push((distance, octets));
        }
    }

    /// The directions, in the order in which they began.
    pub(super) fn finish(self) -> impl Iterator<Item = Stream> {
        self.connections.into_iter().map(|connection| Stream {
            source: connection.ends.0,
            destination: connection.ends.1,
            pieces: join(connection.segments),
        })
    }
}

/// Puts segments in order, each octet once.
fn join(mut segments: Vec<(i32, &[u8])>) -> Vec<Vec<u8>> {
    segments.sort_by_key(|(distance, _)| *distance);
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    let mut next = i64::MIN;
    for (distance, octets) in segments {
        let distance = i64::from(distance);
        let known = usize::try_from(next.saturating_sub(distance)).unwrap_or(0);
        let Some(fresh) = octets.get(known..).filter(|fresh| !fresh.is_empty()) else { continue };
        match pieces.last_mut() {
            Some(piece) if distance <= next => piece.extend_from_slice(fresh),
            _ => pieces.push(fresh.to_vec()),
        }
        next = distance + octets.len() as i64;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(segments: &[(i32, &[u8])], expected: &[&[u8]]) {
        assert_eq!(join(segments.to_vec()), expected, "{segments:?}");
    }

    #[test]
    fn segments_are_put_in_order_each_octet_once() {
        check(&[], &[]);
        check(&[(3, b"def"), (0, b"abc")], &[b"abcdef"]);
        check(&[(0, b"abc"), (0, b"abc"), (2, b"cde"), (1, b"b")], &[b"abcde"]);
        check(&[(-2, b"xy"), (0, b"ab"), (5, b"fg")], &[b"xyab", b"fg"]);
    }

    #[test]
    fn a_port_that_is_used_again_begins_a_new_stream() {
        let ends = ("10.77.0.1:1".parse().unwrap(), "10.77.0.2:2".parse().unwrap());
        let mut streams = Streams::default();
        streams.push(ends, 10, true, b"");
        streams.push(ends, 11, false, b"one");
        streams.push(ends, 5000, true, b"");
        streams.push(ends, 5000, true, b"");
        streams.push(ends, 5001, false, b"two");
        let pieces: Vec<_> = streams.finish().map(|stream| stream.pieces).collect();
        assert_eq!(pieces, [vec![b"one".to_vec()], vec![b"two".to_vec()]]);
    }

    proptest! {
        #[test]
        fn any_order_and_overlap_gives_the_stream(
            stream in prop::collection::vec(any::<u8>(), 1..200),
            cuts in prop::collection::vec((0_usize..200, 1_usize..50), 0..20),
        ) {
            let mut segments = vec![(0, &stream[..])];
            for (start, length) in cuts {
                let start = start.min(stream.len() - 1);
                let end = (start + length).min(stream.len());
                segments.push((i32::try_from(start).unwrap(), &stream[start..end]));
            }
            segments.reverse();
            prop_assert_eq!(join(segments), vec![stream.clone()]);
        }

        #[test]
        fn arbitrary_segments_never_panic(segments: Vec<(i32, Vec<u8>)>) {
            let segments = segments.iter().map(|(distance, octets)| (*distance, &octets[..]));
            join(segments.collect());
        }
    }
}
