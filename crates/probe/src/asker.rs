//! A probe's hands: it connects, sends and reads where its question says, within the check's limits.

use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use portolan_chart::{Row, Transport};
use portolan_net::{Connection, DatagramLimits, DialError, Endpoint, Fault, Peer, clock};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::{DefectKind, Deployment, Verdict};

/// What a probe asks with.
#[derive(Debug)]
pub struct Asker<'a> {
    deployment: &'a Deployment,
    row: &'a Row,
    peer: &'a Peer,
    address: Option<IpAddr>,
    port: u16,
    transport: Transport,
    connected: AtomicBool,
    /// Connections that are being opened.
    dialing: AtomicUsize,
    /// Octets that were read so far, on all connections together.
    octets: AtomicUsize,
}

impl<'a> Asker<'a> {
    pub(crate) fn new(
        deployment: &'a Deployment,
        row: &'a Row,
        peer: &'a Peer,
        address: Option<IpAddr>,
        (port, transport): (u16, Transport),
    ) -> Self {
        let (dialing, octets) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let connected = AtomicBool::new(false);
        Self { deployment, row, peer, address, port, transport, connected, dialing, octets }
    }

    /// Asks the same host on another row, by TCP, on its first port.
    #[must_use]
    pub fn on(&self, row: &'a Row) -> Self {
        let at = (row.first_port(), Transport::Tcp);
        Self::new(self.deployment, row, self.peer, self.address, at)
    }

    /// What is checked.
    #[must_use]
    pub const fn deployment(&self) -> &'a Deployment {
        self.deployment
    }

    /// The row.
    #[must_use]
    pub const fn row(&self) -> &'a Row {
        self.row
    }

    /// The host, by the name that certificates are judged by.
    #[must_use]
    pub const fn peer(&self) -> &'a Peer {
        self.peer
    }

    /// The address that is asked; none by a web proxy.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The port; of a row whose ports the endpoint mapper names, the lowest.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The transport.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        self.transport
    }

    /// Connects by TCP, directly or by the web proxy that the row's connections take.
    ///
    /// # Errors
    /// What it means for the row that this did not come about.
    pub async fn connect(&self) -> Result<Connection, Verdict> {
        self.connect_to(self.port).await
    }

    /// Connects to another port of the same host, which its endpoint mapper named.
    ///
    /// # Errors
    /// As [`Asker::connect`].
    pub async fn connect_to(&self, port: u16) -> Result<Connection, Verdict> {
        let network = &self.deployment.network;
        self.dialing.fetch_add(1, Ordering::Relaxed);
        let connection = match self.address {
            Some(address) => network.connect_at(self.endpoint(address, port)).await,
            None => network.connect_by_proxy(self.row, self.peer, port).await,
        };
        self.dialing.fetch_sub(1, Ordering::Relaxed);
        let connection = connection.map_err(|error| Self::judge(&error))?;
        self.connected.store(true, Ordering::Relaxed);
        Ok(connection)
    }

    /// Sends a datagram, again after a second, and gives the first answer.
    ///
    /// # Errors
    /// What it means for the row that there was none.
    pub async fn datagram(&self, question: &[u8]) -> Result<Vec<u8>, Verdict> {
        let Some(address) = self.address else {
            return Err(Verdict::Unjudged { why: "a web proxy passes no datagrams".to_owned() });
        };
        let limits = DatagramLimits {
            reply_octets_max: self.deployment.limits.octets_max,
            ..DatagramLimits::default()
        };
        let at = self.endpoint(address, self.port);
        let answer = self.deployment.network.exchange_at(at, question, limits).await;
        answer.map_err(|error| Self::judge(&error))
    }

    /// Reads what there is, once; nothing at the stream's end.
    ///
    /// # Errors
    /// What it means for the row that the stream broke, or that the peer sent more than
    /// [`Limits::octets_max`](crate::Limits::octets_max), all of its connections together.
    pub async fn read(&self, stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, Verdict> {
        let mut octets = vec![0; READ_OCTETS];
        let length = stream.read(&mut octets).await.map_err(|error| self.broke(&error))?;
        octets.truncate(length);
        let most = self.deployment.limits.octets_max;
        if self.octets.fetch_add(length, Ordering::Relaxed) + length > most {
            let heard = format!("more than {most} octets");
            return Err(Verdict::WrongProtocol { heard });
        }
        Ok(octets)
    }

    /// What it means for the row that an open connection broke.
    #[must_use]
    pub fn broke(&self, error: &io::Error) -> Verdict {
        match Fault::of(error, std::time::Duration::ZERO) {
            Fault::Filtered { .. } => Verdict::Filtered,
            Fault::Reset => Verdict::Reset,
            other => Verdict::Unjudged { why: format!("the connection {other}") },
        }
    }

    /// What it means for the row that the time was up.
    pub(crate) fn timed_out(&self) -> Verdict {
        // A row may take a second connection, to a port that the first one names.
        let is_dialing = self.dialing.load(Ordering::Relaxed) > 0;
        match self.connected.load(Ordering::Relaxed) && !is_dialing {
            true => Verdict::wrong_protocol(&[]),
            false => Verdict::Filtered,
        }
    }

    /// What it means for the row that it was not reached.
    pub(crate) fn judge(error: &DialError) -> Verdict {
        match &error.fault {
            Fault::Refused => Verdict::Refused,
            Fault::Rejected => Verdict::Rejected,
            Fault::Filtered { .. } => Verdict::Filtered,
            Fault::Reset => Verdict::Reset,
            Fault::NoRoute => Verdict::NoRoute,
            Fault::Proxy(_) => Verdict::faulty(
                DefectKind::Proxy,
                error.fault.to_string(),
                portolan_model::Hint::hint(error).unwrap_or_default(),
            ),
            Fault::ReplyTooLong => {
                Verdict::WrongProtocol { heard: "a datagram above the limit".to_owned() }
            }
            _ => Verdict::Unjudged { why: error.to_string() },
        }
    }

    /// The time of day here.
    #[must_use]
    pub fn now(&self) -> time::OffsetDateTime {
        clock::now()
    }

    fn endpoint(&self, address: IpAddr, port: u16) -> Endpoint<'a> {
        Endpoint { row: self.row, peer: self.peer, address, port }
    }
}

/// Octets that are read at once.
const READ_OCTETS: usize = 16 * 1024;
