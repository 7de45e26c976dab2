//! Why a directory was not read or written.

use portolan_gss::sasl::SaslError;
use portolan_ldap::{LdapResult, Refusal, ResultCode, SessionError};
use portolan_model::Hint;

use crate::kerberos::KerberosError;
use crate::network::{DialError, Fault, Link};
use crate::tls::{NoBinding, TlsError};

/// An LDAP connection, a search or an update that failed. But for [`Self::Refused`] of a search or an
/// update, the connection is over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LdapError {
    /// The domain controller was not reached.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// TLS did not come about, or its certificates prove nothing.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The bind cannot be tied to the TLS connection.
    #[error("{link} cannot be bound: {error}")]
    NotBindable {
        /// The connection.
        link: Link,
        /// Why not.
        error: NoBinding,
    },
    /// A bind by password, with a credential that has none.
    #[error("{link} cannot be bound by password: the account is configured without one")]
    NoPassword {
        /// The connection.
        link: Link,
    },
    /// There is no Kerberos context.
    #[error("{link} cannot be bound: {error}")]
    Kerberos {
        /// The connection.
        link: Link,
        /// What happened.
        error: Box<KerberosError>,
    },
    /// The layer that seals the connection was not agreed on.
    #[error("{link} cannot be sealed: {error}")]
    NotSealed {
        /// The connection.
        link: Link,
        /// What happened.
        error: SaslError,
    },
    /// The server did not send a token that the bind needs.
    #[error("{link} answers the bind without a token")]
    NoToken {
        /// The connection.
        link: Link,
    },
    /// The directory refused an operation.
    #[error("{link} refuses {operation}: {refusal}")]
    Refused {
        /// The connection.
        link: Link,
        /// Which operation.
        operation: String,
        /// What the directory said.
        refusal: Box<Refusal>,
    },
    /// The server said that it hangs up.
    #[error("{link} is hung up by the directory: {result}")]
    Disconnected {
        /// The connection.
        link: Link,
        /// What it said.
        result: Box<LdapResult>,
    },
    /// The server answered another request than the one asked.
    #[error("{link} answers what was not asked")]
    OutOfTurn {
        /// The connection.
        link: Link,
    },
    /// The server broke the protocol.
    #[error("{link} breaks the protocol: {error}")]
    Session {
        /// The connection.
        link: Link,
        /// How.
        error: Box<SessionError>,
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

impl LdapError {
    /// Whether the directory refused the account's name or password.
    #[must_use]
    pub fn is_refused_password(&self) -> bool {
        matches!(self, Self::Refused { refusal, .. } if refusal.0.code == ResultCode::InvalidCredentials)
    }
}

impl Hint for LdapError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Dial(error) => error.hint(),
            Self::Tls(error) => error.hint(),
            Self::NotBindable { error, .. } => error.hint(),
            Self::NoPassword { .. } => Some(
                "configure a password file, or leave --simple-bind out: Kerberos needs no password"
                    .to_owned(),
            ),
            Self::Kerberos { error, .. } => error.hint(),
            Self::NotSealed { error, .. } => error.hint(),
            Self::Refused { refusal, .. } => refusal.hint(),
            Self::Session { error, .. } => error.hint(),
            Self::Broken { link, .. } | Self::Disconnected { link, .. } => {
                Some(link.look_at_peer())
            }
            Self::NoToken { .. } | Self::OutOfTurn { .. } => None,
        }
    }
}
