//! One RPC association on a TCP connection: what `portolan_rpc` wants sent is sent, and what arrives
//! is cut into fragments for it.

use std::time::Duration;

use portolan_rpc::binding::{
    Acknowledged, Authenticating, Binding, BindingError, Fragments, Opening,
};
use portolan_rpc::pdu::SyntaxId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{DrsError, DrsLimits};
use crate::entropy::SystemEntropy;
use crate::network::{Connection, Fault, Link, within};

/// Octets that are read at once.
const READ_OCTETS: usize = 32 * 1024;

/// A connection on which fragments go back and forth.
pub(super) struct Wire {
    stream: TcpStream,
    pub(super) link: Link,
    limits: DrsLimits,
    fragments: Fragments,
    /// What was read and did not fit in yet, sealed as it came.
    arrived: Vec<u8>,
}

/// An association that can be called.
pub(super) struct Association {
    wire: Wire,
    binding: Binding,
}

impl Wire {
    pub(super) fn new(connection: Connection, limits: DrsLimits) -> Self {
        Self {
            stream: connection.stream,
            link: connection.link,
            limits,
            fragments: Fragments::default(),
            arrived: Vec::new(),
        }
    }

    /// Binds to an interface that needs no security.
    pub(super) async fn bind(mut self, interface: SyntaxId) -> Result<Association, DrsError> {
        let (bind, opening) = Opening::plain(interface);
        match self.open(bind, opening).await? {
            Acknowledged::Bound(binding) => Ok(Association { wire: self, binding }),
            Acknowledged::Authenticating(_) => Err(DrsError::OutOfTurn { link: self.link }),
        }
    }

    /// Begins to bind to an interface with the first token of a handshake.
    pub(super) async fn bind_secured(
        &mut self,
        interface: SyntaxId,
        token: &[u8],
    ) -> Result<Authenticating, DrsError> {
        let (bind, opening) =
            Opening::secured(interface, token).map_err(|error| self.refuse(error))?;
        match self.open(bind, opening).await? {
            Acknowledged::Authenticating(authenticating) => Ok(authenticating),
            Acknowledged::Bound(_) => Err(DrsError::OutOfTurn { link: self.link.clone() }),
        }
    }

    /// Ends the bind with the last token.
    pub(super) async fn authenticated(
        mut self,
        last: &[u8],
        binding: Binding,
    ) -> Result<Association, DrsError> {
        self.send(last).await?;
        Ok(Association { wire: self, binding })
    }

    async fn open(&mut self, bind: Vec<u8>, opening: Opening) -> Result<Acknowledged, DrsError> {
        self.send(&bind).await?;
        let fragment = self.fragment().await?;
        opening.accept(&fragment).map_err(|error| self.refuse(error))
    }

    /// The next whole fragment, in memory of its own: it is opened there.
    async fn fragment(&mut self) -> Result<Zeroizing<Vec<u8>>, DrsError> {
        loop {
            let rest = self.fragments.receive(&self.arrived).len();
            let taken = self.arrived.len() - rest;
            self.arrived.drain(..taken);
            match self.fragments.take() {
                Ok(Some(fragment)) => return Ok(Zeroizing::new(fragment.to_vec())),
                Ok(None) => {}
                Err(error) => return Err(self.refuse(error.into())),
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<(), DrsError> {
        let limit = self.limits.silence_time_max;
        let start = self.arrived.len();
        self.arrived.resize(start + READ_OCTETS, 0);
        let Some(room) = self.arrived.get_mut(start..) else { return Ok(()) };
        let count = match within(limit, self.stream.read(room)).await {
            Ok(0) => return Err(self.broken(Fault::Reset)),
            Ok(count) => count,
            Err(fault) => return Err(self.broken(fault)),
        };
        self.arrived.truncate(start + count);
        Ok(())
    }

    async fn send(&mut self, octets: &[u8]) -> Result<(), DrsError> {
        let sent = within(self.limits.send_time_max, self.stream.write_all(octets)).await;
        sent.map_err(|fault| self.broken(fault))
    }

    fn broken(&self, fault: Fault) -> DrsError {
        DrsError::Broken { link: self.link.clone(), fault }
    }

    fn refuse(&self, error: BindingError) -> DrsError {
        DrsError::Binding { link: self.link.clone(), error }
    }
}

impl Association {
    /// Makes a call and gives the stub of its reply.
    pub(super) async fn call(
        &mut self,
        opnum: u16,
        stub: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, DrsError> {
        let called = self.binding.call(opnum, stub, &mut SystemEntropy);
        let octets = called.map_err(|error| self.wire.refuse(error))?;
        self.wire.send(&octets).await?;
        let limit = self.wire.limits.reply_time_max;
        match timeout(limit, self.reply()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.wire.broken(Fault::Filtered { after: limit })),
        }
    }

    /// The reply to the call under way, fragment by fragment.
    async fn reply(&mut self) -> Result<Zeroizing<Vec<u8>>, DrsError> {
        loop {
            let mut fragment = self.wire.fragment().await?;
            let received = self.binding.receive(&mut fragment);
            if let Some(reply) = received.map_err(|error| self.wire.refuse(error))? {
                return Ok(reply);
            }
        }
    }

    pub(super) const fn link(&self) -> &Link {
        &self.wire.link
    }

    pub(super) fn session_key(&self) -> &[u8] {
        self.binding.session_key()
    }

    pub(super) async fn shut(mut self) {
        let farewell = timeout(Duration::from_secs(1), self.wire.stream.shutdown()).await;
        if !matches!(farewell, Ok(Ok(()))) {
            tracing::debug!(link = %self.wire.link, "Connection was closed by the peer");
        }
    }
}
