//! The status of one certificate ([RFC 6960]): a question, and an answer that is signed, fresh and about
//! that certificate.
//!
//! [RFC 6960]: https://www.rfc-editor.org/rfc/rfc6960

use portolan_legacy_crypto::ocsp::issuer_hash;
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;
use x509_parser::asn1_rs::{BitString, FromDer as _, GeneralizedTime, Oid, oid};
use x509_parser::prelude::X509Certificate;
use x509_parser::verify::verify_signature;
use x509_parser::x509::AlgorithmIdentifier;

use super::super::http;
use super::super::tls::{ocsp_url, shown};
use super::{Place, ask, certificates, defect, issuer_of, unasked};
use crate::{Asker, DefectKind, Outcome, Verdict};

/// What a question is posted as, and an answer called (appendix A).
const FIELDS: [(&str, &str); 1] = [("Content-Type", "application/ocsp-request")];
/// id-pkix-ocsp-basic (section 4.2.1).
const BASIC: Oid<'static> = oid!(1.3.6.1.5.5.7.48.1.1);
/// `AlgorithmIdentifier` of SHA-1 without parameters but NULL.
const SHA1: [u8; 11] = [0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00];
const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 0x04;
const INTEGER: u8 = 0x02;

/// Asks for the peer's certificate.
pub(in crate::probes) async fn probe(asker: &Asker<'_>) -> Outcome {
    let what = "whom to ask for a certificate's status";
    let presented = match certificates(asker).await {
        Ok(presented) => presented,
        Err(why) => return unasked(asker, what, why).await,
    };
    let Some(leaf) = presented.chain.first() else {
        return unasked(asker, what, "no certificate was shown".to_owned()).await;
    };
    let place = ocsp_url(leaf).and_then(|url| Place::of(&url, asker.row()));
    let Some(place) = place else {
        let why = format!("the certificate of {} names nobody on this port", asker.peer());
        return unasked(asker, what, why).await;
    };
    let issuer = X509Certificate::from_der(leaf)
        .ok()
        .and_then(|(_, parsed)| issuer_of(asker, &presented, parsed.issuer().as_raw()));
    let Some(issuer) = issuer else {
        let why = "its issuer's certificate is neither shown nor trusted".to_owned();
        return unasked(asker, what, why).await;
    };
    let Some(question) = question(leaf, &issuer) else {
        return unasked(asker, what, "its certificate cannot be read".to_owned()).await;
    };
    match ask(asker, &place, ("POST", &FIELDS, &question.octets)).await {
        Ok((head, body)) => {
            let mut notes = http::notes(&head);
            notes.push(format!("asked at {}", shown(&place.url)));
            let url = shown(&place.url);
            let verdict = match http::blocked(&head, &place.peer) {
                Some(verdict) => verdict,
                None if head.status != 200 => defect(
                    format!("{url} answers with status {} in place of OCSP", head.status),
                    "look whether an OCSP responder listens there",
                ),
                None => match judge(&body, &question, &issuer, asker.now()) {
                    Ok(note) => {
                        notes.push(note);
                        Verdict::Open
                    }
                    Err(verdict) => verdict,
                },
            };
            Outcome::new(verdict, notes, http::is_stand_in(&head))
        }
        Err(verdict) => verdict.into(),
    }
}

/// A question, and the name of its certificate in it.
struct Question {
    octets: Vec<u8>,
    certificate: Vec<u8>,
}

/// `OCSPRequest` for one certificate (section 4.1.1).
fn question(leaf: &CertificateDer<'_>, issuer: &CertificateDer<'_>) -> Option<Question> {
    let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
    let (_, issuer) = X509Certificate::from_der(issuer).ok()?;
    let name = issuer_hash(leaf.issuer().as_raw());
    let key = issuer_hash(&issuer.public_key().subject_public_key.data);
    let fields = [
        SHA1.to_vec(),
        element(OCTET_STRING, &name),
        element(OCTET_STRING, &key),
        element(INTEGER, leaf.raw_serial()),
    ];
    let certificate = element(SEQUENCE, &fields.concat());
    // Request, requestList, TBSRequest, OCSPRequest.
    let octets = (0..4).fold(certificate.clone(), |inner, _| element(SEQUENCE, &inner));
    Some(Question { octets, certificate })
}

/// An element of DER of less than 64 KiB.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
    let mut element = vec![tag];
    match length {
        0..=127 => element.extend(length.to_be_bytes().get(1..).unwrap_or_default()),
        _ => {
            element.push(0x82);
            element.extend(length.to_be_bytes());
        }
    }
    element.extend_from_slice(content);
    element
}

/// What a certificate's issuer says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is not revoked.
    Good,
    /// It is.
    Revoked,
    /// The responder does not know it.
    Unknown,
}

/// One answer, whose signature is still to be proven.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The signed part.
    signed: &'a [u8],
    algorithm: AlgorithmIdentifier<'a>,
    signature: BitString<'a>,
    /// Certificates that were sent along.
    certificates: Vec<X509Certificate<'a>>,
    /// The certificate that it is about, as it was asked for, in DER.
    pub certificate: &'a [u8],
    /// What is said of it.
    pub status: Status,
    since: OffsetDateTime,
    due: Option<OffsetDateTime>,
}

/// What is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAnswered {
    /// An error of the responder, by its number (section 4.2.1).
    Error(u8),
    /// Something else.
    Malformed,
}

/// Certificates that an answer may bring along.
const CERTIFICATES_MAX: usize = 4;

/// Reads `OCSPResponse` (section 4.2.1), with the first of its answers.
///
/// # Errors
/// [`NotAnswered`].
pub fn read(octets: &[u8]) -> Result<Answer<'_>, NotAnswered> {
    let mut response = Fields { rest: Fields { rest: octets }.content(SEQUENCE)? };
    match response.content(ENUMERATED)? {
        [0] => {}
        [code] => return Err(NotAnswered::Error(*code)),
        _ => return Err(NotAnswered::Malformed),
    }
    let mut typed =
        Fields { rest: Fields { rest: response.content(EXPLICIT_0)? }.content(SEQUENCE)? };
    if typed.content(OBJECT_IDENTIFIER)? != BASIC.as_bytes() {
        return Err(NotAnswered::Malformed);
    }
    let mut basic =
        Fields { rest: Fields { rest: typed.content(OCTET_STRING)? }.content(SEQUENCE)? };
    let signed = basic.whole(SEQUENCE)?;
    let algorithm = AlgorithmIdentifier::from_der(basic.whole(SEQUENCE)?);
    let signature = BitString::from_der(basic.whole(BIT_STRING)?);
    let (Ok((_, algorithm)), Ok((_, signature))) = (algorithm, signature) else {
        return Err(NotAnswered::Malformed);
    };
    let mut certificates = Vec::new();
    if basic.is_next(EXPLICIT_0) {
        let mut list = Fields { rest: basic.content(EXPLICIT_0)? };
        let mut list = Fields { rest: list.content(SEQUENCE)? };
        while !list.rest.is_empty() && certificates.len() < CERTIFICATES_MAX {
            let (_, certificate) = X509Certificate::from_der(list.whole(SEQUENCE)?)
                .map_err(|_| NotAnswered::Malformed)?;
            certificates.push(certificate);
        }
    }
    // ResponseData (section 4.2.1): version, who answers by name or by key, when, and about what.
    let mut data = Fields { rest: Fields { rest: signed }.content(SEQUENCE)? };
    if data.is_next(EXPLICIT_0) {
        data.content(EXPLICIT_0)?;
    }
    data.content(if data.is_next(EXPLICIT_1) { EXPLICIT_1 } else { EXPLICIT_2 })?;
    data.content(GENERALIZED_TIME)?;
    let mut answers = Fields { rest: data.content(SEQUENCE)? };
    let mut answer = Fields { rest: answers.content(SEQUENCE)? };
    let certificate = answer.whole(SEQUENCE)?;
    // The status is tagged implicitly: a revocation has fields, the others have none.
    let status = match answer.next()? {
        (GOOD, ..) => Status::Good,
        (REVOKED, ..) => Status::Revoked,
        (UNKNOWN, ..) => Status::Unknown,
        _ => return Err(NotAnswered::Malformed),
    };
    let since = moment(answer.whole(GENERALIZED_TIME)?)?;
    let due = match answer.is_next(EXPLICIT_0) {
        true => Some(moment(answer.content(EXPLICIT_0)?)?),
        false => None,
    };
    Ok(Answer { signed, algorithm, signature, certificates, certificate, status, since, due })
}

fn moment(octets: &[u8]) -> Result<OffsetDateTime, NotAnswered> {
    let (_, time) = GeneralizedTime::from_der(octets).map_err(|_| NotAnswered::Malformed)?;
    time.utc_datetime().map_err(|_| NotAnswered::Malformed)
}

const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
const ENUMERATED: u8 = 0x0a;
const GENERALIZED_TIME: u8 = 0x18;
const GOOD: u8 = 0x80;
const REVOKED: u8 = 0xa1;
const UNKNOWN: u8 = 0x82;
const EXPLICIT_0: u8 = 0xa0;
const EXPLICIT_1: u8 = 0xa1;
const EXPLICIT_2: u8 = 0xa2;

/// The elements of DER that follow one another; tags are of one octet here.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn is_next(&self, tag: u8) -> bool {
        self.rest.first() == Some(&tag)
    }

    fn content(&mut self, tag: u8) -> Result<&'a [u8], NotAnswered> {
        match self.next()? {
            (found, _, content) if found == tag => Ok(content),
            _ => Err(NotAnswered::Malformed),
        }
    }

    fn whole(&mut self, tag: u8) -> Result<&'a [u8], NotAnswered> {
        match self.next()? {
            (found, whole, _) if found == tag => Ok(whole),
            _ => Err(NotAnswered::Malformed),
        }
    }

    /// Tag, element and content of the next one.
    fn next(&mut self) -> Result<(u8, &'a [u8], &'a [u8]), NotAnswered> {
        let octets = self.rest;
        let Some(&[tag, first]) = octets.first_chunk::<2>() else {
            return Err(NotAnswered::Malformed);
        };
        // A length of up to 127 is one octet; others say how many octets they are.
        let (head, length) = match first {
            0..=0x7f => (2, usize::from(first)),
            0x81..=0x84 => {
                let head = 2 + usize::from(first & 0x7f);
                let digits = octets.get(2..head).ok_or(NotAnswered::Malformed)?;
                let value = digits.iter().fold(0, |value, digit| value << 8 | u64::from(*digit));
                (head, usize::try_from(value).map_err(|_| NotAnswered::Malformed)?)
            }
            _ => return Err(NotAnswered::Malformed),
        };
        let end = head.checked_add(length).ok_or(NotAnswered::Malformed)?;
        let (whole, rest) = octets.split_at_checked(end).ok_or(NotAnswered::Malformed)?;
        self.rest = rest;
        Ok((tag, whole, whole.get(head..).unwrap_or_default()))
    }
}

/// What an answer says, or what is wrong with it.
fn judge(
    body: &[u8],
    question: &Question,
    issuer: &CertificateDer<'_>,
    now: OffsetDateTime,
) -> Result<String, Verdict> {
    let responder = "look at the authority's OCSP responder";
    let answer = match read(body) {
        Ok(answer) => answer,
        Err(NotAnswered::Error(code)) => {
            let name =
                ERRORS.iter().find(|(known, _)| *known == code).map_or("?", |(_, name)| name);
            let text = format!("the OCSP responder answers {name} ({code})");
            return Err(Verdict::faulty(DefectKind::Unavailable, text, responder));
        }
        Err(NotAnswered::Malformed) => {
            let text = format!("what comes in place of OCSP is none ({} octets)", body.len());
            return Err(defect(text, responder));
        }
    };
    if answer.certificate != question.certificate {
        return Err(defect("OCSP answers about another certificate".to_owned(), responder));
    }
    if !is_signed(&answer, issuer, now) {
        let text = "the OCSP answer is not signed by the authority, or whom it appointed";
        return Err(defect(text.to_owned(), responder));
    }
    if answer.since > now || answer.due.is_some_and(|due| due <= now) {
        let text = format!("the OCSP answer of {} is not of now", answer.since.date());
        return Err(defect(
            text,
            "look at the responder's clock, and whether it renews its answers",
        ));
    }
    match answer.status {
        Status::Good => Ok("OCSP: good".to_owned()),
        Status::Revoked => {
            let text = "the peer's certificate is revoked, says OCSP".to_owned();
            Err(defect(text, "renew the peer's certificate"))
        }
        Status::Unknown => Err(defect(
            "the OCSP responder does not know the peer's certificate".to_owned(),
            responder,
        )),
    }
}

/// Errors of a responder (section 4.2.1).
const ERRORS: [(u8, &str); 5] = [
    (1, "malformedRequest"),
    (2, "internalError"),
    (3, "tryLater"),
    (5, "sigRequired"),
    (6, "unauthorized"),
];

/// By the issuer itself, or by whom it appointed by a certificate that is not over (section 4.2.2.2).
fn is_signed(answer: &Answer<'_>, issuer: &CertificateDer<'_>, now: OffsetDateTime) -> bool {
    let Ok((_, issuer)) = X509Certificate::from_der(issuer) else { return false };
    let signs = |signer: &X509Certificate<'_>| {
        let (key, algorithm) = (signer.public_key(), &answer.algorithm);
        verify_signature(key, algorithm, &answer.signature, answer.signed).is_ok()
    };
    let is_appointed = |signer: &&X509Certificate<'_>| {
        let usage = signer.extended_key_usage().ok().flatten();
        let validity = signer.validity();
        usage.is_some_and(|usage| usage.value.ocsp_signing)
            && (validity.not_before.to_datetime()..=validity.not_after.to_datetime()).contains(&now)
            && signer.verify_signature(Some(issuer.public_key())).is_ok()
    };
    signs(&issuer) || answer.certificates.iter().filter(is_appointed).any(signs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_have_lengths_of_one_octet_or_several() {
        assert_eq!(element(SEQUENCE, &[1, 2]), [0x30, 2, 1, 2]);
        let long = element(SEQUENCE, &[7; 300]);
        assert_eq!(long[..4], [0x30, 0x82, 1, 44]);
        let mut fields = Fields { rest: &long };
        assert_eq!(fields.content(SEQUENCE), Ok([7; 300].as_slice()));
        for wrong in [&[0x30][..], &[0x30, 1], &[0x30, 0x80], &[0x30, 0x85, 1, 1, 1, 1, 1]] {
            assert_eq!(Fields { rest: wrong }.content(SEQUENCE), Err(NotAnswered::Malformed));
        }
    }

    /// OpenSSL 3.0 issued these certificates, put the questions and answered them, for 82 years.
    macro_rules! sample {
        ($name:literal) => {
            include_bytes!(concat!("../../../samples/ocsp/", $name)).as_slice()
        };
    }

    fn check(body: &[u8], leaf: &[u8], years: i64, expected: &str) {
        let (leaf, issuer) = (CertificateDer::from(leaf), CertificateDer::from(sample!("ca.der")));
        let question = question(&leaf, &issuer).unwrap();
        let now = OffsetDateTime::from_unix_timestamp(1_796_000_000).unwrap();
        let judged = judge(body, &question, &issuer, now + time::Duration::days(365 * years));
        assert!(format!("{judged:?}").contains(expected), "{judged:?}");
    }

    #[test]
    fn the_answers_of_openssl_are_judged_by_signer_time_and_status() {
        let (good, revoked) = (sample!("good.der"), sample!("revoked.der"));
        check(sample!("good.resp"), good, 0, "OCSP: good");
        check(sample!("revoked.resp"), revoked, 0, "is revoked, says OCSP");
        check(sample!("good.resp"), revoked, 0, "about another certificate");
        check(sample!("appointed.resp"), good, 0, "OCSP: good");
        check(sample!("stranger.resp"), good, 0, "not signed by the authority");
        check(sample!("good.resp"), good, -1, "is not of now");
        check(sample!("good.resp"), good, 90, "is not of now");
        let mut forged = sample!("good.resp").to_vec();
        // A bit of the certificate's status, which is signed.
        let at = forged.windows(2).position(|octets| octets == [0x80, 0]).unwrap();
        forged[at] = 0x82;
        check(&forged, good, 0, "not signed by the authority");
    }

    #[test]
    fn an_error_of_the_responder_is_told_from_what_is_no_answer() {
        assert_eq!(read(&[0x30, 3, 0x0a, 1, 6]).unwrap_err(), NotAnswered::Error(6));
        assert_eq!(read(b"<html>").unwrap_err(), NotAnswered::Malformed);
        assert_eq!(read(&[0x30, 3, 0x0a, 1, 0]).unwrap_err(), NotAnswered::Malformed);
    }
}
