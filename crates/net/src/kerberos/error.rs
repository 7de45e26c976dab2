//! Why there is no security context.

use portolan_codec::DecodeError;
use portolan_model::{DnsName, Hint, Spn};
use time::{Duration, OffsetDateTime, UtcOffset};

use crate::network::DialError;
use portolan_gss::krb_error::ErrorCode;

/// A handshake that did not come about. An authentication failure is never tried again here: each
/// counts towards the account's lockout.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KerberosError {
    /// The KDC was not reached.
    #[error(transparent)]
    Unreachable(#[from] DialError),
    /// The KDC refused.
    #[error("{kdc} gives {account} no ticket for {service}: {code}{}", in_words(.text))]
    Refused {
        /// The domain controller.
        kdc: DnsName,
        /// The account.
        account: String,
        /// The service the ticket is for.
        service: Spn,
        /// The KDC's code.
        code: ErrorCode,
        /// The KDC's own words.
        text: Option<String>,
    },
    /// The two clocks differ by more than Kerberos allows.
    #[error(
        "the clock of {kdc} says {} and this host's {}: {} s apart, {} s are allowed",
        in_seconds(*.there),
        in_seconds(*.here),
        (*.there - *.here).whole_seconds().unsigned_abs(),
        CLOCK_SKEW_MAX.whole_seconds()
    )]
    ClockSkew {
        /// The domain controller.
        kdc: DnsName,
        /// Its clock, in UTC.
        there: OffsetDateTime,
        /// This host's clock, in UTC.
        here: OffsetDateTime,
    },
    /// The KDC sent what is no Kerberos message.
    #[error("{kdc} sent what is no Kerberos message: {error}")]
    Malformed {
        /// The domain controller.
        kdc: DnsName,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// The KDC sent a message of another kind.
    #[error("{kdc} sent a Kerberos message with tag {tag:#04x}, which is no reply")]
    NoReply {
        /// The domain controller.
        kdc: DnsName,
        /// The message's tag.
        tag: u8,
    },
    /// The handshake library refused what it was given.
    #[error("the Kerberos handshake with {kdc} fails while {step}: {reason}")]
    Handshake {
        /// The domain controller.
        kdc: DnsName,
        /// What was being done.
        step: &'static str,
        /// The library's own words.
        reason: String,
    },
}

/// How far two clocks may be apart ([RFC 4120 section 1.6]; Active Directory's default).
///
/// [RFC 4120 section 1.6]: https://www.rfc-editor.org/rfc/rfc4120#section-1.6
pub const CLOCK_SKEW_MAX: Duration = Duration::minutes(5);

fn in_words(text: &Option<String>) -> String {
    text.as_ref().map_or_else(String::new, |text| format!(" ({text})"))
}

/// A time of day as it is shown to a person: `2026-11-22 01:43:45 UTC`.
fn in_seconds(time: OffsetDateTime) -> String {
    let time = time.to_offset(UtcOffset::UTC);
    let (hour, minute, second) = time.to_hms();
    format!("{} {hour:02}:{minute:02}:{second:02} UTC", time.date())
}

impl KerberosError {
    /// Whether the account itself was refused, so that trying again can only lock it.
    #[must_use]
    pub const fn is_authentication_failure(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                code: ErrorCode::ClientUnknown
                    | ErrorCode::ClientRevoked
                    | ErrorCode::KeyExpired
                    | ErrorCode::PreauthFailed,
                ..
            }
        )
    }
}

impl Hint for KerberosError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable(error) => error.hint(),
            Self::ClockSkew { kdc, .. } => Some(format!("set this host's clock by {kdc}")),
            Self::Refused { account, service, code, .. } => Some(match code {
                ErrorCode::PreauthFailed => format!(
                    "give the password of {account} anew; the old one is not tried again, so that \
                     the account is not locked"
                ),
                ErrorCode::ClientUnknown => {
                    format!("look at the spelling of {account}, and whether the account exists")
                }
                ErrorCode::ClientRevoked => format!("enable or unlock {account} in the forest"),
                ErrorCode::KeyExpired => format!("change the password of {account} in the forest"),
                ErrorCode::ServerUnknown => {
                    format!("look whether {service} is registered: `setspn -Q {service}`")
                }
                ErrorCode::EncryptionType => {
                    format!("set the password of {account} anew, which makes its AES keys")
                }
                ErrorCode::ClockSkew => "set this host's clock by the domain's".to_owned(),
                _ => return None,
            }),
            Self::Malformed { .. } | Self::NoReply { .. } | Self::Handshake { .. } => None,
        }
    }
}
