//! Why a binding was given up.

use portolan_codec::DecodeError;
use portolan_gss::{UnwrapError, WrapError};
use portolan_model::Hint;

use super::RESPONSE_OCTETS_MAX;
use crate::Status;
use crate::pdu::PacketType;

/// Why a binding was given up: the connection is to be closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindingError {
    /// A fragment is malformed.
    #[error("a fragment is malformed: {0}")]
    Malformed(
        /// Where and how.
        #[from]
        DecodeError,
    ),
    /// A fragment came that does not belong here.
    #[error("a fragment of type {0:?} came where it does not belong")]
    UnexpectedFragment(
        /// What came.
        PacketType,
    ),
    /// A fragment belongs to another call.
    #[error("a fragment of call {found} came in call {expected}")]
    OtherCall {
        /// The call that is under way.
        expected: u32,
        /// The call that the fragment names.
        found: u32,
    },
    /// A fragment belongs to another presentation context.
    #[error("a fragment of presentation context {0} came")]
    OtherContext(
        /// What the fragment names.
        u16,
    ),
    /// First and last fragments do not come in their order.
    #[error("the fragments of a reply are out of order")]
    FragmentOrder,
    /// A fragment that is not the last carries nothing: a reply of such fragments never ends.
    #[error("a fragment of a reply carries nothing and is not the last")]
    EmptyFragment,
    /// A reply came although no call is under way.
    #[error("a reply came to no call")]
    NoCall,
    /// A call is already under way.
    #[error("a call is already under way")]
    CallUnderWay,
    /// The parameters of a call are too large.
    #[error("the parameters of a call have {found} octets, at most {limit} are sent")]
    RequestAboveLimit {
        /// Octets of the stub.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// A reply is too large.
    #[error("a reply is longer than {RESPONSE_OCTETS_MAX} octets")]
    ResponseAboveLimit,
    /// The server refuses the association.
    #[error("the server refuses the association, reason {0}")]
    AssociationRefused(
        /// The reason (C706 12.6.3.1).
        u16,
    ),
    /// The server refuses the interface or the transfer syntax.
    #[error("the server refuses the interface, result {result}, reason {reason}")]
    InterfaceRefused {
        /// The result (C706 12.6.3.1).
        result: u16,
        /// The reason.
        reason: u16,
    },
    /// The server takes smaller fragments than every implementation must.
    #[error("the server takes fragments of at most {0} octets, fewer than the 1432 it must take")]
    ReceiveMaximum(
        /// What it takes.
        u16,
    ),
    /// The server does not sign headers.
    #[error("the server does not sign headers")]
    HeaderSigningRefused,
    /// The server answered the bind without a token.
    #[error("the server does not authenticate itself")]
    NoToken,
    /// A fragment is not sealed.
    #[error("a fragment of type {0:?} is not sealed")]
    NotSealed(
        /// What came.
        PacketType,
    ),
    /// The server ended the call.
    #[error("the server ended the call: {status}")]
    Fault {
        /// Why.
        status: Status,
        /// Whether the fault was sealed. One that was not may come from anyone on the path.
        sealed: bool,
    },
    /// A sealed fragment was refused.
    #[error("a sealed fragment was refused: {0}")]
    Refused(
        /// The rule that it broke.
        #[from]
        UnwrapError,
    ),
    /// A fragment could not be sealed.
    #[error("a fragment could not be sealed: {0}")]
    NotWrapped(
        /// The reason.
        #[from]
        WrapError,
    ),
}

impl Hint for BindingError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Fault { status, .. } => status.hint(),
            Self::AssociationRefused(_) | Self::NoToken => {
                Some("check the account's Kerberos credentials and the server's name".into())
            }
            Self::InterfaceRefused { .. } => {
                Some("is this host a domain controller, and is its directory running?".into())
            }
            _ => None,
        }
    }
}
