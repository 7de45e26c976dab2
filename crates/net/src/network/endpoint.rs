//! One port of a row at one address of a peer: for who looks at each alone, as the checks of the chart do.
//!
//! [`Network::dial`] is content with the first address and port that answer; a check wants to know of
//! every one of them.

use std::net::IpAddr;

use portolan_chart::{Row, Transport};

use super::datagram::ask;
use super::dial::{Connection, connect};
use super::fault::{DialError, Link};
use super::{DatagramLimits, Network, Peer};

/// Where exactly to connect.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint<'a> {
    /// The row, as errors name it.
    pub row: &'a Row,
    /// The peer, as errors name it.
    pub peer: &'a Peer,
    /// One of its addresses.
    pub address: IpAddr,
    /// One of the row's ports, or one that the peer's endpoint mapper named.
    pub port: u16,
}

impl Network {
    /// The addresses of a peer, IPv6 first, as given or by the name servers.
    ///
    /// # Errors
    /// [`DialError`] with the DNS row and what happened on it.
    pub async fn addresses_of(&self, peer: &Peer) -> Result<Vec<IpAddr>, DialError> {
        self.addresses(peer).await
    }

    /// Connects by TCP, directly.
    ///
    /// # Errors
    /// [`DialError`] with the row and what happened on it. Nothing is tried twice.
    pub async fn connect_at(&self, at: Endpoint<'_>) -> Result<Connection, DialError> {
        let link = self.link_at(at, Transport::Tcp);
        match connect(at.address, at.port, self.inner.limits.address_time_max).await {
            Ok(stream) => Ok(Connection { stream, link }),
            Err(fault) => Err(DialError { link, fault }),
        }
    }

    /// Sends one datagram and returns the first that comes back from there.
    ///
    /// # Errors
    /// [`DialError`] with the row and what happened on it.
    pub async fn exchange_at(
        &self,
        at: Endpoint<'_>,
        question: &[u8],
        limits: DatagramLimits,
    ) -> Result<Vec<u8>, DialError> {
        let answer = ask(at.address, at.port, question, limits).await;
        answer.map_err(|fault| DialError { link: self.link_at(at, Transport::Udp), fault })
    }

    /// Whether the connections of a row go by the web proxy.
    #[must_use]
    pub fn is_by_proxy(&self, row: &Row) -> bool {
        self.proxy_of(row).is_some()
    }

    /// Whether there is a web proxy that is told who asks.
    #[must_use]
    pub fn has_proxy_credentials(&self) -> bool {
        self.proxy_authorization().is_some()
    }

    /// Connects to a port of a peer by the web proxy, which resolves its name.
    ///
    /// # Errors
    /// [`DialError`]: the proxy is not reached, or does not pass this on; or none is configured.
    pub async fn connect_by_proxy(
        &self,
        row: &Row,
        peer: &Peer,
        port: u16,
    ) -> Result<Connection, DialError> {
        match self.proxy_of(row) {
            Some(proxy) => self.tunnel(proxy, row, peer, port).await,
            None => Err(self.fail(peer, row, port, super::Fault::NotOnTheChart)),
        }
    }

    /// How errors name this place.
    #[must_use]
    pub fn link_at(&self, at: Endpoint<'_>, transport: Transport) -> Link {
        let mut link = self.link(at.peer, at.row, at.port, transport);
        if let Peer::Name(name) = at.peer {
            link.peer = format!("{name} ({})", at.address);
        }
        link
    }
}
