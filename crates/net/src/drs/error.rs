//! Why nothing was replicated.

use portolan_codec::DecodeError;
use portolan_model::Hint;
use portolan_rpc::Status;
use portolan_rpc::binding::BindingError;

use crate::kerberos::KerberosError;
use crate::network::{DialError, Fault, Link};

/// A replication connection that failed. Whatever it is, the connection is over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DrsError {
    /// The domain controller was not reached.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// There is no Kerberos context.
    #[error("{link} cannot be bound: {error}")]
    Kerberos {
        /// The connection.
        link: Link,
        /// What happened.
        error: Box<KerberosError>,
    },
    /// The association failed.
    #[error("{link} fails: {error}")]
    Binding {
        /// The connection.
        link: Link,
        /// How.
        error: BindingError,
    },
    /// The server answered in another way than the state of the bind allows.
    #[error("{link} answers what was not asked")]
    OutOfTurn {
        /// The connection.
        link: Link,
    },
    /// The endpoint mapper knows no port for replication.
    #[error("{link} names no port for directory replication")]
    NoEndpoint {
        /// The connection.
        link: Link,
    },
    /// The server refused a call.
    #[error("{link} refuses {operation}: {status}")]
    Refused {
        /// The connection.
        link: Link,
        /// Which call.
        operation: &'static str,
        /// The server's status.
        status: Status,
    },
    /// The server cannot do what is needed.
    #[error("{link} lacks an extension that is needed, its flags are {flags:#010x}")]
    TooOld {
        /// The connection.
        link: Link,
        /// The server's extensions.
        flags: u32,
    },
    /// A reply is malformed.
    #[error("{link} sent a malformed reply: {error}")]
    Malformed {
        /// The connection.
        link: Link,
        /// Where and how.
        error: DecodeError,
    },
    /// The connection broke.
    #[error("{link} {fault}")]
    Broken {
        /// The connection.
        link: Link,
        /// What happened.
        fault: Fault,
    },
}

impl Hint for DrsError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Dial(error) => error.hint(),
            Self::Kerberos { error, .. } => error.hint(),
            Self::Binding { link, error } => error.hint().or_else(|| Some(link.other_service())),
            Self::Refused { status, .. } => status.hint(),
            Self::NoEndpoint { link } => Some(format!(
                "look whether {} is a domain controller whose directory service runs",
                link.peer()
            )),
            Self::Broken { link, .. } => Some(link.look_at_peer()),
            Self::OutOfTurn { link } | Self::Malformed { link, .. } => Some(link.other_service()),
            Self::TooOld { .. } => None,
        }
    }
}
