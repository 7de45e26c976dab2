//! Blocks of addresses: one address, or a prefix of either family.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use portolan_model::Hint;

/// A version of the Internet Protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Version 4, [RFC 791](https://www.rfc-editor.org/rfc/rfc791).
    V4,
    /// Version 6, [RFC 8200](https://www.rfc-editor.org/rfc/rfc8200).
    V6,
}

impl Family {
    /// Both, in the order of rules.
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// The family of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// The bits of an address.
    #[must_use]
    pub fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// The highest address as a number.
    #[must_use]
    pub fn last(self) -> u128 {
        match self {
            Self::V4 => u128::from(u32::MAX),
            Self::V6 => u128::MAX,
        }
    }

    /// The address of a number; what is above [`Family::last`] is cut off.
    #[must_use]
    pub fn address(self, number: u128) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX)).into(),
            Self::V6 => Ipv6Addr::from(number).into(),
        }
    }

    /// As people write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

/// An address as a number.
#[must_use]
pub fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// A prefix of addresses, [RFC 4632](https://www.rfc-editor.org/rfc/rfc4632): one address when it is as
/// long as that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// INVARIANT: no bit beyond `length` is set.
    address: IpAddr,
    /// INVARIANT: at most the bits of the family.
    length: u8,
}

impl Prefix {
    /// A prefix; `None` when it is longer than an address or has bits set beyond its length.
    #[must_use]
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        let bits = Family::of(address).bits();
        let host = (length <= bits).then(|| host_mask(bits - length))?;
        (number(address) & host == 0).then_some(Self { address, length })
    }

    /// Its family.
    #[must_use]
    pub fn family(self) -> Family {
        Family::of(self.address)
    }

    /// The first address.
    #[must_use]
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// The bits that are fixed.
    #[must_use]
    pub fn length(self) -> u8 {
        self.length
    }

    /// Whether it is one address.
    #[must_use]
    pub fn is_host(self) -> bool {
        self.length == self.family().bits()
    }

    /// The first and the last address as numbers.
    #[must_use]
    pub fn span(self) -> (u128, u128) {
        let first = number(self.address);
        (first, first | host_mask(self.family().bits() - self.length))
    }

    /// With its length, also when it is one address: `10.1.0.10/32`.
    #[must_use]
    pub fn cidr(self) -> String {
        format!("{}/{}", self.address, self.length)
    }

    /// Each once and in order, without those inside of another.
    #[must_use]
    pub fn distinct(prefixes: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut sorted: Vec<_> = prefixes.into_iter().collect();
        sorted.sort_by_key(|prefix| (prefix.family(), prefix.span().0, prefix.length));
        let mut kept: Vec<Self> = Vec::new();
        for prefix in sorted {
            // Of two prefixes one is inside of the other, or they are apart.
            let inside = kept.last().is_some_and(|last| {
                last.family() == prefix.family() && prefix.span().1 <= last.span().1
            });
            if !inside {
                kept.push(prefix);
            }
        }
        kept
    }
}

/// So many low bits set.
fn host_mask(bits: u8) -> u128 {
    if bits >= 128 { u128::MAX } else { (1 << bits) - 1 }
}

impl From<IpAddr> for Prefix {
    fn from(address: IpAddr) -> Self {
        Self { address, length: Family::of(address).bits() }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_host() {
            true => self.address.fmt(f),
            false => write!(f, "{}/{}", self.address, self.length),
        }
    }
}

/// A text that is neither an address nor a prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an address nor a prefix of addresses")]
pub struct InvalidPrefix(String);

impl Hint for InvalidPrefix {
    fn hint(&self) -> Option<String> {
        Some(
            "write 10.1.0.10, 10.1.0.0/24 or 2001:db8::/32, with no bit set beyond the length"
                .to_owned(),
        )
    }
}

impl FromStr for Prefix {
    type Err = InvalidPrefix;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidPrefix(text.to_owned());
        match text.split_once('/') {
            None => text.parse::<IpAddr>().map(Self::from).map_err(|_| invalid()),
            Some((address, length)) => {
                let address = address.parse().map_err(|_| invalid())?;
                let length = length.parse().map_err(|_| invalid())?;
                Self::new(address, length).ok_or_else(invalid)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_parse_only_when_legal() {
        for text in ["10.1.0.10", "10.0.0.0/8", "0.0.0.0/0", "fd00::/8", "fd00:1::10", "::/0"] {
            assert_eq!(text.parse::<Prefix>().unwrap().to_string(), text);
        }
        for text in ["10.0.0.1/8", "10.0.0.0/33", "fd00::1/64", "::/129", "any", "", "10.0.0.0/-1"]
        {
            assert!(text.parse::<Prefix>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_prefix_inside_of_another_is_left_out() {
        let parse =
            |texts: &[&str]| texts.iter().map(|text| text.parse::<Prefix>().unwrap()).collect();
        let check = |given: &[&str], expected: &[&str]| {
            let given: Vec<_> = parse(given);
            assert_eq!(Prefix::distinct(given), parse(expected) as Vec<_>);
        };
        check(&["10.1.0.10", "10.1.0.0/24", "10.1.0.10", "9.0.0.1"], &["9.0.0.1", "10.1.0.0/24"]);
        check(&["fd00::1", "10.0.0.1", "::/0"], &["10.0.0.1", "::/0"]);
        check(&["10.0.0.0/25", "10.0.0.128/25"], &["10.0.0.0/25", "10.0.0.128/25"]);
    }

    #[test]
    fn spans_reach_from_the_first_address_to_the_last() {
        let span = |text: &str| text.parse::<Prefix>().unwrap().span();
        assert_eq!(span("0.0.0.0/0"), (0, u128::from(u32::MAX)));
        assert_eq!(span("::/0"), (0, u128::MAX));
        assert_eq!(span("10.0.0.4/30"), (0x0a00_0004, 0x0a00_0007));
    }
}
