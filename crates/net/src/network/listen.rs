//! Listening sockets by flow.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use portolan_chart::{Flow, Row, Transport};
use portolan_model::Hint;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::Network;

/// How many connections the system keeps for a listener that has not accepted them yet.
const BACKLOG: i32 = 1024;

/// A listening TCP socket and the flows that it serves.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    flows: Vec<Flow>,
    row: String,
    port: u16,
}

/// A port that could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {row}: {fault}")]
pub struct ListenError {
    /// The row, as the chart describes it.
    pub row: String,
    /// What happened.
    pub fault: ListenFault,
}

/// Why a port could not be listened on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenFault {
    /// The edition in force has no such flow.
    #[error("it is not in the edition in force")]
    NotOnTheChart,
    /// The row names a range; its listener chooses a port itself.
    #[error("it is a range of ports")]
    Range,
    /// Another process holds the port.
    #[error("another process holds the port")]
    InUse,
    /// The process lacks the right.
    #[error("this process may not open the port")]
    NotAllowed,
    /// Anything else the system says.
    #[error("{0}")]
    System(io::Error),
}

impl Hint for ListenError {
    fn hint(&self) -> Option<String> {
        match self.fault {
            ListenFault::InUse => {
                Some("find it with `ss -ltnp`, or configure another port for the flow".to_owned())
            }
            ListenFault::NotAllowed => Some(
                "run as root, or give the binary the capability cap_net_bind_service".to_owned(),
            ),
            _ => None,
        }
    }
}

impl Network {
    /// Listens on the ports of the flows, on every address of this host by IPv4 and IPv6. Flows that
    /// share a port share a listener.
    ///
    /// # Errors
    /// [`ListenError`] with the row; sockets opened before it are closed again.
    pub fn listen(&self, flows: &[Flow]) -> Result<Vec<Listener>, ListenError> {
        let mut listeners: Vec<Listener> = Vec::new();
        for flow in flows {
            let row = self.inner.chart.row(*flow).map_err(|_| ListenError {
                row: flow.to_string(),
                fault: ListenFault::NotOnTheChart,
            })?;
            for range in &row.ports {
                let Some(port) = range.single() else {
                    let row = row.describe(range.start(), Transport::Tcp);
                    return Err(ListenError { row, fault: ListenFault::Range });
                };
                match listeners.iter_mut().find(|listener| listener.port == port) {
                    Some(listener) => listener.flows.push(*flow),
                    None => listeners.push(self.listen_on(*flow, row, port)?),
                }
            }
        }
        Ok(listeners)
    }

    /// Listens on one port of a row by TCP, ranges included: for who stands in at the end of every row.
    ///
    /// # Errors
    /// [`ListenError`] with the row.
    pub fn listen_at(&self, row: &Row, port: u16) -> Result<Listener, ListenError> {
        match row.contains(port) {
            true => self.listen_on(row.flow, row, port),
            false => Err(outside(row, port, Transport::Tcp)),
        }
    }

    /// The same by UDP.
    ///
    /// # Errors
    /// [`ListenError`] with the row.
    pub fn datagrams_at(&self, row: &Row, port: u16) -> Result<Datagrams, ListenError> {
        if !row.contains(port) {
            return Err(outside(row, port, Transport::Udp));
        }
        let bound = if self.inner.ephemeral_ports { 0 } else { port };
        let row = row.describe(port, Transport::Udp);
        match on(self.inner.listen_address, |address| open_datagrams(address, bound)) {
            Ok(socket) => Ok(Datagrams { socket, row }),
            Err(error) => Err(ListenError { row, fault: fault(error) }),
        }
    }

    fn listen_on(&self, flow: Flow, row: &Row, port: u16) -> Result<Listener, ListenError> {
        let row = row.describe(port, Transport::Tcp);
        let bound = if self.inner.ephemeral_ports { 0 } else { port };
        match on(self.inner.listen_address, |address| open_stream(address, bound)) {
            Ok(socket) => Ok(Listener { socket, flows: vec![flow], row, port }),
            Err(error) => Err(ListenError { row, fault: fault(error) }),
        }
    }
}

fn outside(row: &Row, port: u16, transport: Transport) -> ListenError {
    ListenError { row: row.describe(port, transport), fault: ListenFault::NotOnTheChart }
}

fn fault(error: io::Error) -> ListenFault {
    match error.kind() {
        io::ErrorKind::AddrInUse => ListenFault::InUse,
        io::ErrorKind::PermissionDenied => ListenFault::NotAllowed,
        _ => ListenFault::System(error),
    }
}

/// A UDP socket of a row.
///
/// Answers leave from the address that the host's routes choose. On a host with several in one network,
/// a peer that asked another of them does not take the answer: listen on that address alone there.
#[derive(Debug)]
pub struct Datagrams {
    socket: UdpSocket,
    row: String,
}

impl Datagrams {
    /// The row, as the chart describes it.
    #[must_use]
    pub fn row(&self) -> &str {
        &self.row
    }

    /// The address and port that are listened on.
    ///
    /// # Errors
    /// The system's, which does not happen on an open socket.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The next datagram, cut off at the buffer's end, and who sent it.
    ///
    /// # Errors
    /// The system's. The socket stays usable.
    pub async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.recv_from(buffer).await
    }

    /// Sends a datagram to a peer as [`Datagrams::receive`] named it.
    ///
    /// # Errors
    /// The system's. The socket stays usable.
    pub async fn send(&self, octets: &[u8], to: SocketAddr) -> io::Result<()> {
        self.socket.send_to(octets, to).await.map(drop)
    }

    /// The address of this host that answers to a peer leave from.
    ///
    /// # Errors
    /// The system's: no route leads there.
    pub async fn address_towards(&self, peer: SocketAddr) -> io::Result<IpAddr> {
        let local = self.socket.local_addr()?.ip();
        if !local.is_unspecified() {
            return Ok(local);
        }
        // Connecting a datagram socket sends nothing: it asks the routes.
        let asking = UdpSocket::bind((local, 0)).await?;
        asking.connect(peer).await?;
        Ok(asking.local_addr()?.ip().to_canonical())
    }
}

impl Listener {
    /// Listens where an operator says, for what no row of the chart is about: an exporter of figures.
    ///
    /// # Errors
    /// [`ListenError`] with `what` in place of the row.
    pub fn at(address: SocketAddr, what: &str) -> Result<Self, ListenError> {
        let socket =
            on(Some(address.ip()), |ip| open_stream(ip, address.port())).map_err(|error| {
                ListenError { row: format!("{what} {address}"), fault: fault(error) }
            })?;
        Ok(Self { socket, flows: Vec::new(), row: what.to_owned(), port: address.port() })
    }

    /// The flows that share this listener.
    #[must_use]
    pub fn flows(&self) -> &[Flow] {
        &self.flows
    }

    /// The first flow's row, as the chart describes it.
    #[must_use]
    pub fn row(&self) -> &str {
        &self.row
    }

    /// The address and port that are listened on.
    ///
    /// # Errors
    /// The system's, which does not happen on an open socket.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The next connection, and who opened it; an IPv4 peer shows its IPv4 address.
    ///
    /// # Errors
    /// The system's: too many open files, mostly. The listener stays usable.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = self.socket.accept().await?;
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        Ok((stream, peer))
    }
}

fn open_stream(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    let socket = socket(address, Type::STREAM, Protocol::TCP)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::new(address, port).into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Without the option to share the address, which for datagrams means to take them from another process.
fn open_datagrams(address: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let socket = socket(address, Type::DGRAM, Protocol::UDP)?;
    socket.bind(&SocketAddr::new(address, port).into())?;
    UdpSocket::from_std(socket.into())
}

fn socket(address: IpAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, kind, Some(protocol))?;
    if address == Ipv6Addr::UNSPECIFIED {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// One socket for both families; on a host without IPv6, an IPv4 one.
fn on<T>(address: Option<IpAddr>, bind: impl Fn(IpAddr) -> io::Result<T>) -> io::Result<T> {
    match address {
        Some(address) => bind(address),
        None => match bind(Ipv6Addr::UNSPECIFIED.into()) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::Unsupported | io::ErrorKind::AddrNotAvailable
                ) || error.raw_os_error() == Some(EAFNOSUPPORT) =>
            {
                bind(Ipv4Addr::UNSPECIFIED.into())
            }
            outcome => outcome,
        },
    }
}

/// Linux's number for "address family not supported": the kernel has no IPv6.
const EAFNOSUPPORT: i32 = 97;
