//! Names: what is accepted prints as what is accepted again.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use portolan_chart::{Flow, PortRange, Role};
use portolan_lab::LabName;
use portolan_model::{DistinguishedName, DnsName, Guid, Realm, Sid, SourceAnchor, Upn};

use crate::bytes;

/// Parses, prints, and parses again to the same.
pub(crate) fn parse<T>(text: &str) -> Option<T>
where
    T: FromStr + Display + PartialEq + Debug,
    T::Err: Display,
{
    match text.parse::<T>() {
        Ok(value) => {
            let printed = value.to_string();
            let again = printed.parse::<T>();
            assert!(again.is_ok_and(|again| again == value), "{text:?} prints as {printed:?}");
            Some(value)
        }
        Err(error) => {
            // Errors are shown to people: making their text must not fail either.
            let _ = error.to_string();
            None
        }
    }
}

/// The names of the model.
pub(crate) fn texts(octets: &[u8]) {
    let text = bytes::text(octets);
    if let Some(dn) = parse::<DistinguishedName>(text) {
        assert!(dn.rdns().count() > 0);
        let mut above = dn.parent();
        let mut steps = 0;
        while let Some(parent) = above {
            steps += 1;
            assert!(steps <= text.len(), "a name has more parents than octets");
            above = parent.parent();
        }
    }
    if let Some(domain) = parse::<DnsName>(text) {
        let _ = Realm::from(&domain).to_string();
        let base = DistinguishedName::of_domain(&domain).to_string();
        assert!(base.parse::<DistinguishedName>().is_ok(), "{base:?} is no base");
    }
    if let Some(name) = parse::<Upn>(text) {
        assert_eq!(Upn::new(name.local(), name.domain()).as_ref(), Ok(&name));
        let _ = name.folded();
    }
    parse::<SourceAnchor>(text);
    if let Some(guid) = parse::<Guid>(text) {
        assert_eq!(Guid::from_bytes_le(guid.to_bytes_le()), guid);
        parse::<SourceAnchor>(&SourceAnchor::from(guid).to_string());
    }
}

/// Security identifiers in octets.
pub(crate) fn sid(octets: &[u8]) {
    let Ok(sid) = Sid::decode(octets) else { return };
    assert_eq!(sid.encode(), octets, "a SID has one encoding");
    assert!(sid.to_string().starts_with("S-1-"));
    let _ = sid.rid();
}

/// The chart's words, as an administrator types them.
pub(crate) fn chart(octets: &[u8]) {
    let text = bytes::text(octets);
    if let Some(range) = parse::<PortRange>(text) {
        assert!(range.start() <= range.end() && range.contains(range.start()));
        assert!(range.single().is_none_or(|port| port == range.end()));
    }
    parse::<Flow>(text);
    if let Ok(role) = text.parse::<Role>() {
        // The page's own names are aliases.
        assert_eq!(role.name().parse(), Ok(role));
    }
    if let Ok(name) = text.parse::<LabName>() {
        assert_eq!(name.as_str(), text);
    }
}
