//! The one crate with sockets, the clock and the random source.
//!
//! Everything dials and listens by a flow of the chart ([`Network`]); every failure names its row.
//! On top of that stand the drivers that move bytes for the sans-IO crates below: [`http`] and
//! [`tls`], [`dc`] (finding domain controllers), [`kerberos`], [`ldap`] and [`drs`]. No decision is
//! made here: what to ask and what an answer means is the caller's.

pub mod clock;
pub mod dc;
pub mod drs;
pub mod entropy;
pub mod http;
pub mod kerberos;
pub mod ldap;
mod network;
pub mod tls;

pub use network::{
    Connection, DatagramLimits, Datagrams, DialError, DialLimits, Endpoint, Fault, InvalidProxy,
    Link, ListenError, ListenFault, Listener, Network, NetworkConfig, NetworkError, Peer, Proxy,
    ProxyFault, connect_status, system_servers,
};
