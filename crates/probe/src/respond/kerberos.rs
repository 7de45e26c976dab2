//! Kerberos ([RFC 4120], [RFC 3244]): every request is refused, with the time here.
//!
//! The refusal says that nobody of that name is known. It never asks for a proof of a password, so that
//! nobody sends one.
//!
//! [RFC 4120]: https://www.rfc-editor.org/rfc/rfc4120
//! [RFC 3244]: https://www.rfc-editor.org/rfc/rfc3244

use portolan_codec::DecodeError;
use portolan_ldap::ber::{Decoder, Encoder, Tag};
use time::OffsetDateTime;

use super::opening::{Answer, Opening, Scene, Step, framed};
use crate::mark;

/// Octets of a request. A ticket with a long list of groups has some ten thousand.
const REQUEST_OCTETS_MAX: usize = 32 * 1024;
/// So many times its request an answer by UDP may be.
const FACTOR_MAX: usize = 3;

/// Tags and types of messages (RFC 4120 section 5.10).
const AS_REQUEST: u8 = 10;
const TGS_REQUEST: u8 = 12;
const ERROR: u8 = 30;
const GENERALIZED_TIME: u8 = 0x18;
const GENERAL_STRING: u8 = 0x1b;
/// KDC_ERR_C_PRINCIPAL_UNKNOWN, KDC_ERR_S_PRINCIPAL_UNKNOWN, KRB_AP_ERR_BAD_INTEGRITY (section 7.5.9).
const CLIENT_UNKNOWN: i64 = 6;
const SERVER_UNKNOWN: i64 = 7;
const GENERIC: i64 = 60;
/// KRB5_KPASSWD_AUTHERROR (RFC 3244 section 2).
const PASSWORD_NOT_PROVEN: [u8; 2] = [0, 3];
/// NT-SRV-INST (section 6.2).
const SERVICE_INSTANCE: i64 = 2;
/// The versions of a request to set a password: RFC 3244's, and its predecessor's.
const PASSWORD_VERSIONS: [u16; 2] = [0xff80, 1];
/// Octets before the AP-REQ of such a request.
const PASSWORD_HEADER_OCTETS: usize = 2 /* length */ + 2 /* version */ + 2 /* AP-REQ length */;

/// By TCP, behind a length (RFC 4120 section 7.2.2).
#[derive(Debug)]
pub(super) enum Kerberos {
    /// The KDC.
    Kdc,
    /// The service that sets passwords.
    Passwords,
}

impl Opening for Kerberos {
    fn hear(&mut self, heard: &[u8], scene: &Scene<'_>) -> Step {
        let (message, taken) = match framed::<4>(heard, REQUEST_OCTETS_MAX) {
            Ok(Some(framed)) => framed,
            Ok(None) => return Step::More,
            Err(_) => return Step::Foreign,
        };
        let Some(answer) = self.answer(message, scene) else { return Step::Foreign };
        let mut octets = u32::try_from(answer.octets.len()).unwrap_or(0).to_be_bytes().to_vec();
        octets.extend(&answer.octets);
        Answer::new(taken, octets, answer.asked).into()
    }
}

impl Kerberos {
    /// By UDP.
    pub(super) fn datagram(&self, message: &[u8], scene: &Scene<'_>) -> Option<Answer> {
        self.answer(message, scene).filter(|it| it.octets.len() <= message.len() * FACTOR_MAX)
    }

    fn answer(&self, message: &[u8], scene: &Scene<'_>) -> Option<Answer> {
        match self {
            Self::Kdc => {
                let Request { kind, realm } = Request::decode(message).ok()?;
                let (code, name) = match kind {
                    AS_REQUEST => (CLIENT_UNKNOWN, "AS-REQ"),
                    _ => (SERVER_UNKNOWN, "TGS-REQ"),
                };
                let realm = realm.unwrap_or_else(|| scene.stand_in.realm());
                let octets = error(code, &["krbtgt", &realm], &realm, scene.now, None);
                Some(Answer::new(message.len(), octets, format!("{name} in {realm}")))
            }
            Self::Passwords => {
                let (header, _) = message.split_first_chunk::<PASSWORD_HEADER_OCTETS>()?;
                let [l0, l1, v0, v1, ..] = *header;
                if usize::from(u16::from_be_bytes([l0, l1])) != message.len()
                    || !PASSWORD_VERSIONS.contains(&u16::from_be_bytes([v0, v1]))
                {
                    return None;
                }
                let realm = scene.stand_in.realm();
                let mut result = PASSWORD_NOT_PROVEN.to_vec();
                result.extend(mark::TEXT.as_bytes());
                let service = ["kadmin", "changepw"];
                let error = error(GENERIC, &service, &realm, scene.now, Some(&result));
                let length = PASSWORD_HEADER_OCTETS + error.len();
                let mut octets = u16::try_from(length).ok()?.to_be_bytes().to_vec();
                octets.extend([0, 1, 0, 0]); // version 1, and no AP-REP: an error follows
                octets.extend(error);
                Some(Answer::new(message.len(), octets, "a change of a password"))
            }
        }
    }
}

/// What matters of a KDC-REQ (RFC 4120 section 5.4.1).
struct Request {
    kind: u8,
    realm: Option<String>,
}

impl Request {
    fn decode(message: &[u8]) -> Result<Self, DecodeError> {
        let mut outer = Decoder::new(message);
        let (kind, tag) = [AS_REQUEST, TGS_REQUEST]
            .into_iter()
            .map(|kind| (kind, Tag::application_constructed(kind)))
            .find(|(_, tag)| outer.peek() == Some(*tag))
            .unwrap_or((AS_REQUEST, Tag::application_constructed(AS_REQUEST)));
        let mut request = outer.constructed(tag, "KDC-REQ")?;
        outer.finish("KDC-REQ")?;
        let mut fields = request.constructed(Tag::SEQUENCE, "KDC-REQ")?;
        let mut version = fields.constructed(Tag::context_constructed(1), "pvno")?;
        version.integer(5..=5, "pvno")?;
        let mut kind_field = fields.constructed(Tag::context_constructed(2), "msg-type")?;
        kind_field.integer(i64::from(kind)..=i64::from(kind), "msg-type")?;
        if fields.peek() == Some(Tag::context_constructed(3)) {
            fields.constructed(Tag::context_constructed(3), "padata")?;
        }
        let mut body = fields.constructed(Tag::context_constructed(4), "req-body")?;
        let mut body = body.constructed(Tag::SEQUENCE, "KDC-REQ-BODY")?;
        body.constructed(Tag::context_constructed(0), "kdc-options")?;
        if body.peek() == Some(Tag::context_constructed(1)) {
            body.constructed(Tag::context_constructed(1), "cname")?;
        }
        let mut realm = body.constructed(Tag::context_constructed(2), "realm")?;
        let octets = realm.rest();
        // A KerberosString: tag, one octet of length, letters.
        let realm = octets.get(2..).and_then(|text| std::str::from_utf8(text).ok());
        let realm = realm.filter(|_| octets.first() == Some(&GENERAL_STRING));
        Ok(Self { kind, realm: realm.filter(|text| !text.is_empty()).map(str::to_owned) })
    }
}

/// KRB-ERROR (RFC 4120 section 5.9.1).
fn error(
    code: i64,
    service: &[&str],
    realm: &str,
    now: OffsetDateTime,
    data: Option<&[u8]>,
) -> Vec<u8> {
    let field = Tag::context_constructed;
    let mut out = Encoder::new();
    out.constructed(Tag::application_constructed(ERROR), |out| {
        out.constructed(Tag::SEQUENCE, |out| {
            let mut number =
                |at, value| out.constructed(field(at), |out| out.integer(Tag::INTEGER, value));
            number(0, 5);
            number(1, i64::from(ERROR));
            out.constructed(field(4), |out| string(out, GENERALIZED_TIME, &stamp(now)));
            let mut number =
                |at, value| out.constructed(field(at), |out| out.integer(Tag::INTEGER, value));
            number(5, i64::from(now.microsecond()));
            number(6, code);
            out.constructed(field(9), |out| string(out, GENERAL_STRING, realm));
            out.constructed(field(10), |out| {
                out.constructed(Tag::SEQUENCE, |out| {
                    out.constructed(field(0), |out| out.integer(Tag::INTEGER, SERVICE_INSTANCE));
                    out.constructed(field(1), |out| {
                        out.constructed(Tag::SEQUENCE, |out| {
                            service.iter().for_each(|part| string(out, GENERAL_STRING, part));
                        });
                    });
                });
            });
            out.constructed(field(11), |out| string(out, GENERAL_STRING, mark::TEXT));
            if let Some(data) = data {
                out.constructed(field(12), |out| out.octets(data));
            }
        });
    });
    out.into_vec()
}

/// An element of a universal type that LDAP has no tag for; the texts here are short.
fn string(out: &mut Encoder, tag: u8, text: &str) {
    let text = text.as_bytes().get(..text.len().min(SHORT_OCTETS_MAX)).unwrap_or_default();
    let mut element = vec![tag, u8::try_from(text.len()).unwrap_or(0)];
    element.extend(text);
    out.encoded(&element);
}

/// The longest content whose length has one octet (X.690 section 8.1.3.4).
const SHORT_OCTETS_MAX: usize = 127;

/// KerberosTime (RFC 4120 section 5.2.3).
fn stamp(now: OffsetDateTime) -> String {
    let now = now.to_offset(time::UtcOffset::UTC);
    let (year, month, day) = now.to_calendar_date();
    let (hour, minute, second) = now.to_hms();
    format!("{year:04}{:02}{day:02}{hour:02}{minute:02}{second:02}Z", u8::from(month))
}

#[cfg(test)]
mod tests {
    use portolan_gss::krb_error::{ErrorCode, KrbError};

    use super::super::stand_in::tests::stand_in;
    use super::*;

    const NOW: i64 = 1_800_000_000;

    /// An AS-REQ with as little as a KDC reads.
    fn request(realm: &str) -> Vec<u8> {
        let field = Tag::context_constructed;
        let mut out = Encoder::new();
        out.constructed(Tag::application_constructed(AS_REQUEST), |out| {
            out.constructed(Tag::SEQUENCE, |out| {
                out.constructed(field(1), |out| out.integer(Tag::INTEGER, 5));
                out.constructed(field(2), |out| out.integer(Tag::INTEGER, 10));
                out.constructed(field(4), |out| {
                    out.constructed(Tag::SEQUENCE, |out| {
                        out.constructed(field(0), |out| out.encoded(&[3, 5, 0, 0, 0, 0, 0]));
                        out.constructed(field(2), |out| string(out, GENERAL_STRING, realm));
                    });
                });
            });
        });
        out.into_vec()
    }

    fn asked(kind: &Kerberos, message: &[u8]) -> Option<Answer> {
        let stand_in = stand_in();
        let now = OffsetDateTime::from_unix_timestamp(NOW).unwrap();
        let here = [192, 0, 2, 1].into();
        let scene = Scene { stand_in: &stand_in, here, port: 1, is_private: false, now };
        kind.answer(message, &scene)
    }

    #[test]
    fn a_request_is_refused_with_the_time_and_the_mark() {
        let answer = asked(&Kerberos::Kdc, &request("OTHER.EXAMPLE")).unwrap();
        let error = KrbError::decode(&answer.octets).unwrap();
        assert_eq!(error.code, ErrorCode::ClientUnknown);
        assert_eq!(error.server_time.unix_timestamp(), NOW);
        assert_eq!(error.text.as_deref(), Some(mark::TEXT));
        assert_eq!(answer.asked, "AS-REQ in OTHER.EXAMPLE");
    }

    #[test]
    fn a_change_of_a_password_is_refused_before_a_password_is_sent() {
        let request = [0, 6, 0xff, 0x80, 0, 0];
        let answer = asked(&Kerberos::Passwords, &request).unwrap().octets;
        assert_eq!(usize::from(u16::from_be_bytes([answer[0], answer[1]])), answer.len());
        assert_eq!(answer[4..6], [0, 0]);
        let error = KrbError::decode(&answer[6..]).unwrap();
        assert_eq!(error.text.as_deref(), Some(mark::TEXT));
        assert!(asked(&Kerberos::Passwords, &[0, 7, 0xff, 0x80, 0, 0]).is_none());
    }

    #[test]
    fn a_request_cut_anywhere_is_not_answered() {
        let whole = request("CORP.EXAMPLE");
        for end in 0..whole.len() {
            assert!(asked(&Kerberos::Kdc, &whole[..end]).is_none(), "{end}");
        }
    }
}
