//! TLS: a handshake with whoever is there, and everything that is wrong with it.
//!
//! Certificates are judged before anything of an application is said. What takes more connections is
//! found out beside the application's own exchange: whether the peer speaks versions that it should
//! not, and whether its issuer's revocation lists can be had and say nothing against it.

pub mod hello;
mod judge;
mod place;

use std::io;

use portolan_chart::Speaks;
use portolan_model::Entropy as _;
use portolan_net::Peer;
use portolan_net::entropy::SystemEntropy;
use portolan_net::tls::{
    HandshakeFault, Presented, Revocation, RevocationFault, Unfinished, examine,
};
use rustls_pki_types::CertificateDer;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::OID_PKIX_ACCESS_DESCRIPTOR_OCSP;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use self::hello::{Answer, OLD_VERSIONS};
pub(super) use self::judge::shown;
use self::judge::{Expected, Judgement};
use crate::metered::Metered;
use crate::{Asker, Defect, DefectKind, Figures, Outcome, Verdict, mark};

/// A stream inside TLS, under the check's limit of octets.
pub(super) type Stream = TlsStream<Metered<TcpStream>>;

/// A peer that was examined.
pub(super) struct Session {
    pub(super) stream: Stream,
    pub(super) examined: Examined,
}

/// What is known of a peer by its handshake.
pub(super) struct Examined {
    pub(super) presented: Presented,
    judgement: Judgement,
}

/// Connects and performs the handshake.
pub(super) async fn open(asker: &Asker<'_>, protocols: &[&[u8]]) -> Result<Session, Outcome> {
    match try_open(asker, protocols).await? {
        Ok(session) => Ok(session),
        Err(failed) => Err(failed.outcome(asker).await),
    }
}

/// A handshake that did not end well.
pub(super) struct Failed {
    pub(super) examined: Examined,
    fault: HandshakeFault,
    first: Vec<u8>,
}

/// The same, leaving it to the caller what a handshake means that did not end well.
pub(super) async fn try_open(
    asker: &Asker<'_>,
    protocols: &[&[u8]],
) -> Result<Result<Session, Failed>, Outcome> {
    let connection = asker.connect().await?;
    let stream = Metered::new(connection.stream, asker.deployment().limits.octets_max);
    match examine(stream, asker.peer(), protocols).await {
        Ok(found) => {
            let examined = Examined::new(asker, found.presented);
            Ok(Ok(Session { stream: found.stream, examined }))
        }
        Err(unfinished) => {
            let Unfinished { stream, fault, presented } = *unfinished;
            let first = stream.first().to_vec();
            Ok(Err(Failed { examined: Examined::new(asker, presented), fault, first }))
        }
    }
}

impl Failed {
    /// Whether TLS was begun.
    pub(super) fn is_tls(&self) -> bool {
        !self.first.is_empty()
            && hello::is_record(&self.first)
            && self.fault != HandshakeFault::NotTls
    }

    /// What it means for the row.
    pub(super) async fn outcome(self, asker: &Asker<'_>) -> Outcome {
        let verdict = self.verdict(asker).await;
        self.examined.finish(Sides::default(), verdict.into())
    }

    async fn verdict(&self, asker: &Asker<'_>) -> Verdict {
        if !hello::is_record(&self.first) {
            return Verdict::wrong_protocol(&self.first);
        }
        match &self.fault {
            HandshakeFault::NotTls => Verdict::wrong_protocol(&self.first),
            HandshakeFault::Broken(io::ErrorKind::UnexpectedEof) if self.first.is_empty() => {
                Verdict::WrongProtocol { heard: "the end of the connection".to_owned() }
            }
            HandshakeFault::Broken(kind) => asker.broke(&io::Error::from(*kind)),
            HandshakeFault::Version | HandshakeFault::NothingCommon => {
                let old = old_versions(asker).await;
                let text = match old.is_empty() {
                    true => self.fault.to_string(),
                    false => format!("it speaks {} and nothing newer", old.join(" and ")),
                };
                let hint = "let the server speak TLS 1.2 or 1.3 with a cipher suite of today";
                Verdict::faulty(DefectKind::Weak, text, hint)
            }
            fault => Verdict::faulty(
                DefectKind::Unavailable,
                fault.to_string(),
                "look whether the server has a certificate for this name, and at its log",
            ),
        }
    }
}

/// What was found beside the application's exchange.
#[derive(Debug, Default)]
pub(super) struct Sides {
    defects: Vec<Defect>,
    notes: Vec<String>,
}

impl Examined {
    fn new(asker: &Asker<'_>, presented: Presented) -> Self {
        let deployment = asker.deployment();
        let trusted: Vec<_> =
            deployment.trusted.iter().map(|der| CertificateDer::from(der.clone())).collect();
        let expected = Expected {
            peer: asker.peer(),
            forest: deployment.forest.as_ref().map(|forest| forest.as_str()),
            trusted: &trusted,
            now: asker.now(),
        };
        let judgement = match is_stand_in(&presented) {
            // A rehearsal's certificates are nobody's, and proven by nobody.
            true => Judgement {
                notes: vec!["a stand-in's certificate".to_owned()],
                ..Judgement::default()
            },
            false => judge::judge(&presented, &expected),
        };
        Self { presented, judgement }
    }

    /// Finds out what takes more connections, within half of the probe's time.
    pub(super) async fn sides(&self, asker: &Asker<'_>) -> Sides {
        let limit = asker.deployment().limits.probe_time_max / 2;
        let (old, lists) = tokio::join!(
            timeout(limit, old_versions(asker)),
            timeout(limit, self.revocation(asker))
        );
        let mut sides = Sides::default();
        match old {
            Ok(old) if old.is_empty() => {}
            Ok(old) => sides.defects.push(Defect {
                kind: DefectKind::Weak,
                text: format!("it still speaks {}", old.join(" and ")),
                hint: "let the server speak TLS 1.2 and 1.3 only (RFC 8996)".to_owned(),
            }),
            Err(_) => sides.notes.push("older versions of TLS were not tried in time".to_owned()),
        }
        match lists {
            Ok(Some(Found::Defect(defect))) => sides.defects.push(defect),
            Ok(Some(Found::Note(note))) => sides.notes.push(note),
            Ok(None) => {}
            Err(_) => {
                sides.notes.push("its revocation list was not fetched in time".to_owned());
            }
        }
        sides
    }

    /// Whether its issuers revoked what was presented, by the row that fetches revocation lists.
    async fn revocation(&self, asker: &Asker<'_>) -> Option<Found> {
        let trust = self.judgement.trust.as_ref()?;
        let chart = asker.deployment().network.chart();
        let (from, to) = (asker.row().from, asker.row().to);
        let rows = || chart.all().filter(|row| row.from == from && row.speaks == Speaks::Crl);
        let row = rows().find(|row| row.to == to).or_else(|| rows().next());
        let Some(row) = row else {
            let why = format!("no row lets {from} fetch revocation lists");
            return Some(Found::Note(why));
        };
        let revocation = Revocation::by_crl(asker.deployment().network.clone(), row.flow);
        let fault = match revocation.check_presented(&self.presented, trust).await {
            Ok(()) => return Some(Found::Note("not revoked".to_owned())),
            Err(fault) => fault,
        };
        let hint = match &fault {
            // What is over is judged by its dates.
            RevocationFault::Chain(_) => return None,
            // A row of its own, which is judged where it stands.
            RevocationFault::Unreachable { .. } => return Some(Found::Note(fault.to_string())),
            RevocationFault::NoDistributionPoint => {
                if let Some(url) = self.leaf().and_then(|leaf| ocsp_url(leaf)) {
                    let note = format!("it names no revocation list, and OCSP at {}", shown(&url));
                    return Some(Found::Note(note));
                }
                "give the server a certificate that names its revocation list as an http URL"
            }
            RevocationFault::Revoked => "renew the server's certificate",
            _ => "publish a fresh revocation list of the authority",
        };
        let text = format!("its certificate is not known to be valid: {fault}");
        Some(Found::Defect(Defect { kind: DefectKind::Revocation, text, hint: hint.to_owned() }))
    }

    pub(super) fn leaf(&self) -> Option<&CertificateDer<'static>> {
        self.presented.chain.first()
    }

    /// What was found in all: what was heard inside, with what is wrong with the TLS around it.
    pub(super) fn finish(self, sides: Sides, inside: Outcome) -> Outcome {
        let mut defects = self.judgement.defects;
        defects.extend(sides.defects);
        let mut notes = self.judgement.notes;
        notes.extend(sides.notes);
        notes.extend(inside.notes);
        let is_intercepted = defects.iter().any(|defect| defect.kind == DefectKind::Interception);
        let verdict = match inside.verdict {
            Verdict::Open if defects.is_empty() => Verdict::Open,
            Verdict::Open => Verdict::Faulty(defects),
            Verdict::Faulty(more) => {
                defects.extend(more);
                Verdict::Faulty(defects)
            }
            // Who opens the connection on the way also says what is heard in it.
            other if is_intercepted => {
                notes.push(format!("inside TLS: {}", other.name()));
                Verdict::Faulty(defects)
            }
            other => {
                notes.extend(defects.into_iter().map(|defect| defect.text));
                other
            }
        };
        let stand_in = inside.stand_in || is_stand_in(&self.presented);
        let figures =
            Figures { certificate_days_left: self.judgement.days_left, ..Figures::default() };
        Outcome::new(verdict, notes, stand_in).with_figures(figures.or(inside.figures))
    }
}

/// Whether the certificates are those of `portolan chart respond`.
fn is_stand_in(presented: &Presented) -> bool {
    presented.chain.iter().any(|certificate| mark::is_in(certificate))
}

enum Found {
    Defect(Defect),
    Note(String),
}

/// The versions below 1.2 that the peer goes on with, newest first.
async fn old_versions(asker: &Asker<'_>) -> Vec<&'static str> {
    let mut found = Vec::new();
    for (version, name) in OLD_VERSIONS {
        // A peer that refuses 1.1 may speak 1.0: it answers with what it has.
        match offered(asker, version).await {
            Some(accepted) if accepted == version => found.push(name),
            Some(_) => {}
            None => break,
        }
    }
    found
}

async fn offered(asker: &Asker<'_>, version: u16) -> Option<u16> {
    let name = match asker.peer() {
        Peer::Name(name) => Some(name.as_str()),
        Peer::Address(_) => None,
    };
    let hello = hello::client_hello(version, SystemEntropy.array(), name);
    let mut stream = asker.connect().await.ok()?.stream;
    stream.write_all(&hello).await.ok()?;
    let mut heard = Vec::new();
    loop {
        let octets = asker.read(&mut stream).await.ok()?;
        if octets.is_empty() {
            return None;
        }
        heard.extend_from_slice(&octets);
        match hello::answer(&heard) {
            Answer::Unfinished => {}
            Answer::Accepted(accepted) => return Some(accepted),
            Answer::Refused => return None,
        }
    }
}

/// Where a certificate's status is to be had by OCSP (RFC 5280 section 4.2.2.1).
pub(super) fn ocsp_url(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    parsed.extensions().iter().find_map(|extension| {
        let ParsedExtension::AuthorityInfoAccess(access) = extension.parsed_extension() else {
            return None;
        };
        access.accessdescs.iter().find_map(|description| match &description.access_location {
            GeneralName::URI(url)
                if description.access_method == OID_PKIX_ACCESS_DESCRIPTOR_OCSP =>
            {
                Some((*url).to_owned())
            }
            _ => None,
        })
    })
}
