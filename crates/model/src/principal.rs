//! Names of hosts, realms, services and people.

use std::fmt;
use std::str::FromStr;

use crate::InvalidName;

macro_rules! text_name {
    ($name:ident) => {
        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// A DNS host or domain name (RFC 1123 section 2.1, and underscores for service labels), in lower
/// case, without the final dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsName(String);

text_name!(DnsName);

impl FromStr for DnsName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let refuse = |rule| InvalidName { noun: "DNS name", text: text.to_owned(), rule };
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if name.is_empty() || name.len() > 253 {
            return Err(refuse("1 to 253 characters"));
        }
        let label_is_legal = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
        };
        if !name.split('.').all(label_is_legal) {
            return Err(refuse("labels of 1 to 63 letters, digits and hyphens"));
        }
        Ok(Self(name))
    }
}

/// A Kerberos realm (RFC 4120 section 6.1); Active Directory's are the domain in upper case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Realm(String);

text_name!(Realm);

impl From<&DnsName> for Realm {
    fn from(domain: &DnsName) -> Self {
        Self(domain.0.to_ascii_uppercase())
    }
}

/// A service principal name: `ldap/dc1.corp.example`, or of a domain controller
/// `ldap/dc1.corp.example/corp.example`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Spn {
    class: &'static str,
    host: DnsName,
    domain: Option<DnsName>,
}

impl Spn {
    /// The name of a service class on a host.
    #[must_use]
    pub const fn new(class: &'static str, host: DnsName) -> Self {
        Self { class, host, domain: None }
    }

    /// The name of a service class that a host offers for a domain. Active Directory lets only the
    /// domain's controllers bear it ([MS-ADTS] 3.1.1.5.3.1.1.4).
    ///
    /// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
    #[must_use]
    pub const fn of_controller(class: &'static str, host: DnsName, domain: DnsName) -> Self {
        Self { class, host, domain: Some(domain) }
    }

    /// The host.
    #[must_use]
    pub const fn host(&self) -> &DnsName {
        &self.host
    }

    /// Its parts, in their order.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        let domain = self.domain.as_ref().map(DnsName::as_str);
        [self.class, self.host.as_str()].into_iter().chain(domain)
    }
}

impl fmt::Display for Spn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.class, self.host)?;
        self.domain.as_ref().map_or(Ok(()), |domain| write!(f, "/{domain}"))
    }
}

/// A user principal name: a local part, `@`, and a DNS domain; at most 113 characters (64 + 48 and
/// the sign), as in Entra ID. Compared without case.
#[derive(Debug, Clone)]
pub struct Upn {
    local: String,
    domain: DnsName,
}

impl Upn {
    /// From its parts.
    ///
    /// # Errors
    /// When the local part is empty or too long, or has a character that a UPN may not have.
    pub fn new(local: &str, domain: &DnsName) -> Result<Self, InvalidName> {
        format!("{local}@{domain}").parse()
    }

    /// What stands before the sign.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.local
    }

    /// What stands behind the sign.
    #[must_use]
    pub const fn domain(&self) -> &DnsName {
        &self.domain
    }

    /// The form in which two are compared: lower case.
    #[must_use]
    pub fn folded(&self) -> String {
        format!("{}@{}", self.local.to_lowercase(), self.domain)
    }
}

impl PartialEq for Upn {
    fn eq(&self, other: &Self) -> bool {
        self.folded() == other.folded()
    }
}

impl Eq for Upn {}

impl FromStr for Upn {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let refuse =
            |rule| InvalidName { noun: "user principal name", text: text.to_owned(), rule };
        let (local, domain) = text.rsplit_once('@').ok_or_else(|| refuse("local@domain"))?;
        if local.is_empty() || local.chars().count() > 64 || domain.len() > 48 {
            return Err(refuse("1 to 64 characters before the @ and at most 48 after it"));
        }
        let forbidden = |c: char| {
            c.is_control() || c.is_whitespace() || r#"\%&*+/=?{}|<>();:,[]"@"#.contains(c)
        };
        if local.chars().any(forbidden) {
            return Err(refuse("no spaces, control characters or any of \\%&*+/=?{}|<>();:,[]\"@"));
        }
        let domain = domain.parse().map_err(|_| refuse("a DNS domain behind the @"))?;
        Ok(Self { local: local.to_owned(), domain })
    }
}

impl fmt::Display for Upn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upns_compare_without_case_and_keep_their_spelling() {
        let upn: Upn = "Alice@Corp.Example".parse().unwrap();
        assert_eq!(upn, "alice@corp.example".parse().unwrap());
        assert_eq!(upn.to_string(), "Alice@corp.example");
    }

    #[test]
    fn upns_that_the_tenant_would_refuse_do_not_exist() {
        let long = format!("{}@corp.example", "a".repeat(65));
        for text in
            ["alice", "@corp.example", "a b@corp.example", "a@b@corp.example", "a@-x", &long]
        {
            assert!(text.parse::<Upn>().is_err(), "{text}");
        }
    }

    #[test]
    fn names_of_hosts_are_folded_and_checked() {
        assert_eq!("DC1.Corp.Example.".parse::<DnsName>().unwrap().as_str(), "dc1.corp.example");
        assert!("a..b".parse::<DnsName>().is_err());
        let realm = Realm::from(&"corp.example".parse().unwrap());
        assert_eq!(realm.as_str(), "CORP.EXAMPLE");
        let spn = Spn::new("ldap", "dc1.corp.example".parse().unwrap());
        assert_eq!(spn.to_string(), "ldap/dc1.corp.example");
    }
}
