//! The other end of the chart's rows before its servers exist: every port of a role, each with the opening
//! exchange of its protocol and nothing behind it.
//!
//! Two machines with nothing on them prove the network between them so: one responds, the other checks. A
//! [`Responder`] accepts no credential, passes nothing on and looks nothing up for anybody; every answer
//! bears the [mark](crate::mark). What a peer can take of it is bounded by [`Limits`]. Answers by UDP have at
//! most three times the octets of their questions; the exception is the LDAP ping, which cannot be cut
//! (`ldap`).
//!
//! The protocols are without IO, one module each (`opening` says how they are spoken to); `converse` has the
//! loops, `plan` says what is listened on.

mod adws;
mod amqp;
mod asked;
mod authority;
mod converse;
mod dns;
mod guests;
mod http;
mod kerberos;
mod ldap;
mod ntp;
mod opening;
mod plan;
mod private;
mod rpc;
mod smb;
mod stand_in;
mod tds;
mod websocket;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portolan_chart::{Chart, Role, Speaks, Transport};
use portolan_model::{DnsName, Entropy as _, Guid};
use portolan_net::entropy::SystemEntropy;
use portolan_net::{
    Datagrams, ListenError, ListenFault, Listener, Network, NetworkConfig, NetworkError, Peer,
    clock,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

pub use asked::{Asked, PEERS_MAX, Place, Reaction, Summary};
pub use authority::AuthorityError;

use authority::Authority;
use converse::{Port, Shared};
use guests::Guests;
use plan::{Service, Slot};
use stand_in::StandIn;

/// Who is stood in for, and where.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The role.
    pub role: Role,
    /// The edition in force.
    pub chart: Chart,
    /// The forest's name; a domain controller needs one.
    pub forest: Option<DnsName>,
    /// The host's names and addresses in its certificate. The first name is its own.
    pub names: Vec<Peer>,
    /// The addresses to listen on; none is every one of this host.
    pub listen: Vec<IpAddr>,
    /// Listen on ports that the system chooses, and not on those of the chart: for tests.
    pub ephemeral_ports: bool,
    /// What peers may take.
    pub limits: Limits,
}

/// What peers may take of a stand-in.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time.
    pub connections_max: usize,
    /// Connections of one peer at a time. A check puts all its questions at once.
    pub connections_of_a_peer_max: usize,
    /// For one connection from its beginning to its end.
    pub connection_time_max: Duration,
    /// Octets that are heard on one connection.
    pub octets_max: usize,
    /// Answers that are given on one connection.
    pub answers_max: usize,
    /// Datagrams of one peer that are answered in a second.
    pub datagrams_of_a_peer_max: u32,
    /// Peers whose datagrams are answered in a second.
    pub peers_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 512,
            connections_of_a_peer_max: 128,
            connection_time_max: Duration::from_secs(15),
            octets_max: 64 * 1024,
            answers_max: 16,
            datagrams_of_a_peer_max: 64,
            peers_max: 1024,
        }
    }
}

/// Why a stand-in cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RespondError {
    /// No row of the edition ends at the role.
    #[error("no row of edition {edition} ends at the role {role}")]
    NoRow {
        /// The role.
        role: Role,
        /// The edition's date.
        edition: String,
    },
    /// A domain controller is one of a forest.
    #[error("the role {0} needs the forest's name")]
    NoForest(Role),
    /// No name for the host was given.
    #[error("the host needs a DNS name")]
    NoName,
    /// The network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The certificates.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// What TLS is set up with.
    #[error("cannot serve TLS: {0}")]
    Tls(String),
}

impl portolan_model::Hint for RespondError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoRow { .. } => {
                Some("`portolan chart list` shows who opens what to whom".to_owned())
            }
            Self::NoForest(_) => Some("say --forest corp.example".to_owned()),
            Self::NoName => Some("say --name HOST".to_owned()),
            Self::Network(error) => error.hint(),
            Self::Authority(_) | Self::Tls(_) => None,
        }
    }
}

/// A stand-in that listens, and answers nobody yet.
#[derive(Debug)]
pub struct Responder {
    shared: Arc<Shared>,
    open: Vec<(Socket, Place, Service)>,
    closed: Vec<ListenError>,
    unspoken: Vec<String>,
    authority: String,
}

#[derive(Debug)]
enum Socket {
    Stream(Listener),
    Datagram(Datagrams),
}

/// Ports of a range that are tried until one is free.
const DYNAMIC_PORTS_MAX: usize = 64;
/// Questions that wait to be told of.
const TOLD_MAX: usize = 1024;

impl Responder {
    /// Listens on every port of the role that is free.
    ///
    /// # Errors
    /// When there is nothing to stand in for. Ports that cannot be listened on are no error:
    /// [`Responder::closed`] names them.
    pub fn bind(settings: Settings) -> Result<Self, RespondError> {
        let Settings { role, chart, forest, names, listen, ephemeral_ports, limits } = settings;
        let (slots, unspoken) = plan::slots(&chart, role);
        if slots.is_empty() {
            return Err(RespondError::NoRow { role, edition: chart.in_force().id.clone() });
        }
        if role == Role::Forest && forest.is_none() {
            return Err(RespondError::NoForest(role));
        }
        let host_names: Vec<DnsName> = names
            .iter()
            .filter_map(|name| match name {
                Peer::Name(name) => Some(name.clone()),
                Peer::Address(_) => None,
            })
            .collect();
        let host = host_names.first().ok_or(RespondError::NoName)?.clone();

        let networks = networks(&chart, role, &listen, ephemeral_ports)?;
        let Bound { open, closed, ports } = bind_all(&networks, &chart, slots);

        let list = ports.get(&Speaks::Crl).map(|port| format!("http://{host}:{port}/respond.crl"));
        let given = names.iter().filter_map(|name| match name {
            Peer::Address(address) => Some(*address),
            Peer::Name(_) => None,
        });
        let addresses: Vec<IpAddr> = given.chain(listen.iter().copied()).collect();
        let subjects = host_names.iter().map(DnsName::to_string);
        let subjects: Vec<_> = subjects.chain(addresses.iter().map(IpAddr::to_string)).collect();
        let authority = Authority::make(&subjects, list.as_deref(), clock::now())?;
        let refused = |error: portolan_net::tls::SetupError| RespondError::Tls(error.to_string());
        let tls = portolan_net::tls::Server::new(authority.identity.clone()).map_err(refused)?;
        let tls_client_certificate = portolan_net::tls::Server::asking_for_certificates(
            authority.identity,
            &authority.certificate,
        )
        .map_err(refused)?;
        let mut rng = SystemEntropy;
        let stand_in = StandIn {
            forest,
            names: host_names,
            addresses,
            domain_guid: Guid::from_random(rng.array()),
            ports,
            revocation_list: authority.revocation_list,
            salt: rng.array(),
        };
        let places = open.iter().map(|(_, place, _)| (place.clone(), 0, 0)).collect();
        let shared = Shared {
            stand_in,
            limits,
            guests: Arc::new(Guests::new(limits, clock::monotonic())),
            tls,
            tls_client_certificate,
            summary: Mutex::new(Summary { places, ..Summary::default() }),
        };
        let unspoken =
            unspoken.iter().map(|row| format!("{}, {}", row.table, row.protocol)).collect();
        let shared = Arc::new(shared);
        Ok(Self { shared, open, closed, unspoken, authority: authority.pem })
    }

    /// The ports that are listened on.
    pub fn open(&self) -> impl Iterator<Item = &Place> {
        self.open.iter().map(|(_, place, _)| place)
    }

    /// The ports that could not be listened on, and why.
    #[must_use]
    pub fn closed(&self) -> &[ListenError] {
        &self.closed
    }

    /// The rows whose protocol a stand-in does not speak.
    #[must_use]
    pub fn unspoken(&self) -> &[String] {
        &self.unspoken
    }

    /// The host's own name.
    #[must_use]
    pub fn host(&self) -> &str {
        self.shared.stand_in.host()
    }

    /// The certificate of the throw-away authority, as PEM text, for the checker to believe.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Answers until `stop` resolves, tells `tell` of every question, and of all of them at the end.
    pub async fn run(self, stop: impl Future<Output = ()>, mut tell: impl FnMut(Asked)) -> Summary {
        let (told, mut asked) = mpsc::channel(TOLD_MAX);
        let (stopping, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for (index, (socket, place, service)) in self.open.into_iter().enumerate() {
            let shared = Arc::clone(&self.shared);
            let port = Port { shared, index, place, service, told: told.clone() };
            match socket {
                Socket::Stream(listener) => {
                    tasks.spawn(converse::connections(listener, port, stopped.clone()));
                }
                Socket::Datagram(socket) => {
                    tasks.spawn(converse::datagrams(socket, port, stopped.clone()));
                }
            }
        }
        drop(told);
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(asked) = asked.recv() => tell(asked),
            }
        }
        // Nobody listening means that every task has ended.
        let _ = stopping.send(true);
        while tasks.join_next().await.is_some() {}
        while let Ok(asked) = asked.try_recv() {
            tell(asked);
        }
        self.shared.summary.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One for each address to listen on.
fn networks(
    chart: &Chart,
    role: Role,
    listen: &[IpAddr],
    ephemeral_ports: bool,
) -> Result<Vec<Network>, NetworkError> {
    let addresses: Vec<Option<IpAddr>> = match listen {
        [] => vec![None],
        some => some.iter().copied().map(Some).collect(),
    };
    let network = |listen_address| {
        let mut config = NetworkConfig::new(chart.clone(), role);
        // A stand-in asks nobody.
        config.name_servers = Some(Vec::new());
        config.listen_address = listen_address;
        config.ephemeral_ports = ephemeral_ports;
        Network::new(config)
    };
    addresses.into_iter().map(network).collect()
}

/// What is listened on, and what is not.
struct Bound {
    open: Vec<(Socket, Place, Service)>,
    closed: Vec<ListenError>,
    /// The port on which each protocol is spoken.
    ports: BTreeMap<Speaks, u16>,
}

fn bind_all(networks: &[Network], chart: &Chart, slots: Vec<Slot>) -> Bound {
    let mut bound = Bound { open: Vec::new(), closed: Vec::new(), ports: BTreeMap::new() };
    for slot in slots {
        let sockets = match bind(networks, &slot) {
            Ok(sockets) => sockets,
            Err(error) => {
                bound.closed.push(error);
                continue;
            }
        };
        for (socket, place) in sockets {
            let rows = chart.all().filter(|row| slot.flows.contains(&row.flow));
            bound.ports.extend(rows.map(|row| (row.speaks, place.address.port())));
            bound.open.push((socket, place, slot.service));
        }
    }
    bound
}

/// Listens on a slot's port at each address; of a range, on the first port that is free at all of them.
fn bind(networks: &[Network], slot: &Slot) -> Result<Vec<(Socket, Place)>, ListenError> {
    let at = |port: u16| -> Result<Vec<(Socket, Place)>, ListenError> {
        networks.iter().map(|network| bind_at(network, slot, port)).collect()
    };
    if let Some(port) = slot.port {
        return at(port);
    }
    let candidates = slot.row.ports.iter().flat_map(|range| range.ports());
    let mut last = None;
    for port in candidates.take(DYNAMIC_PORTS_MAX) {
        match at(port) {
            Err(error) if matches!(error.fault, ListenFault::InUse) => last = Some(error),
            outcome => return outcome,
        }
    }
    // A row has a port at least, so that one was tried.
    last.map_or_else(|| Ok(Vec::new()), Err)
}

fn bind_at(network: &Network, slot: &Slot, port: u16) -> Result<(Socket, Place), ListenError> {
    let system =
        |row: &str, error| ListenError { row: row.to_owned(), fault: ListenFault::System(error) };
    let (socket, address, row) = match slot.transport {
        Transport::Tcp => {
            let listener = network.listen_at(&slot.row, port)?;
            let row = listener.row().to_owned();
            let address = listener.local_address().map_err(|error| system(&row, error))?;
            (Socket::Stream(listener), address, row)
        }
        Transport::Udp => {
            let datagrams = network.datagrams_at(&slot.row, port)?;
            let row = datagrams.row().to_owned();
            let address = datagrams.local_address().map_err(|error| system(&row, error))?;
            (Socket::Datagram(datagrams), address, row)
        }
    };
    let place = Place { address, transport: slot.transport, row, flows: slot.flows.clone() };
    Ok((socket, place))
}
