//! What a KDC's refusals mean for the row.

use portolan_gss::krb_error::{ErrorCode, KrbError, is_error};
use portolan_model::Realm;
use time::OffsetDateTime;

use crate::probes::clock;
use crate::{Defect, DefectKind, Figures, Outcome, Verdict, mark};

/// The tag of an AS-REP.
const AS_REP: u8 = 0x6b;
/// AES with SHA-1 and with SHA-2 (RFC 3962, RFC 8009).
const AES: [i32; 4] = [17, 18, 19, 20];

/// One answer of a KDC.
#[derive(Debug)]
pub(super) enum Heard {
    /// A ticket, without any proof of a password.
    Ticket,
    /// The answer does not fit a datagram.
    TooLong,
    /// A refusal.
    Refusal(KrbError),
}

impl Heard {
    /// Reads an answer.
    ///
    /// # Errors
    /// When it is another protocol's.
    pub(super) fn decode(answer: &[u8]) -> Result<Self, Verdict> {
        if answer.first() == Some(&AS_REP) {
            return Ok(Self::Ticket);
        }
        let error = is_error(answer).then(|| KrbError::decode(answer));
        match error {
            Some(Ok(error)) if error.code == ErrorCode::ResponseTooBig => Ok(Self::TooLong),
            Some(Ok(error)) => Ok(Self::Refusal(error)),
            _ => Err(Verdict::wrong_protocol(answer)),
        }
    }
}

/// What it means that an answer is too long for a datagram and does not come by TCP either.
pub(super) fn only_datagrams(by_stream: &Verdict) -> Verdict {
    Verdict::faulty(
        DefectKind::Unavailable,
        format!(
            "its answer is too long for a datagram, and by TCP the row is {}",
            by_stream.name()
        ),
        "open the row by TCP as well",
    )
}

/// What a KDC answered to one name after another.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    refusals: Vec<KrbError>,
    gave_a_ticket: bool,
    was_too_long: bool,
}

impl Refusals {
    pub(super) fn add(&mut self, heard: Heard) {
        match heard {
            Heard::Ticket => self.gave_a_ticket = true,
            Heard::TooLong => self.was_too_long = true,
            Heard::Refusal(error) => self.refusals.push(error),
        }
    }

    /// Whether no further name is to be tried.
    pub(super) fn realm_is_known(&self) -> bool {
        self.gave_a_ticket
            || self.was_too_long
            || self.refusals.last().is_some_and(|error| error.code != ErrorCode::ClientUnknown)
    }

    pub(super) fn judge(&self, realm: &Realm, now: OffsetDateTime) -> Outcome {
        let mut notes = Vec::new();
        let mut defects = Vec::new();
        let mut figures = Figures::default();
        let first = self.refusals.first();
        if let Some(error) = first {
            notes.push(clock::note(error.server_time, now));
            figures = clock::figures(error.server_time, now);
            defects.extend(clock::judge(error.server_time, now));
        }
        let last = self.refusals.last().map(|error| error.code);
        defects.extend(self.defect_of_realm(last, realm));
        let keys: Vec<_> = self
            .refusals
            .iter()
            .flat_map(|error| &error.keys)
            .map(|key| key.encryption_type)
            .collect();
        if !keys.is_empty() {
            let names: Vec<_> = keys.iter().map(|number| name(*number)).collect();
            let names = names.join(", ");
            if !keys.iter().any(|number| AES.contains(number)) {
                defects.push(Defect {
                    kind: DefectKind::Weak,
                    text: format!("it offers {names} and no AES"),
                    hint: "give the domain controller's account AES keys".to_owned(),
                });
            }
            notes.push(format!("encryption types {names}"));
        }
        if self.gave_a_ticket {
            notes.push("it gives a ticket without a proof of the password".to_owned());
        }
        let marked =
            |error: &KrbError| error.text.as_ref().is_some_and(|text| mark::is_in(text.as_bytes()));
        let stand_in = self.refusals.iter().any(marked);
        if stand_in {
            // Nobody is known to a stand-in.
            defects.retain(|defect| defect.kind != DefectKind::WrongKind);
        }
        let verdict = if defects.is_empty() { Verdict::Open } else { Verdict::Faulty(defects) };
        Outcome::new(verdict, notes, stand_in).with_figures(figures)
    }

    fn defect_of_realm(&self, last: Option<ErrorCode>, realm: &Realm) -> Option<Defect> {
        if self.gave_a_ticket || self.was_too_long {
            return None;
        }
        let other = |text| Defect {
            kind: DefectKind::WrongKind,
            text,
            hint: "look whether the forest's name and this host's are the right ones".to_owned(),
        };
        match last? {
            ErrorCode::WrongRealm => Some(other(format!("a KDC that is not of the realm {realm}"))),
            ErrorCode::ClientUnknown | ErrorCode::ServerUnknown => Some(other(format!(
                "a KDC that knows neither itself nor krbtgt in the realm {realm}"
            ))),
            code @ ErrorCode::Generic => Some(Defect {
                kind: DefectKind::Unavailable,
                text: format!("it answers {code}"),
                hint: "look at the log of the KDC".to_owned(),
            }),
            _ => None,
        }
    }
}

/// As people call an encryption type.
fn name(number: i32) -> String {
    match number {
        17 => "AES128".to_owned(),
        18 => "AES256".to_owned(),
        19 => "AES128-SHA2".to_owned(),
        20 => "AES256-SHA2".to_owned(),
        23 => "RC4".to_owned(),
        1..=3 => "DES".to_owned(),
        other => format!("type {other}"),
    }
}

#[cfg(test)]
mod tests {
    use portolan_gss::etype_info::KeyInfo;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn refusal(code: ErrorCode, skew: i64, types: &[i32]) -> Heard {
        let key = |number: &i32| KeyInfo { encryption_type: *number, salt: None, iterations: None };
        Heard::Refusal(KrbError {
            code,
            server_time: OffsetDateTime::from_unix_timestamp(NOW + skew).unwrap(),
            client_realm: None,
            text: None,
            keys: types.iter().map(key).collect(),
        })
    }

    fn check(heard: Vec<Heard>, expected: &[DefectKind]) {
        let mut refusals = Refusals::default();
        heard.into_iter().for_each(|heard| refusals.add(heard));
        let realm: Realm = Realm::from(&"corp.example".parse::<portolan_model::DnsName>().unwrap());
        let outcome = refusals.judge(&realm, OffsetDateTime::from_unix_timestamp(NOW).unwrap());
        let kinds: Vec<_> = match &outcome.verdict {
            Verdict::Faulty(defects) => defects.iter().map(|defect| defect.kind).collect(),
            verdict => {
                assert!(verdict.is_open());
                Vec::new()
            }
        };
        assert_eq!(kinds, expected, "{outcome:?}");
        let skews = kinds.contains(&DefectKind::ClockSkew);
        let seconds = outcome.figures.clock_skew_seconds;
        assert_eq!(seconds.is_some_and(|seconds| seconds.abs() > 300), skews, "{outcome:?}");
    }

    #[test]
    fn refusals_are_judged_by_code_clock_and_keys() {
        use ErrorCode::{ClientRevoked, ClientUnknown, Generic, PreauthRequired, WrongRealm};
        check(vec![refusal(PreauthRequired, 0, &[18, 17, 23])], &[]);
        check(vec![refusal(PreauthRequired, 0, &[23])], &[DefectKind::Weak]);
        check(vec![refusal(PreauthRequired, 301, &[18])], &[DefectKind::ClockSkew]);
        check(vec![refusal(PreauthRequired, -300, &[18])], &[]);
        check(vec![refusal(ClientUnknown, 0, &[]), refusal(ClientRevoked, 0, &[])], &[]);
        check(vec![refusal(ClientUnknown, 0, &[]), Heard::Ticket], &[]);
        check(vec![refusal(ClientUnknown, 0, &[])], &[DefectKind::WrongKind]);
        check(vec![refusal(WrongRealm, 0, &[])], &[DefectKind::WrongKind]);
        check(vec![refusal(Generic, 0, &[])], &[DefectKind::Unavailable]);
        let both = [DefectKind::ClockSkew, DefectKind::WrongKind];
        check(vec![refusal(ClientUnknown, 3600, &[])], &both);
    }

    #[test]
    fn another_protocol_is_no_refusal() {
        assert!(Heard::decode(b"HTTP/1.1 400 Bad Request\r\n").is_err());
        assert!(Heard::decode(b"").is_err());
        assert!(Heard::decode(&[0x7e, 2, 0x30, 0]).is_err());
        assert!(matches!(Heard::decode(&[0x6b, 0]), Ok(Heard::Ticket)));
    }
}
