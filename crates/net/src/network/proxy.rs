//! A web proxy on the way to the tenant: TLS through a tunnel ([RFC 9110 section 9.3.6]), plain HTTP by
//! requests in absolute form ([RFC 9112 section 3.2.2]).
//!
//! Only connections to the tenant go by it; the forest is always reached directly. The tenant's name
//! is resolved by the proxy.
//!
//! [RFC 9110 section 9.3.6]: https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6
//! [RFC 9112 section 3.2.2]: https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use ::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portolan_chart::{Flow, Role, Row, Transport, flow};
use portolan_model::{Hint, SecretString};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use super::dial::Connection;
use super::fault::{DialError, Fault, within};
use super::{Network, Peer};

/// Octets of the head of a proxy's answer.
const HEAD_OCTETS_MAX: usize = 16 * 1024;
/// Fields in it.
const FIELDS_MAX: usize = 64;
/// Octets that are read at once.
const READ_OCTETS: usize = 1024;

/// A web proxy: where it is, and how it knows this host.
#[derive(Clone)]
pub struct Proxy {
    peer: Peer,
    port: NonZeroU16,
    credentials: Option<SecretString>,
}

/// A text that is no proxy's URL. What stands before an `@` in it is not kept: it may be a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no proxy: http://HOST:PORT is expected, without a name or a path")]
pub struct InvalidProxy(String);

impl InvalidProxy {
    fn of(text: &str) -> Self {
        Self(text.rsplit_once('@').map_or_else(|| text.to_owned(), |(_, rest)| format!("…@{rest}")))
    }
}

impl FromStr for Proxy {
    type Err = InvalidProxy;

    fn from_str(text: &str) -> Result<Self, InvalidProxy> {
        let refuse = || InvalidProxy::of(text);
        let rest = text.strip_prefix("http://").ok_or_else(refuse)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = rest.rsplit_once(':').ok_or_else(refuse)?;
        let peer = host.parse().map_err(|_| refuse())?;
        // An IPv6 address stands in brackets, or its last group would pass for the port.
        if host.contains(':') && !host.starts_with('[') {
            return Err(refuse());
        }
        Ok(Self { peer, port: port.parse().map_err(|_| refuse())?, credentials: None })
    }
}

impl Proxy {
    /// With a name and a password, `name:password`, for the Basic scheme ([RFC 7617]).
    ///
    /// [RFC 7617]: https://www.rfc-editor.org/rfc/rfc7617
    #[must_use]
    pub fn with_credentials(mut self, credentials: SecretString) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// The port, which takes the place of the row's own.
    #[must_use]
    pub const fn port(&self) -> NonZeroU16 {
        self.port
    }

    /// The value of Proxy-Authorization, which does not print.
    pub(crate) fn authorization(&self) -> Option<HeaderValue> {
        let credentials = self.credentials.as_ref()?;
        let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(credentials.expose())));
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}", self.peer.in_url(), self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

/// What a proxy did in place of passing on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyFault {
    /// It was not reached.
    #[error("{0}")]
    Unreachable(DialError),
    /// It broke off before it answered.
    #[error("the proxy {0}")]
    Broken(Fault),
    /// It wants to know who asks (status 407).
    #[error("the proxy wants a name and a password, or other ones (407)")]
    Unauthenticated,
    /// It does not let this pass (status 403).
    #[error("the proxy forbids it (403)")]
    Forbidden,
    /// It did not reach the peer itself (status 502, 503 or 504).
    #[error("the proxy does not reach the peer ({0})")]
    Gateway(u16),
    /// Any other status.
    #[error("the proxy answers with status {0}")]
    Status(u16),
    /// What came is no answer to CONNECT.
    #[error("what the proxy sent is no answer to CONNECT")]
    Malformed,
}

impl ProxyFault {
    /// What a status other than a success means.
    pub(crate) const fn of_status(status: u16) -> Self {
        match status {
            407 => Self::Unauthenticated,
            403 => Self::Forbidden,
            502..=504 => Self::Gateway(status),
            other => Self::Status(other),
        }
    }
}

impl Hint for ProxyFault {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Unreachable(error) => return error.hint(),
            Self::Unauthenticated => {
                "write name:password into the file of tenant.proxy_credentials_file, mode 0600"
            }
            Self::Forbidden => {
                "let the proxy's rules allow CONNECT to the tenant's hosts and ports"
            }
            Self::Gateway(_) => {
                "look whether the proxy resolves the tenant's names and may reach it"
            }
            Self::Broken(_) | Self::Status(_) | Self::Malformed => {
                "look whether a web proxy listens there, and at its log"
            }
        };
        Some(hint.to_owned())
    }
}

/// The status of a proxy's answer to CONNECT; nothing until its head is whole.
///
/// # Errors
/// [`ProxyFault::Malformed`] when it is none, is above the limits, or a success is followed by
/// something: the peer behind the tunnel does not speak first.
pub fn connect_status(octets: &[u8]) -> Result<Option<u16>, ProxyFault> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    match response.parse(octets) {
        Ok(httparse::Status::Complete(length)) => {
            let status = response.code.ok_or(ProxyFault::Malformed)?;
            if (200..300).contains(&status) && length < octets.len() {
                return Err(ProxyFault::Malformed);
            }
            Ok(Some(status))
        }
        Ok(httparse::Status::Partial) if octets.len() < HEAD_OCTETS_MAX => Ok(None),
        _ => Err(ProxyFault::Malformed),
    }
}

impl Network {
    /// The proxy by which a row's connections go, if they do.
    pub(super) fn proxy_of(&self, row: &Row) -> Option<&Proxy> {
        self.inner.proxy.as_ref().filter(|_| row.to == Role::Tenant)
    }

    /// A connection to the proxy itself, for requests in absolute form; nothing where the flow's connections are direct.
    pub(crate) async fn dial_proxy(
        &self,
        flow: Flow,
        peer: &Peer,
    ) -> Result<Option<Connection>, DialError> {
        let row = self.row(flow, peer, Transport::Tcp)?;
        match self.proxy_of(row) {
            Some(proxy) => self.to_proxy(proxy, row, peer).await.map(Some),
            None => Ok(None),
        }
    }

    /// Whether a flow's connections go by the proxy.
    pub(crate) fn is_proxied(&self, flow: Flow) -> bool {
        self.inner.chart.row(flow).is_ok_and(|row| self.proxy_of(row).is_some())
    }

    /// What the proxy is told about who asks.
    pub(crate) fn proxy_authorization(&self) -> Option<HeaderValue> {
        self.inner.proxy.as_ref()?.authorization()
    }

    /// A tunnel through the proxy to a peer on a row's port.
    pub(super) async fn tunnel(
        &self,
        proxy: &Proxy,
        row: &Row,
        peer: &Peer,
        port: u16,
    ) -> Result<Connection, DialError> {
        let Connection { mut stream, link } = self.to_proxy(proxy, row, peer).await?;
        let asked = ask(&mut stream, proxy, peer, port);
        let fault = match within(self.inner.limits.total_time_max, asked).await {
            Ok(Ok(())) => return Ok(Connection { stream, link }),
            Ok(Err(fault)) => fault,
            Err(fault) => ProxyFault::Broken(fault),
        };
        Err(DialError { link, fault: Fault::Proxy(Box::new(fault)) })
    }

    async fn to_proxy(
        &self,
        proxy: &Proxy,
        row: &Row,
        peer: &Peer,
    ) -> Result<Connection, DialError> {
        let mut link = self.link(peer, row, row.first_port(), Transport::Tcp);
        link.row = format!("{} by {proxy}", link.row);
        match Box::pin(self.dial(flow::CONNECT_WEB_PROXY, &proxy.peer)).await {
            Ok(Connection { stream, .. }) => Ok(Connection { stream, link }),
            Err(error) => {
                let fault = Fault::Proxy(Box::new(ProxyFault::Unreachable(error)));
                Err(DialError { link, fault })
            }
        }
    }
}

/// CONNECT, and the head of the answer. The outer result is the connection's.
async fn ask(
    stream: &mut TcpStream,
    proxy: &Proxy,
    peer: &Peer,
    port: u16,
) -> std::io::Result<Result<(), ProxyFault>> {
    let target = format!("{}:{port}", peer.in_url());
    let mut request =
        Zeroizing::new(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes());
    if let Some(value) = proxy.authorization() {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(value.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await?;
    let mut head = Vec::new();
    let mut arrived = [0; READ_OCTETS];
    loop {
        let count = stream.read(&mut arrived).await?;
        if count == 0 {
            return Ok(Err(ProxyFault::Broken(Fault::Reset)));
        }
        head.extend_from_slice(arrived.get(..count).unwrap_or_default());
        match connect_status(&head) {
            Ok(None) => {}
            Ok(Some(200..300)) => return Ok(Ok(())),
            Ok(Some(status)) => return Ok(Err(ProxyFault::of_status(status))),
            Err(fault) => return Ok(Err(fault)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_a_host_and_a_port_and_nothing_else() {
        for text in ["http://proxy.corp.example:1080", "http://10.0.0.1:1", "http://[::1]:1"] {
            assert_eq!(text.parse::<Proxy>().unwrap().to_string(), text);
        }
        for text in [
            "proxy.corp.example:1080",
            "https://proxy.corp.example:1080",
            "http://proxy.corp.example",
            "http://name:word@proxy.corp.example:1080",
            "http://proxy.corp.example:1080/path",
            "http://proxy.corp.example:0",
            "http://::1:1",
        ] {
            assert!(text.parse::<Proxy>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_answer_is_taken_when_its_head_is_whole() {
        let check = |octets: &[u8], expected| assert_eq!(connect_status(octets), expected);
        check(b"", Ok(None));
        check(b"HTTP/1.1 200 Connection establ", Ok(None));
        check(b"HTTP/1.1 200 Connection established\r\n\r\n", Ok(Some(200)));
        check(b"HTTP/1.0 407 Who\r\nProxy-Authenticate: Basic\r\n\r\n<html>", Ok(Some(407)));
        check(b"HTTP/1.1 200 OK\r\n\r\nI speak first", Err(ProxyFault::Malformed));
        check(b"SSH-2.0-OpenSSH\r\n", Err(ProxyFault::Malformed));
        check(&[b'a'; HEAD_OCTETS_MAX], Err(ProxyFault::Malformed));
        let endless = [b"HTTP/1.1 200 OK\r\nA: ".as_slice(), &[b'a'; HEAD_OCTETS_MAX]].concat();
        check(&endless, Err(ProxyFault::Malformed));
    }

    #[test]
    fn credentials_do_not_print() {
        let refused = "http://name:w@rd@proxy.corp.example:1080".parse::<Proxy>().unwrap_err();
        assert!(refused.to_string().starts_with("\"…@proxy.corp.example:1080\" is no proxy"));
        assert!(!format!("{refused:?}").contains("name"));
        let proxy: Proxy = "http://proxy:1".parse().unwrap();
        let proxy = proxy.with_credentials(SecretString::new("name:word".to_owned()));
        assert_eq!(format!("{proxy:?}"), "Proxy(http://proxy:1)");
        let value = proxy.authorization().unwrap();
        // RFC 4648: "name:word" in base64.
        assert_eq!(value.as_bytes(), b"Basic bmFtZTp3b3Jk");
        assert_eq!(format!("{value:?}"), "Sensitive");
    }
}
