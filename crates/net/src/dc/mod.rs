//! Finding the domain controllers of a domain, and reaching one of them.
//!
//! Every controller publishes itself by service records under `_msdcs` ([MS-ADTS section 6.3.2.3]),
//! those near this host also under its site. The records give hosts and their order, the port is the
//! chart's. Each is asked by an LDAP ping (section 6.3.3) what it is: a read-only one is left out, a
//! silent one comes last. [`first`] then takes the first that a connection can be made to, and does
//! not wait long for one while another is left.
//!
//! [MS-ADTS section 6.3.2.3]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts

mod failover;
mod order;
mod ping;

use portolan_model::{DnsName, Entropy, InvalidName, Realm, Spn};

pub use failover::{PassedOver, first};

use crate::network::{DialError, Fault, Network};
use order::order;
use ping::Heard;

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

    /// Its directory service, by the name that no other host has.
    #[must_use]
    pub fn service(&self) -> Spn {
        Spn::of_controller("ldap", self.host.clone(), self.domain.clone())
    }
}

/// The controllers of a domain, as this host finds them.
#[derive(Debug, Clone)]
pub struct Located {
    /// In the order in which they are to be tried; never empty.
    pub controllers: Vec<DomainController>,
    /// The site of this host, if a controller knows it.
    pub site: Option<String>,
    /// Why no controller answered a ping. Without an answer the site is not known, and neither is
    /// which controller is read-only.
    pub silence: Option<DialError>,
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
    /// The records say that there is no such service: their target is the root (RFC 2782).
    #[error("the service record of {0} says that it has no domain controller")]
    ServiceAbsent(DnsName),
    /// Every controller that answered is read-only, or holds another domain.
    #[error("no domain controller of {0} is a writable one")]
    NoneWritable(DnsName),
}

impl portolan_model::Hint for LocateError {
    fn hint(&self) -> Option<String> {
        match self {
            // The name server answered: the question is whether it is the right one.
            Self::Lookup { domain, error: DialError { fault: Fault::NoSuchName { .. }, .. } } => {
                Some(format!(
                    "look whether {domain} is the forest's DNS name, and whether /etc/resolv.conf \
                     names its domain controllers or a server that forwards to them"
                ))
            }
            Self::Lookup { error, .. } => error.hint(),
            Self::DomainTooLong(_) => None,
            Self::NoHost(domain) | Self::ServiceAbsent(domain) => Some(format!(
                "look at the records with `host -t SRV _ldap._tcp.dc._msdcs.{domain}`"
            )),
            Self::NoneWritable(domain) => Some(format!(
                "let this host reach a writable domain controller of {domain}: a read-only one does \
                 not replicate passwords"
            )),
        }
    }
}

/// Controllers that are looked at: of a domain with more, these are near enough.
const CONTROLLERS_MAX: usize = 16;

/// The hosts that publish themselves as controllers of a domain, by priority and weight ([RFC 2782]).
///
/// [RFC 2782]: https://www.rfc-editor.org/rfc/rfc2782
///
/// # Errors
/// [`LocateError`]; a failed lookup names the DNS row.
pub async fn published(
    network: &Network,
    domain: &DnsName,
    rng: &mut (dyn Entropy + Send),
) -> Result<Vec<DnsName>, LocateError> {
    let name: DnsName = format!("_ldap._tcp.dc._msdcs.{domain}")
        .parse()
        .map_err(|_: InvalidName| LocateError::DomainTooLong(domain.clone()))?;
    let services = network
        .services(&name)
        .await
        .map_err(|error| LocateError::Lookup { domain: domain.clone(), error })?;
    if services.absent {
        return Err(LocateError::ServiceAbsent(domain.clone()));
    }
    let mut hosts = order(services.offered, rng);
    hosts.truncate(CONTROLLERS_MAX);
    if hosts.is_empty() {
        return Err(LocateError::NoHost(domain.clone()));
    }
    Ok(hosts)
}

/// The domain controllers of a domain, in the order in which they are to be tried: those of this
/// host's site first, then by priority, and at random by weight among equals ([RFC 2782]); those that
/// answer a ping before those that do not.
///
/// [RFC 2782]: https://www.rfc-editor.org/rfc/rfc2782
///
/// # Errors
/// [`LocateError`]; a failed lookup names the DNS row.
pub async fn locate(
    network: &Network,
    domain: &DnsName,
    rng: &mut (dyn Entropy + Send),
) -> Result<Located, LocateError> {
    let mut hosts = published(network, domain, rng).await?;
    let mut heard = Heard::default();
    heard.ask(network, domain, &hosts, rng).await;
    let site = heard.client_site();
    if let Some(site) = &site {
        let near = in_site(network, domain, site, rng).await;
        heard.ask(network, domain, &near, rng).await;
        hosts.retain(|host| !near.contains(host));
        hosts.splice(..0, near);
    }
    hosts.retain(|host| !heard.refuses(host));
    if hosts.is_empty() {
        return Err(LocateError::NoneWritable(domain.clone()));
    }
    // The order within each half stays.
    hosts.sort_by_key(|host| !heard.answered(host));
    let controllers =
        hosts.into_iter().map(|host| DomainController { host, domain: domain.clone() }).collect();
    Ok(Located { controllers, site, silence: heard.silence() })
}

/// The controllers that serve a site; none when it has no record of its own. The site's name is what
/// somebody said who need not be a controller, so that a name that is none is no error.
async fn in_site(
    network: &Network,
    domain: &DnsName,
    site: &str,
    rng: &mut (dyn Entropy + Send),
) -> Vec<DnsName> {
    let name = format!("_ldap._tcp.{site}._sites.dc._msdcs.{domain}").parse();
    let Ok(name) = name else { return Vec::new() };
    match network.services(&name).await {
        Ok(services) => {
            let mut hosts = order(services.offered, rng);
            hosts.truncate(CONTROLLERS_MAX);
            hosts
        }
        Err(error) => {
            tracing::debug!(%error, site, "The site has no service records");
            Vec::new()
        }
    }
}
