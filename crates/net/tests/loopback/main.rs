//! The network against itself, over loopback: what goes wrong must say so by its row.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on is to fail there")]

mod dc;
mod dial;
mod hostile;
mod http;
mod ipv6;
mod kerberos;
mod ldaps;
mod mit;
mod name_server;
mod proxy;
mod realms;
mod tls;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;
use std::time::Duration;

use portolan_chart::{Chart, Flow, Role};
use portolan_net::{DialLimits, Listener, Network, NetworkConfig};

pub(crate) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A network that listens on free ports of loopback.
pub(crate) fn listening(role: Role) -> Network {
    Network::new(NetworkConfig {
        listen_address: Some(LOOPBACK),
        ephemeral_ports: true,
        ..config(Chart::default_edition(), role)
    })
    .unwrap()
}

/// A network of `connect` that finds flows on the ports given, and every name on loopback.
pub(crate) fn dialling(ports: &[(Flow, u16)], names: &[&str]) -> Network {
    let hosts: BTreeMap<_, _> =
        names.iter().map(|name| (name.parse().unwrap(), vec![LOOPBACK])).collect();
    Network::new(NetworkConfig { hosts, ..config(chart(ports), Role::Connect) }).unwrap()
}

pub(crate) fn config(chart: Chart, role: Role) -> NetworkConfig {
    NetworkConfig {
        name_servers: Some(vec![LOOPBACK]),
        limits: DialLimits {
            address_time_max: Duration::from_secs(2),
            total_time_max: Duration::from_secs(5),
        },
        ..NetworkConfig::new(chart, role)
    }
}

pub(crate) fn chart(ports: &[(Flow, u16)]) -> Chart {
    ports.iter().fold(Chart::default_edition(), |chart, (flow, port)| {
        chart.with_port(*flow, NonZeroU16::new(*port).unwrap()).unwrap()
    })
}

pub(crate) fn one(mut listeners: Vec<Listener>) -> (Listener, u16) {
    let listener = listeners.pop().unwrap();
    assert!(listeners.is_empty());
    let port = listener.local_address().unwrap().port();
    (listener, port)
}

/// A port of loopback on which nothing listens.
pub(crate) async fn closed_port() -> u16 {
    let socket = tokio::net::TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    socket.local_addr().unwrap().port()
}
