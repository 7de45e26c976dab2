//! Whether a host is the public's: then an authority that the web does not believe has no business there.

use std::net::IpAddr;

use portolan_net::Peer;

/// Domains that no public authority issues for: reserved ones ([RFC 2606], [RFC 6761], [RFC 6762],
/// [RFC 8375]), and those that companies use as if they were.
///
/// [RFC 2606]: https://www.rfc-editor.org/rfc/rfc2606
/// [RFC 6761]: https://www.rfc-editor.org/rfc/rfc6761
/// [RFC 6762]: https://www.rfc-editor.org/rfc/rfc6762
/// [RFC 8375]: https://www.rfc-editor.org/rfc/rfc8375
const PRIVATE_DOMAINS: [&str; 13] = [
    "example",
    "test",
    "invalid",
    "localhost",
    "local",
    "internal",
    "lan",
    "home",
    "corp",
    "intern",
    "private",
    "arpa",
    "onion",
];

/// Whether a name or an address belongs to the public.
pub(super) fn is_public(peer: &Peer, forest: Option<&str>) -> bool {
    match peer {
        Peer::Address(IpAddr::V4(address)) => {
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_documentation())
        }
        Peer::Address(IpAddr::V6(address)) => {
            !(address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local())
        }
        Peer::Name(name) => {
            let name = name.as_str().to_ascii_lowercase();
            let Some((_, top)) = name.rsplit_once('.') else { return false };
            let of_forest = forest.is_some_and(|forest| is_below(&name, forest));
            !of_forest && !PRIVATE_DOMAINS.contains(&top) && !is_example(&name)
        }
    }
}

/// Whether a name is a domain, or below it.
fn is_below(name: &str, domain: &str) -> bool {
    let rest = name.strip_suffix(domain.to_ascii_lowercase().as_str());
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// The second-level domains of examples (RFC 2606 section 3).
fn is_example(name: &str) -> bool {
    ["example.com", "example.net", "example.org"].iter().any(|domain| is_below(name, domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_s_hosts_are_told_from_a_company_s() {
        let check = |text: &str, forest: Option<&str>, expected: bool| {
            assert_eq!(is_public(&text.parse().unwrap(), forest), expected, "{text}");
        };
        check("login.microsoftonline.com", None, true);
        check("sts.contoso.com", None, true);
        check("dc1.ad.contoso.com", Some("ad.contoso.com"), false);
        check("notad.contoso.com", Some("ad.contoso.com"), true);
        check("login.tenant.example", None, false);
        check("dc1.corp.local", None, false);
        check("dc1", None, false);
        check("10.0.0.1", None, false);
        check("127.0.0.1", None, false);
        check("::1", None, false);
        check("fd00::1", None, false);
        check("9.9.9.9", None, true);
    }
}
