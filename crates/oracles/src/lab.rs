//! The lab's captures: what a test concludes from them must not depend on what somebody sent.

use portolan_chart::Chart;
use portolan_lab::capture::{Capture, Packet, Payload, Recording};
use portolan_lab::plan::{Controllers, Network, hosts};

/// A recording, its packets by their rows, and a search in its streams.
pub(crate) fn recording(octets: &[u8]) {
    let Ok(recording) = Recording::parse(Network::Lan, octets.to_vec()) else { return };
    let held: usize = recording.frames().map(|frame| frame.octets.len()).sum();
    assert!(held <= octets.len(), "frames lie over each other");
    let frames = recording.frames().count() as u64;
    let hosts: Vec<_> =
        hosts(Controllers::Two).iter().map(portolan_lab::plan::Host::firewall).collect();
    let capture = Capture::new(vec![recording], &Chart::default_edition(), &hosts);
    let counted = capture.rows.iter().map(|row| row.packets).sum::<u64>()
        + capture.excepted.iter().map(|excepted| excepted.packets).sum::<u64>()
        + capture.off_chart.len() as u64;
    assert_eq!(counted, frames, "a packet is counted twice or not at all");
    for hit in capture.search(&[b"needle".to_vec(), vec![0; 4]], &[]) {
        assert!(hit.needle < 2);
    }
}

/// One frame.
pub(crate) fn packet(octets: &[u8]) {
    let Ok(packet) = Packet::parse(octets) else { return };
    let has_ports = matches!(packet.payload, Payload::Tcp { .. } | Payload::Udp { .. });
    assert_eq!(packet.sockets().is_some(), has_ports && packet.ends.is_some());
    if let Payload::Tcp { octets: inner, .. } = packet.payload {
        assert!(inner.len() <= octets.len());
    }
}
