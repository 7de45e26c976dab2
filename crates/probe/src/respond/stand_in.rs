//! Who is stood in for: the names, the ports and the revocation list that answers tell of.

use std::collections::BTreeMap;
use std::net::IpAddr;

use portolan_chart::Speaks;
use portolan_model::{DistinguishedName, DnsName, Guid};

/// What the answers say of the host that is stood in for.
#[derive(Debug)]
pub(super) struct StandIn {
    /// The forest; none where the role has no part in one.
    pub(super) forest: Option<DnsName>,
    /// The host's names, its own first. There is at least one.
    pub(super) names: Vec<DnsName>,
    /// Its addresses, as far as they were given; the one that a peer has reached need not be among them.
    pub(super) addresses: Vec<IpAddr>,
    /// The GUID of the forest's domain.
    pub(super) domain_guid: Guid,
    /// The port on which each protocol is spoken here.
    pub(super) ports: BTreeMap<Speaks, u16>,
    /// The revocation list of the throw-away authority, in DER.
    pub(super) revocation_list: Vec<u8>,
    /// Random octets where a protocol wants some.
    pub(super) salt: [u8; 32],
}

impl StandIn {
    /// The host's own name.
    pub(super) fn host(&self) -> &str {
        self.names.first().map_or("localhost", DnsName::as_str)
    }

    /// The host's first label.
    pub(super) fn computer(&self) -> &str {
        self.host().split('.').next().unwrap_or_default()
    }

    /// The forest's name, empty where there is none.
    pub(super) fn forest(&self) -> &str {
        self.forest.as_ref().map_or("", DnsName::as_str)
    }

    /// The Kerberos realm: the forest in capitals.
    pub(super) fn realm(&self) -> String {
        self.forest().to_ascii_uppercase()
    }

    /// The distinguished name of the forest's root.
    pub(super) fn root(&self) -> String {
        self.forest
            .as_ref()
            .map(|forest| DistinguishedName::of_domain(forest).as_str().to_owned())
            .unwrap_or_default()
    }

    /// The port on which a protocol is spoken here.
    pub(super) fn port_of(&self, speaks: Speaks) -> Option<u16> {
        self.ports.get(&speaks).copied()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A domain controller's.
    pub(crate) fn stand_in() -> StandIn {
        StandIn {
            forest: Some("corp.example".parse().unwrap()),
            names: vec!["dc1.corp.example".parse().unwrap()],
            addresses: vec!["2001:db8::1".parse().unwrap()],
            domain_guid: Guid::from_bytes_le([7; 16]),
            ports: [
                (Speaks::Dns, 1),
                (Speaks::Kerberos, 2),
                (Speaks::Ldap, 3),
                (Speaks::Rpc, 50_001),
            ]
            .into(),
            revocation_list: b"a list".to_vec(),
            salt: [9; 32],
        }
    }
}
