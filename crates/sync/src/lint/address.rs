//! Addresses: their type, their two parts, and whether mail finds the way.

/// Domains that no public resolver answers for, and none ever will: RFC 2606, RFC 6761, RFC 6762
/// appendix G, RFC 8375, and what ICANN keeps out of the root.
const UNROUTABLE: &[&str] = &[
    "arpa",
    "corp",
    "domain",
    "example",
    "home",
    "host",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "mail",
    "onion",
    "private",
    "test",
    "workgroup",
];

/// Octets of a label of a domain (RFC 1035 section 2.3.4).
const LABEL_OCTETS_MAX: usize = 63;
/// Octets of a domain as it is written.
const DOMAIN_OCTETS_MAX: usize = 253;

/// The type of a proxy address or target address, and the rest; what has none is mail's own.
#[must_use]
pub fn typed(value: &str) -> (&str, &str) {
    match value.split_once(':') {
        Some((kind, rest)) if kind.chars().all(|c| c.is_ascii_alphanumeric()) => (kind, rest),
        _ => ("smtp", value),
    }
}

/// The address of a value whose type is mail's.
#[must_use]
pub fn mail(value: &str) -> Option<&str> {
    let (kind, address) = typed(value);
    kind.eq_ignore_ascii_case("smtp").then_some(address)
}

/// What stands before and behind the one @; `None` when there is no such one.
#[must_use]
pub fn parts(address: &str) -> Option<(&str, &str)> {
    let (local, domain) = address.split_once('@')?;
    let whole = !local.is_empty() && !domain.is_empty() && !domain.contains('@');
    whole.then_some((local, domain))
}

/// Whether dots stand where none may: at an end, or two together.
#[must_use]
pub fn has_stray_dots(local: &str) -> bool {
    local.starts_with('.') || local.ends_with('.') || local.contains("..")
}

/// Whether a name is a mailbox's: atoms with dots between them (RFC 5322 section 3.2.3).
#[must_use]
pub fn is_local_part(local: &str) -> bool {
    let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    local.chars().all(atom) && !has_stray_dots(local)
}

/// Whether a name is a domain's: labels of letters, digits and hyphens (RFC 1123 section 2.1).
#[must_use]
pub fn is_domain(domain: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= LABEL_OCTETS_MAX
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
    };
    domain.len() <= DOMAIN_OCTETS_MAX && domain.split('.').all(label)
}

/// Whether the Internet can have such a domain.
#[must_use]
pub fn is_routable(domain: &str) -> bool {
    let Some((_, top)) = domain.rsplit_once('.') else { return false };
    let top = top.to_ascii_lowercase();
    let numeric = top.bytes().all(|octet| octet.is_ascii_digit());
    top.len() >= 2 && !numeric && !UNROUTABLE.contains(&top.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_without_a_public_top_is_not_routable() {
        for domain in ["contoso.com", "a.co.uk", "x.xn--p1ai", "contoso.onmicrosoft.com"] {
            assert!(is_routable(domain), "{domain}");
        }
        for domain in ["corp.local", "corp", "x.LAN", "10.0.0.1", "a.internal", "home.arpa", "a.b"]
        {
            assert!(!is_routable(domain), "{domain}");
        }
    }

    #[test]
    fn the_type_of_an_address_stands_before_the_first_colon() {
        assert_eq!(typed("SMTP:a@x"), ("SMTP", "a@x"));
        assert_eq!(typed("a@x"), ("smtp", "a@x"));
        assert_eq!(typed("X500:/o=A/cn=b:c"), ("X500", "/o=A/cn=b:c"));
        assert_eq!(mail("sip:a@x"), None);
    }

    #[test]
    fn parts_and_names_follow_the_grammar() {
        assert_eq!(parts("a@x.y"), Some(("a", "x.y")));
        for address in ["a", "@x", "a@", "a@b@c", ""] {
            assert_eq!(parts(address), None, "{address}");
        }
        for local in ["a.b", "o'neil", "a+b"] {
            assert!(is_local_part(local), "{local}");
        }
        for local in [".a", "a.", "a..b", "ä", "a b", "a(b)"] {
            assert!(!is_local_part(local), "{local}");
        }
        assert!(is_domain("a-1.b.c") && is_domain("xn--nxasmq6b.example"));
        let label = "a".repeat(64);
        for domain in ["", "a..b", "-a.b", "a-.b", "a_b.c", "münchen.de", label.as_str()] {
            assert!(!is_domain(domain), "{domain}");
        }
    }
}
