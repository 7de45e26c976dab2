//! One question and one answer by UDP.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use portolan_chart::{Flow, Transport};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::fault::{DialError, Fault};
use super::{Network, Peer};
use crate::clock;

/// How a question is asked.
#[derive(Debug, Clone, Copy)]
pub struct DatagramLimits {
    /// How long one attempt waits for the answer.
    pub attempt_time_max: Duration,
    /// How often the same question is sent to one address.
    pub attempts_max: u32,
    /// The longest answer that is taken, in octets.
    pub reply_octets_max: usize,
}

impl Default for DatagramLimits {
    fn default() -> Self {
        Self {
            attempt_time_max: Duration::from_secs(1),
            attempts_max: 2,
            reply_octets_max: u16::MAX as usize,
        }
    }
}

impl Network {
    /// Sends one datagram to a peer on the flow's port and returns the first that comes back from
    /// there. Each address of the peer is tried, and each several times.
    ///
    /// # Errors
    /// [`DialError`] with the row and what happened on it.
    pub async fn exchange(
        &self,
        flow: Flow,
        peer: impl Into<Peer>,
        question: &[u8],
        limits: DatagramLimits,
    ) -> Result<Vec<u8>, DialError> {
        let peer = peer.into();
        let row = self.row(flow, &peer, Transport::Udp)?;
        let port = row.first_port();
        let mut worst = Fault::PortNotNamed;
        if row.is_dynamic() {
            return Err(self.fail(&peer, row, port, worst));
        }
        for address in self.addresses(&peer).await? {
            match ask(address, port, question, limits).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => worst = fault,
            }
        }
        Err(DialError { link: self.link(&peer, row, port, Transport::Udp), fault: worst })
    }
}

pub(super) async fn ask(
    address: IpAddr,
    port: u16,
    question: &[u8],
    limits: DatagramLimits,
) -> Result<Vec<u8>, Fault> {
    let begun = clock::monotonic();
    let fault = |error: &std::io::Error| Fault::of(error, begun.elapsed());
    let any: SocketAddr = match address {
        IpAddr::V4(_) => ([0u8; 4], 0).into(),
        IpAddr::V6(_) => ([0u16; 8], 0).into(),
    };
    let socket = UdpSocket::bind(any).await.map_err(|error| fault(&error))?;
    // A connected socket takes datagrams from this peer only, and hears of its ICMP errors.
    socket.connect((address, port)).await.map_err(|error| fault(&error))?;
    let mut answer = vec![0; limits.reply_octets_max.saturating_add(1)];
    for _ in 0..limits.attempts_max {
        socket.send(question).await.map_err(|error| fault(&error))?;
        match timeout(limits.attempt_time_max, socket.recv(&mut answer)).await {
            Err(_) => {}
            Ok(Err(error)) => return Err(fault(&error)),
            Ok(Ok(length)) if length > limits.reply_octets_max => return Err(Fault::ReplyTooLong),
            Ok(Ok(length)) => {
                answer.truncate(length);
                return Ok(answer);
            }
        }
    }
    Err(Fault::Filtered { after: begun.elapsed() })
}
