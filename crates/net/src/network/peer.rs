//! Whom to reach: a name to be resolved, or an address as it stands.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use portolan_model::{DnsName, InvalidName};

/// A host to connect to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// By name: its A and AAAA records are tried.
    Name(DnsName),
    /// By address.
    Address(IpAddr),
}

impl Peer {
    /// As it stands in a URL: an IPv6 address in brackets.
    pub(crate) fn in_url(&self) -> String {
        match self {
            Self::Address(IpAddr::V6(address)) => format!("[{address}]"),
            other => other.to_string(),
        }
    }
}

impl FromStr for Peer {
    type Err = InvalidName;

    /// An address (an IPv6 one also in brackets, as in a URL) or a name.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        if let Some(address) = bare.and_then(|bare| bare.parse::<Ipv6Addr>().ok()) {
            return Ok(Self::Address(address.into()));
        }
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(Self::Address(address)),
            Err(_) => text.parse().map(Self::Name),
        }
    }
}

impl From<DnsName> for Peer {
    /// A name whose letters form an IPv4 address is that address.
    fn from(name: DnsName) -> Self {
        name.as_str().parse().map_or(Self::Name(name), Self::Address)
    }
}

impl From<&DnsName> for Peer {
    fn from(name: &DnsName) -> Self {
        name.clone().into()
    }
}

impl From<&Self> for Peer {
    fn from(peer: &Self) -> Self {
        peer.clone()
    }
}

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_names() {
        let parse = |text: &str| text.parse::<Peer>().unwrap();
        assert_eq!(parse("10.0.0.1"), Peer::Address([10, 0, 0, 1].into()));
        assert_eq!(parse("[::1]"), Peer::Address(Ipv6Addr::LOCALHOST.into()));
        assert_eq!(parse("::1"), parse("[::1]"));
        assert_eq!(Peer::from("10.0.0.1".parse::<DnsName>().unwrap()), parse("10.0.0.1"));
        assert_eq!(parse("DC1.corp.example").to_string(), "dc1.corp.example");
    }
}
