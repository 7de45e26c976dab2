//! What an authority says of its certificates, in clear: its revocation list, and OCSP.
//!
//! Where to ask stands in the certificates themselves. A peer's is taken from its row inside TLS, where
//! the same roles have one.

mod crl;
pub mod ocsp;

use std::time::Duration;

use portolan_chart::{Row, Speaks};
use portolan_net::http::{Client, ClientLimits, HttpError};
use portolan_net::tls::{Presented, examine};
use portolan_net::{Endpoint, Peer};
use rustls_pki_types::CertificateDer;
use tokio::time::timeout;
use x509_parser::prelude::{FromDer as _, X509Certificate};

pub(super) use self::crl::probe as crl;
pub(super) use self::ocsp::probe as ocsp;

use super::http::message::{self, Head};
use super::http::{self, Request};
use crate::metered::Metered;
use crate::{Asker, DefectKind, Outcome, Verdict};

/// Octets of an answer that comes by a proxy.
const ANSWER_OCTETS_MAX: usize = 8 * 1024 * 1024;

/// Rows on which a peer shows its certificate before anything else, the most usual first.
const INSIDE_TLS: [Speaks; 5] = [
    Speaks::Https,
    Speaks::Ldaps,
    Speaks::GlobalCatalogTls,
    Speaks::Adfspip,
    Speaks::HttpsClientCertificate,
];

/// What the peer presents inside TLS.
async fn certificates(asker: &Asker<'_>) -> Result<Presented, String> {
    let chart = asker.deployment().network.chart();
    let (from, to) = (asker.row().from, asker.row().to);
    let rows = |speaks| {
        let between = move |row: &&Row| row.from == from && row.to == to && row.speaks == speaks;
        chart.all().find(between)
    };
    let Some(row) = INSIDE_TLS.into_iter().find_map(rows) else {
        return Err(format!("no row from {from} to {to} shows a certificate"));
    };
    let name = row.describe(row.first_port(), asker.transport());
    let limit = asker.deployment().limits.probe_time_max / 2;
    let shown = async {
        let beside = asker.on(row);
        let connection = beside.connect().await.map_err(|verdict| verdict.name().to_owned())?;
        let stream = Metered::new(connection.stream, asker.deployment().limits.octets_max);
        match examine(stream, asker.peer(), &[]).await {
            Ok(examined) => Ok(examined.presented),
            Err(unfinished) if !unfinished.presented.chain.is_empty() => Ok(unfinished.presented),
            Err(unfinished) => Err(unfinished.fault.to_string()),
        }
    };
    match timeout(limit, shown).await {
        Ok(Ok(presented)) if !presented.chain.is_empty() => Ok(presented),
        Ok(Ok(_)) => Err(format!("{name} shows no certificate")),
        Ok(Err(why)) => Err(format!("{name} shows no certificate: {why}")),
        Err(_) => Err(format!("{name} shows no certificate in time")),
    }
}

/// Where an authority answers: a host, and a path there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    url: String,
    peer: Peer,
    /// As the Host field says it.
    host: String,
    target: String,
}

impl Place {
    /// A URL of plain HTTP on the row's port. Beside the chart's, a URL may name none.
    fn of(url: &str, row: &Row) -> Option<Self> {
        let uri: ::http::Uri = url.parse().ok()?;
        let port = row.first_port();
        let is_on_row = match uri.port_u16() {
            Some(named) => named == port,
            None => true,
        };
        if uri.scheme_str() != Some("http") || !is_on_row {
            return None;
        }
        let target = uri.path_and_query().map_or("/", |path| path.as_str());
        Some(Self {
            url: url.to_owned(),
            peer: uri.host()?.parse().ok()?,
            host: uri.authority()?.as_str().to_owned(),
            target: target.to_owned(),
        })
    }
}

/// Asks at a place: at the question's own address where the place is its host, and else where the
/// place's name leads to.
async fn ask(
    asker: &Asker<'_>,
    place: &Place,
    method: (&str, &[(&str, &str)], &[u8]),
) -> Result<(Head, Vec<u8>), Verdict> {
    let (method, fields, body) = method;
    if asker.address().is_none() {
        return by_proxy(asker, place, method, fields, body).await;
    }
    let mut connection = match is_here(asker, &place.peer).await {
        true => asker.connect().await?,
        false => elsewhere(asker, &place.peer).await?,
    };
    let request =
        Request { method, fields, body, ..Request::get(&place.target, place.host.clone()) };
    let answer = http::fetch(asker, &mut connection.stream, &request).await?;
    Ok((answer.head, answer.body))
}

async fn is_here(asker: &Asker<'_>, peer: &Peer) -> bool {
    if peer == asker.peer() {
        return true;
    }
    let found = asker.deployment().network.addresses_of(peer).await.unwrap_or_default();
    asker.address().is_some_and(|address| found.contains(&address))
}

async fn elsewhere(asker: &Asker<'_>, peer: &Peer) -> Result<portolan_net::Connection, Verdict> {
    let network = &asker.deployment().network;
    let addresses = network.addresses_of(peer).await.map_err(|error| Asker::judge(&error))?;
    let unknown = || Verdict::Unjudged { why: format!("the name {peer} has no address") };
    let mut last = unknown();
    for address in addresses {
        let at = Endpoint { row: asker.row(), peer, address, port: asker.port() };
        match network.connect_at(at).await {
            Ok(connection) => return Ok(connection),
            Err(error) => last = Asker::judge(&error),
        }
    }
    Err(last)
}

/// By a web proxy, which takes plain requests whole (RFC 9112 section 3.2.2).
async fn by_proxy(
    asker: &Asker<'_>,
    place: &Place,
    method: &str,
    fields: &[(&str, &str)],
    body: &[u8],
) -> Result<(Head, Vec<u8>), Verdict> {
    let limits = ClientLimits {
        exchange_time_max: asker.deployment().limits.probe_time_max.saturating_sub(SPARED),
        body_octets_max: ANSWER_OCTETS_MAX,
    };
    let client = Client::plain(asker.deployment().network.clone(), limits);
    let mut request = ::http::Request::builder().method(method).uri(&place.target);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(body.to_vec().into());
    let request =
        request.map_err(|error| Verdict::Unjudged { why: format!("{}: {error}", place.url) })?;
    match client.send(asker.row().flow, &place.peer, request).await {
        Ok(answer) => {
            let head = message::of_response(&answer);
            Ok((head, answer.into_body().to_vec()))
        }
        Err(HttpError::Dial(error)) => Err(Asker::judge(&error)),
        Err(error) => Err(Verdict::WrongProtocol { heard: error.to_string() }),
    }
}

/// What is left of a probe's time for its verdict.
const SPARED: Duration = Duration::from_millis(250);

/// Nobody can be asked for a list or a status: that HTTP is spoken is all that can be found out.
async fn unasked(asker: &Asker<'_>, what: &str, why: String) -> Outcome {
    let place = Place {
        url: String::new(),
        peer: asker.peer().clone(),
        host: http::host(asker),
        target: "/".to_owned(),
    };
    match ask(asker, &place, ("GET", &[], &[])).await {
        Ok((head, _)) => {
            let verdict = http::blocked(&head, asker.peer()).unwrap_or_else(|| Verdict::Unjudged {
                why: format!("HTTP is answered, and {what} is not known: {why}"),
            });
            Outcome::new(verdict, http::notes(&head), http::is_stand_in(&head))
        }
        Err(verdict) => verdict.into(),
    }
}

/// The certificate of who issued another one: among those that were presented, or trusted.
fn issuer_of(
    asker: &Asker<'_>,
    presented: &Presented,
    issuer: &[u8],
) -> Option<CertificateDer<'static>> {
    let trusted = asker.deployment().trusted.iter().cloned().map(CertificateDer::from);
    let all = presented.chain.iter().cloned().chain(trusted);
    all.into_iter().find(|certificate| {
        X509Certificate::from_der(certificate)
            .is_ok_and(|(_, parsed)| parsed.subject().as_raw() == issuer && parsed.is_ca())
    })
}

/// A defect of what an authority publishes.
fn defect(text: String, hint: &str) -> Verdict {
    Verdict::faulty(DefectKind::Revocation, text, hint)
}

#[cfg(test)]
mod tests {
    use portolan_chart::{Chart, flow};

    use super::*;

    #[test]
    fn a_place_is_plain_http_on_the_row_s_port() {
        let chart = Chart::default_edition();
        let row = chart.row(flow::CONNECT_TENANT_CRL).unwrap();
        let place = Place::of("http://pki.tenant.example/ca.crl?a", row).unwrap();
        assert_eq!(
            (place.host.as_str(), place.target.as_str()),
            ("pki.tenant.example", "/ca.crl?a")
        );
        for url in ["https://a.example/", "http://a.example:8/", "ldap:///CN=x", "/ca.crl", ""] {
            assert_eq!(Place::of(url, row), None, "{url}");
        }
    }
}
