//! The client's side of one connection, without IO.
//!
//! Requests are turned into octets to send. Octets that arrive go in by [`Session::receive`], and
//! [`Session::next`] gives out one [`Event`] after another until nothing whole is left. Several
//! searches may run at once; each event carries the number of its request. After any error but a
//! refused request the session is over, and the connection is to be closed.

use std::collections::BTreeMap;

use portolan_codec::DecodeError;
use portolan_model::Hint;
use zeroize::Zeroizing;

use crate::ber::{Tag, element_octets};
use crate::buffer::Buffer;
use crate::control::Control;
use crate::message::{
    AddRequest, Authentication, BindRequest, BindResponse, DelRequest, LdapResult, Message,
    MessageId, ModifyDnRequest, ModifyRequest, NOTICE_OF_DISCONNECTION, Operation, SearchRequest,
    SearchResultEntry,
};
use crate::sasl::{SaslError, SaslFraming};

/// What a session accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Octets of one message. A server sends each entry in a message of its own.
    pub message_octets_max: usize,
    /// Octets that may lie in the session unused; room for one message and one read beyond it.
    pub pending_octets_max: usize,
    /// Requests that may be unanswered at the same time, given-up ones included.
    pub operations_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_octets_max: 64 * 1024 * 1024,
            pending_octets_max: 80 * 1024 * 1024,
            operations_max: 256,
        }
    }
}

/// Something the server said.
#[derive(Debug, Clone)]
pub enum Event {
    /// A bind, or a step of one, was answered.
    Bound {
        /// The request.
        id: MessageId,
        /// The answer.
        response: BindResponse,
    },
    /// A search found an object.
    Entry {
        /// The request.
        id: MessageId,
        /// The object.
        entry: SearchResultEntry,
        /// Controls beside it.
        controls: Vec<Control>,
    },
    /// A search goes on elsewhere. It is not followed.
    Reference {
        /// The request.
        id: MessageId,
        /// LDAP URLs.
        urls: Vec<String>,
    },
    /// A search has ended.
    Done {
        /// The request.
        id: MessageId,
        /// How it ended.
        result: LdapResult,
        /// Controls beside it, such as a cookie.
        controls: Vec<Control>,
    },
    /// An update has ended.
    Updated {
        /// The request.
        id: MessageId,
        /// How it ended: nothing was changed unless it is a success.
        result: LdapResult,
        /// Controls beside it.
        controls: Vec<Control>,
    },
    /// The Notice of Disconnection (RFC 4511 section 4.4.1): the server hangs up. The session is
    /// over; searches that were not done are incomplete.
    Disconnected(LdapResult),
}

/// An operation that changes the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// Changes an object's attributes.
    Modify(ModifyRequest),
    /// Makes an object.
    Add(AddRequest),
    /// Deletes an object.
    Delete(DelRequest),
    /// Renames or moves an object.
    ModifyDn(ModifyDnRequest),
}

/// Why a session refused a request, or is over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The session has ended.
    #[error("the LDAP session has ended")]
    Closed,
    /// Octets are no message, or one above a limit.
    #[error("the directory sent what is no LDAP message")]
    Malformed(#[from] DecodeError),
    /// The security layer failed.
    #[error("the sealed LDAP stream is broken")]
    Sasl(#[from] SaslError),
    /// More arrived than was taken out.
    #[error("{found} octets are pending, above the limit of {limit}")]
    PendingAboveLimit {
        /// Octets there would be.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// A response belongs to no request.
    #[error("the directory answered request {0}, which is not open")]
    UnknownMessageId(
        /// Its number.
        MessageId,
    ),
    /// A response does not belong to this kind of request.
    #[error("the directory answered request {id} with a message of another kind")]
    UnexpectedResponse {
        /// The request.
        id: MessageId,
    },
    /// Nothing else may be sent until a bind is answered (RFC 4511 section 4.2.1).
    #[error("a bind is under way")]
    BindInProgress,
    /// A bind or a security layer while requests are open.
    #[error("{0} requests are not answered yet")]
    RequestsOpen(
        /// How many.
        usize,
    ),
    /// Too many requests at once.
    #[error("{0} requests are open, which is the limit")]
    TooManyRequests(
        /// How many.
        usize,
    ),
    /// A name with an empty password would be an anonymous bind that looks like a success
    /// (RFC 4513 section 5.1.2).
    #[error("a simple bind with a name and an empty password proves nothing")]
    EmptyPassword,
    /// A simple bind inside a security layer, or a second layer.
    #[error("the connection has a security layer already")]
    AlreadySealed,
    /// Octets in clear came before the security layer was in place: somebody may have added them.
    #[error("{0} octets arrived in clear behind the bind response")]
    OctetsBeforeLayer(
        /// How many.
        usize,
    ),
}

impl Hint for SessionError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Malformed(_) => "check that an LDAP server, and no TLS one, listens there",
            Self::Sasl(_) | Self::OctetsBeforeLayer(_) => {
                "something between here and the domain controller may be changing the traffic"
            }
            Self::EmptyPassword => "give the service account's password",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// The kind of a request that is not answered in full yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Bind,
    Search,
    Modify,
    Add,
    Delete,
    ModifyDn,
    /// Given up; the server may answer or not.
    Abandoned,
}

/// The machine.
pub struct Session {
    limits: Limits,
    framing: Option<SaslFraming>,
    /// What arrived, still sealed; unused without a layer.
    sealed: Buffer,
    plain: Buffer,
    open: BTreeMap<MessageId, Open>,
    next_id: MessageId,
    closed: bool,
}

impl Session {
    /// A session on a fresh connection.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            framing: None,
            sealed: Buffer::default(),
            plain: Buffer::default(),
            open: BTreeMap::new(),
            next_id: MessageId::FIRST,
            closed: false,
        }
    }

    /// Whether a security layer protects all that is sent and received from here on.
    #[must_use]
    pub const fn is_sealed(&self) -> bool {
        self.framing.is_some()
    }

    /// Puts the security layer in place, right after the bind that negotiated it has succeeded.
    ///
    /// # Errors
    /// [`SessionError::OctetsBeforeLayer`] when the server, or somebody on the way, sent more in
    /// clear; [`SessionError::RequestsOpen`] and [`SessionError::AlreadySealed`] at a wrong time.
    pub fn seal(&mut self, framing: SaslFraming) -> Result<(), SessionError> {
        self.check_alive()?;
        if self.is_sealed() {
            return Err(SessionError::AlreadySealed);
        }
        if !self.open.is_empty() {
            return Err(SessionError::RequestsOpen(self.open.len()));
        }
        if self.plain.len() > 0 {
            self.closed = true;
            return Err(SessionError::OctetsBeforeLayer(self.plain.len()));
        }
        self.framing = Some(framing);
        Ok(())
    }

    /// The octets of a bind request, or of one step of a SASL bind.
    ///
    /// # Errors
    /// [`SessionError`] when requests are open, for a password that proves nothing, and for a
    /// bind on a connection that has a security layer.
    pub fn bind(
        &mut self,
        request: BindRequest,
    ) -> Result<(MessageId, Zeroizing<Vec<u8>>), SessionError> {
        self.check_alive()?;
        if self.is_sealed() {
            return Err(SessionError::AlreadySealed);
        }
        if !self.open.is_empty() {
            return Err(SessionError::RequestsOpen(self.open.len()));
        }
        if let Authentication::Simple(password) = &request.authentication
            && password.expose().is_empty()
            && !request.name.is_empty()
        {
            return Err(SessionError::EmptyPassword);
        }
        self.request(Operation::BindRequest(request), Vec::new(), Open::Bind)
    }

    /// The octets of a search request.
    ///
    /// # Errors
    /// [`SessionError`] while a bind is under way, or too many requests are open.
    pub fn search(
        &mut self,
        request: SearchRequest,
        controls: Vec<Control>,
    ) -> Result<(MessageId, Zeroizing<Vec<u8>>), SessionError> {
        self.check_alive()?;
        self.request(Operation::SearchRequest(request), controls, Open::Search)
    }

    /// The octets of a request that changes the directory. It cannot be given up: once it was sent,
    /// only its answer says whether it was carried out.
    ///
    /// # Errors
    /// [`SessionError`] while a bind is under way, or too many requests are open.
    pub fn update(
        &mut self,
        update: Update,
        controls: Vec<Control>,
    ) -> Result<(MessageId, Zeroizing<Vec<u8>>), SessionError> {
        self.check_alive()?;
        let (operation, kind) = match update {
            Update::Modify(request) => (Operation::ModifyRequest(request), Open::Modify),
            Update::Add(request) => (Operation::AddRequest(request), Open::Add),
            Update::Delete(request) => (Operation::DelRequest(request), Open::Delete),
            Update::ModifyDn(request) => (Operation::ModifyDnRequest(request), Open::ModifyDn),
        };
        self.request(operation, controls, kind)
    }

    /// The octets that give up a search; its further results are dropped.
    ///
    /// # Errors
    /// [`SessionError::UnknownMessageId`] when no such search runs.
    pub fn abandon(&mut self, id: MessageId) -> Result<Zeroizing<Vec<u8>>, SessionError> {
        self.check_alive()?;
        match self.open.get_mut(&id) {
            Some(open @ Open::Search) => *open = Open::Abandoned,
            _ => return Err(SessionError::UnknownMessageId(id)),
        }
        // An abandon has no response, so it opens nothing; its number is used up.
        let own = self.unused_id();
        self.protect(&Message::new(own, Operation::AbandonRequest(id)))
    }

    /// The octets of an unbind request, after which the connection is to be closed.
    ///
    /// # Errors
    /// [`SessionError`] when the session has ended, or the layer fails.
    pub fn unbind(mut self) -> Result<Zeroizing<Vec<u8>>, SessionError> {
        self.check_alive()?;
        let id = self.unused_id();
        self.protect(&Message::new(id, Operation::UnbindRequest))
    }

    /// Takes in octets that arrived. [`Self::next`] is to be called until it gives nothing more.
    ///
    /// # Errors
    /// [`SessionError::PendingAboveLimit`] when too much lies unused.
    pub fn receive(&mut self, octets: &[u8]) -> Result<(), SessionError> {
        self.check_alive()?;
        let found = self.sealed.len() + self.plain.len() + octets.len();
        let limit = self.limits.pending_octets_max;
        if found > limit {
            self.closed = true;
            return Err(SessionError::PendingAboveLimit { found, limit });
        }
        let stream = if self.is_sealed() { &mut self.sealed } else { &mut self.plain };
        stream.append(octets);
        Ok(())
    }

    /// The next thing the server said; `None` until more arrives.
    ///
    /// # Errors
    /// [`SessionError`] when the server broke the protocol; the session is over then.
    #[expect(clippy::should_implement_trait, reason = "nothing now does not mean the end")]
    pub fn next(&mut self) -> Result<Option<Event>, SessionError> {
        self.check_alive()?;
        let event = self.advance();
        if matches!(event, Err(_) | Ok(Some(Event::Disconnected(_)))) {
            self.closed = true;
        }
        event
    }

    fn advance(&mut self) -> Result<Option<Event>, SessionError> {
        while let Some(message) = self.message()? {
            if let Some(event) = self.event(message)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// The next whole message, of as many frames as it takes.
    fn message(&mut self) -> Result<Option<Message>, SessionError> {
        loop {
            let stream = self.plain.as_slice();
            let limit = self.limits.message_octets_max;
            let octets = element_octets(stream, Tag::SEQUENCE, limit, "LDAPMessage")?;
            if let Some((count, octets)) = octets.and_then(|n| Some((n, stream.get(..n)?))) {
                let message = Message::decode(octets)?;
                self.plain.consume(count);
                return Ok(Some(message));
            }
            let Some(framing) = &mut self.framing else { return Ok(None) };
            let Some(plain) = framing.open(&mut self.sealed)? else { return Ok(None) };
            self.plain.append_owned(plain);
        }
    }

    /// What a message means here; nothing when it belongs to what was given up.
    fn event(&mut self, message: Message) -> Result<Option<Event>, SessionError> {
        let Message { id, operation, controls } = message;
        if id == MessageId::UNSOLICITED {
            return notification(operation);
        }
        let Some(open) = self.open.get(&id).copied() else {
            return Err(SessionError::UnknownMessageId(id));
        };
        let event = match (open, operation) {
            (Open::Bind, Operation::BindResponse(response)) => {
                self.open.remove(&id);
                Some(Event::Bound { id, response })
            }
            (Open::Search, Operation::SearchResultEntry(entry)) => {
                Some(Event::Entry { id, entry, controls })
            }
            (Open::Search, Operation::SearchResultReference(urls)) => {
                Some(Event::Reference { id, urls })
            }
            (Open::Search, Operation::SearchResultDone(result)) => {
                self.open.remove(&id);
                Some(Event::Done { id, result, controls })
            }
            (Open::Modify, Operation::ModifyResponse(result))
            | (Open::Add, Operation::AddResponse(result))
            | (Open::Delete, Operation::DelResponse(result))
            | (Open::ModifyDn, Operation::ModifyDnResponse(result)) => {
                self.open.remove(&id);
                Some(Event::Updated { id, result, controls })
            }
            (
                Open::Abandoned,
                Operation::SearchResultEntry(_) | Operation::SearchResultReference(_),
            ) => None,
            (Open::Abandoned, Operation::SearchResultDone(_)) => {
                self.open.remove(&id);
                None
            }
            _ => return Err(SessionError::UnexpectedResponse { id }),
        };
        Ok(event)
    }

    fn request(
        &mut self,
        operation: Operation,
        controls: Vec<Control>,
        kind: Open,
    ) -> Result<(MessageId, Zeroizing<Vec<u8>>), SessionError> {
        if self.open.values().any(|open| *open == Open::Bind) {
            return Err(SessionError::BindInProgress);
        }
        if self.open.len() >= self.limits.operations_max {
            return Err(SessionError::TooManyRequests(self.open.len()));
        }
        let id = self.unused_id();
        let octets = self.protect(&Message { id, operation, controls })?;
        self.open.insert(id, kind);
        Ok((id, octets))
    }

    /// A number that no open request has.
    fn unused_id(&mut self) -> MessageId {
        while self.open.contains_key(&self.next_id) {
            self.next_id = self.next_id.following();
        }
        let id = self.next_id;
        self.next_id = id.following();
        id
    }

    fn protect(&mut self, message: &Message) -> Result<Zeroizing<Vec<u8>>, SessionError> {
        let plain = message.encode();
        let Some(framing) = &mut self.framing else { return Ok(plain) };
        match framing.seal(&plain) {
            Ok(frames) => Ok(Zeroizing::new(frames)),
            Err(error) => {
                self.closed = true;
                Err(error.into())
            }
        }
    }

    const fn check_alive(&self) -> Result<(), SessionError> {
        if self.closed { Err(SessionError::Closed) } else { Ok(()) }
    }
}

/// A message that nobody asked for: all but the Notice of Disconnection are ignored (RFC 4511
/// section 4.4).
fn notification(operation: Operation) -> Result<Option<Event>, SessionError> {
    let Operation::ExtendedResponse(response) = operation else {
        return Err(SessionError::UnknownMessageId(MessageId::UNSOLICITED));
    };
    let disconnected = response.name.as_deref() == Some(NOTICE_OF_DISCONNECTION);
    Ok(disconnected.then_some(Event::Disconnected(response.result)))
}

#[cfg(test)]
mod tests;
