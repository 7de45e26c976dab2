//! KRB-ERROR, as far as a client acts on it ([RFC 4120 section 5.9.1]): the code, the clock of who sent
//! it, and what it says about the account's keys.
//!
//! [RFC 4120 section 5.9.1]: https://www.rfc-editor.org/rfc/rfc4120#section-5.9.1

use std::fmt;

use portolan_codec::{DecodeError, Fault, Reader};
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

use crate::der::{GENERAL_STRING, GENERALIZED_TIME, OCTET_STRING, SEQUENCE, element, int32};
use crate::etype_info::{self, KeyInfo};

/// The message's tag, `[APPLICATION 30]`.
const KRB_ERROR: u8 = 0x7e;
/// The tags of the fields that are read.
const STIME: u8 = 0xa4;
const ERROR_CODE: u8 = 0xa6;
const CREALM: u8 = 0xa7;
const E_TEXT: u8 = 0xab;
const E_DATA: u8 = 0xac;

macro_rules! error_codes {
    ($($variant:ident = $number:literal, $name:literal, $meaning:literal;)*) => {
        /// An error-code of RFC 4120 section 7.5.9 that a client meets.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $(
                #[doc = concat!("`", $name, "`: ", $meaning, ".")]
                $variant,
            )*
            /// Another number.
            Unlisted(
                /// The number.
                i32,
            ),
        }

        impl ErrorCode {
            /// The code of a number.
            #[must_use]
            pub const fn from_number(number: i32) -> Self {
                match number {
                    $($number => Self::$variant,)*
                    other => Self::Unlisted(other),
                }
            }
        }

        impl fmt::Display for ErrorCode {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant => f.write_str(concat!($name, ", ", $meaning)),)*
                    Self::Unlisted(number) => write!(f, "Kerberos error {number}"),
                }
            }
        }
    };
}

error_codes! {
    NameExpired = 1, "KDC_ERR_NAME_EXP", "the account has expired";
    ClientUnknown = 6, "KDC_ERR_C_PRINCIPAL_UNKNOWN", "the domain has no such account";
    ServerUnknown = 7, "KDC_ERR_S_PRINCIPAL_UNKNOWN", "the domain has no such service";
    NeverValid = 11, "KDC_ERR_NEVER_VALID", "the ticket's end lies before its beginning";
    Policy = 12, "KDC_ERR_POLICY", "a policy of the domain forbids it";
    EncryptionType = 14, "KDC_ERR_ETYPE_NOSUPP", "the account has no AES key";
    ClientRevoked = 18, "KDC_ERR_CLIENT_REVOKED", "the account is disabled, expired or locked";
    TgtRevoked = 20, "KDC_ERR_TGT_REVOKED", "the ticket-granting ticket was revoked";
    KeyExpired = 23, "KDC_ERR_KEY_EXPIRED", "the password has expired or must be changed";
    PreauthFailed = 24, "KDC_ERR_PREAUTH_FAILED", "the password or key is wrong";
    PreauthRequired = 25, "KDC_ERR_PREAUTH_REQUIRED", "the password is to be proven";
    BadIntegrity = 31, "KRB_AP_ERR_BAD_INTEGRITY", "what was sent was made with another key";
    TicketExpired = 32, "KRB_AP_ERR_TKT_EXPIRED", "the ticket has expired";
    TicketNotYetValid = 33, "KRB_AP_ERR_TKT_NYV", "the ticket is not valid yet";
    ClockSkew = 37, "KRB_AP_ERR_SKEW", "the clocks differ too much";
    Modified = 41, "KRB_AP_ERR_MODIFIED", "the ticket is for another key than the service has";
    ResponseTooBig = 52, "KRB_ERR_RESPONSE_TOO_BIG", "the answer is too long for UDP";
    Generic = 60, "KRB_ERR_GENERIC", "the domain controller failed";
    WrongRealm = 68, "KDC_ERR_WRONG_REALM", "the account belongs to another domain";
}

/// The refusal of a KDC or a service. Nothing in it is authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KrbError {
    /// What is refused.
    pub code: ErrorCode,
    /// The clock of who refuses, in UTC, in whole seconds.
    pub server_time: OffsetDateTime,
    /// The realm that the account is in, where it is in another one (RFC 6806 section 7).
    pub client_realm: Option<String>,
    /// Its own words.
    pub text: Option<String>,
    /// The account's keys, where a proof of the password is demanded.
    pub keys: Vec<KeyInfo>,
}

/// Whether a Kerberos message is an error.
#[must_use]
pub fn is_error(message: &[u8]) -> bool {
    message.first() == Some(&KRB_ERROR)
}

impl KrbError {
    /// Reads a message whose tag is that of an error.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(message: &[u8]) -> Result<Self, DecodeError> {
        let mut outer = Reader::new(message);
        let mut error = element(&mut outer, KRB_ERROR, "KRB-ERROR")?;
        let mut fields = element(&mut error, SEQUENCE, "KRB-ERROR")?;
        let (mut code, mut server_time, mut text, mut data) = (None, None, None, None);
        let mut client_realm = None;
        while let Some(tag) = fields.peek() {
            let mut field = element(&mut fields, tag, "KRB-ERROR field")?;
            match tag {
                STIME => server_time = Some(kerberos_time(&mut field)?),
                ERROR_CODE => code = Some(ErrorCode::from_number(int32(&mut field, "error-code")?)),
                CREALM => client_realm = Some(kerberos_string(&mut field, "crealm")?),
                E_TEXT => text = Some(kerberos_string(&mut field, "e-text")?),
                E_DATA => data = Some(element(&mut field, OCTET_STRING, "e-data")?.rest()),
                // The names and the client's times change nothing here.
                _ => {}
            }
        }
        let missing = |field| error.fault(field, Fault::Malformed("the field is missing"));
        let code = code.ok_or_else(|| missing("error-code"))?;
        // With other codes e-data is something else.
        let keys = match data.filter(|_| code == ErrorCode::PreauthRequired) {
            Some(data) => etype_info::in_method_data(data)?,
            None => Vec::new(),
        };
        Ok(Self {
            code,
            keys,
            client_realm: client_realm.filter(|_| code == ErrorCode::WrongRealm),
            server_time: server_time.ok_or_else(|| missing("stime"))?,
            text: text.filter(|text: &String| !text.is_empty()),
        })
    }
}

/// KerberosTime (RFC 4120 section 5.2.3): `YYYYMMDDHHMMSSZ`.
fn kerberos_time(field: &mut Reader<'_>) -> Result<OffsetDateTime, DecodeError> {
    let mut content = element(field, GENERALIZED_TIME, "stime")?;
    let fault = content.fault("stime", Fault::Malformed("a time YYYYMMDDHHMMSSZ"));
    let octets = content.rest();
    parse_time(octets).ok_or(fault)
}

fn parse_time(octets: &[u8]) -> Option<OffsetDateTime> {
    let [digits @ .., b'Z'] = octets else { return None };
    if digits.len() != 14 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |from: usize, to: usize| {
        digits[from..to].iter().fold(0u16, |value, digit| value * 10 + u16::from(digit - b'0'))
    };
    let small = |from: usize| u8::try_from(number(from, from + 2)).ok();
    let month = Month::try_from(small(4)?).ok()?;
    let date = Date::from_calendar_date(i32::from(number(0, 4)), month, small(6)?).ok()?;
    let time = Time::from_hms(small(8)?, small(10)?, small(12)?).ok()?;
    Some(PrimitiveDateTime::new(date, time).assume_utc())
}

/// KerberosString; what is not printable is replaced, for it is shown to a person.
fn kerberos_string(field: &mut Reader<'_>, name: &'static str) -> Result<String, DecodeError> {
    let mut content = element(field, GENERAL_STRING, name)?;
    let text = String::from_utf8_lossy(content.rest()).into_owned();
    Ok(text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What Samba's KDC said to an AS-REQ with a wrong password, its names shortened.
    fn message(code: u8) -> Vec<u8> {
        let mut fields = vec![0xa0, 3, 2, 1, 5, 0xa1, 3, 2, 1, 30];
        fields.extend([0xa4, 17, 0x18, 15]);
        fields.extend(b"20261122010203Z");
        fields.extend([0xa5, 3, 2, 1, 9, 0xa6, 3, 2, 1, code]);
        fields.extend([0xa9, 3, 0x1b, 1, b'R', 0xab, 4, 0x1b, 2, b'n', b'o']);
        let mut message = vec![0x7e, u8::try_from(fields.len() + 2).unwrap(), 0x30];
        message.push(u8::try_from(fields.len()).unwrap());
        message.extend(fields);
        message
    }

    #[test]
    fn code_clock_and_text_are_read() {
        let error = KrbError::decode(&message(24)).unwrap();
        assert_eq!(error.code, ErrorCode::PreauthFailed);
        assert_eq!(error.server_time.to_string(), "2026-11-22 1:02:03.0 +00:00:00");
        assert_eq!(error.text.as_deref(), Some("no"));
        assert_eq!(KrbError::decode(&message(99)).unwrap().code, ErrorCode::Unlisted(99));
    }

    #[test]
    fn the_realm_of_an_account_is_read_where_it_is_another_one() {
        let told = |code: u8| {
            let mut message = message(code);
            let place = message.windows(2).position(|pair| pair == [0xa9, 3]).unwrap();
            message.splice(place..place, [0xa7, 3, 0x1b, 1, b'C']);
            message[1] += 5;
            message[3] += 5;
            KrbError::decode(&message).unwrap().client_realm
        };
        assert_eq!(told(68).as_deref(), Some("C"));
        assert_eq!(told(24), None);
    }

    #[test]
    fn a_message_cut_anywhere_is_refused() {
        let whole = message(24);
        for end in 0..whole.len() {
            assert!(KrbError::decode(&whole[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn times_that_do_not_exist_are_refused() {
        for text in ["20261322010203Z", "20260230010203Z", "20261122250203Z", "2026112201020Z", ""]
        {
            assert_eq!(parse_time(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_message_makes_the_decoder_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = KrbError::decode(&octets);
            let mut near = message(24);
            let length = near.len();
            for (index, octet) in octets.iter().enumerate() {
                near[(index * 31 + usize::from(*octet)) % length] = *octet;
            }
            let _ = KrbError::decode(&near);
        }
    }
}
