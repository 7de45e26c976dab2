//! HTTP/1.1 ([RFC 9112]): one request a connection, and an answer that fits any row that speaks it.
//!
//! Revocation lists, the certificate status protocol, WS-Management's Identify (DSP0226 section 11), an
//! upgrade to a WebSocket with AMQP inside, and CONNECT where the row is a web proxy's: that is granted, and
//! the connection ends there. Nothing is ever fetched or passed on, and no authentication is asked for; the
//! endpoints that a federation server has for its proxies are refused to everybody.
//!
//! [RFC 9112]: https://www.rfc-editor.org/rfc/rfc9112

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portolan_chart::Speaks;
use portolan_legacy_crypto::websocket;

use super::opening::{Answer, Opening, Scene, Step};
use super::websocket::WebSocket;
use crate::mark;

/// Octets of a request's head, and of its body.
const HEAD_OCTETS_MAX: usize = 16 * 1024;
const BODY_OCTETS_MAX: usize = 32 * 1024;
/// Fields of a head.
const FIELDS_MAX: usize = 64;
/// The names that AMQP has inside a WebSocket: registered (AMQP WebSocket binding section 2.2), and the one of
/// the older bus.
const SUBPROTOCOLS: [&str; 2] = ["amqp", "AMQPWSB10"];
/// OCSPResponse (RFC 6960 section 4.2.1) with nothing but the status tryLater, which needs no signature.
const TRY_LATER: [u8; 5] = [0x30, 3, 0x0a, 1, 3];
/// The element that asks for the identity (DSP0226 section 11), and its namespace.
const IDENTIFY: &[u8] = b"Identify";
const IDENTITY: &str = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd";
const MANAGEMENT: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd";
/// Where a federation server has the endpoints of its proxies, their configuration's among them (MS-ADFSPIP
/// section 3.4.5.1).
const PROXY_ENDPOINTS: &str = "/adfs/proxy/";
const ENVELOPE: &str = "http://www.w3.org/2003/05/soap-envelope";

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Http {
    /// Whether the row is a web proxy's.
    pub(super) is_proxy: bool,
    /// Once the connection is a WebSocket.
    pub(super) upgraded: Option<WebSocket>,
}

impl Opening for Http {
    fn hear(&mut self, heard: &[u8], scene: &Scene<'_>) -> Step {
        if let Some(socket) = &mut self.upgraded {
            return socket.hear(heard, scene);
        }
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut request = httparse::Request::new(&mut fields);
        let head = match request.parse(heard) {
            Ok(httparse::Status::Complete(octets)) => octets,
            Ok(httparse::Status::Partial) if heard.len() < HEAD_OCTETS_MAX => return Step::More,
            _ => return Step::Foreign,
        };
        let (Some(method), Some(target)) = (request.method, request.path) else {
            return Step::Foreign;
        };
        let asked = format!("{method} {target}");
        let request = Request { method, target, fields: request.headers };
        let length = match request.field("content-length").map(str::parse) {
            None if request.field("transfer-encoding").is_some() => {
                return Answer::last(head, text("411 Length Required"), asked).into();
            }
            None => 0,
            Some(Ok(length)) if length <= BODY_OCTETS_MAX => length,
            Some(_) => return Answer::last(head, text("413 Content Too Large"), asked).into(),
        };
        let Some(body) = heard.get(head..head + length) else { return Step::More };
        let taken = head + length;
        if let Some(octets) = request.upgrade() {
            self.upgraded = Some(WebSocket::default());
            return Answer::new(taken, octets, format!("{asked} by WebSocket")).into();
        }
        Answer::last(taken, self.answer(&request, body, scene), asked).into()
    }
}

impl Http {
    fn answer(&self, request: &Request<'_>, body: &[u8], scene: &Scene<'_>) -> Vec<u8> {
        let path = request.target.split('?').next().unwrap_or_default();
        let kind = request.field("content-type").unwrap_or_default();
        let has_identify = || body.windows(IDENTIFY.len()).any(|window| window == IDENTIFY);
        let is_federation = scene.stand_in.port_of(Speaks::Adfspip).is_some();
        match request.method {
            "CONNECT" if self.is_proxy => {
                let server = mark::TEXT;
                format!("HTTP/1.1 200 Connection established\r\nServer: {server}\r\n\r\n").into()
            }
            "CONNECT" => text("405 Method Not Allowed"),
            _ if self.is_proxy && !path.starts_with('/') => text("502 Bad Gateway"),
            // They are for who presents a proxy's certificate, which has no scheme of HTTP to be named.
            _ if path.starts_with(PROXY_ENDPOINTS) && is_federation => text("401 Unauthorized"),
            "GET" if path.ends_with(".crl") => {
                response("200 OK", "application/pkix-crl", &scene.stand_in.revocation_list)
            }
            "POST" if kind.starts_with("application/ocsp-request") => {
                response("200 OK", "application/ocsp-response", &TRY_LATER)
            }
            "POST" if has_identify() => {
                response("200 OK", "application/soap+xml;charset=UTF-8", identity().as_bytes())
            }
            "GET" => text("200 OK"),
            "HEAD" => head("200 OK", "text/plain", 0).into(),
            _ => text("403 Forbidden"),
        }
    }
}

struct Request<'a> {
    method: &'a str,
    target: &'a str,
    fields: &'a [httparse::Header<'a>],
}

impl Request<'_> {
    fn field(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(field.value).ok().map(str::trim)
    }

    /// The answer that makes the connection a WebSocket (RFC 6455 section 4.2.2).
    fn upgrade(&self) -> Option<Vec<u8>> {
        let is_asked = self.field("upgrade").is_some_and(|it| it.eq_ignore_ascii_case("websocket"));
        let key = self.field("sec-websocket-key").filter(|_| is_asked && self.method == "GET")?;
        let accept = STANDARD.encode(websocket::accept(key.as_bytes()));
        let offered = self.field("sec-websocket-protocol").unwrap_or_default();
        let chosen = offered
            .split(',')
            .map(str::trim)
            .find(|name| SUBPROTOCOLS.iter().any(|known| known.eq_ignore_ascii_case(name)));
        let chosen =
            chosen.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n")).unwrap_or_default();
        let server = mark::TEXT;
        let text = format!(
            "HTTP/1.1 101 Switching Protocols\r\nServer: {server}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n{chosen}\r\n"
        );
        Some(text.into())
    }
}

fn head(status: &str, kind: &str, length: usize) -> String {
    let server = mark::TEXT;
    format!(
        "HTTP/1.1 {status}\r\nServer: {server}\r\nContent-Type: {kind}\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n"
    )
}

fn response(status: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let mut octets: Vec<u8> = head(status, kind, body.len()).into();
    octets.extend(body);
    octets
}

fn text(status: &str) -> Vec<u8> {
    response(status, "text/plain", format!("{}\n", mark::TEXT).as_bytes())
}

fn identity() -> String {
    let (vendor, version) = (mark::TEXT, env!("CARGO_PKG_VERSION"));
    format!(
        "<s:Envelope xmlns:s=\"{ENVELOPE}\"><s:Header/><s:Body>\
         <wsmid:IdentifyResponse xmlns:wsmid=\"{IDENTITY}\">\
         <wsmid:ProtocolVersion>{MANAGEMENT}</wsmid:ProtocolVersion>\
         <wsmid:ProductVendor>{vendor}</wsmid:ProductVendor>\
         <wsmid:ProductVersion>{version}</wsmid:ProductVersion>\
         </wsmid:IdentifyResponse></s:Body></s:Envelope>"
    )
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::super::stand_in::{StandIn, tests::stand_in};
    use super::*;

    fn hear(http: &mut Http, heard: &[u8]) -> Step {
        let (stand_in, now) = (stand_in(), OffsetDateTime::UNIX_EPOCH);
        let here = [192, 0, 2, 1].into();
        http.hear(heard, &Scene { stand_in: &stand_in, here, port: 1, is_private: false, now })
    }

    fn said(is_proxy: bool, request: &str) -> String {
        let mut http = Http { is_proxy, upgraded: None };
        let Step::Answer(answer) = hear(&mut http, request.as_bytes()) else { panic!("{request}") };
        assert_eq!(answer.taken, request.len());
        assert!(mark::is_in(&answer.octets));
        String::from_utf8(answer.octets).unwrap()
    }

    #[test]
    fn each_kind_of_request_has_its_answer() {
        let first = |is_proxy, request: &str| {
            said(is_proxy, request).lines().next().unwrap_or_default().to_owned()
        };
        assert!(said(false, "GET /any.crl HTTP/1.1\r\n\r\n").ends_with("\r\n\r\na list"));
        assert_eq!(first(false, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "HTTP/1.1 200 OK");
        let identify = "POST /wsman HTTP/1.1\r\nContent-Length: 16\r\n\r\n<wsmid:Identify>";
        assert!(said(false, identify).contains("<wsmid:IdentifyResponse"));
        let shell = "POST /wsman HTTP/1.1\r\nContent-Length: 7\r\n\r\n<Shell>";
        assert_eq!(first(false, shell), "HTTP/1.1 403 Forbidden");
        assert_eq!(first(false, "PUT / HTTP/1.1\r\n\r\n"), "HTTP/1.1 403 Forbidden");
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(first(false, chunked), "HTTP/1.1 411 Length Required");
    }

    #[test]
    fn a_federation_server_alone_refuses_who_is_no_proxy() {
        let request = b"GET /adfs/proxy/GetConfiguration?api-version=1 HTTP/1.1\r\n\r\n";
        let mut stand_in = stand_in();
        let said = |stand_in: &StandIn| {
            let (here, now) = ([192, 0, 2, 1].into(), OffsetDateTime::UNIX_EPOCH);
            let scene = Scene { stand_in, here, port: 1, is_private: true, now };
            let Step::Answer(answer) = Http::default().hear(request, &scene) else { panic!() };
            String::from_utf8(answer.octets).unwrap()
        };
        assert!(said(&stand_in).starts_with("HTTP/1.1 200 "));
        stand_in.ports.insert(Speaks::Adfspip, 1);
        assert!(said(&stand_in).starts_with("HTTP/1.1 401 "));
    }

    #[test]
    fn a_tunnel_is_granted_by_a_proxy_alone_and_ends_at_once() {
        let request = b"CONNECT tenant.example:1 HTTP/1.1\r\n\r\n";
        let Step::Answer(answer) = hear(&mut Http { is_proxy: true, upgraded: None }, request)
        else {
            panic!()
        };
        assert!(answer.ends && answer.octets.starts_with(b"HTTP/1.1 200 "));
        assert!(said(false, "CONNECT a:1 HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
        let elsewhere = "GET http://elsewhere.example/a.crl HTTP/1.1\r\n\r\n";
        assert!(said(true, elsewhere).starts_with("HTTP/1.1 502 "));
    }

    #[test]
    fn an_upgrade_is_proven_with_the_specification_s_key() {
        let request = "GET /$servicebus/websocket HTTP/1.1\r\nUpgrade: websocket\r\n\
                       Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                       Sec-WebSocket-Protocol: other, amqp\r\n\r\n";
        let said = said(false, request);
        assert!(said.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(said.contains("Sec-WebSocket-Protocol: amqp\r\n"));
    }

    #[test]
    fn what_is_cut_waits_and_what_is_foreign_or_endless_ends() {
        let whole = b"POST /wsman HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
        for end in 0..whole.len() {
            assert_eq!(hear(&mut Http::default(), &whole[..end]), Step::More, "{end}");
        }
        assert_eq!(hear(&mut Http::default(), b"\x16\x03\x01\x02\x00"), Step::Foreign);
        let mut endless = b"GET / HTTP/1.1\r\nA: ".to_vec();
        endless.resize(HEAD_OCTETS_MAX, b'a');
        assert_eq!(hear(&mut Http::default(), &endless), Step::Foreign);
    }
}
