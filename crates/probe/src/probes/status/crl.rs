//! A revocation list ([RFC 5280 section 5]): there, signed by its authority, and not due yet.
//!
//! [RFC 5280 section 5]: https://www.rfc-editor.org/rfc/rfc5280#section-5

use portolan_net::tls::{Presented, revocation};
use time::OffsetDateTime;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

use super::super::http::{self, message::Head};
use super::super::tls::shown;
use super::{Place, ask, certificates, defect, issuer_of, unasked};
use crate::{Asker, Outcome, Verdict, mark};

/// Fetches the list that the peer's certificate names.
pub(in crate::probes) async fn probe(asker: &Asker<'_>) -> Outcome {
    let what = "a revocation list";
    let presented = match certificates(asker).await {
        Ok(presented) => presented,
        Err(why) => return unasked(asker, what, why).await,
    };
    let Some(place) = place(asker, &presented) else {
        let why = format!("the certificate of {} names none on this port", asker.peer());
        return unasked(asker, what, why).await;
    };
    match ask(asker, &place, ("GET", &[], &[])).await {
        Ok((head, body)) => {
            let signer = signer(asker, &presented, &body);
            let mut outcome = judge(&head, &body, &place.url, signer.as_deref(), asker.now());
            if let (Verdict::Faulty(_), Some(blocked)) =
                (&outcome.verdict, http::blocked(&head, &place.peer))
            {
                outcome.verdict = blocked;
            }
            outcome
        }
        Err(verdict) => {
            let notes = vec![format!("the list is at {}", shown(&place.url))];
            Outcome::new(verdict, notes, false)
        }
    }
}

/// The first place that the leaf names.
fn place(asker: &Asker<'_>, presented: &Presented) -> Option<Place> {
    let urls = revocation::places(presented.chain.first()?).ok().flatten()?;
    urls.iter().find_map(|url| Place::of(url, asker.row()))
}

fn signer(asker: &Asker<'_>, presented: &Presented, body: &[u8]) -> Option<Vec<u8>> {
    let (_, list) = CertificateRevocationList::from_der(body).ok()?;
    issuer_of(asker, presented, list.issuer().as_raw()).map(|found| found.to_vec())
}

/// `signer` is the certificate, in DER, of whom the list says that it is by.
fn judge(
    head: &Head,
    body: &[u8],
    url: &str,
    signer: Option<&[u8]>,
    now: OffsetDateTime,
) -> Outcome {
    let url = shown(url);
    let mut notes = http::notes(head);
    notes.push(format!("the list is at {url}"));
    let stand_in = http::is_stand_in(head) || mark::is_in(body);
    let publish = "publish a fresh revocation list of the authority there";
    let outcome = |verdict, notes| Outcome::new(verdict, notes, stand_in);
    if head.status != 200 {
        let text =
            format!("{url} answers with status {} in place of a revocation list", head.status);
        return outcome(defect(text, publish), notes);
    }
    let Ok((_, list)) = CertificateRevocationList::from_der(body) else {
        let text = format!("what is at {url} is no revocation list ({} octets)", body.len());
        return outcome(defect(text, publish), notes);
    };
    let issuer = shown(&list.issuer().to_string());
    notes.push(format!("of {issuer}, {} revoked", list.iter_revoked_certificates().count()));
    if stand_in {
        return outcome(Verdict::Open, notes);
    }
    let since = list.last_update().to_datetime();
    if since > now {
        let text = format!("the revocation list at {url} is of {}, which is to come", since.date());
        return outcome(defect(text, "compare the clocks of both machines"), notes);
    }
    match list.next_update().map(|due| due.to_datetime()) {
        None => {
            let text = format!("the revocation list at {url} does not say when it is renewed");
            return outcome(defect(text, publish), notes);
        }
        Some(due) if due <= now => {
            let text = format!(
                "the revocation list at {url} should have been renewed {} hours ago, on {}",
                (now - due).whole_hours(),
                due.date()
            );
            return outcome(defect(text, publish), notes);
        }
        Some(due) => notes.push(format!("renewed within {} hours", (due - now).whole_hours())),
    }
    let parsed = signer.and_then(|signer| X509Certificate::from_der(signer).ok());
    let verdict = match parsed {
        None => Verdict::Unjudged {
            why: format!(
                "the signature of the list of {issuer} cannot be proven: name that \
                          authority's certificate among the trusted ones"
            ),
        },
        Some((_, signer)) => match list.verify_signature(signer.public_key()) {
            Ok(()) => Verdict::Open,
            Err(_) => {
                let text = format!("the revocation list at {url} is not signed by {issuer}");
                defect(text, publish)
            }
        },
    };
    outcome(verdict, notes)
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
        DnType, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose,
    };
    use time::Duration;

    use super::*;

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Some CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    #[test]
    fn a_list_is_judged_by_its_dates_and_its_signature() {
        let (authority, other) = (authority(), authority());
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        let list = |since: i64, due: i64| {
            let params = CertificateRevocationListParams {
                this_update: now + Duration::hours(since),
                next_update: now + Duration::hours(due),
                crl_number: 1.into(),
                issuing_distribution_point: None,
                revoked_certs: Vec::new(),
                key_identifier_method: KeyIdMethod::Sha256,
            };
            params.signed_by(&authority).unwrap().der().to_vec()
        };
        let check =
            |status: &str, body: &[u8], signer: Option<&CertifiedIssuer<'_, KeyPair>>, said| {
                let head = http::message::head(status.as_bytes()).unwrap().unwrap();
                let signer = signer.map(|signer| signer.der().to_vec());
                let outcome = judge(&head, body, "http://pki/ca.crl", signer.as_deref(), now);
                assert!(format!("{:?}", outcome.verdict).contains(said), "{outcome:?}");
            };
        let ok = "HTTP/1.1 200 OK\r\n\r\n";
        check(ok, &list(-1, 1), Some(&authority), "Open");
        check(ok, &list(-1, 1), Some(&other), "is not signed by");
        check(ok, &list(-1, 1), None, "cannot be proven");
        check(ok, &list(-50, -2), Some(&authority), "should have been renewed 2 hours ago");
        check(ok, &list(48, 50), Some(&authority), "which is to come");
        check(ok, b"<html>", Some(&authority), "no revocation list (6 octets)");
        check("HTTP/1.1 404 No\r\n\r\n", b"", None, "status 404");
    }
}
