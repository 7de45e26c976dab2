//! IPv6 alone: the road when connect and the domain controller have no IPv4.

use std::net::IpAddr;

use portolan_chart::flow;
use portolan_lab::capture::Packet;

use crate::world::World;

#[test]
fn the_road_goes_over_ipv6_alone_when_connect_and_the_controller_have_lost_ipv4() {
    let world = World::up("six");
    for host in ["connect", "dc1"] {
        let mut flush = world.lab.command(host, "ip").unwrap();
        assert!(flush.args(["-4", "address", "flush", "dev", "eth0"]).status().unwrap().success());
    }
    let before = frames_of_ipv4(&world);
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    let summary = road.connect_run().unwrap().success().unwrap().json().unwrap();
    assert_ne!(summary["added"], 0, "{summary:#}");
    assert_ne!(summary["credentials"]["sent"], 0, "{summary:#}");
    assert_eq!(frames_of_ipv4(&world), before, "neither of the two sent or got a packet of IPv4");

    let capture = world.lab.capture().unwrap();
    assert!(capture.off_chart.is_empty(), "{:#?}", capture.off_chart);
    for used in [
        flow::CONNECT_AD_DNS,
        flow::CONNECT_AD_KERBEROS,
        flow::CONNECT_AD_LDAP,
        flow::CONNECT_AD_EPM,
        flow::CONNECT_AD_RPC,
        flow::CONNECT_TENANT_CRL,
        flow::CONNECT_TENANT_SYNC,
    ] {
        assert!(capture.packets(used) > 0, "{used} was not used");
    }
}

/// Frames from or to the IPv4 addresses of connect and the controller.
fn frames_of_ipv4(world: &World) -> usize {
    let status = world.lab.status().unwrap();
    let hosts = status.hosts.iter().filter(|host| ["connect", "dc1"].contains(&host.name));
    let lost: Vec<_> =
        hosts.flat_map(|host| &host.addresses).copied().filter(IpAddr::is_ipv4).collect();
    assert_eq!(lost.len(), 2);
    let capture = world.lab.capture().unwrap();
    let frames = capture.recordings().iter().flat_map(|recording| recording.frames());
    let ends = frames.filter_map(|frame| Packet::parse(frame.octets).ok()?.ends);
    ends.filter(|(from, to)| lost.contains(from) || lost.contains(to)).count()
}
