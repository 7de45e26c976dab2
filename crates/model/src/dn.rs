//! Distinguished names.

use std::fmt;
use std::str::FromStr;

use crate::InvalidName;

/// Octets a distinguished name may have here; Active Directory's own are far shorter.
const DN_OCTETS_MAX: usize = 8 * 1024;

/// A distinguished name in the string form of RFC 4514, as the directory gave it.
///
/// It is held as text: names are shown and passed back to the directory, never compared to find
/// an object (that is what GUIDs are for).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DistinguishedName(String);

impl DistinguishedName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of a domain: `DC=corp,DC=example` for `corp.example`.
    #[must_use]
    pub fn of_domain(domain: &crate::DnsName) -> Self {
        let labels: Vec<_> =
            domain.as_str().split('.').map(|label| format!("DC={label}")).collect();
        Self(labels.join(","))
    }

    /// The relative distinguished names, leaf first, still escaped.
    pub fn rdns(&self) -> impl Iterator<Item = &str> {
        split_unescaped(&self.0)
    }

    /// The name of the object above; `None` at the top.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let leaf = self.rdns().next()?;
        self.0.get(leaf.len() + 1..).map(|rest| Self(rest.to_owned()))
    }
}

/// Splits at commas that no backslash escapes.
fn split_unescaped(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let current = rest?;
        let mut escaped = false;
        let end = current.char_indices().find_map(|(at, c)| match c {
            _ if std::mem::take(&mut escaped) => None,
            '\\' => {
                escaped = true;
                None
            }
            ',' => Some(at),
            _ => None,
        });
        let (head, tail) = match end {
            Some(at) => (&current[..at], Some(&current[at + 1..])),
            None => (current, None),
        };
        rest = tail;
        Some(head)
    })
}

impl FromStr for DistinguishedName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let refuse = |rule| InvalidName { noun: "distinguished name", text: text.to_owned(), rule };
        if text.len() > DN_OCTETS_MAX {
            return Err(refuse("at most 8,192 octets"));
        }
        if text.is_empty()
            || !split_unescaped(text).all(|rdn| rdn.find('=').is_some_and(|at| at > 0))
        {
            return Err(refuse("attribute=value parts, separated by commas"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_comma_does_not_end_a_part() {
        let dn: DistinguishedName = r"CN=Smith\, Zoë,OU=Staff,DC=corp,DC=example".parse().unwrap();
        assert_eq!(dn.rdns().next(), Some(r"CN=Smith\, Zoë"));
        assert_eq!(dn.parent().unwrap().as_str(), "OU=Staff,DC=corp,DC=example");
    }

    #[test]
    fn text_without_attribute_parts_is_refused() {
        for text in ["", "corp.example", "CN=a,,DC=b", "=x"] {
            assert!(text.parse::<DistinguishedName>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_domain_has_its_name() {
        let domain = "corp.example".parse().unwrap();
        assert_eq!(DistinguishedName::of_domain(&domain).as_str(), "DC=corp,DC=example");
    }
}
