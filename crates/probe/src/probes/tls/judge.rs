//! What is wrong with what a server presented: every fault, not only the first.

use portolan_net::Peer;
use portolan_net::tls::{ChainFault, Presented, Roots, Trust};
use rustls_pki_types::CertificateDer;
use time::{Duration, OffsetDateTime};
use x509_parser::oid_registry::{
    OID_HASH_SHA1, OID_PKCS1_MD5WITHRSAENC, OID_PKCS1_RSASSAPSS, OID_PKCS1_SHA1WITHRSA, Oid,
};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::signature_algorithm::SignatureAlgorithm;
use x509_parser::x509::AlgorithmIdentifier;

use super::place::is_public;
use crate::{Defect, DefectKind};

/// Bits of the shortest RSA key that is not weak (NIST SP 800-131A).
const RSA_BITS_MIN: usize = 2048;
/// Bits of the smallest curve.
const CURVE_BITS_MIN: usize = 256;
/// Octets of a name that a report shows.
const NAME_OCTETS_MAX: usize = 120;
/// Names of a certificate that a report shows.
const NAMES_MAX: usize = 4;

/// Who a server should be, and when.
#[derive(Debug)]
pub(super) struct Expected<'a> {
    pub(super) peer: &'a Peer,
    pub(super) forest: Option<&'a str>,
    /// Authorities that the deployment gives, in DER.
    pub(super) trusted: &'a [CertificateDer<'static>],
    pub(super) now: OffsetDateTime,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Judgement {
    pub(super) defects: Vec<Defect>,
    pub(super) notes: Vec<String>,
    /// Whole days until the server's certificate expires, rounded down: negative once it has.
    pub(super) days_left: Option<i64>,
    /// By whom the chain is believed; only then it is known who signs its revocation lists.
    pub(super) trust: Option<Trust>,
}

pub(super) fn judge(presented: &Presented, expected: &Expected<'_>) -> Judgement {
    let mut judgement = Judgement::default();
    if let Some(version) = presented.version {
        judgement.notes.push(version.to_owned());
    }
    let Some(leaf) = presented.chain.first() else { return judgement };
    let Ok((_, parsed)) = X509Certificate::from_der(leaf) else {
        judgement.add(
            DefectKind::Certificate,
            "the server's certificate cannot be read".to_owned(),
            "give the server another certificate",
        );
        return judgement;
    };
    judgement.days_left = Some(days_left(dates(&parsed).1, expected.now));
    judgement.of_dates(&parsed, expected.now, "its certificate");
    judgement.of_chain(presented, &parsed, expected);
    judgement.of_name(presented, &parsed, expected.peer);
    judgement.of_strength(presented, &parsed);
    judgement
}

impl Judgement {
    fn add(&mut self, kind: DefectKind, text: String, hint: impl Into<String>) {
        self.defects.push(Defect { kind, text, hint: hint.into() });
    }

    /// Gives whether the moment lies within the certificate's time.
    fn of_dates(&mut self, parsed: &X509Certificate<'_>, now: OffsetDateTime, what: &str) -> bool {
        let (from, until) = dates(parsed);
        if now > until {
            let days = (now - until).whole_days();
            let text = format!("{what} expired {days} days ago, on {}", until.date());
            self.add(DefectKind::Certificate, text, "renew the certificate");
        } else if now < from {
            let days = (from - now).whole_days();
            let text = format!("{what} is valid from {} only, in {days} days", from.date());
            self.add(DefectKind::Certificate, text, "compare the clocks of both machines");
        } else {
            let days = (until - now).whole_days();
            self.notes.push(format!("{what} expires in {days} days"));
            return true;
        }
        false
    }

    fn of_chain(
        &mut self,
        presented: &Presented,
        leaf: &X509Certificate<'_>,
        expected: &Expected<'_>,
    ) {
        let issuer = shown(&leaf.issuer().to_string());
        self.notes.push(format!("issued by {issuer}"));
        let is_self_signed = leaf.issuer().as_raw() == leaf.subject().as_raw();
        let own = presented.chain.first();
        if is_self_signed && own.is_some_and(|own| expected.trusted.contains(own)) {
            return;
        }
        let (from, until) = dates(leaf);
        // Who issued it is asked at a moment of its own time: that it is over was said before.
        let moment = expected.now.clamp(from, from.max(until));
        let fault = match believed(presented, expected, moment) {
            Ok((trust, by)) => {
                self.trust = Some(trust);
                if by == By::ThisMachine && is_public(expected.peer, expected.forest) {
                    self.add(
                        DefectKind::Interception,
                        format!(
                            "its certificate is issued by {issuer}, whom this machine believes and \
                             the web does not: somebody on the way opens the connection"
                        ),
                        EXEMPT,
                    );
                }
                return;
            }
            Err(fault) => fault,
        };
        if fault.is_of_dates() {
            self.of_dates_above(presented, expected.now);
        } else if is_self_signed && presented.certificates == 1 {
            self.add(
                DefectKind::Certificate,
                format!("its certificate is self-signed, by {issuer}"),
                "give the server a certificate of an authority, or name it among the trusted ones",
            );
        } else if fault.is_of_issuer() {
            self.of_stranger(&issuer, expected);
        } else {
            let text = format!("its certificates prove nothing: {fault}");
            self.add(DefectKind::Certificate, text, "give the server a proper chain");
        }
    }

    /// It is issued by somebody whom nobody here knows.
    fn of_stranger(&mut self, issuer: &str, expected: &Expected<'_>) {
        let wanted: Vec<_> = expected.trusted.iter().filter_map(subject).collect();
        let wanted = match (wanted.is_empty(), is_public(expected.peer, expected.forest)) {
            (false, _) => wanted.join(" or "),
            (true, true) => "a public authority".to_owned(),
            (true, false) => {
                self.add(
                    DefectKind::Certificate,
                    format!(
                        "its certificate is issued by {issuer}, whom this machine does not believe"
                    ),
                    "name that authority's certificate among the trusted ones, if it is yours; let \
                     the server present the whole chain",
                );
                return;
            }
        };
        let text = format!("its certificate is issued by {issuer}; expected was {wanted}");
        self.add(DefectKind::Interception, text, EXEMPT);
    }

    /// The leaf is of now, and one above it is not.
    fn of_dates_above(&mut self, presented: &Presented, now: OffsetDateTime) {
        for above in presented.chain.iter().skip(1) {
            let Ok((_, parsed)) = X509Certificate::from_der(above) else { continue };
            let what = format!("the certificate of {}", shown(&parsed.subject().to_string()));
            if !self.of_dates(&parsed, now, &what) {
                return;
            }
        }
        let text = "an authority above its certificate is not valid now".to_owned();
        self.add(DefectKind::Certificate, text, "renew the authority's certificate");
    }

    fn of_name(&mut self, presented: &Presented, leaf: &X509Certificate<'_>, peer: &Peer) {
        if presented.verify_name(peer).is_ok() {
            return;
        }
        let names = names(leaf);
        let text = match names.is_empty() {
            true => format!("its certificate names no host, and {peer} was asked for"),
            false => format!("its certificate is for {}, and not for {peer}", names.join(", ")),
        };
        let hint = format!("ask for a name of the certificate, or give it the name {peer}");
        self.add(DefectKind::Certificate, text, hint);
    }

    fn of_strength(&mut self, presented: &Presented, leaf: &X509Certificate<'_>) {
        let key = leaf.public_key();
        let weak = match key.parsed() {
            Ok(PublicKey::RSA(rsa)) if rsa.key_size() < RSA_BITS_MIN => {
                Some(("RSA", rsa.key_size(), RSA_BITS_MIN))
            }
            Ok(PublicKey::EC(point)) if point.key_size() < CURVE_BITS_MIN => {
                Some(("elliptic", point.key_size(), CURVE_BITS_MIN))
            }
            _ => None,
        };
        if let Some((kind, bits, least)) = weak {
            let text = format!("its {kind} key has {bits} bits, and {least} are the least");
            self.add(DefectKind::Weak, text, "give the server a certificate with a longer key");
        }
        if let Some(name) = broken_hash(&leaf.signature_algorithm) {
            let text = format!("its certificate is signed with {name}");
            self.add(DefectKind::Weak, text, "have it issued again, signed with a SHA-2");
        }
        if !presented.holds_key && weak.is_none() {
            self.add(
                DefectKind::Certificate,
                "it did not prove that it holds the key of its certificate".to_owned(),
                "look whether the server's key belongs to its certificate",
            );
        }
    }
}

const EXEMPT: &str = "exempt this host from TLS inspection; if that is your own authority, name its \
                      certificate among the trusted ones";

/// By whom a chain is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// The deployment's own authorities, or the web's.
    Anybody,
    /// Authorities that were added to this machine's bundle.
    ThisMachine,
}

/// Who believes the chain, at a moment; or why nobody does.
fn believed(
    presented: &Presented,
    expected: &Expected<'_>,
    moment: OffsetDateTime,
) -> Result<(Trust, By), ChainFault> {
    let leads = |roots: Roots| {
        let trust = Trust::Roots(roots);
        presented.verify(&trust, moment).map(|()| trust)
    };
    let given = Roots::from_der(expected.trusted).ok().map(leads);
    if let Some(Ok(trust)) = given {
        return Ok((trust, By::Anybody));
    }
    let fault = match leads(Roots::of_the_web()) {
        Ok(trust) => return Ok((trust, By::Anybody)),
        Err(fault) => fault,
    };
    match (leads(Roots::of_system()), given) {
        (Ok(trust), _) => Ok((trust, By::ThisMachine)),
        // A fault that is not of the issuer is that of a chain to an authority that was given.
        (_, Some(Err(given))) if !given.is_of_issuer() => Err(given),
        _ => Err(fault),
    }
}

/// Rounded down, so that one of an hour ago is not one of today.
fn days_left(until: OffsetDateTime, now: OffsetDateTime) -> i64 {
    (until - now).whole_seconds().div_euclid(Duration::DAY.whole_seconds())
}

/// From when until when.
fn dates(parsed: &X509Certificate<'_>) -> (OffsetDateTime, OffsetDateTime) {
    let validity = parsed.validity();
    (validity.not_before.to_datetime(), validity.not_after.to_datetime())
}

fn subject(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(shown(&parsed.subject().to_string()))
}

/// The hosts that a certificate is for.
fn names(leaf: &X509Certificate<'_>) -> Vec<String> {
    let alternatives = leaf.subject_alternative_name().ok().flatten();
    let all = alternatives.iter().flat_map(|extension| &extension.value.general_names);
    let named = all.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(shown(name)),
        GeneralName::IPAddress(octets) => address(octets),
        _ => None,
    });
    named.take(NAMES_MAX).collect()
}

fn address(octets: &[u8]) -> Option<String> {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Some(std::net::Ipv4Addr::from(octets).to_string());
    }
    <[u8; 16]>::try_from(octets).ok().map(|octets| std::net::Ipv6Addr::from(octets).to_string())
}

/// A hash function that proves nothing any more.
fn broken_hash(signature: &AlgorithmIdentifier<'_>) -> Option<&'static str> {
    const ECDSA_WITH_SHA1: Oid<'static> =
        x509_parser::oid_registry::asn1_rs::oid!(1.2.840.10045.4.1);
    let algorithm = &signature.algorithm;
    if *algorithm == OID_PKCS1_RSASSAPSS {
        let Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) =
            SignatureAlgorithm::try_from(signature)
        else {
            return None;
        };
        return (*parameters.hash_algorithm_oid() == OID_HASH_SHA1).then_some("SHA-1");
    }
    if *algorithm == OID_PKCS1_SHA1WITHRSA || *algorithm == ECDSA_WITH_SHA1 {
        return Some("SHA-1");
    }
    (*algorithm == OID_PKCS1_MD5WITHRSAENC).then_some("MD5")
}

/// A peer's text as a report shows it: printable, and not too long.
pub(crate) fn shown(text: &str) -> String {
    let printable = text.chars().map(|c| if c.is_control() { '?' } else { c });
    let mut shown = String::new();
    for c in printable {
        if shown.len() >= NAME_OCTETS_MAX {
            shown.push('…');
            break;
        }
        shown.push(c);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_has_no_day_left_from_the_moment_on_at_which_it_expired() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let check = |left: Duration, days| assert_eq!(days_left(now + left, now), days, "{left}");
        check(Duration::days(30), 30);
        check(Duration::hours(47), 1);
        check(Duration::ZERO, 0);
        check(Duration::seconds(-1), -1);
        check(Duration::hours(-25), -2);
    }
}
