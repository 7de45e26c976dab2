//! The LDAP client on the network: a protected connection to a domain controller, searches and
//! updates on it.
//!
//! A connection is protected in one of the ways of [`Channel`]: it binds with Kerberos (SASL GSSAPI,
//! [RFC 4752]) and goes on only if everything after the bind is sealed, or it runs inside TLS. A [`SearchStream`] reads from the socket only when it is asked for the next
//! entry: what it holds does not grow with the result, and a slow reader slows the server down.
//! Messages and framing are `portolan_ldap`'s, the protection `portolan_gss`'s.
//!
//! [RFC 4752]: https://www.rfc-editor.org/rfc/rfc4752

mod bind;
mod error;
mod search;
mod update;

use std::time::Duration;

use portolan_chart::flow;
use portolan_ldap::message::BindResponse;
use portolan_ldap::{BindRequest, Event, Limits, MessageId, Session};
use portolan_model::SecretString;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

pub use error::LdapError;
pub use search::{SearchEnd, SearchStream};

use crate::dc::DomainController;
use crate::kerberos::Credential;
use crate::network::{Fault, Link, Network, Peer, within};
use crate::tls::{self, ChannelBinding};

/// How long a connection waits.
#[derive(Debug, Clone, Copy)]
pub struct LdapLimits {
    /// For the next octet of an answer. A server may work long on a search before its first entry.
    pub silence_time_max: Duration,
    /// For the next whole answer, however steadily octets come: what carries no answer (a drip of
    /// octets, results of a search that was given up) comes to an end.
    pub answer_time_max: Duration,
    /// For the TLS handshake, with the fetching of revocation lists.
    pub tls_time_max: Duration,
    /// For a request to be taken by the peer.
    pub send_time_max: Duration,
}

impl Default for LdapLimits {
    fn default() -> Self {
        Self {
            silence_time_max: Duration::from_secs(120),
            answer_time_max: Duration::from_secs(600),
            tls_time_max: Duration::from_secs(20),
            send_time_max: Duration::from_secs(30),
        }
    }
}

/// How a connection is protected. There is no way without.
#[derive(Debug, Clone)]
pub enum Channel {
    /// By `connect.ad.ldap`, bound with Kerberos, which seals all that follows.
    Sealed,
    /// By `connect.ad.ldaps`, inside TLS from the first octet.
    Tls {
        /// Whose certificates are believed, and how revocation is looked at.
        tls: tls::Client,
        /// How the account is proven there.
        bind: TlsBind,
    },
}

/// How an account is proven inside TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsBind {
    /// With Kerberos, tied to the TLS connection ([RFC 5929], `tls-server-end-point`) so that nobody
    /// in between can pass it on; without a layer of its own.
    ///
    /// [RFC 5929]: https://www.rfc-editor.org/rfc/rfc5929
    Kerberos,
    /// By the password itself, which the domain controller gets to see.
    Password,
}

/// A protected connection to a domain controller.
pub struct LdapConnection {
    stream: Box<dyn Stream>,
    session: Session,
    link: Link,
    limits: LdapLimits,
    /// Where octets arrive before the session takes them.
    arrived: Vec<u8>,
    /// A search that was not read to its end.
    unread: Option<MessageId>,
}

/// Octets that are read at once.
const READ_OCTETS: usize = 64 * 1024;

impl LdapConnection {
    /// Connects to a domain controller, and binds.
    ///
    /// # Errors
    /// [`LdapError`]: not reached, not believed, refused, or not sealed.
    pub async fn connect(
        network: &Network,
        controller: &DomainController,
        credential: &Credential,
        channel: &Channel,
        limits: LdapLimits,
    ) -> Result<Self, LdapError> {
        let (tls, bind) = match channel {
            Channel::Sealed => {
                return Self::connect_sealed(network, controller, credential, limits).await;
            }
            Channel::Tls { tls, bind } => (tls, *bind),
        };
        let connection = network.dial(flow::CONNECT_AD_LDAPS, &controller.host).await?;
        let link = connection.link;
        let peer = Peer::from(&controller.host);
        let handshake = tls.connect(connection.stream, &peer, &link);
        let Ok(stream) = timeout(limits.tls_time_max, handshake).await else {
            let fault = Fault::Filtered { after: limits.tls_time_max };
            return Err(LdapError::Broken { link, fault });
        };
        let stream = stream?;
        let binding = ChannelBinding::of_server(&stream);
        let mut this = Self::over(Box::new(stream), link, limits);
        let link = || this.link.clone();
        match bind {
            TlsBind::Kerberos => {
                let binding =
                    binding.map_err(|error| LdapError::NotBindable { link: link(), error })?;
                bind::bound(&mut this, network, controller, credential, binding).await?;
            }
            TlsBind::Password => {
                let name = format!("{}@{}", credential.account(), controller.domain);
                let password = credential.password();
                let password = password.ok_or_else(|| LdapError::NoPassword { link: link() })?;
                let (name, password) = (name, password.clone());
                return Self::bind_by_password(this, name, password, credential).await;
            }
        }
        Ok(this)
    }

    /// A caller in haste leaves a slow controller for another one. The password is under way then: what
    /// comes of it is awaited before it is sent anywhere again.
    async fn bind_by_password(
        mut this: Self,
        name: String,
        password: SecretString,
        credential: &Credential,
    ) -> Result<Self, LdapError> {
        let link = this.link.clone();
        let unauthenticated =
            |error| LdapError::Kerberos { link: link.clone(), error: Box::new(error) };
        let alone = credential.alone().await.map_err(unauthenticated)?;
        let credential = credential.clone();
        let bound = tokio::spawn(async move {
            let bound = bind::simple(&mut this, &name, password).await;
            if let Err(error) = &bound
                && error.is_refused_password()
            {
                credential.refuse(&error.to_string());
            }
            drop(alone);
            bound.map(|()| this)
        });
        // It is broken off with the program alone.
        bound.await.unwrap_or(Err(LdapError::OutOfTurn { link }))
    }

    /// Connects to a domain controller by `connect.ad.ldap`, binds with Kerberos, and seals all that
    /// follows.
    ///
    /// # Errors
    /// [`LdapError`]: not reached, refused, or not sealed.
    pub async fn connect_sealed(
        network: &Network,
        controller: &DomainController,
        credential: &Credential,
        limits: LdapLimits,
    ) -> Result<Self, LdapError> {
        let connection = network.dial(flow::CONNECT_AD_LDAP, &controller.host).await?;
        let mut this = Self::over(Box::new(connection.stream), connection.link, limits);
        bind::sealed(&mut this, network, controller, credential).await?;
        Ok(this)
    }

    /// Over a stream on which nothing was said yet.
    fn over(stream: Box<dyn Stream>, link: Link, limits: LdapLimits) -> Self {
        let (session, arrived) = (Session::new(Limits::default()), vec![0; READ_OCTETS]);
        Self { stream, session, link, limits, arrived, unread: None }
    }

    /// The connection's row, with which errors about it begin.
    #[must_use]
    pub const fn link(&self) -> &Link {
        &self.link
    }

    /// Says goodbye and closes the connection.
    ///
    /// # Errors
    /// [`LdapError`] when the peer has closed it already, which loses nothing.
    pub async fn close(mut self) -> Result<(), LdapError> {
        let session = std::mem::replace(&mut self.session, Session::new(Limits::default()));
        let farewell = session.unbind().map_err(|error| self.session_error(error))?;
        self.send(&farewell).await?;
        self.stream.shutdown().await.map_err(|error| self.broken(Fault::of(&error, Duration::ZERO)))
    }

    /// Gives up a search that was not read to its end.
    async fn give_up_unread(&mut self) -> Result<(), LdapError> {
        let Some(unread) = self.unread.take() else { return Ok(()) };
        let octets = self.session.abandon(unread).map_err(|e| self.session_error(e))?;
        self.send(&octets).await
    }

    /// One step of a bind.
    async fn bind(&mut self, request: BindRequest) -> Result<BindResponse, LdapError> {
        let (id, octets) = self.session.bind(request).map_err(|e| self.session_error(e))?;
        self.send(&octets).await?;
        match self.event().await? {
            Event::Bound { id: answered, response } if answered == id => Ok(response),
            _ => Err(LdapError::OutOfTurn { link: self.link.clone() }),
        }
    }

    /// The next thing the server says, unless it says that it hangs up; waits for it.
    async fn event(&mut self) -> Result<Event, LdapError> {
        let limit = self.limits.answer_time_max;
        match timeout(limit, self.received_event()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.broken(Fault::Filtered { after: limit })),
        }
    }

    async fn received_event(&mut self) -> Result<Event, LdapError> {
        loop {
            match self.session.next().map_err(|e| self.session_error(e))? {
                Some(Event::Disconnected(result)) => {
                    let link = self.link.clone();
                    return Err(LdapError::Disconnected { link, result: Box::new(result) });
                }
                Some(event) => return Ok(event),
                None => {}
            }
            let limit = self.limits.silence_time_max;
            let count = match within(limit, self.stream.read(&mut self.arrived)).await {
                Ok(0) => return Err(self.broken(Fault::Reset)),
                Ok(count) => count,
                Err(fault) => return Err(self.broken(fault)),
            };
            let octets = self.arrived.get(..count).unwrap_or_default();
            self.session.receive(octets).map_err(|e| self.session_error(e))?;
        }
    }

    async fn send(&mut self, octets: &[u8]) -> Result<(), LdapError> {
        let sent = within(self.limits.send_time_max, self.stream.write_all(octets)).await;
        sent.map_err(|fault| self.broken(fault))
    }

    fn broken(&self, fault: Fault) -> LdapError {
        LdapError::Broken { link: self.link.clone(), fault }
    }

    fn session_error(&self, error: portolan_ldap::SessionError) -> LdapError {
        LdapError::Session { link: self.link.clone(), error: Box::new(error) }
    }
}

/// What a connection runs over: TCP, or TLS over it.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl std::fmt::Debug for LdapConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LdapConnection").field("link", &self.link).finish_non_exhaustive()
    }
}
