//! The LDAP client on the network: a sealed connection to a domain controller, and searches on it.
//!
//! A connection binds with Kerberos (SASL GSSAPI, [RFC 4752]) and goes on only if everything after
//! the bind is sealed. A [`SearchStream`] reads from the socket only when it is asked for the next
//! entry: what it holds does not grow with the result, and a slow reader slows the server down.
//! Messages and framing are `portolan_ldap`'s, the protection `portolan_gss`'s.
//!
//! [RFC 4752]: https://www.rfc-editor.org/rfc/rfc4752

mod bind;
mod error;
mod search;

use std::time::Duration;

use portolan_chart::flow;
use portolan_ldap::message::BindResponse;
use portolan_ldap::{BindRequest, Event, Limits, MessageId, Session};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use error::LdapError;
pub use search::{SearchEnd, SearchStream};

use crate::dc::DomainController;
use crate::kerberos::Credential;
use crate::network::{Fault, Link, Network, within};

/// How long a connection waits.
#[derive(Debug, Clone, Copy)]
pub struct LdapLimits {
    /// For the next octet of an answer. A server may work long on a search before its first entry.
    pub silence_time_max: Duration,
    /// For the next whole answer, however steadily octets come: what carries no answer (a drip of
    /// octets, results of a search that was given up) comes to an end.
    pub answer_time_max: Duration,
    /// For a request to be taken by the peer.
    pub send_time_max: Duration,
}

impl Default for LdapLimits {
    fn default() -> Self {
        Self {
            silence_time_max: Duration::from_secs(120),
            answer_time_max: Duration::from_secs(600),
            send_time_max: Duration::from_secs(30),
        }
    }
}

/// A sealed connection to a domain controller.
pub struct LdapConnection {
    stream: TcpStream,
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
        let mut this = Self {
            stream: connection.stream,
            session: Session::new(Limits::default()),
            link: connection.link,
            limits,
            arrived: vec![0; READ_OCTETS],
            unread: None,
        };
        bind::sealed(&mut this, network, controller, credential).await?;
        Ok(this)
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

impl std::fmt::Debug for LdapConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LdapConnection").field("link", &self.link).finish_non_exhaustive()
    }
}
