//! Messages, SASL frames and segments of the stream, in every packing.

use proptest::prelude::*;

use super::peer::{ToyLayer, done, entry, feed, framing, searching};
use crate::sasl::{FRAME_OCTETS_MAX, SaslFraming};
use crate::session::{Limits, SessionError};

type Parts = Vec<Vec<u8>>;

/// A server packs the messages of `count` entries of `octets` into frames by `pack`, the network
/// cuts them into segments by `cut`; every entry arrives, and then the end.
fn check(count: usize, octets: usize, pack: fn(Parts) -> Parts, cut: fn(Parts) -> Parts) {
    let (mut session, id) = searching(Limits::default(), true);
    let dn = |n| format!("CN=User {n},DC=corp,DC=example");
    let mut messages: Parts = (0..count).map(|n| entry(id, &dn(n), octets)).collect();
    messages.push(done(id));
    let mut server = framing(FRAME_OCTETS_MAX);
    let frames = pack(messages).iter().map(|plain| server.seal(plain).unwrap()).collect();
    let segments = cut(frames);
    let events = feed(&mut session, segments.iter().map(Vec::as_slice));
    let mut expected: Vec<_> = (0..count).map(|n| format!("{id} {} {octets}", dn(n))).collect();
    expected.push(format!("{id} success (0)"));
    assert_eq!(events, expected);
}

fn each_alone(parts: Parts) -> Parts {
    parts
}

fn five_together(messages: Parts) -> Parts {
    messages.chunks(5).map(<[Vec<u8>]>::concat).collect()
}

fn by_700_octets(messages: Parts) -> Parts {
    messages.concat().chunks(700).map(<[u8]>::to_vec).collect()
}

fn back_to_back(frames: Parts) -> Parts {
    frames.concat().chunks(16 * 1024).map(<[u8]>::to_vec).collect()
}

fn all_at_once(frames: Parts) -> Parts {
    vec![frames.concat()]
}

/// Each segment ends in the middle of the next frame's length.
fn within_the_length(frames: Parts) -> Parts {
    let mut segments = vec![Vec::new()];
    for frame in frames {
        let (head, tail) = frame.split_at(2);
        segments.last_mut().unwrap().extend_from_slice(head);
        segments.push(tail.to_vec());
    }
    segments
}

#[test]
fn one_message_to_a_frame_delivers_every_entry() {
    check(2000, 20, each_alone, each_alone);
}

#[test]
fn five_messages_to_a_frame_and_a_frame_to_a_segment_deliver_every_entry() {
    check(200, 20, five_together, each_alone);
}

#[test]
fn five_messages_to_a_frame_and_frames_back_to_back_deliver_every_entry() {
    check(2000, 20, five_together, back_to_back);
}

#[test]
fn a_frame_length_split_over_two_segments_delivers_every_entry() {
    check(50, 20, each_alone, within_the_length);
}

#[test]
fn messages_larger_than_and_straddling_frames_deliver_every_entry() {
    check(50, 3000, by_700_octets, back_to_back);
    check(50, 3000, by_700_octets, each_alone);
}

/// As Samba does: one write of several megabytes, here read at once.
#[test]
fn one_large_write_read_at_once_delivers_every_entry() {
    check(2000, 3000, five_together, all_at_once);
}

#[test]
fn a_frame_above_the_negotiated_maximum_is_refused_before_it_is_there() {
    let (mut session, _) = searching(Limits::default(), true);
    session.receive(&[0x01, 0x00, 0x00, 0x00]).unwrap();
    let error = session.next().unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "a SASL frame breaks the negotiated maximum");
    assert!(matches!(session.next(), Err(SessionError::Closed)));
}

#[test]
fn a_frame_that_the_layer_refuses_ends_the_session() {
    let (mut session, id) = searching(Limits::default(), true);
    let mut stream = framing(FRAME_OCTETS_MAX).seal(&done(id)).unwrap();
    *stream.last_mut().unwrap() ^= 1;
    session.receive(&stream).unwrap();
    assert!(matches!(session.next(), Err(SessionError::Sasl(_))));
    assert!(matches!(session.receive(&[0]), Err(SessionError::Closed)));
}

#[test]
fn what_is_sent_is_cut_to_what_the_peer_takes() {
    let frames = framing(12).seal(&[7; 20]).unwrap();
    assert_eq!([frames[3], frames[3 + 16], frames[3 + 32]], [12, 12, 11]);
    assert_eq!(frames.len(), 20 + 3 * (4 + 5));
    let none = SaslFraming::new(Box::<ToyLayer>::default(), FRAME_OCTETS_MAX, 5);
    assert!(none.is_err(), "no room beside the overhead");
}

proptest! {
    /// However messages are packed into frames and frames cut into segments, and whether or not
    /// there is a layer at all, the events are the same.
    #[test]
    fn every_packing_gives_the_same_events(
        sizes in proptest::collection::vec(0usize..400, 0..12),
        frame_octets in 1usize..900,
        cuts in proptest::collection::vec(1usize..700, 1..20),
        sealed in any::<bool>(),
    ) {
        let (mut session, id) = searching(Limits::default(), sealed);
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for (n, size) in sizes.iter().enumerate() {
            stream.extend(entry(id, &format!("CN={n}"), *size));
            expected.push(format!("{id} CN={n} {size}"));
        }
        stream.extend(done(id));
        expected.push(format!("{id} success (0)"));
        if sealed {
            stream = framing(frame_octets + 5).seal(&stream).unwrap();
        }
        let (mut segments, mut rest) = (Vec::new(), stream.as_slice());
        for cut in cuts.iter().cycle() {
            let (segment, after) = rest.split_at((*cut).min(rest.len()));
            segments.push(segment);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(feed(&mut session, segments), expected);
    }

    #[test]
    fn arbitrary_octets_never_panic(
        octets in proptest::collection::vec(any::<u8>(), 0..200),
        sealed in any::<bool>(),
    ) {
        let (mut session, _) = searching(Limits::default(), sealed);
        for segment in octets.chunks(50) {
            let _ = session.receive(segment);
            while let Ok(Some(_)) = session.next() {}
        }
    }

    /// A valid stream with a few octets changed: nearer to what decoders trust.
    #[test]
    fn changed_octets_never_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        sealed in any::<bool>(),
    ) {
        let (mut session, id) = searching(Limits::default(), sealed);
        let mut stream = [entry(id, "CN=a", 40), entry(id, "CN=b", 200), done(id)].concat();
        for (index, octet) in changes {
            let at = index.index(stream.len());
            stream[at] = octet;
        }
        if sealed {
            stream = framing(64).seal(&stream).unwrap();
        }
        let _ = session.receive(&stream);
        while let Ok(Some(_)) = session.next() {}
    }
}
