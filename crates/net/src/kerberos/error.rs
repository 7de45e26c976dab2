//! Why there is no security context.

use portolan_codec::DecodeError;
use portolan_gss::krb_error::ErrorCode;
use portolan_model::{DnsName, Hint, Realm, Spn};
use time::{Duration, OffsetDateTime, UtcOffset};

use super::messages::Fault;
use crate::dc::LocateError;
use crate::network::DialError;

/// What a KDC was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exchange {
    /// The ticket-granting ticket, for which the account proves itself (AS): what is refused here counts
    /// towards its lockout.
    Account,
    /// A service's ticket, for one that was granted (TGS): nothing is proven with the account's key.
    Service,
}

/// A handshake that did not come about. An authentication failure is never tried again here: each
/// counts towards the account's lockout.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KerberosError {
    /// The KDC was not reached.
    #[error(transparent)]
    Unreachable(#[from] DialError),
    /// No KDC of a realm on the way to the service's was found.
    #[error("{service} is reached by the realm of {domain}: {error}")]
    NoKdc {
        /// The realm's domain.
        domain: DnsName,
        /// The service that a ticket is wanted for.
        service: Box<Spn>,
        /// Why none was found.
        error: Box<LocateError>,
    },
    /// The KDC refused.
    #[error("{kdc} gives {account} no ticket for {service}: {code}{}", in_words(.text))]
    Refused {
        /// The domain controller.
        kdc: DnsName,
        /// The account.
        account: Box<str>,
        /// The service the ticket is for.
        service: Box<Spn>,
        /// What was asked for when it refused.
        exchange: Exchange,
        /// The KDC's code.
        code: ErrorCode,
        /// The KDC's own words.
        text: Option<Box<str>>,
        /// The version of the key that was proven with, where it is from a keytab.
        keytab_version: Option<u32>,
    },
    /// The KDC says that the account is in another realm, and that one was asked already, or there were too
    /// many.
    #[error("{kdc} says that {account} is in the realm {realm}, which is asked no more")]
    InAnotherRealm {
        /// The domain controller.
        kdc: DnsName,
        /// The account.
        account: Box<str>,
        /// The other realm.
        realm: Box<Realm>,
    },
    /// The KDC of a realm gives no ticket for another one.
    #[error("{kdc} gives {account} no ticket for the realm {realm}: {code}{}", in_words(.text))]
    NotReferred {
        /// The domain controller.
        kdc: DnsName,
        /// The account.
        account: Box<str>,
        /// The other realm.
        realm: Box<Realm>,
        /// The KDC's code.
        code: ErrorCode,
        /// The KDC's own words.
        text: Option<Box<str>>,
    },
    /// The account was refused before, and nothing has changed since.
    #[error("{account} is not tried again: {said}")]
    NotTriedAgain {
        /// The account.
        account: String,
        /// What the directory said.
        said: String,
    },
    /// The service refused the ticket.
    #[error("{service} does not take the ticket of {account}: {code}{}", in_words(.text))]
    RefusedByService {
        /// The account.
        account: String,
        /// The service.
        service: Spn,
        /// The service's code.
        code: ErrorCode,
        /// The service's own words.
        text: Option<Box<str>>,
    },
    /// The account's key is another in the directory.
    #[error("the key of {account} does not open what {kdc} sealed for it{}",
            versions(*.keytab_version, *.directory_version))]
    WrongKey {
        /// The domain controller.
        kdc: DnsName,
        /// The account.
        account: String,
        /// The version of the key here, where it is from a keytab.
        keytab_version: Option<u32>,
        /// The version of the key in the directory.
        directory_version: Option<u32>,
    },
    /// The directory has no key of the account that is spoken here.
    #[error("{kdc} has no AES key of {account} that is also here")]
    NoAesKey {
        /// The domain controller.
        kdc: DnsName,
        /// The account.
        account: String,
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

fn in_words(text: &Option<Box<str>>) -> String {
    text.as_ref().map_or_else(String::new, |text| format!(" ({text})"))
}

/// A time of day as it is shown to a person: `2026-11-22 01:43:45 UTC`.
fn in_seconds(time: OffsetDateTime) -> String {
    let time = time.to_offset(UtcOffset::UTC);
    let (hour, minute, second) = time.to_hms();
    format!("{} {hour:02}:{minute:02}:{second:02} UTC", time.date())
}

/// Which keys there are: `: the keytab holds kvno 3, the directory has 4`.
fn versions(keytab: Option<u32>, directory: Option<u32>) -> String {
    match (keytab, directory) {
        (Some(keytab), Some(directory)) => {
            format!(": the keytab holds kvno {keytab}, the directory has {directory}")
        }
        (Some(keytab), None) => format!(": the keytab holds kvno {keytab}"),
        (None, _) => String::new(),
    }
}

impl KerberosError {
    pub(super) fn failed(kdc: &DnsName, fault: Fault) -> Self {
        Self::Handshake { kdc: kdc.clone(), step: fault.step, reason: fault.reason }
    }

    /// Whether the account itself was refused, so that trying again can only lock it.
    #[must_use]
    pub const fn is_authentication_failure(&self) -> bool {
        matches!(
            self,
            Self::WrongKey { .. }
                | Self::NotTriedAgain { .. }
                | Self::Refused {
                    exchange: Exchange::Account,
                    code: ErrorCode::NameExpired
                        | ErrorCode::ClientUnknown
                        | ErrorCode::ClientRevoked
                        | ErrorCode::KeyExpired
                        | ErrorCode::PreauthFailed
                        | ErrorCode::BadIntegrity,
                    ..
                }
        )
    }
}

impl Hint for KerberosError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable(error) => error.hint(),
            Self::NoKdc { error, .. } => error.hint(),
            Self::ClockSkew { kdc, .. } => Some(format!("set this host's clock by {kdc}")),
            Self::WrongKey { account, keytab_version: None, .. } => Some(format!(
                "give the password of {account} anew; the old one is not tried again, so that the \
                 account is not locked"
            )),
            Self::WrongKey { account, .. } => Some(format!("export a new keytab for {account}")),
            Self::NoAesKey { account, .. } => Some(format!(
                "set the password of {account} anew, which makes its AES keys, and export its keytab \
                 anew if it has one"
            )),
            Self::NotReferred { realm, code: ErrorCode::ServerUnknown, .. } => Some(format!(
                "look whether the account's domain trusts, and is trusted by, that of {realm}: \
                 `Get-ADTrust -Filter *`"
            )),
            Self::NotReferred { code: ErrorCode::EncryptionType, .. } => {
                Some("let the trust between the domains support AES".to_owned())
            }
            Self::NotReferred { .. } => None,
            Self::InAnotherRealm { account, .. } => {
                Some(format!("name the account by the domain that it is in, in place of {account}"))
            }
            Self::RefusedByService { service, .. } => Some(format!(
                "try again, which gets a new ticket; if it stays, look whether {service} is registered \
                 for one account alone: `setspn -Q {service}`"
            )),
            Self::Refused { account, service, code, keytab_version, .. } => Some(match code {
                ErrorCode::PreauthFailed if keytab_version.is_some() => format!(
                    "the keytab holds kvno {}: compare it with the directory's \
                     msDS-KeyVersionNumber of {account}, and export a new keytab; the old one is not \
                     tried again, so that the account is not locked",
                    keytab_version.unwrap_or_default()
                ),
                ErrorCode::PreauthFailed => format!(
                    "give the password of {account} anew; the old one is not tried again, so that \
                     the account is not locked"
                ),
                ErrorCode::ClientUnknown => {
                    format!("look at the spelling of {account}, and whether the account exists")
                }
                ErrorCode::ClientRevoked | ErrorCode::NameExpired => {
                    format!("enable or unlock {account} in the forest")
                }
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
            Self::NotTriedAgain { account, .. } => {
                Some(format!("correct the password or keytab of {account}, and start again"))
            }
            Self::Malformed { kdc, .. }
            | Self::NoReply { kdc, .. }
            | Self::Handshake { kdc, .. } => Some(format!(
                "look whether a KDC of the domain answers on {kdc}, and no other service and nothing \
                     in between"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samba demands a proof of every account, and MIT's KDC leaves the version out of its replies, so
    /// neither shows this; Active Directory names the version to an account that need not prove itself.
    #[test]
    fn both_versions_of_a_key_are_named_where_they_are_known() {
        let check = |keytab_version, directory_version, expected: &str| {
            let error = KerberosError::WrongKey {
                kdc: "dc1.corp.example".parse().unwrap(),
                account: "svc@CORP.EXAMPLE".to_owned(),
                keytab_version,
                directory_version,
            };
            let said =
                "the key of svc@CORP.EXAMPLE does not open what dc1.corp.example sealed for it";
            assert_eq!(error.to_string(), format!("{said}{expected}"));
            assert!(error.is_authentication_failure() && error.hint().is_some());
        };
        check(Some(3), Some(4), ": the keytab holds kvno 3, the directory has 4");
        check(Some(3), None, ": the keytab holds kvno 3");
        check(None, Some(4), "");
    }
}
