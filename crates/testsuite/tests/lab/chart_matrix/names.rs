//! Every packet of a check, as tshark calls it: its dissectors have to name what the row speaks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use portolan_chart::{Flow, Role, Transport, firewall};
use portolan_lab::capture::Recording;
use portolan_lab::{Lab, plan};

use super::checker::{Report, Way};

/// How many frames each network's recording has by now.
pub(super) fn frames(lab: &Lab) -> Vec<usize> {
    let capture = lab.capture().unwrap();
    assert!(capture.off_chart.is_empty(), "{:#?}", capture.off_chart);
    capture.recordings().iter().map(|recording| Recording::frames(recording).count()).collect()
}

/// Of all packets with something in them that crossed the networks since then in a row that connect opens,
/// those whose protocol tshark does not name as the row does, by flow. Of no row that was asked there
/// were none.
pub(super) fn misnamed(
    lab: &Lab,
    before: &[usize],
    report: &Report,
) -> BTreeMap<String, BTreeSet<String>> {
    frames(lab);
    let mut called: BTreeMap<Way, usize> = BTreeMap::new();
    let mut strange: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    // Streams with a piece of something longer, which tshark names where it is whole.
    let (mut pieces, mut named) = (BTreeSet::new(), BTreeSet::new());
    let recordings = lab.status().unwrap().recordings;
    for (recording, before) in recordings.iter().zip(before) {
        for line in tshark(recording, *before) {
            let Some(Packet { flow, transport, stream, piece, names }) = packet(lab, &line) else {
                continue;
            };
            let known = &flow.facts().tshark;
            let stream = (recording, flow, stream.to_owned());
            match names.split(':').any(|name| known.iter().any(|known| known == name)) {
                true => {
                    named.insert(stream);
                    *called.entry((flow.to_string(), transport.to_string())).or_default() += 1;
                }
                false if piece => drop(pieces.insert(stream)),
                false => {
                    let said = format!("it is {known:?} and tshark calls it {names}");
                    strange.entry(flow.to_string()).or_default().insert(said);
                }
            }
        }
    }
    eprintln!("packets that tshark calls as their rows do: {called:?}");
    if !strange.is_empty() {
        eprintln!("packets that tshark calls otherwise: {strange:#?}");
        return strange;
    }
    assert!(pieces.is_subset(&named), "{pieces:#?}");
    let mut asked = report.asked();
    // Where rows share a host and a port, packets are the first one's.
    asked.retain(|(flow, _)| {
        let rows = || lab.chart().all();
        let row = rows().find(|row| row.flow.name() == flow).unwrap();
        let mut before = rows().take_while(|other| other.flow != row.flow);
        !before.any(|it| (it.from, it.to, &it.ports) == (row.from, row.to, &row.ports))
    });
    assert_eq!(called.keys().cloned().collect::<BTreeSet<_>>(), asked, "{called:#?}");
    strange
}

/// The fields that are asked for, in this order.
const FIELDS: [&str; 11] = [
    "ip.src",
    "ipv6.src",
    "ip.dst",
    "ipv6.dst",
    "tcp.srcport",
    "udp.srcport",
    "tcp.dstport",
    "udp.dstport",
    "tcp.stream",
    "tcp.segment_data",
    "frame.protocols",
];

/// The packets of a recording after so many frames that have something in them: a line for each.
fn tshark(recording: &Path, after: usize) -> Vec<String> {
    let wanted = format!("frame.number > {after} && (udp || tcp.len > 0) && !icmp && !icmpv6");
    let mut tshark = Command::new("tshark");
    tshark.arg("-n").arg("-r").arg(recording).args(["-Y", &wanted, "-T", "fields"]);
    for field in FIELDS {
        tshark.args(["-e", field]);
    }
    let output = tshark.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// A packet of a row that connect opens.
struct Packet<'line> {
    flow: Flow,
    transport: Transport,
    /// Its number in the recording, where it is of a stream.
    stream: &'line str,
    /// Whether it is a piece of something longer.
    piece: bool,
    /// Its dissectors, parted by colons.
    names: &'line str,
}

/// A packet by tshark's fields; none of a row that others than connect open.
fn packet<'line>(lab: &Lab, line: &'line str) -> Option<Packet<'line>> {
    let fields: Vec<_> = line.split('\t').collect();
    let fields: [&str; FIELDS.len()] = fields.try_into().unwrap();
    let [ip, ip6, ip_to, ip6_to, tcp, udp, tcp_to, udp_to, stream, segment, names] = fields;
    let transport = if tcp.is_empty() { Transport::Udp } else { Transport::Tcp };
    let socket = |addresses: [&str; 2], ports: [&str; 2]| {
        SocketAddr::new(addresses.concat().parse().unwrap(), ports.concat().parse().unwrap())
    };
    let (source, destination) =
        (socket([ip, ip6], [tcp, udp]), socket([ip_to, ip6_to], [tcp_to, udp_to]));
    let hosts: Vec<_> =
        plan::hosts(plan::Controllers::One).iter().map(plan::Host::firewall).collect();
    let packet = firewall::Packet { transport, source, destination, opening: false };
    let row = firewall::classify(lab.chart(), &hosts, &packet)?;
    let piece = !segment.is_empty();
    (row.from == Role::Connect).then_some(Packet {
        flow: row.flow,
        transport,
        stream,
        piece,
        names,
    })
}
