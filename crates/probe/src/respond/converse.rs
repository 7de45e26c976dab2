//! The loops: connections and datagrams of one port, each within its limits.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portolan_net::{Datagrams, Listener, clock, tls};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::adws::Framing;
use super::asked::shortened;
use super::guests::Guests;
use super::http::Http;
use super::kerberos::Kerberos;
use super::opening::{Answer, Opening, Scene, Step};
use super::plan::Service;
use super::private::Private;
use super::rpc::Rpc;
use super::stand_in::StandIn;
use super::tds::Tds;
use super::{Asked, Limits, Place, Reaction, Summary, dns, ldap, ntp, smb};
use crate::Verdict;

/// How long accepting rests after the system refused it, for want of file descriptors mostly.
const REST: Duration = Duration::from_millis(100);
/// How long a peer has to take the last answer up, and open connections to end when all ends.
const DRAIN: Duration = Duration::from_secs(1);
/// Octets of a datagram; a longer one is cut, and not understood then.
const DATAGRAM_OCTETS_MAX: usize = 4096;
/// The type of TLS's first record (RFC 8446 section 5.1).
const TLS_HANDSHAKE: u8 = 22;
/// Octets that are read at once.
const READ_OCTETS: usize = 4096;

/// What all loops share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) stand_in: StandIn,
    pub(super) limits: Limits,
    pub(super) guests: Arc<Guests>,
    pub(super) tls: tls::Server,
    pub(super) tls_client_certificate: tls::Server,
    pub(super) summary: Mutex<Summary>,
}

/// One port's part of it.
#[derive(Debug, Clone)]
pub(super) struct Port {
    pub(super) shared: Arc<Shared>,
    pub(super) index: usize,
    pub(super) place: Place,
    pub(super) service: Service,
    pub(super) told: mpsc::Sender<Asked>,
}

impl Port {
    fn tell(&self, peer: SocketAddr, question: &str, reaction: Reaction) {
        let mut summary = self.shared.summary.lock().unwrap_or_else(PoisonError::into_inner);
        summary.count(self.index, peer.ip(), reaction);
        let asked = Asked {
            at: clock::now(),
            peer,
            port: self.place.address.port(),
            transport: self.place.transport,
            row: self.place.row.clone(),
            question: shortened(question),
            reaction,
        };
        // Whoever floods a stand-in does not hold its answers up.
        if self.told.try_send(asked).is_err() {
            summary.untold += 1;
        }
    }

    fn scene(&self, here: IpAddr) -> Scene<'_> {
        Scene {
            stand_in: &self.shared.stand_in,
            here,
            port: self.place.address.port(),
            is_private: self.tls().is_some(),
            now: clock::now(),
        }
    }

    fn tls(&self) -> Option<&tls::Server> {
        match self.service {
            Service::Tls | Service::LdapInTls => Some(&self.shared.tls),
            Service::TlsClientCertificate => Some(&self.shared.tls_client_certificate),
            _ => None,
        }
    }

    fn opening(&self) -> Option<Box<dyn Opening>> {
        Some(match self.service {
            Service::Dns => Box::new(dns::Dns),
            Service::Kerberos => Box::new(Kerberos::Kdc),
            Service::Passwords => Box::new(Kerberos::Passwords),
            Service::EndpointMapper => Box::new(Rpc::Mapper),
            Service::Interfaces => Box::new(Rpc::Interfaces),
            Service::Ldap | Service::LdapInTls => Box::new(ldap::Ldap),
            Service::Smb => Box::new(smb::Smb),
            Service::Adws => Box::new(Framing),
            Service::Http => Box::<Http>::default(),
            Service::WebProxy => Box::new(Http { is_proxy: true, upgraded: None }),
            Service::Tls | Service::TlsClientCertificate => Box::<Private>::default(),
            Service::Tds => Box::new(Tds),
            // The first octet says which of both it is.
            Service::Ntp | Service::TlsOrHttp => return None,
        })
    }

    fn answer(&self, question: &[u8], here: IpAddr) -> Option<Answer> {
        let scene = self.scene(here);
        match self.service {
            Service::Dns => dns::datagram(question, &scene),
            Service::Kerberos => Kerberos::Kdc.datagram(question, &scene),
            Service::Passwords => Kerberos::Passwords.datagram(question, &scene),
            Service::Ldap => ldap::datagram(question, &scene),
            Service::Ntp => ntp::datagram(question, &scene),
            _ => None,
        }
    }
}

/// Answers connections until it is told to stop.
pub(super) async fn connections(listener: Listener, port: Port, mut stop: watch::Receiver<bool>) {
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            // The sender gone means the end as well.
            _ = stop.wait_for(|stop| *stop) => break,
            Some(_) = open.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, row = listener.row(), "Cannot accept a connection");
                sleep(REST).await;
                continue;
            }
        };
        let Some(seat) = port.shared.guests.seat(peer.ip()) else {
            port.tell(peer, "a connection", Reaction::Crowded);
            continue;
        };
        let port = port.clone();
        open.spawn(async move {
            let limit = port.shared.limits.connection_time_max;
            if timeout(limit, Box::pin(connection(stream, peer, &port))).await.is_err() {
                tracing::debug!(%peer, row = port.place.row, "A connection took too long");
            }
            drop(seat);
        });
    }
    drop(listener);
    let drained = async { while open.join_next().await.is_some() {} };
    if timeout(DRAIN, drained).await.is_err() {
        tracing::debug!("Closing connections that did not end in time");
    }
}

async fn connection(mut stream: TcpStream, peer: SocketAddr, port: &Port) {
    let Ok(here) = stream.local_addr() else { return };
    let here = here.ip().to_canonical();
    let service = match port.service {
        Service::TlsOrHttp => begun(&stream).await,
        service => service,
    };
    let port = &Port { service, ..port.clone() };
    let Some(opening) = port.opening() else { return };
    let Some(tls) = port.tls() else {
        return finish(converse(&mut stream, opening, (peer, here), port).await, &mut stream).await;
    };
    match tls.accept(stream).await {
        Ok(mut stream) => {
            port.tell(peer, "a TLS handshake", Reaction::Answered);
            finish(converse(&mut stream, opening, (peer, here), port).await, &mut stream).await;
        }
        Err(error) => {
            port.tell(peer, &format!("a TLS handshake: {error}"), Reaction::Broken);
        }
    }
}

/// What a peer begins where both are served.
async fn begun(stream: &TcpStream) -> Service {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(1) if first == [TLS_HANDSHAKE] => Service::Tls,
        _ => Service::Http,
    }
}

async fn converse(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    mut opening: Box<dyn Opening>,
    (peer, here): (SocketAddr, IpAddr),
    port: &Port,
) -> io::Result<()> {
    let limits = port.shared.limits;
    let (mut heard, mut octets, mut answers) = (Vec::new(), 0, 0);
    let mut buffer = vec![0; READ_OCTETS];
    loop {
        while !heard.is_empty() {
            let step = opening.hear(&heard, &port.scene(here));
            match step {
                Step::More => break,
                Step::Foreign => {
                    port.tell(peer, &shown(&heard), Reaction::Foreign);
                    return Ok(());
                }
                Step::Answer(answer) => {
                    port.tell(peer, &answer.asked, Reaction::Answered);
                    stream.write_all(&answer.octets).await?;
                    stream.flush().await?;
                    answers += 1;
                    heard.drain(..answer.taken.min(heard.len()));
                    if answer.ends || answer.taken == 0 || answers >= limits.answers_max {
                        return Ok(());
                    }
                }
            }
        }
        let count = stream.read(&mut buffer).await?;
        octets += count;
        heard.extend_from_slice(buffer.get(..count).unwrap_or_default());
        if count == 0 || octets > limits.octets_max {
            match (heard.is_empty(), answers) {
                (false, _) => port.tell(peer, &shown(&heard), Reaction::Foreign),
                (true, 0) if port.tls().is_none() => {
                    port.tell(peer, "nothing", Reaction::Silent);
                }
                (true, _) => {}
            }
            return Ok(());
        }
    }
}

/// Ends a connection so that the last answer arrives: closing it over octets that were not read would break
/// it off.
async fn finish(ended: io::Result<()>, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    if let Err(error) = ended {
        tracing::debug!(%error, "A connection broke");
        return;
    }
    let drained = async {
        stream.shutdown().await?;
        let mut buffer = vec![0; READ_OCTETS];
        while stream.read(&mut buffer).await? > 0 {}
        io::Result::Ok(())
    };
    if !matches!(timeout(DRAIN, drained).await, Ok(Ok(()))) {
        tracing::debug!("A peer did not end its connection");
    }
}

/// Answers datagrams until it is told to stop.
pub(super) async fn datagrams(socket: Datagrams, port: Port, mut stop: watch::Receiver<bool>) {
    let mut buffer = vec![0; DATAGRAM_OCTETS_MAX];
    loop {
        let received = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            received = socket.receive(&mut buffer) => received,
        };
        let (count, sender) = match received {
            Ok(received) => received,
            Err(error) => {
                tracing::warn!(%error, row = socket.row(), "Cannot receive a datagram");
                sleep(REST).await;
                continue;
            }
        };
        let peer = SocketAddr::new(sender.ip().to_canonical(), sender.port());
        if !port.shared.guests.answers(peer.ip(), clock::monotonic()) {
            port.tell(peer, "a datagram", Reaction::Crowded);
            continue;
        }
        let question = buffer.get(..count).unwrap_or_default();
        let here = match socket.address_towards(sender).await {
            Ok(here) => here,
            Err(error) => {
                tracing::debug!(%error, %peer, "No route back");
                continue;
            }
        };
        match port.answer(question, here) {
            Some(answer) => {
                port.tell(peer, &answer.asked, Reaction::Answered);
                if let Err(error) = socket.send(&answer.octets, sender).await {
                    tracing::debug!(%error, %peer, "Cannot send an answer");
                }
            }
            None => port.tell(peer, &shown(question), Reaction::Foreign),
        }
    }
}

/// The first octets of what was not understood.
fn shown(heard: &[u8]) -> String {
    match Verdict::wrong_protocol(heard) {
        Verdict::WrongProtocol { heard } => heard,
        _ => String::new(),
    }
}
