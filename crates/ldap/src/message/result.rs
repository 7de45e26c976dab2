//! LDAPResult ([RFC 4511] section 4.1.9) and what Active Directory adds to its text.
//!
//! [RFC 4511]: https://www.rfc-editor.org/rfc/rfc4511#section-4.1.9

use std::fmt;

use portolan_codec::DecodeError;
use portolan_model::Hint;

use crate::ber::{Decoder, Encoder, Tag};

/// Referral URLs one result or reference may carry.
pub const REFERRALS_MAX: usize = 64;
/// The tag of LDAPResult's referral.
const REFERRAL: Tag = Tag::context_constructed(3);

macro_rules! result_codes {
    ($($variant:ident = $number:literal, $name:literal;)*) => {
        /// A resultCode of RFC 4511 appendix A.2, or a number that is not listed there.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ResultCode {
            $(
                #[doc = concat!("`", $name, "`, ", $number, ".")]
                $variant,
            )*
            /// Another number; it is no success.
            Unlisted(
                /// The number.
                u32,
            ),
        }

        impl ResultCode {
            /// The code of a number.
            #[must_use]
            pub const fn from_number(number: u32) -> Self {
                match number {
                    $($number => Self::$variant,)*
                    other => Self::Unlisted(other),
                }
            }

            /// The number.
            #[must_use]
            pub const fn number(self) -> u32 {
                match self {
                    $(Self::$variant => $number,)*
                    Self::Unlisted(number) => number,
                }
            }
        }

        impl fmt::Display for ResultCode {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant => f.write_str(concat!($name, " (", $number, ")")),)*
                    Self::Unlisted(number) => write!(f, "result code {number}"),
                }
            }
        }
    };
}

result_codes! {
    Success = 0, "success";
    OperationsError = 1, "operationsError";
    ProtocolError = 2, "protocolError";
    TimeLimitExceeded = 3, "timeLimitExceeded";
    SizeLimitExceeded = 4, "sizeLimitExceeded";
    CompareFalse = 5, "compareFalse";
    CompareTrue = 6, "compareTrue";
    AuthMethodNotSupported = 7, "authMethodNotSupported";
    StrongerAuthRequired = 8, "strongerAuthRequired";
    Referral = 10, "referral";
    AdminLimitExceeded = 11, "adminLimitExceeded";
    UnavailableCriticalExtension = 12, "unavailableCriticalExtension";
    ConfidentialityRequired = 13, "confidentialityRequired";
    SaslBindInProgress = 14, "saslBindInProgress";
    NoSuchAttribute = 16, "noSuchAttribute";
    UndefinedAttributeType = 17, "undefinedAttributeType";
    InappropriateMatching = 18, "inappropriateMatching";
    ConstraintViolation = 19, "constraintViolation";
    AttributeOrValueExists = 20, "attributeOrValueExists";
    InvalidAttributeSyntax = 21, "invalidAttributeSyntax";
    NoSuchObject = 32, "noSuchObject";
    AliasProblem = 33, "aliasProblem";
    InvalidDnSyntax = 34, "invalidDNSyntax";
    AliasDereferencingProblem = 36, "aliasDereferencingProblem";
    InappropriateAuthentication = 48, "inappropriateAuthentication";
    InvalidCredentials = 49, "invalidCredentials";
    InsufficientAccessRights = 50, "insufficientAccessRights";
    Busy = 51, "busy";
    Unavailable = 52, "unavailable";
    UnwillingToPerform = 53, "unwillingToPerform";
    LoopDetect = 54, "loopDetect";
    NamingViolation = 64, "namingViolation";
    ObjectClassViolation = 65, "objectClassViolation";
    NotAllowedOnNonLeaf = 66, "notAllowedOnNonLeaf";
    NotAllowedOnRdn = 67, "notAllowedOnRDN";
    EntryAlreadyExists = 68, "entryAlreadyExists";
    ObjectClassModsProhibited = 69, "objectClassModsProhibited";
    AffectsMultipleDsas = 71, "affectsMultipleDSAs";
    Other = 80, "other";
}

macro_rules! logon_failures {
    ($($variant:ident = $number:literal, $meaning:literal;)*) => {
        /// Why Active Directory refused a bind: the Windows error ([MS-ERREF] section 2.2) that
        /// stands as `data` in the text beside `invalidCredentials`.
        ///
        /// [MS-ERREF]: https://learn.microsoft.com/openspecs/windows_protocols/ms-erref
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum LogonFailure {
            $(
                #[doc = concat!("Windows error `", stringify!($number), "`: ", $meaning, ".")]
                $variant,
            )*
        }

        impl LogonFailure {
            /// The failure of a Windows error number.
            #[must_use]
            pub const fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for LogonFailure {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $meaning,)* })
            }
        }
    };
}

logon_failures! {
    NoSuchUser = 0x525, "the account does not exist";
    WrongPassword = 0x52e, "the account name or the password is wrong";
    AccountRestriction = 0x52f, "a restriction of the account forbids it";
    InvalidLogonHours = 0x530, "the account may not sign in at this hour";
    InvalidWorkstation = 0x531, "the account may not sign in from this host";
    PasswordExpired = 0x532, "the password has expired";
    AccountDisabled = 0x533, "the account is disabled";
    LogonTypeNotGranted = 0x569, "the account lacks the right to sign in this way";
    AccountExpired = 0x701, "the account has expired";
    PasswordMustChange = 0x773, "the password must be changed first";
    AccountLockedOut = 0x775, "the account is locked";
}

/// The end of an operation, as the server tells it. Referrals are kept and never followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LdapResult {
    /// The code.
    pub code: ResultCode,
    /// The deepest entry on the way that the server knows, where that means something.
    pub matched_dn: String,
    /// The server's own words, for a person. Octets that are no UTF-8 were replaced.
    pub diagnostic: String,
    /// Where else to ask, as LDAP URLs.
    pub referrals: Vec<String>,
}

impl LdapResult {
    /// A success without any text.
    pub const SUCCESS: Self = Self {
        code: ResultCode::Success,
        matched_dn: String::new(),
        diagnostic: String::new(),
        referrals: Vec::new(),
    };

    /// The result itself if it is a success.
    ///
    /// # Errors
    /// [`Refusal`] for every other code.
    pub fn success(self) -> Result<Self, Refusal> {
        if self.code == ResultCode::Success { Ok(self) } else { Err(Refusal(self)) }
    }

    /// The Windows error with which Active Directory begins its text, as eight hexadecimal digits
    /// and a colon ([MS-ADTS] section 3.1.1.3.1.9).
    ///
    /// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
    #[must_use]
    pub fn windows_error(&self) -> Option<u32> {
        let (digits, _) = self.diagnostic.split_once(':')?;
        (digits.len() == 8).then(|| u32::from_str_radix(digits, 16).ok()).flatten()
    }

    /// Why a bind was refused, from the `data` in Active Directory's text.
    #[must_use]
    pub fn logon_failure(&self) -> Option<LogonFailure> {
        if self.code != ResultCode::InvalidCredentials {
            return None;
        }
        let (_, data) = self.diagnostic.split_once(" data ")?;
        let end = data.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(data.len());
        LogonFailure::from_number(u32::from_str_radix(&data[..end], 16).ok()?)
    }

    /// The COMPONENTS OF LDAPResult, which other responses continue.
    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let number = decoder.enumerated(0..=i64::from(i32::MAX), "resultCode")?;
        let matched_dn = decoder.text("matchedDN")?.to_owned();
        let diagnostic = String::from_utf8_lossy(decoder.octets("diagnosticMessage")?).into_owned();
        let referrals = if decoder.peek() == Some(REFERRAL) {
            urls(&mut decoder.constructed(REFERRAL, "referral")?)?
        } else {
            Vec::new()
        };
        // The bounds above make the number fit.
        let code = ResultCode::from_number(number as u32);
        Ok(Self { code, matched_dn, diagnostic, referrals })
    }

    pub(crate) fn encode(&self, encoder: &mut Encoder) {
        encoder.integer(Tag::ENUMERATED, self.code.number().into());
        encoder.text(&self.matched_dn);
        encoder.text(&self.diagnostic);
        if !self.referrals.is_empty() {
            encoder.constructed(REFERRAL, |urls| {
                self.referrals.iter().for_each(|url| urls.text(url));
            });
        }
    }
}

/// The URLs of a Referral or a SearchResultReference (RFC 4511 sections 4.1.10 and 4.5.2).
pub(crate) fn urls(decoder: &mut Decoder<'_>) -> Result<Vec<String>, DecodeError> {
    let mut urls = Vec::new();
    while !decoder.is_empty() {
        let url = decoder.text("URI")?.to_owned();
        if urls.len() == REFERRALS_MAX {
            let fault = portolan_codec::Fault::AboveLimit {
                found: urls.len() as u64 + 1,
                limit: REFERRALS_MAX as u64,
            };
            return Err(decoder.fault("URI", fault));
        }
        urls.push(url);
    }
    Ok(urls)
}

impl fmt::Display for LdapResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(failure) = self.logon_failure() {
            write!(f, ", {failure}")?;
        }
        if !self.matched_dn.is_empty() {
            write!(f, ", known as far as {}", self.matched_dn.escape_debug())?;
        }
        let text = self.diagnostic.trim_end_matches(['\0', '\n', '\r', ' ']);
        if text.is_empty() { Ok(()) } else { write!(f, ": {}", text.escape_debug()) }
    }
}

/// The directory refused an operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the directory answered {0}")]
pub struct Refusal(
    /// What it answered.
    pub LdapResult,
);

impl Hint for Refusal {
    fn hint(&self) -> Option<String> {
        let hint = match self.0.code {
            ResultCode::StrongerAuthRequired | ResultCode::ConfidentialityRequired => {
                "the directory wants a protected connection: use LDAP over TLS, or Kerberos in place of the \
                 password"
            }
            ResultCode::InvalidCredentials => match self.0.logon_failure() {
                Some(LogonFailure::AccountLockedOut) => "unlock the service account in the forest",
                Some(LogonFailure::AccountDisabled) => "enable the service account in the forest",
                Some(LogonFailure::PasswordExpired | LogonFailure::PasswordMustChange) => {
                    "set a new password for the service account, one that does not expire"
                }
                _ => "check the service account's name and its password or keytab",
            },
            ResultCode::InsufficientAccessRights => {
                "the service account lacks a right on this object; `portolan connect init` names it"
            }
            ResultCode::Busy | ResultCode::Unavailable => {
                "the domain controller is overloaded or starting; try again later or use another"
            }
            ResultCode::Referral => "the naming context is held elsewhere; name its own domain",
            ResultCode::NoSuchObject => {
                "check the name: the object may have been moved, renamed or deleted"
            }
            ResultCode::NoSuchAttribute => {
                "the value is not there any more: somebody changed it meanwhile; read it again"
            }
            ResultCode::AttributeOrValueExists => {
                "the value is there already, or the attribute takes one value and has another"
            }
            ResultCode::ConstraintViolation => {
                "another object may have the value, or the schema's limits for the attribute forbid it"
            }
            ResultCode::UndefinedAttributeType => {
                "the forest's schema lacks the attribute; the schema of another product adds it"
            }
            ResultCode::InvalidAttributeSyntax => "the schema wants another form of value",
            ResultCode::UnwillingToPerform => {
                "the directory never takes such a change, or not on a read-only controller"
            }
            ResultCode::EntryAlreadyExists => "another object has the name; choose another",
            ResultCode::NotAllowedOnNonLeaf => "objects stand below it; move or delete them first",
            ResultCode::NotAllowedOnRdn => "the value is in the object's name; rename the object",
            ResultCode::UnavailableCriticalExtension => {
                "the directory lacks a control this needs; is it an Active Directory"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(code: u32, diagnostic: &str) -> LdapResult {
        LdapResult {
            code: ResultCode::from_number(code),
            diagnostic: diagnostic.to_owned(),
            ..LdapResult::SUCCESS
        }
    }

    /// Texts as Active Directory and Samba print them.
    #[test]
    fn the_windows_error_behind_a_refusal_is_read() {
        let check = |code, text: &str, error, failure| {
            let result = result(code, text);
            assert_eq!(result.windows_error(), error, "{text}");
            assert_eq!(result.logon_failure(), failure, "{text}");
        };
        let bind = "80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, \
                    data 52e, v4563\0";
        check(49, bind, Some(0x8009_0308), Some(LogonFailure::WrongPassword));
        check(49, "x data 775", None, Some(LogonFailure::AccountLockedOut));
        check(49, "x data fffffffff", None, None);
        check(49, "", None, None);
        check(53, bind, Some(0x8009_0308), None);
        check(32, "0000208D: NameErr: DSID-03100238", Some(0x208d), None);
    }

    #[test]
    fn a_refusal_says_what_happened_and_what_to_do() {
        let refusal = result(49, "80090308: LdapErr: comment: x, data 775, v4563\0").success();
        let refusal = refusal.unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "the directory answered invalidCredentials (49), the account is locked: \
             80090308: LdapErr: comment: x, data 775, v4563"
        );
        assert_eq!(refusal.hint().unwrap(), "unlock the service account in the forest");
        assert_eq!(result(4711, "").to_string(), "result code 4711");
        assert!(result(4711, "").success().is_err());
        assert!(LdapResult::SUCCESS.success().is_ok());
    }

    #[test]
    fn every_code_returns_to_its_number() {
        for number in 0..200 {
            assert_eq!(ResultCode::from_number(number).number(), number);
        }
    }
}
