//! HTTP in clear: one request that moves nothing, and who answers it.

pub mod message;

use portolan_net::Peer;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use self::message::Head;
use super::tls::shown;
use crate::{Asker, DefectKind, Outcome, Verdict, mark};

/// Who asks, for the logs of the other end.
const USER_AGENT: &str = "portolan-check";
/// Octets of a revocation list or a status answer: as many as the product itself takes.
const LIST_OCTETS_MAX: usize = 8 * 1024 * 1024;

/// A request.
#[derive(Debug, Clone)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    /// The path and query.
    pub(super) target: &'a str,
    /// As the Host field says it.
    pub(super) host: String,
    /// Further fields.
    pub(super) fields: &'a [(&'a str, &'a str)],
    pub(super) body: &'a [u8],
}

/// An answer, whole or as far as it was read.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) head: Head,
    pub(super) body: Vec<u8>,
}

impl<'a> Request<'a> {
    pub(super) fn get(target: &'a str, host: String) -> Self {
        Self { method: "GET", target, host, fields: &[], body: &[] }
    }

    /// The head alone is asked for, which moves nothing and brings no page.
    pub(super) fn head(target: &'a str, host: String) -> Self {
        Self { method: "HEAD", ..Self::get(target, host) }
    }

    pub(super) fn octets(&self) -> Vec<u8> {
        let Self { method, target, host, fields, body } = self;
        let mut text = format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {USER_AGENT}\r\nAccept: */*\r\n"
        );
        for (name, value) in *fields {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        [text.as_bytes(), body].concat()
    }
}

/// A host as it stands in a URL.
pub(super) fn in_url(peer: &Peer) -> String {
    match peer {
        Peer::Address(std::net::IpAddr::V6(address)) => format!("[{address}]"),
        other => other.to_string(),
    }
}

/// The Host field for the peer of a question: with the port where the chart's was replaced.
pub(super) fn host(asker: &Asker<'_>) -> String {
    let host = in_url(asker.peer());
    match asker.row().configured {
        true => format!("{host}:{}", asker.port()),
        false => host,
    }
}

/// Sends a request and reads the head of its answer, and what came with it.
///
/// # Errors
/// What it means for the row that there is none.
pub(super) async fn ask(
    asker: &Asker<'_>,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &Request<'_>,
) -> Result<(Head, Vec<u8>), Verdict> {
    let sent = stream.write_all(&request.octets()).await;
    let flushed = if sent.is_ok() { stream.flush().await } else { sent };
    flushed.map_err(|error| asker.broke(&error))?;
    let mut heard = Vec::new();
    loop {
        let octets = match asker.read(stream).await {
            Ok(octets) => octets,
            // What came before the stream broke is more telling than the break.
            Err(_) if !heard.is_empty() => return Err(Verdict::wrong_protocol(&heard)),
            Err(verdict) => return Err(verdict),
        };
        heard.extend_from_slice(&octets);
        match message::head(&heard) {
            Ok(Some(head)) => return Ok((head, heard)),
            Ok(None) if octets.is_empty() => return Err(Verdict::wrong_protocol(&heard)),
            Ok(None) => {}
            Err(_) => return Err(Verdict::wrong_protocol(&heard)),
        }
    }
}

/// The same with the whole body.
///
/// # Errors
/// What it means for the row that there is none.
pub(super) async fn fetch(
    asker: &Asker<'_>,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &Request<'_>,
) -> Result<Answer, Verdict> {
    let (head, mut heard) = ask(asker, stream, request).await?;
    let mut is_end = false;
    loop {
        match head.body(&heard, is_end) {
            Ok(Some(body)) => return Ok(Answer { head, body }),
            Ok(None) if heard.len() < LIST_OCTETS_MAX && !is_end => {}
            _ => {
                let heard =
                    format!("an answer that breaks off or is above {LIST_OCTETS_MAX} octets");
                return Err(Verdict::WrongProtocol { heard });
            }
        }
        let octets = asker.read(stream).await?;
        is_end = octets.is_empty();
        heard.extend_from_slice(&octets);
    }
}

/// What an answer says of whoever gave it.
pub(super) fn notes(head: &Head) -> Vec<String> {
    let mut notes = vec![format!("HTTP status {}", head.status)];
    for field in ["server", "via"] {
        notes.extend(head.value(field).map(|value| format!("{field} {}", shown(value))));
    }
    notes
}

/// The schemes by which a server or a proxy wants to know who asks (RFC 9110 section 11.3): the first
/// word of each of its fields.
pub(super) fn schemes(head: &Head, field: &str) -> Vec<String> {
    let first = |value: &str| value.split_whitespace().next().map(shown);
    head.values(field).filter_map(first).collect()
}

/// Whether `portolan chart respond` answers.
pub(super) fn is_stand_in(head: &Head) -> bool {
    head.value("server").is_some_and(|server| mark::is_in(server.as_bytes()))
}

/// A page of somebody between the ends, in place of the peer's: a portal that wants a login first
/// ([RFC 6585 section 6], [RFC 8910]), or a filter's refusal.
///
/// [RFC 6585 section 6]: https://www.rfc-editor.org/rfc/rfc6585#section-6
/// [RFC 8910]: https://www.rfc-editor.org/rfc/rfc8910
pub(super) fn blocked(head: &Head, asked: &Peer) -> Option<Verdict> {
    let (status, hint) = (head.status, "let the filter on the way pass this host on");
    let away = head.value("location").and_then(|location| elsewhere(location, asked));
    let filter = FILTERS.iter().find_map(|(field, word, name)| {
        let value = head.value(field)?.to_ascii_lowercase();
        value.contains(word).then_some(*name)
    });
    let text = match (status, away, filter) {
        (511, ..) => "a portal on the way wants a login first (HTTP status 511)".to_owned(),
        (403 | 451 | 502 | 503, _, Some(name)) | (300..=399, Some(_), Some(name)) => {
            format!("{name} on the way answers in the peer's place (HTTP status {status})")
        }
        _ => return None,
    };
    Some(Verdict::faulty(DefectKind::Interception, text, hint))
}

/// Fields by which filters and their pages are known, with a word of the value in small letters.
const FILTERS: [(&str, &str, &str); 9] = [
    ("server", "squid", "Squid"),
    ("via", "squid", "Squid"),
    ("via", "tinyproxy", "tinyproxy"),
    ("server", "zscaler", "Zscaler"),
    ("server", "bluecoat", "a Blue Coat proxy"),
    ("via", "bluecoat", "a Blue Coat proxy"),
    ("server", "mwg", "a web gateway"),
    ("server", "fortigate", "FortiGate"),
    ("server", "cisco-wsa", "a Cisco web appliance"),
];

/// The host of a location that is another one than was asked.
fn elsewhere(location: &str, asked: &Peer) -> Option<String> {
    let uri: http::Uri = location.parse().ok()?;
    let host = uri.host()?;
    (!host.eq_ignore_ascii_case(&asked.to_string())).then(|| host.to_owned())
}

/// Asks for a path and takes any answer of HTTP that is the peer's own.
pub(super) async fn probe(asker: &Asker<'_>) -> Outcome {
    let mut connection = match asker.connect().await {
        Ok(connection) => connection,
        Err(verdict) => return verdict.into(),
    };
    let path = path(asker);
    let request = Request::get(path, host(asker));
    match ask(asker, &mut connection.stream, &request).await {
        Ok((head, _)) => judge(&head, path, asker.peer()),
        Err(verdict) => verdict.into(),
    }
}

/// Between federation servers and their load balancers, 80 is the liveness probe's.
fn path(asker: &Asker<'_>) -> &'static str {
    use portolan_chart::Role;
    let farm = [Role::Federation, Role::Proxy, Role::FederationAndProxy];
    if farm.contains(&asker.row().to) { FARM_PROBE } else { "/" }
}

/// Where AD FS answers that it is alive, with status 200.
const FARM_PROBE: &str = "/adfs/probe";

fn judge(head: &Head, path: &str, peer: &Peer) -> Outcome {
    let verdict = match blocked(head, peer) {
        Some(verdict) => verdict,
        None if path == FARM_PROBE && head.status != 200 => Verdict::faulty(
            DefectKind::Unavailable,
            format!("{FARM_PROBE} answers with status {}, and 200 is expected", head.status),
            "look whether the federation service runs on that host",
        ),
        None => Verdict::Open,
    };
    Outcome::new(verdict, notes(head), is_stand_in(head))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: &str, path: &str, expected: &str) {
        let head = message::head(answer.as_bytes()).unwrap().unwrap();
        let peer = "login.tenant.example".parse().unwrap();
        assert_eq!(judge(&head, path, &peer).verdict.name(), expected, "{answer}");
    }

    #[test]
    fn a_page_of_somebody_in_between_is_no_answer_of_the_peer() {
        check("HTTP/1.1 404 No\r\n\r\n", "/", "open");
        check("HTTP/1.1 301 M\r\nLocation: https://login.tenant.example/\r\n\r\n", "/", "open");
        check("HTTP/1.1 403 No\r\nServer: nginx\r\n\r\n", "/", "open");
        check("HTTP/1.1 511 Login\r\n\r\n", "/", "faulty");
        check("HTTP/1.1 403 No\r\nVia: 1.1 gw (squid/5.7)\r\n\r\n", "/", "faulty");
        check(
            "HTTP/1.1 307 T\r\nServer: Zscaler/6.1\r\nLocation: https://gw.zs.example/\r\n\r\n",
            "/",
            "faulty",
        );
        check("HTTP/1.1 200 OK\r\n\r\n", FARM_PROBE, "open");
        check("HTTP/1.1 503 No\r\n\r\n", FARM_PROBE, "faulty");
    }
}
