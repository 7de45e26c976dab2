//! Finding the domain controllers of a domain, by their service records.
//!
//! Every writable or read-only controller publishes itself under `_ldap._tcp.dc._msdcs`
//! ([MS-ADTS section 6.3.2.3]). The records give hosts and their order; the port is the chart's.
//!
//! [MS-ADTS section 6.3.2.3]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts

use portolan_model::{DnsName, Entropy, InvalidName, Realm};

use crate::network::{DialError, Network, Service};

/// A domain controller: where it is, and whose.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DomainController {
    /// Its host name.
    pub host: DnsName,
    /// The domain that it serves.
    pub domain: DnsName,
}

impl DomainController {
    /// The Kerberos realm of its domain.
    #[must_use]
    pub fn realm(&self) -> Realm {
        Realm::from(&self.domain)
    }
}

/// No domain controller was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocateError {
    /// The name servers gave no answer, or know no such domain.
    #[error("cannot find a domain controller of {domain}: {error}")]
    Lookup {
        /// The domain.
        domain: DnsName,
        /// What happened.
        error: DialError,
    },
    /// The domain's name leaves no room for the service's labels.
    #[error("{0} is too long for the name of a domain")]
    DomainTooLong(DnsName),
    /// The records name no host.
    #[error("the service records of {0} name no host")]
    NoHost(DnsName),
}

impl portolan_model::Hint for LocateError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Lookup { error, .. } => error.hint(),
            Self::DomainTooLong(_) => None,
            Self::NoHost(domain) => Some(format!(
                "look at the records with `host -t SRV _ldap._tcp.dc._msdcs.{domain}`"
            )),
        }
    }
}

/// The domain controllers of a domain, in the order in which they are to be tried: by priority, and
/// at random by weight among equals ([RFC 2782]).
///
/// [RFC 2782]: https://www.rfc-editor.org/rfc/rfc2782
///
/// # Errors
/// [`LocateError`]; a failed lookup names the DNS row.
pub async fn locate(
    network: &Network,
    domain: &DnsName,
    rng: &mut (dyn Entropy + Send),
) -> Result<Vec<DomainController>, LocateError> {
    let name: DnsName = format!("_ldap._tcp.dc._msdcs.{domain}")
        .parse()
        .map_err(|_: InvalidName| LocateError::DomainTooLong(domain.clone()))?;
    let services = network
        .services(&name)
        .await
        .map_err(|error| LocateError::Lookup { domain: domain.clone(), error })?;
    let hosts: Vec<_> = order(services, rng)
        .into_iter()
        .map(|host| DomainController { host, domain: domain.clone() })
        .collect();
    if hosts.is_empty() {
        return Err(LocateError::NoHost(domain.clone()));
    }
    Ok(hosts)
}

/// RFC 2782, "Usage rules": lowest priority first; among equals, one after another is drawn with a
/// chance in proportion to its weight.
fn order(mut services: Vec<Service>, rng: &mut dyn Entropy) -> Vec<DnsName> {
    let mut hosts = Vec::with_capacity(services.len());
    while let Some(priority) = services.iter().map(|service| service.priority).min() {
        let total: u64 = services
            .iter()
            .filter(|service| service.priority == priority)
            // A weight of 0 keeps a small chance.
            .map(|service| u64::from(service.weight).max(1))
            .sum();
        let mut octets = [0; 8];
        rng.fill(&mut octets);
        let mut point = u64::from_be_bytes(octets) % total;
        let drawn = services.iter().position(|service| {
            let weight = u64::from(service.weight).max(1);
            let here = service.priority == priority && point < weight;
            if service.priority == priority && !here {
                point -= weight;
            }
            here
        });
        // INVARIANT: the point lies below the sum of the weights, so that one is drawn.
        let Some(drawn) = drawn else { break };
        hosts.push(services.remove(drawn).target);
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives the same number again and again.
    struct Always(u64);

    impl Entropy for Always {
        fn fill(&mut self, out: &mut [u8]) {
            out.copy_from_slice(&self.0.to_be_bytes());
        }
    }

    fn check(services: &[(u16, u16, &str)], drawn: u64, expected: &[&str]) {
        let services = services
            .iter()
            .map(|(priority, weight, target)| Service {
                priority: *priority,
                weight: *weight,
                target: target.parse().unwrap(),
            })
            .collect();
        let hosts = order(services, &mut Always(drawn));
        let hosts: Vec<_> = hosts.iter().map(DnsName::as_str).collect();
        assert_eq!(hosts, expected);
    }

    #[test]
    fn priority_comes_before_weight() {
        check(&[(10, 65535, "b"), (0, 0, "a"), (20, 1, "c")], 0, &["a", "b", "c"]);
    }

    #[test]
    fn equals_are_drawn_by_weight() {
        let services = [(0, 10, "a"), (0, 30, "b"), (0, 0, "c")];
        check(&services, 9, &["a", "b", "c"]);
        check(&services, 10, &["b", "c", "a"]);
        check(&services, 40, &["c", "a", "b"]);
        check(&[], 0, &[]);
    }
}
