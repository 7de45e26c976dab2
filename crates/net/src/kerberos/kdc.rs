//! One exchange with a KDC ([RFC 4120 section 7.2]): for a service's ticket by UDP first, and by TCP when
//! the answer is too long, an error or none; for the account itself by TCP alone.
//!
//! A KDC's refusal is not authenticated, and one of the account is remembered for good; what it says of
//! the account's salt decides the proof, and a failed proof counts towards the lockout. A datagram is
//! forged by anybody who guesses a port and an address, a stream only by whoever is on the path. So no
//! error is taken from a datagram, and nothing at all about the account.
//!
//! [RFC 4120 section 7.2]: https://www.rfc-editor.org/rfc/rfc4120#section-7.2

use std::io;
use std::time::Duration;

use portolan_chart::flow;
use portolan_gss::krb_error::is_error;
use portolan_model::DnsName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::error::KerberosError;
use crate::network::{Connection, DatagramLimits, DialError, Fault, Network, within};

/// Requests above this go by TCP at once: a longer datagram would be fragmented on most networks.
const DATAGRAM_OCTETS_MAX: usize = 1400;
/// How a question is asked by datagram: once, TCP is the second try.
const DATAGRAM: DatagramLimits = DatagramLimits {
    attempt_time_max: Duration::from_secs(1),
    attempts_max: 1,
    reply_octets_max: u16::MAX as usize,
};
/// Octets of an answer by TCP.
const REPLY_OCTETS_MAX: usize = 1024 * 1024;
/// How long a KDC may take for one answer.
const REPLY_TIME_MAX: Duration = Duration::from_secs(10);

/// A domain controller's KDC.
#[derive(Clone)]
pub(super) struct Kdc {
    network: Network,
    host: DnsName,
}

impl Kdc {
    pub(super) const fn new(network: Network, host: DnsName) -> Self {
        Self { network, host }
    }

    pub(super) const fn host(&self) -> &DnsName {
        &self.host
    }

    /// The answer to a request that is asked by datagram first, both without a length: for requests
    /// whose answer is sealed under a ticket's key, and whose refusal nobody remembers.
    pub(super) async fn ask_by_either(&self, request: &[u8]) -> Result<Vec<u8>, KerberosError> {
        if request.len() <= DATAGRAM_OCTETS_MAX {
            let flow = flow::CONNECT_AD_KERBEROS;
            match self.network.exchange(flow, &self.host, request, DATAGRAM).await {
                // Not believed, whether it is too long for a datagram or a refusal.
                Ok(reply) if is_error(&reply) => {}
                Ok(reply) => return Ok(reply),
                Err(error) => tracing::debug!(%error, "Asking the KDC by TCP instead"),
            }
        }
        self.ask(request).await
    }

    /// The answer to a request, both without a length. A request is sent once: it may carry a proof of
    /// the password, and each failed one counts towards the account's lockout.
    pub(super) async fn ask(&self, request: &[u8]) -> Result<Vec<u8>, KerberosError> {
        let connection = self.network.dial(flow::CONNECT_AD_KERBEROS, &self.host).await?;
        let link = connection.link.clone();
        let fault = match within(REPLY_TIME_MAX, converse(connection, request)).await {
            Ok(Some(reply)) => return Ok(reply),
            Ok(None) => Fault::ReplyTooLong,
            Err(fault) => fault,
        };
        Err(DialError { link, fault }.into())
    }
}

/// Both messages with four octets of length before them; nothing when the answer is too long.
async fn converse(connection: Connection, request: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut stream = connection.stream;
    let length = u32::try_from(request.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), request].concat()).await?;
    let length = usize::try_from(stream.read_u32().await?).unwrap_or(usize::MAX);
    if length > REPLY_OCTETS_MAX {
        return Ok(None);
    }
    let mut reply = vec![0; length];
    stream.read_exact(&mut reply).await?;
    Ok(Some(reply))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::{IpAddr, Ipv4Addr};
    use std::num::NonZeroU16;

    use portolan_chart::{Chart, Role};
    use tokio::net::{TcpListener, UdpSocket};

    use super::*;
    use crate::network::NetworkConfig;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const HOST: &str = "dc1.corp.example";

    /// What comes of a question whose answer by UDP is `datagram` (none: silence) and by TCP `b"tcp"`.
    async fn answer(datagram: Option<&'static [u8]>, octets: usize) -> Vec<u8> {
        let (stream, socket, port) = loop {
            let stream = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
            let port = stream.local_addr().unwrap().port();
            if let Ok(socket) = UdpSocket::bind((LOOPBACK, port)).await {
                break (stream, socket, port);
            }
        };
        let by_datagram = tokio::spawn(async move {
            let mut question = [0; 4096];
            let (_, from) = socket.recv_from(&mut question).await.unwrap();
            if let Some(datagram) = datagram {
                socket.send_to(datagram, from).await.unwrap();
            }
            std::future::pending::<()>().await;
        });
        let by_stream = tokio::spawn(async move {
            let (mut peer, _) = stream.accept().await.unwrap();
            let length = peer.read_u32().await.unwrap();
            let mut question = vec![0; usize::try_from(length).unwrap()];
            peer.read_exact(&mut question).await.unwrap();
            peer.write_all(b"\0\0\0\x03tcp").await.unwrap();
        });
        let port = NonZeroU16::new(port).unwrap();
        let chart = Chart::default_edition().with_port(flow::CONNECT_AD_KERBEROS, port).unwrap();
        let hosts = BTreeMap::from([(HOST.parse().unwrap(), vec![LOOPBACK])]);
        let config = NetworkConfig { hosts, ..NetworkConfig::new(chart, Role::Connect) };
        let kdc = Kdc::new(Network::new(config).unwrap(), HOST.parse().unwrap());
        let answer = kdc.ask_by_either(&vec![0; octets]).await.unwrap();
        by_datagram.abort();
        by_stream.abort();
        answer
    }

    #[tokio::test]
    async fn a_ticket_by_datagram_is_taken_and_everything_else_is_asked_for_by_stream() {
        /// The tags of TGS-REP and KRB-ERROR.
        const TICKET: &[u8] = b"\x6d\x00";
        const ERROR: &[u8] = b"\x7e\x00";
        assert_eq!(answer(Some(TICKET), 100).await, TICKET);
        assert_eq!(answer(Some(ERROR), 100).await, b"tcp");
        assert_eq!(answer(None, 100).await, b"tcp");
        assert_eq!(answer(Some(TICKET), DATAGRAM_OCTETS_MAX + 1).await, b"tcp");
    }
}
