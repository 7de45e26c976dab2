//! The tenant's domains, which suffixes of names are compared to.

use portolan_model::DnsName;

/// The domains of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domains {
    /// Its own, for users whose suffix it has not verified.
    pub initial: DnsName,
    /// Those that it has verified, its own among them.
    pub verified: Vec<DnsName>,
}
