//! Why a server was not believed.

use portolan_model::Hint;
use rustls_pki_types::UnixTime;
use time::OffsetDateTime;

use super::Fingerprint;
use crate::http::HttpError;
use crate::network::Link;

/// A TLS connection that did not come about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The handshake failed before or apart from the question of trust.
    #[error("{link} fails in the TLS handshake: {error}")]
    Handshake {
        /// The connection.
        link: Link,
        /// What rustls or the system says.
        error: std::io::Error,
    },
    /// The certificates do not prove that the peer is who was meant.
    #[error("{link} presents certificates that prove nothing: {fault}")]
    Untrusted {
        /// The connection.
        link: Link,
        /// What is wrong with them.
        fault: ChainFault,
    },
    /// The certificates may be revoked, or are.
    #[error("{link} presents a certificate that is not known to be valid: {fault}")]
    Revocation {
        /// The connection.
        link: Link,
        /// What is wrong.
        fault: RevocationFault,
    },
}

/// What is wrong with a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainFault {
    /// The certificate is for other names.
    #[error("the certificate is not for {name}")]
    WrongName {
        /// The name that was dialled.
        name: String,
    },
    /// The pinned CA is not in the chain.
    #[error("the pinned CA {pin} is not among them")]
    NotPinned {
        /// The pinned CA.
        pin: Fingerprint,
    },
    /// The pinned certificate is no CA's, or its time is over.
    #[error("the pinned certificate {pin} is no CA that is valid now")]
    PinnedUnfit {
        /// The pinned CA.
        pin: Fingerprint,
    },
    /// There are more certificates than the limit.
    #[error("there are more than {certificates_max} of them")]
    TooLong {
        /// The limit.
        certificates_max: usize,
    },
    /// There is none.
    #[error("there is none of them")]
    Missing,
    /// The chain itself.
    #[error("{}", in_words(.0))]
    Chain(webpki::Error),
}

impl ChainFault {
    /// Whether the chain is of another time than now.
    #[must_use]
    pub const fn is_of_dates(&self) -> bool {
        matches!(
            self,
            Self::Chain(webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. })
        )
    }

    /// Whether it leads to nobody who is believed.
    #[must_use]
    pub const fn is_of_issuer(&self) -> bool {
        match self {
            Self::Chain(error) => is_unknown_issuer(error),
            Self::NotPinned { .. } => true,
            _ => false,
        }
    }
}

/// What is wrong with the proof that a certificate is not revoked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationFault {
    /// The certificate is on its issuer's revocation list.
    #[error("its issuer revoked it")]
    Revoked,
    /// The certificate names no revocation list that can be fetched by plain HTTP.
    #[error("it names no revocation list on the charted port")]
    NoDistributionPoint,
    /// The revocation list was not fetched.
    #[error("its revocation list at {url} was not fetched: {error}")]
    Unreachable {
        /// Where it was to be found.
        url: String,
        /// What happened.
        error: Box<HttpError>,
    },
    /// The server of the list answered something else.
    #[error("its revocation list at {url} was not fetched: the answer is {status}")]
    Status {
        /// Where it was to be found.
        url: String,
        /// The status.
        status: u16,
    },
    /// What came is no revocation list.
    #[error("what is at {url} is no revocation list")]
    Malformed {
        /// Where it was found.
        url: String,
    },
    /// The list's time is over.
    #[error("its revocation list should have been renewed before now")]
    Expired,
    /// The list is not signed by the certificate's issuer.
    #[error("its revocation list is not signed by its issuer")]
    BadSignature,
    /// The list does not speak of this certificate.
    #[error("no revocation list speaks of it")]
    NotCovered,
    /// Anything else about the chain with its lists.
    #[error("{0}")]
    Chain(webpki::Error),
}

/// What is wrong with a chain, for a person.
fn in_words(error: &webpki::Error) -> String {
    match error {
        webpki::Error::CertExpired { not_after, .. } => {
            format!("one of them expired on {}", day(*not_after))
        }
        webpki::Error::CertNotValidYet { not_before, .. } => {
            format!("one of them is valid from {} only", day(*not_before))
        }
        error if is_unknown_issuer(error) => "no trusted CA issued them".to_owned(),
        webpki::Error::RequiredEkuNotFoundContext(_) => {
            "the certificate is not for a TLS server".to_owned()
        }
        error => error.to_string(),
    }
}

/// A CA of the trusted one's name that is not the trusted one is as unknown as any other.
const fn is_unknown_issuer(error: &webpki::Error) -> bool {
    matches!(error, webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey)
}

fn day(moment: UnixTime) -> String {
    let seconds = i64::try_from(moment.as_secs()).unwrap_or(i64::MAX);
    match OffsetDateTime::from_unix_timestamp(seconds) {
        Ok(moment) => moment.date().to_string(),
        Err(_) => format!("second {seconds}"),
    }
}

impl Hint for TlsError {
    fn hint(&self) -> Option<String> {
        let peer = |link: &Link| link.peer().to_owned();
        match self {
            Self::Handshake { link, .. } => Some(format!(
                "look whether {} speaks TLS 1.2 or later there, and has a certificate",
                link.peer()
            )),
            Self::Untrusted { link, fault } => Some(match fault {
                ChainFault::WrongName { .. } => {
                    format!("dial a name that the certificate of {} has", peer(link))
                }
                ChainFault::NotPinned { .. } | ChainFault::PinnedUnfit { .. } => format!(
                    "compare the fingerprint with the CA of {}, and enrol again if it was replaced",
                    peer(link)
                ),
                ChainFault::TooLong { .. } | ChainFault::Missing => return None,
                ChainFault::Chain(webpki::Error::CertNotValidYet { .. }) => {
                    format!("compare the clocks of this host and of {}", peer(link))
                }
                ChainFault::Chain(error) if is_unknown_issuer(error) => format!(
                    "give the CA certificate that issued the one of {}, if it is to be trusted",
                    peer(link)
                ),
                ChainFault::Chain(_) => format!("renew the certificate of {}", peer(link)),
            }),
            Self::Revocation { link, fault } => match fault {
                RevocationFault::Unreachable { error, .. } => error.hint(),
                RevocationFault::Revoked => {
                    Some(format!("renew the certificate of {}", peer(link)))
                }
                RevocationFault::NoDistributionPoint => Some(format!(
                    "give {} a certificate that names its revocation list as an http URL",
                    peer(link)
                )),
                _ => Some("publish a fresh revocation list of the CA".to_owned()),
            },
        }
    }
}
