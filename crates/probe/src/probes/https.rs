//! HTTPS: TLS, and inside it one request that moves nothing.

use portolan_chart::{Role, flow};

use super::http::{self, Request};
use super::tls::{self, Stream};
use crate::{Asker, DefectKind, Outcome, Verdict};

/// What HTTP is called by ALPN.
pub(super) const HTTP_1_1: &[u8] = b"http/1.1";

/// Asks for the head of a page.
pub(super) async fn probe(asker: &Asker<'_>) -> Outcome {
    let mut session = match tls::open(asker, &[HTTP_1_1]).await {
        Ok(session) => session,
        Err(outcome) => return outcome,
    };
    let (inside, sides) =
        tokio::join!(speak(asker, &mut session.stream), session.examined.sides(asker));
    session.examined.finish(sides, inside)
}

async fn speak(asker: &Asker<'_>, stream: &mut Stream) -> Outcome {
    let request = Request::head(path(asker), http::host(asker));
    match http::ask(asker, stream, &request).await {
        Ok((head, _)) => {
            let verdict = http::blocked(&head, asker.peer()).unwrap_or(Verdict::Open);
            Outcome::new(verdict, http::notes(&head), http::is_stand_in(&head))
        }
        Err(verdict) => verdict.into(),
    }
}

/// A page that the peer has, whatever it answers: of federation servers their metadata.
fn path(asker: &Asker<'_>) -> &'static str {
    match asker.row().to {
        Role::Federation | Role::Proxy | Role::FederationAndProxy => METADATA,
        _ => "/",
    }
}

/// Where a federation server describes itself (WS-Federation 1.2 section 3).
const METADATA: &str = "/FederationMetadata/2007-06/FederationMetadata.xml";

/// Where a federation server gives its proxies their configuration (MS-ADFSPIP section 3.4.5.1). It
/// is for who presents a proxy's trust certificate, and nobody presents one here.
const PROXY_CONFIGURATION: &str = "/adfs/proxy/GetConfiguration?api-version=1";

/// A proxy's endpoint at its federation server: without a certificate of ours it says 401.
pub(super) async fn adfspip(asker: &Asker<'_>) -> Outcome {
    let mut session = match tls::open(asker, &[HTTP_1_1]).await {
        Ok(session) => session,
        Err(outcome) => return outcome,
    };
    let request = Request::get(PROXY_CONFIGURATION, http::host(asker));
    let asked = async {
        match http::ask(asker, &mut session.stream, &request).await {
            Ok((head, _)) => {
                let verdict = http::blocked(&head, asker.peer())
                    .unwrap_or_else(|| judge_adfspip(head.status));
                Outcome::new(verdict, http::notes(&head), http::is_stand_in(&head))
            }
            Err(verdict) => verdict.into(),
        }
    };
    let (inside, sides) = tokio::join!(asked, session.examined.sides(asker));
    session.examined.finish(sides, inside)
}

/// 401 without the certificate, 405 for a verb that an endpoint does not have; 200 would
/// hand the configuration to anybody.
fn judge_adfspip(status: u16) -> Verdict {
    match status {
        401 | 405 => Verdict::Open,
        500..=599 => Verdict::faulty(
            DefectKind::Unavailable,
            format!("the endpoint of proxies answers with status {status}"),
            "look whether the federation service runs on that host",
        ),
        _ => Verdict::faulty(
            DefectKind::WrongKind,
            format!(
                "the endpoint of proxies answers with status {status} to who presents no \
                 certificate, and 401 is expected: this is no federation server"
            ),
            "look whether the name leads to a federation server, and not to its proxy",
        ),
    }
}

/// A page where the server asks for the person's certificate in the handshake.
pub(super) async fn client_certificate(asker: &Asker<'_>) -> Outcome {
    let session = match tls::try_open(asker, &[HTTP_1_1]).await {
        Ok(session) => session,
        Err(verdict) => return verdict,
    };
    let (asks, version) = match &session {
        Ok(session) => asked(&session.examined),
        Err(failed) => asked(&failed.examined),
    };
    match session {
        // In TLS 1.2 a server that was given no certificate ends the handshake, and has proven its row.
        Err(failed) if asks => {
            let sides = failed.examined.sides(asker).await;
            failed.examined.finish(sides, asks_outcome(version))
        }
        Err(failed) => failed.outcome(asker).await,
        Ok(mut session) => {
            let (inside, sides) =
                tokio::join!(speak(asker, &mut session.stream), session.examined.sides(asker));
            let inside = match asks {
                // What a server says inside to who presented none is its own matter.
                true => asks_outcome(version),
                false => match inside.verdict {
                    Verdict::Open => Outcome { verdict: does_not_ask(), ..inside },
                    _ => inside,
                },
            };
            session.examined.finish(sides, inside)
        }
    }
}

fn asked(examined: &tls::Examined) -> (bool, &'static str) {
    let presented = &examined.presented;
    (presented.asks_certificate, presented.version.unwrap_or("TLS"))
}

fn asks_outcome(version: &str) -> Outcome {
    let notes = vec![format!("asks for a client certificate in the {version} handshake")];
    Outcome::new(Verdict::Open, notes, false)
}

/// Renegotiation later, which TLS 1.3 does not have, is what this row was made to do without.
fn does_not_ask() -> Verdict {
    Verdict::faulty(
        DefectKind::WrongKind,
        "the server does not ask for a client certificate in the handshake",
        "look whether another site than that of certificates is bound to this port",
    )
}

/// Whether a row's WebSocket is inside HTTPS, by its protocol on a port that is no bus's own.
pub(super) fn is_web_port(asker: &Asker<'_>) -> bool {
    let chart = asker.deployment().network.chart();
    let web = chart.row(flow::CONNECT_TENANT_SYNC).map(portolan_chart::Row::first_port);
    web.is_ok_and(|port| port == asker.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_of_proxies_is_known_by_what_it_refuses() {
        let check = |status, expected: &str| assert_eq!(judge_adfspip(status).name(), expected);
        check(401, "open");
        check(405, "open");
        check(404, "faulty");
        check(200, "faulty");
        check(503, "faulty");
    }
}
