//! What is really spoken on a row, whatever the page calls it.

use std::fmt;
use std::str::FromStr;

/// The protocol whose opening exchange proves a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Speaks {
    /// DNS, [RFC 1035](https://www.rfc-editor.org/rfc/rfc1035).
    Dns,
    /// Kerberos to the KDC, [RFC 4120 section 7.2](https://www.rfc-editor.org/rfc/rfc4120#section-7.2).
    Kerberos,
    /// Setting passwords, [RFC 3244](https://www.rfc-editor.org/rfc/rfc3244).
    Kpasswd,
    /// The endpoint mapper of DCE/RPC, C706 and MS-RPCE section 2.2.1.2.
    EndpointMapper,
    /// DCE/RPC on a port that the endpoint mapper names: DRSUAPI, LSARPC, SAMR, NETLOGON.
    Rpc,
    /// LDAP over TCP, and its connectionless ping over UDP (MS-ADTS section 6.3.3).
    Ldap,
    /// LDAP inside TLS.
    Ldaps,
    /// LDAP to the global catalogue.
    GlobalCatalog,
    /// LDAP to the global catalogue inside TLS.
    GlobalCatalogTls,
    /// SMB 2, MS-SMB2.
    Smb,
    /// WS-Management over HTTP, MS-WSMV.
    Winrm,
    /// Active Directory Web Services: .NET message framing, MC-NMF and MS-NNS.
    Adws,
    /// Revocation lists over HTTP, [RFC 5280](https://www.rfc-editor.org/rfc/rfc5280).
    Crl,
    /// The certificate status protocol over HTTP, [RFC 6960](https://www.rfc-editor.org/rfc/rfc6960).
    Ocsp,
    /// HTTP in clear for anything else.
    Http,
    /// HTTP inside TLS.
    Https,
    /// HTTP inside TLS, where the server asks for the person's certificate.
    HttpsClientCertificate,
    /// A proxy's own protocol towards its federation server, MS-ADFSPIP, over HTTPS.
    Adfspip,
    /// AMQP 1.0 inside TLS, or inside a WebSocket on an HTTPS port.
    Amqp,
    /// The one-way relay of the tenant's bus, inside TLS.
    Relay,
    /// A web proxy, [RFC 9110 section 9.3.6](https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6).
    WebProxy,
    /// Time, [RFC 5905](https://www.rfc-editor.org/rfc/rfc5905).
    Ntp,
    /// SQL Server's own protocol, MS-TDS.
    Tds,
}

const NAMES: [(Speaks, &str); 23] = [
    (Speaks::Dns, "dns"),
    (Speaks::Kerberos, "kerberos"),
    (Speaks::Kpasswd, "kpasswd"),
    (Speaks::EndpointMapper, "epm"),
    (Speaks::Rpc, "rpc"),
    (Speaks::Ldap, "ldap"),
    (Speaks::Ldaps, "ldaps"),
    (Speaks::GlobalCatalog, "gc"),
    (Speaks::GlobalCatalogTls, "gc-tls"),
    (Speaks::Smb, "smb"),
    (Speaks::Winrm, "winrm"),
    (Speaks::Adws, "adws"),
    (Speaks::Crl, "crl"),
    (Speaks::Ocsp, "ocsp"),
    (Speaks::Http, "http"),
    (Speaks::Https, "https"),
    (Speaks::HttpsClientCertificate, "https-client-certificate"),
    (Speaks::Adfspip, "adfspip"),
    (Speaks::Amqp, "amqp"),
    (Speaks::Relay, "relay"),
    (Speaks::WebProxy, "web-proxy"),
    (Speaks::Ntp, "ntp"),
    (Speaks::Tds, "tds"),
];

impl Speaks {
    /// Every protocol.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(speaks, _)| *speaks)
    }

    /// As data files and commands write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(speaks, _)| *speaks == self).map_or("", |(_, name)| name)
    }
}

impl fmt::Display for Speaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text that names no protocol of the chart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no protocol of the chart")]
pub struct UnknownProtocol(String);

impl FromStr for Speaks {
    type Err = UnknownProtocol;

    fn from_str(text: &str) -> Result<Self, UnknownProtocol> {
        let named = NAMES.iter().find(|(_, name)| *name == text);
        named.map(|(speaks, _)| *speaks).ok_or_else(|| UnknownProtocol(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protocol_parses_from_its_name() {
        for speaks in Speaks::all() {
            assert_eq!(speaks.name().parse(), Ok(speaks));
        }
        assert_eq!(
            "ladp".parse::<Speaks>().unwrap_err().to_string(),
            "\"ladp\" is no protocol of the chart"
        );
    }
}
