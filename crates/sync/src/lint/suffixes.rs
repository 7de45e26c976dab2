//! Suffixes of user principal names: whether a tenant can verify them, and this one has.

use super::address;
use super::domains::Domains;
use super::report::Report;
use super::rule::Rule;
use super::subject::Attribute;

pub(super) fn look(report: &mut Report<'_, '_>) {
    let Some(upn) = report.subject.text(Attribute::UserPrincipalName) else { return };
    let Some((_, domain)) = address::parts(upn) else { return };
    // What is no domain is another rule's.
    if !address::is_domain(domain) || report.domains.is_some_and(|all| is_verified(all, domain)) {
        return;
    }
    let attribute = Attribute::UserPrincipalName;
    if !address::is_routable(domain) {
        let why = format!("no tenant can verify {domain}");
        report.find(Rule::UnroutableSuffix, attribute, upn, why);
    } else if let Some(domains) = report.domains {
        let why = format!("the tenant has not verified {domain}, and gives {}", domains.initial);
        report.find(Rule::UnverifiedSuffix, attribute, upn, why);
    }
}

fn is_verified(domains: &Domains, domain: &str) -> bool {
    domains.verified.iter().any(|name| name.as_str().eq_ignore_ascii_case(domain))
}

/// The one suffix that takes the place of another: the tenant's only domain that is not its first.
pub(super) fn instead<'d>(domains: &'d Domains, domain: &str) -> Option<&'d str> {
    if is_verified(domains, domain) {
        return None;
    }
    let mut own = domains.verified.iter().filter(|name| **name != domains.initial);
    let first = own.next()?;
    own.next().is_none().then(|| first.as_str())
}
