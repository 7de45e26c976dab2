//! One association without credentials, from the bind to the reply of a call.

use portolan_net::Connection;
use portolan_net::entropy::SystemEntropy;
use portolan_rpc::binding::{Acknowledged, Binding, BindingError, Opening};
use portolan_rpc::pdu::{Header, SyntaxId};
use tokio::net::TcpStream;

use crate::probes::hearing::Hearing;
use crate::{Asker, Verdict, mark};

/// Where a bind_ack has its assoc_group_id (C706 12.6.4.4): behind the header of 16 octets and two sizes.
const ASSOCIATION_GROUP_AT: usize = 20;
/// Octets of a header (C706 12.6.3.1), which has the fragment's length.
const HEADER_OCTETS: usize = 16;

/// What came of a bind.
pub(super) struct Bound<'a> {
    hearing: Hearing<'a, TcpStream>,
    /// Nothing when the server speaks the protocol and takes no such bind, and why.
    binding: Result<Binding, BindingError>,
    /// Whether somebody stands in for the server.
    pub(super) is_stand_in: bool,
}

impl<'a> Bound<'a> {
    /// Binds to an interface on a connection on which nothing was said yet.
    ///
    /// # Errors
    /// What it means for the row that nobody there speaks the protocol.
    pub(super) async fn over(
        asker: &'a Asker<'a>,
        connection: Connection,
        interface: SyntaxId,
    ) -> Result<Self, Verdict> {
        let mut hearing = Hearing::new(asker, connection.stream);
        let (bind, opening) = Opening::plain(interface);
        hearing.say(&bind).await?;
        let ack = fragment(&mut hearing).await?;
        let binding = match opening.accept(&ack) {
            Ok(Acknowledged::Bound(binding)) => Ok(binding),
            Err(
                error @ (BindingError::AssociationRefused(_)
                | BindingError::InterfaceRefused { .. }),
            ) => Err(error),
            Ok(Acknowledged::Authenticating(_)) | Err(_) => {
                return Err(Verdict::wrong_protocol(&ack));
            }
        };
        let group = ack.get(ASSOCIATION_GROUP_AT..).and_then(<[u8]>::first_chunk);
        let is_stand_in =
            group.is_some_and(|group| u32::from_le_bytes(*group) == mark::ASSOCIATION_GROUP);
        Ok(Self { hearing, binding, is_stand_in })
    }

    /// Why the server takes no such bind.
    pub(super) fn refusal(&self) -> Option<&BindingError> {
        self.binding.as_ref().err()
    }

    /// Makes a call and gives the stub of its reply, or why the server made none.
    ///
    /// # Errors
    /// What it means for the row that what came back is none.
    pub(super) async fn call(
        &mut self,
        opnum: u16,
        stub: &[u8],
    ) -> Result<Result<Vec<u8>, BindingError>, Verdict> {
        let binding = match &mut self.binding {
            Ok(binding) => binding,
            Err(error) => return Ok(Err(error.clone())),
        };
        let call = match binding.call(opnum, stub, &mut SystemEntropy) {
            Ok(call) => call,
            Err(error) => return Ok(Err(error)),
        };
        self.hearing.say(&call).await?;
        loop {
            let mut fragment = fragment(&mut self.hearing).await?;
            match binding.receive(&mut fragment) {
                Ok(Some(reply)) => return Ok(Ok(reply.to_vec())),
                Ok(None) => {}
                Err(error @ BindingError::Fault { .. }) => return Ok(Err(error)),
                Err(_) => return Err(Verdict::wrong_protocol(&fragment)),
            }
        }
    }
}

/// The next whole fragment. What begins with no header is told at once, before more is waited for.
async fn fragment(hearing: &mut Hearing<'_, TcpStream>) -> Result<Vec<u8>, Verdict> {
    let mut heard = hearing.at_least(1).await?;
    loop {
        // Of less than a header, as much as there is has to be the beginning of one.
        if !HEADER_BEGINS.starts_with(heard.get(..heard.len().min(2)).unwrap_or_default()) {
            return Err(Verdict::wrong_protocol(heard));
        }
        if heard.len() >= HEADER_OCTETS {
            break;
        }
        heard = hearing.more().await?;
    }
    match Header::length_of_first(heard) {
        Ok(Some(length)) => hearing.take(length).await,
        Ok(None) | Err(_) => Err(Verdict::wrong_protocol(heard)),
    }
}

/// Version 5.0 (C706 12.6.3.1).
const HEADER_BEGINS: [u8; 2] = [5, 0];
